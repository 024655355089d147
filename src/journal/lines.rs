//! Files of lines that follow from the journal: each line once, in the order of the journal, over any crash.
//!
//! A line carries its [`Cursor`], which only grows. What is lost is made again from the journal, and what is there already
//! is known by its cursor: so a file is never trusted further than it was synced, and its last lines may be cut at will.
//! Only the newest file is ever incomplete: the next one begins when all before it is durable.

use std::io::IoSlice;

use super::{Disk, DiskFile, JournalError, Position};
use crate::time::Timestamp;

mod cursor;
mod read;
#[cfg(test)]
mod tests;

pub use self::{cursor::Cursor, read::LineReader};

/// Which files: those of one stem and one extension in a directory.
#[derive(Debug, Clone)]
pub struct LineKind {
    /// What their names begin with.
    pub stem: &'static str,
    /// What their names end with.
    pub extension: &'static str,
    /// The first line of each file, if it has one: without a cursor and without its end.
    pub header: Option<String>,
    /// Whether a line is as it was written, as far as it tells by itself.
    pub is_whole: fn(&str) -> bool,
}

/// When the next file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file is not made longer than this, unless one line is.
    pub bytes: u64,
    /// A file holds no lines of two such spans of time, counted from 1970; 0 = whatever the time.
    pub secs: u64,
}

/// A line that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place.
    pub cursor: Cursor,
    /// The moment that decides which file it belongs to.
    pub at: Timestamp,
    /// The text, cursor included, without its end; no control characters.
    pub text: String,
}

/// The writer of such files. There must be one only.
#[derive(Debug)]
pub struct LineFiles<D: Disk> {
    disk: D,
    kind: LineKind,
    rotation: Rotation,
    current: Option<Current<D::File>>,
    /// The last line that is durable.
    last: Option<(Cursor, String)>,
    /// A sync has failed: nobody knows what the newest file holds after the last durable line.
    is_unsure: bool,
}

#[derive(Debug)]
struct Current<F> {
    name: String,
    file: F,
    length: u64,
    /// The span of time that its lines are of; of a file that was found, the one it was begun in.
    span: u64,
}

impl<D: Disk> LineFiles<D> {
    /// Finds the end of what was written; a torn end is cut off. Lines of records up to `durable` were all there once: they
    /// will not be made again.
    ///
    /// # Errors
    /// The disk refused, or the newest file is damaged in another way than a crash does it: nothing of it is changed.
    pub fn open(disk: D, kind: LineKind, rotation: Rotation, durable: Position) -> Result<Self, JournalError> {
        let mut files = Self { disk, kind, rotation, current: None, last: None, is_unsure: false };
        files.find_end(None, durable)?;
        Ok(files)
    }

    /// The cursor of the last line that is durable.
    pub fn last(&self) -> Option<Cursor> {
        self.last.as_ref().map(|(cursor, _)| *cursor)
    }

    /// That line.
    pub fn last_line(&self) -> Option<&str> {
        self.last.as_ref().map(|(_, line)| line.as_str())
    }

    /// Writes lines, in order, and returns when they are durable. Those up to the last one that is there are passed over.
    ///
    /// # Errors
    /// The disk refused. Some of the lines may be durable: asking again with the same ones goes on where that ended.
    pub fn write(&mut self, lines: &[Line]) -> Result<(), JournalError> {
        if self.is_unsure {
            self.find_end(self.last(), Position::ZERO)?;
            self.is_unsure = false;
        }
        let done = lines.partition_point(|line| Some(line.cursor) <= self.last());
        let mut rest = &lines[done..];
        while let Some(first) = rest.first() {
            if self.current.as_ref().is_none_or(|current| !self.fits(current, current.length, first)) {
                self.current = Some(self.begin(first)?);
            }
            // It has one by now, taken so that the rest of this can be asked.
            let Some(mut current) = self.current.take() else { break };
            let (mut text, mut count) = (String::new(), 0);
            for line in rest {
                if count > 0 && !self.fits(&current, current.length + text.len() as u64, line) {
                    break;
                }
                text.push_str(&line.text);
                text.push('\n');
                count += 1;
            }
            let text = text.as_bytes();
            let written = current.file.write_all_at(current.length, &mut [IoSlice::new(text)]).and_then(|()| {
                // Until the new end is durable, nothing is sure.
                self.is_unsure = true;
                current.file.sync_data()?;
                self.is_unsure = false;
                current.length += text.len() as u64;
                Ok(())
            });
            let written = written.map_err(JournalError::io(&current.name));
            // What was not written is written again at the same place, such as when the disk has room again.
            self.current = Some(current);
            written?;
            let (written, left) = rest.split_at(count);
            self.last = written.last().map(|line| (line.cursor, line.text.clone()));
            rest = left;
        }
        Ok(())
    }

