use std::convert::Infallible;

use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message as _;

use self::life::{Life, wishes};
use super::*;
use crate::{
    charging::{Retention, State},
    journal::record::{self, Entry, arbitrary, proto},
};

mod accounts;
mod life;

const HEADER: PartitionHeader = PartitionHeader { partition: PartitionId(0), partitions: 1, position: 4_711 };

fn chunks_of(state: &State) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut emit = |chunk: &[u8]| {
        chunks.push(chunk.to_vec());
        Ok::<_, Infallible>(())
    };
    write_partition(state, &HEADER, &mut emit).unwrap();
    chunks
}

fn load(chunks: &[Vec<u8>]) -> Result<State, SnapshotError> {
    let mut loader = PartitionLoader::new(retention());
    for (index, chunk) in chunks.iter().enumerate() {
        assert!(index == 0 || !loader.is_complete());
        loader.load_chunk(chunk)?;
    }
    let complete = loader.is_complete();
    let (header, state) = loader.finish()?;
    assert_eq!((header, complete), (HEADER, true));
    Ok(state)
}

fn retention() -> Retention {
    Retention {
        event_secs: 3_600,
        request_id_secs: 7_200,
        history_entries: 5,
        charge_late_usage: true,
        ..Retention::default()
    }
}

/// A state after these wishes.
fn lived(wishes: &[life::Wish]) -> State {
    let mut state = State::new(retention());
    Life::new().run(&mut state, wishes);
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_restored_state_and_a_replayed_one_are_the_live_one(
        before in vec(wishes(), 0..300),
        after in vec(wishes(), 0..100),
    ) {
        let mut life = Life::new();
        let mut live = State::new(retention());
        let mut replayed = State::new(retention());
        let mut bytes = Vec::new();
        for event in life.run(&mut live, &before) {
            bytes.clear();
            record::encode_event(HEADER.partition, &event, &mut bytes);
            let Entry::Charging { event: decoded, .. } = record::decode(&bytes).unwrap() else { unreachable!() };
            prop_assert_eq!(&decoded, &*event);
            replayed.apply(&decoded);
        }
        live.check().unwrap();
        prop_assert_eq!(live.same_as(&replayed), Ok(()));

        let mut restored = load(&chunks_of(&live)).unwrap();
        restored.check().unwrap();
        prop_assert_eq!(live.same_as(&restored), Ok(()));

        // What comes later makes no difference between them either.
        for wish in after {
            life.wait(wish);
            let decided = life.decide(&live, wish);
            let other = life.decide(&restored, wish);
            prop_assert_eq!((&decided.event, &decided.outcome), (&other.event, &other.outcome));
            if let Some(event) = decided.event {
                live.apply(&event);
                restored.apply(&event);
            }
        }
        restored.check().unwrap();
        prop_assert_eq!(live.same_as(&restored), Ok(()));
        // The queue of supervision may look earlier in one than in the other, but finds the same.
        let mut due = [live.due(life.now.plus_secs(1_800), usize::MAX), restored.due(life.now.plus_secs(1_800), usize::MAX)];
        due.iter_mut().for_each(|sessions| sessions.sort_unstable());
        prop_assert_eq!(&due[0], &due[1]);
    }

    #[test]
    fn no_damaged_chunk_makes_it_panic(
        wishes in vec(wishes(), 100),
        damage in vec((any::<Index>(), any::<u8>()), 1..8),
    ) {
        let mut chunks = chunks_of(&lived(&wishes));
        let chunk = &mut chunks[0];
        for (place, value) in damage {
            let place = place.index(chunk.len());
            chunk[place] = value;
        }
        let mut loader = PartitionLoader::new(retention());
        if loader.load_chunk(chunk).is_ok() {
            let _ = loader.finish();
        }
        let _ = OutboxLoader::default().load_chunk(chunk);
        let _ = BulksLoader::default().load_chunk(chunk);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = PartitionLoader::new(retention()).load_chunk(&bytes);
        let _ = OutboxLoader::default().load_chunk(&bytes);
        let _ = CatalogsLoader::default().load_chunk(&bytes);
    }

    #[test]
    fn catalogs_survive_exactly(
        publications in vec((arbitrary::publications(), proptest::option::of(any::<u64>())), 0..5),
        position in any::<u64>(),
    ) {
        let withdrawn = |at: u64| crate::time::Timestamp::from_millis(at);
        let publications = publications
            .into_iter()
            .map(|(publication, at)| crate::rating::Publication { withdrawn: at.map(withdrawn), ..publication })
            .collect();
        let catalogs = CatalogsSnapshot { position, publications };
        let (mut loader, mut chunks) = (CatalogsLoader::default(), Vec::new());
        let mut emit = |chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            loader.load_chunk(chunk)
        };
        write_catalogs(&catalogs, &mut emit).unwrap();
        prop_assert!(loader.is_complete());
        prop_assert_eq!(loader.finish().unwrap(), catalogs);
        // Nobody else's.
        prop_assert!(OutboxLoader::default().load_chunk(&chunks[0]).is_err());
        prop_assert!(PartitionLoader::new(retention()).load_chunk(&chunks[0]).is_err());
    }

    #[test]
    fn bulk_changes_survive_exactly(bulks in vec(arbitrary::bulks(), 0..6), position in any::<u64>()) {
        let mut table = crate::charging::Bulks::default();
        bulks.into_iter().for_each(|bulk| table.submitted(bulk));
        let snapshot = BulksSnapshot { position, bulks: table };
        let (mut loader, mut chunks) = (BulksLoader::default(), Vec::new());
        let mut emit = |chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            loader.load_chunk(chunk)
        };
        write_bulks(&snapshot, &mut emit).unwrap();
        prop_assert!(loader.is_complete());
        prop_assert_eq!(loader.finish().unwrap(), snapshot);
        // Nobody else's.
        prop_assert!(CatalogsLoader::default().load_chunk(&chunks[0]).is_err());
        prop_assert!(OutboxLoader::default().load_chunk(&chunks[0]).is_err());
        prop_assert!(PartitionLoader::new(retention()).load_chunk(&chunks[0]).is_err());
    }

    #[test]
    fn an_outbox_survives_exactly(
        notices in vec((any::<u64>(), arbitrary::notices()), 0..20),
        consumers in vec((".{0,10}".prop_map(Box::from), any::<u64>()), 0..4),
        position in any::<u64>(),
        next_cursor in any::<u64>(),
        records_kept in any::<bool>(),
        audit in proptest::option::of((any::<u64>(), any::<u64>(), any::<[u8; 32]>())),
    ) {
        let head = |(position, lines, hash)| AuditHead { position: crate::journal::Position(position), lines, hash };
        let audit = audit.map(head);
        let outbox = OutboxSnapshot { position, next_cursor, notices, consumers, records_kept, audit };
        let mut loader = OutboxLoader::default();
        write_outbox(&outbox, &mut |chunk| loader.load_chunk(chunk)).unwrap();
        prop_assert!(loader.is_complete());
        prop_assert_eq!(loader.finish().unwrap(), outbox);
    }
}

