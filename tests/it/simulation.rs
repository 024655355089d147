//! The store under traffic from several sides at once: what recovery makes of checkpoint and journal is what was there, and
//! what a whole replay makes; after a failure of the disk nothing is promised any more.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tollgate::{
    charging::{
        AccountSpec, Answered, Command, CreditCommand, CreditKind, EventAction, EventRequest, Interrogation, Notice,
        RequestKind, Retention, ServiceRequest, State, Subscriber, SubscriberSpec, Used, Want, WantedUnits,
    },
    ids::{AccountId, Identity, IdentityKind, PartitionId, QuotaKey, SessionKey},
    journal::{
        Disk, DiskFile, MemoryDisk, Pending, Position, Space,
        snapshot::{PartitionHeader, PartitionLoader, write_partition},
    },
    rating::Catalog,
    store::{Done, Settings, SilentObserver, Store},
    time::{Clock, ManualClock, Timestamp},
    units::{Money, Units},
};

use crate::{charging_property::CATALOG, dice::Dice};

const PARTITIONS: u16 = 4;
const ACCOUNTS: u64 = 12;
const CONTEXT: &str = "32251@3gpp.org";
/// Sessions live as long as this after their last request.
const SESSION_SECS: u64 = 600;

fn retention() -> Retention {
    Retention { session_default_secs: SESSION_SECS, ..Retention::default() }
}

fn open<D: Disk>(disk: D, clock: &Arc<ManualClock>) -> Arc<Store<D>> {
    // Large enough for all of a test: nothing is trimmed away, and the whole journal can be replayed.
    let settings = Settings {
        partitions: PARTITIONS,
        segment_bytes: 4 << 20,
        retention: retention(),
        outbox_keep: 1_000_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Arc::new(Store::open(disk, settings, catalog, clock, Arc::new(SilentObserver), |_| {}, |_| {}).unwrap().0)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)))
}

fn msisdn(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn populate<D: Disk>(store: &Store<D>) {
    for account in 1..=ACCOUNTS {
        let catalog = store.catalog();
        let small = catalog.allowance("small").unwrap();
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(300_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: if account % 3 == 0 { vec![small] } else { Vec::new() },
        };
        let _ = store.account_command(AccountId(account), &Command::CreateAccount(spec));
        let subscriber = Subscriber { id: "1".into(), identities: [msisdn(account)].into() };
        let _ = store.create_subscriber(SubscriberSpec { account: AccountId(account), subscriber });
    }
    store.mark().wait_for_blocking(store.last_position()).unwrap();
}

fn service(used: Option<u64>, want: Option<Want>) -> Vec<ServiceRequest> {
    let key = QuotaKey { rating_group: Some(1), service_identifier: None, ..QuotaKey::default() };
    let used = used.map(|octets| Used { octets, ..Used::default() });
    vec![ServiceRequest { key, used, want, ..ServiceRequest::default() }]
}

fn interrogate<D: Disk>(
    store: &Store<D>,
    account: u64,
    session: &str,
    kind: RequestKind,
    number: u32,
    used: Option<u64>,
) -> Pending<Answered> {
    let key = SessionKey::of(session.as_bytes());
    store.charge(&[msisdn(account)], key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id: session.as_bytes(),
            key,
            account,
            kind,
            number,
            context: store.catalog().context(CONTEXT),
            context_name: CONTEXT,
            origin_host: "gw.example",
            origin_realm: "example",
            services: service(used, (kind != RequestKind::Termination).then_some(Want::Any)),
            at_command_level: false,
            short_validity: false,
            ..Interrogation::default()
        })
    })
}

fn event<D: Disk>(store: &Store<D>, account: u64, session: &str, octets: u64) -> Pending<Answered> {
    let key = SessionKey::of(session.as_bytes());
    store.charge(&[msisdn(account)], key, RequestKind::Event, 0, |account| {
        Command::ChargeEvent(EventRequest {
            session_id: session.as_bytes(),
            key,
            number: 0,
            account,
            action: EventAction::Debit,
            context: store.catalog().context(CONTEXT),
            services: service(None, Some(Want::Units(WantedUnits::from(Units::octets(octets))))),
            at_command_level: false,
            ..EventRequest::default()
        })
    })
}

fn top_up<D: Disk>(store: &Store<D>, account: u64, micros: i64, id: &str) -> Pending<Done> {
    let (kind, currency) = (CreditKind::TopUp(Money::from_micros(micros)), Some(store.catalog().currency()));
    let done = store.credit(CreditCommand { account: AccountId(account), kind, currency, request_id: id });
    done.map(|done| done.unwrap())
}

