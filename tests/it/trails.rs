//! Usage records and the audit trail over crashes: every line once, in order, and all of them add up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tollgate::{
    charging::{
        AccountSpec, AccountState, Answered, Command, CreditCommand, CreditKind, EventAction, EventRequest,
        Interrogation, RequestKind, Retention, ServiceRequest, Subscriber, SubscriberSpec, Used, Verdict, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::{Disk as _, MemoryDisk, Pending},
    rating::{Attributes, Catalog},
    store::{
        AuditFilter, Broken, By, Place, RecordFilter, RecordFormat, RecordLine, RecordsAt, RecoveryError,
        RecoveryReport, Rotation, Settings, SilentObserver, Store,
    },
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::{charging_property::CATALOG, dice::Dice};

const ACCOUNTS: u64 = 10;
const ROTATION: Rotation = Rotation { bytes: 20_000, secs: 600 };
const CARE: By<'static> =
    By { name: "care1", role: "care", address: "10.0.0.7:4711", method: "Adjust", reason: "wrong voucher" };

fn records_at(disk: &MemoryDisk, format: RecordFormat) -> RecordsAt<MemoryDisk> {
    RecordsAt { disk: disk.clone(), format, rotation: ROTATION, queue_max: 1_000_000 }
}

struct World {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    format: Option<RecordFormat>,
}

impl World {
    fn new(format: Option<RecordFormat>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        Self { disk: MemoryDisk::new(), clock, format }
    }

    fn open(&self) -> (Store<MemoryDisk>, RecoveryReport) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Store<MemoryDisk>, RecoveryReport), RecoveryError> {
        let retention = Retention { charge_late_usage: true, ..Retention::default() };
        let settings =
            Settings { partitions: 3, segment_bytes: 256 << 10, retention, outbox_keep: 1_000, ..Settings::default() };
        let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
        let place = Place {
            disk: self.disk.clone(),
            records: self.format.map(|format| records_at(&self.disk, format)),
            audit: Some((self.disk.clone(), ROTATION)),
        };
        let (clock, observer) = (Arc::clone(&self.clock), Arc::new(SilentObserver));
        Store::open(place, settings, catalog, clock, observer, |_| {}, |_| {})
    }

    fn populate(&self) {
        let store = self.open().0;
        for id in 1..=ACCOUNTS {
            let spec = AccountSpec {
                id: AccountId(id),
                currency: store.catalog().currency(),
                balance: Money::from_micros(3_000_000),
                credit_limit: Money::ZERO,
                never_stop: id == 2,
                allowances: Vec::new(),
            };
            let _ = store.by(CARE).account_command(AccountId(id), &Command::CreateAccount(spec));
            let subscriber = Subscriber { id: "1".into(), identities: [msisdn(id)].into() };
            let _ = store.by(CARE).create_subscriber(SubscriberSpec { account: AccountId(id), subscriber });
        }
        settle(&store);
    }
}

fn settle(store: &Store<MemoryDisk>) {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
}

fn msisdn(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn services(groups: &[u32], used: Option<u64>, want: bool) -> Vec<ServiceRequest> {
    let service = |group: &u32| ServiceRequest {
        key: QuotaKey { rating_group: Some(*group), ..QuotaKey::default() },
        used: used.map(|octets| Used { octets, ..Used::default() }),
        want: want.then_some(Want::Any),
        ..ServiceRequest::default()
    };
    groups.iter().map(service).collect()
}

fn session_id(session: u64) -> String {
    // A comma, a quotation mark and letters beyond ASCII: what a table must escape.
    format!("gw.example;1;\"{session}\",é")
}

fn ask(
    store: &Store<MemoryDisk>,
    session: u64,
    kind: RequestKind,
    number: u32,
    used: Option<u64>,
) -> Pending<Answered> {
    let id = session_id(session);
    let key = SessionKey::of(id.as_bytes());
    store.charge(&[msisdn(session % ACCOUNTS + 1)], key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id: id.as_bytes(),
            key,
            account,
            kind,
            number,
            context: store.catalog().context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services: services(&[1, 2], used, kind != RequestKind::Termination),
            attributes: told(),
            ..Interrogation::default()
        })
    })
}

