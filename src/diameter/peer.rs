//! One connection's life as a pure state machine (RFC 6733 5.6, RFC 3539, spec sections 10 to 13): inputs and the time
//! come in, actions come out. How the connections of one peer get on with each other is [`Connections`]'s.

mod admission;
mod connections;
mod terms;
mod watchdog;

use std::sync::Arc;

use self::watchdog::{Step, Watchdog};
pub use self::{
    admission::{Admission, Rule},
    connections::{Arrival, ConnectionId, Connections, Effect, Event},
    terms::{Action, CloseReason, Input, Timers},
};

use super::{
    base::{BaseMessage, DisconnectCause, LocalNode, write_dpa, write_dpr, write_dwa, write_dwr},
    capabilities::{Capabilities, write_cea, write_cer},
    dictionary::{application, command},
    error::{RequestError, ResultCode, write_error_answer},
    frame::{Frame, Header},
};
use crate::time::Timestamp;

/// The state machine of one connection.
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
    /// When something other than the base protocol came last.
    used: Timestamp,
    capabilities: Option<Arc<Capabilities>>,
    /// Who was refused, as it calls itself.
    refused: Option<Box<str>>,
    /// The CER that waits for the caller's word.
    introduction: Option<Header>,
    asking: bool,
    /// Whom we call: the Origin-Host that its CEA must have.
    expected: Option<Box<str>>,
    reopening: bool,
    /// Why this side has sent its DPR.
    leaves_as: CloseReason,
    random: u64,
    hop_by_hop: u32,
    end_to_end: u32,
}

