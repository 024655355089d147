//! The audit trail: a line for each change by a caller and each refusal, chained by hashes.
//!
//! A line ends with the hash of the line before (`prev`) and its own (`hash`): SHA-256 over its octets up to `,"hash":`,
//! written in hexadecimal. The first line's `prev` is 64 zeros. Whoever changes, removes or inserts a line breaks the
//! chain, unless he rewrites all that follows; against that, and against a tail that is cut off, the last hash is told by
//! the server and kept in its checkpoints.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AuditHead, Cursor, Disk, JournalError, LineKind, LineReader, Position, Rotation, Sink, hex};
use crate::{
    journal::{
        FileDisk,
        lines::{Line, LineFiles},
        record::Audit,
    },
    time::Timestamp,
};

const STEM: &str = "audit";
/// What comes after that part of a line which is hashed.
const HASH: &str = ",\"hash\":\"";

pub(super) fn kind() -> LineKind {
    LineKind { stem: STEM, extension: "jsonl", header: None, is_whole }
}

/// A line of the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Grows strictly.
    pub cursor: String,
    /// Counts the lines of the trail, from 1.
    pub line: u64,
    /// When, UTC.
    pub at: String,
    /// Who: the authenticated name.
    pub name: String,
    /// In which role.
    pub role: String,
    /// From which address.
    pub address: String,
    /// By which call.
    pub method: String,
    /// What it was about.
    pub target: String,
    /// Why, in the caller's words.
    pub reason: String,
    /// Why it was refused; empty = it was done.
    pub refusal: String,
    /// What was there before of that which is different now.
    pub before: Value,
    /// What is there now.
    pub after: Value,
    /// Who has approved it, where a second person had to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub approved_by: String,
    /// The bulk change that it is part of, and its number there, such as `7/12`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bulk: String,
    /// The hash of the line before.
    pub prev: String,
    /// The hash of this line.
    #[serde(skip_serializing, default)]
    pub hash: String,
}

impl AuditLine {
    fn new(cursor: Cursor, audit: &Audit, head: Option<AuditHead>) -> Self {
        let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        Self {
            cursor: cursor.to_string(),
            line: head.map_or(0, |head| head.lines) + 1,
            at: audit.at.to_string(),
            name: audit.name.to_string(),
            role: audit.role.to_string(),
            address: audit.address.to_string(),
            method: audit.method.to_string(),
            target: audit.target.to_string(),
            reason: audit.reason.to_string(),
            refusal: audit.refusal.to_string(),
            before: json(&audit.before),
            after: json(&audit.after),
            approved_by: audit.bulk.as_ref().map_or_else(String::new, |item| item.approver.to_string()),
            bulk: audit.bulk.as_ref().map_or_else(String::new, |item| format!("{}/{}", item.bulk, item.item)),
            prev: hex(&head.map_or([0; 32], |head| head.hash)),
            hash: String::new(),
        }
    }

    /// The line as it is written, and its hash.
    fn seal(&self) -> (String, [u8; 32]) {
        // Text, numbers and objects of them: nothing that JSON could not hold.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.pop();
        let hash = hash_of(&text);
        text.push_str(HASH);
        text.push_str(&hex(&hash));
        text.push_str("\"}");
        (text, hash)
    }
}

fn hash_of(text: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    // SHA-256 has 32 octets.
    digest.as_ref().try_into().unwrap_or([0; 32])
}

