//! Money between accounts, on a disk that loses and tears what was not synced: none is lost, none is made.

use std::{collections::BTreeMap, sync::Arc};

use tollgate::{
    charging::{AccountSpec, AccountState, Command, Refusal, Retention, receipt_id},
    ids::AccountId,
    journal::MemoryDisk,
    rating::Catalog,
    store::{
        AuditFilter, AuditLine, By, Place, Rotation, Settings, SilentObserver, Store, TransferFailed, TransferOrder,
    },
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::{charging_property::CATALOG, dice::Dice};

const ACCOUNTS: u64 = 8;
const OPENING: i64 = 10_000_000;

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 10_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn new_store(clock: &Arc<ManualClock>) -> (MemoryDisk, Store<MemoryDisk>) {
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), clock);
    for account in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(OPENING),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        drop(store.account_command(AccountId(account), &Command::CreateAccount(spec)));
    }
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    (disk, store)
}

fn order<'a>(store: &Store<MemoryDisk>, from: u64, to: u64, micros: i64, request_id: &'a str) -> TransferOrder<'a> {
    TransferOrder {
        from: AccountId(from),
        to: AccountId(to),
        amount: Money::from_micros(micros),
        currency: store.catalog().currency(),
        request_id,
        reason: "a present",
    }
}

fn durable<T>(store: &Store<MemoryDisk>, pending: tollgate::journal::Pending<T>) -> T {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.mark().admit(pending).map_err(drop).unwrap().into_inner()
}

/// Sends and delivers.
fn transfer(store: &Store<MemoryDisk>, order: TransferOrder<'_>) -> Result<(Money, bool), TransferFailed> {
    let sent = durable(store, store.send_transfer(order))?;
    let returned = durable(store, store.deliver_transfers(order.from));
    match returned.into_iter().find(|(id, _)| **id == *order.request_id) {
        Some((_, refusal)) => Err(TransferFailed::Receiver(refusal)),
        None => Ok(sent),
    }
}

fn balance(store: &Store<MemoryDisk>, account: u64) -> i64 {
    durable(store, store.account(AccountId(account)).unwrap()).balance().micros()
}

/// Money in accounts and on its way. What has arrived and is not settled yet is on its way no more.
fn all_money(store: &Store<MemoryDisk>) -> i64 {
    let (mut sum, mut on_the_way) = (0, Vec::new());
    store.for_each_state(|state| {
        for account in state.accounts() {
            sum += account.balance().micros();
            let sent = account.profile.iter().flat_map(|profile| &profile.transfers);
            on_the_way.extend(sent.map(|it| (it.to, receipt_id(account.id, it), it.amount.micros())));
        }
    });
    for (to, receipt, amount) in on_the_way {
        let mut arrived = false;
        store.for_each_state(|state| arrived |= state.remembers_request(to, &receipt));
        sum += if arrived { 0 } else { amount };
    }
    sum
}

#[test]
fn money_arrives_once_whoever_asks_how_often() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (_, store) = new_store(&clock);
    let given = order(&store, 1, 2, 4_000_000, "t1");
    assert_eq!(transfer(&store, given), Ok((Money::from_micros(6_000_000), false)));
    assert_eq!(transfer(&store, given), Ok((Money::from_micros(6_000_000), true)));
    assert_eq!((balance(&store, 1), balance(&store, 2)), (6_000_000, 14_000_000));
    let other = TransferOrder { amount: Money::from_micros(1), ..given };
    let reused = TransferFailed::Sender(Refusal::RequestIdReused("t1".into()));
    assert_eq!(transfer(&store, other), Err(reused));
    let all = order(&store, 1, 2, 6_000_001, "t2");
    let refused = transfer(&store, all).unwrap_err().to_string();
    assert_eq!(refused, "6.000001 cannot be sent: 6.00 is there and not reserved");
    let to_itself = transfer(&store, order(&store, 1, 1, 1, "t3")).unwrap_err().to_string();
    assert_eq!(to_itself, "an account cannot send money to itself");
    assert_eq!(all_money(&store), ACCOUNTS as i64 * OPENING);
    store.check().unwrap();
}

