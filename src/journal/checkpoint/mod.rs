//! Checkpoints: the whole state as of a position, so that recovery need not read the journal from its beginning.
//!
//! ```text
//! magic u32 | { length u32, crc32c u32, bytes } per chunk | END u32 | chunks u64 | position u64 | crc of crcs u32 | crc32c u32
//! ```
//!
//! A checkpoint is written under a draft's name, synced and renamed: by its final name it is complete, or damaged. The newest
//! and the one before it are kept, and the journal after the older: should the newest ever be found damaged, nothing is
//! decided silently, but an operator who removes it loses nothing.

mod reader;
mod writer;

pub use self::{
    reader::{CheckpointReader, all, latest},
    writer::CheckpointWriter,
};

use super::{Disk, JournalError, Position, segment::numbered};

/// The largest chunk: what writer and reader hold in memory at once.
pub const CHUNK_MAX: usize = 64 << 20;

/// Checkpoints kept: the newest, and one to fall back on by an operator's decision.
const KEPT: usize = 2;

const MAGIC: [u8; 4] = *b"TGC1";

/// Where the length of a chunk would be; longer than any chunk.
const END: u32 = u32::MAX;

/// END, chunks, position, crc of crcs, crc.
const FOOTER: usize = 4 + 8 + 8 + 4 + 4;

const DRAFT: &str = ".tmp";

fn name_of(position: Position) -> String {
    format!("checkpoint-{:020}.tgc", position.0)
}

pub(super) fn position_of(name: &str) -> Option<Position> {
    numbered(name, "checkpoint-", ".tgc").map(Position)
}

/// The positions of all complete checkpoints, oldest first.
pub fn positions(disk: &impl Disk) -> Result<Vec<Position>, JournalError> {
    let names = disk.list().map_err(JournalError::io("the checkpoints' directory"))?;
    let mut positions: Vec<_> = names.iter().filter_map(|name| position_of(name)).collect();
    positions.sort_unstable();
    Ok(positions)
}

fn footer(chunks: u64, position: Position, crc_of_crcs: u32) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    bytes[0..4].copy_from_slice(&END.to_le_bytes());
    bytes[4..12].copy_from_slice(&chunks.to_le_bytes());
    bytes[12..20].copy_from_slice(&position.0.to_le_bytes());
    bytes[20..24].copy_from_slice(&crc_of_crcs.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..24]);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    bytes
}
