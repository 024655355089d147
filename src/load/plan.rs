//! What one connection is to do, and when.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{LoadOptions, pace::Arrivals};
use crate::{
    diameter::Identity,
    time::{Clock, SystemClock, Timestamp},
};

/// One connection's share of the load.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) target: String,
    pub(super) identity: Identity,
    pub(super) destination_realm: String,
    pub(super) service_context: String,
    pub(super) rating_group: u32,
    pub(super) used: u64,
    pub(super) requested: Option<u64>,
    pub(super) updates: u32,
    /// Session-Id up to the session's number, and behind it.
    pub(super) session_prefix: String,
    pub(super) session_suffix: String,
    pub(super) first_msisdn: u64,
    /// First subscriber of each slot, and how many it walks over.
    pub(super) slots: Vec<(u64, u64)>,
    pub(super) schedule: Schedule,
    /// When requests are due, in an open loop.
    pub(super) arrivals: Option<Arrivals>,
}

/// When things are to happen, nanoseconds since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Requests sent from here on are measured.
    pub(super) measure_from: u64,
    /// From here on no session begins, and open ones are ended.
    pub(super) end: u64,
    /// From here on nothing is waited for.
    pub(super) give_up: u64,
}

/// What makes the Session-Ids of this run unlike those of any other (spec B-100).
#[derive(Debug, Clone, Copy)]
pub(super) struct RunId {
    start: Timestamp,
    process: u32,
}

impl RunId {
    pub(super) fn now() -> Self {
        Self { start: SystemClock.now(), process: process::id() }
    }
}

impl Plan {
    pub(super) fn new(options: &LoadOptions, number: usize, run: RunId) -> Self {
        let host = options.origin_host.replace("{n}", &number.to_string());
        let nanos = |secs: f64| Duration::try_from_secs_f64(secs).map_or(0, |d| d.as_nanos() as u64);
        let measure_from = nanos(options.warmup);
        let end = measure_from + nanos(options.duration);
        Self {
            target: options.target.clone(),
            session_prefix: format!("{host};{};", run.start.secs()),
            session_suffix: format!(";{number}.{}.{}", run.start.millis() % 1_000, run.process),
            identity: Identity { host, realm: options.origin_realm.clone() },
            destination_realm: options.destination_realm.clone(),
            service_context: options.service_context.clone(),
            rating_group: options.rating_group,
            used: options.used,
            requested: options.requested,
            updates: options.updates,
            first_msisdn: options.first_msisdn,
            slots: subscribers(options, number),
            schedule: Schedule { measure_from, end, give_up: end + nanos(options.drain) },
            arrivals: options
                .rate
                .map(|rate| Arrivals::new(rate / options.connections as f64, number, options.connections)),
        }
    }
}

/// Every slot of the run walks over subscribers of its own; they are shared only when there are fewer than slots.
fn subscribers(options: &LoadOptions, number: usize) -> Vec<(u64, u64)> {
    let slots = (options.connections * options.in_flight) as u64;
    let each = (options.subscribers / slots).max(1);
    let first = (number * options.in_flight) as u64;
    (first..).take(options.in_flight).map(|slot| (slot * each % options.subscribers, each)).collect()
}

/// What is counted while the load runs, for the line on the screen.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    pub(super) fn add(&self, answered: u64) {
        self.0.fetch_add(answered, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::options;

    #[test]
    fn slots_have_subscribers_of_their_own() {
        let options = LoadOptions { connections: 3, in_flight: 5, subscribers: 100, ..options() };
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..3 {
            for (first, count) in subscribers(&options, number) {
                assert!((first..first + count).all(|subscriber| subscriber < 100 && seen.insert(subscriber)));
            }
        }
        assert_eq!(seen.len(), 90);
        let few = LoadOptions { subscribers: 2, ..options };
        assert!(subscribers(&few, 2).iter().all(|(first, count)| *first < 2 && *count == 1));
    }
}
