//! Shared accounts in random lives: members never take together more than there is, nor one of them more than its terms
//! allow; and who leaves is free to go elsewhere, whenever the power fails.

use std::{collections::BTreeMap, sync::Arc};

use tollgate::{
    charging::{
        Account, AccountSpec, BucketKind, Command, CreditCommand, CreditKind, Event, Interrogation, Manage,
        ManageCommand, Measure, MemberLimit, MemberNo, Outcome, PayOrder, Refusal, RequestKind, Retention,
        ServiceRequest, State, Subscriber, SubscriberSpec, Used, Verdict, Want, decide,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::{MemoryDisk, Pending},
    rating::{Catalog, Period},
    store::{CreateSubscriberError, Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::{Money, UnitKind},
};

use crate::{charging_property::CATALOG, dice::Dice, explained, survival};

const ACCOUNT: AccountId = AccountId(1);
const DAY_SECS: u64 = 86_400;

fn identity(number: u64) -> Identity {
    Identity::new(IdentityKind::E164, &format!("86139{number:08}")).unwrap()
}

fn subscriber(name: &str, number: u64) -> Subscriber {
    Subscriber { id: name.into(), identities: [identity(number)].into() }
}

fn manage<'a>(request_id: &'a str, what: Manage<'a>) -> Command<'a> {
    Command::Manage(ManageCommand { account: ACCOUNT, request_id, reason: "a test", what })
}

/// One account and whoever uses it, decided and applied without a store.
struct Life {
    catalog: Catalog,
    state: State,
    events: Vec<Event>,
    now: Timestamp,
    /// What each member has taken of what is shared, by day and measure, as the events say.
    taken: BTreeMap<(u32, u64, bool), i64>,
    asked: u32,
}

impl Life {
    fn new(balance: i64) -> Self {
        let mut life = Self {
            catalog: Catalog::from_toml(CATALOG).unwrap(),
            state: State::new(Retention::default()),
            events: Vec::new(),
            now: Timestamp::from_secs(1_000_000 * DAY_SECS / 50),
            taken: BTreeMap::new(),
            asked: 0,
        };
        life.execute(&Command::CreateAccount(AccountSpec {
            id: ACCOUNT,
            currency: life.catalog.currency(),
            balance: Money::from_micros(balance),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        }));
        life
    }

    fn execute(&mut self, command: &Command<'_>) -> Outcome {
        let decided = decide(&self.state, &self.catalog, command, self.now);
        if let Some(event) = decided.event {
            self.look_at(&event);
            self.state.apply(&event);
            self.events.push(event);
        }
        self.state.check().unwrap();
        decided.outcome
    }

    /// Who pays for what a member uses, and how much of it is shared.
    fn look_at(&mut self, event: &Event) {
        let Event::Interrogated(event) = event else { return };
        let account = self.state.account(ACCOUNT).unwrap();
        let session = self.state.session(event.session);
        let no = session.map_or_else(|| event.opening.as_ref().unwrap().member, |session| session.member);
        let order = account.profile.as_ref().and_then(|it| it.member(no)).map_or(PayOrder::SharedOnly, |it| it.order);
        for draw in event.steps.iter().flat_map(|step| step.debits.iter().chain(&step.holds)) {
            let Some(bucket) = account.bucket(draw.bucket) else { continue };
            let may = match order {
                _ if bucket.owner == MemberNo::SHARED => order != PayOrder::OwnOnly,
                PayOrder::SharedOnly => false,
                _ => bucket.owner == no,
            };
            assert!(may, "{order:?}: member {no:?} pays from {bucket:?}");
        }
        for draw in event.steps.iter().flat_map(|step| &step.debits) {
            let Some(bucket) = account.bucket(draw.bucket).filter(|it| it.owner == MemberNo::SHARED) else { continue };
            let key = (no.0, self.now.secs() / DAY_SECS, bucket.kind == BucketKind::Money);
            *self.taken.entry(key).or_default() += draw.amount;
        }
    }

    fn manage(&mut self, what: Manage<'_>) -> Outcome {
        self.asked += 1;
        let request_id = format!("r{}", self.asked);
        self.execute(&manage(&request_id, what))
    }

    fn credit(&mut self, kind: CreditKind<'_>) {
        self.asked += 1;
        let request_id = format!("r{}", self.asked);
        self.execute(&Command::Credit(CreditCommand {
            account: ACCOUNT,
            kind,
            currency: None,
            request_id: &request_id,
        }));
    }

    /// A request of an honest client. Returns what was granted of the group.
    fn request(&mut self, session: &str, number: u64, kind: RequestKind, count: u32, group: u32, used: u64) -> u64 {
        let account = self.state.account(ACCOUNT).unwrap();
        let member = account.member_with(&[identity(number)]);
        let outcome = self.execute(&Command::Interrogate(Interrogation {
            session_id: session.as_bytes(),
            key: SessionKey::of(session.as_bytes()),
            account: account_if_known(account, number),
            kind,
            number: count,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "pgw.example",
            origin_realm: "example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(group), ..QuotaKey::default() },
                used: (used > 0).then_some(Used { octets: used, ..Used::default() }),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                ..ServiceRequest::default()
            }],
            member,
            ..Interrogation::default()
        }));
        let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
        answer.replies.first().and_then(|reply| reply.grant).map_or(0, |grant| grant.amount)
    }
}

