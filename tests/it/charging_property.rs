//! Random requests against the charging core: the balance identity after each step, duplicates that change nothing,
//! reservations that never exceed what is there, and a replay of the events that gives the same state.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};
use tollgate::{
    charging::{
        AccountSpec, AccountState, BucketKind, ClientNeeds, Command, CreditCommand, CreditKind, Decided, Event,
        EventAction, EventRequest, Interrogation, Measure, Outcome, Quota, RequestKind, Retention, ServiceRequest,
        State, Step as EventStep, Used, Verdict, Want, decide_by,
    },
    ids::{AccountId, QuotaKey, RefundToken, SessionKey, SessionNo},
    rating::{Catalog, Catalogs, Publication, RunningSessions, Version},
    time::Timestamp,
    units::{Money, Units},
};

use crate::{explained, survival};

pub(crate) const CATALOG: &str = r#"
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
[[service]]
name = "odd"
context = "data"
rating_group = 2
price = "0.000007"
per = "3 B"
block = "7 B"
slice = "1 MB"
[[service]]
name = "portal"
context = "data"
rating_group = 3
price = "0.05"
per = "1 MB"
minimum = "0.06"
free_units = "1 MB"
tiers = [{ from = "4 MB", price = "0.02", block = "400 B" }, { from = "9 MB", price = "0.07" }]
slice = "2 MB"
redirect_to = "http://topup.example"
[[service]]
name = "music"
context = "data"
rating_group = 4
free = true
slice = "5 MB"
[[service]]
name = "thirds"
context = "data"
rating_group = 6
price = "0.000001"
per = "3 B"
block = "1 B"
slice = "100 kB"
pool = 1
[[service]]
name = "sevenths"
context = "data"
rating_group = 7
price = "0.000001"
per = "7 B"
block = "1 B"
slice = "200 kB"
pool = 1
restrict_filters = ["walled"]
[[service]]
name = "stream"
context = "data"
rating_group = 8
price = "0.01"
per = "1 MB"
block = "100 kB"
slice = "1 MB"
slice_max = "8 MB"
minimum_grant = "300 kB"
[[allowance]]
name = "small"
amount = "3 MB"
services = ["internet"]
validity = "1 h"
priority = 10
[[threshold]]
name = "low"
money = "0.05"
[[threshold]]
name = "most"
allowance_percent = 80
"#;

/// Other price lists that are published in mid-life. The last two move services to other pools, or out of them: then a
/// client cannot tell what is left for whom.
fn variant(which: u8) -> String {
    match which {
        0 => CATALOG.into(),
        1 => CATALOG
            .replace(
                "price = \"0.01\"\nper = \"1 MB\"\nblock = \"100 kB\"",
                "price = \"0.03\"\nper = \"1 MB\"\nblock = \"300 kB\"",
            )
            .replace("slice = \"2 MB\"", "slice = \"3 MB\""),
        // Nobody streams any more, and music costs something.
        2 => CATALOG
            .replace("rating_group = 8", "rating_group = 80")
            .replace("free = true", "price = \"0.01\"\nper = \"2 MB\""),
        // Another unit.
        3 => CATALOG.replace(
            "price = \"0.000007\"\nper = \"3 B\"\nblock = \"7 B\"\nslice = \"1 MB\"",
            "price = \"0.007\"\nper = \"1 s\"\nslice = \"60 s\"",
        ),
        4 => CATALOG.replace("slice = \"200 kB\"\npool = 1", "slice = \"200 kB\"\npool = 2"),
        _ => CATALOG.replace("\npool = 1", ""),
    }
}

/// Variants that honest clients can cope with.
const HONEST_VARIANTS: u8 = 4;
const VARIANTS: u8 = 6;

