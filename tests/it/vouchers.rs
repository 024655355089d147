//! Vouchers, on a disk that loses and tears what was not synced: each is redeemed once, and nobody else's.

use std::{collections::BTreeMap, sync::Arc};

use tollgate::{
    charging::{
        AccountSpec, AccountState, Command, CreditCommand, CreditKind, Refusal, Retention, VoucherBatch, VoucherMark,
        VoucherValue,
    },
    ids::{AccountId, VoucherCode},
    journal::{MemoryDisk, Pending},
    rating::Catalog,
    store::{By, Redeemed, Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::{charging_property::CATALOG, dice::Dice};

const ACCOUNTS: u64 = 4;
const WORTH: i64 = 5_000_000;

const BY: By<'_> =
    By { name: "shop", role: "operator", address: "127.0.0.1:1", method: "Vouchers", reason: "christmas" };

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    open_with(disk, clock, CATALOG)
}

fn open_with(disk: MemoryDisk, clock: &Arc<ManualClock>, catalog: &str) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 10_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(catalog).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn durable<T>(store: &Store<MemoryDisk>, pending: Pending<T>) -> T {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.mark().admit(pending).map_err(drop).unwrap().into_inner()
}

fn batch(name: &str) -> VoucherBatch {
    let value = VoucherValue::Money(Money::from_micros(WORTH));
    VoucherBatch { name: name.into(), value, valid_until: Timestamp::from_secs(2_000_000) }
}

fn codes(first: u64, count: u64) -> Vec<VoucherCode> {
    (first..first + count).map(|number| VoucherCode::new(number * 7_919 + 13)).collect()
}

fn new_store(clock: &Arc<ManualClock>) -> (MemoryDisk, Store<MemoryDisk>) {
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), clock);
    for account in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::ZERO,
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        drop(store.account_command(AccountId(account), &Command::CreateAccount(spec)));
    }
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    (disk, store)
}

fn redeem(store: &Store<MemoryDisk>, code: VoucherCode, account: u64, id: &str) -> Result<Redeemed, Refusal> {
    durable(store, store.by(BY).redeem_voucher(code, AccountId(account), id))
}

fn balance(store: &Store<MemoryDisk>, account: u64) -> i64 {
    durable(store, store.account(AccountId(account)).unwrap()).balance().micros()
}

#[test]
fn a_voucher_is_redeemed_once() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (_, store) = new_store(&clock);
    let made = codes(1, 20);
    durable(&store, store.by(BY).create_vouchers(&batch("a"), false, &made)).unwrap();
    let twice = durable(&store, store.by(BY).create_vouchers(&batch("a"), false, &made)).unwrap_err();
    assert_eq!(twice.to_string(), "there is a batch `a` already");

    let first = redeem(&store, made[0], 1, "r1").unwrap();
    assert_eq!((first.balance.micros(), first.repeated), (WORTH, false));
    let again = redeem(&store, made[0], 1, "r1").unwrap();
    assert_eq!((again.balance.micros(), again.repeated), (WORTH, true));
    let other = "the voucher has been redeemed";
    assert_eq!(redeem(&store, made[0], 1, "r2").unwrap_err().to_string(), other);
    assert_eq!(redeem(&store, made[0], 2, "r1").unwrap_err().to_string(), other);
    assert_eq!(redeem(&store, VoucherCode::new(4), 1, "r3"), Err(Refusal::NoSuchVoucher));

    // A request id stands for one code: also for one that is open.
    let reused = Err(Refusal::RequestIdReused("r1".into()));
    assert_eq!(redeem(&store, made[7], 1, "r1"), reused);
    assert_eq!(redeem(&store, made[7], 2, "r1").unwrap().balance.micros(), WORTH);
    let credit = |request_id| CreditCommand {
        account: AccountId(1),
        kind: CreditKind::TopUp(Money::from_micros(1)),
        currency: None,
        request_id,
    };
    assert_eq!(durable(&store, store.credit(credit("r1"))).map(drop), reused.map(drop));
    // One that is wrong is not remembered: the right code may follow.
    assert_eq!(redeem(&store, VoucherCode::new(4), 2, "r9"), Err(Refusal::NoSuchVoucher));
    assert_eq!(redeem(&store, made[8], 2, "r9").unwrap().balance.micros(), 2 * WORTH);

    durable(&store, store.by(BY).block_vouchers("a", true)).unwrap();
    assert_eq!(redeem(&store, made[1], 1, "r4").unwrap_err().to_string(), "the voucher is blocked");
    durable(&store, store.by(BY).block_vouchers("a", false)).unwrap();
    assert_eq!(redeem(&store, made[1], 1, "r4").unwrap().balance.micros(), 2 * WORTH);
    assert!(durable(&store, store.by(BY).block_vouchers("b", true)).is_err());

    // An account that cannot take it leaves it open for another.
    let ended = Command::SetState { account: AccountId(3), state: AccountState::Terminated, reason: "gone" };
    drop(store.account_command(AccountId(3), &ended));
    assert_eq!(redeem(&store, made[2], 3, "r5"), Err(Refusal::Terminated(AccountId(3))));
    assert_eq!(redeem(&store, made[2], 4, "r5").unwrap().balance.micros(), WORTH);
    let statuses = store.voucher_batches();
    assert_eq!((statuses.len(), statuses[0].count, statuses[0].open), (1, 20, 15));

    // When the account has forgotten the credit, nobody gets it again.
    let (before, retention) = (balance(&store, 1), Retention::default().request_id_secs);
    clock.advance_secs(retention + 1);
    let credit = CreditCommand {
        account: AccountId(1),
        kind: CreditKind::TopUp(Money::from_micros(1)),
        currency: None,
        request_id: "later",
    };
    durable(&store, store.credit(credit)).unwrap();
    assert_eq!(redeem(&store, made[0], 1, "r1").unwrap_err().to_string(), other);
    assert_eq!(balance(&store, 1), before + 1);
    assert_eq!(redeem(&store, made[5], 1, "r6").unwrap_err().to_string(), "the voucher has expired");
    store.check().unwrap();
}

