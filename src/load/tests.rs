//! The generator against a responder over loopback.

use std::collections::BTreeMap;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    diameter::{
        CreditControlAnswer, CreditControlRequest, Identity, LocalNode, ResultCode,
        credit_control::{GrantedUnits, RequestType, ServiceAnswer, Strictness},
        frame::{MESSAGE_MAX_DEFAULT, split},
        peer::{Action, Admission, Input, Peer, Timers},
    },
    time::{Clock, SystemClock},
    units::Units,
};

/// The defaults of the command line, and hardly any time.
pub(super) fn options() -> LoadOptions {
    LoadOptions {
        connections: 2,
        in_flight: 8,
        duration: 0.2,
        warmup: 0.05,
        drain: 0.5,
        updates: 2,
        json: true,
        ..LoadOptions::new(String::new())
    }
}

/// What a responder does with the nth request of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Grants,
    RefusesService,
    RefusesEverything,
    /// Forgets the hundredth.
    Forgets,
    /// Breaks the connection at the hundredth.
    Breaks,
    /// Gives every hundredth the wrong number.
    Confuses,
}

#[tokio::test]
async fn the_responder_beside_a_load_answers_as_it_should() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let echo = tokio::spawn(echo::serve(listener));
    let report = run(LoadOptions { target, ..options() }).await.unwrap();
    assert!(report.is_clean() && report.by_type.update > 0, "{report}");
    assert_eq!(report.result_codes.keys().collect::<Vec<_>>(), [&2001]);
    echo.abort();
}

async fn responder(mood: Mood) -> LoadOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, mood));
        }
    });
    LoadOptions { target, ..options() }
}

async fn serve(mut stream: TcpStream, mood: Mood) {
    let identity = Identity { host: "ocs.example".into(), realm: "example".into() };
    let local = Arc::new(LocalNode::credit_control(identity.clone(), vec![stream.local_addr().unwrap().ip()]));
    let mut peer = Peer::responder(local, Admission::Anyone, Timers::default(), 7, SystemClock.now());
    let (mut inbox, mut sessions, mut count) = (BytesMut::new(), BTreeMap::<Vec<u8>, u32>::new(), 0);
    while stream.read_buf(&mut inbox).await.is_ok_and(|read| read > 0) {
        let mut out = Vec::new();
        while let Some(frame) = split(&mut inbox, MESSAGE_MAX_DEFAULT).unwrap() {
            for action in peer.handle(Input::Message(&frame), SystemClock.now()) {
                match action {
                    Action::Send(octets) => out.extend(octets),
                    Action::Deliver(frame) => {
                        count += 1;
                        let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
                        check_order(&ccr, &mut sessions, mood);
                        match mood {
                            Mood::Forgets if count == 100 => continue,
                            Mood::Breaks if count == 100 => return,
                            _ => {}
                        }
                        let at = out.len();
                        answer(&ccr, mood).encode(&frame, &identity, &mut out);
                        if mood == Mood::Confuses && count % 100 == 0 {
                            // The answer's last AVP is the MSCC or CC-Request-Number; the number follows type and header.
                            let kind = out[at..].windows(8).position(|w| w == [0, 0, 1, 0x9f, 0x40, 0, 0, 12]).unwrap();
                            out[at + kind + 8] = 9;
                        }
                    }
                    _ => {}
                }
            }
        }
        stream.write_all(&out).await.unwrap();
    }
}

/// Sessions are whole: I 0, U 1, U 2, T 3, each Session-Id once.
fn check_order(ccr: &CreditControlRequest<'_>, sessions: &mut BTreeMap<Vec<u8>, u32>, mood: Mood) {
    let next = sessions.entry(ccr.session_id.to_vec()).or_insert(0);
    assert_eq!(*next, ccr.request_number);
    *next += 1;
    let service = &ccr.services[0];
    assert_eq!(service.rating_group, Some(1));
    assert_eq!(service.requested.is_some(), ccr.request_type != RequestType::Termination);
    if mood == Mood::Grants {
        let used = service.used.and_then(|used| used.units.total_octets);
        assert_eq!(used, (ccr.request_type != RequestType::Initial).then_some(1_000_000));
    }
    let age = SystemClock.now().since(ccr.event_timestamp.unwrap());
    assert!(age.as_secs() < 5, "{age:?}");
    assert!(ccr.subscription_ids[0].data.starts_with("86139000"));
}

