//! Checkpoints: the whole state on disk, taken partition by partition while charging goes on, so that the journal need not
//! grow for ever.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::Store;
use crate::journal::{
    CheckpointWriter, Disk, Fatal, JournalError, Position,
    snapshot::{self, PartitionHeader},
};

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointReport {
    /// Recovery starts after this position.
    pub position: Position,
    /// Bytes written.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// The longest time that one partition was locked.
    pub longest_pause: Duration,
}

/// Why there is no new checkpoint. The old one and the journal stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] JournalError),
    /// The journal failed before the state in the checkpoint was durable.
    #[error(transparent)]
    Journal(#[from] Fatal),
}

/// How much longer than it was locked a partition's successor is left alone.
const REST: u32 = 10;

impl<D: Disk> Store<D> {
    /// Writes a checkpoint and gives up the journal that it replaces, as fast as can be. Blocks for as long as the disk
    /// needs.
    ///
    /// # Errors
    /// Nothing was replaced.
    pub fn checkpoint(&self) -> Result<CheckpointReport, CheckpointError> {
        self.write_checkpoint(|_| {})
    }

    /// As [`checkpoint`](Self::checkpoint), beside traffic: after each partition it waits for a multiple of the time that
    /// the partition was locked. Without that, a few busy threads would wait at one locked partition after the other, and
    /// all of them together for as long as the whole checkpoint takes.
    ///
    /// # Errors
    /// Nothing was replaced.
    pub fn checkpoint_beside_traffic(&self) -> Result<CheckpointReport, CheckpointError> {
        self.write_checkpoint(|locked| std::thread::sleep(locked * REST))
    }

    /// As [`checkpoint`](Self::checkpoint), with something done after each partition: a simulation decides so what comes
    /// between them.
    ///
    /// # Errors
    /// Nothing was replaced.
    pub fn checkpoint_by_hand(&self, mut between: impl FnMut()) -> Result<CheckpointReport, CheckpointError> {
        self.write_checkpoint(|_| between())
    }

    fn write_checkpoint(&self, mut rest: impl FnMut(Duration)) -> Result<CheckpointReport, CheckpointError> {
        let _one_at_a_time = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        // Taken before anything is read: all that a snapshot below may lack comes later in the journal.
        let replay_from = self.appender.last();
        let mut writer = CheckpointWriter::begin(self.disk.clone(), replay_from)?;
        let (mut bytes, mut longest_pause) = (0u64, Duration::ZERO);
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        for partition in self.partition_ids() {
            chunks.clear();
            let pause = Instant::now();
            {
                let cell = self.lock(partition);
                let header = PartitionHeader {
                    partition,
                    partitions: self.partitions.len() as u16,
                    // Its own records so far are at most here, later ones beyond: nobody else appends for it meanwhile.
                    position: self.appender.last().0,
                };
                let Ok(()) = snapshot::write_partition(&cell.state, &header, &mut |chunk| {
                    chunks.push(chunk.to_vec());
                    Ok::<(), std::convert::Infallible>(())
                });
            }
            let locked = pause.elapsed();
            longest_pause = longest_pause.max(locked);
            for chunk in &chunks {
                writer.chunk(chunk)?;
                bytes += chunk.len() as u64;
            }
            rest(locked);
        }
        // A replay after this checkpoint makes no lines of what it includes: they must be in their files by now.
        self.settle()?;
        self.write_trails()?;
        let (records_kept, audit) = (self.trails.keeps_records(), self.trails.audit_head());
        let outbox = snapshot::OutboxSnapshot { records_kept, audit, ..self.outbox.snapshot() };
        snapshot::write_outbox(&outbox, &mut |chunk| writer.chunk(chunk))?;
        snapshot::write_catalogs(&self.catalogs_snapshot(), &mut |chunk| writer.chunk(chunk))?;
        snapshot::write_bulks(&self.desk.snapshot(), &mut |chunk| writer.chunk(chunk))?;
        // The snapshots may hold changes that are not durable yet. If they were lost, their positions would be given out
        // again, and a recovery from this checkpoint would pass over the new records. So they become durable first.
        self.settle()?;
        // One checkpoint before this one is kept, and the journal that belongs to it.
        let trim_to = writer.commit(replay_from)?;
        self.appender.trim(trim_to);
        Ok(CheckpointReport { position: replay_from, bytes, took: started.elapsed(), longest_pause })
    }
}
