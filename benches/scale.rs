//! What a subscriber costs, and whether many of them cost more than few: memory, loading, checkpoint, restart, requests.
//!
//! `cargo bench --bench scale [-- SUBSCRIBERS ... DIRECTORY]`: 10,000, 100,000, 1 million and 10 million by default, each in
//! a process of its own, under the directory for temporary files, which should be on a disk that really syncs. 10 million
//! need about 4 GB of memory and 6 GB of disk, which are given back. `PARTITIONS` in the environment: other than the default.
//!
//! A subscriber has an MSISDN, an IMSI, and an account of its own with money and an allowance. Requests are one-time events of
//! subscribers in no order that any table knows. Their cost is told as a ratio to that with 10,000 subscribers, taken in turns
//! in the same process by the clock of the calling thread's processor time: others who use the machine count little.

#![allow(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::{
    path::Path,
    process::Command as Process,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use tollgate::{
    charging::{
        AccountSpec, Command, EventAction, EventRequest, RequestKind, ServiceRequest, Subscriber, SubscriberSpec,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::FileDisk,
    rating::Catalog,
    store::{RecoveryReport, Settings, SilentObserver, Store},
    time::SystemClock,
    units::Money,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// What throughput is compared with.
const FEW: u64 = 10_000;
/// Requests of each turn, and turns.
const TURN: u64 = 20_000;
const TURNS: u64 = 11;
/// Requests a second while checkpoints are taken, from so many threads.
const RATE: u64 = 2_000;
const CALLERS: u64 = 32;
/// How long it is charged without a checkpoint, and how many checkpoints are taken.
const QUIET: Duration = Duration::from_secs(8);
const ROUNDS: u32 = 2;
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
name = "data-10gb"
amount = "1000 events"
services = ["sms"]
priority = 10
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", count, directory] => measure(count.parse().unwrap(), Path::new(directory)),
        ["restart", count, directory] => restart(count.parse().unwrap(), Path::new(directory)),
        _ => run_all(&arguments),
    }
}

fn run_all(arguments: &[String]) {
    let mut sizes: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    let place = arguments.iter().find(|argument| argument.parse::<u64>().is_err());
    println!("{} partitions", partitions());
    println!(
        "{:>11} {:>9} {:>9} {:>8} | {:>10} {:>8} {:>9} | {:>9} {:>6} | {:>18} {:>18} | {:>8} {:>9}",
        "subscribers",
        "B/subscr.",
        "loaded in",
        "a second",
        "checkpoint",
        "MB",
        "longest",
        "CPU/charge",
        "ratio",
        "p50/p99 quiet",
        "p50/p99 checkpoint",
        "restart",
        "B/subscr."
    );
    for size in sizes {
        let directory = place.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
        for verb in ["measure", "restart"] {
            let mut process = Process::new(std::env::current_exe().unwrap());
            let status = process.arg(verb).arg(size.to_string()).arg(directory.path()).status().unwrap();
            assert!(status.success(), "{verb} {size}: {status}");
        }
    }
}

fn partitions() -> u16 {
    std::env::var("PARTITIONS").map_or(Settings::PARTITIONS, |number| number.parse().unwrap())
}

fn open(directory: &Path) -> (Store, RecoveryReport) {
    let settings = Settings { partitions: partitions(), ..Settings::default() };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let disk = FileDisk::open(directory).unwrap();
    Store::open(disk, settings, catalog, Arc::new(SystemClock), Arc::new(SilentObserver), |_| {}, |_| {}).unwrap()
}

fn measure(count: u64, directory: &Path) {
    let few = directory.join("few");
    let few = open(&few).0;
    provision(&few, FEW);
    let store = Arc::new(open(&directory.join("store")).0);
    let before = resident();
    let start = Instant::now();
    provision(&store, count);
    let took = start.elapsed();
    print!(
        "{count:>11} {:>9} {:>8.1?} {:>9.0}",
        resident().saturating_sub(before) / count,
        took,
        count as f64 / took.as_secs_f64()
    );
    let report = store.checkpoint().unwrap();
    print!(" | {:>10.1?} {:>8} {:>9.1?}", report.took, report.bytes >> 20, report.longest_pause);
    let (cost, ratio) = compare(&store, count, &few);
    print!(" | {cost:>9.2?} {ratio:>6.2}");
    beside_checkpoints(&store, count);
    store.check().unwrap();
    store.shutdown().unwrap();
}

fn restart(count: u64, directory: &Path) {
    let before = resident();
    let start = Instant::now();
    let (store, report) = open(&directory.join("store"));
    let first = charge(&store, count / 2 + 1, u64::MAX);
    store.mark().wait_for_blocking(first).unwrap();
    let took = start.elapsed();
    assert_eq!(report.accounts as u64, count);
    let octets = resident().saturating_sub(before) / count;
    println!(" | {took:>8.1?} {octets:>9}   ({} records replayed)", report.replayed);
    store.shutdown().unwrap();
}