fn account_if_known(account: &tollgate::charging::Account, number: u64) -> Option<AccountId> {
    account.identities().any(|known| *known == identity(number)).then_some(ACCOUNT)
}

struct Running {
    name: String,
    number: u64,
    group: u32,
    count: u32,
    granted: u64,
}

/// Members with their limits by day: of money and of octets.
fn join(life: &mut Life, dice: &mut Dice, number: u64, limits: &mut BTreeMap<u32, [Option<i64>; 2]>) {
    let name = format!("line-{number}");
    let spec = SubscriberSpec { account: ACCOUNT, subscriber: subscriber(&name, number) };
    life.execute(&Command::CreateSubscriber(spec));
    let orders = [PayOrder::OwnFirst, PayOrder::SharedFirst, PayOrder::OwnOnly, PayOrder::SharedOnly];
    let money = (dice.below(2) == 0).then(|| dice.below(120_000) as i64);
    let octets = (dice.below(2) == 0).then(|| dice.below(4_000_000) as i64);
    let limit = |measure, amount| MemberLimit { period: Period::Day, measure, amount };
    let limits_of =
        [money.map(|it| limit(Measure::Money, it)), octets.map(|it| limit(Measure::Units(UnitKind::Octets), it))];
    let order = orders[dice.below(4) as usize];
    let what = Manage::SetMember { subscriber: &name, order, limits: limits_of.into_iter().flatten().collect() };
    assert!(matches!(life.manage(what), Outcome::Credited { .. }));
    let account = life.state.account(ACCOUNT).unwrap();
    limits.insert(account.member_with(&[identity(number)]).0, [money, octets]);
}