fn told() -> Option<Box<Attributes>> {
    let apn = Some("a \"strange\", name".into());
    Some(Box::new(Attributes { access: Some(6), apn, time_zone: Some(-60), ..Attributes::default() }))
}

fn one_time(store: &Store<MemoryDisk>, account: u64, session: &str) -> Pending<Answered> {
    let key = SessionKey::of(session.as_bytes());
    store.charge(&[msisdn(account)], key, RequestKind::Event, 0, |account| {
        Command::ChargeEvent(EventRequest {
            session_id: session.as_bytes(),
            key,
            account,
            action: EventAction::Debit,
            context: store.catalog().context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            services: services(&[1], None, true),
            attributes: told(),
            ..EventRequest::default()
        })
    })
}

fn all(store: &Store<MemoryDisk>) -> Vec<RecordLine> {
    store.record_files().unwrap().page(&RecordFilter::default(), None, usize::MAX).unwrap().0
}

/// What was answered, kept outside of the store: each has its lines, once.
#[derive(Default)]
struct Witness {
    ended: BTreeSet<u64>,
    events: BTreeSet<String>,
    credits: BTreeMap<String, i64>,
    seen: Vec<RecordLine>,
}

impl Witness {
    fn verify(&mut self, store: &Store<MemoryDisk>, at: &str) {
        store.check().unwrap();
        let reconciled = store.reconcile().unwrap();
        assert!(reconciled.is_exact(), "{at}: {reconciled:#?}");
        let lines = all(store);
        assert!(lines.len() >= self.seen.len() && lines[..self.seen.len()] == self.seen[..], "{at}: a line is gone");
        let cursors: Vec<_> =
            lines.iter().map(|line| line.cursor.parse::<tollgate::store::Cursor>().unwrap()).collect();
        assert!(cursors.windows(2).all(|pair| pair[0] < pair[1]), "{at}: lines are out of order");
        let count = |kind: &str, is: &dyn Fn(&RecordLine) -> bool| {
            lines.iter().filter(|line| line.kind == kind && is(line)).count()
        };
        for session in &self.ended {
            let id = session_id(*session);
            assert_eq!(count("session", &|line| line.session_id.as_ref() == Some(&id)), 2, "{at}: session {session}");
        }
        for event in &self.events {
            assert_eq!(count("event", &|line| line.session_id.as_ref() == Some(event)), 1, "{at}: {event}");
        }
        for (id, micros) in &self.credits {
            let (kind, moved) = if *micros > 0 { ("top_up", *micros) } else { ("adjustment", -*micros) };
            let is = |line: &RecordLine| {
                let amount = if kind == "top_up" { &line.credited } else { &line.debited };
                line.request_id.as_ref() == Some(id) && *amount == Money::from_micros(moved).to_string()
            };
            assert_eq!(count(kind, &is), 1, "{at}: {id}");
        }
        self.seen = lines;
        let trail = store.audit_trail().unwrap();
        let (number, hash) = store.audit_head();
        let verified = trail.verify(Some((number, &hash))).unwrap_or_else(|broken| panic!("{at}: {broken}"));
        assert_eq!((verified.lines, &verified.hash), (number, &hash));
        let (adjusted, _) = trail.page(&AuditFilter::default(), None, usize::MAX).unwrap();
        // Each adjustment is in both trails, at one position.
        let positions = |cursor: &str| cursor.split_once('.').unwrap().0.to_owned();
        let audited: BTreeSet<_> = adjusted
            .iter()
            .filter(|line| line.after.get("balance").is_some() && line.before.get("state").is_none())
            .map(|line| positions(&line.cursor))
            .collect();
        let changed: BTreeSet<_> =
            self.seen.iter().filter(|line| line.kind == "adjustment").map(|line| positions(&line.cursor)).collect();
        assert!(changed.is_subset(&audited), "{at}: an adjustment is not in the audit trail");
    }
}

/// What the witness notes when something is durable.
type Note = Box<dyn FnOnce(&mut Witness)>;

