//! Products and cycles in the store: what is due is done by the background, or right before an account is used, and a crash
//! in between loses and doubles nothing.

use std::sync::Arc;

use tollgate::{
    charging::{
        Account, AccountSpec, Command, CreditCommand, CreditKind, Manage, ManageCommand, MemberNo, Notice, NoticeKind,
        ProductStep, Retention, When,
    },
    ids::AccountId,
    journal::{MemoryDisk, Pending},
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::Money,
};

const CATALOG: &str = include_str!("charging_tables/products.toml");
const DAY: u64 = 86_400;
/// 2026-03-22T00:00:00Z.
const START: Timestamp = Timestamp::from_secs(1_774_137_600);
const ACCOUNTS: u64 = 100;

fn open(disk: &MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 256 << 10,
        retention: Retention::default(),
        outbox_keep: 10_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk.clone(), settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

/// Waits until an answer may leave.
fn durable<T>(store: &Store<MemoryDisk>, pending: Pending<T>) -> T {
    store.mark().wait_for_blocking(pending.position()).unwrap();
    store.mark().admit(pending).unwrap_or_else(|_| panic!("it is durable")).into_inner()
}

fn notices(store: &Store<MemoryDisk>) -> Vec<(u64, Arc<Notice>)> {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.outbox().after(0, 10_000, store.mark()).unwrap()
}

fn manage(store: &Store<MemoryDisk>, account: u64, request_id: &str, what: Manage<'_>) {
    let account = AccountId(account);
    let command = Command::Manage(ManageCommand { account, request_id, reason: "test", what });
    durable(store, store.account_command(account, &command)).unwrap();
}

/// Accounts with 50.00, a cycle from the first on, and a product for 31.00 and 5.00 once.
fn provision(store: &Store<MemoryDisk>) {
    for id in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(id),
            currency: store.catalog().currency(),
            balance: Money::from_micros(50_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        let _ = store.account_command(AccountId(id), &Command::CreateAccount(spec));
        manage(store, id, "day", Manage::SetCycleDay(1));
        manage(store, id, "buy", Manage::Buy { product: "monthly", member: MemberNo::SHARED, start: When::Now });
    }
}

fn account(store: &Store<MemoryDisk>, id: u64) -> Account {
    durable(store, store.account(AccountId(id)).unwrap())
}

#[test]
fn the_background_does_what_is_due_a_bounded_part_at_a_time() {
    let clock = Arc::new(ManualClock::new(START));
    let store = open(&MemoryDisk::new(), &clock);
    provision(&store);
    assert_eq!(store.catch_up_accounts(1_000), 0, "nothing is due yet");
    clock.advance_secs(10 * DAY);
    let mut rounds = 0;
    let mut done = 0;
    loop {
        let now = store.catch_up_accounts(16);
        if now == 0 {
            break;
        }
        assert!(now <= 16);
        (done, rounds) = (done + now, rounds + 1);
    }
    assert!(done == ACCOUNTS as usize && rounds >= 2, "{done} accounts in {rounds} rounds");
    for id in 1..=ACCOUNTS {
        let account = account(&store, id);
        // 50.00 less 5.00 and 10.00 of 31 days: 35.00; less 31.00.
        assert_eq!(account.balance(), Money::from_micros(4_000_000));
        let profile = account.profile.as_deref().unwrap();
        assert_eq!(profile.cycle.as_ref().map(|cycle| cycle.opening), Some(Money::from_micros(35_000_000)));
    }
    let closed =
        |kind: &NoticeKind| matches!(kind, NoticeKind::CycleClosed { fees, .. } if fees.micros() == 15_000_000);
    let notices = notices(&store);
    assert_eq!(notices.iter().filter(|notice| closed(&notice.1.kind)).count(), ACCOUNTS as usize);
}

#[test]
fn a_credit_brings_a_product_back_that_pauses() {
    let clock = Arc::new(ManualClock::new(START));
    let store = open(&MemoryDisk::new(), &clock);
    provision(&store);
    // The second renewal cannot be paid.
    clock.advance_secs(41 * DAY);
    store.catch_up_accounts(1_000);
    assert!(account(&store, 1).profile.as_deref().unwrap().subscriptions[0].paused);
    let top_up = |micros, request_id| {
        let kind = CreditKind::TopUp(Money::from_micros(micros));
        let command = CreditCommand { account: AccountId(1), kind, currency: None, request_id };
        durable(&store, store.credit(command)).unwrap();
    };
    top_up(1_000_000, "too little");
    assert!(account(&store, 1).profile.as_deref().unwrap().subscriptions[0].paused);
    assert_eq!(store.catch_up_accounts(1_000), 0, "nothing is due until money comes in");
    top_up(40_000_000, "enough");
    let account = account(&store, 1);
    assert!(account.profile.as_deref().unwrap().subscriptions[0].begun);
    // 4.00 and 41.00, less 30.00 for what is left of May on the second.
    assert_eq!(account.balance(), Money::from_micros(15_000_000));
    let paused = |kind: &NoticeKind| matches!(kind, NoticeKind::Product { step: ProductStep::Paused, .. });
    let notices = notices(&store);
    let of_account = notices.iter().filter(|notice| notice.1.account == AccountId(1));
    assert_eq!(of_account.filter(|notice| paused(&notice.1.kind)).count(), 1, "it is told once");
}

#[test]
fn a_crash_in_the_middle_of_a_closing_loses_and_doubles_nothing() {
    let clock = Arc::new(ManualClock::new(START));
    let disk = MemoryDisk::new();
    let store = open(&disk, &clock);
    provision(&store);
    clock.advance_secs(10 * DAY);
    // Some of them are done and durable when it happens.
    store.catch_up_accounts(8);
    store.checkpoint().unwrap();
    store.catch_up_accounts(8);
    // What was not synced is gone, or torn.
    let disk = disk.crash(7);
    drop(store);
    let store = open(&disk, &clock);
    while store.catch_up_accounts(64) > 0 {}
    for id in 1..=ACCOUNTS {
        let account = account(&store, id);
        assert_eq!(account.balance(), Money::from_micros(4_000_000), "account {id}");
        let units: i64 = account.buckets.iter().filter(|bucket| bucket.subscription == 1).map(|it| it.amount).sum();
        assert_eq!(units, 41_000_000, "10 MB rolled over, and 31 MB");
    }
}
