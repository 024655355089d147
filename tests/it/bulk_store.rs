//! Bulk changes over crashes: each change exactly once, whatever the disk loses, and the audit trail names both persons.

use std::{collections::BTreeMap, sync::Arc};

use tollgate::{
    charging::{
        AccountSpec, AccountState, BULKS_OPEN_MAX, Bulk, BulkStage, Change, Command, PlannedChange, Retention,
        VoucherBatch, VoucherMark, VoucherValue,
    },
    ids::{AccountId, VoucherCode},
    journal::{MemoryDisk, Pending},
    rating::Catalog,
    store::{AuditFilter, AuditLine, BulkError, By, Place, Rotation, Settings, SilentObserver, Store, Submit},
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::{charging_property::CATALOG, dice::Dice};

const ACCOUNTS: u64 = 6;
const ALICE: By<'_> =
    By { name: "alice", role: "care", address: "10.0.0.1:1", method: "SubmitBulk", reason: "wrong bill" };
const BOB: By<'_> = By { name: "bob", role: "care", address: "10.0.0.2:1", method: "ApproveBulk", reason: "seen" };

struct World {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> (Self, Store<MemoryDisk>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let world = Self { disk: MemoryDisk::new(), clock };
        let store = world.open();
        for id in 1..=ACCOUNTS {
            let spec = AccountSpec {
                id: AccountId(id),
                currency: store.catalog().currency(),
                balance: Money::from_micros(100_000_000),
                credit_limit: Money::ZERO,
                never_stop: false,
                allowances: Vec::new(),
            };
            drop(store.account_command(AccountId(id), &Command::CreateAccount(spec)));
        }
        settle(&store);
        (world, store)
    }

    fn open(&self) -> Store<MemoryDisk> {
        let settings = Settings {
            partitions: 4,
            segment_bytes: 64 << 10,
            retention: Retention::default(),
            outbox_keep: 1_000,
            outbox_keep_max: 1_000_000,
        };
        let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
        let rotation = Rotation { bytes: 20_000, secs: 0 };
        let place = Place { disk: self.disk.clone(), records: None, audit: Some((self.disk.clone(), rotation)) };
        let (clock, observer) = (Arc::clone(&self.clock), Arc::new(SilentObserver));
        Store::open(place, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
    }
}

fn settle(store: &Store<MemoryDisk>) {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
}

fn durable<T>(store: &Store<MemoryDisk>, pending: Pending<T>) -> T {
    settle(store);
    store.mark().admit(pending).map_err(drop).unwrap().into_inner()
}

fn adjust(account: u64, micros: i64) -> PlannedChange {
    PlannedChange { account: AccountId(account), change: Change::Adjust(Money::from_micros(micros)) }
}

fn state(account: u64, state: AccountState) -> PlannedChange {
    PlannedChange { account: AccountId(account), change: Change::SetState(state) }
}

fn submit(
    store: &Store<MemoryDisk>,
    request_id: &str,
    changes: &[PlannedChange],
    waits: Option<u64>,
) -> Result<(u64, bool), BulkError> {
    let expires = waits.map(|secs| store.clock().now().plus_secs(secs));
    let (asked, money) = (format!("{changes:?}"), Money::from_micros(7));
    let submit = Submit { request_id, asked: asked.as_bytes(), changes: changes.to_vec(), money, expires };
    durable(store, store.by(ALICE).submit_bulk(submit))
}

fn bulk(store: &Store<MemoryDisk>, id: u64) -> Bulk {
    durable(store, store.look_at_bulks(|bulks| bulks.get(id).cloned())).unwrap()
}

fn balance(store: &Store<MemoryDisk>, account: u64) -> i64 {
    durable(store, store.account(AccountId(account)).unwrap()).balance().micros()
}

fn trail(store: &Store<MemoryDisk>) -> Vec<AuditLine> {
    settle(store);
    store.write_trails().unwrap();
    let trail = store.audit_trail().unwrap();
    let (line, hash) = store.audit_head();
    trail.verify(Some((line, &hash))).unwrap();
    trail.page(&AuditFilter::default(), None, 100_000).unwrap().0
}

fn approve(store: &Store<MemoryDisk>, by: By<'_>, id: u64, approved: bool) -> Result<(), String> {
    durable(store, store.by(by).decide_on_bulk(id, approved)).map_err(|error| error.to_string())
}

#[test]
fn a_second_person_approves_and_both_are_in_the_trail() {
    let (world, store) = World::new();
    let changes =
        [adjust(1, -5_000_000), adjust(9, 1), state(2, AccountState::Suspended), state(2, AccountState::Suspended)];
    let submitted = submit(&store, "r1", &changes, Some(3_600));
    assert_eq!(submitted, Ok((1, false)));
    assert_eq!(submit(&store, "r1", &changes, Some(9)), Ok((1, true)));
    let reused = Err(BulkError::RequestIdReused("r1".into()));
    assert_eq!(submit(&store, "r1", &changes[1..], None), reused);
    let other = By { name: "carol", ..ALICE };
    let (asked, money) = (format!("{changes:?}"), Money::from_micros(7));
    let twice = Submit { request_id: "r1", asked: asked.as_bytes(), changes: changes.to_vec(), money, expires: None };
    assert_eq!(durable(&store, store.by(other).submit_bulk(twice)), reused);

    assert_eq!(store.run_bulks(100), 0);
    assert_eq!(balance(&store, 1), 100_000_000);
    let same = "bulk change 1 was submitted by `alice`: somebody else must approve it";
    assert_eq!(approve(&store, By { reason: "mine", ..ALICE }, 1, true).unwrap_err(), same);
    assert_eq!(approve(&store, BOB, 2, true).unwrap_err(), "there is no bulk change 2, or it is no longer kept");
    approve(&store, BOB, 1, true).unwrap();
    // The same again changes nothing; another decision comes too late.
    approve(&store, BOB, 1, true).unwrap();
    let late = approve(&store, ALICE, 1, false).unwrap_err();
    assert_eq!(late, "bulk change 1 does not wait for approval: it is running");

    assert_eq!((store.run_bulks(3), store.run_bulks(3), store.run_bulks(3)), (3, 1, 0));
    let done = bulk(&store, 1);
    assert_eq!((done.stage, done.executed, done.refused), (BulkStage::Done, 4, 1));
    assert_eq!((done.refusals[0].item, &*done.refusals[0].why), (2, "account 9 does not exist"));
    assert_eq!(balance(&store, 1), 95_000_000);
    assert_eq!(submit(&store, "r1", &changes, None), Ok((1, true)));

    let told: Vec<_> = trail(&store)
        .into_iter()
        .map(|line| {
            format!(
                "{} {} {} {} [{}] {}",
                line.name, line.method, line.target, line.bulk, line.approved_by, line.refusal
            )
        })
        .collect();
    let expected = [
        "alice SubmitBulk bulk 1  [] ",
        "alice SubmitBulk bulk  [] request id `r1` was used before for something else",
        "carol SubmitBulk bulk  [] request id `r1` was used before for something else",
        &format!("alice SubmitBulk bulk 1  [] {same}"),
        "bob ApproveBulk bulk 2  [] there is no bulk change 2, or it is no longer kept",
        "bob ApproveBulk bulk 1  [] ",
        "alice SubmitBulk bulk 1  [] bulk change 1 does not wait for approval: it is running",
        "alice Adjust account 1 1/1 [bob] ",
        "alice Adjust account 9 1/2 [bob] account 9 does not exist",
        "alice SetAccountState account 2 1/3 [bob] ",
        "alice SetAccountState account 2 1/4 [bob] ",
    ];
    assert_eq!(told, expected);
    // After a restart all of it is told as before.
    let before = bulk(&store, 1);
    drop(store);
    let store = world.open();
    assert_eq!(bulk(&store, 1), before);
    store.checkpoint().unwrap();
    drop(store);
    let store = world.open();
    assert_eq!(bulk(&store, 1), before);
    assert_eq!(submit(&store, "r1", &changes, None), Ok((1, true)));
}

#[test]
fn what_is_rejected_or_not_approved_in_time_changes_nothing() {
    let (world, store) = World::new();
    let changes = [adjust(1, -5_000_000)];
    let ids: Vec<_> = ["a", "b", "c"].iter().map(|id| submit(&store, id, &changes, Some(100)).unwrap().0).collect();
    // Whoever submitted it may take it back.
    approve(&store, By { method: "RejectBulk", reason: "typo", ..ALICE }, ids[0], false).unwrap();
    approve(&store, By { method: "RejectBulk", ..BOB }, ids[1], false).unwrap();
    world.clock.advance_secs(99);
    assert_eq!(store.expire_bulks(), 0);
    world.clock.advance_secs(1);
    // Also where nobody has looked yet.
    let late = approve(&store, BOB, ids[2], true).unwrap_err();
    assert_eq!(late, "bulk change 3 does not wait for approval: it is expired");
    assert_eq!((store.expire_bulks(), store.expire_bulks()), (1, 0));
    let stages = [BulkStage::Rejected, BulkStage::Rejected, BulkStage::Expired];
    for (id, stage) in ids.iter().zip(stages) {
        let ended = bulk(&store, *id);
        assert_eq!((ended.stage, ended.changes.len(), ended.executed), (stage, 0, 0));
    }
    assert_eq!((store.run_bulks(100), balance(&store, 1)), (0, 100_000_000));
    let last = trail(&store).pop().unwrap();
    assert_eq!((&*last.name, &*last.method, &*last.target), ("tollgate", "ExpireBulk", "bulk 3"));
    assert_eq!(last.after["stage"], "expired");
    assert_eq!(last.after["submitted_by"], "alice");
}

#[test]
fn only_so_many_are_open_at_a_time() {
    let (_, store) = World::new();
    for number in 0..BULKS_OPEN_MAX {
        submit(&store, &number.to_string(), &[adjust(1, 1)], Some(100)).unwrap();
    }
    assert_eq!(submit(&store, "more", &[adjust(1, 1)], None), Err(BulkError::TooManyOpen));
    assert!(submit(&store, "3", &[adjust(1, 1)], Some(100)).unwrap().1);
    approve(&store, BOB, 1, false).unwrap();
    assert!(submit(&store, "more", &[adjust(1, 1)], None).is_ok());
    // What is too long for one record is refused, and does not end the journal.
    let long = PlannedChange { account: AccountId(1), change: Change::SetPlan("p".repeat(1_000).into()) };
    approve(&store, BOB, 2, false).unwrap();
    let refused = submit(&store, "long", &vec![long; 9_000], None);
    assert!(matches!(refused, Err(BulkError::TooLong(octets)) if octets > 8 << 20), "{refused:?}");
    assert_eq!(store.run_bulks(10), 1);
}

#[test]
fn vouchers_wait_for_their_approval() {
    let (world, store) = World::new();
    let value = VoucherValue::Money(Money::from_micros(5_000_000));
    let batch = VoucherBatch { name: "a".into(), value, valid_until: Timestamp::from_secs(2_000_000) };
    let codes: Vec<_> = (0..20).map(|number| VoucherCode::new(number * 7_919 + 13)).collect();
    durable(&store, store.by(ALICE).create_vouchers(&batch, true, &codes)).unwrap();
    let redeem = |store: &Store<MemoryDisk>, id: &str| {
        durable(store, store.by(ALICE).redeem_voucher(codes[3], AccountId(1), id)).map_err(|why| why.to_string())
    };
    let unblock = |name: &str| PlannedChange { account: AccountId(0), change: Change::UnblockVouchers(name.into()) };
    let id = submit(&store, "v", &[unblock("a"), unblock("b"), unblock("a")], Some(100)).unwrap().0;
    drop(store);
    let store = world.open();
    assert_eq!(redeem(&store, "r1").unwrap_err(), "the voucher is blocked");
    approve(&store, BOB, id, true).unwrap();
    assert_eq!(store.run_bulks(100), 3);
    let done = bulk(&store, id);
    assert_eq!((done.stage, done.refused, &*done.refusals[0].why), (BulkStage::Done, 1, "there is no batch `b`"));
    redeem(&store, "r2").unwrap();
    assert!(matches!(store.voucher(codes[3]).unwrap().3, VoucherMark::Redeemed(_)));
    let lines = trail(&store).into_iter().filter(|line| !line.bulk.is_empty());
    let told: Vec<_> = lines.map(|line| (line.bulk, line.approved_by, line.target, line.before.to_string())).collect();
    let line = |bulk: &str, target: &str, before: &str| (bulk.into(), "bob".into(), target.into(), before.into());
    assert_eq!(
        told,
        [
            line("1/1", "voucher batch a", "{\"blocked\":true}"),
            line("1/2", "voucher batch b", "{}"),
            line("1/3", "voucher batch a", "{}"),
        ]
    );
}

/// Random changes, executed a few at a time between crashes, checkpoints and other people's changes.
#[test]
fn no_crash_leaves_a_change_out_or_does_it_twice() {
    for seed in 0..30 {
        let mut dice = Dice(seed);
        let (mut world, mut store) = World::new();
        let mut expected: BTreeMap<u64, i64> = (1..=ACCOUNTS).map(|id| (id, 100_000_000)).collect();
        let mut submitted = 0u64;
        for round in 0..12u64 {
            if dice.below(2) == 0 {
                let count = dice.below(12) + 1;
                let mut changes = Vec::new();
                for _ in 0..count {
                    let account = dice.below(ACCOUNTS) + 1;
                    changes.push(match dice.below(4) {
                        0 => state(account, AccountState::Suspended),
                        1 => state(account, AccountState::Active),
                        _ => adjust(account, dice.below(1_000) as i64 + 1),
                    });
                }
                let waits = (dice.below(2) == 0).then_some(1_000);
                // Durable before it counts.
                let (id, _) = submit(&store, &format!("{round}"), &changes, waits).unwrap();
                if waits.is_some() {
                    approve(&store, BOB, id, true).unwrap();
                }
                for planned in &changes {
                    if let Change::Adjust(amount) = planned.change {
                        *expected.get_mut(&planned.account.0).unwrap() += amount.micros();
                    }
                }
                submitted += count;
            }
            for _ in 0..dice.below(4) {
                store.run_bulks(dice.below(6) as usize + 1);
                match dice.below(6) {
                    0 => settle(&store),
                    1 => drop(store.checkpoint().unwrap()),
                    2 => {
                        settle(&store);
                        store.write_trails().unwrap();
                    }
                    _ => {}
                }
            }
            world.disk = if dice.below(2) == 0 { world.disk.crash(seed ^ round) } else { world.disk.kill() };
            drop(store);
            store = world.open();
            store.check().unwrap();
        }
        while store.run_bulks(100) > 0 {}
        for (account, micros) in expected {
            assert_eq!(balance(&store, account), micros, "seed {seed}, account {account}");
        }
        // A line each, in order: also for what changed nothing.
        let ticks: Vec<_> = trail(&store).into_iter().map(|line| line.bulk).filter(|bulk| !bulk.is_empty()).collect();
        let mut all = Vec::new();
        durable(
            &store,
            store.look_at_bulks(|bulks| {
                for bulk in bulks.iter() {
                    assert_eq!((bulk.stage, bulk.executed), (BulkStage::Done, bulk.count), "seed {seed}");
                    all.extend((1..=bulk.count).map(|item| format!("{}/{item}", bulk.id)));
                }
            }),
        );
        assert_eq!(ticks, all, "seed {seed}");
        assert_eq!(ticks.len() as u64, submitted, "seed {seed}");
        store.check().unwrap();
    }
}
