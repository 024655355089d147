//! The load generator, `tollgate load`: whole Gy sessions (CCR-I, CCR-U..., CCR-T) over several connections, and what came
//! back how fast.
//!
//! It shares the machine with the server it measures, so its own work per request is tiny: requests are copied from a
//! template and patched in place, answers are scanned for the few octets that matter, and both travel in large reads and
//! writes. Without `--rate` each of the in-flight slots sends its next request when its answer has come (closed loop);
//! with `--rate` requests have a time at which they are meant to be sent, and latency counts from then, so a stalled server
//! cannot hide behind requests that were never sent.
//!
//! | file | what it is |
//! | --- | --- |
//! | `plan` | what one connection is to do, and when |
//! | `template` | encoded requests whose varying octets are patched |
//! | `slot` | one in-flight slot: a subscriber's session, step by step |
//! | `link` | a connection: handshake, buffers, one task |
//! | `neighbours` | connections beside the load that are idle, slow or broken |
//! | `pace` | the clock of an open loop |
//! | `report` | what came out |
//! | `echo` | the cheapest correct responder: what the machine can do at all |
//! | `against` | rounds against it and against the server, in turns |

mod against;
pub mod echo;
mod link;
mod neighbours;
mod pace;
mod plan;
mod report;
mod slot;
mod template;

#[cfg(test)]
mod tests;

pub use against::{Against, AgainstReport, Child, cpu_seconds, median, run_against_echo};
pub use neighbours::Neighbours;
pub use report::{NeighbourReport, Report};

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser as _;
use tokio::task::JoinSet;

use self::{
    link::Link,
    neighbours::Neighbourhood,
    pace::Pacer,
    plan::{Plan, Progress},
    report::Tally,
};

/// Sends credit-control sessions to a server and measures the answers.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadOptions {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3868")]
    pub target: String,
    /// Connections, each with an Origin-Host of its own.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// How long to measure, seconds.
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// How long to send before measuring, seconds.
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// How long to wait for the last answers, seconds.
    #[arg(long, default_value_t = 5.0)]
    pub drain: f64,
    /// Requests per second in total (open loop); without it each answer triggers the next request (closed loop).
    #[arg(long)]
    pub rate: Option<f64>,
    /// Subscribers to rotate over.
    #[arg(long, default_value_t = 10_000)]
    pub subscribers: u64,
    /// MSISDN of the first subscriber; the others count up from it.
    #[arg(long, default_value_t = 8_613_900_000_000)]
    pub first_msisdn: u64,
    /// Update requests in each session.
    #[arg(long, default_value_t = 3)]
    pub updates: u32,
    /// Rating group.
    #[arg(long, default_value_t = 1)]
    pub rating_group: u32,
    /// Octets reported as used in each update and in the termination.
    #[arg(long, default_value_t = 1_000_000)]
    pub used: u64,
    /// Octets asked for; without it the request is empty and the server chooses.
    #[arg(long)]
    pub requested: Option<u64>,
    /// Origin-Host, in which a bracketed n becomes the number of the connection.
    #[arg(long, default_value = "load{n}.tollgate.example")]
    pub origin_host: String,
    /// Origin-Realm.
    #[arg(long, default_value = "tollgate.example")]
    pub origin_realm: String,
    /// Destination-Realm.
    #[arg(long, default_value = "tollgate.example")]
    pub destination_realm: String,
    /// Service-Context-Id.
    #[arg(long, default_value = "32251@3gpp.org")]
    pub service_context: String,
    /// Measure twice: alone, and beside this many idle connections and a hundredth as many slow readers, half-open
    /// connections and writers of single octets each. The server's `diameter.connections_max` must let them in, and
    /// so must `ulimit -n` of both processes.
    #[arg(long, value_name = "IDLE")]
    pub neighbours: Option<usize>,
    /// Measure in turns against the server and against what this names, on the same machine: `echo` is the cheapest
    /// responder whose answers are correct, a process of its own that charges and keeps nothing.
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["rate", "neighbours"])]
    pub against: Option<Against>,
    /// Rounds against each, of which the medians are told.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// The server's process, on this machine: its processor time per answer is told, too.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Write the report as JSON, and no progress.
    #[arg(long)]
    pub json: bool,
}