/// A random life that ends in a crash again and again.
fn live(seed: u64, format: RecordFormat) -> (World, Witness) {
    let mut dice = Dice(seed);
    let mut world = World::new(Some(format));
    world.populate();
    let mut witness = Witness::default();
    let mut running: BTreeMap<u64, u32> = BTreeMap::new();
    let mut next = 0u64;
    for round in 0..25 {
        let at = format!("seed {seed}, round {round}");
        let store = world.open().0;
        witness.verify(&store, &at);
        // Now and then the machine stops at some step of the disk, or the disk refuses once.
        match dice.below(4) {
            0 => world.disk.halt_after(20 + dice.below(60)),
            1 => world.disk.short_writes(700),
            _ => {}
        }
        let mut pending: Vec<(Note, Pending<()>)> = Vec::new();
        for _ in 0..dice.below(40) + 10 {
            next += 1;
            let account = dice.below(ACCOUNTS) + 1;
            match dice.below(10) {
                0..=2 => {
                    drop(ask(&store, next, RequestKind::Initial, 0, None));
                    running.insert(next, 0);
                }
                3 | 4 => {
                    if let Some((session, number)) = running.iter_mut().nth(dice.below(8) as usize) {
                        *number += 1;
                        drop(ask(&store, *session, RequestKind::Update, *number, Some(dice.below(3_000_000))));
                    }
                }
                5 | 6 => {
                    if let Some((session, number)) = running.pop_first() {
                        let used = dice.below(3_000_000);
                        let done = ask(&store, session, RequestKind::Termination, number + 1, Some(used));
                        let known = done.position().0 > 0 && store.mark().admit(done.clone()).is_err();
                        let success = std::cell::Cell::new(false);
                        let done = done.map(|answered| success.set(answered.answer.verdict == Verdict::Success));
                        let ended = success.get() && known;
                        if dice.below(3) == 0 {
                            drop(ask(&store, session, RequestKind::Update, number + 2, Some(used)));
                        }
                        pending.push((
                            Box::new(move |witness| {
                                if ended {
                                    witness.ended.insert(session);
                                }
                            }),
                            done,
                        ));
                    }
                }
                7 => {
                    let id = format!("sms;{next}");
                    let done = one_time(&store, account, &id);
                    let charged = std::cell::Cell::new(false);
                    let done = done
                        .map(|answered| charged.set(answered.answer.replies.iter().any(|reply| reply.grant.is_some())));
                    let charged = charged.get();
                    pending.push((
                        Box::new(move |witness| {
                            if charged {
                                witness.events.insert(id);
                            }
                        }),
                        done,
                    ));
                }
                8 => {
                    let micros =
                        if dice.below(3) == 0 { -7 - dice.below(900) as i64 } else { 1 + dice.below(90_000) as i64 };
                    let amount = Money::from_micros(micros);
                    let kind = if micros < 0 {
                        CreditKind::Adjustment(amount, "why, indeed?")
                    } else {
                        CreditKind::TopUp(amount)
                    };
                    let (id, currency) = (format!("pay-{next}"), Some(store.catalog().currency()));
                    let command = CreditCommand { account: AccountId(account), kind, currency, request_id: &id };
                    let done = store.by(CARE).credit(command).map(|done| assert!(done.is_ok()));
                    let written = id.clone();
                    pending.push((
                        Box::new(move |witness| {
                            witness.credits.insert(written, micros);
                        }),
                        done,
                    ));
                }
                _ => {
                    world.clock.advance_secs(dice.below(120));
                    let _ = store.write_trails();
                }
            }
        }
        if dice.below(3) == 0 {
            let _ = store.checkpoint();
        }
        if dice.below(2) == 0 && store.mark().wait_for_blocking(store.last_position()).is_ok() {
            let _ = store.write_trails();
        }
        let mark = store.mark().clone();
        for (note, done) in pending {
            if mark.admit(done).is_ok() {
                note(&mut witness);
            }
        }
        let after = if dice.below(2) == 0 { world.disk.crash(seed ^ round) } else { world.disk.kill() };
        drop(store);
        world.disk = after;
        running.retain(|_, _| dice.below(20) > 0);
    }
    (world, witness)
}

