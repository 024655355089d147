//! `journal`, `verify`: the files of a store, looked at without a server, or beside one; nothing is changed.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::json;

use super::{
    check,
    output::{Output, complain, unless_closed},
};
use crate::{
    app,
    config::{Config, SystemEnvironment},
    journal::{FileDisk, JournalError, Look, Meta, Position, SegmentFile, TornTail, checkpoint, record},
    store::{CopyError, InspectError, Inspection, RecoveryError, Settings, hex, inspect, way_out},
    time::Timestamp,
    units::{Currency, Money},
};

/// Records between two lines of progress.
const PROGRESS_EVERY: u64 = 1_000_000;

/// What can be done with the files of a store.
#[derive(Debug, Subcommand)]
pub enum JournalVerb {
    /// Read every file to its end: checksums, order, nothing missing, every record and checkpoint readable
    Verify,
    /// Show records as they are, one a line
    Dump(Dump),
    /// Count records by kind, and tell of the files
    Stats,
}

/// Which records.
#[derive(Debug, Args)]
pub struct Dump {
    /// The first one; without it the oldest that is there
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// The last one
    #[arg(long, value_name = "POSITION", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// Only of this kind, such as Credited
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(record::KINDS), hide_possible_values = true)]
    kind: Option<String>,
}

/// Which store, and for whom the result is.
#[derive(Debug, Args)]
pub struct Files {
    /// The configuration file, which names the store
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The store's directory, in place of the configuration's
    #[arg(long, value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

impl Files {
    fn checked(&self) -> anyhow::Result<check::CheckReport> {
        check::check(self.config.as_deref(), &SystemEnvironment)
            .map_err(|problems| anyhow::anyhow!(problems.join("\n")))
    }

    /// The store's directory, and its files, to be read.
    fn look(&self) -> anyhow::Result<(PathBuf, FileDisk)> {
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => self.checked()?.config.store_directory(),
        };
        anyhow::ensure!(directory.is_dir(), "{}: no directory, so no store", directory.display());
        Ok((directory.clone(), FileDisk::look(directory)))
    }
}

/// Runs a verb of `journal`.
///
/// # Errors
/// There is no store, or something in it is damaged or missing: which file, where, and what was expected.
pub fn run(files: &Files, verb: &JournalVerb, out: &mut dyn io::Write) -> anyhow::Result<()> {
    let (directory, disk) = files.look()?;
    let out = &mut Output::new(out, files.json);
    let done = unless_closed(match verb {
        JournalVerb::Verify => verify_files(&disk, out),
        JournalVerb::Dump(which) => dump(&disk, which, out),
        JournalVerb::Stats => stats(&disk, out),
    });
    let settings = app::settings(&Config::default());
    done.with_context(|| directory.display().to_string()).map_err(|error| with_way_out(error, &directory, settings))
}

/// Damage is told with what is whole, and how that comes back.
pub(super) fn with_way_out(error: anyhow::Error, directory: &Path, settings: Settings) -> anyhow::Error {
    let recovery = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(InspectError::Recovery(error)), _) | (_, Some(CopyError::Recovery(error))) => Some(error),
        _ => None,
    };
    let read: Option<&JournalError> = error.downcast_ref();
    let is_damage = recovery.is_some_and(RecoveryError::is_damage) || read.is_some_and(JournalError::is_damage);
    if !is_damage {
        return error;
    }
    let damaged = recovery.map_or_else(|| read.and_then(JournalError::damaged_file), RecoveryError::damaged_file);
    let way = way_out(damaged, &FileDisk::look(directory), settings, directory);
    anyhow::anyhow!("{error:#}\n{way}")
}

/// Runs `verify`: recovers the store in memory, by two ways where there are two, and checks all invariants.
///
/// # Errors
/// Something is damaged, missing or not consistent.
pub fn verify(files: &Files, out: &mut dyn io::Write) -> anyhow::Result<()> {
    let checked = files.checked()?;
    let (directory, disk) = files.look()?;
    let progress = |records| complain(format_args!("{records} records applied"));
    let settings = app::settings(&checked.config);
    let found = inspect(&disk, settings, &checked.catalog, progress)
        .with_context(|| directory.display().to_string())
        .map_err(|error| with_way_out(error, &directory, settings))?;
    let currency = checked.catalog.currency();
    Output::new(out, files.json).object(|| inspection_json(&found, currency), || inspection_text(&found, currency))?;
    Ok(())
}

