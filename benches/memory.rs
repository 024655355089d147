//! What the core remembers, in octets of resident memory for each thing remembered, and how long the longest single step
//! took: memory that is touched for the first time is slow, and a table that grows at once holds up whoever waits.
//!
//! `cargo bench --bench memory [-- COUNT]`

#![allow(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use tollgate::{
    charging::{
        AccountSpec, Command, CreditCommand, CreditKind, EventAction, EventRequest, Interrogation, RequestKind,
        Retention, ServiceRequest, State, Used, Want, decide,
    },
    ids::{AccountId, PartitionId, QuotaKey, SessionKey},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ACCOUNTS: u64 = 100_000;
const PARTITIONS: u16 = 64;
const CATALOG: &str = r#"
currency = "CNY"
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
"#;

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(2_000_000u64);
    let nothing =
        Retention { session_secs: 0, event_secs: 0, request_id_secs: 0, history_entries: 0, ..Default::default() };
    println!("{count} of each over {ACCOUNTS} accounts in {PARTITIONS} partitions");
    measure("ended session", Retention { session_secs: 300, ..nothing }, count, Partitions::session);
    measure("one-time event", Retention { event_secs: 86_400, ..nothing }, count, Partitions::event);
    measure("credit", Retention { request_id_secs: 86_400, ..nothing }, count, Partitions::credit);
    // Every account has one line already, from its opening: all others are new, and none is dropped.
    let lines = (ACCOUNTS * 8).min(count);
    let history_entries = 1 + (lines / ACCOUNTS) as usize;
    measure("history line of a session", Retention { history_entries, ..nothing }, lines, Partitions::session);
    measure("ended session with history", Retention::default(), count, Partitions::session);
}

fn measure(what: &str, retention: Retention, count: u64, step: fn(&mut Partitions, u64) -> Duration) {
    let mut partitions = Partitions::new(retention);
    let (before, start) = (resident(), (Instant::now(), on_processor()));
    let mut times: Vec<Duration> = Vec::with_capacity(count as usize);
    let own = resident();
    times.extend((0..count).map(|number| step(&mut partitions, number)));
    let octets = resident().saturating_sub(own.max(before)).saturating_sub(count * size_of::<Duration>() as u64);
    let took = (start.0.elapsed(), on_processor().saturating_sub(start.1));
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1_000];
    println!(
        "{what:<28} {:>5} octets, total {:>5} MB; apply: half in {:?}, 99.9% in {:?}, all in {:?}; in sum {:.1?} of {:.1?}",
        octets / count,
        octets >> 20,
        at(500),
        at(999),
        at(1_000),
        took.1,
        took.0,
    );
    // What is freed would be used again by the next measurement.
    std::mem::forget(partitions);
}

/// How long this thread has been on a processor, faults of memory included: others who want one do not count.
fn on_processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Octets of resident memory.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

struct Partitions {
    states: Vec<State>,
    catalog: Catalog,
    started: Timestamp,
}

impl Partitions {
    /// Partitions with accounts, each of which has had a session of its own.
    fn new(retention: Retention) -> Self {
        let catalog = Catalog::from_toml(CATALOG).unwrap();
        let states = (0..PARTITIONS).map(|_| State::new(retention)).collect();
        let mut new = Self { states, catalog, started: Timestamp::from_secs(1_790_000_000) };
        for account in 0..ACCOUNTS {
            let account = AccountId(account + 1);
            let at = new.started;
            let spec = AccountSpec {
                id: account,
                currency: new.catalog.currency(),
                balance: Money::from_micros(1_000_000_000),
                credit_limit: Money::ZERO,
                never_stop: true,
                allowances: Vec::new(),
            };
            new.execute(account, &Command::CreateAccount(spec), at);
        }
        new
    }

    fn session(&mut self, number: u64) -> Duration {
        let id = format!("pgw-3.epc.example;1790000000;{number:08}");
        let at = self.moment(number);
        let used = Used { octets: 5_000_000, ..Used::default() };
        let mut took = Duration::ZERO;
        for (kind, number_in_session) in [(RequestKind::Initial, 0), (RequestKind::Termination, 1)] {
            let is_first = kind == RequestKind::Initial;
            let request = Interrogation {
                session_id: id.as_bytes(),
                key: SessionKey::of(id.as_bytes()),
                account: Some(account(number)),
                kind,
                number: number_in_session,
                context: self.catalog.context("32251@3gpp.org"),
                context_name: "32251@3gpp.org",
                origin_host: "pgw-3.epc.example",
                origin_realm: "epc.example",
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(1), service_identifier: None, ..QuotaKey::default() },
                    used: (!is_first).then_some(used),
                    want: is_first.then_some(Want::Any),
                    currency: None,
                    unusable: false,
                    ..ServiceRequest::default()
                }],
                at_command_level: false,
                short_validity: false,
                ..Interrogation::default()
            };
            took = took.max(self.execute(account(number), &Command::Interrogate(request), at));
        }
        took
    }

    fn event(&mut self, number: u64) -> Duration {
        let id = format!("smsc-1.epc.example;1790000000;{number:08}");
        let request = EventRequest {
            session_id: id.as_bytes(),
            key: SessionKey::of(id.as_bytes()),
            number: 0,
            account: Some(account(number)),
            action: EventAction::Debit,
            context: self.catalog.context("32274@3gpp.org"),
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(7), service_identifier: None, ..QuotaKey::default() },
                ..Default::default()
            }],
            at_command_level: false,
            ..EventRequest::default()
        };
        self.execute(account(number), &Command::ChargeEvent(request), self.moment(number))
    }

    fn credit(&mut self, number: u64) -> Duration {
        let command = CreditCommand {
            account: account(number),
            kind: CreditKind::TopUp(Money::from_micros(1_000_000)),
            currency: Some(self.catalog.currency()),
            request_id: &format!("018f3c1e-7a10-7000-8000-{number:012}"),
        };
        self.execute(account(number), &Command::Credit(command), self.moment(number))
    }

    /// All within the time for which ended sessions are remembered, and never at one moment.
    fn moment(&self, number: u64) -> Timestamp {
        Timestamp::from_millis(self.started.millis() + 1 + number / 10)
    }

    /// Returns how long it took to make the event true.
    fn execute(&mut self, account: AccountId, command: &Command<'_>, at: Timestamp) -> Duration {
        let state = &mut self.states[usize::from(PartitionId::of(account, PARTITIONS).0)];
        let event = decide(state, &self.catalog, command, at).event.unwrap();
        let start = on_processor();
        state.apply(&event);
        drop(state.take_ended());
        on_processor().saturating_sub(start)
    }
}

/// Accounts take turns, in no order that any table knows.
fn account(number: u64) -> AccountId {
    AccountId(number * 70_001 % ACCOUNTS + 1)
}