    /// Whether a line belongs into a file that has this length by then.
    fn fits(&self, current: &Current<D::File>, length: u64, line: &Line) -> bool {
        // A clock that is a little behind another one's does not go back to an older file.
        length + (line.text.len() as u64) < self.rotation.bytes && self.span_of(line.at) <= current.span
    }

    fn span_of(&self, at: Timestamp) -> u64 {
        at.secs().checked_div(self.rotation.secs).unwrap_or(0)
    }

    /// A new file, for this line and those that follow.
    fn begin(&mut self, line: &Line) -> Result<Current<D::File>, JournalError> {
        let name = read::name_of(&self.kind, line.cursor, line.at);
        let io = || JournalError::io(&name);
        let file = self.disk.create(&name).map_err(io())?;
        self.is_unsure = true;
        self.disk.sync_dir().map_err(io())?;
        self.is_unsure = false;
        let mut length = 0;
        if let Some(header) = &self.kind.header {
            let header = format!("{header}\n");
            file.write_all_at(0, &mut [IoSlice::new(header.as_bytes())]).map_err(io())?;
            length = header.len() as u64;
        }
        Ok(Current { name, file, length, span: self.span_of(line.at) })
    }

    /// Finds the newest file with a whole line, up to a cursor where that is known, and puts what is whole of it in place
    /// of it. Files without one go. Everything is written anew: what is read may be in the system's memory only, and a
    /// sync that has failed once says nothing the second time.
    fn find_end(&mut self, known: Option<Cursor>, durable: Position) -> Result<(), JournalError> {
        self.current = None;
        let reader = LineReader::new(&self.disk, self.kind.clone());
        while let Some(name) = reader.names()?.pop() {
            let io = || JournalError::io(&name);
            let (bytes, span) = (read::all_of(&self.disk, &name)?, read::at_of(&self.kind, &name));
            let whole = read::whole_lines(&self.kind, &bytes, known);
            let rest = bytes.get(whole.length..).unwrap_or_default();
            if known.is_none() && read::is_damage(&self.kind, rest, durable) {
                let expected = "a whole line, and this is no unfinished write";
                return Err(JournalError::corrupt(&name, whole.length as u64, expected));
            }
            let Some((last, is_ours)) = whole.last else {
                self.disk.remove(&name).map_err(io())?;
                self.disk.sync_dir().map_err(io())?;
                continue;
            };
            let draft = format!("{name}.tmp");
            let file = self.disk.create(&draft).map_err(io())?;
            let kept = bytes.get(..whole.length).unwrap_or_default();
            let written = file.write_all_at(0, &mut [IoSlice::new(kept)]).and_then(|()| file.sync_data());
            if let Err(error) = written {
                // Where the disk is full, others need the room; the next try begins anew.
                let _ = self.disk.remove(&draft);
                return Err(io()(error));
            }
            self.disk.rename(&draft, &name).map_err(io())?;
            self.disk.sync_dir().map_err(io())?;
            self.last = Some(last);
            let span = self.span_of(span);
            // A file of another version's columns is not gone on with.
            self.current = is_ours.then_some(Current { name, file, length: whole.length as u64, span });
            return Ok(());
        }
        self.last = None;
        Ok(())
    }
}
