//! Accepts connections, as many as there may be.

use std::sync::{Arc, atomic::Ordering};

use tokio::net::TcpListener;

use super::{Shared, connection};
use crate::telemetry::names;

pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: connections that end make room.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = shared.registry.enter(shared.config.connections_max) else {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "too_many").increment(1);
            tracing::warn!(%address, max = shared.config.connections_max, "connection refused: too many are open");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let seed = shared.seeds.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        tokio::spawn(connection::run(Arc::clone(&shared), stream, address, place, seed));
    }
}
