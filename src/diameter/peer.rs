//! One connection's life as a pure state machine (RFC 6733 5.6, RFC 3539, spec sections 10 to 13): inputs and the time
//! come in, actions come out.

use std::{fmt, sync::Arc};

use super::{
    base::{BaseMessage, DisconnectCause, LocalNode, write_dpa, write_dpr, write_dwa, write_dwr},
    capabilities::{Capabilities, write_cea, write_cer},
    dictionary::{application, command},
    error::{RequestError, ResultCode, write_error_answer},
    frame::Frame,
};
use crate::time::Timestamp;

/// Limits in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How long CER or CEA may take, milliseconds (spec section 11).
    pub handshake_ms: u64,
    /// Tw: idle time before a DWR, milliseconds; at least 6 s (spec B-165).
    pub watchdog_ms: u64,
    /// How long to wait for DPA, or for the peer's close after ours, milliseconds (spec B-172).
    pub disconnect_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { handshake_ms: 10_000, watchdog_ms: 30_000, disconnect_ms: 5_000 }
    }
}

/// Who may connect (spec B-146).
#[derive(Clone)]
pub enum Admission {
    /// Anyone: for demonstrations and closed networks.
    Anyone,
    /// The Origin-Hosts listed here; letter case makes no difference (spec B-46).
    Listed(Arc<[String]>),
    /// The Origin-Hosts that a rule of the caller lets in.
    Rule(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            Self::Listed(hosts) => f.debug_tuple("Listed").field(hosts).finish(),
            Self::Rule(_) => f.write_str("Rule"),
        }
    }
}

impl Admission {
    fn admits(&self, host: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Listed(hosts) => hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host)),
            Self::Rule(rule) => rule(host),
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// The transport is up.
    Connected,
    /// A message came. The caller may keep CCRs of an open connection to itself if it calls [`Peer::heard`].
    Message(&'a Frame),
    /// The time given is [`Peer::deadline`] or later.
    Tick,
    /// This node wants to end the connection in order.
    Stop(DisconnectCause),
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these octets: whole messages.
    Send(Vec<u8>),
    /// Capabilities are exchanged: requests may flow. A second connection of the same host is the caller's to close
    /// (spec B-162).
    Opened(Arc<Capabilities>),
    /// A message for the application: CCR, RAA, ASA.
    Deliver(Frame),
    /// The peer is silent: pending requests should go elsewhere (spec B-167).
    Suspect,
    /// The peer wants to disconnect: send no more requests there (spec B-172).
    Leaving(DisconnectCause),
    /// Close the transport, once all that was to be sent is sent.
    Close(CloseReason),
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// No CER or CEA in time.
    HandshakeTimeout,
    /// Something else came before CER or CEA (spec B-61).
    NotCapabilities,
    /// The CER was refused with this code, or ours was.
    Refused(ResultCode),
    /// The watchdog gave up (spec B-167).
    Silent,
    /// Ended in order.
    Disconnected,
    /// Ended by this node, but the peer did not say DPA in time.
    DisconnectTimeout,
}

/// The state machine of one connection.
///
/// What is deliberately absent: a second connection to the same host and the election between two (spec B-160, B-162).
/// They concern the table of peers, which the caller has.
#[derive(Debug)]
pub struct Peer {
    local: Arc<LocalNode>,
    admission: Admission,
    timers: Timers,
    state: State,
    /// When the state's time is up.
    due: Timestamp,
    /// The present Tw: with jitter, drawn anew with every DWR.
    watchdog_ms: u64,
    capabilities: Option<Arc<Capabilities>>,
    random: u64,
    hop_by_hop: u32,
    end_to_end: u32,
}

/// States of RFC 6733 5.6 as far as one connection has them, with the watchdog's (RFC 3539 3.4.1) inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    WaitConnected,
    WaitCer,
    WaitCea,
    Open(Watchdog),
    /// Our DPR is out.
    Closing,
    /// The peer's DPR is answered; it closes (spec B-172).
    Leaving,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watchdog {
    Okay,
    /// OKAY with a DWR out.
    Pending,
    Suspect,
}

/// Tw is at least this (spec B-165).
const WATCHDOG_MIN_MS: u64 = 6_000;
/// Tw varies by this either way, so that watchdogs of many peers do not fall into step (spec B-165).
const WATCHDOG_JITTER_MS: u64 = 2_000;

