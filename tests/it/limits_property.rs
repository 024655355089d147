//! Random lives of accounts with limits, caps, discounts, tiers by day and members: limits that refuse hold under many
//! sessions and members at once, whoever uses no more than was granted never overdraws, caps do not depend on how usage is
//! cut, and what is counted is what was charged.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use tollgate::{
    charging::{
        AccountChanged, AccountSpec, AccountState, Command, CreditCommand, CreditKind, DebitRef, Event, EventAction,
        EventCharged, EventRequest, Interrogation, Measure, Member, MemberLimit, MemberNo, RequestKind, Retention,
        ServiceRequest, State, Step as EventStep, Subscription, Used, Want, decide,
    },
    ids::{AccountId, BucketId, QuotaKey, SessionKey, SessionNo},
    rating::{Catalog, Period},
    time::Timestamp,
    units::{Money, UnitKind, Units},
};

use crate::{explained, survival};

/// Accounts: one whose limit refuses, a family whose members have limits, one with late usage, one that is stopped, one on
/// the red list, one with caps and discounts and little money.
const ACCOUNTS: u64 = 6;
const SESSIONS: u8 = 6;
const RED_LIST: AccountId = AccountId(5);
/// Of two directions each is rounded up by itself.
const ROUNDED_UP: i64 = 2 * SESSIONS as i64;

fn source() -> String {
    // By the unit, so that what a grant may cost more, used in two directions, is what is rounded up.
    let by_block = "price_up = \"0.20\"\nper = \"1 MB\"\n";
    let text = include_str!("charging_tables/limits.toml");
    assert!(text.contains(by_block));
    text.replace(by_block, &format!("{by_block}block = \"1 B\"\n"))
}