#[test]
fn members_never_overspend_together() {
    for seed in 0..48 {
        let mut dice = Dice(seed);
        let mut life = Life::new(dice.below(600_000) as i64);
        let mut limits = BTreeMap::new();
        (0..6).for_each(|number| join(&mut life, &mut dice, number, &mut limits));
        let (mut running, mut opened, mut lines) = (Vec::<Running>::new(), 0, 6u64);
        let small = life.catalog.allowance("small").unwrap().clone();
        for _ in 0..150 {
            let number = dice.below(lines);
            let name = format!("line-{number}");
            match dice.below(16) {
                0..=3 => {
                    opened += 1;
                    let (session, group) = (format!("s{opened}"), [1, 2, 3, 8][dice.below(4) as usize]);
                    let granted = life.request(&session, number, RequestKind::Initial, 0, group, 0);
                    running.push(Running { name: session, number, group, count: 0, granted });
                }
                4..=10 if !running.is_empty() => {
                    let place = dice.below(running.len() as u64) as usize;
                    let Running { name, number, group, count, granted } = &mut running[place];
                    let used = if dice.below(3) == 0 { *granted } else { dice.below(*granted + 1) };
                    let ends = dice.below(4) == 0;
                    let kind = if ends { RequestKind::Termination } else { RequestKind::Update };
                    *count += 1;
                    *granted = life.request(name, *number, kind, *count, *group, used);
                    if ends {
                        running.remove(place);
                    }
                }
                11 => life.credit(CreditKind::TopUp(Money::from_micros(dice.below(80_000) as i64 + 1))),
                12 => {
                    let amount = Money::from_micros(dice.below(80_000) as i64 + 1);
                    life.credit(CreditKind::MemberTopUp { subscriber: &name, amount });
                }
                13 if dice.below(2) == 0 => life.credit(CreditKind::Allowance(&small.name)),
                13 => life.credit(CreditKind::MemberAllowance { subscriber: &name, allowance: &small.name }),
                14 if dice.below(3) == 0 => {
                    let before = life.state.account(ACCOUNT).unwrap().balance();
                    let no = life.state.account(ACCOUNT).unwrap().member_with(&[identity(number)]);
                    if let Outcome::Credited { balance, .. } = life.manage(Manage::RemoveMember { subscriber: &name }) {
                        // Nothing is lost, and nothing of it is left behind.
                        assert_eq!(balance, before);
                        let account = life.state.account(ACCOUNT).unwrap();
                        assert!(account.buckets.iter().all(|bucket| bucket.owner != no));
                        assert!(account.profile.as_ref().unwrap().counters.iter().all(|counter| counter.member != no));
                        assert!(life.state.sessions().all(|session| session.member != no));
                        assert!(account.identities().all(|known| *known != identity(number)));
                        running.retain(|session| session.number != number);
                        join(&mut life, &mut dice, lines, &mut limits);
                        lines += 1;
                    }
                }
                _ => life.now = life.now.plus_secs(dice.below(5_000)),
            }
            let account = life.state.account(ACCOUNT).unwrap();
            for bucket in account.buckets.iter().filter(|bucket| bucket.is_valid(life.now)) {
                assert!(bucket.amount >= bucket.reserved, "seed {seed}: {bucket:?}");
            }
            for ((no, day, is_money), taken) in &life.taken {
                let limit = limits.get(no).and_then(|of| of[usize::from(!is_money)]);
                assert!(limit.is_none_or(|limit| *taken <= limit), "seed {seed}: {taken} of {limit:?} on day {day}");
            }
        }
        life.state.same_as(&survival::replayed(&life.events, Retention::default())).unwrap();
        explained::all_exact(&life.state, &|_| Some(&life.catalog));
        survival::survives_a_checkpoint(&life.state, Retention::default());
        assert!(life.taken.values().any(|taken| *taken > 0), "seed {seed}: nobody took anything");
    }
}

