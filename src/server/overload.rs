//! Early refusal: when the journal falls behind, or the disk has no room for more of it, new work is turned away before
//! it is read, so that the work already begun still gets its answers in time. A client that hears 3004 can go
//! elsewhere; one that hears nothing waits (spec I-6). So it is on a connection whose requests wait for too long before they
//! are worked off (`connection/incoming.rs`): there it is the processors that cannot keep up.
//!
//! What begins something is refused first, what asks for more next, and what only reports or ends last: it says what was
//! used, and gives back what was reserved. A client that takes part in overload control (RFC 7683) is told to ask less
//! before it is refused: we do better than ignoring its offer (spec G-23).

mod watch;

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::Counter;

use self::watch::Watch;
use crate::{
    diameter::{
        Frame, RequestError, ResultCode,
        credit_control::{
            OC_LOSS, OverloadReport, OverloadReportType, RequestType, SupportedFeatures, append_overload, glance,
        },
    },
    journal::{Position, Room, Space},
    telemetry::{RequestKind, names},
    time::Timestamp,
};

/// How often it is looked: often enough that a backlog cannot grow far beyond its bound unseen.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a report holds unless a newer one comes: the standard's default (RFC 7683 7.5).
const REPORT_VALIDITY_SECS: u32 = 30;
/// A report that still holds is made anew in time, so that its reader does not let go in between.
const REPORT_ANEW: u64 = REPORT_VALIDITY_SECS as u64 * 1_000 / 2;

/// Whether new work is taken on. Requests look by themselves, so nothing runs when nothing is asked.
#[derive(Debug)]
pub(super) struct Overload {
    start: Instant,
    /// Unix time of `start`, milliseconds.
    start_millis: u64,
    /// When the next look is due, milliseconds after `start`.
    due: AtomicU64,
    /// What the last look found: a [`Level`], and a [`Reason`] in the upper half.
    found: AtomicU8,
    /// The report as it is told: Unix time in milliseconds of its beginning, and the percentage in the lowest octet. It
    /// grows with each report, also over restarts, so it serves as the report's number. 0 = never overloaded.
    report: AtomicU64,
    watch: Mutex<Watch>,
    room: Room,
    /// Counters of refusals by reason and kind: to look one up takes longer than to refuse.
    refused: [[OnceLock<Counter>; RequestKind::ALL.len()]; Reason::COUNT],
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// All is well.
    Nothing,
    /// Initial requests and events.
    Begins,
    /// Updates that ask for units, too.
    Grants,
    /// Everything.
    Reports,
}

/// How the connection does that a request has come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    /// As many of its requests as may wait for the disk do so already: if the disk is behind, all are refused.
    Crowded,
    /// This is refused because its requests wait for too long before they are worked off.
    Late(Level),
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// More records wait to become durable than may.
    Backlog,
    /// They wait for longer than they may.
    Delay,
    /// The disk has no room for more.
    Space,
    /// More is asked than can be done: requests wait for too long before they are worked off.
    Busy,
}

impl Overload {
    /// `backlog_max` = records that may wait before new sessions are refused.
    pub(super) fn new(backlog_max: u64, room: Room, now: Timestamp) -> Self {
        Self {
            start: Instant::now(),
            start_millis: now.millis(),
            due: AtomicU64::new(0),
            found: AtomicU8::new(0),
            report: AtomicU64::new(0),
            watch: Mutex::new(Watch::new(backlog_max)),
            room,
            refused: Default::default(),
        }
    }

    /// Looks at the journal if it is time. `positions` = given out last, and durable.
    pub(super) fn look(&self, now: Instant, positions: impl FnOnce() -> (Position, Position)) {
        let millis = now.duration_since(self.start).as_millis() as u64;
        if millis < self.due.load(Ordering::Relaxed) {
            return;
        }
        // Somebody else looks at this moment: one is enough.
        let Ok(mut watch) = self.watch.try_lock() else { return };
        self.due.store(millis + LOOK_EVERY.as_millis() as u64, Ordering::Relaxed);
        let (last, durable) = positions();
        let found = worse(watch.judge(now, last, durable), self.by_room());
        self.set(found, millis);
    }

