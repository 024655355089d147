//! Every bound is hit: what is just within is served, what is one too many gets the exact answer and is counted.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    client::{Client, PATIENCE, cer},
    interop_rules::{ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Message, Request, avp, code, nested},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;

/// The value of a counter as the node tells it, 0 if it does not.
pub(crate) async fn counter(node: &TestNode, series: &str) -> u64 {
    let text = metrics(node).await;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

async fn metrics(node: &TestNode) -> String {
    let mut stream = tokio::net::TcpStream::connect(node.node.http).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn hits(node: &TestNode, bound: &str) -> u64 {
    counter(node, &format!("tollgate_bounds_hit_total{{bound=\"{bound}\"}}")).await
}

/// An alert compares with a moment ago: a first hit that made the series would not be seen.
#[tokio::test]
async fn bounds_are_counted_from_zero() {
    let node = TestNode::demo().await;
    let text = metrics(&node).await;
    for bound in [
        "message_octets_max",
        "avp_depth_max",
        "avps_max",
        "services_max",
        "in_flight_max",
        "account_sessions_max",
        "session_quotas_max",
    ] {
        assert!(text.contains(&format!("\ntollgate_bounds_hit_total{{bound=\"{bound}\"}} ")), "{bound}: {text}");
    }
}

/// Groups within groups, as deep as that.
fn deep(levels: usize) -> Vec<u8> {
    nested(&vec![code::PROXY_INFO; levels - 1], avp(code::PROXY_INFO, &[]))
}

/// Class: any number of them may be there.
fn filler() -> Vec<u8> {
    avp(25, b"more")
}

/// A request with so many AVPs, the members of its groups included.
fn of_avps(session: &str, count: usize) -> Request {
    // 8 of the command, 3 of the subscriber, 3 of the service.
    let request = ccr_of(1, session, INITIAL, 0).with(wanted(1));
    (14..count).fold(request, |request, _| request.with(filler()))
}

fn of_services(session: &str, count: usize) -> Request {
    (0..count).fold(ccr_of(1, session, INITIAL, 0), |request, _| request.with(wanted(1)))
}

// tests: B-33 B-72 B-73 B-184
#[tokio::test]
async fn a_message_has_bounds() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.message_octets_max = 8_192;
        config.diameter.avp_depth_max = 6;
        config.diameter.avps_max = 256;
        config.diameter.services_max = 4;
    })
    .await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let good = |session: &str| ccr_of(1, session, INITIAL, 0).with(wanted(1));
    for (bound, within, beyond, result, failed) in [
        // The group that is too deep is shown in its place, and empty.
        ("avp_depth_max", good("pgw.example;1").with(deep(6)), good("pgw.example;2").with(deep(7)), 5014, deep(7)),
        ("avps_max", of_avps("pgw.example;3", 256), of_avps("pgw.example;4", 257), 5009, filler()),
        ("services_max", of_services("pgw.example;5", 4), of_services("pgw.example;6", 5), 5009, wanted(1)),
    ] {
        let before = hits(&node, bound).await;
        assert_eq!(client.ask_new(within).await.result(), 2001, "{bound}");
        assert_eq!(hits(&node, bound).await, before, "{bound}");
        let answer = client.ask_new(beyond).await;
        assert_eq!((answer.result(), answer.is_error()), (result, false), "{bound}");
        assert_eq!(answer.failed(), Some(&failed[..]), "{bound}");
        assert!(hits(&node, bound).await > before, "{bound}");
    }
    // Each that was within has opened a session, none that was beyond.
    assert_eq!(node.account(1).sessions.len(), 3);

    let before = hits(&node, "message_octets_max").await;
    let long = good("pgw.example;7").with(avp(25, &[0; 8_192]));
    client.send(&long.octets()).await;
    let answer = client.receive().await;
    assert_eq!((answer.result(), answer.is_error()), (5015, true));
    client.is_closed().await;
    assert!(hits(&node, "message_octets_max").await > before);
    judged_by_tshark(&client.received);
}