/// A company: a thousand lines, each with a session that holds something.
#[test]
fn a_thousand_members_use_one_account() {
    const LINES: u64 = 1_000;
    let mut life = Life::new(1_000_000_000);
    life.state = State::new(Retention { account_sessions_max: 2_000, ..Retention::default() });
    let spec = life.events.clone();
    spec.iter().for_each(|event| life.state.apply(event));
    for number in 0..LINES {
        let name = format!("line-{number}");
        let subscriber = subscriber(&name, number);
        apply(&mut life, &Command::CreateSubscriber(SubscriberSpec { account: ACCOUNT, subscriber }));
        let limit = MemberLimit { period: Period::Day, measure: Measure::Money, amount: 1_000_000 };
        let what = Manage::SetMember { subscriber: &name, order: PayOrder::OwnFirst, limits: vec![limit] };
        apply(&mut life, &manage(&format!("m{number}"), what));
    }
    let context = life.catalog.context("32251@3gpp.org");
    for number in 0..LINES {
        let (id, members) = (format!("s{number}"), life.state.account(ACCOUNT).unwrap());
        let member = members.member_with(&[identity(number)]);
        assert_eq!(u64::from(member.0), number + 1);
        let request = |kind, count, used: u64| {
            Command::Interrogate(Interrogation {
                session_id: id.as_bytes(),
                key: SessionKey::of(id.as_bytes()),
                account: Some(ACCOUNT),
                kind,
                number: count,
                context,
                context_name: "32251@3gpp.org",
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                    used: (used > 0).then_some(Used { octets: used, ..Used::default() }),
                    want: Some(Want::Any),
                    ..ServiceRequest::default()
                }],
                member,
                ..Interrogation::default()
            })
        };
        apply(&mut life, &request(RequestKind::Initial, 0, 0));
        apply(&mut life, &request(RequestKind::Update, 1, 1_000_000));
    }
    life.state.check().unwrap();
    let account = life.state.account(ACCOUNT).unwrap();
    // 0.01 each was used, and 0.10 each is held.
    assert_eq!((account.balance().micros(), account.reserved().micros()), (1_000_000_000 - 10_000_000, 100_000_000));
    assert_eq!(account.sessions.len(), LINES as usize);
}

/// As [`Life::execute`], without checking all of the state each time.
fn apply(life: &mut Life, command: &Command<'_>) {
    let decided = decide(&life.state, &life.catalog, command, life.now);
    assert!(!matches!(decided.outcome, Outcome::Refused(_)), "{:?}", decided.outcome);
    life.state.apply(&decided.event.unwrap());
}

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings { partitions: 4, segment_bytes: 64 << 10, outbox_keep: 10_000, ..Settings::default() };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn durable<T>(store: &Store<MemoryDisk>, pending: Pending<T>) -> T {
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.mark().admit(pending).map_err(drop).unwrap().into_inner()
}

fn new_account(store: &Store<MemoryDisk>, id: u64) {
    let spec = AccountSpec {
        id: AccountId(id),
        currency: store.catalog().currency(),
        balance: Money::from_micros(1_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    durable(store, store.account_command(AccountId(id), &Command::CreateAccount(spec))).unwrap();
}

fn add(store: &Store<MemoryDisk>, account: u64, name: &str, number: u64) -> Result<(), CreateSubscriberError> {
    let spec = SubscriberSpec { account: AccountId(account), subscriber: subscriber(name, number) };
    durable(store, store.create_subscriber(spec)).map(drop)
}

fn ask(store: &Store<MemoryDisk>, number: u64, session: &str, kind: RequestKind, count: u32) -> Verdict {
    let key = SessionKey::of(session.as_bytes());
    let answered = store.charge(&[identity(number)], key, kind, count, |account| {
        Command::Interrogate(Interrogation {
            session_id: session.as_bytes(),
            key,
            account,
            kind,
            number: count,
            context: store.catalog().context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                want: Some(Want::Any),
                ..ServiceRequest::default()
            }],
            ..Interrogation::default()
        })
    });
    durable(store, answered).answer.verdict
}

fn remove(store: &Store<MemoryDisk>, account: u64, subscriber: &str, request_id: &str) -> Result<(), Refusal> {
    let (account, what) = (AccountId(account), Manage::RemoveSubscriber { subscriber });
    let command = Command::Manage(ManageCommand { account, request_id, reason: "moves", what });
    durable(store, store.account_command(account, &command)).map(drop)
}