/// Whether a line fits its own hash.
fn is_whole(text: &str) -> bool {
    text.rsplit_once(HASH).is_some_and(|(content, end)| end == format!("{}\"}}", hex(&hash_of(content))))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let octets = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    octets.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Writes the trail.
pub(super) struct AuditSink<D: Disk> {
    files: LineFiles<D>,
    head: Option<AuditHead>,
    /// A checkpoint had this already: what a replay makes of it is not written again.
    had: Option<Cursor>,
}

impl<D: Disk> AuditSink<D> {
    /// Opens the files. `known` = the end of the trail as a checkpoint knew it: what is missing up to there is gone, and the
    /// trail goes on from it, so that whoever verifies sees the gap. Returns how many lines are missing.
    pub(super) fn open(disk: &D, rotation: Rotation, known: Option<AuditHead>) -> Result<(Self, u64), JournalError> {
        let durable = known.map_or(Position::ZERO, |known| known.position);
        let files = LineFiles::open(disk.clone(), kind(), rotation, durable)?;
        let head = files.last_line().map(head_of).transpose()?;
        let lines = |head: Option<AuditHead>| head.map_or(0, |head| head.lines);
        let missing = lines(known).saturating_sub(lines(head));
        let head = if missing > 0 { known } else { head };
        let had = known.map(|known| Cursor::new(known.position, 0)).max(files.last());
        Ok((Self { files, head, had }, missing))
    }

    pub(super) fn head(&self) -> Option<AuditHead> {
        self.head
    }
}

impl<D: Disk> Sink<Audit> for AuditSink<D> {
    fn write(&mut self, items: &[(Cursor, Audit)]) -> Result<(), JournalError> {
        let (mut head, mut lines, mut heads) = (self.head, Vec::new(), Vec::new());
        for (cursor, audit) in items.iter().filter(|(cursor, _)| Some(*cursor) > self.had) {
            let line = AuditLine::new(*cursor, audit, head);
            let (text, hash) = line.seal();
            head = Some(AuditHead { position: cursor.position, lines: line.line, hash });
            lines.push(Line { cursor: *cursor, at: audit.at, text });
            heads.push((*cursor, head));
        }
        let written = self.files.write(&lines);
        // After an error some of the lines may be there: the chain goes on from the last of those.
        if let Some((cursor, head)) = heads.into_iter().rfind(|(cursor, _)| Some(*cursor) <= self.files.last()) {
            (self.head, self.had) = (head, Some(cursor));
        }
        written
    }

    fn last(&self) -> Option<Cursor> {
        self.had
    }
}

/// What follows from the last line for the next.
fn head_of(text: &str) -> Result<AuditHead, JournalError> {
    let line: Option<AuditLine> = serde_json::from_str(text).ok();
    let head = line.and_then(|line| {
        let cursor: Cursor = line.cursor.parse().ok()?;
        Some(AuditHead { position: cursor.position, lines: line.line, hash: from_hex(&line.hash)? })
    });
    let why = || JournalError::Io {
        file: "the audit trail".to_owned(),
        source: std::io::Error::other("its last line is none"),
    };
    head.ok_or_else(why)
}

/// Which lines are wanted; `None` = any.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this caller.
    pub name: Option<String>,
    /// By this call.
    pub method: Option<String>,
    /// About this, such as `account 5`.
    pub target: Option<String>,
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Only calls that were refused.
    pub refused: bool,
}

impl AuditFilter {
    fn takes(&self, line: &AuditLine) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        is(&self.name, &line.name)
            && is(&self.method, &line.method)
            && is(&self.target, &line.target)
            && self.from.is_none_or(|from| line.at >= from.to_string())
            && self.to.is_none_or(|to| line.at < to.to_string())
            && (!self.refused || !line.refusal.is_empty())
    }
}

/// A whole trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Lines in its files.
    pub lines: u64,
    /// Files.
    pub files: usize,
    /// Cursor of the last line; empty if there is none.
    pub cursor: String,
    /// Its hash, in hexadecimal; of an empty trail 64 zeros.
    pub hash: String,
}

/// Where a trail is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line that is none, or the disk refused.
    #[error("{0}")]
    Unreadable(String),
    /// Its hash is not that of its content.
    #[error("{file}: line {line} (cursor {cursor}) was changed: its hash is not that of its content")]
    Changed {
        /// The file.
        file: String,
        /// The number that the line says it has.
        line: u64,
        /// Its cursor.
        cursor: String,
    },
    /// Lines before it are missing.
    #[error("{file}: line {found} follows where line {expected} should be: {} missing", .found.saturating_sub(*.expected))]
    Missing {
        /// The file.
        file: String,
        /// The number that comes next.
        expected: u64,
        /// The number of the line that is there.
        found: u64,
    },
    /// It does not follow the line before it.
    #[error("{file}: line {line} (cursor {cursor}) does not follow the line before it: that was replaced")]
    Unchained {
        /// The file.
        file: String,
        /// The number of the line.
        line: u64,
        /// Its cursor.
        cursor: String,
    },
    /// The trail ends before a line that is known, or with another one.
    #[error(
        "the trail does not have line {line} with the hash {hash}, which the server has written: it ends with line {last}"
    )]
    Cut {
        /// The number of the known line.
        line: u64,
        /// Its hash.
        hash: String,
        /// The last line that is there.
        last: u64,
    },
}

