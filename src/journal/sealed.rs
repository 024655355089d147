//! How far the journal was durable when there was time to note it: at a takeover, when nothing had come for a while, and at
//! a stop in good order.
//!
//! A batch at the very end that is not whole looks like one that a crash has torn, and a last segment that is missing leaves
//! no trace in those before it. Of what ends before this position it is certain that it is damage and no torn write: it was
//! durable and nothing of it may go. A crash loses nothing by this file: what is noted was synced before.
//!
//! Stores from before there was such a file have none: then nothing is known, as before.

use super::{
    Disk, JournalError, Position,
    disk::{read_small, replace_small},
};

const FILE: &str = "sealed";

/// The position noted last; 0 if none was.
pub(super) fn load(disk: &impl Disk) -> Result<Position, JournalError> {
    let Some(bytes) = read_small(disk, FILE).map_err(JournalError::io(FILE))? else { return Ok(Position::ZERO) };
    let whole =
        bytes.split_first_chunk::<8>().filter(|(position, crc)| *crc == crc32c::crc32c(*position).to_le_bytes());
    let corrupt = || JournalError::corrupt(FILE, 0, "8 bytes of position and their checksum");
    whole.map(|(position, _)| Position(u64::from_le_bytes(*position))).ok_or_else(corrupt)
}

/// Notes a position that is durable.
pub(super) fn store(disk: &impl Disk, position: Position) -> Result<(), JournalError> {
    let mut bytes = position.0.to_le_bytes().to_vec();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    replace_small(disk, FILE, &bytes).map_err(JournalError::io(FILE))
}

/// For a journal that ends at a place although it was durable up to here.
pub(super) fn lost(file: &str, offset: u64, last: Position, sealed: Position) -> JournalError {
    let next = last.next();
    JournalError::corrupt(
        file,
        offset,
        format!("a batch that begins with record {next}: records up to {sealed} were durable"),
    )
}
