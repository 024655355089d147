//! Random purchases, renewals and sessions over them: no unit and no money is lost or doubled, whatever comes in which order;
//! a background that comes late changes nothing; and a replay of the events gives the same state.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use tollgate::{
    charging::{
        AccountSpec, BucketKind, Command, CreditCommand, CreditKind, Decided, Event, HistoryKind, Interrogation,
        Manage, ManageCommand, MemberNo, Outcome, RequestKind, Retention, ServiceRequest, State, Statement, Used, Want,
        When, decide,
    },
    ids::{AccountId, BucketId, QuotaKey, SessionKey},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

use crate::{explained, survival};

const CATALOG: &str = include_str!("charging_tables/products.toml");
const PRODUCTS: [&str; 11] =
    ["monthly", "whole", "post", "daily", "weekly", "ten-days", "trial", "trial-whole", "pack", "floor", "small"];
const ACCOUNT: AccountId = AccountId(1);
const START: Timestamp = Timestamp::from_secs(1_772_323_200);
const DAY: u64 = 86_400;

/// One random step.
#[derive(Debug, Clone)]
enum Step {
    Buy {
        product: usize,
        when: u8,
        days: u64,
    },
    Change {
        subscription: u32,
        to: usize,
        when: u8,
        days: u64,
    },
    Cancel {
        subscription: u32,
        when: u8,
        days: u64,
    },
    CycleDay(u8),
    Credit(i64),
    /// A session asks for data, and reports some of what it was granted, or more.
    Data {
        session: u8,
        percent: u64,
        ends: bool,
    },
    Wait {
        secs: u64,
    },
    /// The background comes by.
    CatchUp,
    /// The request before is sent again.
    Again,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let product = || 0..PRODUCTS.len();
    let step = prop_oneof![
        3 => (product(), 0u8..4, 1u64..40).prop_map(|(product, when, days)| Step::Buy { product, when, days }),
        1 => (1u32..8, product(), 0u8..4, 1u64..40)
            .prop_map(|(subscription, to, when, days)| Step::Change { subscription, to, when, days }),
        1 => (1u32..8, 0u8..4, 1u64..40)
            .prop_map(|(subscription, when, days)| Step::Cancel { subscription, when, days }),
        1 => (1u8..=28).prop_map(Step::CycleDay),
        2 => (-20_000_000i64..60_000_000).prop_map(Step::Credit),
        4 => (0u8..3, 0u64..130, any::<bool>())
            .prop_map(|(session, percent, ends)| Step::Data { session, percent, ends }),
        4 => (1u64..20 * DAY).prop_map(|secs| Step::Wait { secs }),
        2 => Just(Step::CatchUp),
        1 => Just(Step::Again),
    ];
    vec(step, 1..60)
}

/// Where the units of an account have gone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Units {
    given: i64,
    used: i64,
    expired: i64,
    rolled_out: i64,
    rolled_in: i64,
}