/// One thread's clients. Sessions and request ids are its own, accounts are shared.
struct Traffic {
    name: String,
    dice: Dice,
    made: u64,
    /// Running sessions: account, Session-Id, next number.
    sessions: Vec<(u64, String, u32)>,
}

impl Traffic {
    fn new(seed: u64, thread: u64) -> Self {
        Self { name: format!("gw{thread}.example"), dice: Dice(seed << 8 | thread), made: 0, sessions: Vec::new() }
    }

    fn step<D: Disk>(&mut self, store: &Store<D>) {
        self.made += 1;
        let id = format!("{};{}", self.name, self.made);
        let account = self.dice.below(ACCOUNTS) + 1;
        match self.dice.below(16) {
            0..=2 => {
                interrogate(store, account, &id, RequestKind::Initial, 0, None);
                self.sessions.push((account, id, 1));
            }
            3..=9 if !self.sessions.is_empty() => {
                let place = self.dice.below(self.sessions.len() as u64) as usize;
                let ends = self.dice.below(5) == 0;
                let kind = if ends { RequestKind::Termination } else { RequestKind::Update };
                let used = Some(self.dice.below(9_000_000));
                let (account, session, number) = &mut self.sessions[place];
                interrogate(store, *account, session, kind, *number, used);
                *number += 1;
                if ends {
                    self.sessions.swap_remove(place);
                }
            }
            10..=11 => drop(event(store, account, &id, self.dice.below(400_000) + 1)),
            12 => {
                let kind = CreditKind::Allowance("small");
                let command = CreditCommand { account: AccountId(account), kind, currency: None, request_id: &id };
                // An account may have all the buckets that it can.
                drop(store.credit(command));
            }
            13 => drop(store.acknowledge(&self.name, store.outbox().newest())),
            14 if self.dice.below(4) == 0 => drop(store.forget_consumer(&self.name)),
            _ => drop(top_up(store, account, self.dice.below(60_000) as i64 + 1, &id)),
        }
    }
}

/// All that a store knows, to be compared when the store is gone.
struct Known {
    partitions: Vec<State>,
    events: Vec<(u64, Arc<Notice>)>,
    consumers: Vec<(Box<str>, u64)>,
}

fn known<D: Disk>(store: &Store<D>) -> Known {
    store.check().unwrap();
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
    let events = store.outbox().after(0, usize::MAX, store.mark()).unwrap();
    let consumers = store.outbox().consumers().into_iter().map(|one| (one.name, one.cursor)).collect();
    Known { partitions, events, consumers }
}

impl Known {
    #[track_caller]
    fn assert_same(&self, other: &Self, what: &str) {
        for (number, (one, other)) in self.partitions.iter().zip(&other.partitions).enumerate() {
            one.same_as(other).unwrap_or_else(|difference| panic!("{what}, partition {number}: {difference}"));
        }
        assert_eq!(self.events, other.events, "{what}");
        assert_eq!(self.consumers, other.consumers, "{what}");
    }
}

/// What is on a disk, without its checkpoints: the journal alone, from its beginning.
fn without_checkpoints(disk: MemoryDisk) -> MemoryDisk {
    for name in disk.list().unwrap().iter().filter(|name| name.starts_with("checkpoint-")) {
        disk.remove(name).unwrap();
    }
    disk
}

/// Compares what lives with what recovery makes of checkpoint and journal, and with what it makes of the journal alone.
fn recovers(live: &Known, disk: &MemoryDisk, clock: &Arc<ManualClock>, what: &str) {
    let recovered = open(disk.crash(1), clock);
    live.assert_same(&known(&recovered), &format!("{what}: from the checkpoint"));
    let replayed = open(without_checkpoints(disk.crash(2)), clock);
    live.assert_same(&known(&replayed), &format!("{what}: from the beginning"));
}

