//! Reading files of lines: by their writer after a start, and by anyone beside it.

use std::{io::IoSlice, ops::ControlFlow};

use super::{Cursor, LineKind};
use crate::{
    journal::{Disk, DiskFile, JournalError, Position},
    time::Timestamp,
};

/// Octets read at a time.
const PIECE: usize = 1 << 20;

/// Reads lines beside their writer.
#[derive(Debug)]
pub struct LineReader<'d, D: Disk> {
    disk: &'d D,
    kind: LineKind,
}

impl<'d, D: Disk> LineReader<'d, D> {
    /// Of these files.
    pub fn new(disk: &'d D, kind: LineKind) -> Self {
        Self { disk, kind }
    }

    /// Names of all files, oldest first.
    pub fn names(&self) -> Result<Vec<String>, JournalError> {
        let names = self.disk.list().map_err(JournalError::io(self.kind.stem))?;
        let mut found: Vec<_> =
            names.into_iter().filter_map(|name| Some((first_of(&self.kind, &name)?, name))).collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// Visits lines after a cursor, in order, headers left out, until the visitor breaks off. A last line that is not
    /// complete is left out. Returns how many files were read.
    ///
    /// # Errors
    /// The disk refused, or a line is none of these.
    pub fn visit(
        &self,
        after: Option<Cursor>,
        visit: &mut dyn FnMut(&str, Cursor, &str) -> ControlFlow<()>,
    ) -> Result<usize, JournalError> {
        let names = self.names()?;
        // Files whose successor begins at or before the line that is wanted have nothing of it.
        let begins = |name: &String| first_of(&self.kind, name);
        let skipped = names.iter().skip(1).take_while(|next| after.is_some() && begins(next) <= after).count();
        let mut read = 0;
        for name in &names[skipped..] {
            read += 1;
            if self.visit_file(name, after, visit)?.is_break() {
                break;
            }
        }
        Ok(read)
    }

    /// Copies all files to another directory, but for lines that follow from records after a position. Returns how many
    /// lines that were.
    ///
    /// # Errors
    /// A disk refused, or a line is none of these.
    pub fn copy_to<T: Disk>(&self, to: &T, last: Position) -> Result<u64, JournalError> {
        let mut copied = 0;
        for name in self.names()? {
            let mut text = self.header_of(&name)?;
            let mut lines = 0;
            let ended = self.visit_file(&name, None, &mut |_, cursor, line| {
                if cursor.position > last {
                    return ControlFlow::Break(());
                }
                text.push_str(line);
                text.push('\n');
                lines += 1;
                ControlFlow::Continue(())
            })?;
            if lines > 0 {
                let write = || {
                    let file = to.create(&name)?;
                    file.write_all_at(0, &mut [IoSlice::new(text.as_bytes())])?;
                    file.sync_data()
                };
                write().map_err(JournalError::io(&name))?;
            }
            copied += lines;
            if ended.is_break() {
                break;
            }
        }
        to.sync_dir().map_err(JournalError::io(self.kind.stem))?;
        Ok(copied)
    }

    /// A file's own first line, with its end, if it has one: it may be from before there were more columns.
    fn header_of(&self, name: &str) -> Result<String, JournalError> {
        if self.kind.header.is_none() {
            return Ok(String::new());
        }
        let mut piece = vec![0; PIECE];
        let file = self.disk.open(name).map_err(JournalError::io(name))?;
        let length = file.read_full_at(0, &mut piece).map_err(JournalError::io(name))?;
        let end = piece[..length].iter().position(|octet| *octet == b'\n').map_or(length, |end| end + 1);
        Ok(String::from_utf8_lossy(&piece[..end]).into_owned())
    }

    fn visit_file(
        &self,
        name: &str,
        after: Option<Cursor>,
        visit: &mut dyn FnMut(&str, Cursor, &str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, JournalError> {
        let file = self.disk.open(name).map_err(JournalError::io(name))?;
        let (mut offset, mut rest, mut number) = (0u64, Vec::new(), 0u64);
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read_full_at(offset, &mut piece).map_err(JournalError::io(name))?;
            rest.extend_from_slice(&piece[..length]);
            let mut begin = 0;
            while let Some(end) = rest[begin..].iter().position(|octet| *octet == b'\n').map(|end| begin + end) {
                number += 1;
                let line = &rest[begin..end];
                begin = end + 1;
                match (
                    std::str::from_utf8(line).ok().and_then(|line| Some((cursor_of(&self.kind, line)?, line))),
                    number,
                ) {
                    (Some((cursor, line)), _) if Some(cursor) > after => {
                        if visit(name, cursor, line).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    (Some(_), _) => {}
                    (None, 1) if self.kind.header.is_some() => {}
                    (None, _) => {
                        let at = offset + length as u64 - (rest.len() - (begin - line.len() - 1)) as u64;
                        return Err(JournalError::corrupt(name, at, format!("a line with a cursor as line {number}")));
                    }
                }
            }
            rest.drain(..begin);
            offset += length as u64;
            if length < PIECE {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }
}

/// What is whole of a file: complete lines in order, up to a cursor if that is known.
pub(super) struct Whole {
    /// Octets.
    pub(super) length: usize,
    /// The last line; and whether the file is one that this version writes on. `None` = there is no line.
    pub(super) last: Option<((Cursor, String), bool)>,
}

pub(super) fn whole_lines(kind: &LineKind, bytes: &[u8], known: Option<Cursor>) -> Whole {
    let mut whole = Whole { length: 0, last: None };
    let mut last: Option<(Cursor, &str)> = None;
    let (mut begin, mut is_ours) = (0, kind.header.is_none());
    while let Some(end) = bytes[begin..].iter().position(|octet| *octet == b'\n').map(|end| begin + end) {
        // What a lost write leaves is zeros, which no line has.
        let line = std::str::from_utf8(&bytes[begin..end]).ok().filter(|line| !line.contains('\0'));
        let is_header = begin == 0 && kind.header.is_some();
        let line = line.filter(|line| is_header || (kind.is_whole)(line));
        let Some(line) = line else { break };
        match cursor_of(kind, line) {
            Some(cursor) => {
                if last.is_some_and(|(last, _)| cursor <= last) || known.is_some_and(|known| cursor > known) {
                    break;
                }
                last = Some((cursor, line));
            }
            None if begin == 0 && kind.header.is_some() => is_ours = kind.header.as_deref() == Some(line),
            None => break,
        }
        begin = end + 1;
        whole.length = begin;
    }
    whole.last = last.map(|(cursor, line)| ((cursor, line.to_owned()), is_ours));
    whole
}

/// Whether what comes behind the whole lines of a file is damage. What a crash leaves has zeros in it or no end, and is of
/// records after those whose lines are known to have been durable.
pub(super) fn is_damage(kind: &LineKind, rest: &[u8], durable: Position) -> bool {
    rest.split_inclusive(|octet| *octet == b'\n').any(|line| {
        let text = String::from_utf8_lossy(line);
        let cursor = cursor_of(kind, &text);
        // A whole line may come behind a torn one: sectors are written in any order.
        let is_torn = || text.strip_suffix('\n').is_none_or(|text| text.contains('\0') || (kind.is_whole)(text));
        cursor.is_some_and(|cursor| cursor.position <= durable) || !is_torn()
    })
}

/// The whole of a file.
pub(super) fn all_of<D: Disk>(disk: &D, name: &str) -> Result<Vec<u8>, JournalError> {
    let file = disk.open(name).map_err(JournalError::io(name))?;
    let length = file.length().map_err(JournalError::io(name))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_full_at(0, &mut bytes).map_err(JournalError::io(name))?;
    bytes.truncate(read);
    Ok(bytes)
}

/// `usage-<position>-<index>-<date and time>.jsonl`: names are in the order of their lines.
pub(super) fn name_of(kind: &LineKind, first: Cursor, at: Timestamp) -> String {
    let date: String = at.to_string().chars().take(19).filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{}-{:020}-{:010}-{date}Z.{}", kind.stem, first.position.0, first.index, kind.extension)
}

fn parts_of<'n>(kind: &LineKind, name: &'n str) -> Option<[&'n str; 3]> {
    let middle = name.strip_prefix(kind.stem)?.strip_prefix('-')?.strip_suffix(kind.extension)?.strip_suffix("Z.")?;
    let mut parts = middle.split('-');
    let parts = [parts.next()?, parts.next()?, parts.next()?];
    (parts.map(str::len) == [20, 10, 15]).then_some(parts)
}

/// The cursor of its first line, by its name.
fn first_of(kind: &LineKind, name: &str) -> Option<Cursor> {
    let [position, index, _] = parts_of(kind, name)?;
    Some(Cursor::new(Position(position.parse().ok()?), index.parse().ok()?))
}

/// When it was begun, by its name.
pub(super) fn at_of(kind: &LineKind, name: &str) -> Timestamp {
    let moment = |date: &str| -> Option<u64> {
        let number = |from: usize, to: usize| date.get(from..to)?.parse::<u64>().ok();
        let days = days_of(number(0, 4)?, number(4, 6)?, number(6, 8)?);
        Some(days * 86_400 + number(9, 11)? * 3_600 + number(11, 13)? * 60 + number(13, 15)?)
    };
    let secs = parts_of(kind, name).and_then(|[_, _, date]| moment(date));
    Timestamp::from_secs(secs.unwrap_or(0))
}

/// Days from 1970-01-01, the reverse of what `Timestamp` writes.
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day.saturating_sub(1);
    (era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year).saturating_sub(719_468)
}

/// The cursor that a line begins with: `{"cursor":"4711.0",` or `4711.0,`.
fn cursor_of(kind: &LineKind, line: &str) -> Option<Cursor> {
    let (begin, end) = if kind.header.is_none() { ("{\"cursor\":\"", "\"") } else { ("", ",") };
    line.strip_prefix(begin)?.split_once(end)?.0.parse().ok()
}