#[test]
fn records_are_written_once_over_crashes_and_add_up() {
    let (mut ended, mut events, mut credits) = (0, 0, 0);
    for seed in 1..=6 {
        let format = [RecordFormat::Json, RecordFormat::Csv, RecordFormat::Both][seed as usize % 3];
        let (world, mut witness) = live(seed, format);
        witness.verify(&world.open().0, &format!("seed {seed}, at the end"));
        ended += witness.ended.len();
        events += witness.events.len();
        credits += witness.credits.len();
    }
    assert!(ended > 200 && events > 30 && credits > 200, "{ended} {events} {credits}: too little was tested");
}

#[test]
fn table_and_json_tell_the_same() {
    let (world, _) = live(77, RecordFormat::Both);
    let store = world.open().0;
    settle(&store);
    store.write_trails().unwrap();
    let as_json = all(&store);
    let names = |disk: &MemoryDisk, end: &str| -> Vec<String> {
        disk.list().unwrap().into_iter().filter(|name| name.starts_with("usage-") && name.ends_with(end)).collect()
    };
    assert!(names(&world.disk, "csv").len() > 2 && names(&world.disk, "jsonl").len() > 2);
    for name in names(&world.disk, "jsonl") {
        world.disk.remove(&name).unwrap();
    }
    let as_table = all(&store);
    assert!(as_json.len() > 100);
    assert_eq!(as_json, as_table);
    for kind in ["late", "session", "event"] {
        assert!(as_json.iter().any(|line| line.kind == kind), "{kind}");
    }
    // What rating it again needs is there, over crashes.
    let expected = told().map(|told| Box::new((&*told).into()));
    for line in as_json.iter().filter(|line| ["session", "event"].contains(&line.kind.as_str())) {
        let account = line.account.unwrap();
        assert_eq!(line.conditions, expected, "{line:?}");
        assert_eq!(line.context.as_deref(), Some("32251@3gpp.org"), "{line:?}");
        assert_eq!(
            (line.subscriber.as_deref(), &line.identity),
            (Some("1"), &Some(msisdn(account).text())),
            "{line:?}"
        );
    }
}

/// Records that were not kept for a while: what was settled meanwhile is told in one line for each partition.
#[test]
fn what_happened_without_records_is_one_line() {
    let mut world = World::new(None);
    world.populate();
    let store = world.open().0;
    drop(ask(&store, 1, RequestKind::Initial, 0, None));
    drop(ask(&store, 2, RequestKind::Initial, 0, None));
    drop(ask(&store, 1, RequestKind::Termination, 1, Some(2_500_000)));
    drop(ask(&store, 2, RequestKind::Update, 1, Some(1_500_000)));
    store.checkpoint().unwrap();
    drop(store);
    world.disk = world.disk.kill();
    world.format = Some(RecordFormat::Json);
    for _ in 0..3 {
        let store = world.open().0;
        drop(ask(&store, 2, RequestKind::Termination, 2, Some(1)));
        let reconciled = store.reconcile().unwrap();
        assert!(reconciled.is_exact(), "{reconciled:#?}");
        assert_eq!(all(&store).len(), 2, "the lines of session 2");
        drop(store);
        world.disk = world.disk.kill();
    }
    // A line that is gone is missed.
    let names = world.disk.list().unwrap();
    let name = names.iter().filter(|name| name.starts_with("usage-")).max().unwrap();
    let text = String::from_utf8(world.disk.contents(name).unwrap()).unwrap();
    let short: Vec<_> =
        text.lines().filter(|line| !line.contains("\"rating_group\":1")).map(|l| format!("{l}\n")).collect();
    world.disk.put(name, short.concat().into_bytes());
    let store = world.open().0;
    let total = store.reconcile().unwrap().total();
    assert_eq!(
        total.accounts[0] - total.records[0],
        15_000 + 1_000,
        "1.5 MB and a block of 100 kB, minus what fits in it"
    );
}