/// States of RFC 6733 5.6 as far as one connection has them, with the watchdog's (RFC 3539 3.4.1) inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    WaitConnected,
    WaitCer,
    /// The CER is good; the caller says whether it comes in.
    WaitVerdict,
    WaitCea,
    Open(Watchdog),
    /// Our DPR is out.
    Closing,
    /// The peer's DPR is answered; it closes (spec B-172).
    Leaving,
    Closed,
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

    /// The caller is asked before a peer comes in; without this all come in whose CER is good.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.asking = true;
        self
    }

    /// The Origin-Host that is called: another one that answers is not wanted.
    #[must_use]
    pub fn expecting(mut self, host: &str) -> Self {
        self.expected = Some(host.into());
        self
    }

    /// The peer was down: it must answer three watchdogs before requests of ours go there (spec B-168). What it asks is
    /// answered at once: to throw that away, as RFC 3539 has it, would lose requests (spec B-169, I-6).
    #[must_use]
    pub fn reopening(mut self) -> Self {
        self.reopening = true;
        self
    }

    /// Takes an input; the actions are to be done in order.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp) -> Vec<Action> {
        match (self.state, input) {
            (State::Closed, _) => Vec::new(),
            (State::WaitConnected, Input::Connected) => self.send_cer(now),
            (_, Input::Connected) => Vec::new(),
            (State::Open(_), Input::Tick) if self.idle_until().is_some_and(|until| until <= now) => {
                self.leaves_as = CloseReason::Idle;
                self.send_dpr(DisconnectCause::DoNotWantToTalkToYou, now)
            }
            (_, Input::Tick) if now < self.due => Vec::new(),
            (State::Open(watchdog), Input::Tick) => self.watch(watchdog, watchdog::Event::Expired, now),
            (_, Input::Tick) => self.time_is_up(),
            (State::WaitVerdict, Input::Admit) => self.admit(now),
            (State::WaitVerdict, Input::Reject(code)) => self.reject(code),
            (State::Open(watchdog), Input::Probe) => self.probe(watchdog, now),
            (_, Input::Admit | Input::Reject(_) | Input::Probe) => Vec::new(),
            (State::Open(_), Input::Stop(cause)) => self.send_dpr(cause, now),
            (State::Closing, Input::Stop(_)) => Vec::new(),
            (_, Input::Stop(_)) => self.close(CloseReason::Disconnected),
            (State::WaitCer, Input::Message(frame)) => self.first_request(frame, now),
            (State::WaitCea, Input::Message(frame)) => self.first_answer(frame, now),
            (State::WaitConnected | State::WaitVerdict, Input::Message(_)) => self.close(CloseReason::NotCapabilities),
            (State::Open(_) | State::Closing | State::Leaving, Input::Message(frame)) => self.message(frame, now),
        }
    }

    /// Whether capabilities are exchanged and nobody has said goodbye.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether requests of ours may be sent to the peer: the connection is open, and the watchdog trusts it (spec B-167,
    /// B-168).
    #[inline]
    pub fn may_ask(&self) -> bool {
        matches!(self.state, State::Open(watchdog) if watchdog.is_okay())
    }

    /// Whether requests of the peer are to be served: also while the connection is being ended (spec B-173).
    pub fn is_served(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Closing | State::Leaving)
    }

    /// Whether the watchdog doubts that the peer is there (spec B-167).
    pub fn is_suspect(&self) -> bool {
        matches!(self.state, State::Open(watchdog) if watchdog.is_suspect())
    }

    /// A request or answer came that the caller handles by itself: the watchdog starts anew (spec B-166). Cheap.
    #[inline]
    pub fn heard(&mut self, now: Timestamp) {
        self.used = now;
        if let State::Open(watchdog) = &mut self.state
            && watchdog.step(watchdog::Event::Other) != Step::Nothing
        {
            self.due = plus_millis(now, self.watchdog_ms);
        }
    }

    /// When [`Input::Tick`] is due; it moves on with every message. `None`: the connection is closed.
    pub fn deadline(&self) -> Option<Timestamp> {
        let due = self.idle_until().map_or(self.due, |until| until.min(self.due));
        (self.state != State::Closed).then_some(due)
    }

    /// The other side, once it has introduced itself.
    pub fn capabilities(&self) -> Option<&Arc<Capabilities>> {
        self.capabilities.as_ref()
    }

    /// The Origin-Host of one whose CER was read and refused: for whoever wants to know what is missing.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
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
            used: now,
            capabilities: None,
            refused: None,
            introduction: None,
            asking: false,
            expected: None,
            reopening: false,
            leaves_as: CloseReason::Disconnected,
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
        match self.examine(frame) {
            Ok(capabilities) => {
                let capabilities = Arc::new(capabilities);
                self.introduction = Some(header);
                self.capabilities = Some(Arc::clone(&capabilities));
                self.state = State::WaitVerdict;
                if self.asking { vec![Action::Introduced(capabilities)] } else { self.admit(now) }
            }
            Err(error) => {
                self.refused = Capabilities::parse(frame).ok().map(|peer| peer.origin_host.into());
                self.refuse_connection(&header, &error)
            }
        }
    }

    fn admit(&mut self, now: Timestamp) -> Vec<Action> {
        let mut out = Vec::new();
        if let Some(header) = self.introduction.take() {
            write_cea(&mut out, &self.local, &header, None);
        }
        let mut actions = vec![Action::Send(out)];
        actions.extend(self.open(now));
        actions
    }

    fn reject(&mut self, code: Option<ResultCode>) -> Vec<Action> {
        match (self.introduction.take(), code) {
            (Some(header), Some(code)) => self.refuse_connection(&header, &RequestError::new(code, "")),
            _ => self.close(CloseReason::Rejected),
        }
    }

    fn refuse_connection(&mut self, cer: &Header, error: &RequestError) -> Vec<Action> {
        let mut out = Vec::new();
        write_cea(&mut out, &self.local, cer, Some(error));
        self.state = State::Closed;
        vec![Action::Send(out), Action::Close(CloseReason::Refused(error.result_code))]
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
                Some(_)
                    if self
                        .expected
                        .as_ref()
                        .is_some_and(|host| !host.eq_ignore_ascii_case(&capabilities.origin_host)) =>
                {
                    self.close(CloseReason::Misnamed)
                }
                Some(_) => {
                    self.capabilities = Some(Arc::new(capabilities));
                    self.open(now)
                }
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
        let header = frame.header();
        let mut actions = self.alive(&header, now);
        actions.extend(match (header.flags.is_request(), header.application, header.command) {
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
            (false, application::COMMON, command::DEVICE_WATCHDOG) => match self.state {
                State::Open(watchdog) => self.watch(watchdog, watchdog::Event::Answer, now),
                _ => Vec::new(),
            },
            (false, application::COMMON, command::DISCONNECT_PEER) if self.state == State::Closing => {
                self.close(self.leaves_as)
            }
            // Nobody waits for it (spec B-88).
            (false, application::COMMON, _) => Vec::new(),
            (false, ..) => vec![Action::Deliver(frame.clone())],
        });
        actions
    }

    /// A message came, so the peer is there. What a DWA says besides is [`Self::watch`]'s.
    fn alive(&mut self, header: &Header, now: Timestamp) -> Vec<Action> {
        let is_common = header.application == application::COMMON;
        let is_dwa = is_common && !header.flags.is_request() && header.command == command::DEVICE_WATCHDOG;
        if !is_common {
            self.used = now;
        }
        match self.state {
            State::Open(watchdog) if !is_dwa => self.watch(watchdog, watchdog::Event::Other, now),
            _ => Vec::new(),
        }
    }

    /// The watchdog goes one step on.
    fn watch(&mut self, mut watchdog: Watchdog, event: watchdog::Event, now: Timestamp) -> Vec<Action> {
        let step = watchdog.step(event);
        self.state = State::Open(watchdog);
        if step != Step::Nothing {
            self.due = plus_millis(now, self.watchdog_ms);
        }
        match step {
            Step::Nothing | Step::SetTimer => Vec::new(),
            Step::SendRequest => vec![self.dwr(now)],
            Step::FailOver => vec![Action::Suspect],
            Step::FailBack => vec![Action::Trusted],
            Step::Down => self.close(CloseReason::Silent),
        }
    }

    fn probe(&mut self, mut watchdog: Watchdog, now: Timestamp) -> Vec<Action> {
        let idle = watchdog.probe();
        self.state = State::Open(watchdog);
        if idle { vec![self.dwr(now)] } else { Vec::new() }
    }

    /// A DWR, and the time until its answer is missed.
    fn dwr(&mut self, now: Timestamp) -> Action {
        self.draw_watchdog();
        self.due = plus_millis(now, self.watchdog_ms);
        let mut out = Vec::new();
        let (hop_by_hop, end_to_end) = (self.next_hop_by_hop(), self.next_end_to_end());
        write_dwr(&mut out, &self.local, hop_by_hop, end_to_end);
        Action::Send(out)
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
        self.admission.judge(&peer.origin_host)?;
        if !peer.has_in_common(&self.local) {
            return refuse(ResultCode::NO_COMMON_APPLICATION, "no application in common");
        }
        if !peer.accepts_no_inband_security() {
            return refuse(ResultCode::NO_COMMON_SECURITY, "in-band security is not supported");
        }
        Ok(peer)
    }

    /// Capabilities are exchanged, and `self.capabilities` are the peer's.
    fn open(&mut self, now: Timestamp) -> Vec<Action> {
        let mut actions: Vec<_> = self.capabilities.iter().cloned().map(Action::Opened).collect();
        self.used = now;
        self.due = plus_millis(now, self.watchdog_ms);
        self.state = State::Open(Watchdog::OKAY);
        if self.reopening {
            self.state = State::Open(Watchdog::REOPEN);
            actions.push(self.dwr(now));
        }
        actions
    }

    fn refuse(&self, frame: &Frame, error: &RequestError) -> Vec<Action> {
        let mut out = Vec::new();
        write_error_answer(&mut out, frame, &self.local.identity, error);
        vec![Action::Send(out)]
    }

    /// When the connection has been idle for too long.
    fn idle_until(&self) -> Option<Timestamp> {
        let bounded = self.timers.idle_ms > 0 && self.is_open();
        bounded.then(|| plus_millis(self.used, self.timers.idle_ms))
    }

    /// The time of a state other than Open is over.
    fn time_is_up(&mut self) -> Vec<Action> {
        match self.state {
            State::WaitConnected | State::WaitCer | State::WaitVerdict | State::WaitCea => {
                self.close(CloseReason::HandshakeTimeout)
            }
            State::Closing => self.close(CloseReason::DisconnectTimeout),
            State::Leaving => self.close(CloseReason::Disconnected),
            State::Open(_) | State::Closed => Vec::new(),
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