fn results(answer: &Message) -> Vec<Option<u32>> {
    answer.services().iter().map(|service| service.number(&[code::RESULT_CODE])).collect()
}

// tests: C-91 C-112
#[tokio::test]
async fn an_account_has_so_many_sessions_and_a_session_so_many_quotas() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.store.account_sessions_max = 2;
        config.store.session_quotas_max = 2;
    })
    .await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let before = hits(&node, "account_sessions_max").await;
    let initial = |n: u32| ccr_of(1, &format!("pgw.example;{n}"), INITIAL, 0).with(wanted(1));
    for n in 0..2 {
        assert_eq!(client.ask_new(initial(n)).await.result(), 2001);
    }
    let answer = client.ask_new(initial(2)).await;
    assert_eq!((answer.result(), answer.is_error(), answer.failed()), (5006, false, None));
    assert!(hits(&node, "account_sessions_max").await > before);
    // Nobody else minds, and when one session ends there is room.
    assert_eq!(client.ask_new(ccr_of(2, "pgw.example;9", INITIAL, 0).with(wanted(1))).await.result(), 2001);
    assert_eq!(client.ask_new(ccr_of(1, "pgw.example;0", TERMINATION, 1)).await.result(), 2001);
    assert_eq!(client.ask_new(initial(3)).await.result(), 2001);

    let before = hits(&node, "session_quotas_max").await;
    let update = |n: u32, group: u32| ccr_of(1, "pgw.example;1", UPDATE, n).with(wanted(group));
    assert_eq!(results(&client.ask_new(update(1, 2)).await), [Some(2001)]);
    let answer = client.ask_new(update(2, 3).with(wanted(1))).await;
    assert_eq!((answer.result(), results(&answer)), (2001, vec![Some(5006), Some(2001)]));
    assert!(hits(&node, "session_quotas_max").await > before);
    assert_eq!(client.ask_new(ccr_of(1, "pgw.example;1", TERMINATION, 3)).await.result(), 2001);
    judged_by_tshark(&client.received);
}

// tests: B-186
#[tokio::test]
async fn a_connection_has_so_many_requests_in_work() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.in_flight_max = 10).await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let before = hits(&node, "in_flight_max").await;
    let deadline = Instant::now() + PATIENCE;
    let mut session = 0;
    while hits(&node, "in_flight_max").await == before {
        assert!(Instant::now() < deadline, "never hit");
        let mut requests = Vec::new();
        for _ in 0..100 {
            session += 1;
            let of = u64::from(session % 10) + 1;
            let request = ccr_of(of, &format!("pgw.example;{session}"), INITIAL, 0).with(wanted(1));
            requests.extend(request.numbered(session).octets());
        }
        client.send(&requests).await;
        // None is dropped: each has its answer, later.
        for _ in 0..100 {
            assert_eq!(client.receive().await.result(), 2001);
        }
    }
}

// tests: B-61 B-186
#[tokio::test]
async fn connections_and_introductions_have_bounds() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.connections_max = 1;
        config.diameter.handshake_secs = 1;
    })
    .await;
    let refused = |reason: &str| format!("tollgate_connections_refused_total{{reason=\"{reason}\"}}");
    let (late, many) = (refused("handshake"), refused("too_many"));
    let before = (counter(&node, &late).await, counter(&node, &many).await);
    let mut silent = Client::tcp(node.diameter()).await;
    let mut second = Client::tcp(node.diameter()).await;
    second.is_closed().await;
    silent.is_closed().await;
    let deadline = Instant::now() + PATIENCE;
    while counter(&node, &late).await == before.0 || counter(&node, &many).await == before.1 {
        assert!(Instant::now() < deadline, "not counted");
    }
    // There is room again.
    loop {
        let mut next = Client::tcp(node.diameter()).await;
        if next.try_send(&cer("next.example", "gateways.example").octets()).await && next.next().await.is_some() {
            next.is_served().await;
            break;
        }
        assert!(Instant::now() < deadline, "there is still no room");
    }
}
