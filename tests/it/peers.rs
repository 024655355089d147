//! The connections of one peer: who calls, who may come in besides, and who stays when both call.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::net::{TcpListener, TcpStream};
use tollgate::{
    config::{Config, Peer},
    units::Money,
};

use crate::{
    bounds::counter,
    client::{Client, PATIENCE, cer, dwr},
    interop_rules::{ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    wire::{Message, Request, avp, avp_of, code, number, text},
};

const OCS: &str = "ocs1.tollgate.example";
const INITIAL: u32 = 1;
const CER: u32 = 257;
const RAR: u32 = 258;
const DWR: u32 = 280;
const DPR: u32 = 282;
const ORIGIN_STATE_ID: u32 = 278;

/// An answer to a request of the node's, with these AVPs between.
fn answer(request: &Message, host: &str, result: u32, more: Vec<Vec<u8>>) -> Vec<u8> {
    let mut avps = vec![number(code::RESULT_CODE, result), text(code::ORIGIN_HOST, host)];
    avps.push(text(code::ORIGIN_REALM, "gateways.example"));
    avps.extend(more);
    let mut answer = Request::new(request.command(), request.application(), avps);
    answer.flags = request.flags() & 0x7f;
    (answer.hop_by_hop, answer.end_to_end) = (request.hop_by_hop(), request.end_to_end());
    answer.octets()
}

/// The CEA of a peer that is called `host`.
pub(crate) fn cea_for(cer: &Message, host: &str) -> Vec<u8> {
    assert_eq!((cer.command(), cer.is_request()), (CER, true));
    assert_eq!(cer.text(code::ORIGIN_HOST), Some(OCS));
    let more = vec![
        avp(code::HOST_IP_ADDRESS, &[0, 1, 127, 0, 0, 1]),
        number(code::VENDOR_ID, 0),
        avp_of(code::PRODUCT_NAME, 0, None, b"peer"),
        number(code::AUTH_APPLICATION_ID, 4),
    ];
    answer(cer, host, 2001, more)
}

fn dpr(host: &str, cause: u32) -> Request {
    let avps = vec![text(code::ORIGIN_HOST, host), text(code::ORIGIN_REALM, "gateways.example")];
    Request::new(DPR, 0, avps).with(number(code::DISCONNECT_CAUSE, cause)).numbered(0xd)
}

/// A place where a peer listens, and a node that calls it there.
struct Called {
    listener: TcpListener,
    host: &'static str,
    node: TestNode,
}

impl Called {
    async fn start(host: &'static str, change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let node = TestNode::start(DEMO_CATALOG, |config| {
            calls(config, host, at);
            change(config);
        })
        .await;
        Self { listener, host, node }
    }

    /// The node's next connection, and its CER.
    async fn called(&self) -> (Client, Message) {
        let (stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("no call").unwrap();
        let mut peer = Client::over(stream);
        let cer = peer.receive().await;
        assert_eq!(cer.command(), CER);
        (peer, cer)
    }

    /// The node's next connection, open.
    async fn opened(&self) -> Client {
        let (mut peer, cer) = self.called().await;
        peer.send(&cea_for(&cer, self.host)).await;
        peer
    }
}

/// The node calls again after a second, more or less.
fn calls(config: &mut Config, host: &str, at: SocketAddr) {
    config.diameter.reconnect_secs = 1;
    let mut peer = Peer::generic(host);
    peer.connect = Some(at.to_string().parse().unwrap());
    config.diameter.peers = vec![peer];
}

// tests: B-135 B-141 B-148 B-163
#[tokio::test]
async fn a_peer_that_was_called_is_served_and_asked_like_any_other() {
    let called = Called::start("relay.example", |config| config.seed.balance = Money::from_micros(50_000)).await;
    let connected = "tollgate_peer_connected{peer=\"relay.example\"}";
    assert_eq!(counter(&called.node, connected).await, 0);
    let (mut peer, cer) = called.called().await;
    assert_eq!(cer.text(code::ORIGIN_REALM), Some("tollgate.example"));
    assert_eq!(cer.number(&[code::AUTH_APPLICATION_ID]), Some(4));
    assert_eq!(cer.part().all(code::HOST_IP_ADDRESS)[0].0, [0, 1, 127, 0, 0, 1]);
    peer.send(&cea_for(&cer, "RELAY.example")).await;
    peer.is_served().await;
    assert_eq!(counter(&called.node, connected).await, 1);
    // Five megabytes are all that the subscriber can pay: the session waits for a top-up.
    let cca = peer.ask_new(ccr_of(1, "pgw.example;1;1", INITIAL, 0).with(wanted(1))).await;
    assert_eq!((cca.result(), cca.services()[0].octets()), (2001, Some(5_000_000)));
    called.node.top_up(1, 50_000, "receipt-1");
    let rar = peer.receive().await;
    assert_eq!((rar.command(), rar.text(code::SESSION_ID)), (RAR, Some("pgw.example;1;1")));
    assert_eq!(rar.text(code::DESTINATION_HOST), Some("pgw.example"));
    let raa = answer(&rar, "pgw.example", 2002, vec![]);
    peer.send(&raa).await;
    peer.is_served().await;
}