/// Files of the audit trail, for reading.
#[derive(Debug, Clone)]
pub struct AuditTrail<D: Disk = FileDisk> {
    disk: D,
}

impl AuditTrail {
    /// That in a directory, whether or not a server writes to it.
    pub fn look(directory: &std::path::Path) -> Self {
        Self { disk: FileDisk::look(directory) }
    }
}

impl<D: Disk> AuditTrail<D> {
    pub(super) fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Lines after a cursor, at most `limit`, and whether there may be more.
    ///
    /// # Errors
    /// The disk refused, or there is a line that is none.
    pub fn page(
        &self,
        filter: &AuditFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<AuditLine>, bool), JournalError> {
        let (mut found, mut more, mut bad) = (Vec::new(), false, None);
        LineReader::new(&self.disk, kind()).visit(after, &mut |file, cursor, text| {
            match serde_json::from_str::<AuditLine>(text) {
                Ok(line) if filter.takes(&line) => {
                    more = found.len() == limit;
                    if more {
                        return ControlFlow::Break(());
                    }
                    found.push(line);
                }
                Ok(_) => {}
                Err(error) => {
                    bad = Some(JournalError::rejected(cursor.position, format!("{file}: {error}")));
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        bad.map_or(Ok((found, more)), Err)
    }

    /// Verifies the chain over all files. `known` = number and hash (hexadecimal) of a line that was written, as the server
    /// or somebody's notes tell: a trail whose end was cut off is whole but for that.
    ///
    /// # Errors
    /// The first place that is not as it was written.
    pub fn verify(&self, known: Option<(u64, &str)>) -> Result<Verified, Broken> {
        let mut verified = Verified { lines: 0, files: 0, cursor: String::new(), hash: hex(&[0; 32]) };
        let (mut broken, mut met) = (None, known.is_none_or(|(line, _)| line == 0));
        let visited =
            LineReader::new(&self.disk, kind()).visit(None, &mut |file, _, text| match follow(&verified, file, text) {
                Ok(line) => {
                    met |= known.is_some_and(|(number, hash)| (line.line, &*line.hash) == (number, hash));
                    (verified.lines, verified.cursor, verified.hash) = (line.line, line.cursor, line.hash);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            });
        verified.files = visited.map_err(|error| Broken::Unreadable(error.to_string()))?;
        if let Some(broken) = broken {
            return Err(broken);
        }
        match known {
            Some((line, hash)) if !met => Err(Broken::Cut { line, hash: hash.to_owned(), last: verified.lines }),
            _ => Ok(verified),
        }
    }
}

/// The next line of a chain, if it is that.
fn follow(before: &Verified, file: &str, text: &str) -> Result<AuditLine, Broken> {
    let unreadable =
        || Broken::Unreadable(format!("{file}: after line {}: this is no line of the trail: {text}", before.lines));
    let line: AuditLine = serde_json::from_str(text).map_err(|_| unreadable())?;
    let (content, _) = text.rsplit_once(HASH).ok_or_else(unreadable)?;
    let (file, cursor) = (file.to_owned(), line.cursor.clone());
    if hex(&hash_of(content)) != line.hash {
        return Err(Broken::Changed { file, line: line.line, cursor });
    }
    if line.line != before.lines + 1 {
        return Err(Broken::Missing { file, expected: before.lines + 1, found: line.line });
    }
    if line.prev != before.hash {
        return Err(Broken::Unchained { file, line: line.line, cursor });
    }
    Ok(line)
}
