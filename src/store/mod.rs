//! Where state lives: partitions under their locks, the identity index, the outbox of business events, checkpoints and
//! recovery. The only holder of locks on balances.
//!
//! Everything that changes goes one way: under the lock of one partition a command is decided, its event is encoded,
//! appended to the journal's buffer and applied. What comes back is [`Pending`]: it may leave when its position is durable.

mod audited;
mod bulk;
mod catalogs;
mod checkpoint;
mod clients;
mod copy;
mod execute;
mod index;
mod inspect;
mod outbox;
mod partition;
mod query;
mod recovery;
mod salvage;
mod trails;
mod transfer;
mod voucher;
mod what_if;

use std::sync::{Arc, Mutex, atomic::AtomicUsize};

pub(crate) use self::trails::hex;
use self::{audited::Refusals, clients::ClientIndex, index::SessionIndex, partition::Partition, trails::Trails};
pub use self::{
    audited::{Audited, By},
    bulk::{BulkError, Submit, method_of, stage_name},
    catalogs::{PENDING_MAX, Publish, PublishError, Published},
    checkpoint::{CheckpointError, CheckpointReport},
    copy::{Copied, CopyError, Directories, Until, copy, must_be_empty},
    execute::{CreateSubscriberError, Done, Observer, SilentObserver},
    index::IdentityIndex,
    inspect::{InspectError, Inspection, inspect},
    outbox::{Consumer, CursorTooOld, Outbox},
    query::Totals,
    recovery::{RecoveryError, RecoveryReport},
    salvage::{Salvage, salvage, way_out},
    trails::{
        AuditFilter, AuditLine, AuditTrail, Broken, ConditionsLine, PartitionSums, Place, ReconcileError,
        Reconciliation, RecordFiles, RecordFilter, RecordFormat, RecordLine, RecordsAt, TariffUnits, Verified,
        csv_cells,
    },
    transfer::{TransferFailed, TransferOrder},
    voucher::{BatchStatus, Redeemed},
    what_if::{ACTS_AT_ONCE, Comparison, Item, Progress, RefusedAccount, Sums, Unrated, WhatIf, WhatIfError},
};
pub use crate::journal::lines::{Cursor, Rotation};
use crate::{
    charging::Retention,
    journal::{
        Committer, Disk, DurableMark, Fatal, FileDisk, JournalError, JournalReader, Origin, Pending, Position, Room,
        Stepped,
    },
    rating::Catalog,
    time::{Clock, Timestamp},
};

/// How a store is set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Partitions; fixed when the store is created.
    pub partitions: u16,
    /// Size of a journal segment in bytes.
    pub segment_bytes: u64,
    /// How long things are remembered.
    pub retention: Retention,
    /// Business events kept for late subscribers.
    pub outbox_keep: usize,
    /// Business events kept at most, also for consumers that have not acknowledged them.
    pub outbox_keep_max: usize,
}

impl Default for Settings {
    /// Those of a configuration that says nothing else.
    fn default() -> Self {
        Self {
            partitions: 64,
            segment_bytes: 64 << 20,
            retention: Retention::default(),
            outbox_keep: 100_000,
            outbox_keep_max: 1_000_000,
        }
    }
}

/// All balances, sessions and business events of this node.
pub struct Store<D: Disk = FileDisk> {
    partitions: Box<[Mutex<Partition>]>,
    identities: IdentityIndex,
    sessions: SessionIndex,
    clients: ClientIndex,
    /// What is fixed when the store is created.
    origin: Origin,
    outbox: Outbox,
    shelf: catalogs::Shelf,
    trails: Trails<D>,
    refusals: Refusals,
    desk: bulk::Desk,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// Counts the partitions that were asked what is due: whose turn it is.
    catching_up: AtomicUsize,
    committer: Mutex<Option<Committer>>,
    appender: crate::journal::Appender,
    reader: JournalReader,
    room: Room,
    disk: D,
    /// One checkpoint at a time.
    checkpointing: Mutex<()>,
    /// One delivery of transfers at a time: a transfer that came back must not be credited by another delivery.
    delivering: Mutex<()>,
}

impl<D: Disk> Store<D> {
    /// How far the journal is durable, and whether it has failed.
    pub fn mark(&self) -> &DurableMark {
        self.appender.mark()
    }

