//! The `tollgate` binary: arguments, configuration, runtime, exit code.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tollgate::{
    app, bench,
    cli::{self, AdminCommand, demo},
    config::{Config, LogFormat, SystemEnvironment},
    load,
    telemetry::logs,
};

/// mimalloc: requests allocate small things on one thread and free them on another. Without transparent huge pages: where
/// memory must come from a hypervisor first, one of 2 MiB stalls a processor for milliseconds, and with it whoever waits
/// there (p99 at half load was 5.3 ms with them and 1.2 ms without, throughput the same).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tollgate: a real-time online charging system.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// The configuration file; without it config/tollgate.toml if there is one, else the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Plays a whole charging story against a server of its own.
    Demo(demo::DemoOptions),
    /// Checks configuration and catalog.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// For machines: one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Generates load and measures answers.
    Load(load::LoadOptions),
    /// Measures what Tollgate can do on this machine: a server of its own, in turns with the cheapest correct responder.
    Bench(bench::BenchOptions),
    /// The cheapest correct responder: says where it listens, and answers until it is ended.
    #[command(hide = true)]
    Echo,
    /// Copies the store, in use or not, to a new directory, and verifies the copy.
    Backup(cli::copy::Backup),
    /// Brings a store back from a backup, or what is whole of a damaged one: all of it, or up to a moment or a record.
    Restore(cli::copy::Restore),
    /// Recomputes the whole store from its files and checks that it is consistent; changes nothing.
    Verify(cli::journal::Files),
    /// The files of a store: verify, show and count what is in them; changes nothing.
    Journal {
        #[command(flatten)]
        files: cli::journal::Files,
        #[command(subcommand)]
        verb: cli::journal::JournalVerb,
    },
    #[command(flatten)]
    Admin(AdminCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&anyhow::Error::new(error).context("the runtime")),
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if error.is::<cli::OutputClosed>() => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    cli::complain(format_args!("tollgate: {error:#}"));
    ExitCode::FAILURE
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { config } => {
            let path = config;
            let config = Config::load(path.as_deref(), &SystemEnvironment)?;
            logs::init(log_format(config.log.format), &config.log.level)?;
            app::run(config).await.map_err(|error| match error.downcast::<cli::check::Unfit>() {
                Ok(unfit) => anyhow::anyhow!(unfit.located(path.as_deref(), &SystemEnvironment).join("\n")),
                Err(error) => error,
            })?;
        }
        Command::Demo(options) => {
            // The story is told in readable lines; of the log only what should not be.
            logs::init(logs::Format::Text, "warn")?;
            demo::run(options).await?;
        }
        Command::Check { config, json } => {
            return checked(cli::check::check(config.as_deref(), &SystemEnvironment), json);
        }
        Command::Load(options) => {
            let json = options.json;
            let (text, clean) = match options.neighbours {
                None if options.against.is_some() => {
                    let report = load::run_against_echo(&options).await?;
                    (if json { serde_json::to_string(&report)? } else { report.to_string() }, report.is_clean())
                }
                None => {
                    let report = load::run(options).await?;
                    (if json { serde_json::to_string(&report)? } else { report.to_string() }, report.is_clean())
                }
                Some(idle) => {
                    let report = load::run_beside(options, idle).await?;
                    (if json { serde_json::to_string(&report)? } else { report.to_string() }, report.is_clean())
                }
            };
            unless_closed(cli::say(text))?;
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Bench(options) => {
            let json = options.json;
            let Some(table) = bench::run(options).await? else { return Ok(ExitCode::SUCCESS) };
            let text = if json { serde_json::to_string(&table)? } else { table.to_string() };
            unless_closed(cli::say(text))?;
            return Ok(if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Echo => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            cli::say(listener.local_addr()?)?;
            load::echo::serve(listener).await;
        }
        Command::Backup(verb) => cli::copy::backup(&verb, &mut io::stdout().lock())?,
        Command::Restore(verb) => cli::copy::restore(&verb, &mut io::stdout().lock())?,
        Command::Verify(files) => cli::journal::verify(&files, &mut io::stdout().lock())?,
        Command::Journal { files, verb } => cli::journal::run(&files, &verb, &mut io::stdout().lock())?,
        Command::Admin(command) => cli::run(command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn log_format(format: LogFormat) -> logs::Format {
    match format {
        LogFormat::Text => logs::Format::Text,
        LogFormat::Json => logs::Format::Json,
    }
}

/// Writes what a check found, for people or machines.
fn checked(result: Result<cli::check::CheckReport, Vec<String>>, json: bool) -> anyhow::Result<ExitCode> {
    let (said, code) = match result {
        Ok(report) if json => {
            (cli::say(serde_json::json!({"ok": true, "summary": report.to_string()})), ExitCode::SUCCESS)
        }
        Ok(report) => (cli::say(report), ExitCode::SUCCESS),
        Err(problems) if json => (cli::say(serde_json::json!({"ok": false, "problems": problems})), ExitCode::FAILURE),
        Err(problems) => {
            problems.iter().for_each(cli::complain);
            (Ok(()), ExitCode::FAILURE)
        }
    };
    unless_closed(said).map(|()| code)
}

/// The result of a verb is in its exit code too: that counts also when nobody reads the text.
fn unless_closed(said: anyhow::Result<()>) -> anyhow::Result<()> {
    said.or_else(|error| if error.is::<cli::OutputClosed>() { Ok(()) } else { Err(error) })
}
