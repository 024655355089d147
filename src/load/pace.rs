//! The clock of an open loop. Timers of the runtime have steps of a millisecond, half of what is to be measured, so a
//! thread of its own ticks more finely.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Requests are sent in steps of this: fine against the latencies to be measured, coarse against the cost of a wake-up.
const TICK_NANOS: u64 = 250_000;

/// Connections take turns, so that the server sees a quarter of them at a time and this process wakes up less often.
const TURNS_MAX: u64 = 4;

/// Ticks for every connection, at its turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Pacer {
    ticks: Vec<Arc<Notify>>,
    stop: Arc<AtomicBool>,
}

impl Pacer {
    pub(super) fn start(start: Instant, connections: usize) -> Self {
        let ticks: Vec<_> = (0..connections).map(|_| Arc::new(Notify::new())).collect();
        let stop = Arc::new(AtomicBool::new(false));
        thread::spawn({
            let (ticks, stop) = (ticks.clone(), stop.clone());
            move || tick(start, &ticks, &stop)
        });
        Self { ticks, stop }
    }

    /// The ticks of a connection.
    pub(super) fn ticks(&self, number: usize) -> Arc<Notify> {
        self.ticks.get(number).cloned().unwrap_or_default()
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn tick(start: Instant, ticks: &[Arc<Notify>], stop: &AtomicBool) {
    let turns = turns(ticks.len());
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let passed = start.elapsed().as_nanos() as u64;
        thread::sleep(Duration::from_nanos(TICK_NANOS - passed % TICK_NANOS));
        let now = start.elapsed().as_nanos() as u64 / TICK_NANOS;
        // A late tick serves those whose turn it missed.
        for turn in (done + 1..=now).rev().take(turns as usize) {
            let turn = (turn % turns) as usize;
            ticks.iter().skip(turn).step_by(turns as usize).for_each(|tick| tick.notify_one());
        }
        done = now;
    }
}

fn turns(connections: usize) -> u64 {
    (connections as u64).clamp(1, TURNS_MAX)
}

/// When the requests of a connection are meant to be sent: evenly, but no finer than its turns, so that the generator's
/// own steps do not count as latency. A late tick does.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Requests per second.
    rate: f64,
    /// Time between the connection's turns, and of the first.
    period: u64,
    first: u64,
    sent: u64,
}

impl Arrivals {
    /// Of one of several connections.
    pub(super) fn new(rate: f64, number: usize, connections: usize) -> Self {
        let turns = turns(connections);
        Self { rate, period: turns * TICK_NANOS, first: number as u64 % turns * TICK_NANOS, sent: 0 }
    }

    /// The next request that is due at `now`: when it was meant to be sent.
    #[inline]
    pub(super) fn next(&mut self, now: u64) -> Option<u64> {
        let exact = (self.sent as f64 * 1e9 / self.rate) as u64;
        let at = exact.div_ceil(self.period) * self.period + self.first;
        if at > now {
            return None;
        }
        self.sent += 1;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_rate_however_late_they_are_asked_for() {
        let mut arrivals = Arrivals::new(10_000.0, 0, 1);
        let mut late = 0;
        for now in [0, 1_000_000, 1_000_000, 500_000_000, 1_000_000_000] {
            while let Some(at) = arrivals.next(now) {
                assert!(at <= now && at % TICK_NANOS == 0);
                late = late.max(now - at);
            }
        }
        assert_eq!(arrivals.sent, 10_001);
        assert!(late > 400_000_000);
    }

    #[test]
    fn connections_take_turns() {
        let first = |number, connections| Arrivals::new(1.0, number, connections).next(u64::MAX).unwrap() / TICK_NANOS;
        assert_eq!([0, 1, 2, 3, 4].map(|number| first(number, 5)), [0, 1, 2, 3, 0]);
        assert_eq!([0, 1].map(|number| first(number, 2)), [0, 1]);
    }
}
