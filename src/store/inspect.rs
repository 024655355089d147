//! Recomputes everything from the files of a store and changes none of them: is what would be recovered consistent?

use std::sync::Arc;

use super::{
    Outbox, Place, RecoveryError, Settings,
    bulk::Table,
    catalogs::Found,
    partition::Partition,
    recovery::{FORMAT, Loaded, PROGRESS_EVERY, Replay, build_indexes, load_checkpoint},
    trails::Trails,
};
use crate::{
    journal::{CheckpointReader, Disk, JournalError, Look, Meta, Position, TornTail, checkpoint},
    rating::Catalog,
};

/// What an inspection found, all of it consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Partitions of the store.
    pub partitions: u16,
    /// Positions of the checkpoints, oldest first.
    pub checkpoints: Vec<Position>,
    /// The first record that is still in the journal.
    pub oldest: Position,
    /// The last one.
    pub last: Position,
    /// A batch at the end that is not whole: it was never answered, and the next start cuts it off.
    pub torn_tail: Option<TornTail>,
    /// Records that were applied.
    pub replayed: u64,
    /// Accounts.
    pub accounts: u64,
    /// Running sessions.
    pub sessions: u64,
    /// Money of all accounts, in micro-units of the store's currency: came in, charged, in buckets, reserved. In sum
    /// `credited - debited = balances`.
    pub credited: i128,
    /// See [`credited`](Self::credited).
    pub debited: i128,
    /// See [`credited`](Self::credited).
    pub balances: i128,
    /// See [`credited`](Self::credited).
    pub reserved: i128,
    /// From where else the same state was computed, which has to come out the same; `None` = there is no other way to it.
    pub compared_from: Option<Position>,
}

/// Why a store would not be, or should not be, recovered.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be read or is not consistent.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Two ways to the same position lead to different states. A change of what is remembered, and for how long, between the
    /// two checkpoints (`[store]` of the configuration) does that too.
    #[error("partition {partition}: the state from the checkpoint at {newest} differs from that from {older}: {what}")]
    Differs {
        /// The partition.
        partition: usize,
        /// The newest checkpoint.
        newest: Position,
        /// The older one, or 0 for the beginning.
        older: Position,
        /// The first difference.
        what: String,
    },
}

impl From<JournalError> for InspectError {
    fn from(error: JournalError) -> Self {
        Self::Recovery(error.into())
    }
}

/// Reads everything, recovers the state in memory, checks all invariants of it, and where an older checkpoint is there (or
/// the journal from its beginning), recovers from that as well and compares. A server may run beside. `settings` are those
/// of the server, but for the number of partitions, which is the store's. `progress` hears of records applied now and then.
///
/// # Errors
/// The first thing that is damaged, missing, or not consistent.
pub fn inspect<D: Disk>(
    disk: &D,
    settings: Settings,
    catalog: &Arc<Catalog>,
    mut progress: impl FnMut(u64),
) -> Result<Inspection, InspectError> {
    /// Checkpoints that a server may finish meanwhile, each of which takes from the journal what was to be read.
    const AGAIN_MAX: usize = 3;
    for _ in 0..AGAIN_MAX {
        let before = checkpoint::positions(disk)?;
        match inspect_once(disk, settings, catalog, &mut progress) {
            Err(_) if checkpoint::positions(disk)? != before => {}
            done => return done,
        }
    }
    inspect_once(disk, settings, catalog, &mut progress)
}

fn inspect_once<D: Disk>(
    disk: &D,
    settings: Settings,
    catalog: &Arc<Catalog>,
    progress: &mut impl FnMut(u64),
) -> Result<Inspection, InspectError> {
    let meta = Meta::look(disk)?;
    if meta.format != FORMAT {
        return Err(JournalError::Format { stored: meta.format, supported: FORMAT }.into());
    }
    let mut settings = Settings { partitions: meta.partitions, ..settings };
    settings.retention.secret = meta.origin.secret;
    let mut checkpoints = checkpoint::all(disk)?;
    let positions: Vec<Position> = checkpoints.iter().map(CheckpointReader::position).collect();
    // After the checkpoints: a journal that is trimmed meanwhile has a newer one.
    let journal = Look::open(disk)?;
    let mut replayed = 0;
    let mut recover = |checkpoint| recover(disk, &settings, &journal, checkpoint, &mut replayed, progress);
    let newest = checkpoints.pop();
    let is_whole = journal.oldest() == Position(1);
    let older = checkpoints.pop();
    let compares = newest.is_some() && (older.is_some() || is_whole);
    let (mut partitions, from) = recover(newest)?;
    let mut compared_from = None;
    if compares {
        let (others, older) = recover(older)?;
        for (partition, (state, other)) in partitions.iter().zip(&others).enumerate() {
            let same = state.state.same_as(&other.state);
            same.map_err(|what| InspectError::Differs { partition, newest: from, older, what })?;
        }
        compared_from = Some(older);
    }
    build_indexes(&mut partitions, catalog.currency())?;
    let totals = partitions.iter().map(|partition| partition.state.totals());
    let sums = totals.fold([0i128; 4], |sums, totals| std::array::from_fn(|index| sums[index] + totals[index]));
    let [credited, debited, balances, reserved] = sums;
    Ok(Inspection {
        partitions: meta.partitions,
        checkpoints: positions,
        oldest: journal.oldest(),
        last: journal.last(),
        torn_tail: journal.torn_tail().cloned(),
        replayed,
        accounts: partitions.iter().map(|partition| partition.state.sizes().0 as u64).sum(),
        sessions: partitions.iter().map(|partition| partition.state.sessions().count() as u64).sum(),
        credited,
        debited,
        balances,
        reserved,
        compared_from,
    })
}

/// The state after the last record, from a checkpoint or from nothing; and where that was.
fn recover<D: Disk>(
    disk: &D,
    settings: &Settings,
    journal: &Look<D>,
    checkpoint: Option<CheckpointReader<D::File>>,
    replayed: &mut u64,
    progress: &mut impl FnMut(u64),
) -> Result<(Vec<Partition>, Position), RecoveryError> {
    let outbox = Outbox::new(settings.outbox_keep, settings.outbox_keep_max);
    let trails = Trails::open(&Place::from(disk.clone()), None, Position::ZERO)?;
    let (mut found, mut bulks) = (Found::default(), Table::default());
    let Loaded { mut partitions, position, reach, .. } =
        load_checkpoint(checkpoint, settings, &outbox, &mut found, &mut bulks)?;
    let from = position.unwrap_or_default();
    if journal.last() < reach {
        return Err(RecoveryError::JournalTooShort {
            journal: journal.last().0,
            checkpoint: reach.0,
            torn: journal.torn_tail().cloned(),
        });
    }
    let mut replay =
        Replay { partitions: &mut partitions, outbox: &outbox, trails: &trails, found: &mut found, bulks: &mut bulks };
    journal.read(from, &mut |position, bytes| {
        replay.record(position, bytes)?;
        *replayed += 1;
        if replayed.is_multiple_of(PROGRESS_EVERY) {
            progress(*replayed);
        }
        Ok(())
    })?;
    Ok((partitions, from))
}