/// A state with so many accounts that it takes several chunks.
fn crowd(accounts: u64) -> State {
    use crate::charging::{AccountSpec, Command, Subscriber, SubscriberSpec, decide};
    use crate::{ids::*, time::Timestamp, units::Money};
    let (catalog, now) = (life::catalog(), Timestamp::from_secs(1_790_000_000));
    let mut state = State::new(retention());
    for id in 1..=accounts {
        let account = AccountId(id);
        let identity = |kind, start: u64| Identity::new(kind, &(start + id).to_string()).unwrap();
        let create = Command::CreateAccount(AccountSpec {
            id: account,
            currency: "CNY".parse().unwrap(),
            balance: Money::from_micros(100_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: vec![catalog.allowance("small").unwrap()],
        });
        state.apply(&decide(&state, &catalog, &create, now).event.unwrap());
        let subscriber = Subscriber {
            id: id.to_string().into(),
            identities: [
                identity(IdentityKind::E164, 8_613_900_000_000),
                identity(IdentityKind::Imsi, 460_000_000_000_000),
            ]
            .into(),
        };
        let create = Command::CreateSubscriber(SubscriberSpec { account, subscriber });
        state.apply(&decide(&state, &catalog, &create, now).event.unwrap());
    }
    state
}

#[test]
fn chunks_are_bounded_and_all_are_needed_in_order() {
    let state = crowd(10_000);
    let chunks = chunks_of(&state);
    assert!(chunks.len() > 3);
    assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK_OCTETS + 1_024));
    let restored = load(&chunks).unwrap();
    restored.check().unwrap();
    assert_eq!(state.same_as(&restored), Ok(()));
    assert!(crowd(9_999).same_as(&crowd(10_000)).unwrap_err().starts_with("totals"));

    let last = chunks.len() - 1;
    assert!(matches!(load(&chunks[..last]), Err(SnapshotError::Count { what: "accounts", expected: 10_000, .. })));
    assert_eq!(load(&chunks[1..]).unwrap_err(), SnapshotError::Order { expected: 0, got: 1 });
    assert_eq!(load(&[]).unwrap_err(), SnapshotError::Header(0));
}