#[test]
fn recovery_is_what_was_there_whatever_ran_beside_the_checkpoint() {
    for seed in 1..=6 {
        let (clock, disk) = (clock(), MemoryDisk::new());
        let store = open(disk.clone(), &clock);
        populate(&store);
        let running = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|thread| {
                    let (store, clock) = (&store, &clock);
                    scope.spawn(move || {
                        let mut traffic = Traffic::new(seed, thread);
                        for step in 0..400 {
                            traffic.step(store);
                            // One of them lets time pass, so that what nobody continues ends.
                            if thread == 0 && step % 40 == 39 {
                                clock.advance_secs(SESSION_SECS / 3);
                                store.expire_sessions();
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while running.load(Ordering::Relaxed) {
                    store.checkpoint().unwrap();
                }
            });
            let ends: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
            running.store(false, Ordering::Relaxed);
            assert!(ends.iter().all(Result::is_ok), "seed {seed}");
        });
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        recovers(&known(&store), &disk, &clock, &format!("seed {seed}"));
    }
}

/// Done between any two writes of a checkpoint.
type Between = Box<dyn FnMut() + Send>;

/// A disk that has something happen after each write to the draft of a checkpoint.
#[derive(Clone)]
struct Interrupting {
    disk: MemoryDisk,
    between: Arc<Mutex<Option<Between>>>,
}

struct InterruptingFile {
    file: <MemoryDisk as Disk>::File,
    between: Option<Arc<Mutex<Option<Between>>>>,
}

impl Interrupting {
    fn file(&self, file: <MemoryDisk as Disk>::File, name: &str) -> InterruptingFile {
        let draft = name.starts_with("checkpoint-") && name.ends_with(".tmp");
        InterruptingFile { file, between: draft.then(|| Arc::clone(&self.between)) }
    }
}

impl Disk for Interrupting {
    type File = InterruptingFile;

    fn create(&self, name: &str) -> io::Result<InterruptingFile> {
        Ok(self.file(self.disk.create(name)?, name))
    }

    fn open(&self, name: &str) -> io::Result<InterruptingFile> {
        Ok(self.file(self.disk.open(name)?, name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for InterruptingFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.file.write_at(offset, parts);
        if let Some(between) = &self.between
            && let Some(happen) = between.lock().unwrap().as_mut()
        {
            happen();
        }
        written
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Records fall between the snapshots of the partitions: a replay must pass over exactly those that each has already.
#[test]
fn a_checkpoint_takes_each_partition_at_its_own_moment() {
    for seed in 1..=4 {
        let (clock, memory) = (clock(), MemoryDisk::new());
        let disk = Interrupting { disk: memory.clone(), between: Arc::default() };
        let store = open(disk.clone(), &clock);
        populate(&store);
        let mut traffic = Traffic::new(seed, 0);
        (0..50).for_each(|_| traffic.step(&store));
        let (itself, times) = (Arc::new(OnceLock::<Weak<Store<Interrupting>>>::new()), Arc::new(Mutex::new(0)));
        itself.set(Arc::downgrade(&store)).unwrap();
        let counted = Arc::clone(&times);
        *disk.between.lock().unwrap() = Some(Box::new(move || {
            let store = itself.get().and_then(Weak::upgrade).unwrap();
            (0..20).for_each(|_| traffic.step(&store));
            *counted.lock().unwrap() += 1;
        }));
        let report = store.checkpoint().unwrap();
        *disk.between.lock().unwrap() = None;
        assert!(*times.lock().unwrap() > u32::from(PARTITIONS), "nothing came in between");
        assert!(report.position < store.last_position());
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        recovers(&known(&store), &memory, &clock, &format!("seed {seed}"));
    }
}

/// What breaks.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The nth sync from then on.
    Sync(u64),
}

/// Top-ups in which every fault has come to the journal: each of the few segments that are kept ready can take one fault.
const FAULT_WITHIN: u64 = 4_096;
/// Top-ups in which a fault has come to somebody: every third is waited for, so this is far more syncs than the nth.
const FAULT_SEEN_WITHIN: u64 = 64;

#[test]
fn after_a_failure_of_the_disk_nothing_is_admitted() {
    let faults = (1..=6).map(Fault::Sync);
    for (seed, fault) in (1..).zip(faults) {
        let (clock, disk) = (clock(), MemoryDisk::new());
        let store = open(disk.clone(), &clock);
        populate(&store);
        store.checkpoint().unwrap();
        let Fault::Sync(nth) = fault;
        disk.fail_sync(nth);
        let mut pending = Vec::new();
        let mut admitted = Vec::new();
        for number in 0..=FAULT_WITHIN {
            assert!(number < FAULT_WITHIN, "{fault:?}: {number} top-ups, and the journal has not failed");
            let id = format!("t{number}");
            pending.push((id.clone(), top_up(&store, number % ACCOUNTS + 1, 1, &id)));
            if store.mark().fatal().is_some() {
                break;
            }
            // The journal makes segments ahead, in a thread of its own, and one whose sync fails is made again without a word:
            // a fault that fell there is no fault of the journal. Then the next sync fails.
            if number % FAULT_SEEN_WITHIN == FAULT_SEEN_WITHIN - 1 {
                disk.fail_sync(1);
            }
            // Some go alone, some with others.
            if number % 3 == 0 {
                let _ = store.mark().wait_for_blocking(store.last_position());
            }
        }
        let reached = store.mark().current();
        // The disk works again: that changes nothing.
        pending.push(("late".into(), top_up(&store, 1, 1, "late")));
        assert!(store.mark().wait_for_blocking(store.last_position()).is_err(), "{fault:?}");
        for (id, one) in pending {
            let position = one.position();
            match store.mark().admit(one) {
                Ok(_) => admitted.push(id),
                Err(_) => assert!(position > reached, "{fault:?}: {id}"),
            }
        }
        assert_eq!(store.mark().current(), reached, "{fault:?}: something became durable after the failure");
        // The state in memory has what was lost: it must not get into a checkpoint.
        assert!(store.checkpoint().is_err(), "{fault:?}");

        // What comes after the restart gets positions that were given out before, and is not passed over for it.
        let survived = disk.crash(seed);
        drop(store);
        let store = open(survived.clone(), &clock);
        for (number, id) in (0u64..).zip(&admitted) {
            assert!(
                store.mark().admit(top_up(&store, number % ACCOUNTS + 1, 1, id)).unwrap().repeated,
                "{fault:?}: {id} was answered, and is lost"
            );
        }
        assert!(store.last_position() >= Position(2 * ACCOUNTS));
        (0..30).for_each(|number| drop(top_up(&store, number % ACCOUNTS + 1, 5, &format!("again{number}"))));
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        let live = known(&store);
        live.assert_same(&known(&open(survived.crash(seed), &clock)), &format!("{fault:?}"));
    }
}

/// What waits for room, and what fails softly for want of it.
#[test]
fn on_a_full_disk_nothing_fails_for_good_and_nothing_is_lost() {
    let mut held_up = 0;
    for step in 0..12 {
        let (clock, disk) = (clock(), MemoryDisk::new());
        let store = open(disk.clone(), &clock);
        populate(&store);
        store.checkpoint().unwrap();
        disk.fill_after(step * 300);
        let failed = store.checkpoint().is_err();
        let drafts = disk.list().unwrap().iter().filter(|name| name.ends_with(".tmp")).count();
        assert_eq!((failed || step > 0, drafts), (true, 0), "{step}");
        (0..40).for_each(|number| drop(top_up(&store, number % ACCOUNTS + 1, 1, &format!("t{number}"))));
        let last = store.last_position();
        let begun = std::time::Instant::now();
        while store.room().space() < Space::Reserved && store.mark().current() < last {
            assert!(begun.elapsed().as_secs() < 30, "{step}: neither durable nor waiting");
            std::thread::sleep(Duration::from_millis(1));
        }
        held_up += u32::from(store.mark().current() < last);
        assert_eq!(store.mark().fatal(), None);
        disk.fill_after(u64::MAX);
        store.mark().wait_for_blocking(last).unwrap();
        store.checkpoint().unwrap();
        let live = known(&store);
        live.assert_same(&known(&open(disk.crash(step), &clock)), &format!("step {step}"));
    }
    assert!(held_up > 6, "only {held_up} were held up: the test tests nothing");
}

/// Creating an account again is compared with what it was opened with, as far as that is still known.
#[test]
fn an_account_is_known_again_by_its_opening() {
    let clock = clock();
    let store = open(MemoryDisk::new(), &clock);
    populate(&store);
    let catalog = store.catalog();
    let small = || catalog.allowance("small").unwrap();
    // Account 3 was opened with one allowance, account 1 with none.
    let again = |account: u64, count: usize| {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(300_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: vec![small(); count],
        };
        let done = store.account_command(AccountId(account), &Command::CreateAccount(spec));
        store.mark().admit(done).unwrap().into_inner().is_ok()
    };
    let known = || [again(1, 0), again(1, 1), again(3, 0), again(3, 1), again(3, 2)];
    assert_eq!(known(), [true, false, false, true, false]);
    // The allowance runs out, and is cleared away when another comes.
    clock.advance_secs(3_601);
    for account in [1, 3] {
        let kind = CreditKind::Allowance(&small().name);
        let command = CreditCommand { account: AccountId(account), kind, currency: None, request_id: "later" };
        store.mark().wait_for_blocking(store.credit(command).position()).unwrap();
    }
    let held = store.mark().admit(store.account(AccountId(3)).unwrap()).unwrap().into_inner();
    assert_eq!(held.buckets.iter().map(|bucket| bucket.id.0).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(known(), [true, false, false, true, false]);
}
