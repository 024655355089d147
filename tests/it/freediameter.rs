//! freeDiameter as a peer, and as a relay between a client and the server. Its own dictionaries of credit control are
//! loaded; what it does not understand of the server's messages fails the test.

use std::{process::Command, time::Duration};

use crate::{
    external::run,
    recorder::Recorder,
    support::{DEMO_CATALOG, TestNode},
    tools::{available, interop_file},
    wire::{Message, code},
    worked_flows,
};

const CER: u32 = 257;
const DWR: u32 = 280;
const DPR: u32 = 282;
const RAR: u32 = 258;
const CCR: u32 = 272;
const ASR: u32 = 274;

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

/// What of one command was asked by one side and answered by the other with success.
fn exchanges(asking: Vec<Message>, answering: Vec<Message>, command: u32) -> usize {
    let answers = only(answering, command, false);
    assert!(answers.iter().all(|answer| answer.result() == 2001), "{answers:?}");
    assert_eq!(only(asking, command, true).len(), answers.len());
    answers.len()
}

/// freeDiameter connects and stays for a watchdog exchange. Whose Tw is shorter asks, and disconnects.
async fn peer(asks: &str, server_tw: u64, peer_tw: u64) {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.watchdog_secs = server_tw).await;
    let recorder = Recorder::before(node.diameter()).await;
    let mut client = Command::new("python3");
    client.arg(interop_file("freediameter_peer.py")).arg(recorder.address.to_string());
    client.args(["--watchdog", &peer_tw.to_string(), "--asks", asks]);
    let stops = async {
        if asks == "server" {
            while only(recorder.said_by_clients(), DWR, false).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            node.node.stop().await.unwrap();
        }
    };
    tokio::join!(run(client), stops);
    let (ours, theirs) = (recorder.said_by_server(), recorder.said_by_clients());
    assert_eq!(exchanges(theirs.clone(), ours.clone(), CER), 1);
    let (asking, answering) = if asks == "server" { (ours, theirs) } else { (theirs, ours) };
    assert_eq!(exchanges(asking.clone(), answering.clone(), DWR), 1);
    assert_eq!(exchanges(asking, answering, DPR), 1);
    recorder.judged();
}

// tests: B-140 B-141 B-144 B-166 B-169 B-171 B-172 B-173
#[tokio::test]
async fn freediameter_is_a_peer_with_a_watchdog() {
    if !is_here() {
        return;
    }
    // Both at once, since each waits for its watchdog.
    tokio::join!(peer("client", 30, 6), peer("server", 6, 30));
}

/// A worked flow through freeDiameter, a relay for each connection of the client.
async fn relayed(flow: &str, services: &[&str]) -> Option<Recorder> {
    if !is_here() {
        return None;
    }
    let recorder = worked_flows::relayed(flow, services).await;
    for ccr in only(recorder.said_by_clients(), CCR, true) {
        assert_eq!(ccr.text(code::ROUTE_RECORD), Some("flows.client.example"), "the relay says whose it is");
        assert_eq!(ccr.text(code::ORIGIN_HOST), Some("flows.client.example"));
        assert!(ccr.has(code::PROXY_INFO));
    }
    // A relay may add it to an answer that it passes on; the server does not.
    assert!(recorder.said_by_server().iter().all(|message| !message.has(code::ROUTE_RECORD)));
    recorder.judged();
    Some(recorder)
}

// tests: B-81 B-134 B-135 B-136 C-88 C-100 C-101 C-F3
#[tokio::test]
async fn a_session_through_a_relay_with_re_authorisation() {
    let Some(recorder) = relayed("C-F3", worked_flows::REDIRECTED).await else { return };
    // It goes to the relay, for the client (spec B-135).
    let rars = only(recorder.said_by_server(), RAR, true);
    assert_eq!(rars.len(), 1);
    assert_eq!(rars[0].text(code::DESTINATION_HOST), Some("flows.client.example"));
    assert_eq!(rars[0].text(code::DESTINATION_REALM), Some("client.example"));
    assert_eq!(only(recorder.said_by_clients(), RAR, false)[0].result(), 2002);
}

// tests: B-135 B-200 C-106
#[tokio::test]
async fn a_session_through_a_relay_is_aborted() {
    let Some(recorder) = relayed("abort", worked_flows::VOLUME).await else { return };
    let asrs = only(recorder.said_by_server(), ASR, true);
    assert_eq!(asrs.len(), 1);
    assert_eq!(asrs[0].text(code::DESTINATION_HOST), Some("flows.client.example"));
    assert_eq!(only(recorder.said_by_clients(), ASR, false)[0].result(), 2001);
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
    let updates = only(recorder.said_by_clients(), CCR, true);
    assert!(updates.iter().any(|ccr| ccr.flags() & crate::wire::RETRANSMITTED != 0), "relays keep T (spec B-94)");
}

// tests: B-93 B-95 B-136 C-140 C-142 C-145 C-F7
#[tokio::test]
async fn a_request_again_through_another_relay_before_its_original() {
    relayed("C-F7-copy-first", worked_flows::VOLUME).await;
}
