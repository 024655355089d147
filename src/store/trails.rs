//! Two trails that follow from the journal and go to files for people and other programs, each line exactly once: usage
//! records, and the audit trail.
//!
//! What belongs to a journal record is queued under the journal's own lock, in the order of positions, and written when
//! that position is durable. Nothing of it is in checkpoints: one is only finished when the lines of all that it includes
//! are durable in their files, so that a replay makes all others again, and the files know by their cursors which of those
//! they have. Therefore a trail whose disk does not take it holds up checkpoints, never charging; when very much waits,
//! new sessions are refused.

mod audit;
mod conditions;
mod facts;
mod line;
mod queue;
mod reconcile;
mod records;
mod table;

use self::{
    audit::AuditSink,
    queue::{Sink, Trail},
    records::{Item, RecordSink},
};
pub use self::{
    audit::{AuditFilter, AuditLine, AuditTrail, Broken, Verified},
    conditions::ConditionsLine,
    reconcile::{PartitionSums, ReconcileError, Reconciliation},
    records::{RecordFiles, RecordFilter, RecordLine, TariffUnits},
    table::cells as csv_cells,
};
pub(super) use self::{facts::Facts, records::micros};
use crate::{
    charging::Record,
    ids::PartitionId,
    journal::{
        Disk, DurableMark, JournalError, Position,
        lines::{Cursor, LineKind, LineReader, Rotation},
        record::Audit,
        snapshot::AuditHead,
    },
    time::Timestamp,
};

/// Where a store lives: its own directory, and those of its trails.
#[derive(Debug, Clone)]
pub struct Place<D: Disk> {
    /// Journal and checkpoints.
    pub disk: D,
    /// Usage records, if they are kept.
    pub records: Option<RecordsAt<D>>,
    /// The audit trail, if it is written to files. (It is in the journal in any case.)
    pub audit: Option<(D, Rotation)>,
}

impl<D: Disk> From<D> for Place<D> {
    fn from(disk: D) -> Self {
        Self { disk, records: None, audit: None }
    }
}

/// Where and how usage records are kept.
#[derive(Debug, Clone)]
pub struct RecordsAt<D: Disk> {
    /// Their directory.
    pub disk: D,
    /// As what they are written.
    pub format: RecordFormat,
    /// When the next file begins.
    pub rotation: Rotation,
    /// When so many wait to be written, no new sessions and events are taken on: what runs can still be charged.
    pub queue_max: usize,
}

/// As what usage records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    /// One JSON object a line.
    Json,
    /// A table with a head.
    Csv,
    /// Both, side by side.
    Both,
}

/// Copies the files of usage records, up to those of a journal record. Returns how many lines that were.
pub(super) fn copy_records<D: Disk, T: Disk>(from: &D, to: &T, last: Position) -> Result<u64, JournalError> {
    let [json, csv] = records::kinds().map(|kind| LineReader::new(from, kind).copy_to(to, last));
    Ok(json? + csv?)
}

/// The same with the audit trail.
pub(super) fn copy_audit<D: Disk, T: Disk>(from: &D, to: &T, last: Position) -> Result<u64, JournalError> {
    LineReader::new(from, audit::kind()).copy_to(to, last)
}

/// Octets as hexadecimal digits.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The trails of a store.
pub(super) struct Trails<D: Disk> {
    records: Option<(D, Trail<Item, RecordSink<D>>)>,
    audit: Option<(D, Trail<Audit, AuditSink<D>>)>,
    /// Lines of the audit trail that a checkpoint knew and its files do not have.
    pub(super) audit_missing: u64,
    queue_max: usize,
}

