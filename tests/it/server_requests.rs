//! What the server asks of clients about running sessions: to re-authorise them, whole or in part, and to end them.

use std::time::Duration;

use tollgate::{
    charging::{AccountState, Command, Session},
    cli::gateway::Gateway,
    config::{Config, Peer, Profile},
    diameter::{
        CreditControlAnswer, Frame, ResultCode,
        credit_control::{MultipleServices, RequestType, ServiceUnits, UsedUnits},
        dictionary::command,
        reauth::{SessionAnswer, SessionRequest},
    },
    ids::SessionKey,
    units::{Money, Units},
};

use crate::support::{DEMO_CATALOG, TestNode};

const DATA: &str = "32251@3gpp.org";
/// 0.01 CNY for a MB, slices of 10 MB.
const INTERNET: u32 = 1;
const MB: u64 = 1_000_000;
const SOON: Duration = Duration::from_secs(10);

/// A node whose first subscriber has so many micro-units, and one gateway that may be asked for a rating group.
async fn node(micros: i64, change: impl FnOnce(&mut Config)) -> TestNode {
    TestNode::start(DEMO_CATALOG, |config| {
        config.seed.balance = Money::from_micros(micros);
        let mut narrow = Peer::generic("narrow.example");
        narrow.overrides.narrow_reauthorisation = Some(true);
        let mut deaf = Peer::generic("deaf.example");
        deaf.profile = Profile::Open5gs;
        config.diameter.peers = vec![narrow, deaf];
        change(config);
    })
    .await
}

/// A request of the first subscriber.
async fn ask(
    gateway: &mut Gateway,
    session: (&str, u64),
    kind: RequestType,
    number: u32,
    groups: &[(u32, Option<u64>, bool)],
) -> CreditControlAnswer {
    let client = gateway.identity().clone();
    let mut request = gateway.request(session.0, &client, kind, number, DATA, "8613900000000");
    request.sub_session_id = Some(session.1).filter(|id| *id != 0);
    let service = |(group, used, want): &(u32, Option<u64>, bool)| MultipleServices {
        rating_group: Some(*group),
        requested: want.then(ServiceUnits::default),
        used: used.map(|used| UsedUnits { units: ServiceUnits::of(Units::octets(used)), ..UsedUnits::default() }),
        ..MultipleServices::default()
    };
    request.services = groups.iter().map(service).collect();
    let frame = gateway.ask(&mut request).await.unwrap();
    CreditControlAnswer::parse(&frame).unwrap().answer
}

/// The next request of the server.
async fn asked(gateway: &mut Gateway) -> Frame {
    tokio::time::timeout(SOON, gateway.receive()).await.expect("nothing was asked").unwrap()
}

async fn answer(gateway: &mut Gateway, request: &Frame, result: ResultCode) {
    let mut bytes = Vec::new();
    SessionAnswer::write(&mut bytes, request, gateway.identity(), result);
    gateway.send(&bytes).await.unwrap();
}

