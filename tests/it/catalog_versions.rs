//! Versions of the catalog in a store: published while it runs, over crashes and checkpoints, and what a start makes of the
//! configured file.

use std::sync::Arc;

use tollgate::{
    charging::{
        AccountSpec, Answered, Command, Interrogation, RequestKind, Retention, ServiceRequest, Subscriber,
        SubscriberSpec, Used, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::MemoryDisk,
    rating::{Catalog, RunningSessions, VERSIONS_KEPT},
    store::{PENDING_MAX, Publish, PublishError, Published, Settings, SilentObserver, Store},
    time::{Clock as _, ManualClock, Timestamp},
    units::Money,
};

const FIRST: &str = r#"
currency = "CNY"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
slice = "10 MB"
"#;

/// The same at another price, in hundredths.
fn priced(cents: u32) -> String {
    FIRST.replace("\"0.01\"", &format!("\"0.{cents:02}\""))
}

fn compiled(text: &str) -> Arc<Catalog> {
    Arc::new(Catalog::from_toml(text).unwrap())
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)))
}

fn open(disk: &MemoryDisk, clock: &Arc<ManualClock>, configured: &str) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 2,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 1_000,
        outbox_keep_max: 1_000_000,
    };
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk.clone(), settings, compiled(configured), clock, observer, |_| {}, |_| {}).unwrap().0
}

