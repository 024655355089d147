//! What sessions cost: memory of those that run, all of them ending at once, and a thousand that share one account.
//!
//! `cargo bench --bench sessions [-- SESSIONS DIRECTORY]`: a million, under the directory for temporary files, which should be
//! on a disk that really syncs. Needs about 2 GB of memory and as much of disk for a million.

#![allow(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use tollgate::{
    charging::{
        AccountSpec, Command, Interrogation, RequestKind, Retention, ServiceRequest, Subscriber, SubscriberSpec, Used,
        Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::{FileDisk, Position},
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    time::{Clock, Timestamp},
    units::Money,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The server's timer for supervision.
const EVERY: Duration = Duration::from_secs(1);
/// Updates a second while sessions run out, from so many threads.
const RATE: u64 = 2_000;
const CALLERS: u64 = 32;
const QUIET: Duration = Duration::from_secs(5);
/// Sessions that share an account, at most.
const SHARING: u64 = 1_000;
/// Accounts that stand by: theirs are the sessions that go on.
const OTHERS: u64 = 10_000;
const START: u64 = 1_789_862_400;
const DAY_AND_MORE: u64 = 86_400 + 7_200;
const CATALOG: &str = r#"
currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
default_service = "internet"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
block = "100 kB"
slice = "10 MB"
"#;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let count: u64 = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let directory = arguments.next().map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let clock = Arc::new(Moved { start: Instant::now(), ahead_secs: AtomicU64::new(0) });
    let retention = Retention { account_sessions_max: 2 * SHARING as usize, ..Retention::default() };
    let settings = Settings { retention, ..Settings::default() };
    let disk = FileDisk::open(directory.path()).unwrap();
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let timer = Arc::<Moved>::clone(&clock);
    let store = Store::open(disk, settings, catalog, timer, Arc::new(SilentObserver), |_| {}, |_| {}).unwrap().0;
    let store = Arc::new(store);
    (1..=count + OTHERS).for_each(|account| provision(&store, account));
    hot(&store, count);
    mass(&store, count, &clock);
    store.check().unwrap();
}

/// Sessions that share the first account of those that stand by.
fn hot(store: &Store, count: u64) {
    let shared = count + 1;
    let mut opened = 0;
    for sharing in [1, 10, 100, SHARING] {
        for number in opened..sharing {
            request(store, shared, &format!("hot;{number}"), RequestKind::Initial, 0);
        }
        opened = sharing;
        settle(store);
        // Each takes its turn, as often as the others; what one turn of each costs is told by session.
        let turns = 20_000 / sharing;
        let mut costs = vec![Duration::ZERO; sharing as usize];
        for turn in 1..=turns {
            let update = if sharing == 1 { turn } else { turn + 20_000 * sharing.ilog10() as u64 };
            for (number, cost) in costs.iter_mut().enumerate() {
                let start = on_processor();
                request(store, shared, &format!("hot;{number}"), RequestKind::Update, update as u32);
                *cost += on_processor().saturating_sub(start);
            }
        }
        settle(store);
        costs.sort_unstable();
        let mean = |cost: Duration| cost / turns as u32;
        let all: Duration = costs.iter().sum();
        println!(
            "{sharing:>5} sessions of one account: {:>6.2?} of processor for an update; by session {:.2?} to {:.2?}",
            all / (turns * sharing) as u32,
            mean(costs[0]),
            mean(costs[costs.len() - 1]),
        );
    }
}