    /// Whether anything is refused because the journal is behind.
    pub(super) fn is_on(&self) -> bool {
        found(self.found.load(Ordering::Relaxed)).is_some_and(|(_, reason)| reason != Reason::Space)
    }

    /// The refusal of a request, if its kind is refused now, and that kind. The request is looked into no further than that
    /// takes; one whose kind cannot be made out is left to the reader.
    pub(super) fn refusal(&self, frame: &Frame, here: Here) -> Option<(RequestError, RequestKind)> {
        let (crowded, late) = match here {
            Here::Crowded => (true, None),
            Here::Late(level) => (false, Some((level, Reason::Busy)).filter(|(level, _)| *level > Level::Nothing)),
        };
        // Of room is asked each time: what is taken on beyond it may never be answered.
        let (level, reason) = worse(worse(found(self.found.load(Ordering::Relaxed)), self.by_room()), late)?;
        let kind = glance::request_type(frame)?;
        let refused_from = match kind {
            RequestType::Initial | RequestType::Event => Level::Begins,
            RequestType::Update if glance::asks_for_units(frame) => Level::Grants,
            RequestType::Update | RequestType::Termination => Level::Reports,
        };
        if level < refused_from && !crowded {
            return None;
        }
        let kind = RequestKind::of_cc_request_type(kind as u32);
        let counter = || metrics::counter!(names::REQUESTS_REFUSED, "reason" => reason.label(), "type" => kind.label());
        self.refused[reason as usize][kind as usize].get_or_init(counter).increment(1);
        Some((RequestError::new(ResultCode::TOO_BUSY, reason.message()), kind))
    }

    /// Tells a client that takes part in overload control, in the answer that begins at `start` and ends `out`.
    pub(super) fn tell(&self, out: &mut Vec<u8>, start: usize, now: Instant) {
        let features = SupportedFeatures { features: Some(OC_LOSS) };
        append_overload(out, start, &features, self.report(now).as_ref());
    }

    /// What those clients are told now; `None` = nothing to tell.
    fn report(&self, now: Instant) -> Option<OverloadReport> {
        let sequence = self.report.load(Ordering::Relaxed);
        let percentage = (sequence & 0xff) as u32;
        let told = sequence >> 8;
        if percentage > 0 {
            return Some(report(sequence, percentage, REPORT_VALIDITY_SECS));
        }
        // That it is over is told for as long as somebody may still go by what was told before.
        let age = self.unix_millis(now.duration_since(self.start).as_millis() as u64).saturating_sub(told);
        let recent = sequence != 0 && age <= u64::from(REPORT_VALIDITY_SECS) * 1_000;
        recent.then(|| report(sequence, 0, 0))
    }

    /// What is refused now.
    #[cfg(test)]
    pub(super) fn level(&self) -> Level {
        found(self.found.load(Ordering::Relaxed)).map_or(Level::Nothing, |(level, _)| level)
    }

    /// As if looks found this from now on.
    #[cfg(test)]
    fn hold(&self, found: Option<(Level, Reason)>) {
        self.due.store(u64::MAX, Ordering::Relaxed);
        self.set(found, self.start.elapsed().as_millis() as u64);
    }

    /// What a look found. One at a time: under the lock of the watch.
    fn set(&self, now_found: Option<(Level, Reason)>, millis: u64) {
        let code = now_found.map_or(0, |(level, reason)| level as u8 | (reason as u8) << 4);
        let was = found(self.found.swap(code, Ordering::Relaxed)).map_or(Level::Nothing, |(level, _)| level);
        let level = now_found.map_or(Level::Nothing, |(level, _)| level);
        let report = self.report.load(Ordering::Relaxed);
        let unix = self.unix_millis(millis);
        if level != was || (level > Level::Nothing && unix.saturating_sub(report >> 8) >= REPORT_ANEW) {
            // Never the same number twice, however the clock went.
            let begun = unix.max((report >> 8) + 1);
            self.report.store(begun << 8 | u64::from(level.reduction()), Ordering::Relaxed);
        }
        if level == was {
            return;
        }
        metrics::gauge!(names::OVERLOAD_LEVEL).set(f64::from(level as u8));
        match now_found {
            Some((level, reason)) => {
                tracing::warn!(reason = reason.label(), "{}: {} are refused", reason.message(), level.refused());
            }
            None => tracing::info!("the journal has caught up, or has room: all requests are accepted again"),
        }
    }