fn provisioned(disk: &MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let store = open(disk, clock, FIRST);
    let account = AccountId(1);
    let spec = AccountSpec {
        id: account,
        currency: store.catalog().currency(),
        balance: Money::from_micros(100_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    drop(store.account_command(account, &Command::CreateAccount(spec)));
    let subscriber = Subscriber { id: "1".into(), identities: [msisdn()].into() };
    drop(store.create_subscriber(SubscriberSpec { account, subscriber }));
    store
}

fn msisdn() -> Identity {
    Identity::new(IdentityKind::E164, "8613900000001").unwrap()
}

fn publish(
    store: &Store<MemoryDisk>,
    text: &str,
    in_secs: Option<u64>,
    sessions: RunningSessions,
    id: &str,
) -> Result<Published, PublishError> {
    let activates = in_secs.map(|secs| store.clock().now().plus_secs(secs));
    let publish = Publish {
        catalog: compiled(text),
        activates,
        sessions,
        by: "test".into(),
        reason: "test".into(),
        request_id: id.into(),
    };
    let pending = store.publish(publish);
    store.mark().wait_for_blocking(pending.position()).unwrap();
    store.mark().admit(pending).unwrap().into_inner()
}

/// A request of a session; tells what the session has cost so far.
fn ask(store: &Store<MemoryDisk>, session: &str, kind: RequestKind, number: u32, used: u64) -> Money {
    let key = SessionKey::of(session.as_bytes());
    let now = store.clock().now();
    let pending = store.charge_in_time(now, &[msisdn()], key, kind, number, |account, version| {
        Command::Interrogate(Interrogation {
            session_id: session.as_bytes(),
            key,
            account,
            kind,
            number,
            context: version.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services: vec![ServiceRequest {
                key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
                used: (used > 0).then_some(Used { octets: used, ..Used::default() }),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                ..ServiceRequest::default()
            }],
            ..Interrogation::default()
        })
    });
    store.mark().wait_for_blocking(pending.position()).unwrap();
    let Answered { answer, .. } = store.mark().admit(pending).unwrap().into_inner();
    assert_eq!(answer.verdict, tollgate::charging::Verdict::Success);
    answer.cost
}

fn cents(cents: i64) -> Money {
    Money::from_micros(cents * 10_000)
}

fn known(store: &Store<MemoryDisk>) -> Vec<(u32, bool)> {
    let catalogs = store.catalogs();
    catalogs.publications().iter().map(|known| (known.number, known.withdrawn.is_some())).collect()
}

const MB: u64 = 1_000_000;

/// A version comes into force while requests come and go, and while the store is down.
#[test]
fn a_version_comes_into_force_when_its_time_has_come() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = provisioned(&disk, &clock);
    ask(&store, "a", RequestKind::Initial, 0, 0);
    ask(&store, "b", RequestKind::Initial, 0, 0);
    publish(&store, &priced(2), Some(60), RunningSessions::Change, "p2").unwrap();
    publish(&store, &priced(5), Some(120), RunningSessions::Finish, "p3").unwrap();
    assert_eq!(ask(&store, "a", RequestKind::Update, 1, 10 * MB), cents(10));
    assert_eq!(store.version().number(), 1);
    clock.advance_secs(60);
    assert_eq!(store.version().number(), 2);
    // Granted by the first, charged by it.
    assert_eq!(ask(&store, "a", RequestKind::Update, 2, 10 * MB), cents(20));
    assert_eq!(ask(&store, "a", RequestKind::Update, 3, 10 * MB), cents(40));
    let disk = disk.crash(1);
    drop(store);
    clock.advance_secs(60);
    let store = open(&disk, &clock, FIRST);
    assert_eq!(store.version().number(), 3);
    assert_eq!(ask(&store, "a", RequestKind::Update, 4, 10 * MB), cents(60), "finishes by the second");
    assert_eq!(ask(&store, "b", RequestKind::Update, 1, 10 * MB), cents(10), "granted by the first");
    assert_eq!(ask(&store, "b", RequestKind::Termination, 2, 10 * MB), cents(30), "the second changed it");
    ask(&store, "c", RequestKind::Initial, 0, 0);
    assert_eq!(ask(&store, "c", RequestKind::Termination, 1, 10 * MB), cents(50));
    // The answers from before the change and the crash.
    assert_eq!(ask(&store, "a", RequestKind::Update, 2, 10 * MB), cents(20));
    store.check().unwrap();
}

/// After a crash, with and without a checkpoint in between, versions and sessions are what they were.
#[test]
fn a_crash_changes_nothing() {
    for checkpoints in 0..4u32 {
        let (disk, clock) = (MemoryDisk::new(), clock());
        let store = provisioned(&disk, &clock);
        let checkpoint = |bit: u32| {
            if checkpoints >> bit & 1 == 1 {
                store.checkpoint().unwrap();
            }
        };
        ask(&store, "a", RequestKind::Initial, 0, 0);
        publish(&store, &priced(2), None, RunningSessions::Change, "p2").unwrap();
        publish(&store, &priced(3), Some(50), RunningSessions::Change, "p3").unwrap();
        checkpoint(0);
        publish(&store, &priced(4), Some(100), RunningSessions::Change, "p4").unwrap();
        let withdrawn = store.withdraw(4);
        store.mark().wait_for_blocking(withdrawn.position()).unwrap();
        ask(&store, "a", RequestKind::Update, 1, MB);
        checkpoint(1);
        let (live, before) = (known(&store), store.catalogs().publications().to_vec());
        assert_eq!(live, [(1, false), (2, false), (3, false), (4, true)]);
        let disk = disk.crash(1);
        let mut states = Vec::new();
        store.for_each_state(|state| states.push(format!("{:?}", state.sessions().collect::<Vec<_>>())));
        drop(store);
        let store = open(&disk, &clock, FIRST);
        assert_eq!(store.catalogs().publications(), before);
        let mut again = Vec::new();
        store.for_each_state(|state| again.push(format!("{:?}", state.sessions().collect::<Vec<_>>())));
        assert_eq!(again, states);
        assert_eq!(store.version().number(), 2);
        // Known again by its request id, and refused as another one.
        assert!(publish(&store, &priced(2), None, RunningSessions::Change, "p2").unwrap().repeated);
        let reused = publish(&store, &priced(9), None, RunningSessions::Change, "p2");
        assert_eq!(reused, Err(PublishError::RequestIdReused("p2".into())));
        clock.advance_secs(200);
        assert_eq!(store.version().number(), 3, "the fourth was withdrawn");
    }
}

#[test]
fn a_file_that_has_changed_is_published_at_the_start() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = provisioned(&disk, &clock);
    assert_eq!(store.version().publication.by, "configuration".into());
    ask(&store, "a", RequestKind::Initial, 0, 0);
    drop(store);
    // The same file: nothing to publish.
    let disk = disk.crash(1);
    let store = open(&disk, &clock, FIRST);
    assert_eq!(known(&store), [(1, false)]);
    publish(&store, &priced(2), None, RunningSessions::Finish, "p2").unwrap();
    drop(store);
    let disk = disk.crash(1);
    let store = open(&disk, &clock, FIRST);
    assert_eq!(store.version().number(), 2, "what was published stays in force while the file is as it was");
    drop(store);
    let store = open(&disk.crash(1), &clock, &priced(3));
    assert_eq!((store.version().number(), known(&store).len()), (3, 3));
    assert!(store.version().publication.is_from_file());
    assert_eq!(ask(&store, "a", RequestKind::Update, 1, 10 * MB), cents(10));
    assert_eq!(ask(&store, "a", RequestKind::Termination, 2, 10 * MB), cents(40), "changed with the file");
    // Published in the same moment as the version before: the later one counts.
    publish(&store, &priced(4), None, RunningSessions::Change, "p4").unwrap();
    assert_eq!(store.version().number(), 4);
}