fn version(number: u32, which: u8, activates: Timestamp, sessions: RunningSessions) -> Version {
    thread_local! {
        static COMPILED: Vec<Arc<Catalog>> = (0..VARIANTS)
            .map(|which| Arc::new(Catalog::from_toml(&variant(which)).unwrap_or_else(|problems| panic!("{problems:?}"))))
            .collect();
    }
    let catalog = COMPILED.with(|compiled| Arc::clone(&compiled[usize::from(which)]));
    let publication = Publication {
        number,
        text: Arc::clone(catalog.text()),
        published: activates,
        activates,
        sessions,
        by: "test".into(),
        reason: "".into(),
        request_id: "".into(),
        withdrawn: None,
    };
    Version::new(publication, catalog)
}

const ACCOUNTS: u64 = 3;
/// Sessions that run at once.
const SESSIONS: i64 = 6;

/// One random step. Small ranges, so that sessions, numbers and accounts collide.
#[derive(Debug, Clone)]
enum Step {
    Request {
        session: u8,
        account: u64,
        kind: RequestKind,
        number: u32,
        services: Vec<(u32, Option<u64>, u8)>,
    },
    /// A well-behaved update: reports at most what was granted.
    Honest {
        session: u8,
        share: u8,
        again: bool,
    },
    Event {
        session: u8,
        account: u64,
        number: u32,
        group: u32,
        units: u64,
    },
    /// Gives back some of an event, linked by token or by Session-Id.
    Refund {
        session: u8,
        account: u64,
        number: u32,
        /// The debit's session and number; `None` = the same Session-Id.
        debit: Option<(u8, u32)>,
        group: u32,
        /// Units, or money in micro-units.
        want: Result<u64, i64>,
    },
    /// A client says its Origin-State-Id.
    Restart {
        state_id: u32,
    },
    /// An operator's wish about a session.
    Operate {
        session: u8,
        account: u64,
        what: u8,
    },
    TopUp {
        account: u64,
        micros: i64,
        id: u8,
    },
    Adjust {
        account: u64,
        micros: i64,
        id: u8,
    },
    Allowance {
        account: u64,
        id: u8,
    },
    Repeat,
    /// Another price list, from so many seconds on.
    Publish {
        which: u8,
        in_secs: u64,
        sessions: RunningSessions,
    },
    Wait {
        secs: u64,
    },
}

fn service() -> impl Strategy<Value = (u32, Option<u64>, u8)> {
    let used = prop_oneof![
        3 => Just(None),
        4 => (0u64..12_000_000).prop_map(Some),
        1 => Just(Some(u64::MAX)),
        1 => (0u64..100).prop_map(Some),
    ];
    (1u32..=8, used, 0u8..4)
}

fn publish(variants: u8) -> impl Strategy<Value = Step> {
    let sessions = prop_oneof![Just(RunningSessions::Finish), Just(RunningSessions::Change)];
    let when = prop_oneof![Just(0u64), 1u64..5_000];
    (0..variants, when, sessions).prop_map(|(which, in_secs, sessions)| Step::Publish { which, in_secs, sessions })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        3 => Just(RequestKind::Initial), 4 => Just(RequestKind::Update), 2 => Just(RequestKind::Termination)
    ];
    let want = prop_oneof![(0u64..20_000_000).prop_map(Ok), (0i64..200_000).prop_map(Err)];
    prop_oneof![
        8 => (0u8..6, 1..=ACCOUNTS, kind, 0u32..8, vec(service(), 0..4)).prop_map(
            |(session, account, kind, number, services)| Step::Request { session, account, kind, number, services }
        ),
        6 => (0u8..6, 0u8..=100, any::<bool>()).prop_map(|(session, share, again)| Step::Honest { session, share, again }),
        2 => (6u8..9, 1..=ACCOUNTS, 0u32..3, 1u32..=5, 0u64..20_000_000)
            .prop_map(|(session, account, number, group, units)| Step::Event { session, account, number, group, units }),
        3 => (6u8..11, 1..=ACCOUNTS, 0u32..3, proptest::option::of((6u8..9, 0u32..3)), 1u32..=5, want)
            .prop_map(|(session, account, number, debit, group, want)| Step::Refund { session, account, number, debit, group, want }),
        1 => (1u32..6).prop_map(|state_id| Step::Restart { state_id }),
        1 => (0u8..6, 1..=ACCOUNTS, 0u8..6).prop_map(|(session, account, what)| Step::Operate { session, account, what }),
        2 => (1..=ACCOUNTS, -5i64..300_000, 0u8..20).prop_map(|(account, micros, id)| Step::TopUp { account, micros, id }),
        1 => (1..=ACCOUNTS, -200_000i64..100_000, 20u8..40)
            .prop_map(|(account, micros, id)| Step::Adjust { account, micros, id }),
        1 => (1..=ACCOUNTS, 40u8..45).prop_map(|(account, id)| Step::Allowance { account, id }),
        2 => Just(Step::Repeat),
        2 => publish(VARIANTS),
        1 => (0u64..10_000).prop_map(|secs| Step::Wait { secs }),
    ]
}

