//! Diameter connections on tokio: thin. What a message means is `diameter`'s, what it costs is `charging`'s.

mod clients;
mod connection;
mod listener;
mod outgoing;
mod overload;
mod reauthorise;
mod registry;
mod router;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::watch;

use self::{overload::Overload, registry::Registry};
use crate::{
    config,
    diameter::{
        Identity, LocalNode,
        peer::{Admission, Timers},
    },
    store::Store,
};

/// How long a peer may take to answer our DPR, and then to take what is still to be sent (spec B-172, B-173).
pub const DISCONNECT_WAIT: Duration = Duration::from_secs(5);

/// The Diameter side of this node. Clones are the same server.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    local: Arc<LocalNode>,
    config: config::Diameter,
    admission: Admission,
    timers: Timers,
    registry: Registry,
    overload: Overload,
    /// Turns true when this node shuts down.
    stopping: watch::Sender<bool>,
    /// Where seeds of identifiers come from: the start time, then one up for each connection.
    seeds: AtomicU64,
}

impl Server {
    /// A server for a store. Nothing listens yet.
    pub fn new(store: Arc<Store>, config: &config::Diameter) -> Self {
        let identity = Identity { host: config.origin_host.clone(), realm: config.origin_realm.clone() };
        let addresses = config.listen.addresses().iter().map(|address| address.ip()).collect();
        let local = LocalNode {
            product_name: config.product_name.clone(),
            more_realms: config.realms.clone(),
            origin_state_id: store.origin_state_id(),
            ..LocalNode::credit_control(identity, addresses)
        };
        let rules = config.clone();
        let now = store.clock().now();
        Self(Arc::new(Shared {
            store,
            local: Arc::new(local),
            admission: Admission::Rule(Arc::new(move |host| rules.peer(host).is_some())),
            timers: Timers {
                handshake_ms: config.handshake_secs.saturating_mul(1_000),
                watchdog_ms: config.watchdog_secs.saturating_mul(1_000),
                disconnect_ms: DISCONNECT_WAIT.as_millis() as u64,
            },
            config: config.clone(),
            registry: Registry::default(),
            overload: Overload::new(),
            stopping: watch::Sender::new(false),
            seeds: AtomicU64::new(now.millis()),
        }))
    }

    /// Accepts connections until the server stops. One call for each listening address.
    pub async fn accept(&self, listener: tokio::net::TcpListener) {
        listener::accept(Arc::clone(&self.0), listener).await;
    }

    /// Asks clients to re-authorise sessions that wait for it, until the server stops.
    pub async fn reauthorise(&self) {
        reauthorise::run(Arc::clone(&self.0)).await;
    }

    /// Ends all connections in order (spec B-173): no new ones, DPR to all, requests answered meanwhile, bounded in time.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        // The connection's own time-outs end it; this is only for one that is stuck in a write to a peer that reads nothing.
        let patience = DISCONNECT_WAIT * 2;
        if tokio::time::timeout(patience, self.0.registry.all_gone()).await.is_err() {
            tracing::warn!("connections were still open {} s after the disconnect request", patience.as_secs());
        }
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.0.registry.len()
    }
}
