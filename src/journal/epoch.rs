//! The epoch, kept in a file of its own so that a takeover outlives a crash.

use super::{
    Disk, Epoch, JournalError,
    disk::{read_small, replace_small},
};

const FILE: &str = "epoch";

/// The stored epoch; epoch 0 before the first takeover.
pub(super) fn load(disk: &impl Disk) -> Result<Epoch, JournalError> {
    let Some(bytes) = read_small(disk, FILE).map_err(JournalError::io(FILE))? else { return Ok(Epoch(0)) };
    let Some((epoch, crc)) = bytes.split_first_chunk::<8>() else { return Err(corrupt()) };
    if crc != crc32c::crc32c(epoch).to_le_bytes() {
        return Err(corrupt());
    }
    Ok(Epoch(u64::from_le_bytes(*epoch)))
}

/// Stores an epoch durably.
pub(super) fn store(disk: &impl Disk, epoch: Epoch) -> Result<(), JournalError> {
    let mut bytes = epoch.0.to_le_bytes().to_vec();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    replace_small(disk, FILE, &bytes).map_err(JournalError::io(FILE))
}

/// For a journal whose batches are of a later epoch than the file knows.
pub(super) fn behind(epoch: Epoch) -> JournalError {
    JournalError::corrupt(FILE, 0, format!("an epoch of at least {epoch}, which the journal has"))
}

fn corrupt() -> JournalError {
    JournalError::corrupt(FILE, 0, "8 bytes of epoch and their checksum")
}
