//! The node's machine: its disks and the real store on them, driven by hand.

use std::{convert::Infallible, sync::Arc};

use tollgate::{
    charging::{Notice, Retention, State},
    diameter::{CreditControlRequest, Frame, Identity, Limits},
    ids::PartitionId,
    journal::{
        Batch, Disk, Journal, JournalError, LocalJournal, MemoryDisk, Meta, Options, Origin, Pending, Position,
        snapshot::{PartitionHeader, PartitionLoader, write_partition},
    },
    mapping::{self, ClientTraits},
    store::{Place, RecordFormat, RecordsAt, RecoveryError, RecoveryReport, Rotation, Settings, Store},
    time::Timestamp,
};

use super::{clock::WorldClock, prices};

pub(super) const PARTITIONS: u16 = 2;
/// Nothing that the world compares is forgotten within its time.
const DAYS_30: u64 = 30 * 86_400;

pub(super) struct Machine {
    pub(super) disk: MemoryDisk,
    /// Where usage records go, if they are kept.
    pub(super) records: Option<MemoryDisk>,
    pub(super) clock: Arc<WorldClock>,
    segment_bytes: u64,
    outbox_keep: usize,
}

/// How a process ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// The machine loses power: of what was not synced, anything may be there.
    Power(u64),
    /// The process is killed: what was written is there.
    Kill,
}

impl Machine {
    pub(super) fn new(segment_bytes: u64, outbox_keep: usize, records: bool) -> Self {
        let clock = Arc::new(WorldClock::new(1_000_000));
        let records = records.then(MemoryDisk::new);
        let machine = Self { disk: MemoryDisk::new(), records, clock, segment_bytes, outbox_keep };
        machine.make(&machine.disk);
        machine
    }

    pub(super) fn open(&self) -> Result<(Store<MemoryDisk>, RecoveryReport), RecoveryError> {
        self.open_at(self.disk.clone(), self.records.clone())
    }

    /// Opens what a disk holds, beside the store that lives.
    pub(super) fn open_copy(&self, disk: MemoryDisk) -> Result<(Store<MemoryDisk>, RecoveryReport), RecoveryError> {
        self.open_at(disk, self.records.as_ref().map(copy_of))
    }

    fn open_at(
        &self,
        disk: MemoryDisk,
        records: Option<MemoryDisk>,
    ) -> Result<(Store<MemoryDisk>, RecoveryReport), RecoveryError> {
        let (format, rotation) = (RecordFormat::Json, Rotation { bytes: 4_000, secs: 0 });
        let records = records.map(|disk| RecordsAt { disk, format, rotation, queue_max: 1 << 20 });
        let clock = Arc::<WorldClock>::clone(&self.clock);
        Store::open_by_hand(Place { disk, records, audit: None }, self.settings(), prices::catalog(), clock)
    }

    /// Ends the process that has the disks open. The next one finds what is left.
    pub(super) fn end(&mut self, end: End) {
        let survives = |disk: &MemoryDisk| match end {
            End::Power(seed) => disk.crash(seed),
            End::Kill => disk.kill(),
        };
        self.disk = survives(&self.disk);
        self.records = self.records.as_ref().map(survives);
        self.clock.forget();
    }

    /// A store that has replayed these records and has seen no checkpoint.
    pub(super) fn replay(&self, records: &[Vec<u8>]) -> Store<MemoryDisk> {
        let disk = MemoryDisk::new();
        self.make(&disk);
        let options = Options { segment_bytes: 512, prepare_ahead: false };
        let mut journal = LocalJournal::open(disk.clone(), options).unwrap();
        let (epoch, last) = journal.takeover().unwrap();
        let mut batch = Batch::new();
        records.iter().for_each(|record| batch.push(record));
        journal.append(epoch, last, &batch).unwrap();
        drop(journal);
        self.open_at(disk, self.records.as_ref().map(|_| MemoryDisk::new())).unwrap().0
    }

    /// The origin is drawn when a store is created; here it must be the same in every run.
    fn make(&self, disk: &MemoryDisk) {
        let origin = Origin { state_id: 1, secret: [2, 3] };
        Meta::open_or_create(disk, Meta { format: 1, partitions: PARTITIONS, origin }).unwrap();
    }

    fn settings(&self) -> Settings {
        let (segment_bytes, outbox_keep) = (self.segment_bytes, self.outbox_keep);
        Settings {
            partitions: PARTITIONS,
            segment_bytes,
            retention: retention(),
            outbox_keep,
            outbox_keep_max: 1_000_000,
        }
    }
}

