//! Clients that restart: what Origin-State-Id tells in CER and in CCRs, and what becomes of the sessions that were lost.

use std::{net::SocketAddr, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tollgate::{
    cli::gateway::Gateway,
    diameter::{
        CreditControlAnswer, CreditControlRequest, Identity, LocalNode, ResultCode,
        base::BaseMessage,
        capabilities::{Capabilities, write_cer},
        credit_control::{MultipleServices, RequestType, ServiceUnits, SubscriptionId},
        frame::MESSAGE_MAX_DEFAULT,
        split,
    },
};

use crate::support::{DEMO_CATALOG, TestNode};

const GRACE: u64 = 1;

async fn node() -> TestNode {
    TestNode::start(DEMO_CATALOG, |config| config.diameter.restart_grace_secs = GRACE).await
}

/// Opens a session of subscriber 0 and returns how it was answered. `state` = Origin-State-Id in the CCR.
async fn open(gateway: &mut Gateway, host: &str, session: &str, kind: RequestType, state: Option<u32>) -> ResultCode {
    let client = Identity { host: host.into(), realm: "gateways.example".into() };
    let number = u32::from(kind != RequestType::Initial);
    let mut request = gateway.request(session, &client, kind, number, "32251@3gpp.org", "8613900000000");
    request.origin_state_id = state;
    request.services = vec![MultipleServices {
        rating_group: Some(1),
        requested: Some(ServiceUnits::default()),
        ..MultipleServices::default()
    }];
    let frame = gateway.ask(&mut request).await.unwrap();
    CreditControlAnswer::parse(&frame).unwrap().answer.result_code
}

fn runs(node: &TestNode, session: &str) -> bool {
    node.node.store.session(session.as_bytes()).is_some()
}

async fn until_gone(node: &TestNode, session: &str) {
    let gone = async {
        while runs(node, session) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it still runs");
    let store = &node.node.store;
    store.mark().wait_for(store.last_position()).await.unwrap();
}

/// A connection that says its Origin-State-Id in CER. It stays open as long as it is held.
async fn introduce(address: SocketAddr, host: &str, state: u32) -> (TcpStream, Capabilities) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let identity = Identity { host: host.into(), realm: "gateways.example".into() };
    let local = LocalNode {
        origin_state_id: state,
        ..LocalNode::credit_control(identity, vec![stream.local_addr().unwrap().ip()])
    };
    let mut cer = Vec::new();
    write_cer(&mut cer, &local, 1, 1);
    stream.write_all(&cer).await.unwrap();
    let mut buffer = BytesMut::new();
    loop {
        if let Some(frame) = split(&mut buffer, MESSAGE_MAX_DEFAULT).unwrap() {
            return (stream, Capabilities::parse(&frame).unwrap());
        }
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0);
    }
}

// tests: B-190 B-191
#[tokio::test(flavor = "multi_thread")]
async fn a_growing_value_in_a_ccr_closes_what_its_client_has_lost() {
    let node = node().await;
    // A relay: the value is its client's, not its own.
    let mut relay = node.gateway("relay.example").await;
    for (host, session, state) in [("a.example", "a;1", 7), ("a.example", "a;2", 7), ("b.example", "b;1", 9)] {
        assert_eq!(open(&mut relay, host, session, RequestType::Initial, Some(state)).await, ResultCode::SUCCESS);
    }
    let (balance, reserved) = node.balance(1);
    assert_eq!(reserved, 3 * 100_000);
    // One session is used on by the new incarnation: that one it has.
    assert_eq!(open(&mut relay, "A.example", "a;2", RequestType::Update, Some(8)).await, ResultCode::SUCCESS);
    assert!(runs(&node, "a;1"), "the grace time has only begun");
    until_gone(&node, "a;1").await;
    assert!(runs(&node, "a;2") && runs(&node, "b;1"));
    assert_eq!(node.balance(1), (balance, 2 * 100_000), "released, and nothing is charged");
    assert_eq!(
        open(&mut relay, "a.example", "a;1", RequestType::Update, Some(8)).await,
        ResultCode::UNKNOWN_SESSION_ID
    );
}

