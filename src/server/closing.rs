//! Why connections end, as logs and metrics tell it.

use std::net::SocketAddr;

use crate::{
    diameter::{ResultCode, peer::CloseReason},
    telemetry::names,
};

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The peer machine says so.
    Peer(CloseReason),
    /// What came is not Diameter.
    Frame,
    /// The peer has closed.
    Gone,
    /// Nothing can be sent any more; the writer knows why.
    Writer,
    /// This node and the peer have called each other, and the other connection is the one that stays (spec B-160).
    Election,
    /// The peer has started again and is here on another connection, or it was here no more (spec B-162).
    Replaced,
}

impl Closing {
    /// Tells it, once.
    pub(super) fn report(self, address: SocketAddr, peer: Option<&str>, opened: bool) {
        let peer = peer.unwrap_or("");
        match self {
            Self::Gone => tracing::info!(%address, peer, "the peer closed the connection"),
            Self::Peer(CloseReason::Disconnected) => tracing::info!(%address, peer, "disconnected"),
            Self::Peer(CloseReason::Idle) => tracing::info!(%address, peer, "disconnected: nothing was asked for long"),
            Self::Peer(CloseReason::Refused(code)) => {
                tracing::warn!(%address, peer, code = code.0, meaning = code.name(), "connection refused")
            }
            Self::Peer(CloseReason::Rejected) => {
                tracing::warn!(%address, peer, "connection refused: the peer has as many as it may have")
            }
            Self::Peer(CloseReason::Misnamed) => {
                tracing::warn!(%address, expected = peer, "connection closed: another node answers there")
            }
            Self::Peer(reason @ (CloseReason::HandshakeTimeout | CloseReason::NotCapabilities)) => {
                tracing::warn!(%address, peer, ?reason, "connection closed: no capabilities exchange")
            }
            Self::Peer(reason) => tracing::warn!(%address, peer, ?reason, "connection closed"),
            Self::Election => tracing::info!(%address, peer, "connection closed: the peer has called at the same time"),
            Self::Replaced => {
                tracing::warn!(%address, peer, "connection closed: the peer is here on another, or was here no more")
            }
            // Told where it was found, or by the writer's end.
            Self::Frame | Self::Writer => {}
        }
        if opened {
            metrics::counter!(names::CONNECTIONS_CLOSED, "reason" => self.end()).increment(1);
        } else if let Some(reason) = self.refusal() {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => reason).increment(1);
        }
    }

    /// How an open connection ended.
    const fn end(self) -> &'static str {
        match self {
            Self::Peer(CloseReason::Silent) => "silent",
            Self::Peer(CloseReason::Idle) => "idle",
            Self::Peer(_) => "disconnected",
            Self::Frame => "frame",
            Self::Gone => "gone",
            Self::Writer => "write",
            Self::Election | Self::Replaced => "replaced",
        }
    }

    /// Why a connection did not come to be; `None`: nobody has refused it.
    const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Peer(CloseReason::Refused(code)) => Some(match code {
                ResultCode::UNKNOWN_PEER => "unknown_peer",
                ResultCode::UNABLE_TO_COMPLY => "identity",
                ResultCode::NO_COMMON_SECURITY => "security",
                ResultCode::NO_COMMON_APPLICATION => "application",
                ResultCode::ELECTION_LOST => "election",
                _ => "capabilities",
            }),
            Self::Peer(CloseReason::Rejected) => Some("peer_connections"),
            Self::Peer(CloseReason::Misnamed) => Some("identity"),
            Self::Peer(CloseReason::HandshakeTimeout | CloseReason::NotCapabilities) | Self::Frame => Some("handshake"),
            Self::Election => Some("election"),
            Self::Peer(_) | Self::Gone | Self::Writer | Self::Replaced => None,
        }
    }
}
