//! Do the usage records add up to what the accounts were charged and credited? To the micro-unit, partition by partition.

use std::ops::ControlFlow;

use super::records::{decimal, micros};
use crate::{
    ids::PartitionId,
    journal::{Disk, Fatal, JournalError, Position},
    store::Store,
};

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Every partition.
    pub partitions: Vec<PartitionSums>,
}

/// The two sides of a partition, in micro-units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSums {
    /// The partition.
    pub partition: PartitionId,
    /// As of this journal position.
    pub position: Position,
    /// By its accounts: all that was debited but what running sessions have been charged, and all that was credited.
    pub accounts: [i128; 2],
    /// The same by the records.
    pub records: [i128; 2],
    /// What running sessions have been charged so far: it is in no record yet.
    pub running: i128,
    /// Records that were added up.
    pub lines: u64,
}

impl PartitionSums {
    /// Both sides are the same.
    pub fn is_exact(&self) -> bool {
        self.accounts == self.records
    }

    /// Micro-units of a sum as a decimal number.
    pub fn decimal(micros: i128) -> String {
        decimal(micros)
    }
}

impl Reconciliation {
    /// Every partition's sides are the same.
    pub fn is_exact(&self) -> bool {
        self.partitions.iter().all(PartitionSums::is_exact)
    }

    /// The sums of all partitions, as if they were one.
    pub fn total(&self) -> PartitionSums {
        let start = PartitionSums::new(PartitionId(0), Position::ZERO);
        self.partitions.iter().fold(start, |sum, one| PartitionSums {
            position: sum.position.max(one.position),
            accounts: [sum.accounts[0] + one.accounts[0], sum.accounts[1] + one.accounts[1]],
            records: [sum.records[0] + one.records[0], sum.records[1] + one.records[1]],
            running: sum.running + one.running,
            lines: sum.lines + one.lines,
            ..sum
        })
    }
}

impl PartitionSums {
    fn new(partition: PartitionId, position: Position) -> Self {
        Self { partition, position, accounts: [0; 2], records: [0; 2], running: 0, lines: 0 }
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store keeps no usage records.
    #[error("no usage records are kept: see [records] in the configuration")]
    NotKept,
    /// The files cannot be written or read.
    #[error(transparent)]
    Files(#[from] JournalError),
    /// A line is not what it should be.
    #[error("line {0} has no amount of money where one must be")]
    Line(String),
    /// The journal has failed.
    #[error(transparent)]
    Journal(#[from] Fatal),
}

impl<D: Disk> Store<D> {
    /// Adds up all usage records and compares them with the accounts, while charging goes on. Reads all files: it takes as
    /// long as that.
    ///
    /// # Errors
    /// Nothing was compared.
    pub fn reconcile(&self) -> Result<Reconciliation, ReconcileError> {
        let files = self.trails.record_files().ok_or(ReconcileError::NotKept)?;
        let mut sums = Vec::new();
        for partition in self.partition_ids() {
            let cell = self.lock(partition);
            let (debited, credited) = cell.state.recorded();
            let running = cell.state.running_charges();
            sums.push(PartitionSums {
                accounts: [debited, credited],
                running,
                ..PartitionSums::new(partition, cell.last)
            });
        }
        // All that these partitions rest on becomes durable, then it is written.
        let last = sums.iter().map(|sums| sums.position).max().unwrap_or(Position::ZERO);
        self.mark().wait_for_blocking(last)?;
        self.trails.flush(self.mark())?;
        let mut bad = None;
        files.visit(None, &mut |cursor, line| {
            let Some(sums) = sums.get_mut(usize::from(line.partition)) else { return ControlFlow::Continue(()) };
            if cursor.position > sums.position {
                return ControlFlow::Continue(());
            }
            let (Some(debited), Some(credited)) = (micros(&line.debited), micros(&line.credited)) else {
                bad = Some(ReconcileError::Line(line.cursor));
                return ControlFlow::Break(());
            };
            if line.kind == "begin" {
                // What lines before it said is in it.
                sums.records = [0; 2];
            }
            sums.records = [sums.records[0] + debited, sums.records[1] + credited];
            sums.lines += 1;
            ControlFlow::Continue(())
        })?;
        files.check_tables()?;
        bad.map_or(Ok(Reconciliation { partitions: sums }), Err)
    }
}
