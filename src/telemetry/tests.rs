//! Metrics render as Prometheus reads them; the HTTP endpoint tells the state; dashboards and alerts name real metrics.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;
use crate::units::{Money, UnitKind};

#[test]
fn names_are_well_formed_and_unique() {
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        let name = metric.name;
        assert!(name.starts_with("tollgate_") && seen.insert(name), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(metric.kind == names::Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(!metric.help.is_empty() && !metric.help.contains('\n'), "{name}");
    }
}

#[test]
fn answers_are_counted_by_peer_type_and_code() {
    let metrics = init().unwrap();
    // Two connections, one of which is closed before the counters are read.
    let peer = RequestMetrics::of_peer("counted\"by\\test");
    let initial = RequestKind::of_cc_request_type(1);
    peer.answered(initial, 2001, Duration::from_micros(50));
    RequestMetrics::of_peer("counted\"by\\test").answered(initial, 2001, Duration::from_micros(51));
    peer.answered(RequestKind::Untyped, 5004, Duration::from_secs(60));
    RequestMetrics::of_peer("counted\"by\\test").answered(RequestKind::Watchdog, 7777, Duration::ZERO);

    let text = metrics.render();
    let peer = "peer=\"counted\\\"by\\\\test\"";
    let line = |rest: &str| format!("tollgate_requests_total{{{rest},{peer}}}");
    assert!(text.contains(&format!("{} 2\n", line("command=\"CCR\",type=\"initial\",result_code=\"2001\""))), "{text}");
    assert!(text.contains(&format!("{} 1\n", line("command=\"CCR\",type=\"\",result_code=\"5004\""))));
    assert!(text.contains(&format!("{} 1\n", line("command=\"DWR\",type=\"\",result_code=\"other\""))));
    assert_eq!(text.matches("# TYPE tollgate_requests_total ").count(), 1);
}

#[test]
fn durations_render_as_a_histogram() {
    let (fast, slow) = (histogram::Durations::default(), histogram::Durations::default());
    fast.observe(Duration::from_micros(50));
    fast.observe(Duration::from_nanos(50_001));
    slow.observe(Duration::from_secs(11));
    fast.add(&slow);
    let mut text = String::new();
    fast.render(&mut text, "d", "type=\"x\"").unwrap();
    assert!(
        text.starts_with("d_bucket{type=\"x\",le=\"0.00005\"} 1\nd_bucket{type=\"x\",le=\"0.0001\"} 2\n"),
        "{text}"
    );
    let end =
        "le=\"10\"} 2\nd_bucket{type=\"x\",le=\"+Inf\"} 3\nd_sum{type=\"x\"} 11.000100001\nd_count{type=\"x\"} 3\n";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn units_and_money_are_counted() {
    let metrics = init().unwrap();
    let data = UnitMetrics::of_service("counted", UnitKind::Octets);
    data.granted(10);
    data.charged(7);
    let money = MoneyMetrics::of_currency("XTS");
    money.charged(Money::from_micros(5));
    money.charged(Money::from_micros(-5));
    money.credited(Money::from_micros(9));
    let text = metrics.render();
    assert!(text.contains("tollgate_granted_units_total{kind=\"octets\",service=\"counted\"} 10\n"), "{text}");
    assert!(text.contains("tollgate_charged_units_total{kind=\"octets\",service=\"counted\"} 7\n"));
    assert!(text.contains("tollgate_charged_money_micros_total{currency=\"XTS\"} 5\n"));
    assert!(text.contains("tollgate_credited_money_micros_total{currency=\"XTS\"} 9\n"));
}

#[test]
fn every_rendered_series_is_declared_with_its_kind() {
    let metrics = init().unwrap();
    metrics::histogram!(names::JOURNAL_SYNC_SECONDS).record(0.0003);
    for line in metrics.render().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let declared = names::ALL.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(kind, format!("{:?}", declared.kind).to_lowercase(), "{name}");
    }
    assert!(metrics.render().contains("tollgate_journal_sync_seconds_bucket{le=\"0.0005\"}"));
}

#[test]
fn failure_stays() {
    let health = Health::new();
    assert_eq!(health.get(), HealthState::Starting);
    health.set(HealthState::Ready);
    assert!(health.clone().is_ready());
    health.set_short_of_space(false);
    assert!(health.is_ready());
    health.set_short_of_space(true);
    assert_eq!(health.get(), HealthState::ShortOfSpace);
    health.set_short_of_space(false);
    assert!(health.is_ready());
    health.set_short_of_space(true);
    health.set(HealthState::Draining);
    health.set_short_of_space(false);
    assert_eq!(health.get(), HealthState::Draining);
    health.set(HealthState::Failed("sync".into()));
    health.set(HealthState::Ready);
    assert_eq!(health.get(), HealthState::Failed("sync".into()));
}

#[tokio::test]
async fn http_tells_metrics_and_state() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let health = Health::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(http::serve(listener, init().unwrap(), health.clone(), shutdown));

    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), body.to_owned())
    };
    let answer = |status: &str, body: &str| (status.to_owned(), body.to_owned());

    assert_eq!(get("/readyz").await, answer("503", "starting\n"));
    health.set(HealthState::Recovering { done_bytes: 5, total_bytes: 9 });
    assert_eq!(get("/readyz").await, answer("503", "recovering: 5 of 9 octets\n"));
    assert_eq!(get("/healthz").await, answer("200", "recovering: 5 of 9 octets\n"));
    health.set(HealthState::Ready);
    assert_eq!(get("/readyz").await, answer("200", "ready\n"));
    let (status, body) = get("/metrics").await;
    assert_eq!(status, "200");
    assert!(body.contains("# TYPE tollgate_request_duration_seconds histogram"), "{body}");
    health.set(HealthState::Draining);
    assert_eq!(get("/readyz").await, answer("503", "draining\n"));
    health.set(HealthState::Failed("sync: no space".into()));
    assert_eq!(get("/healthz").await, answer("503", "failed: sync: no space\n"));
    assert_eq!(get("/nothing").await.0, "404");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

/// Words that start like a metric in the alert rules and the dashboard.
fn used_names(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("tollgate_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_use_declared_names() {
    let is_declared = |word: &str| {
        names::ALL.iter().any(|metric| match word.strip_prefix(metric.name) {
            Some("") => metric.kind != names::Kind::Histogram,
            Some("_bucket" | "_sum" | "_count") => metric.kind == names::Kind::Histogram,
            _ => false,
        })
    };
    for file in ["docker/prometheus/alerts.yaml", "docker/grafana/dashboards/tollgate.json"] {
        let used = used_names(file);
        assert!(used.len() > 10, "{file} uses only {used:?}");
        let wrong: Vec<_> = used.iter().filter(|word| !is_declared(word)).collect();
        assert!(wrong.is_empty(), "{file} names what is not in names.rs: {wrong:?}");
    }
}
