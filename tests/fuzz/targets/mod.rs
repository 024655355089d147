//! What each fuzz target does with its octets: used by cargo-fuzz (`tests/fuzz/fuzz_targets`) and by a short run with a
//! generator of its own in the ordinary tests (`tests/it/fuzz.rs`). A panic is a defect, and so is an assertion that fails.

pub(crate) mod charging;
pub(crate) mod files;
pub(crate) mod messages;

use std::sync::{Arc, LazyLock};

use tollgate::{
    charging::Retention,
    diameter::{
        Avps, Frame, Header, Identity, Writer,
        frame::{HEADER_LEN, MESSAGE_MAX_DEFAULT},
    },
    journal::MemoryDisk,
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    time::{ManualClock, Timestamp},
};

/// What is done with an input.
pub(crate) type Target = fn(&[u8]);

/// Every target by its name.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("frame", messages::frame),
    ("avp", messages::avp),
    ("ccr", messages::ccr),
    ("cca", messages::cca),
    ("peer", messages::peer),
    ("session", charging::session),
    ("record", files::journal_record),
    ("snapshot", files::snapshot),
    ("recovery", files::recovery),
    ("catalog", files::catalog),
];

/// Messages that one input of `session` or `peer` may hold: more only takes longer.
const MESSAGES_MAX: usize = 64;
/// An answer may be longer than its request, but not by much: a client must not make the server its amplifier.
const ANSWER_MORE_MAX: usize = 2_048;
/// The least MSCC has 8 octets; its answer has a grant, a time, a threshold, a final action with an address.
const ANSWER_PER_REQUEST_MAX: usize = 40;

fn local() -> Identity {
    Identity { host: "ocs1.tollgate.example".into(), realm: "tollgate.example".into() }
}

/// The octets as the body of a message with this command.
fn message(command: u32, body: &[u8]) -> Option<Frame> {
    let mut out = Vec::new();
    // Larger ones do not pass `split`.
    if body.len() > MESSAGE_MAX_DEFAULT - HEADER_LEN {
        return None;
    }
    let mut w = Writer::start(&mut out, Header::request(command, 4, true, 1, 2));
    w.raw(body);
    w.finish();
    Frame::from_bytes(out.into()).ok()
}

/// One message, whole, whose AVPs can be told apart.
fn well_formed(octets: &[u8]) -> Frame {
    let frame = Frame::from_bytes(octets.to_vec().into()).expect("the writer makes sane frames");
    assert!(Avps::new(frame.body()).all(|avp| avp.is_ok()));
    frame
}

const DEMO: &str = include_str!("../../../config/demo/catalog.toml");
static CATALOG: LazyLock<Arc<Catalog>> =
    LazyLock::new(|| Arc::new(Catalog::from_toml(DEMO).expect("the demo's price list is right")));

fn open(disk: MemoryDisk) -> Option<Store<MemoryDisk>> {
    let settings = Settings {
        partitions: 1,
        segment_bytes: 64 << 10,
        retention: Retention::default(),
        outbox_keep: 16,
        outbox_keep_max: 1_000_000,
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (catalog, observer) = (Arc::clone(&CATALOG), Arc::new(SilentObserver));
    Store::open(disk, settings, catalog, clock, observer, |_| {}, |_| {}).ok().map(|(store, _)| store)
}
