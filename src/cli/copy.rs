//! `backup`, `restore`: copies of a store, made without stopping it, and brought back whole or as of an earlier moment.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{
    check::{self, CheckReport},
    journal::with_way_out,
    output::{Output, complain, unless_closed},
    trail,
};
use crate::{
    app,
    config::SystemEnvironment,
    journal::{FileDisk, Meta, Position},
    store::{Copied, Directories, Until, copy, inspect, must_be_empty},
};

/// Where to.
#[derive(Debug, Args)]
pub struct Backup {
    /// A new directory; the trails go to `records` and `audit` in it
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The configuration file, which names the store
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// From where, and how far.
#[derive(Debug, Args)]
pub struct Restore {
    /// The directory of a backup, or of a damaged store
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Only to this moment, such as 2026-12-01T00:00:00+08:00, or this record, such as 4711
    #[arg(long, value_name = "TIME or POSITION", value_parser = until)]
    until: Option<Until>,
    /// The configuration file, which names the store that is to be there: its directories must be empty
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

fn until(text: &str) -> Result<Until, String> {
    if let Ok(position) = text.parse() {
        return Ok(Until::Position(Position(position)));
    }
    trail::moment(text).map(Until::Moment).map_err(|error| format!("no number of a record, and {error}"))
}

/// Runs `backup`.
///
/// # Errors
/// The store is damaged, or the copy cannot be written.
pub fn backup(verb: &Backup, out: &mut dyn io::Write) -> anyhow::Result<()> {
    let checked = checked(verb.config.as_deref())?;
    let config = &checked.config;
    let from = [config.store_directory(), config.records_directory(), config.audit_directory()];
    let to = [verb.to.clone(), verb.to.join("records"), verb.to.join("audit")];
    run(&checked, from, to, Until::End, &mut Output::new(out, verb.json))
}

/// Runs `restore`.
///
/// # Errors
/// The backup is damaged or does not reach that far, or there is a store already.
pub fn restore(verb: &Restore, out: &mut dyn io::Write) -> anyhow::Result<()> {
    let checked = checked(verb.config.as_deref())?;
    let config = &checked.config;
    let from = [verb.from.clone(), verb.from.join("records"), verb.from.join("audit")];
    let to = [config.store_directory(), config.records_directory(), config.audit_directory()];
    run(&checked, from, to, verb.until.unwrap_or(Until::End), &mut Output::new(out, verb.json))
}

fn checked(config: Option<&Path>) -> anyhow::Result<CheckReport> {
    check::check(config, &SystemEnvironment).map_err(|problems| anyhow::anyhow!(problems.join("\n")))
}

/// Copies, and then recovers the copy in memory: one that could not be used is none.
fn run(
    checked: &CheckReport,
    from: [PathBuf; 3],
    to: [PathBuf; 3],
    until: Until,
    out: &mut Output<'_>,
) -> anyhow::Result<()> {
    let names = (from[0].display().to_string(), to[0].display().to_string());
    anyhow::ensure!(from[0].is_dir(), "{}: no directory, so no store", names.0);
    let created = Meta::look_at_either(&FileDisk::look(&from[0])).with_context(|| names.0.clone())?.partitions;
    let configured = checked.config.store.partitions;
    anyhow::ensure!(
        [0, created].contains(&configured),
        "{} has {created} partitions: `store.partitions` is {configured}",
        names.0
    );
    // Before anything is made there; and a trail that is left over from another store would be taken for that of the copy.
    for directory in to.iter().filter(|directory| directory.is_dir()) {
        must_be_empty(&FileDisk::look(directory)).with_context(|| directory.display().to_string())?;
    }
    let trails = [from[1].is_dir(), from[2].is_dir()];
    for (is_there, what) in trails.into_iter().zip(["usage records", "audit trail"]) {
        if !is_there {
            complain(format_args!("{}: no {what} there", names.0));
        }
    }
    let [store, records, audit] = from;
    let looked = |is_there: bool, directory| is_there.then(|| FileDisk::look(directory));
    let from = Directories {
        store: FileDisk::look(store),
        records: looked(trails[0], records),
        audit: looked(trails[1], audit),
    };
    let [store, records, audit] = to;
    // What is in it is nobody else's to read: identities, and what codes of vouchers are known by.
    DirBuilder::new().recursive(true).mode(0o700).create(&store).with_context(|| names.1.clone())?;
    let made = |is_there: bool, directory| is_there.then(|| FileDisk::open(directory)).transpose();
    let to = Directories {
        store: FileDisk::open(store)?,
        records: made(trails[0], records)?,
        audit: made(trails[1], audit)?,
    };
    let settings = app::settings(&checked.config);
    let progress = |records| complain(format_args!("{records} records"));
    let copied = copy(&from, &to, until, settings, progress)
        .with_context(|| format!("{} to {}", names.0, names.1))
        .map_err(|error| with_way_out(error, Path::new(&names.0), settings))?;
    if let Err(error) = inspect(&to.store, settings, &checked.catalog, progress) {
        Meta::remove(&to.store)?;
        return Err(anyhow::Error::new(error).context(names.1));
    }
    unless_closed(told(&copied, &names.1, out))
}

fn told(copied: &Copied, to: &str, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Copied { checkpoint, last, records, lines } = *copied;
    out.object(
        || json!({ "to": to, "checkpoint": checkpoint.map(|it| it.0), "last": last.0, "records": records, "lines": lines }),
        || {
            let from = checkpoint.map_or_else(String::new, |position| format!("the checkpoint at {position} and "));
            format!("{to}: {from}{records} records up to {last}, {lines} lines of trails; verified")
        },
    )?;
    Ok(())
}
