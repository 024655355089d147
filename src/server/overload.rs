//! Early refusal: when the journal falls behind, new work is turned away before it is decided, so that the work already
//! begun still gets its answers in time. A client that hears 3004 can go elsewhere; one that hears nothing waits.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    diameter::{RequestError, ResultCode, credit_control::RequestType},
    journal::Position,
    telemetry::names,
};

/// Records that may wait to become durable. Some seconds of a slow disk's work, longer than clients wait for an answer; and
/// less than makes the journal itself block ([`PENDING_MAX`](crate::journal::PENDING_MAX)), which holds a partition's lock.
const BACKLOG_MAX: u64 = 200_000;
/// How long the journal may stand still while something waits for it: a sync takes milliseconds, and clients give up after
/// about ten seconds (Tx).
const STALL: Duration = Duration::from_secs(2);
/// How often it is looked: often enough that a backlog cannot grow far beyond its bound unseen.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether new work is taken on. Requests look by themselves, so nothing runs when nothing is asked.
#[derive(Debug)]
pub(super) struct Overload {
    start: Instant,
    /// When the next look is due, milliseconds after `start`.
    due: AtomicU64,
    /// What the last look found: 0 = all is well, else a [`Reason`].
    found: AtomicU8,
    watch: Mutex<Watch>,
}

/// Why new work is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// More than [`BACKLOG_MAX`] records wait.
    Backlog,
    /// Nothing has become durable for [`STALL`].
    Stall,
}

impl Overload {
    pub(super) fn new() -> Self {
        let watch = Mutex::new(Watch::default());
        Self { start: Instant::now(), due: AtomicU64::new(0), found: AtomicU8::new(0), watch }
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
        self.set(watch.judge(now, last, durable));
    }

    /// The refusal of a request, if it is one that begins something new while the journal is behind. Updates and
    /// terminations are served always: they report what was used, and give back what was reserved.
    pub(super) fn refusal(&self, kind: RequestType) -> Option<RequestError> {
        let reason = Reason::of(self.found.load(Ordering::Relaxed))?;
        if !matches!(kind, RequestType::Initial | RequestType::Event) {
            return None;
        }
        metrics::counter!(names::REQUESTS_REFUSED, "reason" => reason.label()).increment(1);
        Some(RequestError::new(ResultCode::TOO_BUSY, "the journal is behind"))
    }

    /// As if looks found this from now on.
    #[cfg(test)]
    pub(super) fn hold(&self, found: Option<Reason>) {
        self.due.store(u64::MAX, Ordering::Relaxed);
        self.set(found);
    }

    /// What a look found.
    fn set(&self, found: Option<Reason>) {
        let was = Reason::of(self.found.swap(found.map_or(0, Reason::code), Ordering::Relaxed));
        match found {
            Some(reason) if was.is_none() => tracing::warn!(reason = reason.label(), "new sessions are refused"),
            None if was.is_some() => tracing::info!("new sessions are accepted again"),
            _ => {}
        }
    }
}

impl Reason {
    const fn code(self) -> u8 {
        match self {
            Self::Backlog => 1,
            Self::Stall => 2,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Backlog),
            2 => Some(Self::Stall),
            _ => None,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Stall => "stall",
        }
    }
}

/// The policy: what successive looks at the journal mean.
#[derive(Debug, Default)]
struct Watch {
    /// How far the journal was durable at the last look, and since when it has been seen to stand there with something to
    /// do. `None`: nothing waited.
    standing: Option<(Position, Instant)>,
}

impl Watch {
    fn judge(&mut self, now: Instant, last: Position, durable: Position) -> Option<Reason> {
        let backlog = last.0.saturating_sub(durable.0);
        if backlog == 0 {
            self.standing = None;
            return None;
        }
        let since = match self.standing {
            Some((at, since)) if at == durable => since,
            _ => now,
        };
        self.standing = Some((durable, since));
        if now.duration_since(since) >= STALL {
            Some(Reason::Stall)
        } else if backlog > BACKLOG_MAX {
            Some(Reason::Backlog)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks, as: milliseconds, position given out last, durable, what follows.
    fn judged(looks: &[(u64, u64, u64, Option<Reason>)]) {
        let (start, mut watch) = (Instant::now(), Watch::default());
        for &(at, last, durable, expected) in looks {
            let now = start + Duration::from_millis(at);
            assert_eq!(watch.judge(now, Position(last), Position(durable)), expected, "at {at} ms");
        }
    }

    #[test]
    fn a_backlog_beyond_its_bound_refuses_until_it_shrinks() {
        judged(&[
            (0, 10, 10, None),
            (50, BACKLOG_MAX + 10, 10, None),
            (100, BACKLOG_MAX + 11, 10, Some(Reason::Backlog)),
            (150, BACKLOG_MAX + 5_000, 5_000, None),
        ]);
    }

    #[test]
    fn a_journal_that_stands_still_refuses_until_it_moves() {
        judged(&[
            (0, 11, 10, None),
            (1_999, 12, 10, None),
            (2_000, 12, 10, Some(Reason::Stall)),
            (9_000, 12, 10, Some(Reason::Stall)),
            (9_050, 12, 11, None),
            (11_049, 12, 11, None),
            (11_050, 12, 11, Some(Reason::Stall)),
            (11_100, 12, 12, None),
        ]);
    }

    #[test]
    fn an_idle_journal_is_not_a_stalled_one() {
        judged(&[(0, 11, 10, None), (50, 11, 11, None), (60_000, 11, 11, None), (60_050, 12, 11, None)]);
        // Nobody looked while it moved and came to rest again.
        judged(&[(0, 11, 10, None), (60_000, 13, 12, None)]);
    }

    #[test]
    fn only_what_begins_is_refused() {
        let overload = Overload::new();
        let refused = |kind| overload.refusal(kind).map(|error| error.result_code);
        assert_eq!(refused(RequestType::Initial), None);
        overload.set(Some(Reason::Stall));
        for kind in [RequestType::Initial, RequestType::Event] {
            assert_eq!(refused(kind), Some(ResultCode::TOO_BUSY));
        }
        for kind in [RequestType::Update, RequestType::Termination] {
            assert_eq!(refused(kind), None);
        }
        overload.set(None);
        assert_eq!(refused(RequestType::Event), None);
    }

    #[test]
    fn looks_are_rare() {
        let overload = Overload::new();
        let mut looks = 0;
        for millis in [1, 2, 50, 51, 60, 101] {
            overload.look(overload.start + Duration::from_millis(millis), || {
                looks += 1;
                (Position(0), Position(0))
            });
        }
        assert_eq!(looks, 3, "at 1, 51 and 101 ms");
    }
}