/// Both sides, what comes back, and what was refused before the sender was asked.
#[test]
fn every_step_of_a_transfer_is_in_the_audit_trail() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (disk, store) = new_store(&clock);
    drop(store);
    let settings = Settings {
        partitions: 4,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 10_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let audit = MemoryDisk::new();
    let place = Place { disk, records: None, audit: Some((audit, Rotation { bytes: 1 << 20, secs: 0 })) };
    let (time, observer) = (Arc::clone(&clock), Arc::new(SilentObserver));
    let store = Store::open(place, settings, catalog, time, observer, |_| {}, |_| {}).unwrap().0;
    let care = By { name: "care1", role: "care", address: "a:1", method: "Transfer", reason: "a present" };
    let send = |to, id| durable(&store, store.by(care).send_transfer(order(&store, 1, to, 1_000_000, id)));
    send(2, "t1").unwrap();
    durable(&store, store.deliver_transfers(AccountId(1)));
    send(99, "t2").unwrap_err();
    // The receiver ends while the money is on its way.
    send(3, "t3").unwrap();
    let ended = Command::SetState { account: AccountId(3), state: AccountState::Terminated, reason: "left" };
    drop(store.account_command(AccountId(3), &ended));
    assert_eq!(store.resume_transfers(), 1);
    send(1, "t4").unwrap_err();
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.write_trails().unwrap();
    let lines = store.audit_trail().unwrap().page(&AuditFilter::default(), None, 100).unwrap().0;
    let balance = |side: &serde_json::Value| side["balance"].as_str().unwrap_or("-").to_owned();
    let told = |line: &AuditLine| {
        let (before, after) = (balance(&line.before), balance(&line.after));
        format!("{} {} [{}] {before} {after} {}", line.name, line.target, line.reason, line.refusal)
    };
    let told: Vec<_> = lines.iter().map(told).collect();
    let expected = [
        "care1 account 1 [a present] 10.00 9.00 ",
        "tollgate account 2 [transfer t1 of account 1] 10.00 11.00 ",
        "tollgate account 1 [transfer t1 of account 1] - - ",
        "care1 account 1 [a present] - - the receiver: account 99 does not exist",
        "care1 account 1 [a present] 9.00 8.00 ",
        "tollgate account 3 [transfer t3 of account 1] - - account 3 is terminated",
        "tollgate account 1 [transfer t3 of account 1] 8.00 9.00 ",
        "care1 account 1 [a present] - - an account cannot send money to itself",
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_id_that_the_sender_has_forgotten_sends_again() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (_, store) = new_store(&clock);
    let given = order(&store, 1, 2, 1_000_000, "rent");
    transfer(&store, given).unwrap();
    clock.advance_secs(Retention::default().request_id_secs + 1);
    // The sender forgets with what happens next to it; the receiver, where nothing happens, does not.
    transfer(&store, order(&store, 1, 3, 1, "else")).unwrap();
    assert_eq!(transfer(&store, given), Ok((Money::from_micros(7_999_999), false)));
    assert_eq!((balance(&store, 1), balance(&store, 2)), (7_999_999, 12_000_000));
    assert_eq!(all_money(&store), ACCOUNTS as i64 * OPENING);
}

#[test]
fn what_the_receiver_cannot_take_comes_back() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (_, store) = new_store(&clock);
    let given = order(&store, 1, 2, 10_000_000, "t1");
    let sent = durable(&store, store.send_transfer(given)).unwrap();
    assert_eq!((sent, balance(&store, 1), balance(&store, 2)), ((Money::ZERO, false), 0, OPENING));
    assert_eq!(durable(&store, store.account(AccountId(1)).unwrap()).state, AccountState::Stopped);
    // The receiver ends while the money is on its way.
    let ended = Command::SetState { account: AccountId(2), state: AccountState::Terminated, reason: "gone" };
    drop(store.account_command(AccountId(2), &ended));
    let returned = durable(&store, store.deliver_transfers(AccountId(1)));
    assert_eq!(returned, [("t1".into(), Refusal::Terminated(AccountId(2)))]);
    let sender = durable(&store, store.account(AccountId(1)).unwrap());
    assert_eq!((sender.balance().micros(), sender.state), (OPENING, AccountState::Active));
    let again = transfer(&store, given).unwrap_err().to_string();
    assert_eq!(again, "this transfer came back: account 2 is terminated");
    assert_eq!(all_money(&store), ACCOUNTS as i64 * OPENING);
    store.check().unwrap();
}

#[test]
fn no_crash_loses_or_makes_money() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let (mut disk, mut store) = new_store(&clock);
        // What was promised: sender, receiver and amount by request id.
        let mut promised = BTreeMap::new();
        for round in 0..12u64 {
            for number in 0..dice.below(6) + 1 {
                let (from, to) = (dice.below(ACCOUNTS) + 1, dice.below(ACCOUNTS) + 1);
                let (micros, id) = (dice.below(2_000_000) as i64 + 1, format!("{round}-{number}"));
                let sent = store.send_transfer(order(&store, from, to, micros, &id));
                if dice.below(3) > 0 {
                    drop(store.deliver_transfers(AccountId(from)));
                }
                if dice.below(2) == 0 {
                    store.mark().wait_for_blocking(store.last_position()).unwrap();
                }
                if dice.below(8) == 0 {
                    store.checkpoint().unwrap();
                }
                if let Ok(sent) = store.mark().admit(sent)
                    && sent.is_ok()
                {
                    promised.insert((from, id), (to, micros));
                }
            }
            let after = if dice.below(2) == 0 { disk.crash(seed ^ round) } else { disk.kill() };
            drop(store);
            disk = after;
            store = open(disk.clone(), &clock);
            store.check().unwrap();
            assert_eq!(all_money(&store), ACCOUNTS as i64 * OPENING, "seed {seed}, round {round}");
            if dice.below(2) == 0 {
                store.resume_transfers();
            }
        }
        while store.resume_transfers() > 0 {}
        for ((from, id), (to, micros)) in &promised {
            let again = transfer(&store, order(&store, *from, *to, *micros, id));
            assert!(matches!(again, Ok((_, true))), "seed {seed}: {id} from {from}: {again:?}");
        }
        let sum: i64 = (1..=ACCOUNTS).map(|account| balance(&store, account)).sum();
        assert_eq!(sum, ACCOUNTS as i64 * OPENING, "seed {seed}: money is still on its way");
    }
}