fn session(node: &TestNode, id: &str) -> Option<Session> {
    let session = node.node.store.session(id.as_bytes())?;
    node.node.store.mark().wait_for_blocking(session.position()).unwrap();
    Some(node.node.store.mark().admit(session).unwrap().into_inner())
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn operate(node: &TestNode, id: &str, command: impl FnOnce(SessionKey) -> Command<'static>) {
    let key = SessionKey::of(id.as_bytes());
    let done = node.node.store.session_command(key, &command(key)).expect("it runs");
    node.node.store.mark().wait_for_blocking(done.position()).unwrap();
}

// tests: C-106
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_subscriber_has_his_sessions_ended_by_his_client() {
    let node = node(1_000_000, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    node.set_state(1, AccountState::Suspended);
    let asr = asked(&mut gateway).await;
    assert_eq!((asr.header().command, asr.header().application), (command::ABORT_SESSION, 4));
    let request = SessionRequest::parse(&asr).unwrap();
    assert_eq!(request.session_id, b"gw;1");
    assert_eq!((request.destination_host, request.destination_realm), ("gw.example", "gateways.example"));
    assert_ne!(request.origin_state_id, 0);
    answer(&mut gateway, &asr, ResultCode::SUCCESS).await;
    // Until the final report comes, the session is there and holds what it holds.
    assert!(session(&node, "gw;1").is_some_and(|session| session.abort));
    let last = ask(&mut gateway, ("gw;1", 0), RequestType::Termination, 1, &[(INTERNET, Some(3 * MB), false)]).await;
    assert_eq!(last.result_code, ResultCode::SUCCESS);
    assert!(session(&node, "gw;1").is_none());
    assert_eq!(node.balance(1), (970_000, 0));
}

// tests: C-106
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_a_session_and_the_client_may_refuse_or_not_know_it() {
    let node = node(1_000_000, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    for id in ["gw;1", "gw;2"] {
        ask(&mut gateway, (id, 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    }
    operate(&node, "gw;1", Command::Abort);
    let asr = asked(&mut gateway).await;
    answer(&mut gateway, &asr, ResultCode::UNABLE_TO_COMPLY).await;
    until("the wish is given up", || session(&node, "gw;1").is_some_and(|session| !session.abort)).await;
    assert_eq!(node.balance(1), (1_000_000, 200_000), "it stays open");
    operate(&node, "gw;2", Command::Abort);
    let asr = asked(&mut gateway).await;
    answer(&mut gateway, &asr, ResultCode::UNKNOWN_SESSION_ID).await;
    until("it is closed", || session(&node, "gw;2").is_none()).await;
    assert_eq!(node.balance(1), (1_000_000, 100_000), "what it held is released");
}

// tests: C-106
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_yes_and_does_not_end_it_is_asked_once_more_and_then_left_to_supervision() {
    let node = node(1_000_000, |config| config.diameter.reauthorise_wait_secs = 1).await;
    let mut gateway = node.gateway("gw.example").await;
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    operate(&node, "gw;1", Command::Abort);
    for _ in 0..2 {
        let asr = asked(&mut gateway).await;
        assert_eq!(asr.header().command, command::ABORT_SESSION);
        answer(&mut gateway, &asr, ResultCode::SUCCESS).await;
        // A report is no end.
        let number = asr.header().hop_by_hop;
        ask(&mut gateway, ("gw;1", 0), RequestType::Update, number, &[(INTERNET, Some(0), true)]).await;
    }
    until("it is given up", || session(&node, "gw;1").is_some_and(|session| !session.abort)).await;
}

// tests: C-106 C-101
#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_cannot_be_delivered_is_tried_again() {
    let node = node(1_000_000, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    operate(&node, "gw;1", Command::Abort);
    let first = asked(&mut gateway).await;
    answer(&mut gateway, &first, ResultCode::UNABLE_TO_DELIVER).await;
    let second = asked(&mut gateway).await;
    assert_eq!(second.header().command, command::ABORT_SESSION);
    assert_ne!(second.header().end_to_end, first.header().end_to_end);
    // The client was away: what is wanted waits for it.
    drop(gateway);
    let mut gateway = node.gateway("gw.example").await;
    ask(&mut gateway, ("gw;2", 0), RequestType::Initial, 0, &[]).await;
    let third = asked(&mut gateway).await;
    assert_eq!(SessionRequest::parse(&third).unwrap().session_id, b"gw;1");
}

// tests: C-107
#[tokio::test(flavor = "multi_thread")]
async fn events_are_never_asked_about() {
    let node = node(1_000_000, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    let client = gateway.identity().clone();
    let mut event = gateway.request("gw;e", &client, RequestType::Event, 0, "32274@3gpp.org", "8613900000000");
    let frame = gateway.ask(&mut event).await.unwrap();
    assert_eq!(CreditControlAnswer::parse(&frame).unwrap().answer.result_code, ResultCode::SUCCESS);
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    node.set_state(1, AccountState::Suspended);
    // The session is asked about, and nothing else.
    let asr = asked(&mut gateway).await;
    assert_eq!(SessionRequest::parse(&asr).unwrap().session_id, b"gw;1");
    answer(&mut gateway, &asr, ResultCode::UNKNOWN_SESSION_ID).await;
    until("it is closed", || session(&node, "gw;1").is_none()).await;
    let mut others = 0;
    node.node.store.for_each_state(|state| others += state.waiting_for_reauthorisation().count());
    assert_eq!(others, 0);
}

// tests: C-100 C-23
#[tokio::test(flavor = "multi_thread")]
async fn a_question_names_its_sub_session_and_for_some_clients_its_rating_group() {
    for (host, group) in [("narrow.example", Some(2)), ("gw.example", None)] {
        let node = node(10_000_000, |_| {}).await;
        let mut gateway = node.gateway(host).await;
        let opened = ask(&mut gateway, ("gw;1", 7), RequestType::Initial, 0, &[(1, None, true), (2, None, true)]).await;
        assert_eq!(opened.services.len(), 2);
        let key = SessionKey::of_sub_session(b"gw;1", 7);
        drop(node.node.store.session_command(key, &Command::ReAuthorise(key, Some(2))).expect("it runs"));
        let rar = asked(&mut gateway).await;
        let request = SessionRequest::parse(&rar).unwrap();
        assert_eq!(rar.header().command, command::RE_AUTH);
        assert_eq!((request.sub_session_id, request.rating_group, request.pool), (Some(7), group, None), "{host}");
    }
}

// tests: C-100 C-104
#[tokio::test(flavor = "multi_thread")]
async fn after_a_top_up_only_the_rating_group_that_waits_is_asked_for() {
    // Enough for the first rating group and nothing more.
    let node = node(100_000, |_| {}).await;
    let mut gateway = node.gateway("narrow.example").await;
    let opened = ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(1, None, true), (2, None, true)]).await;
    assert_eq!(opened.services[1].result_code, Some(ResultCode::CREDIT_LIMIT_REACHED));
    node.top_up(1, 5_000_000, "first");
    let rar = asked(&mut gateway).await;
    assert_eq!(SessionRequest::parse(&rar).unwrap().rating_group, Some(2));
}

// tests: C-104 C-105
#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_gives_back_another_is_asked_to_take() {
    let node = node(100_000, |_| {}).await;
    let mut first = node.gateway("gw.example").await;
    let mut second = node.gateway("other.example").await;
    ask(&mut first, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    let refused = ask(&mut second, ("other;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    assert_eq!(refused.services[0].result_code, Some(ResultCode::CREDIT_LIMIT_REACHED));
    ask(&mut first, ("gw;1", 0), RequestType::Termination, 1, &[(INTERNET, Some(4 * MB), false)]).await;
    let rar = asked(&mut second).await;
    assert_eq!(SessionRequest::parse(&rar).unwrap().session_id, b"other;1");
    // The update crosses the question: it is served, and answers it (spec C-101, C-105).
    let answered = ask(&mut second, ("other;1", 0), RequestType::Update, 1, &[(INTERNET, None, true)]).await;
    assert_eq!(answered.services[0].granted.as_ref().map(|units| units.units.total_octets), Some(Some(6 * MB)));
    answer(&mut second, &rar, ResultCode::SUCCESS).await;
    assert!(session(&node, "other;1").is_some_and(|session| !session.reauthorise));
}

// tests: C-101
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_have_the_session_has_it_closed() {
    let node = node(100_000, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    operate(&node, "gw;1", |key| Command::ReAuthorise(key, None));
    let rar = asked(&mut gateway).await;
    answer(&mut gateway, &rar, ResultCode::UNKNOWN_SESSION_ID).await;
    until("it is closed", || session(&node, "gw;1").is_none()).await;
    assert_eq!(node.balance(1), (100_000, 0));
}

// tests: I-15 C-106
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_deaf_to_re_authorisation_is_asked_to_end_sessions_all_the_same() {
    let node = node(1_000_000, |_| {}).await;
    let mut gateway = node.gateway("deaf.example").await;
    ask(&mut gateway, ("gw;1", 0), RequestType::Initial, 0, &[(INTERNET, None, true)]).await;
    operate(&node, "gw;1", |key| Command::ReAuthorise(key, None));
    until("the wish is given up", || session(&node, "gw;1").is_some_and(|session| !session.reauthorise)).await;
    operate(&node, "gw;1", Command::Abort);
    assert_eq!(asked(&mut gateway).await.header().command, command::ABORT_SESSION);
}