struct World {
    catalog: Catalog,
    state: State,
    now: Timestamp,
    events: Vec<Event>,
    units: Units,
    /// Kinds of all buckets that ever were.
    is_units: BTreeMap<BucketId, bool>,
    sessions: BTreeMap<u8, (u32, u32)>,
    statements: Vec<Statement>,
    requests: u32,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            catalog: Catalog::from_toml(CATALOG).unwrap_or_else(|problems| panic!("{problems:?}")),
            state: State::new(Retention::default()),
            now: START,
            events: Vec::new(),
            units: Units::default(),
            is_units: BTreeMap::from([(BucketId::MAIN, false)]),
            sessions: BTreeMap::new(),
            statements: Vec::new(),
            requests: 0,
        };
        world.execute(&Command::CreateAccount(AccountSpec {
            id: ACCOUNT,
            currency: world.catalog.currency(),
            balance: Money::from_micros(50_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        }));
        world
    }

    fn execute(&mut self, command: &Command<'_>) -> Decided {
        let decided = decide(&self.state, &self.catalog, command, self.now);
        if let Some(event) = &decided.event {
            self.count(event);
            self.state.apply(event);
            self.events.push(event.clone());
        }
        self.state.check().unwrap_or_else(|violation| panic!("{command:?}: {violation}"));
        self.check_units();
        decided
    }

    /// What is due, and then a command; after a credit what pauses is tried again.
    fn execute_in_time(&mut self, command: &Command<'_>) -> Decided {
        self.catch_up();
        let decided = self.execute(command);
        self.catch_up();
        decided
    }

    fn catch_up(&mut self) {
        for _ in 0..10_000 {
            if !self.state.must_catch_up(ACCOUNT, false, self.now) {
                return;
            }
            let command = Command::CatchUp { account: ACCOUNT, use_begins: false };
            if self.execute(&command).event.is_none() {
                let account = self.state.account(ACCOUNT).unwrap();
                assert!(account.next_due().is_none_or(|due| due > self.now), "what is due is not done");
                return;
            }
        }
        panic!("something is due for ever");
    }

    fn count(&mut self, event: &Event) {
        let (steps, change) = match event {
            Event::Interrogated(event) => (&event.steps[..], None),
            Event::AccountChanged(change) => (&[][..], Some(change)),
            _ => (&[][..], None),
        };
        for draw in steps.iter().flat_map(|step| &step.debits) {
            if self.is_units.get(&draw.bucket) == Some(&true) {
                self.units.used += draw.amount;
            }
        }
        let Some(change) = change else { return };
        for bucket in &change.buckets {
            let is_units = matches!(bucket.kind, BucketKind::Units(_));
            if self.is_units.insert(bucket.id, is_units).is_none() && is_units {
                let counted = if bucket.rolled > 0 { &mut self.units.rolled_in } else { &mut self.units.given };
                *counted += bucket.amount;
            }
        }
        for entry in &change.entries {
            match (entry.kind, self.is_units[&entry.bucket]) {
                (HistoryKind::Expired, true) => self.units.expired -= entry.amount,
                (HistoryKind::RollOver, true) => self.units.rolled_out -= entry.amount,
                (HistoryKind::Fee, false) => assert!(entry.amount < 0),
                other => panic!("{other:?} of {}", entry.amount),
            }
        }
        if let Some(statement) = &change.statement {
            if let Some(before) = self.statements.last() {
                assert_eq!((before.ends, before.closing), (statement.starts, statement.opening));
            }
            self.statements.push((**statement).clone());
        }
    }

    /// Units given are those used, gone, moved on and left.
    fn check_units(&self) {
        let Some(account) = self.state.account(ACCOUNT) else { return };
        let buckets = account.buckets.iter().filter(|bucket| bucket.kind != BucketKind::Money);
        let left: i64 = buckets.map(|bucket| bucket.amount).sum();
        let Units { given, used, expired, rolled_out, rolled_in } = self.units;
        assert_eq!(rolled_out, rolled_in, "what rolls over arrives");
        assert_eq!(given, used + expired + left, "{:?}, {left} left", self.units);
    }

    fn when(&self, when: u8, days: u64) -> When {
        match when {
            0 | 1 => When::Now,
            2 => When::Next,
            _ => When::At(self.now.plus_secs(days * DAY / 2)),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Buy { product, when, days } => {
                let start = self.when(*when, *days);
                self.manage(Manage::Buy { product: PRODUCTS[*product], member: MemberNo::SHARED, start });
            }
            Step::Change { subscription, to, when, days } => {
                let (subscription, when) = (*subscription, self.when(*when, *days));
                self.manage(Manage::ChangeProduct { subscription, to: PRODUCTS[*to], when });
            }
            Step::Cancel { subscription, when, days } => {
                let (subscription, when) = (*subscription, self.when(*when, *days));
                self.manage(Manage::CancelProduct { subscription, when });
            }
            Step::CycleDay(day) => self.manage(Manage::SetCycleDay(*day)),
            Step::Credit(micros) => {
                self.requests += 1;
                let amount = Money::from_micros(if *micros == 0 { 1 } else { *micros });
                let kind = CreditKind::Adjustment(amount, "test");
                let request_id = &self.requests.to_string();
                let command = CreditCommand { account: ACCOUNT, kind, currency: None, request_id };
                self.execute_in_time(&Command::Credit(command));
            }
            Step::Data { session, percent, ends } => self.data(*session, *percent, *ends),
            Step::Wait { secs } => self.now = self.now.plus_secs(*secs),
            Step::CatchUp => self.catch_up(),
            Step::Again => {}
        }
    }

    /// Asks once, and again: the second time nothing changes.
    fn manage(&mut self, what: Manage<'_>) {
        self.requests += 1;
        let request_id = &self.requests.to_string();
        let command = Command::Manage(ManageCommand { account: ACCOUNT, request_id, reason: "test", what });
        let first = self.execute_in_time(&command);
        if let Outcome::Refused(_) = first.outcome {
            assert!(first.event.is_none());
            return;
        }
        let again = self.execute(&command);
        assert!(again.repeated && again.event.is_none());
        assert_eq!(again.outcome, first.outcome);
    }

    fn data(&mut self, session: u8, percent: u64, ends: bool) {
        let running = self.sessions.get(&session).copied();
        let (run, number) = running.unwrap_or((self.requests, 0));
        let name = format!("s{session}-{run}");
        let key = SessionKey::of(name.as_bytes());
        let granted = self.state.session_by_id(key, name.as_bytes()).map_or(0, |it| it.quotas[0].granted);
        let kind = match (running, ends) {
            (None, _) => RequestKind::Initial,
            (Some(_), false) => RequestKind::Update,
            (Some(_), true) => RequestKind::Termination,
        };
        let used = Used { octets: granted * percent / 100, ..Used::default() };
        self.requests += 1;
        let request = Interrogation {
            session_id: name.as_bytes(),
            key,
            account: Some(ACCOUNT),
            kind,
            number,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "pgw.example",
            origin_realm: "example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(10), ..QuotaKey::default() },
                used: (running.is_some()).then_some(used),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                ..ServiceRequest::default()
            }],
            ..Interrogation::default()
        };
        self.execute_in_time(&Command::Interrogate(request));
        if kind == RequestKind::Termination {
            self.sessions.remove(&session);
        } else {
            self.sessions.insert(session, (run, number + 1));
        }
    }

    /// What an account has, but for when things were written down.
    fn holdings(&self) -> String {
        let account = self.state.account(ACCOUNT).unwrap();
        let profile = account.profile.as_deref().map(|it| (&it.subscriptions, &it.cycle, &it.previous));
        format!("{:?} {:?} {profile:?}", account.buckets, account.balance())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.now = world.now.plus_secs(70 * DAY);
        world.catch_up();
        world.state.same_as(&survival::replayed(&world.events, Retention::default())).unwrap();
        explained::all_exact(&world.state, &|_| Some(&world.catalog));
        survival::survives_a_checkpoint(&world.state, Retention::default());
    }

    /// A background that comes by every hour and one that never comes leave the same: before an account is used, what was
    /// due is done as of its own moment.
    #[test]
    fn a_late_background_changes_nothing(steps in steps()) {
        let (mut prompt, mut late) = (World::new(), World::new());
        for step in steps.iter().filter(|step| !matches!(step, Step::CatchUp | Step::Data { .. })) {
            if let Step::Wait { secs } = step {
                let until = prompt.now.plus_secs(*secs);
                while prompt.now < until {
                    prompt.now = prompt.now.plus_secs(3_600).min(until);
                    prompt.catch_up();
                }
                late.now = until;
            } else {
                prompt.step(step);
                late.step(step);
            }
        }
        late.catch_up();
        prop_assert_eq!(prompt.holdings(), late.holdings());
        prop_assert_eq!(&prompt.statements, &late.statements);
    }
}
