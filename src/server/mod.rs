//! Diameter connections on tokio: thin. What a message means is `diameter`'s, what it costs is `charging`'s.

mod admission;
mod calls;
mod clients;
mod closing;
mod connection;
mod listener;
mod one_by_one;
mod outgoing;
mod overload;
mod peers;
mod reauthorise;
mod registry;
mod router;
mod signal;
mod streams;
#[cfg(test)]
mod tests;
mod transport;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

pub use self::transport::Listener;
use self::{calls::Callee, overload::Overload, peers::Peers, registry::Registry};
use crate::{
    config,
    diameter::{
        Identity, Limits, LocalNode,
        peer::{Admission, Timers, end_to_end_start},
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
    /// Bounds of a request.
    limits: Limits,
    admission: Admission,
    timers: Timers,
    /// Certificates and key, where TLS is configured.
    tls: Option<config::TlsKeys>,
    peers: Peers,
    registry: Registry,
    overload: Overload,
    /// Turns true when this node shuts down.
    stopping: watch::Sender<bool>,
    /// Where names of connections come from, and with them seeds of identifiers: the start time, then one up for each.
    seeds: AtomicU64,
    /// The end-to-end id last used: one source for all connections, since a request may be sent again on another (spec
    /// B-92).
    end_to_end: AtomicU32,
}

impl Shared {
    /// The name of a new connection, and its seed.
    fn next_connection(&self) -> u64 {
        // Odd, so that no two of 2^64 are the same.
        self.seeds.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn next_end_to_end(&self) -> u32 {
        self.end_to_end.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

impl Server {
    /// A server for a store. Nothing listens yet. `tls` = what [`config::Tls::load`] has read, if TLS is configured.
    pub fn new(store: Arc<Store>, config: &config::Diameter, tls: Option<config::TlsKeys>) -> Self {
        let identity = Identity { host: config.origin_host.clone(), realm: config.origin_realm.clone() };
        let mut addresses: Vec<_> = Self::endpoints(config).map(|(endpoint, _)| endpoint.address.ip()).collect();
        addresses.dedup();
        let local = LocalNode {
            product_name: config.product_name.clone(),
            more_realms: config.realms.clone(),
            origin_state_id: store.origin_state_id(),
            sibling_hosts: config.sibling_hosts.clone(),
            ..LocalNode::credit_control(identity, addresses)
        };
        let now = store.clock().now();
        let overload = Overload::new(config.overload_backlog, store.room().clone(), now);
        Self(Arc::new(Shared {
            store,
            local: Arc::new(local),
            admission: admission::without_tls(config),
            timers: Timers {
                handshake_ms: config.handshake_secs.saturating_mul(1_000),
                watchdog_ms: config.watchdog_secs.saturating_mul(1_000),
                disconnect_ms: DISCONNECT_WAIT.as_millis() as u64,
                idle_ms: config.idle_secs.saturating_mul(1_000),
            },
            limits: Limits {
                avp_depth_max: config.avp_depth_max,
                avps_max: config.avps_max,
                services_max: config.services_max,
            },
            config: config.clone(),
            tls,
            peers: Peers::new(&config.origin_host, config.connections_per_peer),
            registry: Registry::default(),
            overload,
            stopping: watch::Sender::new(false),
            seeds: AtomicU64::new(now.millis()),
            end_to_end: AtomicU32::new(end_to_end_start(now, now.millis().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)),
        }))
    }

    /// Listens on every address of the configuration. Needs a runtime.
    ///
    /// # Errors
    /// An address cannot be had: the key that names it and the address, and why.
    pub fn listen(&self) -> Result<Vec<Listener>, (String, io::Error)> {
        let all: Vec<_> = Self::endpoints(&self.0.config).collect();
        let others: Vec<_> = all.iter().map(|(endpoint, _)| *endpoint).collect();
        let bind = |(endpoint, tls): &(config::Endpoint, bool)| {
            Listener::bind(endpoint, &others, *tls).map_err(|error| {
                let key = if *tls { "diameter.tls.listen" } else { "diameter.listen" };
                (format!("{key} = \"{endpoint}\""), error)
            })
        };
        all.iter().map(bind).collect()
    }

    /// Every address, and whether TLS is spoken there.
    fn endpoints(config: &config::Diameter) -> impl Iterator<Item = (config::Endpoint, bool)> + '_ {
        let tls = if config.tls.is_on() { config.tls.listen.endpoints() } else { &[] };
        let plain = config.listen.endpoints().iter().map(|endpoint| (*endpoint, false));
        plain.chain(tls.iter().map(|endpoint| (*endpoint, true)))
    }

    /// Accepts connections until the server stops. One call for each listening address.
    pub async fn accept(&self, listener: Listener) {
        listener::accept(Arc::clone(&self.0), listener).await;
    }

    /// Calls the peers that are to be called, until the server stops.
    pub async fn call(&self) {
        let mut calls = tokio::task::JoinSet::new();
        for peer in &self.0.config.peers {
            let Some(target) = peer.connect.clone() else { continue };
            self.0.peers.will_call(&peer.origin_host);
            let callee = Callee { host: peer.origin_host.as_str().into(), target, tls: peer.needs_tls() };
            calls.spawn(calls::run(Arc::clone(&self.0), callee));
        }
        calls.join_all().await;
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

    /// Connections, open or on their way.
    pub fn connections(&self) -> usize {
        self.0.registry.len()
    }

    /// Whether a peer has an open connection, by its Origin-Host.
    pub fn is_connected(&self, origin_host: &str) -> bool {
        self.0.peers.is_open(origin_host)
    }
}