// tests: B-191 B-192
#[tokio::test(flavor = "multi_thread")]
async fn a_growing_value_in_a_cer_does_too_and_is_known_after_a_restart_of_ours() {
    let node = node().await;
    let (_first, capabilities) = introduce(node.diameter(), "a.example", 7).await;
    assert_ne!(capabilities.origin_state_id, 0);
    let mut relay = node.gateway("relay.example").await;
    open(&mut relay, "a.example", "a;1", RequestType::Initial, None).await;
    // Lower: no conclusion.
    let (_second, _) = introduce(node.diameter(), "a.example", 6).await;
    let known = node.node.store.incarnation("a.example");
    assert_eq!(known.load(std::sync::atomic::Ordering::Relaxed), 7);
    node.node.store.checkpoint().unwrap();
    let TestNode { node: first, directory } = node;
    drop(relay);
    first.stop().await.unwrap();
    let mut config = crate::support::config(directory.path(), DEMO_CATALOG, 10);
    config.diameter.restart_grace_secs = GRACE;
    let node = TestNode { node: tollgate::app::Node::start(config).await.unwrap(), directory };
    assert!(runs(&node, "a;1"));
    let (_third, again) = introduce(node.diameter(), "a.example", 8).await;
    assert_eq!(again.origin_state_id, capabilities.origin_state_id, "our sessions survive");
    until_gone(&node, "a;1").await;
    assert_eq!(node.balance(1).1, 0);
}

/// A CCR-I of subscriber 0, on a connection as it is, and its answer's code.
async fn open_over(stream: &mut TcpStream, host: &str, session: &str) -> ResultCode {
    let client = Identity { host: host.into(), realm: "gateways.example".into() };
    let mut request = CreditControlRequest::new(session.as_bytes(), &client, "example", RequestType::Initial);
    request.service_context_id = "32251@3gpp.org";
    request.subscription_ids = vec![SubscriptionId { kind: 0, data: "8613900000000" }];
    request.services = vec![MultipleServices {
        rating_group: Some(1),
        requested: Some(ServiceUnits::default()),
        ..MultipleServices::default()
    }];
    let mut ccr = Vec::new();
    request.encode(&mut ccr);
    stream.write_all(&ccr).await.unwrap();
    let mut buffer = BytesMut::new();
    loop {
        if let Some(frame) = split(&mut buffer, MESSAGE_MAX_DEFAULT).unwrap() {
            return CreditControlAnswer::parse(&frame).unwrap().answer.result_code;
        }
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0);
    }
}

// tests: B-191
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_over_a_connection_from_before_the_restart_is_of_that_incarnation() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.restart_grace_secs = GRACE;
        config.diameter.connections_per_peer = 2;
    })
    .await;
    let (mut old, _) = introduce(node.diameter(), "a.example", 7).await;
    let (mut new, _) = introduce(node.diameter(), "a.example", 8).await;
    // Sent before the restart, read after it; letter case makes no other client of it.
    for (host, session) in [("a.example", "a;1"), ("A.Example", "a;2")] {
        assert_eq!(open_over(&mut old, host, session).await, ResultCode::SUCCESS);
    }
    assert_eq!(open_over(&mut new, "A.example", "a;3").await, ResultCode::SUCCESS);
    until_gone(&node, "a;1").await;
    until_gone(&node, "a;2").await;
    assert!(runs(&node, "a;3"));
}

// tests: B-190
#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_answer_says_it_as_well() {
    let node = node().await;
    let (mut stream, capabilities) = introduce(node.diameter(), "a.example", 7).await;
    let identity = Identity { host: "a.example".into(), realm: "gateways.example".into() };
    let mut dwr = Vec::new();
    tollgate::diameter::base::write_dwr(&mut dwr, &LocalNode::credit_control(identity, vec![]), 2, 2);
    stream.write_all(&dwr).await.unwrap();
    let mut buffer = BytesMut::new();
    let frame = loop {
        if let Some(frame) = split(&mut buffer, MESSAGE_MAX_DEFAULT).unwrap() {
            break frame;
        }
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0);
    };
    assert_eq!(BaseMessage::parse(&frame).unwrap().origin_state_id, Some(capabilities.origin_state_id));
}
