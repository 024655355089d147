//! Random sessions under tariffs that change with time and conditions: the balance identity after each step, a reservation
//! that covers the dearest split, a cost that is the sum of the tariffs' own, and a replay that is the same to the last
//! condition.

use proptest::{collection::vec, prelude::*};
use tollgate::{
    charging::{
        AccountSpec, BucketKind, ClientNeeds, Command, Decided, Event, Interrogation, Outcome, Quota, RequestKind,
        Retention, ServiceRequest, Session, SplitUsage, State, Used, Verdict, Want, decide,
    },
    ids::{AccountId, QuotaKey, SessionKey},
    rating::{Attributes, Catalog},
    time::Timestamp,
    units::Money,
};

use crate::{explained, survival};

/// Prices with blocks that do not divide each other, fees, tiers, and a free hour.
const CATALOG: &str = r#"
currency = "EUR"
home_networks = ["26201"]
validity_jitter = "7 s"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
default_service = "internet"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
block = "300 kB"
slice = "5 MB"
validity = "30 min"
[[tariff]]
service = "internet"
name = "roaming"
serving_network = "roaming"
price = "1.00"
per = "1 MB"
block = "70 kB"
setup = "0.30"
[[tariff]]
service = "internet"
name = "rush"
from = "13:50"
to = "14:20"
price = "0.25"
per = "1 MB"
block = "110 kB"
setup = "0.05"
[[tariff]]
service = "internet"
name = "siesta"
from = "14:20"
to = "15:00"
free = true
[[service]]
name = "call"
context = "data"
rating_group = 2
price = "0.12"
per = "1 min"
slice = "5 min"
[[tariff]]
service = "call"
name = "late"
from = "14:00"
price = "0.05"
per = "10 s"
minimum = "0.22"
tiers = [{ from = "70 s", price = "0.01", block = "7 s" }]
[[service]]
name = "plain"
context = "data"
rating_group = 3
price = "0.10"
per = "1 MB"
free_units = "2 MB"
tiers = [{ from = "4 MB", price = "0.50", block = "10 kB" }]
slice = "5 MB"
[[allowance]]
name = "small"
amount = "3 MB"
services = ["internet"]
"#;

/// 13:46:40 by the clock: shortly before things change.
const START: u64 = 1_000_000;

struct World {
    catalog: Catalog,
    state: State,
    events: Vec<Event>,
    now: Timestamp,
}

impl World {
    fn new(balance: i64) -> Self {
        let catalog = Catalog::from_toml(CATALOG).unwrap_or_else(|problems| panic!("{problems:?}"));
        let now = Timestamp::from_secs(START);
        let mut world = Self { catalog, state: State::new(Retention::default()), events: Vec::new(), now };
        let catalog = Catalog::from_toml(CATALOG).unwrap();
        world.execute(&Command::CreateAccount(AccountSpec {
            id: AccountId(1),
            currency: catalog.currency(),
            balance: Money::from_micros(balance),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: if balance % 2 == 0 { vec![catalog.allowance("small").unwrap()] } else { Vec::new() },
        }));
        world
    }

    fn execute(&mut self, command: &Command<'_>) -> Decided {
        let decided = decide(&self.state, &self.catalog, command, self.now);
        if let Some(event) = &decided.event {
            assert!(!decided.repeated, "a repetition changes nothing");
            self.state.apply(event);
            self.events.push(event.clone());
        }
        self.state.check().unwrap_or_else(|violation| panic!("after {command:?}: {violation}"));
        assert_eq!(self.state.discrepancy(), 0);
        decided
    }

    fn send(&mut self, request: &Request, kind: RequestKind, number: u32) -> Decided {
        let happened = request.late.map(|secs| Timestamp::from_millis(self.now.millis().saturating_sub(secs * 1_000)));
        self.execute(&Command::Interrogate(Interrogation {
            session_id: b"gw;1",
            key: SessionKey::of(b"gw;1"),
            account: Some(AccountId(1)),
            kind,
            number,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services: request.services.clone(),
            client: ClientNeeds { tariff_time_change: request.told, ..ClientNeeds::default() },
            attributes: request.attributes(),
            happened,
            ..Interrogation::default()
        }))
    }

    fn session(&self) -> Option<&Session> {
        self.state.session_by_id(SessionKey::of(b"gw;1"), b"gw;1")
    }

    fn money(&self) -> (Money, Money) {
        let account = self.state.account(AccountId(1)).unwrap();
        (account.balance(), account.reserved())
    }
}

#[derive(Debug, Clone)]
struct Request {
    wait: u64,
    told: bool,
    /// How long before now it happened.
    late: Option<u64>,
    /// 0 nothing is said, 1 at home, 2 abroad, 3 by another radio.
    place: u8,
    services: Vec<ServiceRequest>,
}

