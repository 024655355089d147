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
mod tests;