    /// What the room on the disk says.
    fn by_room(&self) -> Option<(Level, Reason)> {
        let level = match self.room.space() {
            Space::Enough => return None,
            Space::Short => Level::Begins,
            Space::Reserved => Level::Reports,
        };
        Some((level, Reason::Space))
    }

    const fn unix_millis(&self, since_start: u64) -> u64 {
        self.start_millis.saturating_add(since_start)
    }
}

/// A report about this node, not its realm.
const fn report(sequence: u64, percentage: u32, validity_secs: u32) -> OverloadReport {
    OverloadReport {
        sequence: Some(sequence),
        kind: Some(OverloadReportType::Host),
        reduction: Some(percentage),
        validity_secs: Some(validity_secs),
    }
}

/// Where more is refused; the first, where that is the same.
fn worse(one: Option<(Level, Reason)>, other: Option<(Level, Reason)>) -> Option<(Level, Reason)> {
    let level = |found: Option<(Level, Reason)>| found.map_or(Level::Nothing, |(level, _)| level);
    if level(other) > level(one) { other } else { one }
}

/// From the code that is kept.
const fn found(code: u8) -> Option<(Level, Reason)> {
    let level = match code & 0xf {
        1 => Level::Begins,
        2 => Level::Grants,
        3 => Level::Reports,
        _ => return None,
    };
    let reason = match code >> 4 {
        0 => Reason::Backlog,
        1 => Reason::Delay,
        _ => Reason::Space,
    };
    Some((level, reason))
}

impl Level {
    /// Those at which something is refused.
    const ALL: [Self; 3] = [Self::Begins, Self::Grants, Self::Reports];

    const fn refused(self) -> &'static str {
        match self {
            Self::Nothing => "no requests",
            Self::Begins => "new sessions and events",
            Self::Grants => "new sessions, events and updates that ask for units",
            Self::Reports => "all requests",
        }
    }

    /// The share of their requests that clients are asked to keep back. Some are always let through: refusals cost little,
    /// and answers tell when it is over.
    const fn reduction(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Begins => 30,
            Self::Grants => 60,
            Self::Reports => 90,
        }
    }
}

impl Reason {
    const COUNT: usize = Self::Busy as usize + 1;

