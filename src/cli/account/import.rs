//! `account import`: the accounts and subscribers of a file, however many.

mod line;

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use self::line::Planned;
use crate::cli::{
    client::{Client, refusal},
    output::{Output, complain},
};

/// Lines whose calls are under way at once: what keeps the server's syncs full, and is answered in a fraction of a second.
const IN_FLIGHT: usize = 256;
/// Problems of a file that are told before anything is sent; of more only how many.
const PROBLEMS_MAX: usize = 20;
/// The longest time without a line of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Which file.
#[derive(Debug, Args)]
pub struct Import {
    /// One subscriber a line: ACCOUNT,SUBSCRIBER,IDENTITIES[,BALANCE[,PLAN[,ALLOWANCES]]], more than one with spaces between, or
    /// {"account": 7, "subscriber": "line-1", "identities": ["8613900000007"], "balance": .., "credit_limit": ..,
    /// "never_stop": .., "plan": .., "cycle_day": .., "allowances": [..]}. Further lines of an account say the same of it.
    #[arg(verbatim_doc_comment)]
    file: PathBuf,
    /// ISO 4217 code of the accounts
    #[arg(long, value_name = "CODE")]
    currency: String,
    /// Goes on at this line; what was taken in before may also be sent again, which changes nothing
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from: u64,
}

pub(super) async fn import(client: &Client, verb: Import, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Import { file, currency, from } = verb;
    let name = file.display().to_string();
    let expected = check(&file, &name, &currency, from)?;
    let mut run = Run { file: &name, started: Instant::now(), told: Instant::now(), expected, done: 0, refused: 0 };
    let mut under_way = VecDeque::new();
    for (number, text) in lines(&file, from)? {
        // Read once already; a file that has changed since is told like any other.
        let Some(planned) = line::read(&text?, &currency).map_err(|why| anyhow!("{name}:{number}: {why:#}"))? else {
            continue;
        };
        if under_way.len() == IN_FLIGHT {
            run.next(&mut under_way).await?;
        }
        under_way.push_back((number, tokio::spawn(send(client.clone(), planned))));
    }
    while !under_way.is_empty() {
        run.next(&mut under_way).await?;
    }
    let Run { done, refused, started, .. } = run;
    let secs = started.elapsed().as_secs_f64();
    out.object(
        || json!({"subscribers": done, "refused": refused, "seconds": (secs * 1_000.0).round() / 1_000.0}),
        || format!("{done} subscribers are there, {refused} lines were refused, in {secs:.1} s"),
    )?;
    if refused > 0 { Err(anyhow!("{name}: {refused} lines were refused")) } else { Ok(()) }
}

/// What has come of the lines so far.
struct Run<'f> {
    file: &'f str,
    started: Instant,
    told: Instant,
    /// Lines to be sent.
    expected: u64,
    done: u64,
    refused: u64,
}

type Sent = JoinHandle<Result<(), Status>>;

impl Run<'_> {
    /// Waits for the oldest line that is under way: so whatever stops this, all lines before a certain one are known.
    async fn next(&mut self, under_way: &mut VecDeque<(u64, Sent)>) -> anyhow::Result<()> {
        let Some((number, sent)) = under_way.pop_front() else { return Ok(()) };
        match sent.await.context("a call was given up")? {
            Ok(()) => self.done += 1,
            Err(status) if is_about_the_line(&status) => {
                self.refused += 1;
                complain(format_args!("{}:{number}: {:#}", self.file, refusal(&status)));
            }
            Err(status) => {
                let why = refusal(&status);
                bail!("{}:{number}: {why:#}; all lines before are done: go on with --from {number}", self.file);
            }
        }
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            let sent = self.done + self.refused;
            let rate = sent as f64 / self.started.elapsed().as_secs_f64();
            complain(format_args!("{sent} of {}, {rate:.0} a second; line {number}", self.expected));
        }
        Ok(())
    }
}

/// The account, then the subscriber: both change nothing if they are there like that.
async fn send(client: Client, planned: Planned) -> Result<(), Status> {
    let mut accounts = client.accounts();
    accounts.create_account(planned.account).await?;
    accounts.create_subscriber(planned.subscriber).await?;
    Ok(())
}

/// Whether another line may well fare better.
fn is_about_the_line(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition | Code::NotFound | Code::OutOfRange
    )
}

/// Reads the whole file before anything is sent. Returns how many lines are to be.
fn check(file: &Path, name: &str, currency: &str, from: u64) -> anyhow::Result<u64> {
    let (mut good, mut problems, mut wrong) = (0, Vec::new(), 0);
    for (number, text) in lines(file, from)? {
        match line::read(&text?, currency) {
            Ok(planned) => good += u64::from(planned.is_some()),
            Err(why) => {
                wrong += 1;
                if problems.len() < PROBLEMS_MAX {
                    problems.push(format!("{name}:{number}: {why:#}"));
                }
            }
        }
    }
    if wrong > problems.len() {
        problems.push(format!("{name}: {} further lines are wrong", wrong - problems.len()));
    }
    match (problems.is_empty(), good) {
        (false, _) => Err(anyhow!(problems.join("\n"))),
        (true, 0) => Err(anyhow!("{name}: there are no subscribers from line {from} on")),
        (true, good) => Ok(good),
    }
}

/// The lines of a file and their numbers, one at a time: a file may be larger than memory.
fn lines(file: &Path, from: u64) -> anyhow::Result<impl Iterator<Item = (u64, anyhow::Result<String>)>> {
    let name = file.display().to_string();
    let opened = File::open(file).with_context(|| format!("{name} cannot be read"))?;
    let told = move |(number, line): (u64, std::io::Result<String>)| {
        (number, line.with_context(|| format!("{name}:{number} cannot be read")))
    };
    Ok((1..).zip(BufReader::new(opened).lines()).skip_while(move |(number, _)| *number < from).map(told))
}