// tests: B-150 B-163
#[tokio::test]
async fn a_call_that_fails_is_made_again() {
    // Refused, another's name, a watchdog instead of a CEA, closed: none of them is a connection.
    type Bad = fn(&Message) -> Vec<u8>;
    let failures: [Bad; 4] = [
        |cer| answer(cer, "dra.example", 3010, vec![]),
        |cer| cea_for(cer, "other.example"),
        |_| dwr("dra.example", 7).octets(),
        |_| Vec::new(),
    ];
    let fails_once = |bad: Bad| async move {
        let called = Called::start("dra.example", |_| {}).await;
        let (mut peer, cer) = called.called().await;
        let octets = bad(&cer);
        peer.send(&octets).await;
        if octets.is_empty() {
            peer.end().await;
        }
        peer.is_closed().await;
        assert!(!called.node.node.is_connected("dra.example") && !called.node.node.is_connected("other.example"));
        called.opened().await.is_served().await;
    };
    let [a, b, c, d] = failures.map(fails_once);
    tokio::join!(a, b, c, d);
}

// tests: B-163 B-168 B-169 B-171
#[tokio::test]
async fn a_peer_that_was_down_is_called_again_and_watched() {
    let called = Called::start("dra.example", |_| {}).await;
    let mut first = called.opened().await;
    // The first is trusted at once: nothing but answers comes.
    first.is_served().await;
    let begun = Instant::now();
    let dpa = first.ask(&dpr("dra.example", 0)).await;
    assert_eq!(dpa.result(), 2001);
    drop(first);
    let mut second = called.opened().await;
    assert!(begun.elapsed() >= Duration::from_millis(800), "Tc and its jitter: {:?}", begun.elapsed());
    // It was down, so it must prove itself (REOPEN), and is served meanwhile.
    let watchdog = second.receive().await;
    assert_eq!((watchdog.command(), watchdog.is_request()), (DWR, true));
    second.is_served().await;
    let cca = second.ask_new(ccr_of(1, "pgw.example;1;1", INITIAL, 0).with(wanted(1))).await;
    assert_eq!(cca.result(), 2001);
}

// tests: B-163 B-169 B-171
#[tokio::test]
async fn a_peer_that_wants_no_calls_is_called_when_it_has_called() {
    let called = Called::start("dra.example", |_| {}).await;
    let mut first = called.opened().await;
    assert_eq!(first.ask(&dpr("dra.example", 2)).await.result(), 2001);
    drop(first);
    // It comes by itself: trusted at once, though it was down.
    let mut own = Client::tcp(called.node.diameter()).await;
    let cea = own.ask(&cer("dra.example", "gateways.example")).await;
    assert_eq!(cea.result(), 2001);
    own.is_served().await;
    assert_eq!(own.ask(&dpr("dra.example", 0)).await.result(), 2001);
    drop(own);
    called.opened().await;
}