#[test]
fn a_checkpoint_waits_for_the_trails_and_charging_does_not() {
    let world = World::new(Some(RecordFormat::Json));
    world.populate();
    let records = MemoryDisk::new();
    let place = Place {
        disk: world.disk.clone(),
        records: Some(RecordsAt { queue_max: 5, ..records_at(&records, RecordFormat::Json) }),
        audit: None,
    };
    let settings = Settings { partitions: 3, segment_bytes: 256 << 10, outbox_keep: 1_000, ..Settings::default() };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let store = Store::open(place, settings, catalog, world.clock.clone(), Arc::new(SilentObserver), |_| {}, |_| {});
    let store = store.unwrap().0;
    store.write_trails().unwrap();
    records.fill_after(0);
    drop(ask(&store, 1, RequestKind::Initial, 0, None));
    let done = ask(&store, 1, RequestKind::Termination, 1, Some(2_500_000));
    settle(&store);
    assert_eq!(store.mark().admit(done).unwrap().answer.verdict, Verdict::Success);
    assert!(store.checkpoint().is_err());
    drop(ask(&store, 2, RequestKind::Initial, 0, None));
    drop(ask(&store, 3, RequestKind::Initial, 0, None));
    // Two records of session 1 wait; three events more, and nothing new begins. What runs is charged.
    for event in 0..3 {
        drop(one_time(&store, 5, &format!("sms;{event}")));
    }
    assert_eq!(store.waiting_for_trails(), [5, 0]);
    let verdict = |pending: Pending<Answered>| {
        settle(&store);
        store.mark().admit(pending).unwrap().answer.verdict
    };
    assert_eq!(verdict(ask(&store, 4, RequestKind::Initial, 0, None)), Verdict::TooBusy);
    assert_eq!(verdict(one_time(&store, 5, "sms;9")), Verdict::TooBusy);
    assert_eq!(verdict(ask(&store, 2, RequestKind::Update, 1, Some(1_000_000))), Verdict::Success);
    assert_eq!(verdict(ask(&store, 3, RequestKind::Termination, 1, Some(1_000_000))), Verdict::Success);
    records.fill_after(u64::MAX);
    store.checkpoint().unwrap();
    assert_eq!(store.waiting_for_trails(), [0, 0]);
    assert_eq!(verdict(ask(&store, 4, RequestKind::Initial, 0, None)), Verdict::Success);
    assert!(store.reconcile().unwrap().is_exact());
}