    const fn label(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Delay => "delay",
            Self::Space => "space",
            Self::Busy => "busy",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Backlog | Self::Delay => "the journal is behind",
            Self::Space => "the disk has no room",
            Self::Busy => "more is asked than can be done",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::{
        CreditControlRequest, Identity,
        credit_control::{MultipleServices, ServiceUnits, UsedUnits},
    };

    fn overload() -> Overload {
        Overload::new(1_000, Room::default(), Timestamp::from_millis(1_700_000_000_000))
    }

    fn request(kind: RequestType, asks: bool) -> Frame {
        let origin = Identity { host: "gw.example".into(), realm: "example".into() };
        let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", kind);
        request.services = vec![MultipleServices {
            rating_group: Some(1),
            requested: asks.then(ServiceUnits::default),
            used: Some(UsedUnits::default()),
            ..MultipleServices::default()
        }];
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        Frame::from_bytes(bytes.into()).unwrap()
    }

    // tests: B-186 C-156
    #[test]
    fn what_begins_is_refused_first_and_what_ends_last() {
        use RequestType::{Event, Initial, Termination, Update};
        let kinds = [
            (Initial, true),
            (Event, true),
            (Update, true),
            (Update, false),
            (Termination, true),
            (Termination, false),
        ];
        for (level, refused) in [(Level::Nothing, 0), (Level::Begins, 2), (Level::Grants, 3), (Level::Reports, 6)] {
            let overload = overload();
            overload.hold(Some((level, Reason::Backlog)).filter(|(level, _)| *level > Level::Nothing));
            for (at, (kind, asks)) in kinds.into_iter().enumerate() {
                let answer = overload
                    .refusal(&request(kind, asks), Here::Late(Level::Nothing))
                    .map(|(error, _)| error.result_code);
                let expected = (at < refused).then_some(ResultCode::TOO_BUSY);
                assert_eq!(answer, expected, "{kind:?} {asks} at {level:?}");
            }
        }
    }

    #[test]
    fn on_a_connection_whose_requests_are_late_what_begins_is_refused() {
        use RequestType::{Initial, Termination, Update};
        let refused = |kind, level| overload().refusal(&request(kind, true), Here::Late(level)).map(|(error, _)| error);
        let kinds = [Initial, Update, Termination];
        assert_eq!(kinds.map(|kind| refused(kind, Level::Begins).is_some()), [true, false, false]);
        assert_eq!(kinds.map(|kind| refused(kind, Level::Grants).is_some()), [true, true, false]);
        let told = refused(Initial, Level::Begins).unwrap().to_string();
        assert_eq!(told, "3004 TOO_BUSY: more is asked than can be done");
    }

    #[test]
    fn for_want_of_room_what_is_new_is_refused_before_anybody_looks() {
        use RequestType::{Initial, Termination, Update};
        for (space, expected) in
            [(Space::Enough, [false; 3]), (Space::Short, [true, false, false]), (Space::Reserved, [true; 3])]
        {
            let overload = Overload::new(1_000, Room::of(space), Timestamp::from_millis(1_700_000_000_000));
            let refused = |kind| overload.refusal(&request(kind, true), Here::Late(Level::Nothing));
            assert_eq!([Initial, Update, Termination].map(|kind| refused(kind).is_some()), expected, "{space:?}");
            if let Some((error, _)) = refused(Initial) {
                assert_eq!(
                    (error.result_code, &*error.to_string()),
                    (ResultCode::TOO_BUSY, "3004 TOO_BUSY: the disk has no room")
                );
            }
            // The journal is not behind for that: a crowded connection has to wait for no disk.
            overload.look(overload.start, || (Position(5), Position(5)));
            assert_eq!((overload.is_on(), overload.level() > Level::Nothing), (false, expected[0]));
            // Where it is behind as well, the worse of the two counts.
            overload.look(overload.start + LOOK_EVERY, || (Position(4_005), Position(0)));
            assert_eq!((overload.level(), overload.is_on()), (Level::Reports, true), "{space:?}");
        }
    }

    #[test]
    fn looks_are_rare() {
        let overload = overload();
        let mut looks = 0;
        for millis in [1, 2, 50, 51, 60, 101] {
            overload.look(overload.start + Duration::from_millis(millis), || {
                looks += 1;
                (Position(0), Position(0))
            });
        }
        assert_eq!(looks, 3, "at 1, 51 and 101 ms");
    }

    // tests: G-23
    #[test]
    fn each_report_has_a_higher_number_and_the_end_is_told_for_a_while() {
        let overload = overload();
        let at = |millis| overload.start + Duration::from_millis(millis);
        let look = |millis, waiting| overload.look(at(millis), || (Position(waiting), Position(0)));
        assert_eq!(overload.report(at(0)), None);
        look(0, 1_001);
        let first = overload.report(at(0)).unwrap();
        assert_eq!((first.reduction, first.validity_secs), (Some(30), Some(REPORT_VALIDITY_SECS)));
        // The same, until it must be said again.
        look(1_000, 1_001);
        assert_eq!(overload.report(at(1_000)), Some(first.clone()));
        look(15_000, 2_001);
        let second = overload.report(at(15_000)).unwrap();
        assert!(second.sequence > first.sequence);
        look(30_000, 2_001);
        let third = overload.report(at(30_000)).unwrap();
        assert!(third.sequence > second.sequence && third.reduction > Some(0));
        overload.look(at(30_100), || (Position(2_001), Position(2_001)));
        let end = overload.report(at(30_100)).unwrap();
        assert!(end.sequence > third.sequence);
        assert_eq!((end.reduction, end.validity_secs), (Some(0), Some(0)));
        assert_eq!(overload.report(at(60_100)), Some(end.clone()));
        assert_eq!(overload.report(at(60_101)), None);
    }
}
