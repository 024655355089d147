use std::{error::Error, io, path::PathBuf};

use super::{Epoch, Position};

/// Why a journal, checkpoint or meta file can't be used. Every variant says where and what would have been right.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("{file}: {source}")]
    Io {
        /// The file, or the directory where no one file is to blame.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were once durable are not what was written. Nothing is repaired or skipped.
    #[error("{file} is corrupt at byte {offset}: expected {expected}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where the trouble begins.
        offset: u64,
        /// What should be there, and what is wrong with what is.
        expected: String,
    },
    /// Records were asked for that have been given up.
    #[error("records after {after} were asked for, but the journal begins with record {oldest}")]
    Trimmed {
        /// The position reading was to continue after.
        after: Position,
        /// The oldest record there is.
        oldest: Position,
    },
    /// The caller knows of records that the journal has not: part of it is missing.
    #[error("the journal ends with record {last}, before record {after} which was once durable")]
    Missing {
        /// The position reading was to continue after.
        after: Position,
        /// The last record there is.
        last: Position,
    },
    /// An earlier failure left the journal unusable; only a restart can find out what is durable.
    #[error("the journal has failed before: {0}")]
    Poisoned(String),
    /// Another process has the directory.
    #[error("{} is in use by another process", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The number of partitions was fixed when the store was created.
    #[error("the store was created with {stored} partitions, but {configured} are configured; it can't be changed")]
    Partitions {
        /// As created.
        stored: u16,
        /// As configured now.
        configured: u16,
    },
    /// The store was written by a version with another format.
    #[error(
        "the store has format {stored}, this version reads and writes format {supported}{}",
        if stored > supported {
            ": it was written by a later version of tollgate; start that one, or restore a backup from before"
        } else {
            ""
        }
    )]
    Format {
        /// As created.
        stored: u32,
        /// What this version knows.
        supported: u32,
    },
    /// The visitor of a record refused it.
    #[error("record {position} can't be used: {source}")]
    Rejected {
        /// The record.
        position: Position,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl JournalError {
    /// For visitors: this record can't be used.
    pub fn rejected(position: Position, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Rejected { position, source: source.into() }
    }

    /// Whether files are damaged or missing, as opposed to a disk, another process or a configuration that is in the way.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Trimmed { .. } | Self::Missing { .. } | Self::Rejected { .. })
    }

    /// The file that is damaged, where it is one.
    pub fn damaged_file(&self) -> Option<&str> {
        if let Self::Corrupt { file, .. } = self { Some(file) } else { None }
    }

    pub(super) fn io(file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { file: file.to_owned(), source }
    }

    pub(super) fn corrupt(file: &str, offset: u64, expected: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, expected: expected.into() }
    }
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else has taken over. Nothing of the batch was written.
    #[error("epoch {epoch} is over, the writer is now that of epoch {current}")]
    Fenced {
        /// The epoch of the append.
        epoch: Epoch,
        /// The epoch that rules.
        current: Epoch,
    },
    /// The caller and the journal disagree on what came before. Nothing of the batch was written.
    #[error("the batch was to follow record {expected}, but the journal ends with record {last}")]
    OutOfOrder {
        /// What the batch was to follow.
        expected: Position,
        /// The last record there is.
        last: Position,
    },
    /// The disk has no room for the batch. Nothing of it is durable, and no sync has failed: the same batch may be appended
    /// again.
    #[error(transparent)]
    NoRoom(JournalError),
    /// The batch may or may not have reached the disk; the journal is poisoned.
    #[error(transparent)]
    Io(#[from] JournalError),
}