struct World {
    /// The first one.
    catalog: Arc<Catalog>,
    catalogs: Catalogs,
    /// By which version each grant was made, and how many units were charged to money so far: what is charged must follow.
    positions: BTreeMap<(SessionNo, QuotaKey), Position>,
    state: State,
    events: Vec<Event>,
    now: Timestamp,
    /// Highest number used in each session by honest updates.
    numbers: u32,
    honest: bool,
    /// What each session's client believes is left in its pool, in pool units (spec C-171, C-172).
    pools: BTreeMap<SessionNo, u128>,
    /// Money that events took, and that refunds gave back, by account.
    taken: [(i64, i64); ACCOUNTS as usize + 1],
    /// The client's incarnation.
    incarnation: u32,
    /// Money debited and credited by all usage records.
    recorded: (i128, i128),
}

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The version of the outstanding grant, if there is one.
    granted_by: Option<u32>,
    measure: Measure,
    rated: u64,
}

fn retention() -> Retention {
    Retention { charge_late_usage: true, ..Retention::default() }
}

/// The first four are sessions, the others sub-sessions of the first ones.
fn session_name(session: u8) -> (String, u64) {
    (format!("gw;{}", session % 4), u64::from(session / 4))
}

/// Pool units of thirds and sevenths of a micro-unit: their prices times 21.
const POOL_UNITS_PER_MICRO: u128 = 21;
/// Each of the two is rounded up to the micro-unit by itself.
const ROUNDED_UP: i64 = 2;

