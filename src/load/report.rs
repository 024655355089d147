//! What came out of a load.

use std::{collections::BTreeMap, fmt};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{LoadOptions, Neighbours};
use crate::diameter::{ResultCode, credit_control::RequestType};

/// The result of a load. Counts cover the whole run with warm-up and wind-up; rate and latency what was sent while it
/// was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it went.
    pub target: String,
    /// Connections.
    pub connections: usize,
    /// In-flight slots of each.
    pub in_flight: usize,
    /// Requests per second that were asked for; absent in a closed loop.
    pub rate: Option<f64>,
    /// Seconds that were measured.
    pub duration: f64,
    /// Answers per second while it was measured.
    pub answered_per_second: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// Answered requests by type.
    pub by_type: ByType,
    /// Sessions that came to their end.
    pub sessions: u64,
    /// Answers by Result-Code of the command.
    pub result_codes: BTreeMap<u32, u64>,
    /// Answers by Result-Code of the MSCC.
    pub service_result_codes: BTreeMap<u32, u64>,
    /// Answers whose type or number was not the request's.
    pub wrong_echoes: u64,
    /// Answers to no request in flight.
    pub unexpected: u64,
    /// Requests that were due and found no free slot in time (open loop): the server is slower than the rate.
    pub never_sent: u64,
    /// Latency.
    pub latency: Latency,
    /// Connections that broke, and why.
    pub failures: Vec<String>,
}

/// Answered requests by type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ByType {
    /// CCR-I.
    pub initial: u64,
    /// CCR-U.
    pub update: u64,
    /// CCR-T.
    pub termination: u64,
}

/// Latency in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean_us: f64,
    /// Half of the answers came within this.
    pub p50_us: f64,
    /// 90 % did.
    pub p90_us: f64,
    /// 99 % did.
    pub p99_us: f64,
    /// 99.9 % did.
    pub p999_us: f64,
    /// All did.
    pub max_us: f64,
}

impl Report {
    /// Whether every request was answered, and as it should be, on connections that held. Refusals are answers.
    pub fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.failures.is_empty() && self.wrong_echoes == 0 && self.unexpected == 0
    }

    pub(super) fn new(options: &LoadOptions, tally: Tally) -> Self {
        let us = |nanos: u64| nanos as f64 / 1e3;
        let latency = &tally.latency;
        Self {
            target: options.target.clone(),
            connections: options.connections,
            in_flight: options.in_flight,
            rate: options.rate,
            duration: options.duration,
            answered_per_second: tally.measured as f64 / options.duration,
            sent: tally.sent,
            answered: tally.answered,
            unanswered: tally.unanswered,
            by_type: tally.by_type,
            sessions: tally.by_type.termination,
            result_codes: tally.result_codes.0.into_iter().collect(),
            service_result_codes: tally.service_codes.0.into_iter().collect(),
            wrong_echoes: tally.wrong_echoes,
            unexpected: tally.unexpected,
            never_sent: tally.never_sent,
            latency: Latency {
                mean_us: latency.mean() / 1e3,
                p50_us: us(latency.value_at_quantile(0.5)),
                p90_us: us(latency.value_at_quantile(0.9)),
                p99_us: us(latency.value_at_quantile(0.99)),
                p999_us: us(latency.value_at_quantile(0.999)),
                max_us: us(latency.max()),
            },
            failures: tally.failures,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, in_flight, duration, latency, by_type, .. } = self;
        writeln!(f, "{:.0} answers/s", self.answered_per_second)?;
        match self.rate {
            Some(rate) => {
                writeln!(f, "  load      {rate:.0} requests/s over {connections} connections for {duration} s")?
            }
            None => writeln!(f, "  load      {connections} connections x {in_flight} in flight for {duration} s")?,
        }
        let ms = |us: f64| us / 1e3;
        writeln!(
            f,
            "  latency   p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms",
            ms(latency.p50_us),
            ms(latency.p90_us),
            ms(latency.p99_us),
            ms(latency.p999_us),
            ms(latency.max_us)
        )?;
        writeln!(
            f,
            "  requests  {} sent, {} answered ({} initial, {} update, {} termination), {} unanswered",
            self.sent, self.answered, by_type.initial, by_type.update, by_type.termination, self.unanswered
        )?;
        writeln!(f, "  results   {}", codes(&self.result_codes))?;
        write!(f, "  services  {}", codes(&self.service_result_codes))?;
        if self.never_sent > 0 {
            write!(f, "\n  too slow  {} requests were due and never sent", self.never_sent)?;
        }
        if self.wrong_echoes + self.unexpected > 0 {
            let Self { wrong_echoes, unexpected, .. } = self;
            write!(f, "\n  wrong     {wrong_echoes} answers with another type or number, {unexpected} to no request")?;
        }
        self.failures.iter().try_for_each(|failure| write!(f, "\n  failed    {failure}"))
    }
}