    /// The journal position given out last.
    pub fn last_position(&self) -> Position {
        self.appender.last()
    }

    /// The price list in force.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog_at(self.clock.now())
    }

    /// The price list in force at a moment.
    pub fn catalog_at(&self, now: Timestamp) -> Arc<Catalog> {
        Arc::clone(&self.catalogs_now().at(now).catalog)
    }

    /// Our Origin-State-Id: as long as the store lives, no session is lost (spec B-192).
    pub fn origin_state_id(&self) -> u32 {
        self.origin.state_id
    }

    /// Business events.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The clock that decisions are made by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Writes usage records and the audit trail as far as the journal is durable. To be called again and again. Returns how
    /// many lines were written.
    ///
    /// # Errors
    /// The disk refused: nothing is lost, the next call goes on.
    pub fn write_trails(&self) -> Result<usize, JournalError> {
        self.trails.flush(self.mark())
    }

    /// How many usage records, and lines of the audit trail, wait to be written.
    pub fn waiting_for_trails(&self) -> [usize; 2] {
        self.trails.waiting()
    }

    /// Whether usage records are kept.
    pub fn keeps_records(&self) -> bool {
        self.trails.keeps_records()
    }

    /// The files of usage records, if they are kept.
    pub fn record_files(&self) -> Option<RecordFiles<D>> {
        self.trails.record_files()
    }

    /// The files of the audit trail, if it is written to files.
    pub fn audit_trail(&self) -> Option<AuditTrail<D>> {
        self.trails.audit_trail()
    }

    /// Number and hash of the last line of the audit trail, as far as it is written; no line is 0 and zeros.
    pub fn audit_head(&self) -> (u64, String) {
        let head = self.trails.audit_head();
        let hash = head.map_or([0; 32], |head| head.hash);
        (head.map_or(0, |head| head.lines), hex(&hash))
    }

    /// What the journal has room for.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Bytes free where the store, its usage records and its audit trail are, by the name of the directory; without those that
    /// are not written or that nobody can tell of.
    pub fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        let disks = [("store", Some(&self.disk))].into_iter().chain(self.trails.disks());
        disks.filter_map(|(name, disk)| Some((name, disk?.free().ok()??))).collect()
    }

    /// Reads journal records that are durable.
    pub fn journal(&self) -> &JournalReader {
        &self.reader
    }

    /// Syncs everything and ends the journal, and writes the trails as far as their disks let it: what they do not get now
    /// they get after the next start. Nothing can be changed afterwards: whatever is still decided never becomes
    /// durable, so it is never answered.
    ///
    /// # Errors
    /// The journal had failed, or fails now.
    pub fn shutdown(&self) -> Result<Position, Fatal> {
        let committer = self.committer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let ended = committer.map_or(Ok(self.mark().current()), Committer::shutdown);
        let _ = self.write_trails();
        ended
    }

    /// Commits what has gathered, as one batch, in a store [opened by hand](Self::open_by_hand). Does nothing in any other
    /// store, whose committer does that by itself.
    pub fn commit_by_hand(&self) -> Stepped {
        let mut committer = self.committer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        committer.as_mut().map_or(Stepped::Nothing, Committer::step)
    }

    /// Has the journal do what it does after nothing has come for a while, in a store [opened by hand](Self::open_by_hand).
    pub fn idle_by_hand(&self) {
        let mut committer = self.committer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(committer) = committer.as_mut() {
            committer.idle_by_hand();
        }
    }

    /// Waits until all that was done so far is durable. Blocks for as long as the disk needs; by hand, where nobody would make
    /// room on it meanwhile, a full one is an error.
    fn settle(&self) -> Result<Position, Fatal> {
        let last = self.appender.last();
        loop {
            match self.commit_by_hand() {
                Stepped::Committed => {}
                Stepped::Nothing => break,
                Stepped::NoRoom => return Err(Fatal::Failed("the disk is full".into())),
            }
        }
        self.mark().wait_for_blocking(last)
    }

    /// A value read from state as it is now: it may leave when all that it rests on is durable.
    fn pending<T>(&self, value: T) -> Pending<T> {
        Pending::new(value, self.appender.last())
    }
}

impl<D: Disk> std::fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("partitions", &self.partitions.len())
            .field("position", &self.last_position())
            .finish()
    }
}
