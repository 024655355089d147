//! The store on a disk that loses and tears what was not synced: whatever had been answered is there afterwards, once.

use std::{collections::BTreeMap, sync::Arc};

use tollgate::{
    charging::{
        AccountSpec, Answered, Command, CreditCommand, CreditKind, Interrogation, NoticeKind, Outcome, RequestKind,
        Retention, ServiceRequest, Subscriber, SubscriberSpec, Used, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::{MemoryDisk, Pending},
    rating::Catalog,
    store::{Done, Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::charging_property::CATALOG;

const ACCOUNTS: u64 = 12;
const ROUNDS: u64 = 40;

/// A small generator of numbers with a seed that a failure prints.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn open(disk: MemoryDisk, clock: &Arc<ManualClock>) -> Store<MemoryDisk> {
    let settings = Settings {
        partitions: 4,
        segment_bytes: 256 << 10,
        retention: Retention::default(),
        outbox_keep: 1_000_000,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let (clock, observer) = (Arc::clone(clock), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0
}

fn msisdn(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn session_id(number: u64) -> String {
    format!("gw.example;1;{number}")
}

/// Sends a request of a session. It names its subscriber only when it opens the session.
fn interrogate(
    store: &Store<MemoryDisk>,
    session: u64,
    kind: RequestKind,
    number: u32,
    used: Option<u64>,
) -> Pending<Answered> {
    let id = session_id(session);
    let key = SessionKey::of(id.as_bytes());
    let identities = if kind == RequestKind::Initial { vec![msisdn(session % ACCOUNTS + 1)] } else { Vec::new() };
    store.charge(&identities, key, kind, number, |account| {
        Command::Interrogate(Interrogation {
            session_id: id.as_bytes(),
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
                used: used.map(|octets| Used { octets, ..Used::default() }),
                want: (kind != RequestKind::Termination).then_some(Want::Any),
                currency: None,
                unusable: false,
                ..ServiceRequest::default()
            }],
            at_command_level: false,
            short_validity: false,
            ..Interrogation::default()
        })
    })
}

fn top_up(store: &Store<MemoryDisk>, account: u64, micros: i64, id: &str) -> Pending<Done> {
    let currency = Some(store.catalog().currency());
    let kind = CreditKind::TopUp(Money::from_micros(micros));
    let done = store.credit(CreditCommand { account: AccountId(account), kind, currency, request_id: id });
    done.map(|done| done.unwrap())
}

/// A request on its way: session, kind, number, usage, answer.
type Asked = (u64, RequestKind, u32, Option<u64>, Pending<Answered>);

/// What was sent and answered, kept outside of the store.
#[derive(Default)]
struct Witness {
    /// The last request of each session, if it was answered: kind, number, usage, answer.
    requests: BTreeMap<u64, (RequestKind, u32, Option<u64>, Answered)>,
    /// Every top-up that was answered.
    top_ups: BTreeMap<String, (u64, i64, Outcome)>,
    /// Money of all answered top-ups and all usage in answered requests, by account.
    credited: BTreeMap<u64, i64>,
    /// Cursors of events seen.
    events: Vec<u64>,
    /// The last cursor whose acknowledgement was answered.
    acknowledged: u64,
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let mut disk = MemoryDisk::new();
    let mut witness = Witness::default();
    let (mut next_session, mut next_top_up) = (0u64, 0u64);
    let mut store = open(disk.clone(), &clock);
    for account in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(300_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        let _ = store.account_command(AccountId(account), &Command::CreateAccount(spec));
        let subscriber = Subscriber { id: "1".into(), identities: [msisdn(account)].into() };
        let _ = store.create_subscriber(SubscriberSpec { account: AccountId(account), subscriber });
    }
    store.mark().wait_for_blocking(store.last_position()).unwrap();

    for round in 0..ROUNDS {
        let mut asked: Vec<Asked> = Vec::new();
        let mut paid: Vec<(String, u64, i64, Pending<Done>)> = Vec::new();
        let mut acknowledgements = Vec::new();
        for _ in 0..dice.below(60) + 1 {
            match dice.below(10) {
                0 | 1 => {
                    let session = next_session;
                    next_session += 1;
                    asked.push((
                        session,
                        RequestKind::Initial,
                        0,
                        None,
                        interrogate(&store, session, RequestKind::Initial, 0, None),
                    ));
                }
                2..=6 if next_session > 0 => {
                    let session = dice.below(next_session);
                    // Requests of a session whose last one is still open wait for their turn, as a gateway's do.
                    let busy = asked.iter().any(|(open, ..)| *open == session);
                    let Some((kind, number, ..)) = witness.requests.get(&session).filter(|_| !busy) else { continue };
                    if *kind == RequestKind::Termination {
                        continue;
                    }
                    let next = if dice.below(4) == 0 { RequestKind::Termination } else { RequestKind::Update };
                    let (number, used) = (number + 1, Some(dice.below(12_000_000)));
                    asked.push((session, next, number, used, interrogate(&store, session, next, number, used)));
                }
                7 | 8 => {
                    let (account, micros) = (dice.below(ACCOUNTS) + 1, dice.below(50_000) as i64 + 1);
                    let id = format!("t{next_top_up}");
                    next_top_up += 1;
                    let done = top_up(&store, account, micros, &id);
                    paid.push((id, account, micros, done));
                }
                9 => {
                    let fresh = store.outbox().after(witness.acknowledged, 5, store.mark()).unwrap();
                    if let Some((cursor, _)) = fresh.last() {
                        acknowledgements.push((*cursor, store.acknowledge("witness", *cursor)));
                    }
                }
                _ => {}
            }
        }
        if dice.below(5) == 0 {
            store.checkpoint().unwrap();
        }
        if dice.below(3) == 0 {
            store.mark().wait_for_blocking(store.last_position()).unwrap();
        }
        // The world outside sees only what is durable by now.
        let mark = store.mark().clone();
        for (session, kind, number, used, pending) in asked {
            if let Ok(answered) = mark.admit(pending) {
                witness.requests.insert(session, (kind, number, used, answered.into_inner()));
            } else {
                // Not answered: the gateway will send it again, so nothing is known of it.
                witness.requests.remove(&session);
            }
        }
        for (id, account, micros, pending) in paid {
            if let Ok(done) = mark.admit(pending) {
                *witness.credited.entry(account).or_default() += micros;
                witness.top_ups.insert(id, (account, micros, done.outcome.clone()));
            }
        }
        for (cursor, pending) in acknowledgements {
            if mark.admit(pending).is_ok() {
                witness.acknowledged = witness.acknowledged.max(cursor);
            }
        }
        let seen = store.outbox().after(0, usize::MAX, &mark).unwrap();
        witness.events = seen.iter().map(|(cursor, _)| *cursor).collect();

        // Power fails, or the process is killed; everything in memory is gone.
        let after = if dice.below(2) == 0 { disk.crash(seed ^ round) } else { disk.kill() };
        drop(store);
        disk = after;
        clock.advance_secs(dice.below(3));
        store = open(disk.clone(), &clock);
        verify(&store, &witness, seed, round);
    }
}

fn verify(store: &Store<MemoryDisk>, witness: &Witness, seed: u64, round: u64) {
    let at = format!("seed {seed}, round {round}");
    store.check().unwrap_or_else(|violation| panic!("{at}: {violation}"));
    let before = store.totals();
    for (session, (kind, number, used, answered)) in &witness.requests {
        let again = interrogate(store, *session, *kind, *number, *used);
        let again = store.mark().admit(again).unwrap_or_else(|_| panic!("{at}: session {session} changed something"));
        assert!(again.repeated, "{at}: session {session}: {kind:?} {number} is not known any more");
        assert_eq!(again.answer, answered.answer, "{at}: session {session}");
    }
    for (id, (account, micros, outcome)) in &witness.top_ups {
        let again = top_up(store, *account, *micros, id);
        let again = store.mark().admit(again).unwrap_or_else(|_| panic!("{at}: {id} credited again"));
        assert!(again.repeated, "{at}: {id} is not known any more");
        assert_eq!(again.outcome, *outcome, "{at}: {id}");
    }
    assert_eq!(store.totals(), before, "{at}: asking again changed something");
    for account in 1..=ACCOUNTS {
        let credited = store.account(AccountId(account)).unwrap();
        let credited = store.mark().admit(credited).unwrap().credited.micros();
        let answered = 300_000 + witness.credited.get(&account).copied().unwrap_or(0);
        assert!(credited >= answered, "{at}: account {account} was credited {credited}, answered were {answered}");
    }
    let kept: Vec<u64> = store.outbox().after(0, usize::MAX, store.mark()).unwrap().iter().map(|(c, _)| *c).collect();
    assert!(witness.events.iter().all(|cursor| kept.contains(cursor)), "{at}: an event that was seen is gone");
    assert!(
        store.outbox().acknowledged("witness").unwrap_or(0) >= witness.acknowledged,
        "{at}: an acknowledgement is gone"
    );
    // Every top-up that counts has its event, once.
    let told = store.outbox().after(0, usize::MAX, store.mark()).unwrap();
    for id in witness.top_ups.keys() {
        let same = |kind: &NoticeKind| matches!(kind, NoticeKind::TopUp { request_id, .. } if **request_id == **id);
        assert_eq!(told.iter().filter(|(_, notice)| same(&notice.kind)).count(), 1, "{at}: events of {id}");
    }
}

// tests: C-140, C-146, B-96
#[test]
fn what_was_answered_survives_crashes_and_happens_once() {
    for seed in 1..=12 {
        run(seed);
    }
}
