//! Snapshots: the state of a partition, the outbox of business events, the versions of the catalog, or the bulk changes, as a
//! sequence of bounded chunks and back.
//!
//! A chunk is one protobuf message (`tollgate.journal.v1.SnapshotChunk`). Framing and checksums are the checkpoint file's.

mod account;
mod bulks;
mod catalogs;
mod chunks;
mod load;
mod outbox;
#[cfg(test)]
mod tests;
mod write;

pub use self::{
    bulks::{BulksLoader, BulksSnapshot, write_bulks},
    catalogs::{CatalogsLoader, CatalogsSnapshot, write_catalogs},
    load::PartitionLoader,
    outbox::{AuditHead, OutboxLoader, OutboxSnapshot, write_outbox},
    write::{PartitionCopy, copy_partition, write_partition},
};

use super::{CheckpointReader, DiskFile, JournalError, record::RecordError};
use crate::ids::{AccountId, PartitionId, SessionNo};

/// A chunk is closed when it holds this much; one item more may make it longer.
pub const CHUNK_OCTETS: usize = 256 * 1024;

/// The snapshots of a checkpoint, one after the other.
#[derive(Debug)]
pub struct Parts<'r, F> {
    reader: &'r mut CheckpointReader<F>,
    /// The first chunk of the next one.
    ahead: Vec<u8>,
}

impl<'r, F: DiskFile> Parts<'r, F> {
    /// From a checkpoint that nothing was read of.
    pub fn of(reader: &'r mut CheckpointReader<F>) -> Self {
        Self { reader, ahead: Vec::new() }
    }

    /// The chunks of the next snapshot; none = there are no more. Whether they are whole their loader knows.
    ///
    /// # Errors
    /// The checkpoint is damaged.
    pub fn next_part(&mut self) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut chunks = Vec::new();
        if !self.ahead.is_empty() {
            chunks.push(std::mem::take(&mut self.ahead));
        }
        let mut chunk = Vec::new();
        while self.reader.next_chunk(&mut chunk)? {
            if !chunks.is_empty() && is_first(&chunk) {
                self.ahead = chunk;
                break;
            }
            chunks.push(std::mem::take(&mut chunk));
        }
        Ok(chunks)
    }
}

/// Whether a chunk is the first of its snapshot: all others begin with their number, which is field 1.
fn is_first(chunk: &[u8]) -> bool {
    const NUMBER: u8 = 1 << 3;
    chunk.first() != Some(&NUMBER)
}

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

/// Why chunks are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A chunk or an item in it cannot be read.
    #[error(transparent)]
    Item(#[from] RecordError),
    /// The first chunk has no header, or a later one has one.
    #[error("chunk {0}: the header is missing, or not the first")]
    Header(u64),
    /// A chunk is not the one that follows.
    #[error("chunk {got} follows, {expected} was expected")]
    Order {
        /// The number that follows.
        expected: u64,
        /// The number of the chunk.
        got: u64,
    },
    /// A chunk of an outbox where a partition's is read, or the other way round.
    #[error("chunk {0} belongs to another kind of snapshot")]
    Foreign(u64),
    /// There is a part more than this version knows.
    #[error("after all known parts another follows, which a later version wrote")]
    Unknown,
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
