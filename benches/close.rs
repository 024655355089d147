//! All billing cycles end at one moment, as they do in a network where everybody's begins on the first: how long it takes to
//! close them, fee, roll-over and statement each, and what requests notice of it that come meanwhile.
//!
//! `cargo bench --bench close [-- ACCOUNTS DIRECTORY]`: a million, under the directory for temporary files, which should be
//! on a disk that really syncs. Needs about 3 GB of memory and as much of disk for a million.
//!
//! Closing goes through the same journal, in the portions and at the pace of the server's timer. The requests are charged at a
//! fixed rate, whatever came of the ones before (what waits in a queue is counted as waiting).

#![allow(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tollgate::{
    charging::{
        AccountSpec, Command, EventAction, EventRequest, Manage, ManageCommand, MemberNo, RequestKind, ServiceRequest,
        Subscriber, SubscriberSpec, Verdict, When,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::FileDisk,
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    time::{Clock, Timestamp},
    units::Money,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The server's timer: this many accounts, this often.
const AT_ONCE: usize = 64;
const EVERY: Duration = Duration::from_millis(16);
/// One-time events a second, from so many threads.
const RATE: u64 = 4_000;
const CALLERS: u64 = 64;
/// For how long it is charged before the cycles end.
const BEFORE: Duration = Duration::from_secs(10);
/// 20 September 2026 in UTC, and 1 October, when all cycles end.
const START: u64 = 1_789_862_400;
const OCTOBER: u64 = START + 11 * 86_400;
const CATALOG: &str = r#"
currency = "EUR"
[[context]]
name = "sms"
service_context_id = "32274@3gpp.org"
default_service = "sms"
[[service]]
name = "sms"
context = "sms"
rating_group = 7
price = "0.10"
per = "1 event"
[[allowance]]
name = "sms-10"
amount = "10 events"
services = ["sms"]
priority = 10
[[product]]
name = "monthly"
fee = "5.00"
period = "cycle"
prorate = true
allowances = [{ allowance = "sms-10", roll_over = "5 events", roll_over_periods = 2 }]
"#;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let accounts: u64 = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let directory = arguments.next().map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let clock = Arc::new(Moved { start: Instant::now(), ahead_secs: AtomicU64::new(0) });
    let store = Arc::new(open(&directory, &clock));
    let start = Instant::now();
    provision(&store, accounts);
    println!("{accounts} accounts with a product and a billing cycle, made in {:.1?}", start.elapsed());

    let (ending, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, ending, done) = (Arc::clone(&store), Arc::clone(&ending), Arc::clone(&done));
            thread::spawn(move || charge(&store, accounts, caller, &ending, &done))
        })
        .collect();
    thread::sleep(BEFORE);
    let before = store.last_position().0;
    clock.ahead_secs.store(OCTOBER - START, Ordering::SeqCst);
    ending.store(true, Ordering::SeqCst);
    let start = Instant::now();
    let (mut closed, mut busy) = (0, Duration::ZERO);
    loop {
        let turn = Instant::now();
        let caught_up = store.catch_up_accounts(AT_ONCE);
        busy += turn.elapsed();
        closed += caught_up;
        if caught_up == 0 {
            break;
        }
        thread::sleep(EVERY.saturating_sub(turn.elapsed()));
    }
    let took = start.elapsed();
    done.store(true, Ordering::SeqCst);
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    println!(
        "{closed} closed in {took:.1?} ({:.0} a second; {:.0} % of one processor), {} records",
        closed as f64 / took.as_secs_f64(),
        busy.as_secs_f64() / took.as_secs_f64() * 100.0,
        store.last_position().0 - before
    );
    let times: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    for (when, pick) in [("before", 0), ("meanwhile", 1)] {
        let mut all: Vec<Duration> = times.iter().flat_map(|times| times[pick].iter().copied()).collect();
        all.sort_unstable();
        let at = |permille: usize| all[(all.len() - 1) * permille / 1_000];
        println!(
            "charged {when}: {} requests, durable: p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?}, max {:.2?}",
            all.len(),
            at(500),
            at(990),
            at(999),
            at(1_000)
        );
    }
    store.check().unwrap();
    for account in [1, accounts / 2, accounts] {
        let pending = store.account(AccountId(account)).unwrap();
        let account = store.mark().admit(pending).map_err(drop).unwrap().into_inner();
        let profile = account.profile.unwrap();
        let cycle = profile.cycle.unwrap();
        let turn = Timestamp::from_secs(OCTOBER);
        assert_eq!((cycle.starts, cycle.fees.micros()), (turn, 5_000_000), "account {}", account.id.0);
    }
}

/// The machine's clock, put ahead.
struct Moved {
    start: Instant,
    ahead_secs: AtomicU64,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        let ahead = START + self.ahead_secs.load(Ordering::SeqCst);
        Timestamp::from_millis(ahead * 1_000 + self.start.elapsed().as_millis() as u64)
    }
}

fn open(directory: &tempfile::TempDir, clock: &Arc<Moved>) -> Store {
    let settings = Settings {
        partitions: 64,
        segment_bytes: 64 << 20,
        retention: Default::default(),
        outbox_keep: 1_000_000,
        outbox_keep_max: 1_000_000,
    };
    let disk = FileDisk::open(directory.path()).unwrap();
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::<Moved>::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn identity(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn provision(store: &Store, accounts: u64) {
    for account in 1..=accounts {
        let id = AccountId(account);
        let spec = AccountSpec {
            id,
            currency: store.catalog().currency(),
            balance: Money::from_micros(1_000_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        drop(store.account_command(id, &Command::CreateAccount(spec)));
        let subscriber = Subscriber { id: "line".into(), identities: [identity(account)].into() };
        drop(store.create_subscriber(SubscriberSpec { account: id, subscriber }));
        let buy = Manage::Buy { product: "monthly", member: MemberNo::SHARED, start: When::Now };
        for what in [Manage::SetCycleDay(1), buy] {
            let command = ManageCommand { account: id, request_id: "", reason: "", what };
            drop(store.account_command(id, &Command::Manage(command)));
        }
        if account % 10_000 == 0 {
            store.mark().wait_for_blocking(store.last_position()).unwrap();
        }
    }
}

/// Charges events at the caller's share of the rate; how long each took until it was durable, before the end and after.
fn charge(store: &Store, accounts: u64, caller: u64, ending: &AtomicBool, done: &AtomicBool) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let (start, step) = (Instant::now(), Duration::from_secs(1).mul_f64(CALLERS as f64 / RATE as f64));
    for number in 0u32.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let due = start + step * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let after = usize::from(ending.load(Ordering::SeqCst));
        // In no order that any table knows.
        let account = (u64::from(number) * CALLERS + caller) * 70_001 % accounts + 1;
        let id = format!("smsc-{caller}.example;1;{number}");
        let key = SessionKey::of(id.as_bytes());
        let pending = store.charge(&[identity(account)], key, RequestKind::Event, 0, |account| {
            Command::ChargeEvent(EventRequest {
                session_id: id.as_bytes(),
                key,
                account,
                action: EventAction::Debit,
                context: store.catalog().context("32274@3gpp.org"),
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(7), ..QuotaKey::default() },
                    ..ServiceRequest::default()
                }],
                ..EventRequest::default()
            })
        });
        store.mark().wait_for_blocking(pending.position()).unwrap();
        let answered = store.mark().admit(pending).map_err(drop).unwrap().into_inner();
        assert_eq!(answered.answer.verdict, Verdict::Success);
        times[after].push(due.elapsed());
    }
    times
}
