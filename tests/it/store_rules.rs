//! What the store adds to the core: who is meant, where a session is, who owns an identity.

use std::sync::Arc;

use tollgate::{
    charging::{
        AccountSpec, Answered, Command, CreditCommand, CreditKind, Interrogation, Refusal, RequestKind, Retention,
        ServiceRequest, Subscriber, SubscriberSpec, Used, Verdict, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::MemoryDisk,
    rating::Catalog,
    store::{CreateSubscriberError, Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::charging_property::CATALOG;

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 256 << 10,
        retention: Retention::default(),
        outbox_keep: 1_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn store() -> Store<MemoryDisk> {
    provisioned(MemoryDisk::new(), &Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000))))
}

/// With six accounts.
fn provisioned(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let store = open(disk, clock);
    for account in 1..=6 {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(10_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        let _ = store.account_command(AccountId(account), &Command::CreateAccount(spec));
        assert!(subscriber(&store, account, "1", &[e164(account)]).is_ok());
    }
    store
}

fn e164(number: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + number).to_string()).unwrap()
}

fn subscriber(
    store: &Store<MemoryDisk>,
    account: u64,
    id: &str,
    identities: &[Identity],
) -> Result<(), CreateSubscriberError> {
    let subscriber = Subscriber { id: id.into(), identities: identities.into() };
    let done = store.create_subscriber(SubscriberSpec { account: AccountId(account), subscriber });
    store.mark().wait_for_blocking(done.position()).unwrap();
    store.mark().admit(done).unwrap().into_inner().map(drop)
}

fn ask(
    store: &Store<MemoryDisk>,
    identities: &[Identity],
    kind: RequestKind,
    number: u32,
    octets: Option<u64>,
) -> Answered {
    let id = b"gw.example;7;7";
    let key = SessionKey::of(id);
    let pending = store.charge(identities, key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id: id,
            key,
            account,
            kind,
            number,
            context: store.catalog().context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), service_identifier: None, ..QuotaKey::default() },
                used: octets.map(|octets| Used { octets, ..Used::default() }),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                ..ServiceRequest::default()
            }],
            at_command_level: false,
            short_validity: false,
            ..Interrogation::default()
        })
    });
    store.mark().wait_for_blocking(pending.position()).unwrap();
    store.mark().admit(pending).unwrap().into_inner()
}

fn balance(store: &Store<MemoryDisk>, account: u64) -> (i64, i64) {
    let account = store.mark().admit(store.account(AccountId(account)).unwrap()).unwrap();
    (account.balance().micros(), account.reserved().micros())
}

// tests: I-14, C-162
#[test]
fn two_identities_of_two_accounts_open_nothing_and_lose_no_usage() {
    let store = store();
    let both = [e164(1), e164(5)];
    let refused = ask(&store, &both, RequestKind::Initial, 0, None);
    assert_eq!(refused.answer.verdict, Verdict::UserUnknown);
    assert_eq!(store.totals().sessions, 0);

    ask(&store, &[e164(1)], RequestKind::Initial, 0, None);
    let last = ask(&store, &both, RequestKind::Termination, 1, Some(1_000_000));
    assert_eq!(last.answer.verdict, Verdict::Success, "the session knows who pays");
    assert_eq!(balance(&store, 1), (9_990_000, 0));
    assert_eq!(balance(&store, 5), (10_000_000, 0));
    let again = ask(&store, &both, RequestKind::Termination, 1, Some(1_000_000));
    assert!(again.repeated && again.answer == last.answer, "a copy is a copy, whomever it names");
}

// tests: C-164, C-140
#[test]
fn a_session_is_found_without_its_subscriber_and_so_is_an_ended_one() {
    let store = store();
    ask(&store, &[e164(3)], RequestKind::Initial, 0, None);
    let update = ask(&store, &[], RequestKind::Update, 1, Some(1_000_000));
    assert_eq!(update.answer.verdict, Verdict::Success);
    let last = ask(&store, &[], RequestKind::Termination, 2, Some(1_000_000));
    let copy = ask(&store, &[], RequestKind::Termination, 2, Some(1_000_000));
    assert!(copy.repeated && copy.answer == last.answer);
    assert_eq!(balance(&store, 3), (9_980_000, 0));
}

