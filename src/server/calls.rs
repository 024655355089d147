//! Calls the peers that are configured with `connect`, and calls again when a connection has ended (spec B-163).

use std::{io, sync::Arc, time::Duration};

use super::{
    Shared,
    closing::Closing,
    connection::Role,
    signal::Handle,
    streams::{self, Guest},
    transport,
};
use crate::{
    config::Target,
    diameter::peer::{CloseReason, Effect, Event},
    telemetry::names,
};

/// A peer that refuses again will not change its mind in half a minute: each time the pause doubles, this often at most.
const DOUBLINGS_MAX: u32 = 3;
/// Pauses are longer or shorter by up to one part in so many, so that nodes that lost a peer together do not come back
/// together.
const JITTER_PART: u64 = 8;

/// A peer to be called.
#[derive(Debug, Clone)]
pub(super) struct Callee {
    /// The Origin-Host that must answer.
    pub(super) host: Box<str>,
    pub(super) target: Target,
    pub(super) tls: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// There was a connection.
    Connected,
    /// Nobody answered.
    Unreachable,
    /// Nobody answered in time.
    Timeout,
    /// No TLS with it.
    Tls,
    /// It does not want this node, or is not whom it should be.
    Refused,
    /// The peer has called meanwhile, or this node stops.
    GivenUp,
}

/// Calls a peer whenever it has no connection and does not want to be left alone, until the server stops.
pub(super) async fn run(shared: Arc<Shared>, callee: Callee) {
    let mut stopping = shared.stopping.subscribe();
    let calling = async {
        let mut refusals = 0;
        loop {
            if shared.peers.may_call(&callee.host).await {
                let ending = call(&shared, &callee).await;
                ending.count(&callee.host);
                refusals = ending.refusals(refusals);
            }
            // Also after a connection that the peer had opened: it may come back by itself.
            tokio::time::sleep(pause(&shared, refusals)).await;
        }
    };
    // A call that is under way when the server stops ends by itself: what is open says goodbye, see `call`.
    tokio::pin!(calling);
    tokio::select! {
        () = &mut calling => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

async fn call(shared: &Arc<Shared>, callee: &Callee) -> Ending {
    let handle = Handle::new(shared.next_connection());
    let tell = |event| shared.peers.tell(&callee.host, &handle, event);
    if tell(Event::Start(handle.id)) != [Effect::Connect(handle.id)] {
        return Ending::GivenUp;
    }
    let place = shared.registry.enter_anyway();
    let patience = Duration::from_millis(shared.timers.handshake_ms);
    let stream = match transport::connect(&callee.target, callee.tls, patience).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(peer = &*callee.host, target = %callee.target, %error, "a peer cannot be reached");
            // A connection of the peer's that waits for this comes in, also when our own was not refused but went nowhere.
            tell(Event::Refused);
            let late = error.kind() == io::ErrorKind::TimedOut;
            return if late { Ending::Timeout } else { Ending::Unreachable };
        }
    };
    let role = Role::Called(handle.clone(), callee.host.clone());
    let Ok(address) = stream.peer_addr() else {
        tell(Event::Refused);
        return Ending::Unreachable;
    };
    let guest = Guest { address, place, role };
    let connection = match (&shared.tls, callee.tls) {
        (Some(keys), true) => {
            let secured = tokio::time::timeout(patience, transport::secure(keys, &callee.host, stream)).await;
            match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                // Its name was checked, since it is the one that was called.
                Ok(stream) => tokio::spawn(streams::secured(Arc::clone(shared), stream.into(), None, guest)),
                Err(error) => {
                    tracing::warn!(peer = &*callee.host, target = %callee.target, %error, "no TLS with a peer");
                    tell(Event::Refused);
                    return Ending::Tls;
                }
            }
        }
        _ => tokio::spawn(streams::plain(Arc::clone(shared), stream, callee.target.transport, guest)),
    };
    match connection.await {
        Ok((_, true)) => Ending::Connected,
        Ok((Closing::Peer(CloseReason::HandshakeTimeout), _)) => Ending::Timeout,
        Ok((Closing::Election, _)) => Ending::GivenUp,
        Ok((Closing::Peer(_) | Closing::Frame, _)) => Ending::Refused,
        // It broke, or was broken off.
        Ok(_) | Err(_) => Ending::Unreachable,
    }
}

impl Ending {
    /// Refusals in a row, with this one.
    const fn refusals(self, before: u32) -> u32 {
        match self {
            Self::Refused | Self::Tls => before.saturating_add(1),
            Self::Connected => 0,
            Self::Unreachable | Self::Timeout | Self::GivenUp => before,
        }
    }

    fn count(self, peer: &str) {
        let result = match self {
            Self::Connected => "connected",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        };
        metrics::counter!(names::CONNECTION_ATTEMPTS, "peer" => peer.to_owned(), "result" => result).increment(1);
    }
}

/// Tc with jitter, longer after refusals.
fn pause(shared: &Shared, refusals: u32) -> Duration {
    let tc = shared.config.reconnect_secs.saturating_mul(1_000) << refusals.saturating_sub(1).min(DOUBLINGS_MAX);
    let spread = tc / JITTER_PART;
    // The number of a connection that is never opened: as random as the identifiers are.
    let random = shared.next_connection() >> 16;
    Duration::from_millis(tc - spread + random % (2 * spread + 1))
}
