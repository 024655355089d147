//! What the machine is, and how fast its disk syncs.

use std::{
    fmt, fs, io,
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

/// What figures depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The version of this binary.
    pub version: &'static str,
}

impl Machine {
    /// This one. What cannot be found out is left empty.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let of = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
        };
        let memory = of(&read("/proc/meminfo"), "MemTotal");
        Self {
            processor: of(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_mib, kernel, version } = self;
        write!(f, "{cores} x {processor}, {memory_mib} MiB, Linux {kernel}, Tollgate {version}")
    }
}

/// How fast a disk syncs.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sync {
    /// Octets written before each sync.
    pub octets: usize,
    /// Half of the syncs took less, microseconds.
    pub p50_us: f64,
    /// 99 % did, microseconds.
    pub p99_us: f64,
}

/// A batch of the journal under the load that is measured.
const BATCH: usize = 32 << 10;
const SYNCS: usize = 500;

/// Writes and syncs as the journal does: batch after batch into a file that has its length already.
///
/// # Errors
/// The directory cannot be written to.
pub fn sync(directory: &Path) -> io::Result<Sync> {
    let path = directory.join("sync-probe");
    let file = fs::File::create(&path)?;
    let batch = vec![0x5a; BATCH];
    let all = |measured: bool| -> io::Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(SYNCS);
        for number in 0..SYNCS {
            file.write_all_at(&batch, (number * BATCH) as u64)?;
            let begun = Instant::now();
            if measured {
                file.sync_data()?;
            }
            took.push(begun.elapsed());
        }
        file.sync_all()?;
        Ok(took)
    };
    all(false)?;
    let mut took = all(true)?;
    fs::remove_file(&path)?;
    took.sort();
    let at = |share: usize| took.get(SYNCS * share / 100).map_or(0.0, |took| took.as_secs_f64() * 1e6);
    Ok(Sync { octets: BATCH, p50_us: at(50), p99_us: at(99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_syncs_and_nothing_stays() {
        let directory = tempfile::tempdir().unwrap();
        let sync = sync(directory.path()).unwrap();
        assert!(sync.p50_us > 0.0 && sync.p50_us <= sync.p99_us);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_machine_has_a_name() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory_mib > 0 && !machine.kernel.is_empty(), "{machine}");
    }
}
