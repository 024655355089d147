//! Lives of accounts in a store: what is due is done before an account is used, and by the background, and survives a start.

use std::sync::Arc;

use tollgate::{
    charging::{
        Account, AccountSpec, Command, CreditCommand, CreditKind, Interrogation, Manage, ManageCommand, RequestKind,
        Retention, ServiceRequest, Subscriber, SubscriberSpec, Used, Verdict, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::MemoryDisk,
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::Money,
};

const DAY: u64 = 86_400;
const START: u64 = 1_790_000_000;

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 10_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(include_str!("charging_tables/plans.toml")).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn line() -> Identity {
    Identity::new(IdentityKind::E164, "8613900000001").unwrap()
}

/// Account 1 with a line and a plan.
fn provisioned(disk: &MemoryDisk, clock: &Arc<ManualClock>, plan: &str) -> Store<MemoryDisk> {
    let store = open(disk.clone(), clock);
    let id = AccountId(1);
    let spec = AccountSpec {
        id,
        currency: store.catalog().currency(),
        balance: Money::from_micros(8_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    drop(store.account_command(id, &Command::CreateAccount(spec)));
    let subscriber = Subscriber { id: "line".into(), identities: [line()].into() };
    drop(store.create_subscriber(SubscriberSpec { account: id, subscriber }));
    let what = Manage::SetPlan(Some(plan));
    drop(
        store
            .account_command(id, &Command::Manage(ManageCommand { account: id, request_id: "", reason: "test", what })),
    );
    store
}

/// A request of session S. Only the first one names the line.
fn ask(store: &Store<MemoryDisk>, kind: RequestKind, number: u32, group: u32, used: u64) -> Vec<Verdict> {
    let session_id = b"S";
    let key = SessionKey::of(session_id);
    let names = if kind == RequestKind::Initial { vec![line()] } else { Vec::new() };
    let catalog = store.catalog();
    let pending = store.charge(&names, key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id,
            key,
            account,
            kind,
            number,
            context: catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw",
            origin_realm: "example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(group), ..QuotaKey::default() },
                used: Some(Used { octets: used, ..Used::default() }).filter(|used| used.octets > 0),
                want: Some(Want::Any),
                ..ServiceRequest::default()
            }],
            ..Interrogation::default()
        })
    });
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    let answer = store.mark().admit(pending).map_err(drop).unwrap().into_inner().answer;
    answer.replies.iter().map(|reply| reply.verdict).collect()
}

fn account(store: &Store<MemoryDisk>) -> Account {
    let pending = store.account(AccountId(1)).unwrap();
    store.mark().wait_for_blocking(store.last_position()).unwrap();
    store.mark().admit(pending).map_err(drop).unwrap().into_inner()
}

#[test]
fn a_life_ends_before_a_request_that_names_nobody_is_decided() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let store = provisioned(&MemoryDisk::new(), &clock, "prepaid");
    clock.advance_secs(30 * DAY - 60);
    assert_eq!(ask(&store, RequestKind::Initial, 0, 10, 0), [Verdict::Success]);
    assert!(!account(&store).is_lapsed());
    clock.advance_secs(60);
    assert_eq!(ask(&store, RequestKind::Update, 1, 10, 1 << 20), [Verdict::CreditLimitReached]);
    let after = account(&store);
    assert!(after.is_lapsed());
    assert_eq!(after.balance(), Money::from_micros(7_900_000));
    store.check().unwrap();
}

#[test]
fn the_first_use_begins_a_life_and_a_free_service_does_not() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let disk = MemoryDisk::new();
    let store = provisioned(&disk, &clock, "starter");
    clock.advance_secs(100 * DAY);
    assert_eq!(store.catch_up_accounts(10), 0);
    assert_eq!(ask(&store, RequestKind::Initial, 0, 40, 0), [Verdict::Success]);
    assert!(account(&store).waits_for_use());
    assert_eq!(ask(&store, RequestKind::Update, 1, 10, 0), [Verdict::Success]);
    let life = account(&store).life().cloned().unwrap();
    assert_eq!(life.activated, Some(Timestamp::from_secs(START + 100 * DAY)));
    assert_eq!(life.valid_until, Some(Timestamp::from_secs(START + 130 * DAY)));
}

#[test]
fn the_background_ends_lives_and_gifts_also_after_a_start() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let disk = MemoryDisk::new();
    let store = provisioned(&disk, &clock, "prepaid");
    let top_up = || CreditCommand {
        account: AccountId(1),
        kind: CreditKind::TopUp(Money::from_micros(10_000_000)),
        currency: None,
        request_id: "pay",
    };
    drop(store.credit(top_up()));
    assert_eq!(account(&store).balance(), Money::from_micros(19_000_000));
    drop(store);
    clock.advance_secs(8 * DAY);
    let store = open(disk.clone(), &clock);
    assert_eq!(store.catch_up_accounts(10), 1, "the gift runs out");
    assert_eq!(store.catch_up_accounts(10), 0);
    assert_eq!(account(&store).balance(), Money::from_micros(18_000_000));
    // The same top-up once more brings nothing.
    drop(store.credit(top_up()));
    assert_eq!(account(&store).balance(), Money::from_micros(18_000_000));
    // Valid for 40 days with the top-up, and ten days of grace.
    clock.advance_secs(42 * DAY);
    assert_eq!(store.catch_up_accounts(10), 1);
    assert_eq!(store.catch_up_accounts(10), 0);
    assert_eq!(account(&store).state, tollgate::charging::AccountState::Terminated);
    drop(store);
    let store = open(disk, &clock);
    assert_eq!(account(&store).balance(), Money::from_micros(18_000_000), "what is left stays on the books");
    assert_eq!(store.catch_up_accounts(10), 0);
    store.check().unwrap();
}

/// A limit suspends by telling so; an operator's "active" lifts that, and shows a stop that came meanwhile.
#[test]
fn an_operator_lifts_a_suspension_by_a_limit() {
    use tollgate::charging::{AccountChanged, AccountState, Event, LifeStep, Notice, NoticeKind, State, decide};
    let catalog = Catalog::from_toml(include_str!("charging_tables/plans.toml")).unwrap();
    let (mut state, at, account) = (State::new(Retention::default()), Timestamp::from_secs(START), AccountId(1));
    let run = |state: &mut State, command: &Command<'_>, at| {
        let event = decide(state, &catalog, command, at).event.unwrap();
        state.apply(&event);
        state.check().unwrap();
    };
    let spec = AccountSpec {
        id: account,
        currency: catalog.currency(),
        balance: Money::from_micros(8_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    run(&mut state, &Command::CreateAccount(spec), at);
    let what = Manage::SetPlan(Some("prepaid"));
    run(&mut state, &Command::Manage(ManageCommand { account, request_id: "", reason: "test", what }), at);
    let kind = NoticeKind::Life { step: LifeStep::Suspended, until: None };
    let notices = vec![Notice { account, at, balance: Money::ZERO, kind }];
    let suspended = AccountChanged { at, account, notices, ..AccountChanged::default() };
    state.apply(&Event::AccountChanged(Box::new(suspended)));
    assert_eq!(state.account(account).unwrap().state, AccountState::Suspended);
    let activate = Command::SetState { account, state: AccountState::Active, reason: "test" };
    run(&mut state, &activate, at);
    assert_eq!(state.account(account).unwrap().state, AccountState::Active);
}
