use std::{
    io::{self, IoSlice},
    thread,
    time::Instant,
};

use super::{CHUNK_MAX, DRAFT, KEPT, MAGIC, footer, name_of, positions};
use crate::journal::{Disk, DiskFile, JournalError, Position};

/// How much is written between two syncs: the log's own syncs in between wait for no more than this.
const SYNC_STEP: u64 = 1 << 20;

/// Writes one checkpoint. Dropped without a commit it removes its draft, as far as the disk lets it: where that is full, others
/// need the room. One that a crash leaves is removed by the next writer.
pub struct CheckpointWriter<D: Disk> {
    disk: D,
    file: D::File,
    draft: String,
    offset: u64,
    synced: u64,
    chunks: u64,
    crc_of_crcs: u32,
    complete: bool,
}

impl<D: Disk> CheckpointWriter<D> {
    /// Begins a draft, and removes those that others left. The hint is for its name only. One writer at a time.
    pub fn begin(disk: D, position_hint: Position) -> Result<Self, JournalError> {
        remove_drafts(&disk).map_err(JournalError::io("the checkpoints' directory"))?;
        let draft = name_of(position_hint) + DRAFT;
        let file = disk.create(&draft).map_err(JournalError::io(&draft))?;
        let offset = MAGIC.len() as u64;
        let writer = Self { disk, file, draft, offset, synced: 0, chunks: 0, crc_of_crcs: 0, complete: false };
        let begun = writer.file.write_all_at(0, &mut [IoSlice::new(&MAGIC)]);
        begun.map_err(JournalError::io(&writer.draft))?;
        Ok(writer)
    }

    /// Adds a chunk, which the reader gets back as it is.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.write(bytes).map_err(JournalError::io(&self.draft))
    }

    /// Makes the checkpoint complete and durable as the state at a position, and removes those that are too old. Returns how
    /// far the journal may be trimmed: to the oldest checkpoint that was kept, and not at all if this is the first.
    pub fn commit(mut self, position: Position) -> Result<Position, JournalError> {
        self.complete(position).map_err(JournalError::io(&self.draft))?;
        self.complete = true;
        let mut kept = positions(&self.disk)?;
        let surplus = kept.len().saturating_sub(KEPT);
        let removed: Vec<_> = kept.drain(..surplus).collect();
        for position in &removed {
            let name = name_of(*position);
            self.disk.remove(&name).map_err(JournalError::io(&name))?;
        }
        if !removed.is_empty() {
            self.disk.sync_dir().map_err(JournalError::io("the checkpoints' directory"))?;
        }
        Ok(if kept.len() < KEPT { Position::ZERO } else { kept.first().copied().unwrap_or_default() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > CHUNK_MAX {
            return Err(io::Error::other(format!("a chunk of {} bytes, more than {CHUNK_MAX}", bytes.len())));
        }
        let crc = crc32c::crc32c(bytes).to_le_bytes();
        let length = (bytes.len() as u32).to_le_bytes();
        let mut parts = [IoSlice::new(&length), IoSlice::new(&crc), IoSlice::new(bytes)];
        self.file.write_all_at(self.offset, &mut parts)?;
        self.offset += (length.len() + crc.len() + bytes.len()) as u64;
        self.chunks += 1;
        self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &crc);
        if self.offset - self.synced >= SYNC_STEP {
            let started = Instant::now();
            self.file.sync_data()?;
            self.synced = self.offset;
            // The log has the disk for as long as the checkpoint had it.
            thread::sleep(started.elapsed());
        }
        Ok(())
    }

    fn complete(&self, position: Position) -> io::Result<()> {
        let footer = footer(self.chunks, position, self.crc_of_crcs);
        self.file.write_all_at(self.offset, &mut [IoSlice::new(&footer)])?;
        self.file.sync_data()?;
        self.disk.rename(&self.draft, &name_of(position))?;
        self.disk.sync_dir()
    }
}

impl<D: Disk> Drop for CheckpointWriter<D> {
    fn drop(&mut self) {
        if !self.complete {
            // The next writer tries again.
            let _ = self.disk.remove(&self.draft);
        }
    }
}

fn remove_drafts(disk: &impl Disk) -> io::Result<()> {
    for name in disk.list()? {
        if name.strip_suffix(DRAFT).is_some_and(|name| super::position_of(name).is_some()) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}