#[test]
fn an_empty_partition_is_one_chunk() {
    let chunks = chunks_of(&State::new(retention()));
    assert_eq!(chunks.len(), 1);
    assert_eq!(load(&chunks).unwrap().same_as(&State::new(retention())), Ok(()));
}

#[test]
fn errors_say_what_is_wrong() {
    let account = |id| proto::Account { id, currency: 156, state: 1, ..Default::default() };
    let session = |no, id: &str, account| proto::Session { no, id: id.into(), account, ..Default::default() };
    let zero = Some(proto::Int128::default());
    let totals = Some(proto::Totals { credited: zero, debited: zero, balances: zero, reserved: zero });
    let header = proto::SnapshotHeader { partition: 0, partitions: 1, position: 4_711, totals, ..Default::default() };
    let first = || proto::SnapshotChunk { header: Some(header), ..Default::default() };
    let load = |chunk: proto::SnapshotChunk| load(&[chunk.encode_to_vec()]).map(|_| ());

    assert_eq!(load(first()), Ok(()));
    assert_eq!(load(proto::SnapshotChunk::default()), Err(SnapshotError::Header(0)));
    let twice = vec![account(1), account(1)];
    assert_eq!(
        load(proto::SnapshotChunk { accounts: twice, ..first() }),
        Err(SnapshotError::AccountTwice(AccountId(1)))
    );
    let sessions = vec![session(5, "a", 1)];
    let none = SnapshotError::NoAccount { session: SessionNo(5), account: AccountId(1) };
    assert_eq!(load(proto::SnapshotChunk { sessions, ..first() }), Err(none));
    let with_sessions = |sessions| proto::SnapshotChunk { accounts: vec![account(1)], sessions, ..first() };
    for sessions in [vec![session(5, "a", 1), session(5, "b", 1)], vec![session(4, "a", 1), session(5, "a", 1)]] {
        assert_eq!(load(with_sessions(sessions)), Err(SnapshotError::SessionTwice(SessionNo(5))));
    }
    let too_many = SnapshotError::Count { what: "accounts", expected: 0, found: 1 };
    assert_eq!(load(proto::SnapshotChunk { accounts: vec![account(1)], ..first() }), Err(too_many));
    let rich = proto::Account { credited: 5, ..account(1) };
    let one = Some(proto::SnapshotHeader { accounts: 1, ..header });
    let wrong_sum = SnapshotError::Total { what: "credited", expected: 0, found: 5 };
    let chunk = proto::SnapshotChunk { accounts: vec![rich], header: one, ..Default::default() };
    assert_eq!(load(chunk), Err(wrong_sum));
    let consumers = vec![proto::Consumer::default()];
    assert_eq!(load(proto::SnapshotChunk { consumers, ..first() }), Err(SnapshotError::Foreign(0)));
    let currency = proto::Account { currency: 0, ..account(1) };
    let bad = SnapshotError::Item(RecordError::BadCurrency(0));
    assert_eq!(load(proto::SnapshotChunk { accounts: vec![currency], ..first() }), Err(bad));
    let event = proto::RememberedEvent::default();
    let bad = SnapshotError::Item(RecordError::Missing("answer"));
    assert_eq!(load(proto::SnapshotChunk { events: vec![event], ..first() }), Err(bad));
    // As an early version wrote it, with the Session-Id.
    let bad = SnapshotError::Item(RecordError::Missing("key of a Session-Id"));
    assert_eq!(load(proto::SnapshotChunk { closed: vec![proto::Closed::default()], ..first() }), Err(bad));
}

#[test]
fn an_error_of_the_receiver_stops_it() {
    let mut calls = 0;
    let result = write_partition(&crowd(10_000), &HEADER, &mut |_| {
        calls += 1;
        if calls == 2 { Err("full") } else { Ok(()) }
    });
    assert_eq!((result, calls), (Err("full"), 2));
}

