//! The process's metrics recorder.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{names, names::Kind, requests};

/// From a sync on a fast disk to one that hangs.
const SYNC_SECONDS: [f64; 14] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
/// From one record to the most that gather during a slow sync.
const BATCH_RECORDS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 16384.0];

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct InitError(#[from] BuildError);

/// All metrics of the process. Clones are the same object.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Installs the recorder of the process, or finds the one that is installed. Call it before anything counts: a handle
/// resolved earlier counts into nothing.
///
/// # Errors
///
/// Another library has installed a recorder.
pub fn init() -> Result<Metrics, InitError> {
    static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*installed {
        return Ok(metrics.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::JOURNAL_SYNC_SECONDS.into()), &SYNC_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(names::JOURNAL_BATCH_RECORDS.into()), &BATCH_RECORDS)?
        .install_recorder()?;
    for metric in names::ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    start_at_zero();
    let metrics = Metrics(handle);
    *installed = Some(metrics.clone());
    Ok(metrics)
}

/// Alerts compare these with a moment ago, so they must be there before the first event.
fn start_at_zero() {
    metrics::gauge!(names::READY).set(0.0);
    metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!(names::BALANCE_IDENTITY_VIOLATIONS).set(0.0);
    for name in [
        names::RETRANSMISSIONS,
        names::ORPHAN_USAGE,
        names::OVERDRAFTS,
        names::TOP_UPS,
        names::CREDIT_STOPS,
        names::RECONNECTS,
        names::SESSIONS_EXPIRED,
        names::JOURNAL_FAILURES,
        names::CHECKPOINT_FAILURES,
        names::EVENT_PUSH_FAILURES,
    ] {
        metrics::counter!(name).increment(0);
    }
    for bound in names::BOUNDS {
        metrics::counter!(names::BOUNDS_HIT, "bound" => *bound).increment(0);
    }
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        if let Some(octets) = resident_octets() {
            metrics::gauge!(names::MEMORY_RESIDENT).set(octets as f64);
        }
        let mut text = self.0.render();
        // Writing to a String does not fail.
        let _ = requests::render(&mut text);
        text
    }

    /// Folds what histograms have gathered, so that they do not grow; [`super::http::serve`] does it regularly.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Resident memory, where the system tells.
fn resident_octets() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
