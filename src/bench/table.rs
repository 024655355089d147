//! The table of the README: a server of its own, measured in turns with the cheapest correct responder.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{
    machine::{self, Machine, Sync},
    path,
    server::Server,
};
use crate::load::{self, AgainstReport, LoadOptions, Report, median};

/// Measures what Tollgate can do on this machine, and writes it as a table.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchOptions {
    /// The configuration of the server.
    #[arg(long, default_value = "config/bench/tollgate.toml")]
    pub config: PathBuf,
    /// Where its store is made, and removed afterwards: on the disk that is to be measured.
    #[arg(long, default_value = "target/bench")]
    pub directory: PathBuf,
    /// Rounds of each figure, of which the median is told.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long each round measures, seconds.
    #[arg(long, default_value_t = 4.0)]
    pub duration: f64,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Subscribers.
    #[arg(long, default_value_t = 100_000)]
    pub subscribers: u64,
    /// Write the table as JSON.
    #[arg(long)]
    pub json: bool,
    /// Measure nothing: take this many updates through the core, in this process, to be counted by a profiler.
    #[arg(long, value_name = "UPDATES", hide = true)]
    pub path: Option<u64>,
}

/// The figures.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Where they were measured.
    pub machine: Machine,
    /// Its disk, before the load.
    pub sync: Sync,
    /// Subscribers of the store.
    pub subscribers: u64,
    /// Closed loop, in turns with the responder.
    pub closed: AgainstReport,
    /// Open loop at half of the server's median, at fixed moments.
    pub half: Vec<Report>,
}

/// Measures.
///
/// # Errors
/// The server does not start, its directory exists already, a load does not come up.
pub async fn run(options: BenchOptions) -> anyhow::Result<Option<Table>> {
    if let Some(updates) = options.path {
        let counted = path::Path::new(updates)?.run()?;
        ensure!(counted == updates, "{counted} of {updates} updates were granted");
        return Ok(None);
    }
    let directory = Directory::new(&options.directory)?;
    let BenchOptions { rounds, duration, connections, in_flight, subscribers, .. } = options;
    tell("the disk");
    let sync = machine::sync(&directory.0)?;
    tell("the server starts");
    let server = Server::start(&options.config, &directory.0.join("store"), subscribers).await?;
    let load = LoadOptions {
        connections,
        in_flight,
        duration,
        subscribers,
        server_pid: Some(server.pid()),
        json: true,
        rounds,
        ..LoadOptions::new(server.diameter.to_string())
    };
    tell("closed loop, in turns with the responder");
    let closed = load::run_against_echo(&load).await?;
    let rate = (closed.server_per_second / 2.0).round();
    let mut half = Vec::new();
    for _ in 0..rounds {
        tell(&format!("{rate} requests/s at fixed moments"));
        half.push(load::run(LoadOptions { rate: Some(rate), ..load.clone() }).await?);
    }
    Ok(Some(Table { machine: Machine::here(), sync, subscribers, closed, half }))
}

impl Table {
    /// Whether every request of every round was answered as it should be.
    pub fn is_clean(&self) -> bool {
        self.closed.is_clean() && self.half.iter().all(Report::is_clean)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, sync, subscribers, closed, half } = self;
        let rounds = half.len();
        let first = half.first().or(closed.server.first());
        let (connections, in_flight) = first.map_or((0, 0), |report| (report.connections, report.in_flight));
        writeln!(
            f,
            "{machine}; server, generator and responder share it. {subscribers} subscribers, {connections} connections x \
             {in_flight} in flight, medians of {rounds} rounds.\n"
        )?;
        writeln!(f, "| figure | measured | beside it |\n| --- | --- | --- |")?;
        let us = |us: f64| format!("{:.2} ms", us / 1e3);
        writeln!(
            f,
            "| answers/s, closed loop | {:.0} | {:.1} % of {:.0}, which the cheapest correct responder gives |",
            closed.server_per_second,
            closed.ratio * 100.0,
            closed.echo_per_second
        )?;
        writeln!(
            f,
            "| processor time of the server per answer | {:.2} us | {:.2} us of that responder |",
            closed.server_cpu_us.unwrap_or(0.0),
            closed.echo_cpu_us
        )?;
        let of = |figure: fn(&Report) -> f64| median(half.iter().map(figure).collect());
        writeln!(
            f,
            "| latency at {:.0}/s, from the intended moment of sending | p50 {}, p99 {} | one fdatasync of {} kB: p50 {}, \
             p99 {} |",
            of(|report| report.rate.unwrap_or(0.0)),
            us(of(|report| report.latency.p50_us)),
            us(of(|report| report.latency.p99_us)),
            sync.octets >> 10,
            us(sync.p50_us),
            us(sync.p99_us)
        )?;
        let all = |figure: fn(&Report) -> f64, reports: &[Report]| {
            reports.iter().map(|report| format!("{:.0}", figure(report))).collect::<Vec<_>>().join(", ")
        };
        let rate: fn(&Report) -> f64 = |report| report.answered_per_second;
        writeln!(f, "\nRounds: server {}; responder {};", all(rate, &closed.server), all(rate, &closed.echo))?;
        write!(f, "p99 at half load, us: {}", all(|report| report.latency.p99_us, half))?;
        let unclean = closed.server.iter().chain(&closed.echo).chain(half).filter(|report| !report.is_clean());
        unclean.into_iter().try_for_each(|report| write!(f, "\nnot clean:\n{report}"))
    }
}

/// A directory that is made for the measurement and goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(path: &Path) -> anyhow::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // One that is there already may be somebody's store: it is not touched.
        fs::create_dir(path).with_context(|| format!("{}, which must not exist yet", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The server has ended: its value was dropped before.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Progress, on the error stream: the table is the output.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "measuring: {what}");
}