/// `cargo test --release -- --ignored --nocapture how_fast`
#[test]
#[ignore = "prints times, proves nothing"]
fn how_fast_it_is() {
    use std::time::Instant;
    let state = crowd(200_000);
    let start = Instant::now();
    let chunks = chunks_of(&state);
    let octets: usize = chunks.iter().map(Vec::len).sum();
    println!("write: {:?}, {octets} octets for 200,000 accounts", start.elapsed());
    let start = Instant::now();
    let restored = load(&chunks).unwrap();
    println!("load: {:?}", start.elapsed());
    assert_eq!(state.same_as(&restored), Ok(()));
}

#[rustfmt::skip]
const EVERYTHING: &[&str] = &[
    "account created", "subscriber created", "state changed", "interrogated", "event charged", "credited",
    "orphan usage", "session closed", "re-authorise", "re-authorise after credit", "top-up", "credit stop", "reconnect",
    "threshold", "overdraft", "Success", "CreditLimitReached", "final units", "two draws", "remembered sessions",
    "remembered events", "remembered credits", "running sessions", "waiting sessions", "reserved micro-units",
    "refund", "late usage", "abort", "client state", "sub-sessions",
];

/// The random life is worth nothing if it misses what can happen.
#[test]
fn a_random_life_has_everything_in_it() {
    use crate::charging::{Event, EventAction, NoticeKind};
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    use std::collections::BTreeMap;
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::<String, u32>::new();
    let mut saw = |what: &str, times: usize| *seen.entry(what.to_owned()).or_default() += times as u32;
    for _ in 0..100 {
        let wishes = vec(wishes(), 200).new_tree(&mut runner).unwrap().current();
        let mut state = State::new(retention());
        for event in Life::new().run(&mut state, &wishes) {
            let kind = match &*event {
                Event::AccountCreated { .. } => "account created",
                Event::SubscriberCreated { .. } => "subscriber created",
                Event::StateChanged { .. } => "state changed",
                Event::Interrogated(event) => {
                    event.answer.replies.iter().for_each(|reply| saw(&format!("{:?}", reply.verdict), 1));
                    saw("final units", event.steps.iter().filter(|step| step.final_units).count());
                    saw("two draws", event.steps.iter().filter(|step| step.holds.len() > 1).count());
                    "interrogated"
                }
                Event::EventCharged(event) if event.action == EventAction::Refund => "refund",
                Event::EventCharged(_) => "event charged",
                Event::Credited(event) => {
                    saw("re-authorise after credit", event.reauthorise.len());
                    "credited"
                }
                Event::OrphanUsage(event) if !event.steps.is_empty() => "late usage",
                Event::OrphanUsage(_) => "orphan usage",
                Event::SessionClosed { .. } => "session closed",
                Event::ReAuthorise { .. } => "re-authorise",
                Event::Abort { .. } => "abort",
                Event::ClientState { .. } => "client state",
                Event::AccountChanged(_) => "account changed",
                Event::VouchersCreated { .. } | Event::VoucherMarked { .. } | Event::VouchersBlocked { .. } => {
                    "vouchers"
                }
            };
            saw(kind, 1);
            for notice in event.notices() {
                let kind = match notice.kind {
                    NoticeKind::TopUp { .. } => "top-up",
                    NoticeKind::CreditStop => "credit stop",
                    NoticeKind::Reconnect => "reconnect",
                    NoticeKind::Threshold { .. } => "threshold",
                    NoticeKind::Overdraft { .. } => "overdraft",
                    NoticeKind::Limit { .. } => "limit",
                    NoticeKind::Product { .. } => "product",
                    NoticeKind::Life { .. } => "life",
                    NoticeKind::CycleClosed { .. } => "cycle closed",
                };
                saw(kind, 1);
            }
        }
        saw("remembered sessions", state.closed().count());
        saw("remembered events", state.events().count());
        saw("remembered credits", state.credits().count());
        saw("running sessions", state.sessions().count());
        saw("sub-sessions", state.sessions().filter(|session| session.sub_session != 0).count());
        saw("waiting sessions", state.waiting_for_reauthorisation().count());
        saw("reserved micro-units", usize::from(state.reserved_money() > 0));
    }
    let few: Vec<_> = EVERYTHING.iter().filter(|what| seen.get(**what).is_none_or(|times| *times < 10)).collect();
    assert!(few.is_empty(), "seldom or never: {few:?} of {seen:#?}");
}

proptest! {
    #[test]
    fn any_profile_is_read_as_it_was_written(profile in arbitrary::profiles()) {
        use prost::Message as _;
        let mut bytes = Vec::new();
        record::account::write_profile(&mut record::writer::Writer::new(&mut bytes), &profile);
        let wire = proto::Profile::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(record::account::read_profile(wire).unwrap(), profile);
    }
}
