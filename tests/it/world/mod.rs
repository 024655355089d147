//! A world in which one seed decides everything: gateways, a network, and a node whose disk, clock and process fail. It runs
//! the real store, from octets to octets; an oracle outside keeps what the clients were told and holds the node to it.
//!
//! `TOLLGATE_SIM_SEEDS=100000` runs more worlds than the ordinary tests do, `TOLLGATE_SIM_SEED=17` one of them, told line by
//! line.

mod clients;
mod clock;
mod drain;
mod faults;
mod ledger;
mod machine;
mod network;
mod prices;
mod run;
mod trace;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use self::{run::World, trace::Counts};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 1_500;
const THREADS: usize = 2;
/// Worlds between two lines of progress.
const PROGRESS_EVERY: u64 = 5_000;

/// A failure is told at once, and not after all other worlds.
struct StopOthers<'a>(&'a AtomicU64);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(u64::MAX / 2, Ordering::Relaxed);
        }
    }
}

fn live(seed: u64, verbose: bool) -> (u64, Counts) {
    let mut world = World::new(seed, verbose);
    world.live();
    world.end()
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

// tests: C-140, C-146, B-96
#[test]
fn nothing_answered_is_lost_or_repeated() {
    let seeds = from_environment("TOLLGATE_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, counts, started) = (AtomicU64::new(1), Mutex::new(Counts::new()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let _stop = StopOthers(&next);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let (_, one) = live(seed, false);
                    let mut all = counts.lock().unwrap();
                    one.iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
                    if seed % PROGRESS_EVERY == 0 {
                        eprintln!("{seed} of {seeds} worlds after {} s", started.elapsed().as_secs());
                    }
                }
            });
        }
    });
    println!("{seeds} worlds in {} s", started.elapsed().as_secs());
    counts.into_inner().unwrap().iter().for_each(|(what, times)| println!("{times:>12} {what}"));
}

/// One world, told line by line: for a seed that failed.
#[test]
fn one() {
    let seed = from_environment("TOLLGATE_SIM_SEED").unwrap_or(1);
    let (hash, counts) = live(seed, true);
    println!("seed {seed}: trace {hash:016x}, {counts:#?}");
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    for seed in 1..=20 {
        assert_eq!(live(seed, false), live(seed, false), "seed {seed}");
    }
}
