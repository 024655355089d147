//! The steps of one CCR, each by itself: `cargo bench --bench steps [-- FILTER]`.
//!
//! What is told is the time of 256 requests for reading, mapping and encoding, and of one for the rest. Times depend on the
//! machine and on what else it does: `benches/instructions` counts the whole path.

#![allow(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]
#![allow(missing_docs, reason = "criterion makes functions that nobody calls by name")]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tollgate::{
    bench::path::{Path, requests},
    charging::{
        AccountSpec, Command, Decided, EventAction, EventRequest, Interrogation, RequestKind, Retention,
        ServiceRequest, State, Used, Want, decide,
    },
    diameter::{
        CreditControlRequest, Frame, Limits,
        credit_control::{RequestType, Strictness},
        frame::MESSAGE_MAX_DEFAULT,
        split,
    },
    ids::{AccountId, PartitionId, QuotaKey, SessionKey},
    journal::{Batch, record},
    mapping::{self, ClientTraits},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

const CATALOG: &str = include_str!("../config/demo/catalog.toml");
const SESSION: &[u8] = b"pgw-3.epc.example;1790000000;1";
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

criterion_group!(steps, frames, mapping, decisions, journal, answers);
criterion_main!(steps);

fn split_all(mut inbox: BytesMut) -> Vec<Frame> {
    std::iter::from_fn(|| split(&mut inbox, MESSAGE_MAX_DEFAULT).unwrap()).collect()
}

fn frames(c: &mut Criterion) {
    let inbox = requests(RequestType::Update, 1);
    c.bench_function("frame reading x 256", |b| {
        b.iter_batched(|| inbox.clone(), split_all, BatchSize::LargeInput);
    });
}

fn mapping(c: &mut Criterion) {
    let frames = split_all(requests(RequestType::Update, 1));
    let (catalog, limits) = (Catalog::from_toml(CATALOG).unwrap(), Limits::default());
    c.bench_function("CCR mapping x 256", |b| {
        b.iter(|| {
            for frame in &frames {
                let request = CreditControlRequest::parse_within(frame, Strictness::Tolerant, &limits).unwrap();
                black_box(mapping::charge(&request, &catalog, ClientTraits::default()).unwrap());
            }
        });
    });
}

fn answers(c: &mut Criterion) {
    let path = Path::new(0).unwrap();
    let mut decisions = Vec::new();
    path.decide(&mut requests(RequestType::Update, 1), &mut decisions).unwrap();
    path.settle().unwrap();
    let mut out = Vec::with_capacity(256 * 512);
    c.bench_function("answer encoding x 256", |b| {
        b.iter_batched(
            || decisions.clone(),
            |decisions| {
                out.clear();
                path.encode(decisions, &mut out);
            },
            BatchSize::LargeInput,
        );
    });
}

fn decisions(c: &mut Criterion) {
    let catalog = Catalog::from_toml(CATALOG).unwrap();
    let mut state = state(&catalog);
    let decided = |state: &State, command: &Command<'_>| decide(state, &catalog, command, NOW);
    let initial = interrogation(&catalog, RequestKind::Initial, 0);
    c.bench_function("decide: initial", |b| b.iter(|| decided(&state, black_box(&initial))));
    let event = event(&catalog);
    c.bench_function("decide: event, debit", |b| b.iter(|| decided(&state, black_box(&event))));
    let begun = decided(&state, &initial);
    apply(&mut state, &begun);
    for (name, kind) in [("update", RequestKind::Update), ("termination", RequestKind::Termination)] {
        let request = interrogation(&catalog, kind, 1);
        c.bench_function(&format!("decide: {name}"), |b| b.iter(|| decided(&state, black_box(&request))));
    }
    let repeated = interrogation(&catalog, RequestKind::Initial, 0);
    c.bench_function("decide: repetition", |b| b.iter(|| decided(&state, black_box(&repeated))));
}

fn journal(c: &mut Criterion) {
    let catalog = Catalog::from_toml(CATALOG).unwrap();
    let mut state = state(&catalog);
    let begun = decide(&state, &catalog, &interrogation(&catalog, RequestKind::Initial, 0), NOW);
    apply(&mut state, &begun);
    let decided = decide(&state, &catalog, &interrogation(&catalog, RequestKind::Update, 1), NOW);
    let event = decided.event.unwrap();
    let (mut bytes, mut batch) = (Vec::new(), Batch::new());
    c.bench_function("journal append", |b| {
        b.iter(|| {
            bytes.clear();
            record::encode_event(PartitionId(1), black_box(&event), &mut bytes);
            batch.push(&bytes);
            if batch.records() >= 64 {
                batch.clear(1 << 20);
            }
        });
    });
}

fn state(catalog: &Catalog) -> State {
    let mut state = State::new(Retention::default());
    let spec = AccountSpec {
        id: AccountId(1),
        currency: catalog.currency(),
        balance: Money::from_micros(1_000_000_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    let created = decide(&state, catalog, &Command::CreateAccount(spec), NOW);
    apply(&mut state, &created);
    state
}

fn apply(state: &mut State, decided: &Decided) {
    state.apply(decided.event.as_ref().unwrap());
}

fn interrogation(catalog: &Catalog, kind: RequestKind, number: u32) -> Command<'static> {
    let used = Used { octets: 1_000_000, ..Used::default() };
    Command::Interrogate(Interrogation {
        session_id: SESSION,
        key: SessionKey::of(SESSION),
        account: Some(AccountId(1)),
        kind,
        number,
        context: catalog.context("32251@3gpp.org"),
        context_name: "32251@3gpp.org",
        origin_host: "pgw-3.epc.example",
        origin_realm: "epc.example",
        services: vec![ServiceRequest {
            key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
            used: (kind != RequestKind::Initial).then_some(used),
            want: (kind != RequestKind::Termination).then_some(Want::Any),
            ..ServiceRequest::default()
        }],
        ..Interrogation::default()
    })
}

fn event(catalog: &Catalog) -> Command<'static> {
    Command::ChargeEvent(EventRequest {
        session_id: SESSION,
        key: SessionKey::of(SESSION),
        account: Some(AccountId(1)),
        action: EventAction::Debit,
        context: catalog.context("32274@3gpp.org"),
        context_name: "32274@3gpp.org",
        services: vec![ServiceRequest { want: Some(Want::Any), ..ServiceRequest::default() }],
        at_command_level: true,
        ..EventRequest::default()
    })
}
