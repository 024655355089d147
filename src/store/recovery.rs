//! Opening a store: the latest checkpoint, the journal after it, then the indexes.

use std::{
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use super::{
    IdentityIndex, Observer, Outbox, Place, Settings, SilentObserver, Store,
    audited::Refusals,
    bulk::{Desk, Table},
    catalogs::Found,
    clients::ClientIndex,
    index::SessionIndex,
    partition::Partition,
    trails::Trails,
};
use crate::{
    charging::{State, Violation},
    ids::{AccountId, PartitionId},
    journal::{
        CheckpointReader, Commit, Committer, Disk, DiskFile, Epoch, Journal, JournalError, LocalJournal, Meta, Options,
        Origin, Position, TornTail, checkpoint,
        record::{self, Entry},
        snapshot::{AuditHead, BulksLoader, CatalogsLoader, OutboxLoader, PartitionLoader, SnapshotError},
    },
    rating::{Catalog, Problem},
    time::Clock,
    units::Currency,
};

/// Version of everything on disk.
pub(super) const FORMAT: u32 = 1;
/// Records between two reports of progress.
pub(super) const PROGRESS_EVERY: u64 = 100_000;

/// What a recovery found.
#[derive(Debug, Clone)]
pub struct RecoveryReport {
    /// Position of the checkpoint that it started from, if there was one.
    pub checkpoint: Option<Position>,
    /// Records replayed after it.
    pub replayed: u64,
    /// An unfinished batch at the end of the journal that was cut off: nothing in it had been answered.
    pub torn_tail: Option<TornTail>,
    /// Accounts found.
    pub accounts: usize,
    /// Running sessions found.
    pub sessions: usize,
    /// Lines of the audit trail that a checkpoint knew and its files do not have: somebody has removed them.
    pub audit_missing: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// Files are missing, damaged or in use.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The checkpoint's content is not what it should be.
    #[error("the checkpoint at position {position}: {source}")]
    Snapshot {
        /// Where.
        position: u64,
        /// What.
        source: SnapshotError,
    },
    /// The checkpoint ends early.
    #[error("the checkpoint at position {0} ends before all partitions are there")]
    Incomplete(u64),
    /// The journal ends before the checkpoint: files have been removed, or what seems torn was durable once.
    #[error(
        "the journal ends at position {journal}, but the checkpoint has records up to {checkpoint}: {}",
        missing(torn.as_ref())
    )]
    JournalTooShort {
        /// Last position of the journal.
        journal: u64,
        /// Position of the checkpoint.
        checkpoint: u64,
        /// What was cut off at its end.
        torn: Option<TornTail>,
    },
    /// The state that came out is not consistent.
    #[error("after recovery: {0}")]
    Violation(#[from] Violation),
    /// An account is in another currency than the catalog's: its prices cannot be charged to it.
    #[error("account {account} is in {found}, but the catalog is in {catalog}; a store stays with its currency")]
    Currency {
        /// The account.
        account: AccountId,
        /// Its currency.
        found: Currency,
        /// The catalog's.
        catalog: Currency,
    },
    /// A version of the catalog that is or will be in force is no catalog for this build.
    #[error("catalog version {number}, which is or will be in force, cannot be used by this build: {}", told(problems))]
    Catalog {
        /// Its number.
        number: u32,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// Two accounts claim one identity.
    #[error("after recovery: accounts {0} and {1} have the same identity")]
    Identity(AccountId, AccountId),
    /// The committer's thread could not be started.
    #[error("the journal's thread: {0}")]
    Thread(std::io::Error),
}

impl RecoveryError {
    /// The file that is damaged, where it is one.
    pub fn damaged_file(&self) -> Option<&str> {
        if let Self::Journal(error) = self { error.damaged_file() } else { None }
    }

    /// Whether files are damaged or missing: something else than what this node or its configuration can do about.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_damage(),
            Self::Snapshot { .. }
            | Self::Incomplete(_)
            | Self::JournalTooShort { .. }
            | Self::Violation(_)
            | Self::Identity(..) => true,
            Self::Currency { .. } | Self::Catalog { .. } | Self::Thread(_) => false,
        }
    }
}

fn missing(torn: Option<&TornTail>) -> String {
    match torn {
        Some(TornTail { file, offset, .. }) => format!("{file} is damaged at byte {offset}"),
        None => "files are missing".to_owned(),
    }
}