impl<D: Disk> Trails<D> {
    /// Opens the files of a store. `audited` = what its last checkpoint says of the audit trail, if there is one; `recorded` =
    /// its position, if it was taken with usage records.
    pub(super) fn open(place: &Place<D>, audited: Option<AuditHead>, recorded: Position) -> Result<Self, JournalError> {
        let records = match &place.records {
            None => None,
            Some(RecordsAt { disk, format, rotation, .. }) => {
                Some((disk.clone(), Trail::new(RecordSink::open(disk, *format, *rotation, recorded)?)))
            }
        };
        let queue_max = place.records.as_ref().map_or(usize::MAX, |records| records.queue_max);
        let mut audit_missing = 0;
        let audit = match &place.audit {
            None => None,
            Some((disk, rotation)) => {
                let (sink, missing) = AuditSink::open(disk, *rotation, audited)?;
                audit_missing = missing;
                Some((disk.clone(), Trail::new(sink)))
            }
        };
        Ok(Self { records, audit, audit_missing, queue_max })
    }

    /// The last journal record that a line is of.
    pub(super) fn last(&self) -> Option<Position> {
        let records = self.records.as_ref().and_then(|(_, trail)| trail.last());
        let audit = self.audit.as_ref().and_then(|(_, trail)| trail.last());
        records.max(audit).map(|cursor| cursor.position)
    }

    /// Whether usage records are kept.
    pub(super) fn keeps_records(&self) -> bool {
        self.records.is_some()
    }

    /// After a checkpoint that was taken without usage records, there are none of what it includes: each partition's first
    /// line says how much that is.
    pub(super) fn begin_records(
        &self,
        position: Position,
        at: Timestamp,
        partitions: impl Iterator<Item = (PartitionId, i128, i128)>,
    ) {
        /// No record has so many lines.
        const BEGIN: u32 = 1 << 31;
        let Some((_, trail)) = &self.records else { return };
        for (partition, debited, credited) in partitions {
            let cursor = Cursor::new(position, BEGIN + u32::from(partition.0));
            trail.push_at(cursor, Item::Begin { at, partition, debited, credited });
        }
    }

    /// Takes in the usage records of a journal record. This and the next are called in the order of positions.
    pub(super) fn push_records(&self, position: Position, partition: PartitionId, records: Vec<Record>) {
        if let Some((_, trail)) = &self.records {
            trail.push(position, records.into_iter().map(|record| Item::Record(partition, record)));
        }
    }

    /// Takes in who caused a journal record.
    pub(super) fn push_audit(&self, position: Position, audit: Audit) {
        if let Some((_, trail)) = &self.audit {
            trail.push(position, [audit]);
        }
    }

    /// Writes all that is durable in the journal, and returns how many lines that were.
    pub(super) fn flush(&self, mark: &DurableMark) -> Result<usize, JournalError> {
        let records = self.records.as_ref().map_or(Ok(0), |(_, trail)| trail.flush(mark));
        let audit = self.audit.as_ref().map_or(Ok(0), |(_, trail)| trail.flush(mark));
        Ok(records? + audit?)
    }

    /// Usage records that wait to be written.
    pub(super) fn waiting(&self) -> [usize; 2] {
        let records = self.records.as_ref().map_or(0, |(_, trail)| trail.waiting());
        [records, self.audit.as_ref().map_or(0, |(_, trail)| trail.waiting())]
    }

    /// Whether so many wait that no more sessions should begin.
    pub(super) fn is_behind(&self) -> bool {
        self.records.as_ref().is_some_and(|(_, trail)| trail.waiting() >= self.queue_max)
    }

    /// The end of the audit trail in its files.
    pub(super) fn audit_head(&self) -> Option<AuditHead> {
        self.audit.as_ref().and_then(|(_, trail)| trail.look(AuditSink::head))
    }

    /// Where their files are.
    pub(super) fn disks(&self) -> [(&'static str, Option<&D>); 2] {
        let (records, audit) = (self.records.as_ref(), self.audit.as_ref());
        [("records", records.map(|(disk, _)| disk)), ("audit", audit.map(|(disk, _)| disk))]
    }

    /// The files of usage records, to be read.
    pub(super) fn record_files(&self) -> Option<RecordFiles<D>> {
        self.records.as_ref().map(|(disk, _)| RecordFiles::new(disk.clone()))
    }

    /// The files of the audit trail, to be read.
    pub(super) fn audit_trail(&self) -> Option<AuditTrail<D>> {
        self.audit.as_ref().map(|(disk, _)| AuditTrail::new(disk.clone()))
    }
}
