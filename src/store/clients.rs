//! Clients that restart: their Origin-State-Id tells it, and the sessions that they leave behind are closed (spec B-191).

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use dashmap::DashMap;

use super::{Store, partition::Partition};
use crate::{charging::Command, journal::Disk};

/// Clients whose incarnation is kept here; of more, nothing is concluded.
const CLIENTS_MAX: usize = 10_000;
/// Sessions looked at under one hold of a lock: requests wait meanwhile.
const LOOK_AT_ONCE: usize = 256;
/// Sessions closed in one call, so that a gateway with a million of them does not fill the journal at once.
const CLOSE_AT_ONCE: usize = 20_000;

/// The Origin-State-Id that each client told last, by Origin-Host in lower case: what the partitions know, for a quick look.
#[derive(Debug, Default)]
pub(super) struct ClientIndex(DashMap<Box<str>, Arc<AtomicU32>, ahash::RandomState>);

impl ClientIndex {
    /// From what the partitions know. One that lags behind, after a crash between them, counts: it will be told again.
    pub(super) fn of(partitions: &[Partition]) -> Self {
        let index = Self::default();
        let Some((first, others)) = partitions.split_first() else { return index };
        for (host, client) in first.state.clients() {
            let others = others.iter().map(|other| other.state.client(host).map_or(0, |client| client.state_id));
            let least = others.fold(client.state_id, u32::min);
            index.0.insert(host.into(), Arc::new(AtomicU32::new(least)));
        }
        index
    }

    fn get(&self, host: &str) -> Arc<AtomicU32> {
        let host = host.to_ascii_lowercase();
        if let Some(known) = self.0.get(host.as_str()) {
            return Arc::clone(&known);
        }
        if self.0.len() >= CLIENTS_MAX {
            return Arc::default();
        }
        Arc::clone(&self.0.entry(host.into()).or_default())
    }
}

impl<D: Disk> Store<D> {
    /// The Origin-State-Id that a client told last, 0 if none: shared, so that whoever keeps it sees it grow.
    pub fn incarnation(&self, host: &str) -> Arc<AtomicU32> {
        self.clients.get(host)
    }

    /// A client told an Origin-State-Id: if it has grown, the sessions from before are closed when the grace time is over.
    pub fn client_state(&self, host: &str, state_id: u32) {
        for partition in self.partition_ids() {
            self.execute(&mut self.lock(partition), partition, &Command::ClientState { host, state_id });
        }
        self.clients.get(host).fetch_max(state_id, Ordering::Relaxed);
    }

    /// Closes sessions that their clients have left behind, a bounded number of them. Returns how many; the rest comes with
    /// the next calls.
    pub fn close_left_behind(&self) -> usize {
        let mut closed = 0;
        for partition in self.partition_ids() {
            loop {
                let mut cell = self.lock(partition);
                let now = self.clock.now();
                let Some(after) = cell.sweep(now) else { break };
                let (found, next) = cell.state.left_behind(after, LOOK_AT_ONCE, now);
                for no in &found {
                    self.execute(&mut cell, partition, &Command::CloseLeftBehind(*no));
                }
                cell.swept_to(next);
                closed += found.len();
                if closed >= CLOSE_AT_ONCE {
                    return closed;
                }
            }
        }
        closed
    }
}
