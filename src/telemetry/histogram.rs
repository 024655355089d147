//! A histogram with fixed buckets for durations that are observed with every request.
//!
//! The exporter's own histograms keep every observation until they are collected: eight octets a request. This one keeps
//! a count per bucket, so that its memory is fixed and observing is two additions.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds in microseconds, and as they are written in seconds.
pub(super) const BOUNDS: [(u64, &str); 17] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (200, "0.0002"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_000, "0.002"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (20_000, "0.02"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (200_000, "0.2"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_000_000, "2"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Counts per bucket, and the sum.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// The last bucket takes what is above all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Durations {
    /// Counts one duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|(micros, _)| micros * 1_000 < nanos);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// Adds what another counted.
    pub(super) fn add(&self, other: &Self) {
        for (bucket, more) in self.buckets.iter().zip(&other.buckets) {
            bucket.fetch_add(more.load(Relaxed), Relaxed);
        }
        self.nanos.fetch_add(other.nanos.load(Relaxed), Relaxed);
    }

    /// Writes it in Prometheus' text format; `labels` is such as `type="initial"`.
    pub(super) fn render(&self, out: &mut String, name: &str, labels: &str) -> std::fmt::Result {
        let mut count = 0;
        let bounds = BOUNDS.iter().map(|(_, seconds)| *seconds).chain(["+Inf"]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count += bucket.load(Relaxed);
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        let nanos = self.nanos.load(Relaxed);
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        writeln!(out, "{name}_sum{{{labels}}} {seconds}.{nanos:09}\n{name}_count{{{labels}}} {count}")
    }
}
