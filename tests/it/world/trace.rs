//! What happened in a world, line by line: to be shown when it fails, and to be compared when it is replayed.

use std::{
    collections::{BTreeMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

/// Lines that are shown of a world that failed.
const SHOWN: usize = 40;

/// How often each thing happened.
pub(super) type Counts = BTreeMap<&'static str, u64>;

pub(super) struct Trace {
    seed: u64,
    lines: u64,
    last: VecDeque<String>,
    hash: DefaultHasher,
    verbose: bool,
    pub(super) counts: Counts,
}

impl Trace {
    pub(super) fn new(seed: u64, verbose: bool) -> Self {
        // This hasher has no random keys: two runs of a seed have one hash.
        let (last, hash, counts) = (VecDeque::new(), DefaultHasher::new(), Counts::new());
        Self { seed, lines: 0, last, hash, verbose, counts }
    }

    pub(super) fn note(&mut self, line: String) {
        self.lines += 1;
        line.hash(&mut self.hash);
        if self.verbose {
            println!("{:5} {line}", self.lines);
        }
        self.last.push_back(line);
        if self.last.len() > SHOWN {
            self.last.pop_front();
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(super) fn add(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, from) = (self.seed, self.lines - self.last.len() as u64);
            let shown: Vec<_> =
                (from + 1..).zip(&self.last).map(|(number, line)| format!("{number:5} {line}\n")).collect();
            eprintln!("{}seed {seed} failed here. The same again, from its beginning:", shown.concat());
            eprintln!("    TOLLGATE_SIM_SEED={seed} cargo test --test it world::one -- --nocapture");
        }
    }
}
