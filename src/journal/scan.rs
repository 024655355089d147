//! Walks the batches of one segment.

use std::io;

use super::{
    DiskFile, Epoch, JournalError, Position,
    batch::{HEADER, Header, split_record},
    disk::SECTOR,
    segment::Segment,
};

/// How much is read at once; large enough that a disk is read at full speed.
const READ_AHEAD: usize = 1 << 20;

/// A walk through a segment, batch by batch.
pub(super) struct Scan<'s, F> {
    segment: &'s Segment<F>,
    window: Window,
    /// Where the next batch begins.
    pub(super) offset: u64,
    /// The position it begins with.
    pub(super) next: Position,
    /// The epoch of the batch before.
    pub(super) epoch: Epoch,
}

/// What a step of the walk comes to.
pub(super) enum Step<'w> {
    /// A whole batch, checked to the last record.
    Batch {
        /// The position of its first record.
        first: Position,
        /// Its records.
        payload: &'w [u8],
    },
    /// There is no valid batch here.
    End {
        /// Zeros or the end of the file, as after a batch that was followed by none.
        clean: bool,
        /// What a batch here would look like, and what is wrong.
        expected: String,
    },
}

impl<'s, F: DiskFile> Scan<'s, F> {
    /// Begins at the segment's start. Batches of an epoch before `epoch` are corrupt.
    pub(super) fn new(segment: &'s Segment<F>, epoch: Epoch) -> Self {
        Self { segment, window: Window::default(), offset: 0, next: segment.first, epoch }
    }

    /// Reads the next batch. Fails on a batch that has a right checksum and can't be here all the same.
    pub(super) fn step(&mut self) -> Result<Step<'_>, JournalError> {
        let (offset, first) = (self.offset, self.next);
        let header = match self.header(offset)? {
            Ok(header) => header,
            Err(Not { clean, why }) => {
                let expected = format!("a batch that begins with record {first}, found {why}");
                return Ok(Step::End { clean, expected });
            }
        };
        let size = HEADER + header.length as usize;
        let wrong = |expected: String| Err(JournalError::corrupt(&self.segment.name, offset, expected));
        if header.first != first {
            return wrong(format!("a batch that begins with record {first}, found one with record {}", header.first));
        }
        if header.epoch < self.epoch {
            return wrong(format!("a batch of epoch {} or later, found one of epoch {}", self.epoch, header.epoch));
        }
        let bytes = self.window.get(&self.segment.file, offset, size).map_err(JournalError::io(&self.segment.name))?;
        let payload = bytes.get(HEADER..).unwrap_or_default();
        if count(payload) != Some(header.records) {
            let expected = format!("{} records that fill the batch, which has a right checksum", header.records);
            return Err(JournalError::corrupt(&self.segment.name, offset, expected));
        }
        self.offset += space(size);
        self.next = first.plus(u64::from(header.records));
        self.epoch = header.epoch;
        Ok(Step::Batch { first, payload })
    }

    /// Where a valid batch of this segment lies behind the place where the walk ended.
    pub(super) fn later_batch(&mut self) -> Result<Option<u64>, JournalError> {
        let mut offset = self.offset + SECTOR;
        while offset < self.segment.length {
            if self.header(offset)?.is_ok() {
                return Ok(Some(offset));
            }
            offset += SECTOR;
        }
        Ok(None)
    }

    /// Goes on behind damage, if what lies there begins with this record or an earlier one: the records in between are not
    /// what is wanted. Whether it does.
    pub(super) fn pass_over(&mut self, wanted: Position) -> Result<bool, JournalError> {
        let Some(offset) = self.later_batch()? else { return Ok(false) };
        let Ok(header) = self.header(offset)? else { return Ok(false) };
        if header.first > wanted {
            return Ok(false);
        }
        (self.offset, self.next) = (offset, header.first);
        Ok(true)
    }

    /// Forgets what was read: somebody may have written since.
    pub(super) fn look_again(&mut self) {
        self.window = Window::default();
    }

    /// The header at an offset, if the checksum says that it heads a batch of this segment.
    fn header(&mut self, offset: u64) -> Result<Result<Header, Not>, JournalError> {
        let Segment { file, name, length, first } = self.segment;
        let left = length.saturating_sub(offset);
        if left < HEADER as u64 {
            return Ok(Err(Not { clean: true, why: "the end of the file" }));
        }
        let bytes = self.window.get(file, offset, HEADER).map_err(JournalError::io(name))?;
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Ok(Err(Not { clean: true, why: "the end of the file" }));
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(Err(Not { clean: true, why: "zeros" }));
        }
        let Some(header) = Header::decode(bytes) else {
            return Ok(Err(Not { clean: false, why: "no magic" }));
        };
        if u64::from(header.length) > left - HEADER as u64 {
            return Ok(Err(Not { clean: false, why: "a length beyond the end of the file" }));
        }
        let size = HEADER + header.length as usize;
        let bytes = self.window.get(file, offset, size).map_err(JournalError::io(name))?;
        match bytes.get(HEADER..size) {
            Some(payload) if header.matches(*first, payload) => Ok(Ok(header)),
            _ => Ok(Err(Not { clean: false, why: "a wrong checksum" })),
        }
    }
}

/// The room a batch takes: batches begin on sectors.
pub(super) fn space(size: usize) -> u64 {
    (size as u64).next_multiple_of(SECTOR)
}

struct Not {
    clean: bool,
    why: &'static str,
}

/// How many records a payload is made of, if it is made of records.
fn count(mut payload: &[u8]) -> Option<u32> {
    let mut records = 0;
    while !payload.is_empty() {
        (_, payload) = split_record(payload)?;
        records += 1;
    }
    Some(records)
}

/// The part of a file that was read last.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// `length` bytes at an offset, fewer where the file ends. The caller has checked that the file may have as many.
    fn get(&mut self, file: &impl DiskFile, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = held.filter(|skip| skip + length <= self.bytes.len()) {
            return Ok(&self.bytes[skip..skip + length]);
        }
        self.bytes.resize(length.max(READ_AHEAD), 0);
        let read = file.read_full_at(offset, &mut self.bytes)?;
        self.bytes.truncate(read);
        self.start = offset;
        Ok(&self.bytes[..length.min(read)])
    }
}
