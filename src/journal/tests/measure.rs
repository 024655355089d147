//! `cargo test --release --lib journal::tests::measure -- --ignored --nocapture`
//!
//! On 2 virtual cores, ext4 on a virtual disk that nobody else used at the time, records of 200 bytes from 2 threads:
//! 1 in flight each 11,000 records/s; 32 each 300,000-345,000 (sync p50 0.11 ms, p99 0.23-0.38 ms); 128 each
//! 0.96-1.1 million (p50 0.11 ms, p99 0.5-0.7 ms). While others used the disk, p50 rose to 3.7 ms and rates fell to a tenth.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::*;

#[test]
#[ignore = "a measurement of the machine, not a test"]
fn records_per_second_and_sync_latency() {
    // A reply waits for its record; a thread has this many requests in flight, as connections do.
    for (threads, in_flight) in [(1, 1), (2, 1), (2, 32), (2, 128), (2, 1024)] {
        measure(threads, in_flight, u64::MAX);
    }
    // With a checkpoint now and then, segments are used again instead of being made.
    for (threads, in_flight) in [(2, 32), (2, 128), (2, 1024)] {
        measure(threads, in_flight, 500_000);
    }
}

fn measure(threads: u64, in_flight: u64, keep: u64) {
    const RECORD: [u8; 200] = [0x5a; 200];
    const TIME: Duration = Duration::from_secs(3);
    let directory = tempfile::tempdir_in(".").unwrap();
    let disk = FileDisk::open(directory.path()).unwrap();
    let Open { journal, epoch, last } = open_with(&disk, Options::default()).unwrap();
    let (commits, observed) = mpsc::channel();
    let committer = Committer::start(journal, epoch, last, move |commit| commits.send(*commit).unwrap()).unwrap();
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (appender, mark) = (committer.appender(), committer.mark());
            scope.spawn(move || {
                let mut sent = std::collections::VecDeque::new();
                while begun.elapsed() < TIME {
                    sent.push_back(appender.append(&RECORD, |_| {}));
                    if sent.len() as u64 >= in_flight {
                        let durable = mark.wait_for_blocking(sent.pop_front().unwrap()).unwrap();
                        if durable.0 > keep && durable.0 % 1000 == 0 {
                            appender.trim(Position(durable.0 - keep));
                        }
                        while sent.front().is_some_and(|&position| position <= durable) {
                            sent.pop_front();
                        }
                    }
                }
            });
        }
    });
    let last = committer.shutdown().unwrap();
    let took = begun.elapsed().as_secs_f64();
    let mut syncs: Vec<_> = observed.iter().map(|commit| commit.took).collect();
    syncs.sort();
    let at = |share: f64| syncs[((syncs.len() - 1) as f64 * share) as usize];
    println!(
        "{threads} threads x {in_flight:>4} in flight, trimmed {}: {:>9.0} records/s, {:>6} syncs, {:>5} records each, \
         write+sync p50 {:?} p99 {:?} max {:?}",
        keep < u64::MAX,
        last.0 as f64 / took,
        syncs.len(),
        last.0 / syncs.len() as u64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
}
