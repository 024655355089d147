//! A load in turns against the cheapest correct responder and against the server: what comes out is a share of what the
//! machine can do, which says more than a figure of one machine at one hour.

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader},
    process::{self, Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{LoadOptions, Report, run};

/// What to measure against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Against {
    /// The cheapest correct responder.
    Echo,
}

/// Rounds in turns, and their medians.
#[derive(Debug, Clone, Serialize)]
pub struct AgainstReport {
    /// Answers per second of the responder, median.
    pub echo_per_second: f64,
    /// Answers per second of the server, median.
    pub server_per_second: f64,
    /// The server's share of the responder's answers, median of the rounds.
    pub ratio: f64,
    /// Processor time of the responder per answer, microseconds, median.
    pub echo_cpu_us: f64,
    /// The same of the server, if its process was named.
    pub server_cpu_us: Option<f64>,
    /// Rounds against the responder.
    pub echo: Vec<Report>,
    /// Rounds against the server, one after each of those.
    pub server: Vec<Report>,
}

/// Runs the load in turns, see [`LoadOptions::against`].
///
/// # Errors
/// As [`run`]; the responder does not start; there is no such process.
pub async fn run_against_echo(options: &LoadOptions) -> anyhow::Result<AgainstReport> {
    ensure!(options.rounds > 0, "rounds: at least one is needed");
    let (responder, target) = start_echo()?;
    let (mut echo, mut server) = (Vec::new(), Vec::new());
    let (mut echo_cpu, mut server_cpu) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let against_echo = LoadOptions { target: target.clone(), ..options.clone() };
        let (report, cpu) = metered(against_echo, Some(responder.id())).await?;
        echo.push(report);
        echo_cpu.extend(cpu);
        let (report, cpu) = metered(options.clone(), options.server_pid).await?;
        server.push(report);
        server_cpu.extend(cpu);
    }
    let rates = |reports: &[Report]| reports.iter().map(|report| report.answered_per_second).collect::<Vec<_>>();
    let ratios = rates(&server).into_iter().zip(rates(&echo)).map(|(server, echo)| server / echo.max(1.0));
    Ok(AgainstReport {
        echo_per_second: median(rates(&echo)),
        server_per_second: median(rates(&server)),
        ratio: median(ratios.collect()),
        echo_cpu_us: median(echo_cpu),
        server_cpu_us: options.server_pid.map(|_| median(server_cpu)),
        echo,
        server,
    })
}

/// One load, and the processor time of the process that answers it per answer, microseconds.
async fn metered(options: LoadOptions, pid: Option<u32>) -> anyhow::Result<(Report, Option<f64>)> {
    let before = pid.map(cpu_seconds).transpose()?;
    let report = run(options).await?;
    let after = pid.map(cpu_seconds).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| (after - before) * 1e6 / report.answered.max(1) as f64);
    Ok((report, cpu))
}

impl AgainstReport {
    /// Whether every round was.
    pub fn is_clean(&self) -> bool {
        self.echo.iter().chain(&self.server).all(Report::is_clean)
    }
}

impl fmt::Display for AgainstReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (echo, server) in self.echo.iter().zip(&self.server) {
            writeln!(
                f,
                "round   echo {:>10.0}/s   server {:>10.0}/s",
                echo.answered_per_second, server.answered_per_second
            )?;
        }
        let Self { echo_per_second, server_per_second, echo_cpu_us, .. } = self;
        writeln!(f, "echo    {echo_per_second:.0} answers/s, {echo_cpu_us:.2} us of processor time each")?;
        write!(f, "server  {server_per_second:.0} answers/s")?;
        if let Some(cpu) = self.server_cpu_us {
            write!(f, ", {cpu:.2} us of processor time each")?;
        }
        write!(f, "\nratio   {:.1} %", self.ratio * 100.0)?;
        let unclean = self.echo.iter().chain(&self.server).filter(|report| !report.is_clean());
        unclean.into_iter().try_for_each(|report| write!(f, "\nnot clean:\n{report}"))
    }
}

/// The middle of some figures; 0 of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// A process that ends with its value.
#[derive(Debug)]
pub struct Child(pub process::Child);

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This binary as the responder, and where it listens, which it says first.
fn start_echo() -> anyhow::Result<(Child, String)> {
    let binary = std::env::current_exe().context("the path of this binary")?;
    let child = Command::new(binary).arg("echo").stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = Child(child.context("starting the responder")?);
    let mut target = String::new();
    if let Some(output) = child.0.stdout.take() {
        BufReader::new(output).read_line(&mut target)?;
    }
    ensure!(!target.trim().is_empty(), "the responder has not said where it listens");
    Ok((child, target.trim().to_owned()))
}

/// Ticks of `/proc/PID/stat` in a second: Linux tells user space no other figure.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has taken so far, in user mode and in the kernel, seconds.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field is a name in brackets and may hold anything; utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: Vec<f64> = fields.split_ascii_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    ensure!(ticks.len() == 2, "{path} reads otherwise than expected");
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn a_process_that_works_takes_processor_time() {
        let pid = process::id();
        let begun = cpu_seconds(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_seconds(pid).unwrap() - begun < 0.02 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(cpu_seconds(u32::MAX).is_err());
    }
}
