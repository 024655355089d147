//! What goes into the machine of a connection, and what comes out of it.

use std::sync::Arc;

use crate::diameter::{base::DisconnectCause, capabilities::Capabilities, error::ResultCode, frame::Frame};

/// Limits in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How long CER or CEA may take, milliseconds (spec section 11).
    pub handshake_ms: u64,
    /// Tw: idle time before a DWR, milliseconds; at least 6 s (spec B-165).
    pub watchdog_ms: u64,
    /// How long to wait for DPA, or for the peer's close after ours, milliseconds (spec B-172).
    pub disconnect_ms: u64,
    /// How long a connection may carry nothing but the base protocol before this side ends it, milliseconds; 0 = for ever.
    /// Less than 5 minutes is against the standard (spec B-170).
    pub idle_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { handshake_ms: 10_000, watchdog_ms: 30_000, disconnect_ms: 5_000, idle_ms: 0 }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// The transport is up.
    Connected,
    /// A message came. The caller may keep CCRs of an open connection to itself if it calls [`Peer::heard`](super::Peer::heard).
    Message(&'a Frame),
    /// The time given is [`Peer::deadline`](super::Peer::deadline) or later.
    Tick,
    /// This node wants to end the connection in order.
    Stop(DisconnectCause),
    /// The peer that was [`Action::Introduced`] may come in.
    Admit,
    /// The peer that was [`Action::Introduced`] may not: with a code in a CEA, or without a word.
    Reject(Option<ResultCode>),
    /// Is the peer still there? A DWR goes out unless one is out (spec B-162).
    Probe,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these octets: whole messages.
    Send(Vec<u8>),
    /// The CER is good. Whether its sender has a connection already, and which one stays, is the caller's to say:
    /// [`Input::Admit`] or [`Input::Reject`] (spec B-160, B-162). Only of a machine that is [`Peer::asking`](super::Peer::asking).
    Introduced(Arc<Capabilities>),
    /// Capabilities are exchanged: requests may flow.
    Opened(Arc<Capabilities>),
    /// A message for the application: CCR, RAA, ASA.
    Deliver(Frame),
    /// The peer is silent: pending requests should go elsewhere (spec B-167).
    Suspect,
    /// It is no longer silent, or has proved that it is back: requests may go there (again). A message that the caller
    /// tells by [`Peer::heard`](super::Peer::heard) can do that as well.
    Trusted,
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
    /// The caller did not let the peer in: it has a connection (spec B-162).
    Rejected,
    /// Whom we have called names itself otherwise in its CEA.
    Misnamed,
    /// It carried nothing for too long (spec B-170).
    Idle,
    /// The watchdog gave up (spec B-167).
    Silent,
    /// Ended in order.
    Disconnected,
    /// Ended by this node, but the peer did not say DPA in time.
    DisconnectTimeout,
}