/// Octets of resident memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn on_processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn identities(account: u64) -> [Identity; 2] {
    [(IdentityKind::E164, 8_613_900_000_000), (IdentityKind::Imsi, 460_000_000_000_000)]
        .map(|(kind, first)| Identity::new(kind, &(first + account).to_string()).unwrap())
}

fn provision(store: &Store, count: u64) {
    let catalog = store.catalog();
    for account in 1..=count {
        let id = AccountId(account);
        let spec = AccountSpec {
            id,
            currency: catalog.currency(),
            balance: Money::from_micros(100_000_000),
            credit_limit: Money::ZERO,
            never_stop: true,
            allowances: catalog.allowances().collect(),
        };
        drop(store.account_command(id, &Command::CreateAccount(spec)));
        let subscriber = Subscriber { id: "1".into(), identities: identities(account).into() };
        drop(store.create_subscriber(SubscriberSpec { account: id, subscriber }));
        if account % 10_000 == 0 {
            store.mark().wait_for_blocking(store.last_position()).unwrap();
        }
    }
    store.mark().wait_for_blocking(store.last_position()).unwrap();
}

/// Charges one event. Returns the position that must be durable before the answer leaves.
fn charge(store: &Store, account: u64, number: u64) -> tollgate::journal::Position {
    let [msisdn, _] = identities(account);
    let id = format!("smsc-1.example;1790000000;{number}");
    let key = SessionKey::of(id.as_bytes());
    let pending = store.charge(&[msisdn], key, RequestKind::Event, 0, |account| {
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
    let position = pending.position();
    assert!(position.0 > 0, "an event that was not charged");
    position
}

/// Subscribers in no order that any table knows.
fn subscriber(number: u64, count: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) % count + 1
}

/// Processor time of a request, in the middle of all turns, and how many requests of this store take as long as one of the
/// other, in the middle of all pairs of turns.
fn compare(store: &Store, count: u64, few: &Store) -> (Duration, f64) {
    let turn = |store: &Store, count: u64, turn: u64| {
        let start = on_processor();
        for number in turn * TURN..(turn + 1) * TURN {
            charge(store, subscriber(number, count), number);
        }
        let took = on_processor().saturating_sub(start);
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        took / TURN as u32
    };
    let mut pairs: Vec<_> = (0..TURNS).map(|number| (turn(few, FEW, number), turn(store, count, number))).collect();
    pairs.sort_unstable_by_key(|(_, many)| *many);
    let cost = pairs[pairs.len() / 2].1;
    let mut ratios: Vec<_> = pairs.iter().map(|(few, many)| few.as_secs_f64() / many.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    (cost, ratios[ratios.len() / 2])
}

const WITHOUT: u8 = 0;
const WITH: u8 = 1;
const DONE: u8 = 2;

/// Latencies until durable at a fixed rate, with a checkpoint under way and without, in turns.
fn beside_checkpoints(store: &Arc<Store>, count: u64) {
    let phase = Arc::new(AtomicU8::new(WITHOUT));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, phase) = (Arc::clone(store), Arc::clone(&phase));
            thread::spawn(move || open_loop(&store, count, caller, &phase))
        })
        .collect();
    let (mut longest, mut took) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        thread::sleep(QUIET);
        phase.store(WITH, Ordering::SeqCst);
        let report = store.checkpoint_beside_traffic().unwrap();
        (longest, took) = (longest.max(report.longest_pause), took.max(report.took));
        phase.store(WITHOUT, Ordering::SeqCst);
    }
    phase.store(DONE, Ordering::SeqCst);
    let times: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    print!(" |");
    for phase in [WITHOUT, WITH] {
        let mut all: Vec<Duration> = times.iter().flat_map(|times| times[usize::from(phase)].iter().copied()).collect();
        all.sort_unstable();
        let at = |permille: usize| all.get(all.len().saturating_sub(1) * permille / 1_000).copied().unwrap_or_default();
        print!(" {:>8.2?} {:>9.2?}", at(500), at(990));
    }
    print!(" (in {took:.1?}, longest {longest:.1?})");
}

/// Charges at the caller's share of the rate, whatever came of the requests before.
fn open_loop(store: &Store, count: u64, caller: u64, phase: &AtomicU8) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let (start, step) = (Instant::now(), Duration::from_secs(1).mul_f64(CALLERS as f64 / RATE as f64));
    for number in 0u32.. {
        let due = start + step * number + step * caller as u32 / CALLERS as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let during = phase.load(Ordering::SeqCst);
        if during == DONE {
            break;
        }
        let number = (1 << 40) + u64::from(number) * CALLERS + caller;
        let position = charge(store, subscriber(number, count), number);
        store.mark().wait_for_blocking(position).unwrap();
        times[usize::from(during)].push(due.elapsed());
    }
    times
}