impl Peer {
    /// A connection that the other side opened. `seed` is random: identifiers and the watchdog's jitter come from it.
    pub fn responder(local: Arc<LocalNode>, admission: Admission, timers: Timers, seed: u64, now: Timestamp) -> Self {
        Self::new(State::WaitCer, local, admission, timers, seed, now)
    }

    /// A connection that this side opens; [`Input::Connected`] follows when the transport is up.
    pub fn initiator(local: Arc<LocalNode>, timers: Timers, seed: u64, now: Timestamp) -> Self {
        Self::new(State::WaitConnected, local, Admission::Anyone, timers, seed, now)
    }

    /// Takes an input; the actions are to be done in order.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp) -> Vec<Action> {
        match (self.state, input) {
            (State::Closed, _) => Vec::new(),
            (State::WaitConnected, Input::Connected) => self.send_cer(now),
            (_, Input::Connected) => Vec::new(),
            (_, Input::Tick) if now < self.due => Vec::new(),
            (_, Input::Tick) => self.time_is_up(now),
            (State::Open(_), Input::Stop(cause)) => self.send_dpr(cause, now),
            (State::Closing, Input::Stop(_)) => Vec::new(),
            (_, Input::Stop(_)) => self.close(CloseReason::Disconnected),
            (State::WaitCer, Input::Message(frame)) => self.first_request(frame, now),
            (State::WaitCea, Input::Message(frame)) => self.first_answer(frame, now),
            (State::WaitConnected, Input::Message(_)) => self.close(CloseReason::NotCapabilities),
            (State::Open(_) | State::Closing | State::Leaving, Input::Message(frame)) => self.message(frame, now),
        }
    }

    /// Whether requests may be sent to the peer.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether requests of the peer are to be served: also while the connection is being ended (spec B-173).
    pub fn is_served(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Closing | State::Leaving)
    }

    /// Whether the watchdog doubts that the peer is there (spec B-167).
    pub fn is_suspect(&self) -> bool {
        self.state == State::Open(Watchdog::Suspect)
    }

    /// A message came that the caller handles by itself: the watchdog starts anew (spec B-166). Cheap.
    #[inline]
    pub fn heard(&mut self, now: Timestamp) {
        if let State::Open(watchdog) = &mut self.state {
            if *watchdog == Watchdog::Suspect {
                // A DWR is still out (RFC 3539 3.4.1: only a DWA clears that).
                *watchdog = Watchdog::Pending;
            }
            self.due = plus_millis(now, self.watchdog_ms);
        }
    }

    /// When [`Input::Tick`] is due; it moves on with every message. `None`: the connection is closed.
    pub fn deadline(&self) -> Option<Timestamp> {
        (self.state != State::Closed).then_some(self.due)
    }

    /// The other side, once it has introduced itself.
    pub fn capabilities(&self) -> Option<&Arc<Capabilities>> {
        self.capabilities.as_ref()
    }

    /// A new hop-by-hop id for a request on this connection (spec B-91).
    pub fn next_hop_by_hop(&mut self) -> u32 {
        self.hop_by_hop = self.hop_by_hop.wrapping_add(1);
        self.hop_by_hop
    }

    /// A new end-to-end id (spec B-92). For requests that may be sent again on another connection, the caller needs one
    /// source for the whole process.
    pub fn next_end_to_end(&mut self) -> u32 {
        self.end_to_end = self.end_to_end.wrapping_add(1);
        self.end_to_end
    }

    fn new(
        state: State,
        local: Arc<LocalNode>,
        admission: Admission,
        timers: Timers,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let due = plus_millis(now, timers.handshake_ms);
        let mut peer = Self {
            local,
            admission,
            timers,
            state,
            due,
            watchdog_ms: 0,
            capabilities: None,
            random: seed,
            hop_by_hop: 0,
            end_to_end: 0,
        };
        peer.hop_by_hop = peer.next_random() as u32;
        peer.end_to_end = end_to_end_start(now, peer.next_random());
        peer.draw_watchdog();
        peer
    }

    fn send_cer(&mut self, now: Timestamp) -> Vec<Action> {
        self.state = State::WaitCea;
        self.due = plus_millis(now, self.timers.handshake_ms);
        let mut out = Vec::new();
        let (hop_by_hop, end_to_end) = (self.next_hop_by_hop(), self.next_end_to_end());
        write_cer(&mut out, &self.local, hop_by_hop, end_to_end);
        vec![Action::Send(out)]
    }

    /// Anything but a CER closes the connection (spec B-61).
    fn first_request(&mut self, frame: &Frame, now: Timestamp) -> Vec<Action> {
        let header = frame.header();
        if header.command != command::CAPABILITIES_EXCHANGE || !header.flags.is_request() {
            return self.close(CloseReason::NotCapabilities);
        }
        let mut out = Vec::new();
        match self.examine(frame) {
            Ok(capabilities) => {
                write_cea(&mut out, &self.local, &header, None);
                let opened = self.open(capabilities, now);
                vec![Action::Send(out), opened]
            }
            Err(error) => {
                write_cea(&mut out, &self.local, &header, Some(&error));
                self.state = State::Closed;
                vec![Action::Send(out), Action::Close(CloseReason::Refused(error.result_code))]
            }
        }
    }

    fn first_answer(&mut self, frame: &Frame, now: Timestamp) -> Vec<Action> {
        let header = frame.header();
        let is_cea = header.command == command::CAPABILITIES_EXCHANGE && !header.flags.is_request();
        if !is_cea || header.hop_by_hop != self.hop_by_hop {
            return self.close(CloseReason::NotCapabilities);
        }
        match Capabilities::parse(frame) {
            Ok(capabilities) => match capabilities.result_code {
                Some(code) if !code.is_success() => self.close(CloseReason::Refused(code)),
                None => self.close(CloseReason::NotCapabilities),
                Some(_) if !capabilities.has_in_common(&self.local) => {
                    self.close(CloseReason::Refused(ResultCode::NO_COMMON_APPLICATION))
                }
                Some(_) => vec![self.open(capabilities, now)],
            },
            // An error with the least that an answer can have may still tell its code.
            Err(_) => {
                let code = BaseMessage::parse(frame).ok().and_then(|message| message.result_code);
                self.close(code.map_or(CloseReason::NotCapabilities, CloseReason::Refused))
            }
        }
    }

    /// A message on a connection whose capabilities are exchanged.
    fn message(&mut self, frame: &Frame, now: Timestamp) -> Vec<Action> {
        self.heard(now);
        let header = frame.header();
        match (header.flags.is_request(), header.application, header.command) {
            (true, ..) if header.flags.is_error() => {
                self.refuse(frame, &RequestError::new(ResultCode::INVALID_HDR_BITS, "E is set in a request"))
            }
            (true, application::COMMON, command::DEVICE_WATCHDOG) => self.watchdog_request(frame),
            (true, application::COMMON, command::DISCONNECT_PEER) => self.disconnect_request(frame, now),
            (true, application::COMMON, command::CAPABILITIES_EXCHANGE) => self.capabilities_again(frame),
            (true, ..) => match self.local.check_command(&header) {
                Ok(()) => vec![Action::Deliver(frame.clone())],
                Err(error) => self.refuse(frame, &error),
            },
            (false, application::COMMON, command::DEVICE_WATCHDOG) => {
                if let State::Open(watchdog) = &mut self.state {
                    *watchdog = Watchdog::Okay;
                }
                Vec::new()
            }
            (false, application::COMMON, command::DISCONNECT_PEER) if self.state == State::Closing => {
                self.close(CloseReason::Disconnected)
            }
            // Nobody waits for it (spec B-88).
            (false, application::COMMON, _) => Vec::new(),
            (false, ..) => vec![Action::Deliver(frame.clone())],
        }
    }

    /// Always answered, in every state that has an open connection (spec B-169).
    fn watchdog_request(&mut self, frame: &Frame) -> Vec<Action> {
        match BaseMessage::parse(frame) {
            Ok(_) => {
                let mut out = Vec::new();
                write_dwa(&mut out, &self.local, &frame.header());
                vec![Action::Send(out)]
            }
            Err(error) => self.refuse(frame, &error),
        }
    }

    fn disconnect_request(&mut self, frame: &Frame, now: Timestamp) -> Vec<Action> {
        let message = match BaseMessage::parse(frame) {
            Ok(message) => message,
            Err(error) => return self.refuse(frame, &error),
        };
        let cause = DisconnectCause::from_value(message.disconnect_cause.unwrap_or(0));
        let mut out = Vec::new();
        write_dpa(&mut out, &self.local, &frame.header());
        if self.state == State::Closing {
            // Both said it at once: our own DPR is still to be answered.
            return vec![Action::Send(out)];
        }
        self.state = State::Leaving;
        self.due = plus_millis(now, self.timers.disconnect_ms);
        vec![Action::Send(out), Action::Leaving(cause)]
    }

    /// A CER on an open connection is answered, and nothing changes (spec B-151).
    fn capabilities_again(&self, frame: &Frame) -> Vec<Action> {
        let mut out = Vec::new();
        write_cea(&mut out, &self.local, &frame.header(), self.examine(frame).err().as_ref());
        vec![Action::Send(out)]
    }

    /// Whether the sender of a CER may come in (spec B-143..B-149).
    fn examine(&self, frame: &Frame) -> Result<Capabilities, RequestError> {
        let peer = Capabilities::parse(frame)?;
        let refuse = |code, message: &'static str| Err(RequestError::new(code, message));
        if peer.origin_host.eq_ignore_ascii_case(&self.local.identity.host) {
            return refuse(ResultCode::UNABLE_TO_COMPLY, "Origin-Host is this node's own");
        }
        if !self.admission.admits(&peer.origin_host) {
            return refuse(ResultCode::UNKNOWN_PEER, "Origin-Host is not configured");
        }
        if !peer.has_in_common(&self.local) {
            return refuse(ResultCode::NO_COMMON_APPLICATION, "no application in common");
        }
        if !peer.accepts_no_inband_security() {
            return refuse(ResultCode::NO_COMMON_SECURITY, "in-band security is not supported");
        }
        Ok(peer)
    }

    fn open(&mut self, capabilities: Capabilities, now: Timestamp) -> Action {
        let capabilities = Arc::new(capabilities);
        self.capabilities = Some(capabilities.clone());
        self.state = State::Open(Watchdog::Okay);
        self.due = plus_millis(now, self.watchdog_ms);
        Action::Opened(capabilities)
    }

    fn refuse(&self, frame: &Frame, error: &RequestError) -> Vec<Action> {
        let mut out = Vec::new();
        write_error_answer(&mut out, frame, &self.local.identity, error);
        vec![Action::Send(out)]
    }

    fn time_is_up(&mut self, now: Timestamp) -> Vec<Action> {
        match self.state {
            State::WaitConnected | State::WaitCer | State::WaitCea => self.close(CloseReason::HandshakeTimeout),
            State::Closing => self.close(CloseReason::DisconnectTimeout),
            State::Leaving => self.close(CloseReason::Disconnected),
            State::Closed => Vec::new(),
            State::Open(Watchdog::Suspect) => self.close(CloseReason::Silent),
            State::Open(Watchdog::Pending) => {
                self.state = State::Open(Watchdog::Suspect);
                self.due = plus_millis(now, self.watchdog_ms);
                vec![Action::Suspect]
            }
            State::Open(Watchdog::Okay) => {
                self.state = State::Open(Watchdog::Pending);
                self.draw_watchdog();
                self.due = plus_millis(now, self.watchdog_ms);
                let mut out = Vec::new();
                let (hop_by_hop, end_to_end) = (self.next_hop_by_hop(), self.next_end_to_end());
                write_dwr(&mut out, &self.local, hop_by_hop, end_to_end);
                vec![Action::Send(out)]
            }
        }
    }

    fn send_dpr(&mut self, cause: DisconnectCause, now: Timestamp) -> Vec<Action> {
        self.state = State::Closing;
        self.due = plus_millis(now, self.timers.disconnect_ms);
        let mut out = Vec::new();
        let (hop_by_hop, end_to_end) = (self.next_hop_by_hop(), self.next_end_to_end());
        write_dpr(&mut out, &self.local, cause, hop_by_hop, end_to_end);
        vec![Action::Send(out)]
    }

    fn close(&mut self, reason: CloseReason) -> Vec<Action> {
        self.state = State::Closed;
        vec![Action::Close(reason)]
    }

    fn draw_watchdog(&mut self) {
        let jitter = self.next_random() % (2 * WATCHDOG_JITTER_MS + 1);
        let base = self.timers.watchdog_ms.max(WATCHDOG_MIN_MS);
        self.watchdog_ms = base.saturating_add(jitter) - WATCHDOG_JITTER_MS;
    }

    /// SplitMix64: enough to spread timers and to start counters.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Where end-to-end ids begin: unlike those before a restart a moment ago (RFC 6733 3, spec B-92).
pub const fn end_to_end_start(now: Timestamp, random: u64) -> u32 {
    ((now.secs() as u32) << 20) | (random as u32 & 0x000f_ffff)
}

const fn plus_millis(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(millis))
}

#[cfg(test)]
mod tests {
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

    // tests: B-61 (and the limit of section 11)
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
}
