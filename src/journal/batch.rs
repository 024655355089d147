//! A batch: the records of one write and one sync, and how it looks on disk.
//!
//! ```text
//! magic u32 | length u32 | crc32c u32 | records u32 | epoch u64 | first position u64 | { length u32, bytes } per record
//! ```
//!
//! All little-endian. `length` counts the bytes after the header. The checksum covers all but the magic and itself, and
//! begins with the first position of the segment, so that a batch left in a segment's file from its former life is not
//! taken for one of the present.

use super::{Epoch, Position};

/// Records gathered for one append. Numbered only when appended.
#[derive(Debug, Default)]
pub struct Batch {
    payload: Vec<u8>,
    records: u32,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record. Records longer than 4 GiB have no representation and are refused far above, by
    /// [`RECORD_MAX`](super::RECORD_MAX).
    pub fn push(&mut self, record: &[u8]) {
        self.payload.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.payload.extend_from_slice(record);
        self.records += 1;
    }

    /// How many records.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// How many bytes, with each record's length.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.payload.as_slice();
        std::iter::from_fn(move || {
            let (record, after) = split_record(rest)?;
            rest = after;
            Some(record)
        })
    }

    /// Forgets the records and keeps the memory, up to a bound.
    pub fn clear(&mut self, keep: usize) {
        self.payload.clear();
        self.payload.shrink_to(keep);
        self.records = 0;
    }
}

/// Bytes before the first record.
pub(super) const HEADER: usize = 32;

const MAGIC: u32 = u32::from_le_bytes(*b"TGB1");

/// The fields of a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) length: u32,
    crc: u32,
    pub(super) records: u32,
    pub(super) epoch: Epoch,
    pub(super) first: Position,
}

impl Batch {
    /// The header for these records as a part of the segment that begins with `segment`.
    pub(super) fn header(&self, segment: Position, epoch: Epoch, first: Position) -> [u8; HEADER] {
        // PENDING_MAX and RECORD_MAX keep a batch far below 4 GiB.
        let mut header = Header { length: self.payload.len() as u32, crc: 0, records: self.records, epoch, first };
        header.crc = header.checksum(segment, &self.payload);
        header.encode()
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl Header {
    /// Reads a header; nothing is checked but the magic.
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let [a, b, c, d, e @ ..] = bytes.as_chunks::<4>().0 else { return None };
        let [e0, e1, f0, f1] = e else { return None };
        let u64_of = |low: &[u8; 4], high: &[u8; 4]| {
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32
        };
        (u32::from_le_bytes(*a) == MAGIC).then(|| Self {
            length: u32::from_le_bytes(*b),
            crc: u32::from_le_bytes(*c),
            records: u32::from_le_bytes(*d),
            epoch: Epoch(u64_of(e0, e1)),
            first: Position(u64_of(f0, f1)),
        })
    }

    pub(super) fn matches(&self, segment: Position, payload: &[u8]) -> bool {
        self.checksum(segment, payload) == self.crc
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.records.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        bytes
    }

    fn checksum(&self, segment: Position, payload: &[u8]) -> u32 {
        let bytes = self.encode();
        let crc = crc32c::crc32c(&segment.0.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &bytes[4..8]);
        let crc = crc32c::crc32c_append(crc, &bytes[12..]);
        crc32c::crc32c_append(crc, payload)
    }
}

/// Splits the first record off a payload; `None` at its end, or where it is not made of records.
pub(super) fn split_record(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