impl World {
    fn new(honest: bool) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        let first = version(1, 0, now, RunningSessions::Change);
        let mut world = Self {
            catalog: Arc::clone(&first.catalog),
            catalogs: Catalogs::new(first),
            positions: BTreeMap::new(),
            state: State::new(retention()),
            events: Vec::new(),
            now,
            numbers: 1_000,
            honest,
            pools: BTreeMap::new(),
            taken: Default::default(),
            incarnation: 0,
            recorded: (0, 0),
        };
        world.state.keep_records();
        for id in 1..=ACCOUNTS {
            world.execute(&Command::CreateAccount(AccountSpec {
                id: AccountId(id),
                currency: world.catalog.currency(),
                balance: Money::from_micros(250_000),
                credit_limit: Money::from_micros(if id == 2 { 50_000 } else { 0 }),
                never_stop: id == 3,
                allowances: Vec::new(),
            }));
        }
        world
    }

    fn execute(&mut self, command: &Command<'_>) -> Decided {
        let decided = decide_by(&self.state, &self.catalogs, command, self.now);
        if let Some(event) = &decided.event {
            assert!(!decided.repeated, "a repetition changes nothing");
            self.check_versions(event);
            self.count_pool(event);
            self.state.apply(event);
            for record in self.state.take_records() {
                self.recorded.0 += i128::from(record.debited().micros());
                self.recorded.1 += i128::from(record.credited().micros());
            }
            self.events.push(event.clone());
            self.check_new_holds(event);
            self.check_pools();
            self.check_refunds(event);
        }
        self.state.check().unwrap_or_else(|violation| panic!("after {command:?}: {violation}"));
        assert_eq!(self.state.discrepancy(), 0);
        assert_eq!(self.state.recorded(), self.recorded, "after {command:?}: records tell another sum");
        if let Outcome::Answer(answer) = &decided.outcome {
            for reply in &answer.replies {
                assert_eq!(reply.verdict == Verdict::Success, reply.grant.is_some());
                if let Some(grant) = reply.grant {
                    assert!(grant.amount > 0 || reply.final_action.is_some(), "an empty grant has a final action");
                    assert!(u64::from(reply.threshold) < grant.amount.max(1));
                    assert!(reply.threshold == 0 || reply.final_action.is_none());
                }
            }
        }
        decided
    }

    /// Usage is charged by the version that its grant was made by, and by what the price says of where the quota stands; what
    /// is granted anew, by the version that the session goes by.
    fn check_versions(&mut self, event: &Event) {
        let Event::Interrogated(event) = event else { return };
        let session = self.state.session(event.session);
        let before = session.map_or_else(|| event.opening.as_ref().unwrap().catalog, |session| session.catalog);
        let now = event.catalog.unwrap_or(before);
        let expected = match session {
            None => self.catalogs.at(self.now).number(),
            Some(_) if event.answer.kind == RequestKind::Termination => before,
            Some(_) => self.catalogs.for_session(before, self.now).number(),
        };
        assert_eq!(now, expected);
        for step in &event.steps {
            let by = if step.catalog == 0 { now } else { step.catalog };
            let fresh = Position { granted_by: None, measure: step.measure, rated: 0 };
            let known = self.positions.entry((event.session, step.key)).or_insert(fresh);
            if step.used > 0 {
                assert_eq!(by, known.granted_by.unwrap_or(before), "usage is charged as it was granted");
            }
            if known.measure != step.measure {
                *known = Position { granted_by: known.granted_by, ..fresh };
            }
            let version = self.catalogs.get(by).unwrap();
            if step.rated > 0 && step.measure != Measure::Money {
                let service = version.catalog.service_by_name(&step.service).unwrap();
                let cost = service.price.charge(known.rated, known.rated + step.rated).unwrap();
                assert_eq!(step.charged, cost, "version {by}, after {}: {step:?}", known.rated);
            }
            known.rated += step.rated;
            if step.granted > 0 {
                assert_eq!(by, now, "what is granted goes by the new version");
            }
        }
        for step in &event.steps {
            if let Some(known) = self.positions.get_mut(&(event.session, step.key)) {
                known.granted_by = (step.granted > 0).then_some(now);
            }
        }
    }

    /// Keeps the client's account of its pool: consumed shares out, new grants in.
    fn count_pool(&mut self, event: &Event) {
        let Event::Interrogated(event) = event else { return };
        let left = self.pools.entry(event.session).or_default();
        let quotas = self.state.session(event.session).map_or(&[][..], |session| &session.quotas);
        for step in &event.steps {
            let pooled = quotas.iter().any(|quota| quota.key == step.key && quota.pool.is_some() && quota.granted > 0);
            let service = self.catalog.service_by_name(&step.service).filter(|_| pooled);
            if let Some(terms) = service.and_then(|service| service.pool) {
                *left = left.saturating_sub(u128::from(step.used) * u128::from(terms.multiplier));
            }
        }
        for reply in &event.answer.replies {
            if let (Some(grant), Some(pool)) = (reply.grant, reply.extras.as_ref().and_then(|extras| extras.pool)) {
                *left += u128::from(grant.amount) * u128::from(pool.multiplier);
            }
        }
    }

    /// Whatever quota of a pool uses what is left in it, the pool holds what that costs.
    fn check_pools(&mut self) {
        let state = &self.state;
        let in_pool = |no: &SessionNo| {
            let quotas = state.session(*no).map_or(&[][..], |session| &session.quotas);
            quotas.iter().any(|quota| quota.pool.is_some() && quota.granted > 0)
        };
        self.pools.retain(|no, _| in_pool(no));
        for session in self.state.sessions() {
            let held = session.pools.iter().flat_map(|pool| &pool.holds).map(|hold| hold.amount).sum::<i64>();
            // The other way round it may be empty: one quota used more than all of them were granted.
            assert!(held == 0 || in_pool(&session.no), "a pool is there only as long as a quota is in it");
            let left = self.pools.get(&session.no).copied().unwrap_or(0);
            let covered = u128::from(held.unsigned_abs() + ROUNDED_UP.unsigned_abs()) * POOL_UNITS_PER_MICRO;
            assert!(covered >= left, "{held} for {left} pool units");
            for quota in session.quotas.iter().filter(|quota| quota.pool.is_some() && quota.granted > 0) {
                // Usage that no meter reads leaves no service's name and no price.
                let Some(service) = self.catalog.service_by_name(&quota.service) else { continue };
                let Some(terms) = service.pool else { continue };
                let most = u64::try_from(left / u128::from(terms.multiplier)).unwrap();
                let Some(after) = quota.rated.checked_add(most) else { continue };
                let cost = service.price.charge(quota.rated, after).unwrap();
                assert!(cost.micros() <= held + ROUNDED_UP, "{held} held for {cost:?} of {}", service.name);
            }
        }
    }

    /// A new reservation takes only what is free: afterwards no bucket that it draws from is overcommitted.
    fn check_new_holds(&self, event: &Event) {
        let Event::Interrogated(event) = event else { return };
        let granted = |amounts: &mut dyn Iterator<Item = u64>| amounts.map(u128::from).sum::<u128>();
        assert_eq!(
            granted(&mut event.answer.replies.iter().filter_map(|reply| reply.grant).map(|grant| grant.amount)),
            granted(&mut event.steps.iter().map(|step| step.granted)),
            "every unit that is granted is reserved, once"
        );
        let account = self.state.account(event.account).unwrap();
        let new = |step: &&EventStep| step.granted > 0 || step.pool.is_none();
        for draw in event.steps.iter().filter(new).flat_map(|step| &step.holds) {
            assert!(draw.amount > 0);
            let bucket = account.bucket(draw.bucket).unwrap();
            let limit = if bucket.kind == BucketKind::Money { account.credit_limit.micros() } else { 0 };
            assert!(
                event.closes.is_some() || account.never_stop || bucket.amount - bucket.reserved + limit >= 0,
                "overcommitted: {bucket:?}"
            );
        }
    }

    /// No more is given back than was taken, whatever is asked.
    fn check_refunds(&mut self, event: &Event) {
        let Event::EventCharged(event) = event else { return };
        let money: i64 = event.steps.iter().map(|step| step.charged.micros()).sum();
        let (taken, back) = &mut self.taken[event.account.0 as usize];
        *if event.action == EventAction::Refund { &mut *back } else { &mut *taken } += money;
        assert!(back <= taken, "account {}: {back} given back of {taken}", event.account);
    }

    fn run(&mut self, step: &Step) -> Option<Outcome> {
        match step {
            Step::Request { session, account, kind, number, services } => {
                let services: Vec<_> = services
                    .iter()
                    .map(|(group, used, want)| ServiceRequest {
                        currency: None,
                        unusable: false,
                        key: QuotaKey {
                            rating_group: Some(*group).filter(|group| *group != 5),
                            // Now and then a service of the group, which may report for the group's quota.
                            service_identifier: used.filter(|used| used % 3 == 0).map(|_| 9),
                            ..QuotaKey::default()
                        },
                        used: used.map(|octets| Used { octets, ..Used::default() }),
                        want: match want {
                            0 => None,
                            1 => Some(Want::Any),
                            2 => Some(Want::Units(Units::octets(1_000_000).into())),
                            _ => Some(Want::Units(Units::seconds(60).into())),
                        },
                        ..ServiceRequest::default()
                    })
                    .collect();
                Some(self.interrogate(*session, Some(*account), *kind, *number, services).outcome)
            }
            Step::Honest { session, share, again } => {
                let (id, sub_session) = session_name(*session);
                let key = SessionKey::of_sub_session(id.as_bytes(), sub_session);
                let session_state = self.state.session_by_id(key, id.as_bytes())?;
                let left = self.pools.get(&session_state.no).copied().unwrap_or(0);
                // One quota of a pool uses for all of them, and now and then is the only one that reports.
                let user = session_state.quotas.iter().find(|quota| quota.pool.is_some() && quota.granted > 0);
                let pooled = |quota: &Quota| {
                    let terms = self.catalog.service_by_name(&quota.service).and_then(|service| service.pool);
                    let all = terms.map_or(0, |terms| left / u128::from(terms.multiplier));
                    if user == Some(quota) { u64::try_from(all).unwrap() } else { 0 }
                };
                let services: Vec<_> = session_state
                    .quotas
                    .iter()
                    .filter(|quota| share % 2 == 0 || user.is_none() || user == Some(quota))
                    .map(|quota| {
                        let may_use =
                            if quota.pool.is_some() && quota.granted > 0 { pooled(quota) } else { quota.granted };
                        let octets = if *share == 100 { may_use } else { may_use / 100 * u64::from(*share) };
                        ServiceRequest {
                            key: quota.key,
                            used: Some(Used { octets, ..Used::default() }).filter(|_| quota.measure != Measure::Money),
                            want: again.then_some(Want::Any),
                            ..ServiceRequest::default()
                        }
                    })
                    .collect();
                self.numbers += 1;
                let number = self.numbers;
                Some(self.interrogate(*session, None, RequestKind::Update, number, services).outcome)
            }
            Step::Event { session, account, number, group, units } => {
                let id = format!("smsc;{session}");
                let want = Some(Want::Units(Units::octets(*units).into()));
                let services = vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(*group), service_identifier: None, ..QuotaKey::default() },
                    used: None,
                    currency: None,
                    unusable: false,
                    want,
                    ..ServiceRequest::default()
                }];
                let command = Command::ChargeEvent(EventRequest {
                    session_id: id.as_bytes(),
                    key: SessionKey::of(id.as_bytes()),
                    number: *number,
                    account: Some(AccountId(*account)),
                    action: if number % 3 == 2 { EventAction::PriceEnquiry } else { EventAction::Debit },
                    context: self.catalog.context("32251@3gpp.org"),
                    services,
                    at_command_level: group % 2 == 0,
                    ..EventRequest::default()
                });
                Some(self.execute(&command).outcome)
            }
            Step::Refund { session, account, number, debit, group, want } => {
                let id = format!("smsc;{session}");
                let refund = debit.map(|(session, number)| {
                    RefundToken::new(SessionKey::of(format!("smsc;{session}").as_bytes()), number, [0; 2])
                });
                let services = vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(*group), ..QuotaKey::default() },
                    want: Some(match want {
                        Ok(units) => Want::Units(Units::octets(*units).into()),
                        Err(micros) => Want::Money(Money::from_micros(*micros)),
                    }),
                    refund,
                    ..ServiceRequest::default()
                }];
                let command = Command::ChargeEvent(EventRequest {
                    session_id: id.as_bytes(),
                    key: SessionKey::of(id.as_bytes()),
                    number: *number,
                    account: Some(AccountId(*account)),
                    action: EventAction::Refund,
                    context: self.catalog.context("32251@3gpp.org"),
                    services,
                    ..EventRequest::default()
                });
                Some(self.execute(&command).outcome)
            }
            Step::Restart { state_id } => {
                self.execute(&Command::ClientState { host: "gw.example", state_id: *state_id });
                self.incarnation = *state_id;
                None
            }
            Step::Operate { session, account, what } => {
                let (id, sub_session) = session_name(*session);
                let key = SessionKey::of_sub_session(id.as_bytes(), sub_session);
                let account = AccountId(*account);
                self.execute(&match what {
                    0 => Command::Abort(key),
                    1 => Command::ReAuthorise(key, Some(1)),
                    2 => Command::SessionLost(key),
                    3 => Command::SetState { account, state: AccountState::Suspended, reason: "test" },
                    _ => Command::SetState { account, state: AccountState::Active, reason: "test" },
                });
                None
            }
            Step::TopUp { account, micros, id } => {
                Some(self.credit(*account, CreditKind::TopUp(Money::from_micros(*micros)), *id))
            }
            Step::Adjust { account, micros, id } if !self.honest => {
                Some(self.credit(*account, CreditKind::Adjustment(Money::from_micros(*micros), "test"), *id))
            }
            Step::Adjust { .. } => None,
            Step::Allowance { account, id } => Some(self.credit(*account, CreditKind::Allowance("small"), *id)),
            Step::Repeat => None,
            Step::Publish { which, in_secs, sessions } => {
                let number = self.catalogs.next_number();
                let version = version(number, *which, self.now.plus_secs(*in_secs), *sessions);
                self.catalogs = self.catalogs.with(version);
                None
            }
            Step::Wait { secs } => {
                self.now = self.now.plus_secs(*secs);
                for no in self.state.due(self.now, usize::MAX) {
                    self.execute(&Command::ExpireSession(no));
                }
                let start = (Timestamp::EPOCH, SessionNo(0));
                for no in self.state.left_behind(start, usize::MAX, self.now).0 {
                    self.execute(&Command::CloseLeftBehind(no));
                }
                assert!(self.state.next_due().is_none_or(|due| due > self.now), "supervision ends what is due");
                None
            }
        }
    }

    fn interrogate(
        &mut self,
        session: u8,
        account: Option<u64>,
        kind: RequestKind,
        number: u32,
        services: Vec<ServiceRequest>,
    ) -> Decided {
        let (id, sub_session) = session_name(session);
        self.execute(&Command::Interrogate(Interrogation {
            session_id: id.as_bytes(),
            sub_session,
            key: SessionKey::of_sub_session(id.as_bytes(), sub_session),
            incarnation: self.incarnation,
            account: account.map(AccountId),
            kind,
            number,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services,
            at_command_level: false,
            short_validity: session & 1 == 0,
            client: ClientNeeds {
                pools: !session.is_multiple_of(3),
                redirects: session % 4 != 3,
                free_of_charge_4011: session == 5,
                remaining_balance: session == 2,
                low_balance: session == 4,
                ..ClientNeeds::default()
            },
            ..Interrogation::default()
        }))
    }

    fn credit(&mut self, account: u64, kind: CreditKind<'_>, id: u8) -> Outcome {
        let currency = Some(self.catalog.currency());
        let request_id = format!("r{id}");
        let command = CreditCommand { account: AccountId(account), kind, currency, request_id: &request_id };
        self.execute(&Command::Credit(command)).outcome
    }

    fn balances(&self) -> Vec<Money> {
        (1..=ACCOUNTS).map(|id| self.state.account(AccountId(id)).unwrap().balance()).collect()
    }
}