/// A request that waited for more than two seconds is told to go elsewhere, and moves nothing, now or later.
// tests: C-21
#[test]
fn what_waited_for_too_long_is_not_decided_any_more() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let store = provisioned(MemoryDisk::new(), &clock);
    let id = b"gw.example;8;8";
    let key = SessionKey::of(id);
    let asked = |received: Timestamp| {
        let pending = store.charge_in_time(received, &[e164(2)], key, RequestKind::Initial, 0, |account, _| {
            Command::Interrogate(Interrogation {
                session_id: id,
                key,
                account,
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
        store.mark().wait_for_blocking(pending.position()).unwrap();
        store.mark().admit(pending).unwrap().into_inner().answer.verdict
    };
    let received = Timestamp::from_secs(1_000_000);
    clock.advance_secs(3);
    assert_eq!(asked(received), Verdict::TooBusy);
    assert_eq!(tollgate::mapping::result_code(Verdict::TooBusy).0, 3_004);
    assert_eq!((balance(&store, 2), store.totals().sessions), ((10_000_000, 0), 0));
    // Its copy is a request like any other.
    assert_eq!(asked(received.plus_secs(1)), Verdict::Success);
    assert_eq!((balance(&store, 2), store.totals().sessions), ((10_000_000, 100_000), 1));
}

/// A failure of the server ends no session: the client may go on. Where it does not, what was reserved comes back.
// tests: C-22
#[test]
fn what_was_reserved_before_a_failure_is_used_or_comes_back() {
    for goes_on in [true, false] {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let disk = MemoryDisk::new();
        let store = provisioned(disk.clone(), &clock);
        ask(&store, &[e164(3)], RequestKind::Initial, 0, None);
        let (_, reserved) = balance(&store, 3);
        assert!(reserved > 0);
        let after = disk.crash(7);
        drop(store);
        let store = open(after, &clock);
        assert_eq!(balance(&store, 3), (10_000_000, reserved), "a promise to the client");
        if goes_on {
            let last = ask(&store, &[], RequestKind::Termination, 1, Some(1_000_000));
            assert_eq!((last.answer.verdict, balance(&store, 3)), (Verdict::Success, (9_990_000, 0)));
        }
        clock.advance_secs(2 * 86_400);
        assert_eq!(store.expire_sessions(), usize::from(!goes_on));
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        assert_eq!((balance(&store, 3).1, store.totals().sessions), (0, 0));
        store.check().unwrap();
    }
}

#[test]
fn an_identity_has_one_owner_and_a_refused_creation_takes_none() {
    let store = store();
    let new = e164(99);
    assert!(matches!(
        subscriber(&store, 2, "2", &[new.clone(), e164(1)]),
        Err(CreateSubscriberError::IdentityTaken(taken)) if taken == e164(1)
    ));
    assert_eq!(store.account_of(&new), None, "what was taken on the way is given back");
    assert!(matches!(subscriber(&store, 77, "1", std::slice::from_ref(&new)), Err(CreateSubscriberError::Refused(_))));
    assert_eq!(store.account_of(&new), None);
    assert!(subscriber(&store, 2, "2", std::slice::from_ref(&new)).is_ok());
    assert!(subscriber(&store, 2, "2", std::slice::from_ref(&new)).is_ok(), "once more is the same");
    assert!(subscriber(&store, 2, "3", std::slice::from_ref(&new)).is_err(), "another line of the account is not");
    assert_eq!(store.account_of(&new), Some(AccountId(2)));
}

/// What is remembered is bounded, and at the bound the safe thing is done: nothing is forgotten early, nothing new begins,
/// what runs goes on, and with time there is room again.
#[test]
fn with_as_much_remembered_as_may_be_nothing_new_begins() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let retention = Retention { remembered_max: 3, request_id_secs: 600, ..Retention::default() };
    let settings =
        Settings { partitions: 1, segment_bytes: 64 << 10, retention, outbox_keep: 1_000, outbox_keep_max: 1_000 };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (disk, observer) = (MemoryDisk::new(), Arc::new(SilentObserver));
    let store = Store::open(disk, settings, catalog, clock.clone(), observer, |_| {}, |_| {}).unwrap().0;
    let spec = AccountSpec {
        id: AccountId(1),
        currency: store.catalog().currency(),
        balance: Money::from_micros(10_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    let _ = store.account_command(AccountId(1), &Command::CreateAccount(spec));
    let currency = Some(store.catalog().currency());
    let top_up = |request_id| {
        let kind = CreditKind::TopUp(Money::from_micros(1));
        let done = store.credit(CreditCommand { account: AccountId(1), kind, currency, request_id });
        store.mark().wait_for_blocking(done.position()).unwrap();
        store.mark().admit(done).unwrap().into_inner().map(|done| done.repeated)
    };
    for request_id in ["a", "b", "c"] {
        assert_eq!(top_up(request_id), Ok(false));
    }
    assert_eq!(top_up("d"), Err(Refusal::RemembersEnough));
    assert_eq!(top_up("a"), Ok(true), "what is remembered is answered as before");
    store.for_each_state(|state| assert_eq!(state.remembered(), [0, 0, 3]));
    clock.advance_secs(600);
    assert_eq!(top_up("d"), Err(Refusal::RemembersEnough), "to the last second");
    clock.advance_secs(1);
    assert_eq!(top_up("d"), Ok(false));
    assert_eq!(top_up("e"), Ok(false), "what is old enough was forgotten with the one before");
}

#[test]
fn the_reservation_that_is_silent_for_longest_is_found_in_rounds() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let store = provisioned(MemoryDisk::new(), &clock);
    let silent = |limit: usize| {
        let mut oldest = None::<Timestamp>;
        store.for_each_state(|state| {
            let mut place = None;
            loop {
                let (found, next) = state.silent_since(place, limit);
                oldest = [oldest, found].into_iter().flatten().min();
                place = next;
                if place.is_none() {
                    return;
                }
            }
        });
        oldest.map(Timestamp::secs)
    };
    assert_eq!(silent(1), None);
    ask(&store, &[e164(1)], RequestKind::Initial, 0, None);
    clock.advance_secs(50);
    assert_eq!([silent(1), silent(9)], [Some(1_000_000); 2]);
    ask(&store, &[e164(1)], RequestKind::Update, 1, Some(1));
    assert_eq!([silent(1), silent(9)], [Some(1_000_050); 2]);
    ask(&store, &[e164(1)], RequestKind::Termination, 2, Some(1));
    assert_eq!(silent(1), None);
}
