//! freeDiameter as a peer, and as a relay between a client and the server. Its own dictionaries of credit control are
//! loaded; what it does not understand of the server's messages fails the test.

use std::process::Command;

use crate::{
    external::run,
    recorder::Recorder,
    support::{DEMO_CATALOG, TestNode},
    tools::{available, interop_file},
    wire::{Message, code},
    worked_flows,
};

const DWR: u32 = 280;
const DPR: u32 = 282;
const RAR: u32 = 258;
const CCR: u32 = 272;

/// The messages of this command.
fn only(messages: Vec<Message>, command: u32, request: bool) -> Vec<Message> {
    messages.into_iter().filter(|message| message.command() == command && message.is_request() == request).collect()
}

/// What runs freeDiameter is there, and freeDiameter itself.
fn is_here() -> bool {
    let files = "for f in nasreq dcca dcca_3gpp; do test -f /usr/lib/freeDiameter/dict_$f.fdx; done";
    available("python3", &["-c", "import diameter, grpc, grpc_tools"])
        && available("freeDiameterd", &["--version"])
        && available("sh", &["-ec", files])
}

/// freeDiameter connects, is asked by the watchdog or asks, and disconnects. The side whose Tw is shorter asks.
async fn peer(asks: &str, server_tw: u64, peer_tw: u64) -> Recorder {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.watchdog_secs = server_tw).await;
    let recorder = Recorder::before(node.diameter()).await;
    let mut client = Command::new("python3");
    client.arg(interop_file("freediameter_peer.py")).arg(recorder.address.to_string());
    client.args(["--watchdog", &peer_tw.to_string(), "--asks", asks]);
    run(client).await;
    let (ours, theirs) = (recorder.from_server(), recorder.from_clients());
    // Capabilities and the end: asked by the peer, answered with success.
    for command in [257, DPR] {
        assert_eq!(only(theirs.clone(), command, true).len(), 1);
        let answers = only(ours.clone(), command, false);
        assert_eq!(answers.iter().map(Message::result).collect::<Vec<_>>(), [2001]);
    }
    recorder.judged();
    recorder
}

// tests: B-140 B-141 B-144 B-166 B-169 B-171 B-172
#[tokio::test]
async fn freediameter_is_a_peer_with_a_watchdog_of_its_own() {
    if !is_here() {
        return;
    }
    // Both at once, since each waits for its watchdog.
    let (their, our) = tokio::join!(peer("client", 30, 6), peer("server", 6, 30));
    let dwas = only(their.from_server(), DWR, false);
    assert_eq!(dwas.iter().map(Message::result).collect::<Vec<_>>(), [2001]);
    assert_eq!(only(our.from_server(), DWR, true).len(), 1);
    assert_eq!(only(our.from_clients(), DWR, false)[0].result(), 2001);
}

/// A worked flow through freeDiameter, a relay for each connection of the client.
async fn relayed(flow: &str, services: &[&str]) -> Option<Recorder> {
    if !is_here() {
        return None;
    }
    let recorder = worked_flows::relayed(flow, services).await;
    for ccr in only(recorder.from_clients(), CCR, true) {
        assert_eq!(ccr.text(code::ROUTE_RECORD), Some("flows.client.example"), "the relay says whose it is");
        assert_eq!(ccr.text(code::ORIGIN_HOST), Some("flows.client.example"));
        assert!(ccr.has(code::PROXY_INFO));
    }
    // A relay may add it to an answer that it passes on; the server does not.
    assert!(recorder.from_server().iter().all(|message| !message.has(code::ROUTE_RECORD)));
    recorder.judged();
    Some(recorder)
}

// tests: B-81 B-134 B-135 B-136 C-88 C-100 C-101 C-F3
#[tokio::test]
async fn a_session_through_a_relay_with_re_authorisation() {
    let Some(recorder) = relayed("C-F3", worked_flows::REDIRECTED).await else { return };
    // It goes to the relay, for the client (spec B-135).
    let rars = only(recorder.from_server(), RAR, true);
    assert_eq!(rars.len(), 1);
    assert_eq!(rars[0].text(code::DESTINATION_HOST), Some("flows.client.example"));
    assert_eq!(rars[0].text(code::DESTINATION_REALM), Some("client.example"));
    assert_eq!(only(recorder.from_clients(), RAR, false)[0].result(), 2002);
}

// tests: B-81 B-136 C-F2
#[tokio::test]
async fn a_session_through_a_relay_with_a_refused_service() {
    relayed("C-F2", worked_flows::TWO_SERVICES).await;
}

// tests: B-93 B-94 B-95 B-97 C-140 C-142 C-F7
#[tokio::test]
async fn a_lost_answer_and_its_request_again_through_another_relay() {
    let Some(recorder) = relayed("C-F7", worked_flows::VOLUME).await else { return };
    let updates = only(recorder.from_clients(), CCR, true);
    assert!(updates.iter().any(|ccr| ccr.flags() & crate::wire::RETRANSMITTED != 0), "relays keep T (spec B-94)");
}

// tests: B-93 B-95 B-136 C-140 C-142 C-145 C-F7
#[tokio::test]
async fn a_request_again_through_another_relay_before_its_original() {
    relayed("C-F7-copy-first", worked_flows::VOLUME).await;
}
