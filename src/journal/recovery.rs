//! Finds the end of the log, and makes it a clean one.
//!
//! A batch is written only after the one before is durable. So a bad batch with no valid one behind it is a torn write,
//! was never promised to anybody, and is cut off. A bad batch with a valid one behind it was durable once: corruption. So
//! was all that is sealed, whatever comes behind it.

use std::io::{self, IoSlice};

use super::{
    DiskFile, Epoch, JournalError, Position,
    disk::zeros,
    scan::{Scan, Step},
    sealed,
    segment::Segment,
};

/// A write that a crash interrupted. No position in it was ever durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: String,
    /// Where the batch began.
    pub offset: u64,
    /// How many bytes were cut off, up to the last that was not zero. In a segment used before, what its former life
    /// left counts as well.
    pub bytes: u64,
}

impl TornTail {
    /// It was no write that a crash interrupted: something rests on records that were in it. `last` = the last record before
    /// it, `durable` = up to where it is known that there were some.
    pub(crate) fn lost(&self, last: Position, durable: Position) -> JournalError {
        sealed::lost(&self.file, self.offset, last, durable)
    }
}

/// Where the log ends.
pub(super) struct End {
    pub(super) offset: u64,
    pub(super) last: Position,
    pub(super) epoch: Epoch,
    pub(super) torn: Option<TornTail>,
    /// Where the last batch begins.
    last_batch: u64,
}

/// Walks the last segment to its end and erases what is behind it, so that nothing there can come back to life.
pub(super) fn find_end<F: DiskFile>(segment: &Segment<F>, sealed: Position) -> Result<End, JournalError> {
    let end = look_for_end(segment, sealed)?;
    let settle = || {
        write_again(segment, end.last_batch, end.offset)?;
        remains(segment, end.offset, |offset, length| {
            segment.file.write_all_at(offset, &mut [IoSlice::new(zeros(length))])
        })?;
        segment.file.sync_data()
    };
    settle().map_err(JournalError::io(&segment.name))?;
    Ok(end)
}

/// Walks the last segment to its end and leaves everything as it is. Somebody may write meanwhile: then the end is where it
/// was at some moment.
pub(super) fn look_for_end<F: DiskFile>(segment: &Segment<F>, sealed: Position) -> Result<End, JournalError> {
    let mut scan = Scan::new(segment, Epoch(0));
    let mut last_batch = 0;
    // Where a batch was found behind the place where the walk ended.
    let mut later: Option<(u64, u64)> = None;
    let clean = loop {
        let offset = scan.offset;
        let (clean, expected) = match scan.step()? {
            Step::Batch { .. } => {
                last_batch = offset;
                continue;
            }
            Step::End { clean, expected } => (clean, expected),
        };
        if let Some((at, later)) = later.filter(|(at, _)| *at == offset) {
            let expected = format!("{expected}, and a valid batch follows at byte {later}");
            return Err(JournalError::corrupt(&segment.name, at, expected));
        }
        match scan.later_batch()? {
            None => break clean,
            // Whoever writes beside us may have written here since we looked: batches come one after the other.
            Some(found) => later = Some((offset, found)),
        }
        scan.look_again();
    };
    let last = Position(scan.next.0.saturating_sub(1));
    if last < sealed {
        return Err(sealed::lost(&segment.name, scan.offset, last, sealed));
    }
    let torn = || {
        let bytes = remains(segment, scan.offset, |_, _| Ok(())).map_err(JournalError::io(&segment.name))?;
        Ok(TornTail { file: segment.name.clone(), offset: scan.offset, bytes })
    };
    let torn = (!clean).then(torn).transpose()?;
    Ok(End { offset: scan.offset, last, epoch: scan.epoch, torn, last_batch })
}

/// Writes the last batch once more. The process may have died before its sync, or because of it: then the system holds it
/// in memory, perhaps for good, and what is read back is no proof that the disk has it.
fn write_again<F: DiskFile>(segment: &Segment<F>, mut from: u64, to: u64) -> io::Result<()> {
    let mut bytes = zeros(to - from).to_vec();
    while from < to {
        let wanted = bytes.len().min((to - from) as usize);
        let read = segment.file.read_full_at(from, &mut bytes[..wanted])?;
        if read == 0 {
            break;
        }
        segment.file.write_all_at(from, &mut [IoSlice::new(&bytes[..read])])?;
        from += read as u64;
    }
    Ok(())
}

/// Calls for each stretch from an offset on that holds something else than zeros. Returns how far from there the last such
/// byte is.
fn remains<F: DiskFile>(
    segment: &Segment<F>,
    from: u64,
    mut each: impl FnMut(u64, u64) -> io::Result<()>,
) -> io::Result<u64> {
    let (mut offset, mut extent) = (from, 0);
    let mut bytes = zeros(segment.length.saturating_sub(from)).to_vec();
    while offset < segment.length {
        let read = segment.file.read_full_at(offset, &mut bytes)?;
        if read == 0 {
            break;
        }
        if let Some(last) = bytes[..read].iter().rposition(|&byte| byte != 0) {
            extent = offset - from + last as u64 + 1;
            each(offset, read as u64)?;
        }
        offset += read as u64;
    }
    Ok(extent)
}