fn inspection_json(found: &Inspection, currency: Currency) -> serde_json::Value {
    let money = micros_of;
    json!({
        "ok": true,
        "partitions": found.partitions,
        "checkpoints": found.checkpoints.iter().map(|position| position.0).collect::<Vec<_>>(),
        "oldest": found.oldest.0,
        "last": found.last.0,
        "torn_tail": found.torn_tail.as_ref().map(torn_json),
        "replayed": found.replayed,
        "accounts": found.accounts,
        "sessions": found.sessions,
        "currency": currency.to_string(),
        "credited": money(found.credited),
        "debited": money(found.debited),
        "balances": money(found.balances),
        "reserved": money(found.reserved),
        "compared_from": found.compared_from.map(|position| position.0),
    })
}

fn inspection_text(found: &Inspection, currency: Currency) -> String {
    let mut text = format!(
        "consistent: {} accounts, {} running sessions in {} partitions\n\
         money: {} came in - {} charged = {} {currency} in buckets, {} of it reserved\n\
         journal: records {} to {}; {} applied",
        found.accounts,
        found.sessions,
        found.partitions,
        micros_of(found.credited),
        micros_of(found.debited),
        micros_of(found.balances),
        micros_of(found.reserved),
        found.oldest,
        found.last,
        found.replayed
    );
    match (found.checkpoints.last(), found.compared_from) {
        (None, _) => text.push_str("\nno checkpoint yet"),
        (Some(newest), None) => text.push_str(&format!("\nfrom the checkpoint at {newest}")),
        (Some(newest), Some(Position::ZERO)) => {
            text.push_str(&format!("\nthe same from the checkpoint at {newest} as from the first record on"));
        }
        (Some(newest), Some(older)) => {
            text.push_str(&format!("\nthe same from the checkpoint at {newest} as from the one at {older}"));
        }
    }
    if let Some(torn) = &found.torn_tail {
        text.push_str(&format!("\n{}", torn_text(torn)));
    }
    text
}

fn verify_files(disk: &FileDisk, out: &mut Output<'_>) -> anyhow::Result<()> {
    let meta = Meta::look(disk)?;
    let mut chunks = 0u64;
    let mut checkpoints = Vec::new();
    for mut reader in checkpoint::all(disk)? {
        let mut chunk = Vec::new();
        while reader.next_chunk(&mut chunk)? {
            chunks += 1;
        }
        checkpoints.push(reader.position());
    }
    let journal = Look::open(disk)?;
    if let Some(newest) = checkpoints.last().filter(|newest| journal.last() < **newest) {
        anyhow::bail!(
            "the journal ends with record {}, before the checkpoint at {newest}: files are missing",
            journal.last()
        );
    }
    let oldest_needed = checkpoints.first().copied().unwrap_or_default().next();
    anyhow::ensure!(
        journal.oldest() <= oldest_needed,
        "the journal begins with record {}, but record {oldest_needed} is needed: files are missing",
        journal.oldest()
    );
    let mut records = 0u64;
    each_record(&journal, Position(journal.oldest().0 - 1), |position, bytes| {
        record::decode_audited(bytes).map_err(|error| JournalError::rejected(position, error))?;
        records += 1;
        Ok(())
    })?;
    let files = journal.files().count();
    let torn = journal.torn_tail();
    out.object(
        || {
            json!({
                "ok": true, "format": meta.format, "partitions": meta.partitions, "segments": files, "records": records,
                "oldest": journal.oldest().0, "last": journal.last().0, "torn_tail": torn.map(torn_json),
                "checkpoints": checkpoints.iter().map(|position| position.0).collect::<Vec<_>>(), "chunks": chunks,
            })
        },
        || {
            let at: Vec<String> = checkpoints.iter().map(ToString::to_string).collect();
            let checkpoints = match at.is_empty() {
                true => "no checkpoint yet".to_owned(),
                false => format!("checkpoints at {} whole ({chunks} chunks)", at.join(" and ")),
            };
            let torn = torn.map(|torn| format!("\n{}", torn_text(torn))).unwrap_or_default();
            format!(
                "whole: {records} records, {} to {}, in {files} segments\n{checkpoints}{torn}",
                journal.oldest(),
                journal.last()
            )
        },
    )?;
    Ok(())
}