impl Request {
    fn attributes(&self) -> Option<Box<Attributes>> {
        let told = match self.place {
            0 => return None,
            1 => Attributes { serving_network: Some("26201".into()), ..Attributes::default() },
            2 => Attributes { serving_network: Some("310410".into()), ..Attributes::default() },
            _ => Attributes { access: Some(2), ..Attributes::default() },
        };
        Some(Box::new(told))
    }
}

fn amount() -> impl Strategy<Value = Option<Used>> {
    let used = prop_oneof![3 => 0u64..2_000_000, 1 => Just(u64::MAX), 1 => 0u64..3];
    prop::option::of((used, 0u64..400).prop_map(|(octets, seconds)| Used { octets, seconds, ..Used::default() }))
}

fn service() -> impl Strategy<Value = ServiceRequest> {
    (1u32..=3, amount(), prop::option::of((amount(), amount(), amount())), any::<bool>()).prop_map(
        |(group, used, split, want)| ServiceRequest {
            key: QuotaKey { rating_group: Some(group), ..QuotaKey::default() },
            used,
            split: split.map(|(before, after, either)| Box::new(SplitUsage { before, after, either })),
            want: want.then_some(Want::Any),
            ..ServiceRequest::default()
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    (0u64..1_200, any::<bool>(), prop::option::of(0u64..600), 0u8..4, vec(service(), 0..4))
        .prop_map(|(wait, told, late, place, services)| Request { wait, told, late, place, services })
}

/// What a quota has cost by the books: each tariff by itself (spec C-57).
fn booked(catalog: &Catalog, quota: &Quota) -> Money {
    let service = catalog.service_by_name(&quota.service).unwrap();
    let others = quota.rated_by.iter().map(|rated| {
        let tariff = service.tariff_by_name(&rated.tariff).unwrap();
        tariff.price.cost(rated.units).unwrap()
    });
    others.fold(service.price.cost(quota.rated).unwrap(), |sum, cost| sum.checked_add(cost).unwrap())
}

/// Clients that are told of no change ask when it comes, spread over the jitter: each session by its own share of it, the
/// same every time.
// tests: C-66, C-68
#[test]
fn quotas_that_end_at_a_change_do_not_all_end_at_once() {
    let mut seen = std::collections::BTreeSet::new();
    for session in 0..40 {
        let id = format!("gw;{session}");
        let validity = |told| {
            let world = World::new(50_000_001);
            let command = Command::Interrogate(Interrogation {
                session_id: id.as_bytes(),
                key: SessionKey::of(id.as_bytes()),
                account: Some(AccountId(1)),
                context: world.catalog.context("32251@3gpp.org"),
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                    want: Some(Want::Any),
                    ..ServiceRequest::default()
                }],
                client: ClientNeeds { tariff_time_change: told, ..ClientNeeds::default() },
                ..Interrogation::default()
            });
            match decide(&world.state, &world.catalog, &command, world.now).outcome {
                Outcome::Answer(answer) => answer.replies[0].validity_secs,
                other => panic!("{other:?}"),
            }
        };
        // 200 s before the rush begins.
        assert!((200..=207).contains(&validity(false)));
        assert_eq!(validity(false), validity(false));
        assert_eq!(validity(true), 1_800, "who is told need not ask at all");
        seen.insert(validity(false));
    }
    assert!(seen.len() > 4, "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is reported, by whichever tariff: the identity holds, a copy changes nothing, and the events replayed give
    /// the same conditions, terms and counters.
    // tests: C-180, C-183, C-62, G-42, G-96
    #[test]
    fn tariffs_replay_as_they_were(balance in 0i64..20_000_000, requests in vec(request(), 1..30)) {
        let mut world = World::new(balance);
        for (number, request) in requests.iter().enumerate() {
            world.now = world.now.plus_secs(request.wait);
            let open = world.session().is_some();
            let kind = match number % 9 {
                8 if open => RequestKind::Termination,
                _ if open => RequestKind::Update,
                _ => RequestKind::Initial,
            };
            let first = world.send(request, kind, number as u32);
            let again = world.send(request, kind, number as u32);
            if let (Outcome::Answer(answer), Outcome::Answer(copy)) = (&first.outcome, &again.outcome)
                && answer.verdict == Verdict::Success {
                prop_assert_eq!(answer, copy);
                prop_assert!(again.event.is_none());
            }
            let account = world.state.account(AccountId(1)).unwrap();
            if let Some(Event::Interrogated(event)) = &first.event {
                for draw in event.steps.iter().flat_map(|step| &step.holds) {
                    let bucket = account.bucket(draw.bucket).unwrap();
                    let closed = event.closes.is_some();
                    prop_assert!(closed || bucket.amount >= bucket.reserved || bucket.kind != BucketKind::Money,
                        "overcommitted: {:?}", bucket);
                }
            }
            for quota in world.session().into_iter().flat_map(|session| &session.quotas) {
                if !quota.service.is_empty() {
                    prop_assert_eq!(quota.charged, booked(&world.catalog, quota));
                }
            }
        }
        let replayed = survival::replayed(&world.events, Retention::default());
        explained::all_exact(&world.state, &|_| Some(&world.catalog));
        survival::survives_a_checkpoint(&world.state, Retention::default());
        prop_assert_eq!(replayed.check(), Ok(()));
        world.state.same_as(&replayed).unwrap();
        let picture = |state: &State| -> Vec<String> { state.sessions().map(|session| format!("{session:?}")).collect() };
        prop_assert_eq!(picture(&replayed), picture(&world.state));
    }

    /// However a client cuts what it was granted at the change it was told of, with money enough the reservation covers it;
    /// without, what is missing is less than a block and a fee on each side.
    // tests: C-61, C-181
    #[test]
    fn a_reservation_covers_the_dearest_split(
        balance in prop_oneof![Just(50_000_001i64), 1i64..1_500_000],
        earlier in vec((0u64..5_000_000, any::<bool>()), 0..4),
        wait in 0u64..1_900,
        (used, cut) in (0u64..=100, 0u64..=100),
    ) {
        let mut world = World::new(balance / 2 * 2 + 1);
        let ask = |used: Option<Used>, split: Option<SplitUsage>, place| Request {
            wait: 0,
            told: true,
            late: None,
            place,
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                used,
                split: split.map(Box::new),
                want: Some(Want::Any),
                ..ServiceRequest::default()
            }],
        };
        world.send(&ask(None, None, 1), RequestKind::Initial, 0);
        for (number, (octets, wait)) in earlier.iter().enumerate() {
            let granted = world.session().unwrap().quotas[0].granted;
            world.now = world.now.plus_secs(if *wait { 400 } else { 0 });
            let used = Used { octets: (*octets).min(granted), ..Used::default() };
            world.send(&ask(Some(used), None, 1), RequestKind::Update, 1 + number as u32);
        }
        let quota = world.session().unwrap().quotas[0].clone();
        let (balance, reserved) = world.money();
        let octets = quota.granted / 100 * used;
        let before = Used { octets: octets / 100 * cut, ..Used::default() };
        let after = Used { octets: octets - before.octets, ..Used::default() };
        let split = SplitUsage { before: Some(before), after: Some(after), either: None };
        world.now = world.now.plus_secs(wait);
        world.send(&ask(None, Some(split), 1), RequestKind::Termination, 100);
        let cost = balance.checked_sub(world.money().0).unwrap();
        let missing = cost.checked_sub(reserved).unwrap().max(Money::ZERO);
        let all = reserved == balance;
        // A block of 300 kB at home and one of 110 kB in the rush, with its fee.
        let bound = Money::from_micros(if all { 30_000 + 27_500 + 50_000 } else { 0 });
        prop_assert!(missing <= bound, "{} of {}, reserved {}", missing, cost, reserved);
        prop_assert!(all || quota.granted == 0 || balance >= reserved);
    }

    /// Continuous time costs the same whoever cuts it: the server at the change, or reports that end there.
    // tests: C-60, C-57
    #[test]
    fn a_call_costs_the_same_in_one_report_or_two(secs in 1u64..1_000, end in 0u64..1_000) {
        // 14:00 is 800 s after the start.
        let talk = |reports: &[(u64, u64)]| {
            let mut world = World::new(50_000_001);
            world.now = Timestamp::from_secs(START);
            let ask = |seconds: Option<u64>| Request {
                wait: 0, told: false, late: None, place: 0,
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(2), ..QuotaKey::default() },
                    used: seconds.map(|seconds| Used { seconds, ..Used::default() }),
                    want: Some(Want::Any),
                    ..ServiceRequest::default()
                }],
            };
            world.send(&ask(None), RequestKind::Initial, 0);
            for (number, (at, used)) in reports.iter().enumerate() {
                world.now = Timestamp::from_secs(START + at);
                world.send(&ask(Some(*used)), RequestKind::Update, 1 + number as u32);
            }
            world.money().0
        };
        let end = 1_000 + end;
        let begin = end - secs;
        let mut reports = vec![(end, secs)];
        if (begin..end).contains(&800) {
            reports = vec![(800, 800 - begin), (end, end - 800)];
        }
        prop_assert_eq!(talk(&[(end, secs)]), talk(&reports));
    }
}
