//! Accepts connections, as many as there may be.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared,
    admission::Certificate,
    connection::{self, Link, Role},
    registry::Place,
    signal::Handle,
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
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let now = shared.store.clock().now();
        let role = Role::Accepted(Handle::new(shared.next_connection()), now);
        let guest = Guest { stream, address, place, role };
        match &acceptor {
            None => drop(tokio::spawn(welcome(Arc::clone(&shared), guest))),
            Some(acceptor) => drop(tokio::spawn(welcome_securely(Arc::clone(&shared), guest, acceptor.clone()))),
        }
    }
}

/// A connection that was just accepted.
struct Guest {
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    role: Role,
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of descriptors, most likely: connections that end make room.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn welcome(shared: Arc<Shared>, Guest { stream, address, place, role }: Guest) {
    let local = stream.local_addr().map(|address| address.ip()).ok();
    let (reader, writer) = stream.into_split();
    connection::run(shared, Link { reader, writer, address, local, certificate: None, place }, role).await;
}

/// TLS comes first, and its time counts as the peer's time for its CER.
async fn welcome_securely(shared: Arc<Shared>, guest: Guest, acceptor: TlsAcceptor) {
    let Guest { stream, address, place, role } = guest;
    let local = stream.local_addr().map(|address| address.ip()).ok();
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
    let certificate = Some(certificate);
    let (reader, writer) = tokio::io::split(stream);
    connection::run(shared, Link { reader, writer, address, local, certificate, place }, role).await;
}
