//! The node's machine: its disks and the real store on them, driven by hand.

use std::sync::Arc;

use tollgate::{
    charging::Retention,
    diameter::{CreditControlRequest, Frame, Identity, Limits},
    journal::{Batch, Disk, Journal, JournalError, LocalJournal, MemoryDisk, Meta, Options, Origin, Pending, Position},
    mapping::{self, ClientTraits},
    store::{Place, RecordFormat, RecordsAt, RecoveryError, RecoveryReport, Rotation, Settings, Store},
    time::Timestamp,
};

use super::{clock::WorldClock, prices};
use crate::known::{Known, consumers};

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

impl End {
    fn survives(self, disk: &MemoryDisk) -> MemoryDisk {
        match self {
            Self::Power(seed) => disk.crash(seed),
            Self::Kill => disk.kill(),
        }
    }
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
        self.disk = end.survives(&self.disk);
        self.records = self.records.as_ref().map(|disk| end.survives(disk));
        self.clock.forget();
    }

    /// All disks have room.
    pub(super) fn make_room(&self) {
        for disk in std::iter::once(&self.disk).chain(&self.records) {
            disk.fill_after(u64::MAX);
            disk.hold_at_most(u64::MAX);
        }
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
        Settings { partitions: PARTITIONS, segment_bytes, retention: retention(), outbox_keep, ..Settings::default() }
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

/// Bytes of all files.
pub(super) fn held(disk: &MemoryDisk) -> u64 {
    names(disk).iter().filter_map(|name| disk.contents(name)).map(|bytes| bytes.len() as u64).sum()
}

/// Up to where the journal is sealed.
pub(super) fn sealed(disk: &MemoryDisk) -> u64 {
    disk.contents("sealed").map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()))
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

/// What a store knows. Events that are kept beyond the slowest consumer depend on when it was dropped, and nobody may rely
/// on them.
pub(super) fn known(store: &Store<MemoryDisk>) -> Known {
    let slowest = consumers(store).iter().map(|(_, cursor)| *cursor).min();
    let events = store.outbox().after(slowest.unwrap_or(0), usize::MAX, store.mark());
    Known::of(store, retention(), events.unwrap_or_default())
}