fn answer(ccr: &CreditControlRequest<'_>, mood: Mood) -> CreditControlAnswer {
    if mood == Mood::RefusesEverything {
        return CreditControlAnswer::new(ResultCode::TOO_BUSY);
    }
    let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
    if ccr.request_type != RequestType::Termination {
        let refused = mood == Mood::RefusesService;
        answer.services.push(ServiceAnswer {
            rating_group: Some(1),
            result_code: Some(if refused { ResultCode::CREDIT_LIMIT_REACHED } else { ResultCode::SUCCESS }),
            granted: (!refused).then(|| GrantedUnits::of(Units::octets(10_000_000))),
            ..Default::default()
        });
    }
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_plays_whole_sessions() {
    let report = run(responder(Mood::Grants).await).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.answered > 100 && report.answered == report.sent, "{report}");
    // Every session that began was ended, most of them after two updates.
    assert_eq!(report.by_type.initial, report.by_type.termination);
    assert!(report.by_type.update > report.by_type.initial);
    assert_eq!(report.result_codes.keys().copied().collect::<Vec<_>>(), [2001]);
    assert_eq!(report.service_result_codes[&2001], report.by_type.initial + report.by_type.update);
    // Sixteen in flight: what is answered in a second and how long it takes belong together (Little's law).
    let in_flight = report.answered_per_second * report.latency.mean_us / 1e6;
    assert!((8.0..=24.0).contains(&in_flight), "{in_flight} in flight on average; {report}");
    assert!(serde_json::to_string(&report).unwrap().contains("\"p99_us\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_keeps_its_rate() {
    let options = LoadOptions { rate: Some(4_000.0), duration: 0.5, ..responder(Mood::Grants).await };
    let report = run(options).await.unwrap();
    assert!(report.is_clean(), "{report}");
    // 0.55 s at 4,000 a second, and the ends of at most 16 open sessions; a busy machine may fall behind and says so.
    assert!((2_180..=2_220).contains(&(report.sent + report.never_sent)), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_counted_where_they_stand() {
    let report = run(responder(Mood::RefusesService).await).await.unwrap();
    assert!(report.is_clean() && report.by_type.update == 0, "{report}");
    assert_eq!(report.service_result_codes[&4012], report.by_type.initial);

    let report = run(responder(Mood::RefusesEverything).await).await.unwrap();
    assert!(report.is_clean() && report.answered == report.result_codes[&3004], "{report}");
    assert_eq!((report.by_type.update, report.by_type.termination), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told() {
    let report = run(responder(Mood::Forgets).await).await.unwrap();
    assert!(!report.is_clean() && report.unanswered == 2, "{report}");

    let report = run(responder(Mood::Breaks).await).await.unwrap();
    assert!(!report.is_clean() && report.failures.len() == 2 && report.unanswered > 0, "{report}");

    let report = run(responder(Mood::Confuses).await).await.unwrap();
    assert!(!report.is_clean() && report.wrong_echoes > 0, "{report}");

    let nobody = LoadOptions { target: "127.0.0.1:1".into(), ..options() };
    assert!(run(nobody).await.is_err());
}

#[test]
fn options_that_make_no_sense() {
    for wrong in [
        LoadOptions { connections: 0, ..options() },
        LoadOptions { in_flight: 0, ..options() },
        LoadOptions { in_flight: 1 << 16, ..options() },
        LoadOptions { subscribers: 0, ..options() },
        LoadOptions { first_msisdn: 9_999, subscribers: 2, ..options() },
        LoadOptions { duration: 0.0, ..options() },
        LoadOptions { warmup: f64::NAN, ..options() },
        LoadOptions { rate: Some(-1.0), ..options() },
    ] {
        assert!(check(&wrong).is_err(), "{wrong:?}");
    }
    assert!(check(&options()).is_ok());
}
