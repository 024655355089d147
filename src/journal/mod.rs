//! The durable log: numbered records, group commit, checkpoints. The only writer of files.
//!
//! A record is opaque bytes. Records are numbered 1, 2, 3... since the store was created; the number is a [`Position`].
//! Whoever changes state hands a record to an [`Appender`] and gets a position at once; the [`Committer`]'s thread writes
//! and syncs whatever has gathered as one batch, then moves the [`DurableMark`]. A value that may only leave when a
//! position is durable travels as [`Pending`] and becomes [`Durable`] at the mark, nowhere else.
//!
//! Start of a store, in order: [`FileDisk::open`] (takes the directory's lock), [`Meta::open_or_create`],
//! [`checkpoint::latest`], [`LocalJournal::open`], [`Journal::takeover`], [`Journal::read_from`] the checkpoint's
//! position, [`Committer::start`].
//!
//! What is trusted of a disk: a sector of 512 bytes is written whole or not at all, and what a successful sync covered
//! stays. Everything else is checked: a torn batch at the very end, beyond what is `sealed`, is cut off; any other damage
//! refuses to start.
//!
//! | file | holds |
//! | --- | --- |
//! | `meta` | format version and number of partitions, fixed when the store is created |
//! | `meta.copy` | the same |
//! | `epoch` | the epoch of the last takeover |
//! | `sealed` | how far the journal was durable when there last was time to note it |
//! | `journal-<first position>.log` | a segment: batches, then zeros or remains of the segment's former life |
//! | `spare-<n>.log` | a segment made ready before it is needed |
//! | `checkpoint-<position>.tgc` | a checkpoint: state as of that position |
//!
//! Beside it, in directories of their own, [`lines`] are files that people and other programs read.

use std::sync::Arc;

mod batch;
pub mod checkpoint;
mod commit;
pub mod disk;
mod durable;
mod epoch;
mod error;
pub mod lines;
mod local;
mod look;
mod meta;
mod position;
mod read;
pub mod record;
mod recovery;
mod room;
mod scan;
mod sealed;
mod segment;
pub mod snapshot;
mod stock;
#[cfg(test)]
mod tests;

pub use self::{
    batch::Batch,
    checkpoint::{CheckpointReader, CheckpointWriter},
    commit::{Appender, Commit, Committer, PENDING_MAX, RECORD_MAX, Stepped},
    disk::{Disk, DiskFile, FileDisk, MemoryDisk},
    durable::{Durable, DurableMark, Fatal, Pending},
    error::{AppendError, JournalError},
    local::{LocalJournal, Options},
    look::{Look, SegmentFile},
    meta::{Meta, Origin},
    position::{Epoch, Position},
    read::{JournalReader, ReadJournal},
    recovery::TornTail,
    room::{Room, Space},
};

/// What is done with a record read back: it may refuse, which ends the reading.
pub type Visit<'a> = &'a mut dyn FnMut(Position, &[u8]) -> Result<(), JournalError>;

/// A durable log with one writer at a time. The seam for engines other than files of this machine.
pub trait Journal: Send {
    /// Makes the caller the only writer: whoever held an earlier epoch is refused from now on. Returns the new epoch and
    /// the last durable position.
    fn takeover(&mut self) -> Result<(Epoch, Position), JournalError>;

    /// Appends a batch whose first record follows `expected`. Returns the position of its last record, and only when it is
    /// durable. After [`AppendError::NoRoom`] the same batch may be appended again, and no other. A failure other than that
    /// and [`AppendError::Fenced`] poisons: nobody knows what reached the disk.
    fn append(&mut self, epoch: Epoch, expected: Position, batch: &Batch) -> Result<Position, AppendError>;

    /// Visits every record after the given position, in order. Returns the last position.
    fn read_from(&mut self, after: Position, visit: Visit<'_>) -> Result<Position, JournalError>;

    /// Gives up records up to and including this position, as far as that frees whole segments.
    fn trim(&mut self, up_to: Position) -> Result<(), JournalError>;

    /// Notes durably how far the journal is durable, so that damage up to here is never taken for a torn write. To be called
    /// when there is time: a failure changes nothing, and the next call makes up for it.
    fn seal(&mut self) -> Result<(), JournalError> {
        Ok(())
    }

    /// A reader that works beside the writer.
    fn reader(&self) -> Arc<dyn ReadJournal>;

    /// What there is room for; without a limit that it knows of, for everything.
    fn room(&self) -> Room {
        Room::default()
    }
}