#[test]
fn who_leaves_may_go_elsewhere_also_after_a_crash() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), &clock);
    new_account(&store, 1);
    new_account(&store, 2);
    add(&store, 1, "anna", 7).unwrap();
    add(&store, 1, "bob", 8).unwrap();
    let what = Manage::SetMember { subscriber: "anna", order: PayOrder::OwnFirst, limits: Vec::new() };
    durable(&store, store.account_command(ACCOUNT, &manage("m1", what))).unwrap();
    assert_eq!(ask(&store, 7, "s1", RequestKind::Initial, 0), Verdict::Success);
    let held =
        |store: &Store<MemoryDisk>, id| durable(store, store.account(AccountId(id)).unwrap()).reserved().micros();
    assert_eq!(held(&store, 1), 100_000);
    assert!(matches!(add(&store, 2, "anna", 7), Err(CreateSubscriberError::IdentityTaken(_))));

    durable(&store, store.account_command(ACCOUNT, &manage("m2", Manage::RemoveMember { subscriber: "anna" })))
        .unwrap();
    assert_eq!((held(&store, 1), store.account_of(&identity(7))), (0, None));
    assert_eq!(ask(&store, 7, "s2", RequestKind::Initial, 0), Verdict::UserUnknown);
    assert_eq!(ask(&store, 7, "s1", RequestKind::Update, 1), Verdict::UnknownSession);
    assert_eq!(store.account_of(&identity(8)), Some(ACCOUNT));
    add(&store, 2, "anna", 7).unwrap();
    assert_eq!(ask(&store, 7, "s3", RequestKind::Initial, 0), Verdict::Success);
    assert_eq!((held(&store, 1), held(&store, 2)), (0, 100_000));

    let after = disk.kill();
    drop(store);
    let store = open(after, &clock);
    store.check().unwrap();
    assert_eq!(store.account_of(&identity(7)), Some(AccountId(2)));
    assert_eq!(ask(&store, 7, "s3", RequestKind::Update, 1), Verdict::Success);
    // And back again.
    remove(&store, 2, "anna", "r1").unwrap();
    assert_eq!(ask(&store, 7, "s4", RequestKind::Initial, 0), Verdict::UserUnknown);
    add(&store, 1, "anna", 7).unwrap();
    assert_eq!(held(&store, 2), 0, "the only line's session ended with it");
}

#[test]
fn lines_that_move_between_accounts_are_never_in_two_whenever_the_power_fails() {
    const ACCOUNTS: u64 = 5;
    const LINES: u64 = 8;
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let mut disk = MemoryDisk::new();
        let mut store = open(disk.clone(), &clock);
        (1..=ACCOUNTS).for_each(|id| new_account(&store, id));
        for round in 0..8 {
            for step in 0..dice.below(24) {
                let (line, account) = (dice.below(LINES), dice.below(ACCOUNTS) + 1);
                let (name, id) = (format!("line-{line}"), format!("{round}-{step}"));
                // Not durable: what is lost is lost together.
                if dice.below(2) == 0 {
                    let spec = SubscriberSpec { account: AccountId(account), subscriber: subscriber(&name, line) };
                    drop(store.create_subscriber(spec));
                } else if let Some(owner) = store.account_of(&identity(line)) {
                    let what = Manage::RemoveSubscriber { subscriber: &name };
                    let command = ManageCommand { account: owner, request_id: &id, reason: "moves", what };
                    drop(store.account_command(owner, &Command::Manage(command)));
                    assert_eq!(store.account_of(&identity(line)), None);
                }
                if dice.below(12) == 0 {
                    store.checkpoint().unwrap();
                }
            }
            let after = if dice.below(2) == 0 { disk.crash(seed ^ round) } else { disk.kill() };
            drop(store);
            disk = after;
            // Refuses to open if two accounts have one identity.
            store = open(disk.clone(), &clock);
            store.check().unwrap();
            let mut known = BTreeMap::new();
            store.for_each_state(|state| {
                let of =
                    |account: &Account| account.identities().map(|it| (it.clone(), account.id)).collect::<Vec<_>>();
                let all = state.accounts().flat_map(|account| of(&account));
                known.extend(all);
            });
            for line in 0..LINES {
                assert_eq!(store.account_of(&identity(line)), known.get(&identity(line)).copied(), "seed {seed}");
            }
        }
    }
}