/// Sessions of as many accounts, which all run out at once.
fn mass(store: &Arc<Store>, count: u64, clock: &Moved) {
    let before = resident();
    let start = Instant::now();
    for number in 1..=count {
        request(store, number, &format!("pgw-3.epc.example;1790000000;{number}"), RequestKind::Initial, 0);
        if number % 10_000 == 0 {
            settle(store);
        }
    }
    settle(store);
    let octets = resident().saturating_sub(before) / count;
    println!("{count} sessions opened in {:.1?}, {octets} octets each, its account awake included", start.elapsed());
    let start = on_processor();
    let looks = 100;
    (0..looks).for_each(|_| assert_eq!(store.expire_sessions(), 0));
    println!("supervision that finds nothing: {:.1?} of processor", on_processor().saturating_sub(start) / looks);

    let (ending, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, ending, done) = (Arc::clone(store), Arc::clone(&ending), Arc::clone(&done));
            thread::spawn(move || open_loop(&store, count, caller, &ending, &done))
        })
        .collect();
    thread::sleep(QUIET);
    clock.ahead_secs.store(DAY_AND_MORE, Ordering::SeqCst);
    ending.store(true, Ordering::SeqCst);
    let (start, mut ended, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while ended < count as usize {
        let turn = Instant::now();
        ended += store.expire_sessions();
        longest = longest.max(turn.elapsed());
        thread::sleep(EVERY.saturating_sub(turn.elapsed()));
    }
    let took = start.elapsed();
    done.store(true, Ordering::SeqCst);
    println!("{ended} sessions ran out in {took:.1?}, one call took {longest:.1?} at most");
    let times: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    for (when, pick) in [("before", 0), ("meanwhile", 1)] {
        let mut all: Vec<Duration> = times.iter().flat_map(|times| times[pick].iter().copied()).collect();
        all.sort_unstable();
        let at = |permille: usize| all[(all.len() - 1) * permille / 1_000];
        println!(
            "requests {when}: {}, durable: p50 {:.2?}, p99 {:.2?}, max {:.2?}",
            all.len(),
            at(500),
            at(990),
            at(1_000)
        );
    }
}

/// Sessions of accounts that stand by, opened and ended at the caller's share of the rate, whatever came of those before.
fn open_loop(store: &Store, count: u64, caller: u64, ending: &AtomicBool, done: &AtomicBool) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let (start, step) = (Instant::now(), Duration::from_secs(1).mul_f64(CALLERS as f64 / RATE as f64));
    for number in 0u32.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let due = start + step * number + step * caller as u32 / CALLERS as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let during = usize::from(ending.load(Ordering::SeqCst));
        let account = count + 2 + (u64::from(number / 2) * CALLERS + caller) * 7_001 % (OTHERS - 1);
        let id = format!("others;{caller};{}", number / 2);
        let (kind, request_number) =
            if number % 2 == 0 { (RequestKind::Initial, 0) } else { (RequestKind::Termination, 1) };
        let position = request(store, account, &id, kind, request_number);
        store.mark().wait_for_blocking(position).unwrap();
        times[during].push(due.elapsed());
    }
    times
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

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn on_processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn settle(store: &Store) {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
}

fn identity(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn provision(store: &Store, account: u64) {
    let id = AccountId(account);
    let spec = AccountSpec {
        id,
        currency: store.catalog().currency(),
        balance: Money::from_micros(1_000_000_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    drop(store.account_command(id, &Command::CreateAccount(spec)));
    let subscriber = Subscriber { id: "1".into(), identities: [identity(account)].into() };
    drop(store.create_subscriber(SubscriberSpec { account: id, subscriber }));
    if account.is_multiple_of(10_000) {
        settle(store);
    }
}

/// One request of a session. Returns the position that must be durable before the answer leaves.
fn request(store: &Store, account: u64, id: &str, kind: RequestKind, number: u32) -> Position {
    let key = SessionKey::of(id.as_bytes());
    let is_first = kind == RequestKind::Initial;
    let pending = store.charge(&[identity(account)], key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id: id.as_bytes(),
            key,
            account,
            kind,
            number,
            context: store.catalog().context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "pgw-3.epc.example",
            origin_realm: "epc.example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                used: (!is_first).then_some(Used { octets: 1_000_000, ..Used::default() }),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                ..ServiceRequest::default()
            }],
            ..Interrogation::default()
        })
    });
    pending.position()
}
