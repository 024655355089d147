//! Counting answered requests: a few additions each, no look-up, no allocation.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{histogram::Durations, names};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Credit-control, INITIAL_REQUEST.
    Initial,
    /// Credit-control, UPDATE_REQUEST.
    Update,
    /// Credit-control, TERMINATION_REQUEST.
    Termination,
    /// Credit-control, EVENT_REQUEST.
    Event,
    /// Credit-control without a valid type.
    Untyped,
    /// Capabilities-Exchange.
    Capabilities,
    /// Device-Watchdog.
    Watchdog,
    /// Disconnect-Peer.
    Disconnect,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Initial,
        Self::Update,
        Self::Termination,
        Self::Event,
        Self::Untyped,
        Self::Capabilities,
        Self::Watchdog,
        Self::Disconnect,
        Self::Other,
    ];
    /// The first of them are credit-control requests, whose duration is kept.
    const TIMED: usize = 4;

    /// Of a credit-control request, by its CC-Request-Type.
    pub const fn of_cc_request_type(value: u32) -> Self {
        match value {
            1 => Self::Initial,
            2 => Self::Update,
            3 => Self::Termination,
            4 => Self::Event,
            _ => Self::Untyped,
        }
    }

    /// As the label `type` says it.
    pub const fn label(self) -> &'static str {
        self.command_and_type().1
    }

    const fn command_and_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Initial => ("CCR", "initial"),
            Self::Update => ("CCR", "update"),
            Self::Termination => ("CCR", "termination"),
            Self::Event => ("CCR", "event"),
            Self::Untyped => ("CCR", ""),
            Self::Capabilities => ("CER", ""),
            Self::Watchdog => ("DWR", ""),
            Self::Disconnect => ("DPR", ""),
            Self::Other => ("other", ""),
        }
    }
}

/// Result codes that are counted by themselves; all others are counted as `other`. The most frequent come first.
const CODES: [u32; 42] = [
    2001, 3004, 5030, 5002, 4012, 4010, 5031, 4011, 2002, 3001, 3002, 3003, 3005, 3006, 3007, 3008, 3009, 3010, 4001,
    4002, 4003, 5001, 5003, 5004, 5005, 5006, 5007, 5008, 5009, 5010, 5011, 5012, 5013, 5014, 5015, 5016, 5017, 5018,
    5019, 2003, 1001, 3011,
];

/// Peers counted by name; the rest share the name `other`, so that strangers cannot grow the number of series.
const PEERS_MAX: usize = 256;
/// The name of peers beyond [`PEERS_MAX`].
const PEER_OTHER: &str = "other";

/// The counters of one connection. They are its own, so that connections on different cores do not wait for each other;
/// those of a peer are added up when they are read.
#[derive(Debug)]
pub struct RequestMetrics {
    peer: String,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    answers: [[AtomicU64; CODES.len() + 1]; RequestKind::ALL.len()],
    durations: [Durations; RequestKind::TIMED],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            durations: Default::default(),
        }
    }
}

impl Counts {
    fn add(&self, other: &Self) {
        for (count, more) in self.answers.iter().flatten().zip(other.answers.iter().flatten()) {
            count.fetch_add(more.load(Relaxed), Relaxed);
        }
        self.durations.iter().zip(&other.durations).for_each(|(sum, more)| sum.add(more));
    }
}

#[derive(Default)]
struct Peer {
    /// Of connections that are closed.
    closed: Counts,
    open: Vec<Arc<Counts>>,
}

static PEERS: Mutex<BTreeMap<String, Peer>> = Mutex::new(BTreeMap::new());

impl RequestMetrics {
    /// Counters for a new connection of a peer, by its Origin-Host. A connection keeps them until it closes.
    pub fn of_peer(origin_host: &str) -> Arc<Self> {
        let mut peers = PEERS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = peers.contains_key(origin_host) || peers.len() < PEERS_MAX;
        let peer = if known { origin_host } else { PEER_OTHER }.to_owned();
        let counts = Arc::new(Counts::default());
        peers.entry(peer.clone()).or_default().open.push(Arc::clone(&counts));
        Arc::new(Self { peer, counts })
    }

    /// Counts an answer: what was asked, the command level result code, and how long the answer took.
    pub fn answered(&self, kind: RequestKind, result_code: u32, took: Duration) {
        let code = CODES.iter().position(|code| *code == result_code).unwrap_or(CODES.len());
        self.counts.answers[kind as usize][code].fetch_add(1, Relaxed);
        if let Some(durations) = self.counts.durations.get(kind as usize) {
            durations.observe(took);
        }
    }
}

/// What a connection counted outlives it.
impl Drop for RequestMetrics {
    fn drop(&mut self) {
        let mut peers = PEERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get_mut(&self.peer) {
            peer.open.retain(|counts| !Arc::ptr_eq(counts, &self.counts));
            peer.closed.add(&self.counts);
        }
    }
}

/// Writes the counters of all peers in Prometheus' text format.
pub(super) fn render(out: &mut String) -> std::fmt::Result {
    let all = Counts::default();
    family(out, names::REQUESTS, "counter")?;
    // Opening and closing connections wait for this; requests do not.
    for (name, peer) in PEERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let counts = Counts::default();
        counts.add(&peer.closed);
        peer.open.iter().for_each(|open| counts.add(open));
        render_answers(out, &label(name), &counts)?;
        all.add(&counts);
    }
    family(out, names::REQUEST_DURATION, "histogram")?;
    for (kind, durations) in RequestKind::ALL.iter().zip(&all.durations) {
        let labels = format!("type=\"{}\"", kind.command_and_type().1);
        durations.render(out, names::REQUEST_DURATION, &labels)?;
    }
    Ok(())
}

fn render_answers(out: &mut String, peer: &str, counts: &Counts) -> std::fmt::Result {
    for (kind, answers) in RequestKind::ALL.iter().zip(&counts.answers) {
        let (command, type_) = kind.command_and_type();
        for (index, count) in answers.iter().enumerate().map(|(index, count)| (index, count.load(Relaxed))) {
            if count > 0 {
                let code = CODES.get(index).map_or("other".to_owned(), u32::to_string);
                writeln!(
                    out,
                    "{}{{command=\"{command}\",type=\"{type_}\",result_code=\"{code}\",peer=\"{peer}\"}} {count}",
                    names::REQUESTS
                )?;
            }
        }
    }
    Ok(())
}

fn family(out: &mut String, name: &str, kind: &str) -> std::fmt::Result {
    let help = names::ALL.iter().find(|metric| metric.name == name).map_or("", |metric| metric.help);
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A label's value, escaped; long strangers' names are cut.
fn label(text: &str) -> String {
    let mut value = String::new();
    for character in text.chars().take(128) {
        match character {
            '\\' => value.push_str("\\\\"),
            '"' => value.push_str("\\\""),
            '\n' => value.push_str("\\n"),
            other => value.push(other),
        }
    }
    value
}