fn retention() -> Retention {
    let (session_secs, event_secs, request_id_secs) = (DAYS_30, DAYS_30, DAYS_30);
    Retention { session_secs, event_secs, request_id_secs, session_default_secs: 900, ..Retention::default() }
}

/// All that is on a disk, as it is read now.
pub(super) fn copy_of(disk: &MemoryDisk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    for name in names(disk) {
        copy.put(&name, disk.contents(&name).unwrap_or_default());
    }
    copy
}

pub(super) fn names(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

/// A request's way through the node, as octets in and octets out: what comes back waits for its position.
pub(super) fn serve(store: &Store<MemoryDisk>, octets: bytes::Bytes, late_by_secs: u64) -> (Frame, Answering) {
    let frame = Frame::from_bytes(octets).unwrap();
    let client = ClientTraits { all_conditions: store.keeps_records(), ..ClientTraits::default() };
    let request = CreditControlRequest::parse_within(&frame, client.strictness, &Limits::default()).unwrap();
    let charge = mapping::charge(&request, &store.catalog(), client).unwrap();
    let (key, kind, number) = (charge.key, charge.kind(), charge.number());
    let (identities, charge) = charge.split();
    let received = Timestamp::from_millis(store.now().millis() - late_by_secs * 1_000);
    let answered =
        store.charge_in_time(received, &identities, key, kind, number, |account, _| charge.into_command(account));
    (frame, answered)
}

pub(super) type Answering = Pending<tollgate::charging::Answered>;

/// Writes the answer, once it may leave.
pub(super) fn answer(store: &Store<MemoryDisk>, frame: &Frame, answered: Answering) -> Result<Vec<u8>, Answering> {
    let durable = store.mark().admit(answered)?;
    let local = Identity { host: "tollgate.example".into(), realm: "example".into() };
    let mut octets = Vec::new();
    mapping::encode_answer(&durable, frame, ClientTraits::default(), &local, &mut octets);
    Ok(octets)
}

/// The durable records after a position, or after the first that is still there.
pub(super) fn records_after(store: &Store<MemoryDisk>, after: u64) -> (u64, Vec<Vec<u8>>) {
    let mut records = Vec::new();
    let mut visit = |_, record: &[u8]| {
        records.push(record.to_vec());
        Ok(())
    };
    match store.journal().read_from(Position(after), &mut visit) {
        Ok(_) => (after, records),
        Err(JournalError::Trimmed { oldest, .. }) => records_after(store, oldest.0 - 1),
        Err(error) => panic!("a journal that was opened cannot be read: {error}"),
    }
}

/// All that a store knows, to be compared with what another knows.
pub(super) struct Known {
    partitions: Vec<State>,
    events: Vec<(u64, Arc<Notice>)>,
    consumers: Vec<(Box<str>, u64)>,
}

impl Known {
    pub(super) fn of(store: &Store<MemoryDisk>) -> Self {
        let mut partitions = Vec::new();
        store.for_each_state(|state| {
            let partition = PartitionId(partitions.len() as u16);
            let header = PartitionHeader { partition, partitions: PARTITIONS, position: 0 };
            let mut loader = PartitionLoader::new(retention());
            let Ok(()) = write_partition(state, &header, &mut |chunk| {
                loader.load_chunk(chunk).unwrap();
                Ok::<(), Infallible>(())
            });
            let copy = loader.finish().unwrap().1;
            state.same_as(&copy).unwrap();
            partitions.push(copy);
        });
        let outbox = store.outbox();
        let consumers: Vec<_> = outbox.consumers().into_iter().map(|one| (one.name, one.cursor)).collect();
        // What is kept beyond the slowest consumer depends on when it was dropped, and nobody may rely on it.
        let from = consumers.iter().map(|(_, cursor)| *cursor).min().unwrap_or(0);
        let events = outbox.after(from, usize::MAX, store.mark()).unwrap_or_default();
        Self { partitions, events, consumers }
    }

    /// How two stores differ.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        for (one, other) in self.partitions.iter().zip(&other.partitions) {
            if let Err(difference) = one.same_as(other) {
                return Some(difference.to_string());
            }
        }
        let differ = |what: &str, differ: bool| differ.then(|| format!("other {what}"));
        differ("events", self.events != other.events).or_else(|| differ("consumers", self.consumers != other.consumers))
    }
}