#[test]
fn the_audit_trail_shows_who_when_why_before_and_after_and_every_break() {
    let world = World::new(None);
    world.populate();
    let store = world.open().0;
    let suspend = |state, reason| Command::SetState { account: AccountId(3), state, reason };
    let by = By { method: "SetAccountState", reason: "fraud", ..CARE };
    drop(store.by(by).account_command(AccountId(3), &suspend(AccountState::Suspended, "fraud")));
    drop(store.by(by).account_command(AccountId(3), &suspend(AccountState::Terminated, "fraud")));
    let refused = store.by(by).account_command(AccountId(3), &suspend(AccountState::Active, "fraud"));
    settle(&store);
    assert!(store.mark().admit(refused).unwrap().is_err());
    store.write_trails().unwrap();
    let trail = store.audit_trail().unwrap();
    let filter =
        AuditFilter { target: Some("account 3".into()), method: Some("SetAccountState".into()), ..Default::default() };
    let (lines, more) = trail.page(&filter, None, 10).unwrap();
    assert!(!more);
    let told: Vec<_> = lines.iter().map(|line| (line.before.to_string(), line.after.to_string())).collect();
    let pair = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    assert_eq!(
        told,
        [
            pair("{\"state\":\"active\"}", "{\"state\":\"suspended\"}"),
            pair("{\"state\":\"suspended\"}", "{\"state\":\"terminated\"}"),
            pair("{}", "{}"),
        ]
    );
    let line = &lines[2];
    assert_eq!((&*line.name, &*line.role, &*line.address, &*line.reason), ("care1", "care", "10.0.0.7:4711", "fraud"));
    assert_eq!(line.refusal, "account 3 is terminated");
    let only = AuditFilter { refused: true, ..Default::default() };
    assert_eq!(trail.page(&only, None, 10).unwrap().0.len(), 1);
    // Everyone who is refused may call as often as he likes: only some of it is written.
    let written = (0..1_000).filter(|_| store.by(by).refused("account 1", "not permitted")).count();
    assert_eq!(written, 199);
    world.clock.advance_secs(1);
    assert!(store.by(by).refused("account 1", "not permitted"));
    settle(&store);
    store.write_trails().unwrap();
    let (number, hash) = store.audit_head();
    assert_eq!(number, 2 * ACCOUNTS + 3 + 200);
    let last = trail.page(&only, None, 1_000).unwrap().0.pop().unwrap();
    assert_eq!(last.refusal, "not permitted (801 refusals before this one are left out)");
    drop(store);

    let names = || {
        let names = world.disk.list().unwrap().into_iter().filter(|name| name.starts_with("audit-"));
        names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let kept: Vec<_> = names().iter().map(|name| (name.clone(), world.disk.contents(name).unwrap())).collect();
    assert!(kept.len() > 2);
    let verify = |known| trail.verify(known);
    assert!(verify(Some((number, &*hash))).is_ok());
    for (name, bytes) in &kept {
        let lines: Vec<_> = std::str::from_utf8(bytes).unwrap().lines().map(|line| format!("{line}\n")).collect();
        for place in 0..lines.len() {
            let without: String =
                lines.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, l)| l.as_str()).collect();
            world.disk.put(name, without.into_bytes());
            let broken = verify(Some((number, &*hash))).unwrap_err();
            assert!(matches!(broken, Broken::Missing { .. } | Broken::Cut { .. }), "{broken}");
            let mut changed = lines.clone();
            changed[place] = changed[place].replacen("care1", "care2", 1);
            world.disk.put(name, changed.concat().into_bytes());
            assert!(matches!(verify(None).unwrap_err(), Broken::Changed { .. }));
        }
        world.disk.remove(name).unwrap();
        assert!(verify(Some((number, &*hash))).is_err(), "{name} is gone");
        world.disk.put(name, bytes.clone());
    }
    assert!(verify(Some((number, &*hash))).is_ok());
}

/// Somebody cuts the end of the trail while the server is down: the checkpoint knows better.
#[test]
fn a_trail_that_is_cut_while_the_server_is_down_is_noticed() {
    let mut world = World::new(None);
    world.populate();
    let store = world.open().0;
    store.checkpoint().unwrap();
    let (number, _) = store.audit_head();
    drop(store);
    world.disk = world.disk.kill();
    let name = world.disk.list().unwrap().into_iter().filter(|name| name.starts_with("audit-")).max().unwrap();
    world.disk.remove(&name).unwrap();
    let (store, report) = world.open();
    assert!(report.audit_missing > 0);
    assert!(store.by(CARE).refused("account 1", "not permitted"));
    settle(&store);
    store.write_trails().unwrap();
    assert_eq!(store.audit_head().0, number + 1);
    let broken = store.audit_trail().unwrap().verify(None).unwrap_err();
    let Broken::Missing { expected, found, .. } = broken else { panic!("{broken}") };
    assert_eq!((found, found - expected), (number + 1, report.audit_missing));
}

/// The last batch is not sealed yet and looks torn when it is damaged; but its lines are written, so it was durable.
#[test]
fn a_damaged_last_batch_whose_lines_are_written_is_told_by_file_and_offset() {
    let mut world = World::new(Some(RecordFormat::Json));
    world.populate();
    let store = world.open().0;
    drop(one_time(&store, 1, "gw.example;1"));
    settle(&store);
    store.write_trails().unwrap();
    world.disk = world.disk.kill();
    let mut names = world.disk.list().unwrap();
    names.retain(|name| name.starts_with("journal-"));
    let name = names.iter().max().unwrap();
    let mut bytes = world.disk.contents(name).unwrap();
    let last = (0..bytes.len()).step_by(512).rev().find(|at| bytes[*at..].starts_with(b"TGB1")).unwrap();
    bytes[last + 40] ^= 1;
    world.disk.put(name, bytes);
    let told = world.try_open().unwrap_err().to_string();
    assert!(told.contains(name) && told.contains(&format!("byte {last}")), "{told}");
}