fn told(problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("line {}, column {}: {}", problem.line, problem.column, problem.message);
    problems.iter().map(line).collect::<Vec<_>>().join("; ")
}

impl<D: Disk> Store<D> {
    /// Opens a store, or creates it. `progress` is called now and then with the number of records replayed.
    ///
    /// # Errors
    /// Files are damaged, in use by another process, or of another set-up. Nothing is guessed: see [`RecoveryError`].
    pub fn open(
        place: impl Into<Place<D>>,
        settings: Settings,
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        on_commit: impl FnMut(&Commit) + Send + 'static,
        progress: impl FnMut(u64),
    ) -> Result<(Self, RecoveryReport), RecoveryError> {
        let start = |journal, epoch, last| Committer::start(journal, epoch, last, on_commit);
        let options = Options { segment_bytes: settings.segment_bytes, ..Options::default() };
        Self::recover(place.into(), settings, options, catalog, clock, observer, start, progress)
    }

    /// As [`open`](Self::open), without any thread: what is done becomes durable by [`commit_by_hand`](Self::commit_by_hand)
    /// only. For simulations, where everything happens in an order that a seed decides.
    ///
    /// # Errors
    /// As there.
    pub fn open_by_hand(
        place: impl Into<Place<D>>,
        settings: Settings,
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), RecoveryError> {
        let start = |journal, epoch, last| Ok(Committer::by_hand(journal, epoch, last));
        let options = Options { segment_bytes: settings.segment_bytes, prepare_ahead: false };
        let observer = Arc::new(SilentObserver);
        Self::recover(place.into(), settings, options, catalog, clock, observer, start, |_| {})
    }

    #[expect(clippy::too_many_arguments, reason = "two callers above, which have less to say")]
    fn recover(
        place: Place<D>,
        settings: Settings,
        options: Options,
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        start: impl FnOnce(LocalJournal<D>, Epoch, Position) -> std::io::Result<Committer>,
        mut progress: impl FnMut(u64),
    ) -> Result<(Self, RecoveryReport), RecoveryError> {
        let started = Instant::now();
        let disk = place.disk.clone();
        let wanted = Meta { format: FORMAT, partitions: settings.partitions, origin: Origin::new(clock.now()) };
        let origin = Meta::open_or_create(&disk, wanted)?.origin;
        let mut settings = settings;
        settings.retention.secret = origin.secret;
        let mut journal = LocalJournal::open(disk.clone(), options)?;
        let torn_tail = journal.torn_tail().cloned();
        let (epoch, last) = journal.takeover()?;
        let outbox = Outbox::new(settings.outbox_keep, settings.outbox_keep_max);
        let (mut found, mut bulks) = (Found::default(), Table::default());
        let loaded = load_checkpoint(checkpoint::latest(&disk)?, &settings, &outbox, &mut found, &mut bulks)?;
        let (mut partitions, from) = (loaded.partitions, loaded.position);
        if last < loaded.reach {
            return Err(RecoveryError::JournalTooShort {
                journal: last.0,
                checkpoint: loaded.reach.0,
                torn: torn_tail,
            });
        }
        let recorded = from.filter(|_| loaded.records_kept).unwrap_or_default();
        let trails = Trails::open(&place, loaded.audit, recorded)?;
        if let Some(after) = trails.last().filter(|written| last < *written) {
            // Lines are written only of what is durable; with other records at these positions they would be taken for theirs.
            let lost = torn_tail.map_or(JournalError::Missing { after, last }, |torn| torn.lost(last, after));
            return Err(lost.into());
        }
        if trails.keeps_records() {
            if let Some(from) = from.filter(|_| !loaded.records_kept) {
                let recorded = |(index, partition): (u16, &Partition)| {
                    let (debited, credited) = partition.state.recorded();
                    (PartitionId(index), debited, credited)
                };
                trails.begin_records(from, clock.now(), (0..).zip(&partitions).map(recorded));
            }
            partitions.iter_mut().for_each(|partition| partition.state.keep_records());
        }
        let mut replayed = 0;
        let mut replay = Replay {
            partitions: &mut partitions,
            outbox: &outbox,
            trails: &trails,
            found: &mut found,
            bulks: &mut bulks,
        };
        journal.read_from(from.unwrap_or(Position::ZERO), &mut |position, bytes| {
            replay.record(position, bytes)?;
            replayed += 1;
            if replayed % PROGRESS_EVERY == 0 {
                progress(replayed);
            }
            Ok(())
        })?;
        // A checkpoint has its accounts in no order: they are sorted now, and not while requests wait.
        for partition in &mut partitions {
            partition.state.accounts_after(AccountId(u64::MAX), 0);
        }
        let clients = ClientIndex::of(&partitions);
        let (identities, sessions) = build_indexes(&mut partitions, catalog.currency())?;
        let shelved = found.shelve(catalog, clock.now());
        let (shelf, configured) = shelved.map_err(|(number, problems)| RecoveryError::Catalog { number, problems })?;
        let committer = start(journal, epoch, last).map_err(RecoveryError::Thread)?;
        let store = Self {
            partitions: partitions.into_iter().map(Mutex::new).collect(),
            identities,
            sessions,
            clients,
            origin,
            outbox,
            shelf,
            trails,
            refusals: Refusals::default(),
            desk: Desk::new(bulks),
            clock,
            observer,
            catching_up: AtomicUsize::new(0),
            appender: committer.appender(),
            reader: committer.reader(),
            room: committer.room().clone(),
            committer: Mutex::new(Some(committer)),
            disk,
            checkpointing: Mutex::new(()),
            delivering: Mutex::new(()),
        };
        for version in store.catalogs().versions() {
            store.observer.published(&version.catalog);
        }
        store.publish_configured(configured);
        let totals = store.totals();
        let report = RecoveryReport {
            checkpoint: from,
            replayed,
            torn_tail,
            accounts: totals.accounts,
            sessions: totals.sessions,
            audit_missing: store.trails.audit_missing,
            took: started.elapsed(),
        };
        Ok((store, report))
    }
}

