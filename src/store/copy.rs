//! Copies a store: as a backup while it is in use, and back from one, whole or as it was at an earlier moment.
//!
//! A copy has one checkpoint, the records after it up to where it ends, and the lines of the trails up to the same place. It
//! is a store like any other; what makes it one is written last.

use super::{
    Outbox, RecoveryError, Settings,
    bulk::Table,
    catalogs::Found,
    recovery::{FORMAT, PROGRESS_EVERY, load_checkpoint},
    trails::{copy_audit, copy_records},
};
use crate::{
    journal::{
        AppendError, Batch, CheckpointReader, CheckpointWriter, Disk, DiskFile, Journal as _, JournalError,
        LocalJournal, Look, Meta, Options, Position, checkpoint, record,
    },
    time::Timestamp,
};

/// The directories of a store. Those of trails that are not kept are `None`.
#[derive(Debug, Clone)]
pub struct Directories<D: Disk> {
    /// Journal and checkpoints.
    pub store: D,
    /// Usage records.
    pub records: Option<D>,
    /// The audit trail.
    pub audit: Option<D>,
}

/// How far a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end, as it is now.
    End,
    /// To this record.
    Position(Position),
    /// Before the first record of a later moment than this.
    Moment(Timestamp),
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The checkpoint, if there is one in the copy.
    pub checkpoint: Option<Position>,
    /// The last record.
    pub last: Position,
    /// Records copied, from the checkpoint's own on.
    pub records: u64,
    /// Lines of usage records and of the audit trail.
    pub lines: u64,
}

/// Why a store was not copied. What there is of the copy is none: nothing opens it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read, or the copy not be written.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// There is something where the copy should be.
    #[error("{0} is there already: a copy goes to an empty directory")]
    NotEmpty(String),
    /// The store does not go back so far.
    #[error("the store goes back to record {oldest} only: take a backup from before")]
    TooEarly {
        /// The first state that can be had.
        oldest: Position,
    },
    /// The store does not go so far.
    #[error("the store ends with record {0}")]
    TooLate(Position),
}

impl From<JournalError> for CopyError {
    fn from(error: JournalError) -> Self {
        Self::Recovery(error.into())
    }
}

/// Copies a store to empty directories. A server may use it meanwhile; none may use the copy. `progress` hears of records
/// copied now and then.
///
/// # Errors
/// Nothing that opens as a store was made.
pub fn copy<D: Disk, T: Disk>(
    from: &Directories<D>,
    to: &Directories<T>,
    until: Until,
    settings: Settings,
    mut progress: impl FnMut(u64),
) -> Result<Copied, CopyError> {
    for directory in [Some(&to.store), to.records.as_ref(), to.audit.as_ref()].into_iter().flatten() {
        must_be_empty(directory)?;
    }
    let meta = Meta::look_at_either(&from.store)?;
    if meta.format != FORMAT {
        return Err(JournalError::Format { stored: meta.format, supported: FORMAT }.into());
    }
    let settings = Settings { partitions: meta.partitions, ..settings };
    // Before the journal: one that is trimmed meanwhile has a newer checkpoint.
    let checkpoints = checkpoint::positions(&from.store)?;
    let journal = match (Look::open(&from.store), until) {
        // What is damaged may come later.
        (Err(_), Until::Position(last)) => Look::up_to(&from.store, last)?,
        (journal, _) => journal?,
    };
    let last = end_of(&journal, until)?;
    // What comes after is not read: it may be what the copy is made for.
    let journal = Look::up_to(&from.store, last)?;
    let chosen = choose(&from.store, &checkpoints, &journal, last, &settings)?;
    let checkpoint = chosen.map(|reader| copy_checkpoint(reader, &to.store)).transpose()?;
    // With the checkpoint's own record, where it is still there: it says of when that is.
    let checkpoint_at = checkpoint.unwrap_or_default();
    let own = || Look::up_to(&from.store, checkpoint_at)?.read(checkpoint_at.before(), &mut |_, _| Ok(()));
    let begin = if own().is_ok() { checkpoint_at.before() } else { checkpoint_at };
    let records = copy_journal(&journal, &to.store, begin, &settings, &mut progress)?;
    let mut lines = 0;
    if let (Some(from), Some(to)) = (&from.records, &to.records) {
        lines += copy_records(from, to, last)?;
    }
    if let (Some(from), Some(to)) = (&from.audit, &to.audit) {
        lines += copy_audit(from, to, last)?;
    }
    meta.store(&to.store)?;
    Ok(Copied { checkpoint, last, records, lines })
}