impl LoadOptions {
    /// The defaults of the command line.
    pub fn new(target: String) -> Self {
        Defaults::parse_from(["load", "--target", &target]).options
    }
}

#[derive(clap::Parser)]
struct Defaults {
    #[command(flatten)]
    options: LoadOptions,
}

/// The most requests in flight on one connection: the slot's number is half of the hop-by-hop id.
const IN_FLIGHT_MAX: usize = 1 << 16;

/// Runs the load; [`Report::is_clean`] tells whether every request was answered as it should be.
///
/// # Errors
/// Options that make no sense, and a connection that does not come up. One that breaks later is in the report.
pub async fn run(options: LoadOptions) -> anyhow::Result<Report> {
    check(&options)?;
    let run_id = plan::RunId::now();
    let mut links = Vec::with_capacity(options.connections);
    for number in 0..options.connections {
        let plan = Plan::new(&options, number, run_id);
        let link = Link::open(plan).await.with_context(|| format!("connection {number} to {}", options.target))?;
        links.push(link);
    }
    let progress = Arc::new(Progress::default());
    let start = Instant::now();
    let pacer = options.rate.map(|_| Pacer::start(start, options.connections));
    let mut tasks = JoinSet::new();
    for (number, link) in links.into_iter().enumerate() {
        let pace = pacer.as_ref().map(|pacer| pacer.ticks(number));
        tasks.spawn(link.drive(start, pace, progress.clone()));
    }
    let tally = gather(tasks, &progress, !options.json).await;
    Ok(Report::new(&options, tally))
}

/// Runs the load alone, and then the same beside neighbours (see [`LoadOptions::neighbours`]).
///
/// # Errors
/// As [`run`], and neighbours that cannot be opened.
pub async fn run_beside(options: LoadOptions, idle: usize) -> anyhow::Result<NeighbourReport> {
    let alone = run(options.clone()).await?;
    let neighbourhood = Neighbourhood::open(&options, idle).await?;
    let beside = run(options).await;
    let neighbours = neighbourhood.leave().await;
    Ok(NeighbourReport::new(alone, beside?, neighbours))
}

fn check(options: &LoadOptions) -> anyhow::Result<()> {
    ensure!(options.connections > 0, "at least one connection is needed");
    ensure!((1..IN_FLIGHT_MAX).contains(&options.in_flight), "in flight: 1 to {}", IN_FLIGHT_MAX - 1);
    ensure!(options.subscribers > 0, "at least one subscriber is needed");
    let last = options.first_msisdn.checked_add(options.subscribers - 1).context("subscribers: too many")?;
    ensure!(
        last.to_string().len() == options.first_msisdn.to_string().len(),
        "the last MSISDN {last} has more digits than the first"
    );
    for (name, secs) in [("duration", options.duration), ("warmup", options.warmup), ("drain", options.drain)] {
        ensure!(Duration::try_from_secs_f64(secs).is_ok_and(|d| d < DURATION_MAX), "{name}: {secs} s is out of range");
    }
    ensure!(options.duration > 0.0, "duration: something above 0 is needed");
    ensure!(options.rate.is_none_or(|rate| rate > 0.0 && rate < RATE_MAX), "rate: above 0 and below {RATE_MAX}");
    Ok(())
}

/// Longer than any test, and far from the ends of the arithmetic in nanoseconds.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// More than any machine answers, and far from the ends of the arithmetic.
const RATE_MAX: f64 = 1e9;

/// Waits for the connections and adds up; tells how it goes meanwhile.
async fn gather(mut tasks: JoinSet<Tally>, progress: &Progress, aloud: bool) -> Tally {
    let mut total = Tally::default();
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.tick().await;
    let mut before = 0;
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(Ok(tally)) => total.add(tally),
                Some(Err(error)) => total.failures.push(error.to_string()),
                None => return total,
            },
            _ = every_second.tick(), if aloud => {
                let answered = progress.answered();
                // `eprintln!` would panic when nobody reads it; progress that nobody reads is no failure.
                let _ = writeln!(std::io::stderr(), "{:>10} answers/s, {} so far", answered - before, answered);
                before = answered;
            }
        }
    }
}
