//! One connection's life as a pure state machine (RFC 6733 5.6, RFC 3539, spec sections 10 to 13): inputs and the time
//! come in, actions come out.

use std::sync::Arc;

use super::{
    base::{DisconnectCause, LocalNode},
    capabilities::Capabilities,
    error::ResultCode,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Anyone: for demonstrations and closed networks.
    Anyone,
    /// The Origin-Hosts listed here; letter case makes no difference (spec B-46).
    Listed(Arc<[String]>),
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
#[derive(Debug)]
pub struct Peer {
    local: Arc<LocalNode>,
    admission: Admission,
    timers: Timers,
    random: u64,
}

impl Peer {
    /// A connection that the other side opened. `seed` is random: identifiers and the watchdog's jitter come from it.
    pub fn responder(local: Arc<LocalNode>, admission: Admission, timers: Timers, seed: u64, now: Timestamp) -> Self {
        let _ = now;
        Self { local, admission, timers, random: seed }
    }

    /// A connection that this side opens; [`Input::Connected`] follows when the transport is up.
    pub fn initiator(local: Arc<LocalNode>, timers: Timers, seed: u64, now: Timestamp) -> Self {
        let _ = now;
        Self { local, admission: Admission::Anyone, timers, random: seed }
    }

    /// Takes an input; the actions are to be done in order.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp) -> Vec<Action> {
        let _ = (input, now, &self.local, &self.admission, &self.timers, self.random);
        Vec::new()
    }

    /// Whether application messages may flow.
    pub fn is_open(&self) -> bool {
        false
    }

    /// Whether the watchdog doubts that the peer is there (spec B-167).
    pub fn is_suspect(&self) -> bool {
        false
    }

    /// A message came that the caller handles by itself: the watchdog starts anew (spec B-166). Cheap.
    pub fn heard(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// When [`Input::Tick`] is due; it moves on with every message.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The other side, once it has introduced itself.
    pub fn capabilities(&self) -> Option<&Arc<Capabilities>> {
        None
    }

    /// A new hop-by-hop id for a request on this connection (spec B-91).
    pub fn next_hop_by_hop(&mut self) -> u32 {
        0
    }
}