/// Everything that one can see of a state, in a fixed order.
fn picture(state: &State) -> (Vec<String>, Vec<String>) {
    let mut accounts: Vec<_> = state.accounts().map(|account| format!("{account:?}")).collect();
    accounts.sort();
    let mut sessions: Vec<_> = state
        .sessions()
        .map(|session| {
            format!(
                "{:?}",
                (session.no, &session.id, &session.quotas, &session.pools, &session.answers, session.expires)
            )
        })
        .collect();
    sessions.sort();
    (accounts, sessions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked, in whatever order: the identity holds, a repetition gets the same answer and changes nothing, and
    /// the events replayed give the same state.
    // tests: C-180, C-181, C-182, C-183, C-185, C-140, C-20, I-2, I-5, G-62, G-149, C-136, C-171, C-172, C-175
    #[test]
    fn the_identity_holds_and_the_replay_is_the_state(steps in vec(step(), 1..60)) {
        let mut world = World::new(false);
        let mut last: Option<(Step, Outcome)> = None;
        for step in &steps {
            if let Step::Repeat = step {
                let Some((step, outcome)) = last.clone() else { continue };
                // Only what the core remembers is repeated: errors that changed nothing are processed anew (C-144).
                let before = (world.balances(), world.events.len());
                let again = world.run(&step).unwrap();
                let changed = world.events.len() != before.1;
                if !changed {
                    prop_assert_eq!(&again, &outcome);
                    prop_assert_eq!(world.balances(), before.0);
                }
                if let (Outcome::Answer(answer), Step::Request { .. } | Step::Refund { .. }) = (&outcome, &step)
                    && answer.verdict == Verdict::Success {
                    prop_assert!(!changed, "a request that succeeded is processed once");
                }
                if matches!(outcome, Outcome::Credited { .. }) {
                    prop_assert!(!changed, "a credit that succeeded is processed once");
                }
                continue;
            }
            let outcome = world.run(step);
            last = match (step, outcome) {
                (Step::Honest { .. }, _) | (_, None) => None,
                (step, Some(outcome)) => Some((step.clone(), outcome)),
            };
        }
        let replayed = survival::replayed(&world.events, retention());
        explained::all_exact(&world.state, &|number| Some(&*world.catalogs.get(number)?.catalog));
        survival::survives_a_checkpoint(&world.state, retention());
        prop_assert_eq!(replayed.check(), Ok(()));
        prop_assert_eq!(picture(&replayed), picture(&world.state));
    }

    /// Clients that use no more than they were granted never take a prepaid account below zero, however many sessions run
    /// at once, and their cost is the price of the whole.
    // tests: C-181, C-185, C-57, C-184
    #[test]
    fn honest_clients_never_overdraw(
        steps in vec(prop_oneof![
            (0u8..6, 1u64..=2, vec((prop_oneof![1u32..=4, 6u32..=8], Just(None), Just(1u8)), 1..4)).prop_map(|(session, account, services)|
                Step::Request { session, account, kind: RequestKind::Initial, number: 0, services }),
            (0u8..6, 0u8..=100, any::<bool>()).prop_map(|(session, share, again)| Step::Honest { session, share, again }),
            (1u64..=2, 1i64..100_000, 0u8..200).prop_map(|(account, micros, id)| Step::TopUp { account, micros, id }),
            (1u64..=2, 200u8..203).prop_map(|(account, id)| Step::Allowance { account, id }),
            publish(HONEST_VARIANTS),
            (0u64..3_000).prop_map(|secs| Step::Wait { secs }),
        ], 1..80)
    ) {
        let mut world = World::new(true);
        for step in &steps {
            world.run(step);
            for account in world.state.accounts().filter(|account| !account.never_stop) {
                let rounded = Money::from_micros(ROUNDED_UP * SESSIONS);
                prop_assert!(account.balance().saturating_add(rounded) >= -account.credit_limit, "{:?}", account);
            }
            for session in world.state.sessions() {
                for quota in &session.quotas {
                    let paid = quota.rated + quota.from_allowance;
                    prop_assert!(paid <= quota.used);
                    let priced = |version: &Version| version.catalog.service_by_name(&quota.service).is_some_and(|it| !it.price.is_free());
                    if world.catalogs.versions().all(priced) {
                        prop_assert_eq!(paid, quota.used);
                    }
                    if world.catalogs.versions().count() == 1 {
                        let service = world.catalog.service_by_name(&quota.service).unwrap();
                        prop_assert_eq!(quota.charged, service.price.cost(quota.rated).unwrap());
                    }
                }
            }
        }
    }
}