/// A load alone, and the same load beside neighbours that are idle, slow or broken.
#[derive(Debug, Clone, Serialize)]
pub struct NeighbourReport {
    /// Alone.
    pub alone: Report,
    /// Beside them.
    pub beside: Report,
    /// Who they were.
    pub neighbours: Neighbours,
    /// p99 beside them, as a multiple of p99 alone.
    pub p99_ratio: f64,
}

impl NeighbourReport {
    pub(super) fn new(alone: Report, beside: Report, neighbours: Neighbours) -> Self {
        let p99_ratio = beside.latency.p99_us / alone.latency.p99_us.max(1.0);
        Self { alone, beside, neighbours, p99_ratio }
    }

    /// Whether both loads are clean, and the server has kept every neighbour that it should. How much slower it was is
    /// for the reader to judge.
    pub fn is_clean(&self) -> bool {
        self.alone.is_clean() && self.beside.is_clean() && self.neighbours.lost == 0
    }
}

impl fmt::Display for NeighbourReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Neighbours { idle, slow_readers, half_open, octet_writers, slow_readers_sent, half_open_closed, lost } =
            self.neighbours;
        writeln!(f, "alone\n{}\nbeside\n{}", self.alone, self.beside)?;
        writeln!(
            f,
            "neighbours  {idle} idle, {slow_readers} slow readers ({slow_readers_sent} octets taken from them), {half_open} \
             half open (closed {half_open_closed} times), {octet_writers} octet writers; {lost} lost"
        )?;
        write!(f, "p99 beside them is {:.2} times p99 alone", self.p99_ratio)
    }
}

fn codes(counts: &BTreeMap<u32, u64>) -> String {
    let texts: Vec<_> = counts.iter().map(|(code, count)| format!("{} x {count}", ResultCode(*code))).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

/// What a connection has counted.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// Answers that came while it was measured.
    pub(super) measured: u64,
    pub(super) unanswered: u64,
    pub(super) by_type: ByType,
    pub(super) result_codes: Counts,
    pub(super) service_codes: Counts,
    pub(super) wrong_echoes: u64,
    pub(super) unexpected: u64,
    pub(super) never_sent: u64,
    /// Nanoseconds.
    pub(super) latency: Histogram<u64>,
    pub(super) failures: Vec<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            answered: 0,
            measured: 0,
            unanswered: 0,
            by_type: ByType::default(),
            result_codes: Counts::default(),
            service_codes: Counts::default(),
            wrong_echoes: 0,
            unexpected: 0,
            never_sent: 0,
            latency: histogram(),
            failures: Vec::new(),
        }
    }
}

/// Latencies are kept to this many digits.
const LATENCY_DIGITS: u8 = 3;
/// What takes longer counts as this long, in nanoseconds: an hour, longer than any client waits (spec C-153).
const LATENCY_MAX: u64 = 3_600_000_000_000;

#[allow(clippy::expect_used, reason = "the only errors are a maximum below two and more than five digits")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, LATENCY_DIGITS).expect("constants in range")
}

impl Tally {
    /// One answer.
    #[inline]
    pub(super) fn count(&mut self, kind: RequestType, result_code: u32, service_code: Option<u32>) {
        self.answered += 1;
        match kind {
            RequestType::Initial => self.by_type.initial += 1,
            RequestType::Update => self.by_type.update += 1,
            RequestType::Termination | RequestType::Event => self.by_type.termination += 1,
        }
        self.result_codes.add(result_code, 1);
        if let Some(code) = service_code {
            self.service_codes.add(code, 1);
        }
    }

    /// Adds another connection's.
    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.measured += other.measured;
        self.unanswered += other.unanswered;
        self.by_type.initial += other.by_type.initial;
        self.by_type.update += other.by_type.update;
        self.by_type.termination += other.by_type.termination;
        other.result_codes.0.into_iter().for_each(|(code, count)| self.result_codes.add(code, count));
        other.service_codes.0.into_iter().for_each(|(code, count)| self.service_codes.add(code, count));
        self.wrong_echoes += other.wrong_echoes;
        self.unexpected += other.unexpected;
        self.never_sent += other.never_sent;
        // Both have the same range, so this cannot fail.
        let _ = self.latency.add(&other.latency);
        self.failures.extend(other.failures);
    }
}

/// Counts by code: a handful of codes, the commonest first in practice.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Vec<(u32, u64)>);

impl Counts {
    #[inline]
    fn add(&mut self, code: u32, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == code) {
            Some((_, total)) => *total += count,
            None => self.0.push((code, count)),
        }
    }
}