fn dump(disk: &FileDisk, which: &Dump, out: &mut Output<'_>) -> anyhow::Result<()> {
    let journal = Look::open(disk)?;
    let from = which.from.unwrap_or(journal.oldest().0).max(1);
    let end = "the last one asked for";
    let done = journal.read(Position(from - 1), &mut |position, bytes| {
        if position.0 > which.to {
            return Err(JournalError::rejected(position, end));
        }
        let record = record::describe(bytes).map_err(|error| JournalError::rejected(position, error))?;
        if which.kind.as_ref().is_some_and(|kind| *kind != record.kind) {
            return Ok(());
        }
        let at = record.at.to_string();
        let written = out.object(
            || {
                json!({
                    "position": position.0, "at": at, "partition": record.partition, "kind": record.kind,
                    "by": record.by, "fields": record.fields, "record": hex(bytes),
                })
            },
            || {
                let by = record.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                format!("{position} {at} partition {} {} {}{by}", record.partition, record.kind, record.fields)
            },
        );
        written.map_err(|error| JournalError::rejected(position, error))
    });
    match done {
        Err(JournalError::Rejected { position, .. }) if position.0 > which.to => Ok(()),
        // Whoever read the output has seen enough.
        Err(JournalError::Rejected { source, .. }) if source.is::<io::Error>() => Err(source
            .downcast::<io::Error>()
            .map_or_else(|it| anyhow::anyhow!(it), |error| anyhow::Error::new(*error))),
        done => Ok(done?),
    }
}

#[derive(Default)]
struct Kind {
    records: u64,
    bytes: u64,
}

fn stats(disk: &FileDisk, out: &mut Output<'_>) -> anyhow::Result<()> {
    let journal = Look::open(disk)?;
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    let mut span: Option<(Timestamp, Timestamp)> = None;
    each_record(&journal, Position(journal.oldest().0 - 1), |position, bytes| {
        let record = record::describe(bytes).map_err(|error| JournalError::rejected(position, error))?;
        let kind = kinds.entry(record.kind).or_default();
        kind.records += 1;
        kind.bytes += bytes.len() as u64;
        let (first, last) = span.unwrap_or((record.at, record.at));
        span = Some((first.min(record.at), last.max(record.at)));
        Ok(())
    })?;
    let checkpoints = checkpoint::all(disk)?;
    let sizes: Vec<(u64, u64)> = checkpoints.iter().map(|it| (it.position().0, it.bytes())).collect();
    let files: Vec<SegmentFile> = journal.files().collect();
    let (first, last) = span.map_or_else(Default::default, |(first, last)| (first.to_string(), last.to_string()));
    out.object(
        || {
            let kinds: BTreeMap<_, _> = kinds
                .iter()
                .map(|(kind, it)| (*kind, json!({ "records": it.records, "bytes": it.bytes })))
                .collect();
            json!({
                "oldest": journal.oldest().0, "last": journal.last().0, "from": first, "to": last, "kinds": kinds,
                "segments": files.iter().map(|it| json!({ "file": it.name, "first": it.first.0, "bytes": it.bytes })).collect::<Vec<_>>(),
                "checkpoints": sizes.iter().map(|(at, bytes)| json!({ "position": at, "bytes": bytes })).collect::<Vec<_>>(),
            })
        },
        || {
            let mut text = format!("records {} to {}, {first} to {last}\n", journal.oldest(), journal.last());
            for (kind, it) in &kinds {
                text.push_str(&format!(
                    "{kind:<22} {:>12} records {:>14} bytes, {:>6} each\n",
                    it.records,
                    it.bytes,
                    it.bytes / it.records.max(1)
                ));
            }
            for file in &files {
                text.push_str(&format!("{} from record {}, {} bytes\n", file.name, file.first, file.bytes));
            }
            for (at, bytes) in &sizes {
                text.push_str(&format!("checkpoint at record {at}, {bytes} bytes\n"));
            }
            text.pop();
            text
        },
    )?;
    Ok(())
}

fn each_record(
    journal: &Look<FileDisk>,
    after: Position,
    mut visit: impl FnMut(Position, &[u8]) -> Result<(), JournalError>,
) -> anyhow::Result<()> {
    let mut read = 0u64;
    journal.read(after, &mut |position, bytes| {
        visit(position, bytes)?;
        read += 1;
        if read.is_multiple_of(PROGRESS_EVERY) {
            complain(format_args!("{read} records read"));
        }
        Ok(())
    })?;
    Ok(())
}

fn torn_json(torn: &TornTail) -> serde_json::Value {
    json!({ "file": torn.file, "offset": torn.offset, "bytes": torn.bytes })
}

fn torn_text(torn: &TornTail) -> String {
    format!(
        "{}: {} bytes from byte {} on are no whole batch: a crash interrupted it, or it is being written; nothing in it was \
         answered, and a start cuts it off",
        torn.file, torn.bytes, torn.offset
    )
}

/// Sums over all accounts may be larger than any account's money.
fn micros_of(micros: i128) -> String {
    match i64::try_from(micros) {
        Ok(micros) => Money::from_micros(micros).to_string(),
        Err(_) => format!("{micros} micro-units"),
    }
}