/// What the latest checkpoint holds.
pub(super) struct Loaded {
    pub(super) partitions: Vec<Partition>,
    /// After this position the journal is to be replayed; `None` = there is no checkpoint, and the partitions are empty.
    pub(super) position: Option<Position>,
    /// The last record that any part of it may have in it: each is as of a moment of its own.
    pub(super) reach: Position,
    records_kept: bool,
    audit: Option<AuditHead>,
}

pub(super) fn load_checkpoint<F: DiskFile>(
    checkpoint: Option<CheckpointReader<F>>,
    settings: &Settings,
    outbox: &Outbox,
    found: &mut Found,
    bulks: &mut Table,
) -> Result<Loaded, RecoveryError> {
    let Some(mut reader) = checkpoint else {
        let empty = || Partition::new(State::new(settings.retention), Position::ZERO);
        let partitions = (0..settings.partitions).map(|_| empty()).collect();
        return Ok(Loaded { partitions, position: None, reach: Position::ZERO, records_kept: true, audit: None });
    };
    let position = reader.position();
    let snapshot = |source| RecoveryError::Snapshot { position: position.0, source };
    let (mut partitions, mut chunk) = (Vec::new(), Vec::new());
    // Whether a part is there; if it is, it is there to its end.
    let mut part = |load: &mut dyn FnMut(&[u8]) -> Result<bool, SnapshotError>| {
        for number in 0u64.. {
            match reader.next_chunk(&mut chunk)? {
                true if load(&chunk).map_err(snapshot)? => break,
                true => {}
                false if number == 0 => return Ok(false),
                false => return Err(RecoveryError::Incomplete(position.0)),
            }
        }
        Ok(true)
    };
    let needed = |is_there: bool| if is_there { Ok(()) } else { Err(RecoveryError::Incomplete(position.0)) };
    while partitions.len() < usize::from(settings.partitions) {
        let mut loader = PartitionLoader::new(settings.retention);
        needed(part(&mut |chunk| loader.load_chunk(chunk).map(|()| loader.is_complete()))?)?;
        let (header, state) = loader.finish().map_err(snapshot)?;
        partitions.push(Partition::new(state, Position(header.position)));
    }
    let mut loader = OutboxLoader::default();
    needed(part(&mut |chunk| loader.load_chunk(chunk).map(|()| loader.is_complete()))?)?;
    let restored = loader.finish().map_err(snapshot)?;
    let audited = restored.audit.as_ref().map_or(Position::ZERO, |head| head.position);
    let reach = [position, Position(restored.position), audited].into_iter();
    let reach = reach.chain(partitions.iter().map(|partition| partition.last)).fold(position, Position::max);
    let (records_kept, audit) = (restored.records_kept, restored.audit);
    let mut loaded = Loaded { partitions, position: Some(position), reach, records_kept, audit };
    outbox.restore(restored);
    // Checkpoints from before versions had numbers end here.
    let mut loader = CatalogsLoader::default();
    if !part(&mut |chunk| loader.load_chunk(chunk).map(|()| loader.is_complete()))? {
        return Ok(loaded);
    }
    let restored = loader.finish().map_err(snapshot)?;
    loaded.reach = loaded.reach.max(Position(restored.position));
    found.restore(restored);
    // Those from before bulk changes end here.
    let mut loader = BulksLoader::default();
    if !part(&mut |chunk| loader.load_chunk(chunk).map(|()| loader.is_complete()))? {
        return Ok(loaded);
    }
    let restored = loader.finish().map_err(snapshot)?;
    loaded.reach = loaded.reach.max(Position(restored.position));
    bulks.restore(restored);
    // Only at its end is a checkpoint known to be whole; and parts of a later version would be lost.
    if reader.next_chunk(&mut chunk)? {
        return Err(snapshot(SnapshotError::Unknown));
    }
    Ok(loaded)
}