// tests: B-160 B-161
#[tokio::test]
async fn an_election_leaves_the_connection_that_the_lower_name_has_opened() {
    // The node has the higher name: it closes what it has opened.
    let called = Called::start("a.example", |_| {}).await;
    let (mut ours, _) = called.called().await;
    let mut theirs = Client::tcp(called.node.diameter()).await;
    assert_eq!(theirs.ask(&cer("a.example", "gateways.example")).await.result(), 2001);
    ours.is_closed().await;
    theirs.is_served().await;

    // It has the lower name: what it has opened stays, if the peer answers there ...
    let called = Called::start("z.example", |_| {}).await;
    let (mut ours, cer_of_node) = called.called().await;
    let mut theirs = Client::tcp(called.node.diameter()).await;
    theirs.send(&cer("z.example", "gateways.example").octets()).await;
    let mut third = Client::tcp(called.node.diameter()).await;
    third.send(&cer("z.example", "gateways.example").octets()).await;
    // Of two of the peer's own the later one goes, whichever that was.
    let (closed, mut theirs) = tokio::select! {
        closed = third.next() => (closed, theirs),
        closed = theirs.next() => (closed, third),
    };
    assert!(closed.is_none());
    ours.send(&cea_for(&cer_of_node, "z.example")).await;
    assert_eq!(theirs.receive().await.result(), 4003);
    theirs.is_closed().await;
    ours.is_served().await;

    // ... and the peer's, if it does not.
    let called = Called::start("z.example", |_| {}).await;
    let (ours, _) = called.called().await;
    let mut theirs = Client::tcp(called.node.diameter()).await;
    theirs.send(&cer("z.example", "gateways.example").octets()).await;
    drop(ours);
    assert_eq!(theirs.receive().await.result(), 2001);
    theirs.is_served().await;
}

// tests: B-160 B-161 B-163
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_call_each_other_end_up_with_one_connection() {
    // The second node takes this port; nobody else does, nearly always.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.origin_host = "ocs1.example".into();
        calls(config, "ocs2.example", port);
    })
    .await;
    let at = first.diameter();
    let second = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.origin_host = "ocs2.example".into();
        config.diameter.listen = port.into();
        calls(config, "ocs1.example", at);
    })
    .await;
    let settled = || {
        let connected = first.node.is_connected("ocs2.example") && second.node.is_connected("ocs1.example");
        connected && first.node.connections() == 1 && second.node.connections() == 1
    };
    let deadline = Instant::now() + PATIENCE;
    while !settled() {
        assert!(Instant::now() < deadline, "{} {}", first.node.connections(), second.node.connections());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn cer_of_state(host: &str, origin_state_id: u32) -> Request {
    cer(host, "gateways.example").with(number(ORIGIN_STATE_ID, origin_state_id))
}

// tests: B-162
#[tokio::test]
async fn a_second_connection_is_refused_and_the_first_is_asked_whether_it_lives() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.connections_per_peer = 1).await;
    let refused = "tollgate_connections_refused_total{reason=\"peer_connections\"}";
    let before = counter(&node, refused).await;
    let mut first = Client::tcp(node.diameter()).await;
    assert_eq!(first.ask(&cer_of_state("gw.example", 7)).await.result(), 2001);
    let mut second = Client::tcp(node.diameter()).await;
    second.send(&cer_of_state("GW.example", 7).octets()).await;
    second.is_closed().await;
    assert!(counter(&node, refused).await > before);
    let watchdog = first.receive().await;
    assert_eq!((watchdog.command(), watchdog.is_request()), (DWR, true));
    first.send(&answer(&watchdog, "gw.example", 2001, vec![])).await;
    first.is_served().await;
    // Another client is another client.
    let mut other = Client::open(node.diameter(), "gw2.example").await;
    // It has started again: what is left of it goes at once.
    let mut again = Client::tcp(node.diameter()).await;
    assert_eq!(again.ask(&cer_of_state("gw.example", 8)).await.result(), 2001);
    first.is_closed().await;
    again.is_served().await;
    other.is_served().await;
}

// tests: B-151 B-162
#[tokio::test]
async fn a_client_may_have_several_connections_but_not_any_number() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.connections_per_peer = 3).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Client::open(node.diameter(), "gw.example").await);
    }
    // A CER on one that is open is no new one.
    assert_eq!(open[0].ask(&cer("gw.example", "gateways.example")).await.result(), 2001);
    let mut fourth = Client::tcp(node.diameter()).await;
    fourth.send(&cer("gw.example", "gateways.example").octets()).await;
    fourth.is_closed().await;
    for client in &mut open {
        assert_eq!(client.receive().await.command(), DWR);
        client.is_served().await;
    }
    // One leaves, one may come.
    drop(open.pop());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stream = TcpStream::connect(node.diameter()).await.unwrap();
        let mut client = Client::over(stream);
        client.send(&cer("gw.example", "gateways.example").octets()).await;
        match client.next().await {
            Some(cea) => break assert_eq!(cea.result(), 2001),
            None => assert!(Instant::now() < deadline, "its place is not free"),
        }
    }
}