#[test]
fn what_cannot_be_published_changes_nothing() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = provisioned(&disk, &clock);
    let now = clock.now();
    let publish_at = |activates: Timestamp, text: &str| {
        let publish = Publish {
            catalog: compiled(text),
            activates: Some(activates),
            sessions: RunningSessions::Finish,
            by: "test".into(),
            reason: "test".into(),
            request_id: "wrong".into(),
        };
        let pending = store.publish(publish);
        store.mark().wait_for_blocking(pending.position()).unwrap();
        store.mark().admit(pending).unwrap().into_inner().unwrap_err()
    };
    let earlier = Timestamp::from_millis(now.millis() - 1);
    assert_eq!(publish_at(earlier, FIRST), PublishError::Past { activates: earlier, now });
    let euros = FIRST.replace("CNY", "EUR");
    assert!(matches!(publish_at(now, &euros), PublishError::Currency { .. }));
    for more in 0..PENDING_MAX {
        publish(&store, FIRST, Some(10), RunningSessions::Finish, &format!("p{more}")).unwrap();
    }
    assert_eq!(publish_at(now.plus_secs(10), FIRST), PublishError::TooManyPending);
    let withdraw = |number| {
        let pending = store.withdraw(number);
        store.mark().wait_for_blocking(pending.position()).unwrap();
        store.mark().admit(pending).unwrap().into_inner().map(|done| done.repeated)
    };
    assert_eq!(withdraw(1), Err(PublishError::InForce(1)));
    assert_eq!(withdraw(999), Err(PublishError::Unknown(999)));
    assert_eq!((withdraw(2), withdraw(2)), (Ok(false), Ok(true)));
    assert_eq!(known(&store).len(), 1 + PENDING_MAX);
}

/// Many versions later, those that a session goes by are still there, and so is what its grant was made by.
#[test]
fn versions_that_sessions_go_by_are_kept() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = provisioned(&disk, &clock);
    ask(&store, "old", RequestKind::Initial, 0, 0);
    publish(&store, &priced(2), None, RunningSessions::Finish, "p2").unwrap();
    ask(&store, "newer", RequestKind::Initial, 0, 0);
    let newest = 2 + VERSIONS_KEPT as u32 + 5;
    for number in 3..=newest {
        clock.advance_secs(1);
        publish(&store, &priced(number), None, RunningSessions::Finish, &format!("p{number}")).unwrap();
    }
    let kept: Vec<u32> = known(&store).into_iter().map(|(number, _)| number).collect();
    let latest = newest - VERSIONS_KEPT as u32 + 1..=newest;
    assert_eq!(kept, [1, 2].into_iter().chain(latest).collect::<Vec<_>>());
    store.checkpoint().unwrap();
    let disk = disk.crash(1);
    drop(store);
    let store = open(&disk, &clock, FIRST);
    assert_eq!(ask(&store, "old", RequestKind::Termination, 1, 10 * MB), cents(10));
    assert_eq!(ask(&store, "newer", RequestKind::Termination, 1, 10 * MB), cents(20));
    assert_eq!(store.version().number(), newest, "the file is what was published from it last");
    publish(&store, FIRST, None, RunningSessions::Finish, "last").unwrap();
    assert!(known(&store).iter().all(|(number, _)| *number > 2), "nobody needs them any more");
}