#[test]
fn no_crash_redeems_twice_or_loses_a_voucher() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let (mut disk, mut store) = new_store(&clock);
        let made = codes(1, 30);
        durable(&store, store.by(BY).create_vouchers(&batch("a"), false, &made)).unwrap();
        let mut promised = BTreeMap::new();
        for round in 0..8u64 {
            for number in 0..dice.below(6) + 1 {
                let (code, account) = (dice.below(30), dice.below(ACCOUNTS) + 1);
                let id = format!("{round}-{number}");
                let redeemed = store.by(BY).redeem_voucher(made[code as usize], AccountId(account), &id);
                if dice.below(2) == 0 {
                    store.mark().wait_for_blocking(store.last_position()).unwrap();
                }
                if dice.below(8) == 0 {
                    store.checkpoint().unwrap();
                }
                if store.mark().admit(redeemed).is_ok_and(|redeemed| redeemed.is_ok()) {
                    assert!(promised.insert(code, (account, id)).is_none(), "seed {seed}: {code} twice");
                }
            }
            let after = if dice.below(2) == 0 { disk.crash(seed ^ round) } else { disk.kill() };
            drop(store);
            disk = after;
            store = open(disk.clone(), &clock);
            store.check().unwrap();
            if dice.below(2) == 0 {
                store.resume_vouchers();
            }
        }
        while store.resume_vouchers() > 0 {}
        for (code, (account, id)) in &promised {
            assert!(redeem(&store, made[*code as usize], *account, id).unwrap().repeated, "seed {seed}: {code}");
        }
        let redeemed = |code: &&VoucherCode| matches!(store.voucher(**code).unwrap().3, VoucherMark::Redeemed(_));
        let spent = made.iter().filter(redeemed).count() as i64;
        let sum: i64 = (1..=ACCOUNTS).map(|account| balance(&store, account)).sum();
        assert_eq!(sum, spent * WORTH, "seed {seed}: money for vouchers that are open, or none for redeemed ones");
    }
}

/// A crash between the credit and its mark, and the allowance is gone from the catalog when the voucher is taken up again.
#[test]
fn an_allowance_that_was_given_is_not_given_back_when_the_catalog_has_lost_it() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let mut seen = [0; 2];
    for seed in 0..60 {
        let (disk, store) = new_store(&clock);
        let made = codes(1, 1);
        let small = VoucherBatch { value: VoucherValue::Allowance("small".into()), ..batch("a") };
        durable(&store, store.by(BY).create_vouchers(&small, false, &made)).unwrap();
        drop(store.by(BY).redeem_voucher(made[0], AccountId(1), "r1"));
        // How much of it is on the disk otherwise, the committer's thread decides.
        if seed % 2 == 0 {
            store.mark().wait_for_blocking(store.last_position()).unwrap();
        }
        let disk = disk.crash(seed);
        drop(store);
        let without = CATALOG.replace("\"small\"", "\"other\"");
        let store = open_with(disk, &clock, &without);
        while store.resume_vouchers() > 0 {}
        let account = durable(&store, store.account(AccountId(1)).unwrap());
        let given = account.buckets.iter().any(|bucket| &*bucket.name == "small");
        let is_open = store.voucher(made[0]).unwrap().3 == VoucherMark::Open;
        assert_eq!(given, !is_open, "seed {seed}");
        seen[usize::from(given)] += 1;
        store.check().unwrap();
    }
    assert!(seen[1] >= 30, "{seen:?}");
}
