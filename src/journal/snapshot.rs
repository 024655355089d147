//! Snapshots: the state of a partition, or the outbox of business events, as a sequence of bounded chunks and back.
//!
//! A chunk is one protobuf message (`tollgate.journal.v1.SnapshotChunk`). Framing and checksums are the checkpoint file's.

use crate::{
    charging::{Notice, Retention, State},
    ids::{AccountId, PartitionId, SessionNo},
    journal::record::RecordError,
};

/// A chunk is closed when it holds this much; one item more may make it longer.
pub const CHUNK_OCTETS: usize = 256 * 1024;

/// Which partition a snapshot is of, and up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionHeader {
    /// The partition.
    pub partition: PartitionId,
    /// How many there are.
    pub partitions: u16,
    /// The journal position that the state includes: a replay begins after it.
    pub position: u64,
}

/// Business events that are not yet acknowledged by all, and how far each consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxSnapshot {
    /// The journal position that it includes.
    pub position: u64,
    /// The cursor of the next notice.
    pub next_cursor: u64,
    /// Notices with their cursors, oldest first.
    pub notices: Vec<(u64, Notice)>,
    /// Consumers and the last cursor that each has acknowledged.
    pub consumers: Vec<(Box<str>, u64)>,
}

/// Why chunks are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A chunk or an item in it cannot be read.
    #[error(transparent)]
    Item(#[from] RecordError),
    /// The first chunk has no header, or a later one has another.
    #[error("chunk {0}: the header is missing, or there are two")]
    Header(u64),
    /// A chunk is not the one that follows.
    #[error("chunk {got} follows, {expected} was expected")]
    Order {
        /// The number that follows.
        expected: u64,
        /// The number of the chunk.
        got: u64,
    },
    /// A chunk of another partition, or of an outbox.
    #[error("chunk {0} belongs to another snapshot")]
    Foreign(u64),
    /// The same account twice.
    #[error("account {0} is there twice")]
    AccountTwice(AccountId),
    /// The same session twice, or its Session-Id.
    #[error("session {0:?} is there twice")]
    SessionTwice(SessionNo),
    /// A session of no account.
    #[error("session {session:?} is of account {account}, which is not there")]
    NoAccount {
        /// The session.
        session: SessionNo,
        /// The account.
        account: AccountId,
    },
    /// More or fewer items than the header says, or chunks are missing.
    #[error("{found} {what}, the header says {expected}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// By the header.
        expected: u64,
        /// In the chunks.
        found: u64,
    },
    /// The sums of money differ from those in the header.
    #[error("{what}: the header says {expected} micro-units, the accounts have {found}")]
    Total {
        /// Which sum.
        what: &'static str,
        /// By the header.
        expected: i128,
        /// In the accounts.
        found: i128,
    },
}

/// Writes a partition as chunks of about [`CHUNK_OCTETS`], in the order in which they must be loaded.
///
/// # Errors
/// Those of `emit`.
pub fn write_partition<E>(
    state: &State,
    header: &PartitionHeader,
    emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let _ = (state, header, emit);
    todo!()
}

/// Rebuilds a partition from its chunks.
#[derive(Debug)]
pub struct PartitionLoader {
    _state: State,
}

impl PartitionLoader {
    /// Nothing is loaded yet.
    pub fn new(retention: Retention) -> Self {
        Self { _state: State::new(retention) }
    }

    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not a snapshot's, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let _ = chunk;
        todo!()
    }

    /// Whether everything that the header promised is there.
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// The partition, if it is whole and its sums are right.
    ///
    /// # Errors
    /// Something is missing or too much.
    pub fn finish(self) -> Result<(PartitionHeader, State), SnapshotError> {
        todo!()
    }
}

/// Writes the outbox as chunks of about [`CHUNK_OCTETS`], in the order in which they must be loaded.
///
/// # Errors
/// Those of `emit`.
pub fn write_outbox<E>(outbox: &OutboxSnapshot, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let _ = (outbox, emit);
    todo!()
}

/// Rebuilds the outbox from its chunks.
#[derive(Debug, Default)]
pub struct OutboxLoader {}

impl OutboxLoader {
    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not a snapshot's, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let _ = chunk;
        todo!()
    }

    /// Whether everything that the header promised is there.
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// The outbox, if it is whole.
    ///
    /// # Errors
    /// Something is missing.
    pub fn finish(self) -> Result<OutboxSnapshot, SnapshotError> {
        todo!()
    }
}
