//! A segment: one file of the log, named after its first record.

use super::{Disk, DiskFile, JournalError, Position};

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment<F> {
    /// The position of its first record, which is also its identity: part of every checksum in it.
    pub(super) first: Position,
    pub(super) name: String,
    pub(super) file: F,
    pub(super) length: u64,
}

pub(super) fn name_of(first: Position) -> String {
    format!("journal-{:020}.log", first.0)
}

pub(super) fn first_of(name: &str) -> Option<Position> {
    numbered(name, "journal-", ".log").map(Position)
}

/// The number in a name of twenty digits between a beginning and an end.
pub(super) fn numbered(name: &str, beginning: &str, end: &str) -> Option<u64> {
    let digits = name.strip_prefix(beginning)?.strip_suffix(end)?;
    (digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Every segment there is, oldest first.
pub(super) fn open_all<D: Disk>(disk: &D) -> Result<Vec<Segment<D::File>>, JournalError> {
    let names = disk.list().map_err(JournalError::io("the journal's directory"))?;
    let mut segments = Vec::new();
    for name in names {
        let Some(first) = first_of(&name) else { continue };
        segments.push(Segment::open(disk, name, first)?);
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

impl<F: DiskFile> Segment<F> {
    pub(super) fn open<D: Disk<File = F>>(disk: &D, name: String, first: Position) -> Result<Self, JournalError> {
        let file = disk.open(&name).map_err(JournalError::io(&name))?;
        let length = file.length().map_err(JournalError::io(&name))?;
        Ok(Self { first, name, file, length })
    }
}
