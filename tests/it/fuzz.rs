//! The fuzz targets of `tests/fuzz`, run for a short while with a generator of our own: seeds with structure, changed by a
//! seeded die, so that every run is the same. A failure prints the input; cargo-fuzz goes further where there is time.
//!
//! `FUZZ_SECONDS=600` runs each target that long, each time from another start; `FUZZ_CORPUS=directory` writes the seeds.

mod mutate;
mod seeds;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tollgate::diameter::frame::{MESSAGE_MAX_DEFAULT, split};

use self::{
    mutate::{Dice, mutated},
    seeds::seeds,
    targets::{TARGETS, Target, charging::World},
};
use crate::wire::{Message, hex};

/// Inputs of each target in an ordinary run: all of them take some seconds without optimisation.
const EXECUTIONS: &[(&str, u32)] = &[
    ("frame", 2_000),
    ("avp", 5_000),
    ("ccr", 5_000),
    ("cca", 5_000),
    ("peer", 2_000),
    ("session", 1_500),
    ("record", 10_000),
    ("snapshot", 5_000),
    ("recovery", 60),
    ("catalog", 150),
];
/// No input is longer: the longest message, or some of them.
const INPUT_MAX: usize = 70_000;
/// No input takes longer, on the slowest machine under the heaviest load: else it would not end.
const INPUT_TIME_MAX: Duration = Duration::from_secs(20);

/// Runs one input; a panic becomes the test's failure, with the input.
fn run(name: &str, target: Target, input: &[u8]) {
    let started = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("target {name} fails for {}", hex(input));
    }
    assert!(started.elapsed() < INPUT_TIME_MAX, "target {name} takes {:?} for {}", started.elapsed(), hex(input));
}

fn fuzzed(name: &str) {
    let (_, target) = *TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds(name);
    assert!(!seeds.is_empty());
    if let Some(directory) = std::env::var_os("FUZZ_CORPUS") {
        let directory = Path::new(&directory).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        for (n, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{n}")), seed).unwrap();
        }
    }
    // As they are, first.
    seeds.iter().for_each(|seed| run(name, target, seed));
    let (_, least) = *EXECUTIONS.iter().find(|(known, _)| *known == name).unwrap();
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let started = Instant::now();
    let mut dice = Dice::new(if seconds.is_some() { u64::from(std::process::id()) } else { 1 });
    let mut executions = 0_u64;
    while executions < u64::from(least) || seconds.is_some_and(|seconds| started.elapsed() < seconds) {
        let mut input = mutated(name, &seeds, &mut dice);
        input.truncate(INPUT_MAX);
        run(name, target, &input);
        executions += 1;
    }
    println!("{name}: {executions} executions in {:?}", started.elapsed());
}

#[test]
fn every_target_is_run() {
    let known = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(known(TARGETS.iter().map(|t| t.0).collect()), known(EXECUTIONS.iter().map(|t| t.0).collect()));
}

/// A generator whose inputs are all refused at the door would test nothing behind it.
#[test]
fn changed_inputs_reach_what_is_behind_the_door() {
    let mut dice = Dice::new(1);
    let mut inputs = |name: &str, count: usize| {
        let seeds = seeds(name);
        (0..count).map(|_| mutated(name, &seeds, &mut dice)).collect::<Vec<_>>()
    };
    let mut results = BTreeMap::<u32, usize>::new();
    for input in inputs("session", 500) {
        let mut world = World::new();
        let mut buffer = BytesMut::from(&input[..]);
        while let Ok(Some(frame)) = split(&mut buffer, MESSAGE_MAX_DEFAULT) {
            if frame.header().flags.is_request() {
                *results.entry(Message(world.serve(&frame)).result()).or_default() += 1;
            }
        }
    }
    for result in [2001, 4010, 5002, 5004, 5005, 5009, 5012, 5014, 5030, 5031] {
        assert!(results.contains_key(&result), "no input gets {result}: {results:?}");
    }
    let share = |some: usize, all: usize| some * 100 / all;
    assert!((20..80).contains(&share(results[&2001], results.values().sum())), "{results:?}");
    let records = inputs("record", 500);
    let read = records.iter().filter(|octets| tollgate::journal::record::decode(octets).is_ok()).count();
    assert!((3..90).contains(&share(read, records.len())), "{read} of {}", records.len());
    let catalogs = inputs("catalog", 200);
    let text = |octets: &Vec<u8>| tollgate::rating::Catalog::from_toml(std::str::from_utf8(octets).unwrap()).is_ok();
    let read = catalogs.iter().filter(|octets| text(octets)).count();
    assert!((5..90).contains(&share(read, catalogs.len())), "{read} of {}", catalogs.len());
}

// tests: B-2 B-3
#[test]
fn frame() {
    fuzzed("frame");
}

// tests: B-28 B-33
#[test]
fn avp() {
    fuzzed("avp");
}

// tests: B-28 B-65 G-152
#[test]
fn ccr() {
    fuzzed("ccr");
}

#[test]
fn cca() {
    fuzzed("cca");
}

#[test]
fn peer() {
    fuzzed("peer");
}

// tests: I-2 I-6 C-180 G-149 G-152
#[test]
fn session() {
    fuzzed("session");
}

#[test]
fn record() {
    fuzzed("record");
}

#[test]
fn snapshot() {
    fuzzed("snapshot");
}

#[test]
fn recovery() {
    fuzzed("recovery");
}

#[test]
fn catalog() {
    fuzzed("catalog");
}
