//! Random lives of accounts with plans and gifts: no money is lost or doubled, stops and reconnects alternate, nobody who is
//! valid and can pay is stopped, everything happens once, and the events replayed give the same state.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};
use tollgate::{
    charging::{
        AccountSpec, AccountState, BucketKind, Command, CreditCommand, CreditKind, Event, EventAction, EventRequest,
        Extension, Interrogation, LifeStep, Manage, ManageCommand, NoticeKind, Outcome, RequestKind, Retention,
        ServiceRequest, State, Used, Want, begins_use, decide,
    },
    ids::{AccountId, QuotaKey, SessionKey},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

use crate::{explained, survival};

const ACCOUNTS: u64 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A request of a session: what is used of what was granted, in percent.
    Session {
        account: u64,
        session: u8,
        group: u32,
        percent: u64,
        last: bool,
    },
    Event {
        account: u64,
        number: u32,
        refund: bool,
    },
    TopUp {
        account: u64,
        cents: i64,
        id: u8,
    },
    Adjust {
        account: u64,
        cents: i64,
        id: u8,
    },
    Allowance {
        account: u64,
        id: u8,
    },
    Plan {
        account: u64,
        plan: Option<&'static str>,
    },
    Limit {
        account: u64,
        cents: i64,
    },
    RedList {
        account: u64,
        on: bool,
    },
    Extend {
        account: u64,
        days: u64,
    },
    State {
        account: u64,
        suspended: bool,
    },
    Wait {
        hours: u64,
    },
    /// The background comes to an account.
    CatchUp {
        account: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let account = || 1..=ACCOUNTS;
    let plans = select(vec![None, Some("prepaid"), Some("starter"), Some("contract"), Some("prepaid")]);
    prop_oneof![
        6 => (account(), 0u8..3, select(vec![10, 10, 40]), 0u64..130, any::<bool>()).prop_map(
            |(account, session, group, percent, last)| Step::Session { account, session, group, percent, last }
        ),
        2 => (account(), 0u32..4, any::<bool>()).prop_map(|(account, number, refund)| Step::Event { account, number, refund }),
        4 => (account(), select(vec![1, 499, 500, 1_000, 2_000, 3_000, 5_000, 10_000]), 0u8..30)
            .prop_map(|(account, cents, id)| Step::TopUp { account, cents, id }),
        2 => (account(), -6_000i64..1_000, 30u8..60).prop_map(|(account, cents, id)| Step::Adjust { account, cents, id }),
        1 => (account(), 60u8..70).prop_map(|(account, id)| Step::Allowance { account, id }),
        3 => (account(), plans).prop_map(|(account, plan)| Step::Plan { account, plan }),
        1 => (account(), 0i64..1_000).prop_map(|(account, cents)| Step::Limit { account, cents }),
        1 => (account(), any::<bool>()).prop_map(|(account, on)| Step::RedList { account, on }),
        1 => (account(), 1u64..20).prop_map(|(account, days)| Step::Extend { account, days }),
        1 => (account(), any::<bool>()).prop_map(|(account, suspended)| Step::State { account, suspended }),
        4 => prop_oneof![0u64..3, 20u64..400].prop_map(|hours| Step::Wait { hours }),
        2 => account().prop_map(|account| Step::CatchUp { account }),
    ]
}

struct World {
    catalog: Catalog,
    state: State,
    now: Timestamp,
    events: Vec<Event>,
    numbers: u32,
    /// Whether the line of an account was closed by what provisioning was told.
    stopped: BTreeMap<u64, bool>,
    ended: BTreeMap<u64, u32>,
}

impl World {
    fn new() -> Self {
        let catalog = Catalog::from_toml(include_str!("charging_tables/plans.toml")).unwrap();
        let mut world = Self {
            catalog,
            state: State::new(Retention::default()),
            now: Timestamp::from_secs(1_000_000),
            events: Vec::new(),
            numbers: 0,
            stopped: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        for id in 1..=ACCOUNTS {
            let spec = AccountSpec {
                id: AccountId(id),
                currency: world.catalog.currency(),
                balance: Money::from_micros(3_000_000),
                credit_limit: Money::ZERO,
                never_stop: false,
                allowances: Vec::new(),
            };
            world.execute(&Command::CreateAccount(spec));
        }
        world
    }

    fn take(&mut self, command: &Command<'_>) -> (Outcome, bool) {
        let decided = decide(&self.state, &self.catalog, command, self.now);
        let changed = decided.event.is_some();
        if let Some(event) = decided.event {
            self.hear(&event);
            self.state.apply(&event);
            self.events.push(event);
        }
        self.state.check().unwrap_or_else(|violation| panic!("{command:?}: {violation}"));
        (decided.outcome, changed)
    }

    /// As the store does it: what is due comes first.
    fn execute(&mut self, command: &Command<'_>) -> (Outcome, bool) {
        let payer = match command {
            Command::Interrogate(request) => request.account,
            Command::ChargeEvent(request) => request.account,
            Command::Credit(request) => Some(request.account),
            Command::Manage(request) => Some(request.account),
            _ => None,
        };
        if let Some(payer) = payer.and_then(|payer| self.state.account(payer)) {
            let begins = begins_use(&self.state, &self.catalog, payer, command) && payer.waits_for_use();
            self.catch_up(payer.id, begins);
        }
        self.take(command)
    }

    fn catch_up(&mut self, account: AccountId, use_begins: bool) {
        let mut rounds = 0;
        while self.state.must_catch_up(account, use_begins, self.now) {
            let (_, changed) = self.take(&Command::CatchUp { account, use_begins });
            rounds += 1;
            assert!(changed && rounds < 100, "what is due is done, and then it is not due any more");
        }
    }

    /// What provisioning is told.
    fn hear(&mut self, event: &Event) {
        for notice in event.notices() {
            let account = notice.account.0;
            match notice.kind {
                NoticeKind::CreditStop => assert_ne!(self.stopped.insert(account, true), Some(true), "stopped twice"),
                NoticeKind::Reconnect => assert_eq!(self.stopped.insert(account, false), Some(true), "not stopped"),
                NoticeKind::Life { step: LifeStep::Ended, .. } => *self.ended.entry(account).or_default() += 1,
                _ => {}
            }
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Session { account, session, group, percent, last } => {
                // Ended sessions are remembered for a while: some requests name one of those.
                let id = format!("gw;{account};{session};{}", self.now.secs() / 100_000);
                let key = SessionKey::of(id.as_bytes());
                let running = self.state.session_by_id(key, id.as_bytes());
                let quota = running.and_then(|it| it.quotas.iter().find(|it| it.key.rating_group == Some(*group)));
                let used = quota.map(|quota| Used { octets: quota.granted / 100 * percent, ..Used::default() });
                let kind = match (running.is_some(), last) {
                    (false, _) => RequestKind::Initial,
                    (true, false) => RequestKind::Update,
                    (true, true) => RequestKind::Termination,
                };
                self.numbers += 1;
                let service = ServiceRequest {
                    key: QuotaKey { rating_group: Some(*group), ..QuotaKey::default() },
                    used,
                    want: Some(Want::Any).filter(|_| kind != RequestKind::Termination),
                    ..ServiceRequest::default()
                };
                self.execute(&Command::Interrogate(Interrogation {
                    session_id: id.as_bytes(),
                    key,
                    account: Some(AccountId(*account)),
                    kind,
                    number: if kind == RequestKind::Initial { 0 } else { self.numbers },
                    context: self.catalog.context("32251@3gpp.org"),
                    context_name: "32251@3gpp.org",
                    origin_host: "gw.example",
                    origin_realm: "example",
                    services: vec![service],
                    ..Interrogation::default()
                }));
            }
            Step::Event { account, number, refund } => {
                let id = format!("smsc;{account};{}", number / 2);
                self.execute(&Command::ChargeEvent(EventRequest {
                    session_id: id.as_bytes(),
                    key: SessionKey::of(id.as_bytes()),
                    number: number % 2,
                    account: Some(AccountId(*account)),
                    action: if *refund { EventAction::Refund } else { EventAction::Debit },
                    context: self.catalog.context("32274@3gpp.org"),
                    ..EventRequest::default()
                }));
            }
            Step::TopUp { account, cents, id } => {
                self.credit(*account, *id, || CreditKind::TopUp(Money::from_micros(cents * 10_000)));
            }
            Step::Adjust { account, cents, id } => {
                self.credit(*account, *id, || CreditKind::Adjustment(Money::from_micros(cents * 10_000), "test"));
            }
            Step::Allowance { account, id } => {
                self.credit(*account, *id, || CreditKind::Allowance("data-5"));
            }
            Step::Plan { account, plan } => self.manage(*account, || Manage::SetPlan(*plan)),
            Step::Limit { account, cents } => {
                self.manage(*account, || Manage::SetCreditLimit(Money::from_micros(cents * 10_000)));
            }
            Step::RedList { account, on } => self.manage(*account, || Manage::SetNeverStop(*on)),
            Step::Extend { account, days } => {
                let by = Extension::By(days * 86_400);
                let command = ManageCommand {
                    account: AccountId(*account),
                    request_id: "",
                    reason: "test",
                    what: Manage::ExtendValidity(by),
                };
                self.execute(&Command::Manage(command));
            }
            Step::State { account, suspended } => {
                let state = if *suspended { AccountState::Suspended } else { AccountState::Active };
                self.execute(&Command::SetState { account: AccountId(*account), state, reason: "test" });
            }
            Step::Wait { hours } => {
                self.now = self.now.plus_secs(hours * 3_600);
                for no in self.state.due(self.now, usize::MAX) {
                    self.take(&Command::ExpireSession(no));
                }
            }
            Step::CatchUp { account } => {
                self.catch_up(AccountId(*account), false);
                assert!(!self.state.due_accounts(self.now, usize::MAX).contains(&AccountId(*account)));
            }
        }
    }

    /// A credit, and the same once more: that changes nothing.
    fn credit<'a>(&mut self, account: u64, id: u8, kind: impl Fn() -> CreditKind<'a>) {
        let request_id = format!("r{id}");
        let currency = Some(self.catalog.currency());
        let command = || {
            Command::Credit(CreditCommand {
                account: AccountId(account),
                kind: kind(),
                currency,
                request_id: &request_id,
            })
        };
        let (outcome, _) = self.execute(&command());
        let (again, changed) = self.execute(&command());
        assert_eq!(again, outcome);
        assert!(!changed, "a credit is done once");
    }

    /// A change of terms, and the same once more: that changes nothing.
    fn manage<'a>(&mut self, account: u64, what: impl Fn() -> Manage<'a>) {
        let command = || {
            Command::Manage(ManageCommand { account: AccountId(account), request_id: "", reason: "test", what: what() })
        };
        self.execute(&command());
        let (_, changed) = self.execute(&command());
        assert!(!changed, "a change is done once");
    }

    /// Whoever is stopped is so for a reason.
    fn nobody_is_stopped_wrongly(&self) {
        for account in self.state.accounts() {
            let usable = account.buckets.iter().filter(|it| it.kind == BucketKind::Money && it.is_valid(self.now));
            let usable: i64 = usable.map(|bucket| bucket.amount).sum();
            let units = |it: &&tollgate::charging::Bucket| {
                it.kind != BucketKind::Money && it.amount > 0 && it.is_valid(self.now)
            };
            let can_pay = usable + account.credit_limit.micros() > 0 || account.buckets.iter().any(|it| units(&it));
            let may_be_used = account.never_stop || !account.is_lapsed() && can_pay;
            if account.state != AccountState::Terminated {
                assert!(!(account.credit_stopped && may_be_used), "stopped without a reason: {account:?}");
            }
            assert!(!account.is_lapsed() || account.credit_stopped, "lapsed and not stopped: {account:?}");
            assert_eq!(self.stopped.get(&account.id.0).copied().unwrap_or(false), account.credit_stopped);
            let ended = self.ended.get(&account.id.0).copied().unwrap_or(0);
            assert_eq!(ended, u32::from(account.state == AccountState::Terminated), "told that it ended, once");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lives_are_orderly(steps in vec(steps(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.nobody_is_stopped_wrongly();
        }
        explained::all_exact(&world.state, &|_| Some(&world.catalog));
        survival::survives_a_checkpoint(&world.state, Retention::default());
        world.state.same_as(&survival::replayed(&world.events, Retention::default())).unwrap();
        // In the end nothing is held, and all money that could run out has gone.
        world.now = world.now.plus_secs(400 * 86_400);
        for no in world.state.due(world.now, usize::MAX) {
            world.take(&Command::ExpireSession(no));
        }
        for id in 1..=ACCOUNTS {
            world.catch_up(AccountId(id), false);
        }
        world.nobody_is_stopped_wrongly();
        prop_assert!(world.state.due_accounts(world.now, usize::MAX).is_empty());
        for account in world.state.accounts().filter(|account| account.state != AccountState::Terminated) {
            prop_assert_eq!(account.reserved(), Money::ZERO);
            prop_assert!(account.buckets.iter().all(|bucket| bucket.runs_out().is_none()));
        }
        world.state.same_as(&survival::replayed(&world.events, Retention::default())).unwrap();
    }
}