/// Whether there is nothing in a directory that a copy is to go to.
///
/// # Errors
/// There is, or it cannot be read.
pub fn must_be_empty(directory: &impl Disk) -> Result<(), CopyError> {
    let names = directory.list().map_err(|source| JournalError::Io { file: "the copy's directory".into(), source })?;
    // The directories of trails may be in that of the store, where its lock is too.
    let found = names.into_iter().find(|name| !["lock", "records", "audit"].contains(&name.as_str()));
    found.map_or(Ok(()), |name| Err(CopyError::NotEmpty(name)))
}

/// Ends a reading.
#[derive(Debug, thiserror::Error)]
#[error("later than what was asked for")]
struct Over;

/// The last record of a copy.
fn end_of<D: Disk>(journal: &Look<D>, until: Until) -> Result<Position, CopyError> {
    match until {
        Until::End => Ok(journal.last()),
        Until::Position(position) if position > journal.last() => Err(CopyError::TooLate(journal.last())),
        Until::Position(position) => Ok(position),
        Until::Moment(moment) => {
            let mut last = Position(journal.oldest().0.saturating_sub(1));
            let done = journal.read(last, &mut |position, bytes| {
                let record = record::describe(bytes).map_err(|error| JournalError::rejected(position, error))?;
                if record.at > moment {
                    return Err(JournalError::rejected(position, Over));
                }
                last = position;
                Ok(())
            });
            match done {
                // What comes later need not be whole.
                Err(JournalError::Rejected { source, .. }) if source.is::<Over>() => {}
                done => done?,
            }
            // Without a record from before there is no telling how old the oldest state is.
            let oldest = journal.oldest();
            if last < oldest { Err(CopyError::TooEarly { oldest }) } else { Ok(last) }
        }
    }
}

/// The newest checkpoint that is whole and holds nothing from after the end; `None` = the journal is there from its
/// beginning, and is to be copied whole. An older one than could be loses nothing: the journal after it is there.
pub(super) fn choose<D: Disk>(
    from: &D,
    checkpoints: &[Position],
    journal: &Look<D>,
    last: Position,
    settings: &Settings,
) -> Result<Option<CheckpointReader<D::File>>, CopyError> {
    let (mut oldest, mut damage) = (None, None);
    for position in checkpoints.iter().rev() {
        let open = || CheckpointReader::open(from, *position);
        let load = |reader| {
            load_checkpoint(Some(reader), settings, &Outbox::new(0, 0), &mut Found::default(), &mut Table::default())
        };
        match open().map_err(RecoveryError::from).and_then(load) {
            Ok(loaded) => {
                if loaded.reach <= last {
                    return Ok(Some(open()?));
                }
                oldest = Some(loaded.reach);
            }
            Err(error) => damage = Some(error),
        }
    }
    if journal.oldest() == Position(1) {
        return Ok(None);
    }
    match (oldest, damage) {
        (Some(oldest), _) => Err(CopyError::TooEarly { oldest }),
        (None, Some(damage)) => Err(damage.into()),
        (None, None) => Err(CopyError::TooEarly { oldest: journal.oldest() }),
    }
}

fn copy_checkpoint<F: DiskFile, T: Disk>(mut reader: CheckpointReader<F>, to: &T) -> Result<Position, JournalError> {
    let position = reader.position();
    let mut writer = CheckpointWriter::begin(to.clone(), position)?;
    let mut chunk = Vec::new();
    while reader.next_chunk(&mut chunk)? {
        writer.chunk(&chunk)?;
    }
    writer.commit(position)?;
    Ok(position)
}

fn copy_journal<D: Disk, T: Disk>(
    journal: &Look<D>,
    to: &T,
    after: Position,
    settings: &Settings,
    progress: &mut impl FnMut(u64),
) -> Result<u64, JournalError> {
    /// Records are written in batches of about this size.
    const BATCH_BYTES: usize = 1 << 20;
    let options = Options { segment_bytes: settings.segment_bytes, prepare_ahead: false };
    let mut copy = LocalJournal::begin(to.clone(), after.next(), options)?;
    let (epoch, mut end) = copy.takeover()?;
    let (mut batch, mut copied) = (Batch::new(), 0u64);
    let mut write = |batch: &mut Batch| -> Result<(), JournalError> {
        end = copy.append(epoch, end, batch).map_err(|error| match error {
            AppendError::Io(error) => error,
            other => JournalError::rejected(end, other),
        })?;
        batch.clear(BATCH_BYTES);
        Ok(())
    };
    journal.read(after, &mut |_, bytes| {
        batch.push(bytes);
        copied += 1;
        if copied.is_multiple_of(PROGRESS_EVERY) {
            progress(copied);
        }
        if batch.bytes() >= BATCH_BYTES { write(&mut batch) } else { Ok(()) }
    })?;
    write(&mut batch)?;
    Ok(copied)
}