/// Takes in the records of a journal, one after the other.
pub(super) struct Replay<'r, D: Disk> {
    pub(super) partitions: &'r mut [Partition],
    pub(super) outbox: &'r Outbox,
    pub(super) trails: &'r Trails<D>,
    pub(super) found: &'r mut Found,
    pub(super) bulks: &'r mut Table,
}

impl<D: Disk> Replay<'_, D> {
    pub(super) fn record(&mut self, position: Position, bytes: &[u8]) -> Result<(), JournalError> {
        let decoded = record::decode_audited(bytes);
        let (entry, audit) = decoded.map_err(|error| JournalError::rejected(position, error))?;
        self.entry(position, entry)?;
        if let Some(audit) = audit {
            if let Some(item) = &audit.bulk {
                self.bulks.executed(position, item, &audit.refusal, audit.at);
            }
            self.trails.push_audit(position, audit);
        }
        Ok(())
    }

    fn entry(&mut self, position: Position, entry: Entry) -> Result<(), JournalError> {
        match entry {
            Entry::Charging { partition: PartitionId(index), event } => {
                let count = self.partitions.len();
                let partition = self.partitions.get_mut(usize::from(index)).ok_or_else(|| {
                    JournalError::rejected(position, format!("partition {index}, but there are {count}"))
                })?;
                // The checkpoint took each partition at its own moment, and the outbox, which looks for itself.
                if position > partition.last {
                    partition.state.apply(&event);
                    partition.last = position;
                    self.trails.push_records(position, PartitionId(index), partition.state.take_records());
                }
                self.outbox.push(position, event.notices());
            }
            Entry::Acknowledged { consumer, cursor, .. } => self.outbox.acknowledge(position, &consumer, cursor),
            Entry::Forgotten { consumer, .. } => self.outbox.forget(position, &consumer),
            Entry::Published(publication) => self.found.published(position, publication),
            Entry::Withdrawn { number, at } => self.found.withdrawn(position, number, at),
            Entry::BulkSubmitted(bulk) => self.bulks.submitted(position, *bulk),
            Entry::BulkDecided { bulk, decision } => self.bulks.decided(position, bulk, &decision),
            // What comes with it says what it means.
            Entry::BulkItemEnded { .. } | Entry::CallRefused { .. } => {}
        }
        Ok(())
    }
}

pub(super) fn build_indexes(
    partitions: &mut [Partition],
    catalog: Currency,
) -> Result<(IdentityIndex, SessionIndex), RecoveryError> {
    let (identities, sessions) = (IdentityIndex::default(), SessionIndex::default());
    for (partition, index) in partitions.iter_mut().zip(0..) {
        partition.state.check()?;
        // The index is made from what runs now; what has ended on the way never got into it.
        drop(partition.state.take_ended());
        for account in partition.state.accounts() {
            if account.currency != catalog {
                return Err(RecoveryError::Currency { account: account.id, found: account.currency, catalog });
            }
            for identity in account.identities() {
                let claim = identities.claim(identity, account.id);
                claim.map_err(|owner| RecoveryError::Identity(owner, account.id))?;
            }
        }
        for key in partition.state.session_keys() {
            sessions.insert(key, PartitionId(index));
        }
    }
    Ok((identities, sessions))
}
