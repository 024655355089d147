//! Accepts connections, as many as there may be.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared,
    admission::Certificate,
    connection::Role,
    signal::Handle,
    streams::{self, Guest},
    transport::Listener,
};
use crate::telemetry::names;

pub(super) async fn accept(shared: Arc<Shared>, listener: Listener) {
    let mut stopping = shared.stopping.subscribe();
    // Without keys there is no TLS, so nobody listens for it.
    let acceptor = shared.tls.as_ref().filter(|_| listener.tls).map(|keys| TlsAcceptor::from(Arc::clone(&keys.server)));
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = next(&listener.socket) => accepted,
        };
        let (stream, address) = accepted;
        let Some(place) = shared.registry.enter(shared.config.connections_max) else {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "too_many").increment(1);
            tracing::warn!(%address, max = shared.config.connections_max, "connection refused: too many are open");
            continue;
        };
        let now = shared.store.clock().now();
        let role = Role::Accepted(Handle::new(shared.next_connection()), now);
        let guest = Guest { address, place, role };
        let shared = Arc::clone(&shared);
        match acceptor.clone() {
            None => drop(tokio::spawn(streams::plain(shared, stream, listener.transport, guest))),
            Some(acceptor) => drop(tokio::spawn(welcome_securely(shared, stream, guest, acceptor))),
        }
    }
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are gathered here, so nothing is won by waiting for more (spec B-183). SCTP has no such option.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was not set");
                }
                return (stream, address);
            }
            Err(error) => {
                // Out of descriptors, most likely: connections that end make room.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// TLS comes first, and its time counts as the peer's time for its CER.
async fn welcome_securely(shared: Arc<Shared>, stream: TcpStream, guest: Guest, acceptor: TlsAcceptor) {
    let address = guest.address;
    let patience = Duration::from_millis(shared.timers.handshake_ms);
    let mut stopping = shared.stopping.subscribe();
    let secured = tokio::select! {
        _ = stopping.wait_for(|stopping| *stopping) => return,
        secured = tokio::time::timeout(patience, acceptor.accept(stream)) => secured,
    };
    let stream = match secured {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "tls").increment(1);
            return tracing::warn!(%address, %error, "connection refused: TLS");
        }
        Err(_) => {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "handshake").increment(1);
            return tracing::warn!(%address, "connection closed: no TLS in time");
        }
    };
    let Some(certificate) = Certificate::of(stream.get_ref().1.peer_certificates()) else {
        // TLS here demands one: this does not happen.
        return tracing::error!(%address, "connection closed: no certificate");
    };
    streams::secured(shared, stream.into(), Some(certificate), guest).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Transport, server::transport::connect};

    // tests: B-183
    #[tokio::test]
    async fn what_is_written_leaves_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let target = at.to_string().parse().unwrap();
        let (called, (accepted, _)) = tokio::join!(connect(&target, false, Duration::from_secs(5)), next(&listener));
        assert_eq!(target.transport, Transport::Tcp);
        assert!(called.unwrap().nodelay().unwrap() && accepted.nodelay().unwrap());
    }
}
