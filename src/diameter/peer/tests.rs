//! Peers in virtual time.

use bytes::Bytes;

use super::*;
use crate::diameter::{
    base::Identity,
    dictionary as d,
    frame::Header,
    vectors::{CCR_I, CER, frame},
    writer::Writer,
};

const T0: Timestamp = Timestamp::from_secs(1_767_225_600);

fn server() -> Arc<LocalNode> {
    let identity = Identity { host: "ocs.example.com".into(), realm: "example.com".into() };
    Arc::new(LocalNode::credit_control(identity, vec!["192.0.2.10".parse().unwrap()]))
}

fn gateway() -> Arc<LocalNode> {
    let identity = Identity { host: "pgw.example.net".into(), realm: "example.net".into() };
    Arc::new(LocalNode::gateway(identity, vec!["192.0.2.20".parse().unwrap()]))
}

fn responder(admission: Admission) -> Peer {
    Peer::responder(server(), admission, Timers::default(), 1, T0)
}

fn sent(action: &Action) -> Frame {
    match action {
        Action::Send(octets) => Frame::from_bytes(Bytes::from(octets.clone())).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn result_code(frame: &Frame) -> u32 {
    BaseMessage::parse(frame).unwrap().result_code.unwrap().0
}

/// Both ends of a connection in virtual time.
struct Pair {
    server: Peer,
    gateway: Peer,
    now: Timestamp,
    seen: Vec<(&'static str, Action)>,
}

impl Pair {
    fn open() -> Self {
        let gateway = Peer::initiator(gateway(), Timers::default(), 2, T0);
        let mut pair = Self { server: responder(Admission::Anyone), gateway, now: T0, seen: Vec::new() };
        let actions = pair.gateway.handle(Input::Connected, T0);
        pair.run("gateway", actions);
        assert!(pair.server.is_open() && pair.gateway.is_open());
        pair
    }

    /// Does what `who` wants to be done, and what follows from that.
    fn run(&mut self, who: &'static str, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send(_) = &action {
                let frame = sent(&action);
                let (other, peer) = match who {
                    "gateway" => ("server", &mut self.server),
                    _ => ("gateway", &mut self.gateway),
                };
                let answers = peer.handle(Input::Message(&frame), self.now);
                self.run(other, answers);
            } else {
                self.seen.push((who, action));
            }
        }
    }
}

// tests: B-141 B-150 B-165 B-166 B-169
#[test]
fn an_idle_pair_stays_open_by_watchdogs() {
    let mut pair = Pair::open();
    assert_eq!(pair.server.capabilities().unwrap().origin_host, "pgw.example.net");
    for _ in 0..100 {
        let due = pair.server.deadline().unwrap().min(pair.gateway.deadline().unwrap());
        assert!((28_000..=32_000).contains(&due.since(pair.now).as_millis()), "{:?}", due.since(pair.now));
        pair.now = due;
        let actions = pair.server.handle(Input::Tick, due);
        pair.run("server", actions);
        let actions = pair.gateway.handle(Input::Tick, due);
        pair.run("gateway", actions);
    }
    assert!(pair.server.is_open() && pair.gateway.is_open() && !pair.server.is_suspect());
    assert_eq!(pair.seen.len(), 2, "opened twice and nothing else: {:?}", pair.seen);
}

// tests: B-171 B-172 B-173
#[test]
fn a_stop_ends_in_dpa_and_close() {
    let mut pair = Pair::open();
    pair.seen.clear();
    let actions = pair.server.handle(Input::Stop(DisconnectCause::Rebooting), T0);
    pair.run("server", actions);
    assert_eq!(
        pair.seen,
        [
            ("server", Action::Close(CloseReason::Disconnected)),
            ("gateway", Action::Leaving(DisconnectCause::Rebooting)),
        ]
    );
    assert!(pair.gateway.is_served() && !pair.gateway.is_open());
    assert_eq!(pair.server.deadline(), None);
}

// tests: B-172 B-173
#[test]
fn a_stop_without_dpa_ends_after_five_seconds() {
    let mut peer = Pair::open().server;
    let dpr = peer.handle(Input::Stop(DisconnectCause::Rebooting), T0);
    assert_eq!(sent(&dpr[0]).header().command, command::DISCONNECT_PEER);
    // Requests are served to the last, and watchdogs answered.
    assert!(matches!(peer.handle(Input::Message(&frame(CCR_I)), T0)[..], [Action::Deliver(_)]));
    assert_eq!(peer.handle(Input::Tick, T0.plus_secs(4)), []);
    assert_eq!(peer.handle(Input::Tick, T0.plus_secs(5)), [Action::Close(CloseReason::DisconnectTimeout)]);
}

// tests: B-172
#[test]
fn who_has_answered_a_dpr_waits_for_the_close_and_not_for_ever() {
    let mut peer = Pair::open().server;
    let mut dpr = Vec::new();
    write_dpr(&mut dpr, &gateway(), DisconnectCause::Busy, 7, 7);
    let dpr = Frame::from_bytes(dpr.into()).unwrap();
    let actions = peer.handle(Input::Message(&dpr), T0);
    assert_eq!((sent(&actions[0]).header().command, result_code(&sent(&actions[0]))), (command::DISCONNECT_PEER, 2001));
    assert_eq!(actions[1..], [Action::Leaving(DisconnectCause::Busy)]);
    assert!(!peer.is_open() && !peer.may_ask() && peer.is_served());
    assert_eq!(peer.handle(Input::Tick, T0.plus_secs(4)), []);
    assert_eq!(peer.handle(Input::Tick, T0.plus_secs(5)), [Action::Close(CloseReason::Disconnected)]);
}

// tests: B-166 B-167
#[test]
fn a_silent_peer_is_suspected_then_closed() {
    let mut peer = Pair::open().server;
    let mut seen = Vec::new();
    while let Some(due) = peer.deadline() {
        seen.extend(peer.handle(Input::Tick, due));
    }
    assert_eq!(sent(&seen[0]).header().command, command::DEVICE_WATCHDOG);
    assert_eq!(seen[1..], [Action::Suspect, Action::Close(CloseReason::Silent)]);
}

// tests: B-166 B-167
#[test]
fn traffic_alone_keeps_a_connection_from_closing() {
    let mut peer = Pair::open().server;
    for _ in 0..2 {
        let due = peer.deadline().unwrap();
        peer.handle(Input::Tick, due);
    }
    assert!(peer.is_suspect());
    peer.heard(T0.plus_secs(70));
    assert!(peer.is_open() && !peer.is_suspect());
}

// tests: B-61
#[test]
fn what_comes_first_must_be_a_cer_and_in_time() {
    let mut peer = responder(Admission::Anyone);
    let actions = peer.handle(Input::Message(&frame(CCR_I)), T0);
    assert_eq!(actions, [Action::Close(CloseReason::NotCapabilities)]);

    let mut peer = responder(Admission::Anyone);
    assert_eq!(peer.handle(Input::Tick, T0.plus_secs(9)), []);
    let actions = peer.handle(Input::Tick, T0.plus_secs(10));
    assert_eq!(actions, [Action::Close(CloseReason::HandshakeTimeout)]);
    assert_eq!(peer.handle(Input::Message(&frame(CER)), T0), []);
}

// tests: B-46 B-146 B-82
#[test]
fn unknown_peers_are_refused() {
    let mut peer = responder(Admission::Listed(["PGW.example.NET".to_owned()].into()));
    assert!(matches!(peer.handle(Input::Message(&frame(CER)), T0)[..], [Action::Send(_), Action::Opened(_)]));

    let mut peer = responder(Admission::Listed(["other.example".to_owned()].into()));
    let actions = peer.handle(Input::Message(&frame(CER)), T0);
    let cea = sent(&actions[0]);
    assert!(cea.header().flags.is_error() && result_code(&cea) == 3010);
    assert_eq!(actions[1], Action::Close(CloseReason::Refused(ResultCode::UNKNOWN_PEER)));
    assert_eq!(peer.refused(), Some("pgw.example.net"));
}

fn cer(write: impl FnOnce(&mut Writer<'_>)) -> Frame {
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, Header::request(command::CAPABILITIES_EXCHANGE, 0, false, 1, 1));
    w.utf8(&d::ORIGIN_REALM, "example.net");
    w.address(&d::HOST_IP_ADDRESS, "192.0.2.20".parse().unwrap());
    w.u32(&d::VENDOR_ID, 0);
    w.utf8(&d::PRODUCT_NAME, "pgw");
    write(&mut w);
    w.finish();
    Frame::from_bytes(out.into()).unwrap()
}

// tests: B-67 B-142 B-143 B-144 B-145 B-147 B-149
#[test]
fn capabilities_decide_who_may_come_in() {
    let host = |w: &mut Writer<'_>| w.utf8(&d::ORIGIN_HOST, "pgw.example.net");
    let group = |w: &mut Writer<'_>, auth: bool, acct: bool| {
        w.group(&d::VENDOR_SPECIFIC_APPLICATION_ID, |w| {
            w.u32(&d::VENDOR_ID, 10_415);
            if auth {
                w.u32(&d::AUTH_APPLICATION_ID, 4);
            }
            if acct {
                w.u32(&d::ACCT_APPLICATION_ID, 4);
            }
        });
    };
    type Write<'a> = &'a dyn Fn(&mut Writer<'_>);
    let table: [(u32, Write<'_>); 10] = [
        (2001, &|w| group(w, true, false)),
        (2001, &|w| group(w, false, true)),
        (2001, &|w| w.u32(&d::ACCT_APPLICATION_ID, 4)),
        (2001, &|w| w.u32(&d::AUTH_APPLICATION_ID, application::RELAY)),
        (5010, &|w| w.u32(&d::AUTH_APPLICATION_ID, 16_777_238)),
        (5010, &|_| {}),
        (5005, &|w| group(w, false, false)),
        (5009, &|w| group(w, true, true)),
        (5017, &|w| {
            w.u32(&d::AUTH_APPLICATION_ID, 4);
            w.u32(&d::INBAND_SECURITY_ID, 1);
        }),
        (2001, &|w| {
            w.u32(&d::AUTH_APPLICATION_ID, 4);
            w.u32(&d::INBAND_SECURITY_ID, 1);
            w.u32(&d::INBAND_SECURITY_ID, 0);
        }),
    ];
    for (at, (code, write)) in table.iter().enumerate() {
        let request = cer(|w| {
            host(w);
            write(w);
        });
        let mut peer = responder(Admission::Anyone);
        let actions = peer.handle(Input::Message(&request), T0);
        assert_eq!(result_code(&sent(&actions[0])), *code, "line {at}");
        assert_eq!(peer.is_open(), *code == 2001, "line {at}");
    }
    for (code, own) in [(5005, None), (5012, Some("OCS.example.com"))] {
        let request = cer(|w| {
            own.into_iter().for_each(|host| w.utf8(&d::ORIGIN_HOST, host));
            w.u32(&d::AUTH_APPLICATION_ID, 4);
        });
        let actions = responder(Admission::Anyone).handle(Input::Message(&request), T0);
        assert_eq!(result_code(&sent(&actions[0])), code);
    }
}

// tests: B-4 B-63 B-88 B-151 B-201
#[test]
fn requests_on_an_open_connection() {
    let mut peer = Pair::open().server;
    let mut answer_to = |command, application, bits| {
        let mut out = Vec::new();
        let mut header = Header::request(command, application, true, 5, 6);
        header.flags.0 |= bits;
        Writer::start(&mut out, header).finish();
        let request = Frame::from_bytes(out.into()).unwrap();
        result_code(&sent(&peer.handle(Input::Message(&request), T0)[0]))
    };
    assert_eq!(answer_to(command::CREDIT_CONTROL, 16_777_238, 0), 3007);
    assert_eq!(answer_to(command::SESSION_TERMINATION, 4, 0), 3001);
    assert_eq!(answer_to(command::RE_AUTH, 4, 0), 3001);
    assert_eq!(answer_to(300, 0, 0), 3001);
    assert_eq!(answer_to(command::CREDIT_CONTROL, 4, crate::diameter::Flags::ERROR), 3008);

    let again = peer.handle(Input::Message(&frame(CER)), T0);
    assert!(again.len() == 1 && result_code(&sent(&again[0])) == 2001 && peer.is_open());
    assert!(matches!(peer.handle(Input::Message(&frame(CCR_I)), T0)[..], [Action::Deliver(_)]));
}

// tests: B-150
#[test]
fn an_initiator_wants_a_good_cea() {
    let mut refusing = responder(Admission::Listed([].into()));
    let mut peer = Peer::initiator(gateway(), Timers::default(), 2, T0);
    let cer = sent(&peer.handle(Input::Connected, T0)[0]);
    let cea = sent(&refusing.handle(Input::Message(&cer), T0)[0]);
    let actions = peer.handle(Input::Message(&cea), T0);
    assert_eq!(actions, [Action::Close(CloseReason::Refused(ResultCode::UNKNOWN_PEER))]);
}

// tests: B-91 B-92
#[test]
fn identifiers_count_up_from_a_random_start() {
    let mut peer = responder(Admission::Anyone);
    let (hop, end) = (peer.next_hop_by_hop(), peer.next_end_to_end());
    assert_eq!(peer.next_hop_by_hop(), hop.wrapping_add(1));
    assert_eq!(peer.next_end_to_end(), end.wrapping_add(1));
    assert_eq!(end >> 20, T0.secs() as u32 & 0xfff);
}

// tests: B-151 B-160 B-162
#[test]
fn a_peer_that_is_introduced_waits_for_the_verdict() {
    let introduced = || {
        let mut peer = responder(Admission::Anyone).asking();
        let actions = peer.handle(Input::Message(&frame(CER)), T0);
        assert!(matches!(&actions[..], [Action::Introduced(them)] if them.origin_host == "pgw.example.net"));
        assert!(!peer.is_served() && peer.handle(Input::Probe, T0).is_empty());
        peer
    };
    let mut peer = introduced();
    let actions = peer.handle(Input::Admit, T0);
    assert!(matches!(&actions[..], [Action::Send(_), Action::Opened(_)]) && result_code(&sent(&actions[0])) == 2001);
    assert_eq!(peer.handle(Input::Reject(None), T0), [], "the verdict is spoken");

    assert_eq!(introduced().handle(Input::Reject(None), T0), [Action::Close(CloseReason::Rejected)]);
    let actions = introduced().handle(Input::Reject(Some(ResultCode::ELECTION_LOST)), T0);
    assert_eq!(result_code(&sent(&actions[0])), 4003);
    assert_eq!(actions[1], Action::Close(CloseReason::Refused(ResultCode::ELECTION_LOST)));
    // Nobody may speak meanwhile, nor wait for ever.
    let early = introduced().handle(Input::Message(&frame(CCR_I)), T0);
    assert_eq!(early, [Action::Close(CloseReason::NotCapabilities)]);
    let late = introduced().handle(Input::Tick, T0.plus_secs(10));
    assert_eq!(late, [Action::Close(CloseReason::HandshakeTimeout)]);
}

// tests: B-162
#[test]
fn a_probe_is_a_watchdog_out_of_turn_and_never_a_second_one() {
    let mut peer = Pair::open().server;
    let actions = peer.handle(Input::Probe, T0.plus_secs(3));
    assert_eq!(sent(&actions[0]).header().command, command::DEVICE_WATCHDOG);
    assert_eq!(peer.handle(Input::Probe, T0.plus_secs(4)), [], "one is out");
    let due = peer.deadline().unwrap();
    assert!(due >= T0.plus_secs(3 + 28));
    assert_eq!(peer.handle(Input::Tick, due), [Action::Suspect]);
}

/// A DWA for the DWR that an action sends.
fn dwa(action: &Action) -> Frame {
    let mut out = Vec::new();
    write_dwa(&mut out, &gateway(), &sent(action).header());
    Frame::from_bytes(out.into()).unwrap()
}

/// A connection that this side opens to a server that was down.
fn reopened() -> (Peer, Vec<Action>) {
    let mut peer = Peer::initiator(gateway(), Timers::default(), 2, T0).reopening();
    let cer = sent(&peer.handle(Input::Connected, T0)[0]);
    let cea = sent(&responder(Admission::Anyone).handle(Input::Message(&cer), T0)[0]);
    let actions = peer.handle(Input::Message(&cea), T0);
    (peer, actions)
}

// tests: B-168 B-169
#[test]
fn a_peer_that_was_down_answers_three_watchdogs_first() {
    let (mut peer, actions) = reopened();
    let [Action::Opened(_), mut dwr] = <[Action; 2]>::try_from(actions).unwrap() else { panic!("no DWR at once") };
    for left in [2, 1, 0] {
        assert!(peer.is_open() && !peer.may_ask(), "{left} exchanges are left");
        // A request is answered meanwhile, and proves nothing.
        let mut out = Vec::new();
        Writer::start(&mut out, Header::request(command::RE_AUTH, 4, true, 5, 6)).finish();
        let request = Frame::from_bytes(out.into()).unwrap();
        assert!(matches!(peer.handle(Input::Message(&request), T0)[..], [Action::Deliver(_)]));
        let actions = peer.handle(Input::Message(&dwa(&dwr)), T0);
        if left == 0 {
            assert_eq!(actions, [Action::Trusted]);
        } else {
            assert_eq!(actions, []);
            let due = peer.deadline().unwrap();
            dwr = peer.handle(Input::Tick, due).remove(0);
        }
    }
    assert!(peer.may_ask());
    // One that does not answer is given up after two times Tw.
    let (mut peer, _) = reopened();
    let mut ticks = 0;
    while let Some(due) = peer.deadline() {
        ticks += 1;
        let actions = peer.handle(Input::Tick, due);
        assert_eq!(actions, if ticks == 1 { vec![] } else { vec![Action::Close(CloseReason::Silent)] });
    }
    assert_eq!(ticks, 2);
}

// tests: B-167 B-174
#[test]
fn a_peer_under_suspicion_is_asked_nothing_until_it_speaks() {
    let mut peer = Pair::open().server;
    let due = peer.deadline().unwrap();
    let dwr = peer.handle(Input::Tick, due).remove(0);
    let due = peer.deadline().unwrap();
    // Nothing is sent again, least of all the DWR: what is pending is for the caller to move.
    assert_eq!(peer.handle(Input::Tick, due), [Action::Suspect]);
    assert!(peer.is_open() && !peer.may_ask());
    assert_eq!(peer.handle(Input::Message(&dwa(&dwr)), due), [Action::Trusted]);
    assert!(peer.may_ask());
}

// tests: B-170
#[test]
fn a_connection_that_carries_nothing_is_ended_when_that_is_wanted() {
    let timers = Timers { idle_ms: 300_000, ..Timers::default() };
    let mut peer = Peer::responder(server(), Admission::Anyone, timers, 1, T0);
    peer.handle(Input::Message(&frame(CER)), T0);
    // A CCR is use, watchdogs are none.
    peer.heard(T0.plus_secs(100));
    let mut now;
    let dpr = loop {
        now = peer.deadline().unwrap();
        let action = peer.handle(Input::Tick, now).remove(0);
        if sent(&action).header().command == command::DISCONNECT_PEER {
            break sent(&action);
        }
        assert_eq!(peer.handle(Input::Message(&dwa(&action)), now), []);
    };
    assert_eq!(now, T0.plus_secs(400));
    assert_eq!(BaseMessage::parse(&dpr).unwrap().disconnect_cause, Some(2));
    let mut dpa = Vec::new();
    write_dpa(&mut dpa, &gateway(), &dpr.header());
    let dpa = Frame::from_bytes(dpa.into()).unwrap();
    assert_eq!(peer.handle(Input::Message(&dpa), now), [Action::Close(CloseReason::Idle)]);
}

// tests: B-146 B-150
#[test]
fn who_is_called_must_be_who_answers() {
    for (expected, reason) in [("OCS.example.com", None), ("ocs2.example.com", Some(CloseReason::Misnamed))] {
        let mut peer = Peer::initiator(gateway(), Timers::default(), 2, T0).expecting(expected);
        let cer = sent(&peer.handle(Input::Connected, T0)[0]);
        let cea = sent(&responder(Admission::Anyone).handle(Input::Message(&cer), T0)[0]);
        let actions = peer.handle(Input::Message(&cea), T0);
        match reason {
            Some(reason) => assert_eq!(actions, [Action::Close(reason)]),
            None => assert!(matches!(actions[..], [Action::Opened(_)])),
        }
    }
}

// tests: B-146 B-149
#[test]
fn a_rule_of_the_caller_says_why_a_host_is_refused() {
    let rule = |host: &str| match host {
        "pgw.example.net" => Err(RequestError::new(ResultCode::NO_COMMON_SECURITY, "TLS is wanted")),
        _ => Ok(()),
    };
    let mut peer = responder(Admission::Rule(Arc::new(rule)));
    let actions = peer.handle(Input::Message(&frame(CER)), T0);
    let cea = sent(&actions[0]);
    assert!(!cea.header().flags.is_error() && result_code(&cea) == 5017);
    assert_eq!(actions[1], Action::Close(CloseReason::Refused(ResultCode::NO_COMMON_SECURITY)));
}