#[derive(Debug, Clone)]
enum Step {
    Open {
        session: u8,
        account: u64,
        member: u32,
        group: u32,
    },
    /// Reports a share of each grant, in percent; a part of it from the user.
    Report {
        session: u8,
        share: u8,
        up: u8,
        again: bool,
    },
    End {
        session: u8,
        share: u8,
    },
    Event {
        account: u64,
        member: u32,
        units: u64,
    },
    Refund {
        account: u64,
        units: u64,
    },
    TopUp {
        account: u64,
        micros: i64,
    },
    Allowance {
        account: u64,
    },
    Lift {
        account: u64,
    },
    Wait {
        secs: u64,
    },
    /// Until shortly before or after something changes: the night's discount, the day.
    Near {
        hour: u64,
        minute: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let groups = prop::sample::select(vec![1u32, 2, 3, 4, 5, 8]);
    let accounts = || 1..=ACCOUNTS;
    prop_oneof![
        6 => (0..SESSIONS, accounts(), 0u32..3, groups)
            .prop_map(|(session, account, member, group)| Step::Open { session, account, member, group }),
        8 => (0..SESSIONS, 0u8..=100, 0u8..=100, any::<bool>())
            .prop_map(|(session, share, up, again)| Step::Report { session, share, up, again }),
        2 => (0..SESSIONS, 0u8..=100).prop_map(|(session, share)| Step::End { session, share }),
        2 => (accounts(), 0u32..3, 1u64..6).prop_map(|(account, member, units)| Step::Event { account, member, units }),
        1 => (accounts(), 1u64..6).prop_map(|(account, units)| Step::Refund { account, units }),
        1 => (accounts(), 1i64..2_000_000).prop_map(|(account, micros)| Step::TopUp { account, micros }),
        1 => accounts().prop_map(|account| Step::Allowance { account }),
        1 => accounts().prop_map(|account| Step::Lift { account }),
        3 => (prop::sample::select(vec![0, 5, 21, 23]), 0u64..60).prop_map(|(hour, minute)| Step::Near { hour, minute }),
        3 => prop_oneof![1u64..1_000, 3_000u64..30_000].prop_map(|secs| Step::Wait { secs }),
    ]
}

struct World {
    catalog: Catalog,
    state: State,
    events: Vec<Event>,
    now: Timestamp,
    number: u32,
    /// When each quota's grant must be reported.
    deadlines: BTreeMap<(SessionNo, QuotaKey), Timestamp>,
    /// The last count of each counter, with its name, and what was charged for services that are counted.
    counts: BTreeMap<(AccountId, BucketId), (String, i64)>,
    charged: BTreeMap<AccountId, i64>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            catalog: Catalog::from_toml(&source()).unwrap_or_else(|problems| panic!("{problems:?}")),
            state: State::new(Retention { charge_late_usage: true, ..Retention::default() }),
            events: Vec::new(),
            now: Timestamp::from_secs(1_000_000),
            number: 1,
            deadlines: BTreeMap::new(),
            counts: BTreeMap::new(),
            charged: BTreeMap::new(),
        };
        for id in 1..=ACCOUNTS {
            world.create(AccountId(id));
        }
        world
    }

    fn create(&mut self, account: AccountId) {
        self.execute(&Command::CreateAccount(AccountSpec {
            id: account,
            currency: self.catalog.currency(),
            balance: if account.0 == 6 { "3.00" } else { "6.00" }.parse().unwrap(),
            credit_limit: Money::ZERO,
            never_stop: account == RED_LIST,
            allowances: Vec::new(),
        }));
        let plan = ["limited", "family", "bursts", "watched", "limited", "told"][account.0 as usize - 1];
        let products =
            [&["saver"][..], &["capped", "saver"], &[], &["gamer", "capped"], &["capped"], &["capped", "saver"]];
        let subscription = |(no, product): (u32, &&str)| Subscription {
            no,
            product: (*product).into(),
            starts: Timestamp::EPOCH,
            begun: true,
            ..Subscription::default()
        };
        let limit = |measure, amount| MemberLimit { period: Period::Day, measure, amount };
        let limits = vec![
            limit(Measure::Money, 1_500_000),
            limit(Measure::Units(UnitKind::Octets), 3_000_000),
            MemberLimit { period: Period::Cycle, ..limit(Measure::Money, 4_000_000) },
        ];
        let member = |no: u32| Member { no: MemberNo(no), subscriber: format!("m{no}").into(), ..Member::default() };
        let event = AccountChanged {
            at: self.now,
            account,
            plan: Some(Some(plan.into())),
            subscriptions: (1..).zip(products[account.0 as usize - 1]).map(subscription).collect(),
            members: vec![Member { limits, ..member(1) }, member(2)],
            ..AccountChanged::default()
        };
        self.apply(Event::AccountChanged(Box::new(event)));
    }

    fn apply(&mut self, event: Event) {
        self.state.apply(&event);
        self.state.check().unwrap_or_else(|violation| panic!("after {event:?}: {violation}"));
        self.count(&event);
        self.events.push(event);
        self.check_limits();
    }

    fn execute(&mut self, command: &Command<'_>) {
        let decided = decide(&self.state, &self.catalog, command, self.now);
        if let Some(event) = decided.event {
            self.apply(event);
        }
    }

    /// What is counted for limits of money is what was charged, to the micro-unit.
    fn count(&mut self, event: &Event) {
        let (account, steps, sign): (_, &[EventStep], _) = match event {
            Event::Interrogated(event) => (event.account, &event.steps, 1),
            Event::EventCharged(event) => {
                (event.account, &event.steps, if event.action == EventAction::Refund { -1 } else { 1 })
            }
            _ => return,
        };
        let limit = match account.0 {
            1 | 3 | 5 => "daily",
            2 => "each",
            4 => "fast",
            6 => "told",
            _ => "",
        };
        let profile = self.state.account(account).unwrap().profile.as_deref().unwrap();
        // What is given back of a span that is over and forgotten is taken off nothing.
        let is_gone = self.refunded(event).is_some_and(|debit| {
            let counted_in = |id: &BucketId| self.counts.get(&(account, *id)).is_some_and(|(name, _)| name == limit);
            let drawn = debit.steps.iter().flat_map(|step| &step.debits).map(|draw| draw.bucket);
            drawn.filter(counted_in).any(|id| profile.counters.iter().all(|counter| counter.id != id))
        });
        for step in steps.iter().filter(|_| !is_gone) {
            let is_counted = self.catalog.service_by_name(&step.service).is_some_and(|service| service.counted);
            if is_counted {
                *self.charged.entry(account).or_default() += sign * step.charged.micros();
            }
        }
        for counter in &profile.counters {
            assert!(counter.used >= 0 && counter.reserved >= 0, "{counter:?}");
            self.counts.insert((account, counter.id), (counter.name.to_string(), counter.used));
        }
        if limit.is_empty() {
            return;
        }
        let of_limit = self.counts.iter().filter(|((id, _), (name, _))| *id == account && name == limit);
        let counted: i64 = of_limit.map(|(_, (_, used))| used).sum();
        assert_eq!(counted, self.charged.get(&account).copied().unwrap_or(0), "{account}: {limit}");
    }

    /// The debit that an event gives back.
    fn refunded(&self, event: &Event) -> Option<&EventCharged> {
        let Event::EventCharged(refund) = event else { return None };
        let DebitRef { key, number } = refund.refund_of?;
        self.events.iter().find_map(|event| match event {
            Event::EventCharged(debit) if debit.action == EventAction::Debit => {
                let of = SessionKey::of(debit.session_id.as_bytes());
                (of == key && debit.answer.number == number).then_some(&**debit)
            }
            _ => None,
        })
    }

    /// What is used and what is held never exceed what a limit that refuses allows, nor what is there.
    fn check_limits(&self) {
        for account in self.state.accounts().filter(|account| !account.never_stop) {
            let Some(profile) = account.profile.as_deref() else { continue };
            for counter in &profile.counters {
                let most = match &*counter.name {
                    "daily" => 3_000_000,
                    "each" => 1_000_000,
                    "burst" => 1_500_000,
                    "member/cycle" => 4_000_000,
                    "member/day" if counter.measure == Measure::Money => 1_500_000,
                    "member/day" => 3_000_000,
                    _ => continue,
                };
                assert!(counter.used + counter.reserved <= most + ROUNDED_UP, "account {}: {counter:?}", account.id);
            }
            assert!(account.balance().micros() >= -ROUNDED_UP, "overdrawn: {account:?}");
            let money = account.buckets.iter().filter(|bucket| bucket.id == BucketId::MAIN);
            for bucket in money {
                assert!(bucket.amount + ROUNDED_UP >= bucket.reserved, "overcommitted: {bucket:?}");
            }
        }
    }

    fn name(session: u8) -> String {
        format!("gw;{session}")
    }

    /// A client that uses no more than it was granted reports in time.
    fn wait(&mut self, secs: u64) {
        let until = self.now.plus_secs(secs);
        while let Some((no, key, at)) = self.next_deadline().filter(|(.., at)| *at <= until) {
            self.now = self.now.max(at);
            let session = self.state.session(no).unwrap();
            let (id, name) = (session.key(), session.id.to_string());
            let share = u8::try_from(at.secs() % 101).unwrap();
            self.report(id, &name, RequestKind::Update, &|quota| quota == key, (share, share, at.secs() % 2 == 0));
        }
        self.now = until;
    }

    fn next_deadline(&self) -> Option<(SessionNo, QuotaKey, Timestamp)> {
        self.deadlines.iter().map(|((no, key), at)| (*no, *key, *at)).min_by_key(|(.., at)| *at)
    }

    fn report(
        &mut self,
        key: SessionKey,
        name: &str,
        kind: RequestKind,
        which: &dyn Fn(QuotaKey) -> bool,
        (share, up, again): (u8, u8, bool),
    ) {
        let Some(session) = self.state.session_by_id(key, name.as_bytes()) else { return };
        let services: Vec<_> = session
            .quotas
            .iter()
            .filter(|quota| which(quota.key))
            .map(|quota| {
                let octets = u64::from(share) * quota.granted / 100;
                let input = octets / 100 * u64::from(up);
                ServiceRequest {
                    key: quota.key,
                    used: Some(Used { octets, input, output: octets - input, ..Used::default() }),
                    want: again.then_some(Want::Any),
                    ..ServiceRequest::default()
                }
            })
            .collect();
        self.number += 1;
        self.interrogate(key, name, None, kind, MemberNo::SHARED, services);
    }

    /// Each client's clock is behind by as much as it ever is: its usage and its grants are counted by it.
    fn clock(&self, name: &str) -> Timestamp {
        let behind = u64::from(name.as_bytes().last().copied().unwrap_or(0) % 8) * 300_000;
        Timestamp::from_millis(self.now.millis() - behind)
    }

    fn interrogate(
        &mut self,
        key: SessionKey,
        name: &str,
        account: Option<AccountId>,
        kind: RequestKind,
        member: MemberNo,
        services: Vec<ServiceRequest>,
    ) {
        let keys: Vec<_> = services.iter().map(|service| service.key).collect();
        self.execute(&Command::Interrogate(Interrogation {
            session_id: name.as_bytes(),
            key,
            account,
            kind,
            number: self.number,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services,
            member,
            happened: Some(self.clock(name)),
            ..Interrogation::default()
        }));
        let state = &self.state;
        self.deadlines.retain(|(no, _), _| state.session(*no).is_some());
        let Some(session) = self.state.session_by_id(key, name.as_bytes()) else { return };
        for quota in session.quotas.iter().filter(|quota| keys.contains(&quota.key)) {
            let place = (session.no, quota.key);
            if quota.granted > 0 {
                self.deadlines.insert(place, self.now.plus_secs(u64::from(quota.validity_secs)));
            } else {
                self.deadlines.remove(&place);
            }
        }
    }

    fn event(&mut self, account: u64, member: u32, units: u64, action: EventAction, name: &str, number: u32) {
        self.execute(&Command::ChargeEvent(EventRequest {
            session_id: name.as_bytes(),
            key: SessionKey::of(name.as_bytes()),
            number,
            account: Some(AccountId(account)),
            action,
            context: self.catalog.context("32274@3gpp.org"),
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                want: Some(Want::Units(Units::events(units).into())),
                ..ServiceRequest::default()
            }],
            member: MemberNo(member),
            ..EventRequest::default()
        }));
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Open { session, account, member, group } => {
                let name = Self::name(session);
                let key = QuotaKey { rating_group: Some(group), ..QuotaKey::default() };
                let service = ServiceRequest { key, want: Some(Want::Any), ..ServiceRequest::default() };
                let running = self.state.session_by_id(SessionKey::of(name.as_bytes()), name.as_bytes()).is_some();
                let kind = if running { RequestKind::Update } else { RequestKind::Initial };
                let known = running
                    && self
                        .state
                        .session_by_id(SessionKey::of(name.as_bytes()), name.as_bytes())
                        .is_some_and(|session| session.quota(key).is_some_and(|quota| quota.granted > 0));
                if !known {
                    self.number += 1;
                    let account = (!running).then_some(AccountId(account));
                    let key = SessionKey::of(name.as_bytes());
                    self.interrogate(key, &name, account, kind, MemberNo(member), vec![service]);
                }
            }
            Step::Report { session, share, up, again } => {
                let name = Self::name(session);
                let key = SessionKey::of(name.as_bytes());
                self.report(key, &name, RequestKind::Update, &|_| true, (share, up, again));
            }
            Step::End { session, share } => {
                let name = Self::name(session);
                let key = SessionKey::of(name.as_bytes());
                self.report(key, &name, RequestKind::Termination, &|_| true, (share, share, false));
                // The name is used again.
                self.wait(400);
            }
            Step::Event { account, member, units } => {
                self.number += 1;
                let name = format!("smsc;{account}");
                self.event(account, member, units, EventAction::Debit, &name, self.number);
            }
            Step::Refund { account, units } => {
                let name = format!("smsc;{account}");
                self.event(account, 0, units, EventAction::Refund, &name, self.number);
            }
            Step::TopUp { account, micros } => {
                self.number += 1;
                let (id, currency) = (format!("t{}", self.number), Some(self.catalog.currency()));
                let kind = CreditKind::TopUp(Money::from_micros(micros));
                let command = CreditCommand { account: AccountId(account), kind, currency, request_id: &id };
                self.execute(&Command::Credit(command));
            }
            Step::Allowance { account } => {
                self.number += 1;
                let kind = CreditKind::Allowance("small-pack");
                let id = format!("a{}", self.number);
                let command = CreditCommand { account: AccountId(account), kind, currency: None, request_id: &id };
                self.execute(&Command::Credit(command));
            }
            Step::Lift { account } => {
                let (account, state) = (AccountId(account), AccountState::Active);
                self.execute(&Command::SetState { account, state, reason: "test" });
            }
            Step::Wait { secs } => self.wait(secs),
            Step::Near { hour, minute } => {
                let then = (hour * 60 + minute) * 60 + 86_400;
                self.wait((then - self.now.secs() % 86_400) % 86_400);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    // tests: C-81, C-181, C-183, C-185
    #[test]
    fn limits_hold_and_what_is_counted_is_what_is_charged(steps in vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        let retention = Retention { charge_late_usage: true, ..Retention::default() };
        world.state.same_as(&survival::replayed(&world.events, retention)).unwrap();
        explained::all_exact(&world.state, &|_| Some(&world.catalog));
        survival::survives_a_checkpoint(&world.state, retention);
    }

    // tests: C-57
    #[test]
    fn the_charge_does_not_depend_on_how_usage_is_cut(
        group in prop::sample::select(vec![1u32, 3, 4, 8]), cuts in vec(1u64..1_500_000, 1..8),
    ) {
        let mut world = World::new();
        // With caps and discounts, on the red list: nothing is ever refused.
        for (session, parts) in [(0u8, vec![cuts.iter().sum::<u64>()]), (1, cuts.clone())] {
            let account = AccountId(10 + u64::from(session));
            let event = AccountChanged {
                at: world.now,
                account,
                subscriptions: ["capped", "saver"].iter().zip(1..).map(|(product, no)| Subscription {
                    no,
                    product: (*product).into(),
                    starts: Timestamp::EPOCH,
                    begun: true,
                    ..Subscription::default()
                }).collect(),
                ..AccountChanged::default()
            };
            let spec = AccountSpec {
                id: account,
                currency: world.catalog.currency(),
                balance: Money::ZERO,
                credit_limit: Money::ZERO,
                never_stop: true,
                allowances: Vec::new(),
            };
            world.execute(&Command::CreateAccount(spec));
            world.apply(Event::AccountChanged(Box::new(event)));
            let name = World::name(session);
            let key = SessionKey::of(name.as_bytes());
            let quota = QuotaKey { rating_group: Some(group), ..QuotaKey::default() };
            let ask = ServiceRequest { key: quota, want: Some(Want::Any), ..ServiceRequest::default() };
            world.interrogate(key, &name, Some(account), RequestKind::Initial, MemberNo::SHARED, vec![ask.clone()]);
            for octets in parts {
                let used = ServiceRequest { used: Some(Used { octets, ..Used::default() }), ..ask.clone() };
                world.number += 1;
                world.interrogate(key, &name, None, RequestKind::Update, MemberNo::SHARED, vec![used]);
            }
        }
        let account = |id| world.state.account(AccountId(id)).unwrap();
        prop_assert_eq!(account(10).debited, account(11).debited);
        let used = |id| account(id).profile.as_deref().unwrap().counters.iter()
            .map(|counter| (counter.name.to_string(), counter.used)).collect::<Vec<_>>();
        prop_assert_eq!(used(10), used(11));
    }
}
