//! The policy: what successive looks at the journal mean.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Level, Reason};
use crate::journal::Position;

/// How long a record may wait to become durable before new sessions are refused, then updates, then everything: a sync
/// takes milliseconds, and clients give up after about ten seconds (Tx, spec C-153).
const DELAYS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// A level is left when the delay has shrunk to a quarter of what it was entered at, and the backlog to half: a disk that
/// is just as fast as it must be would otherwise have it come and go with each sync.
const DELAY_LEAVE: u32 = 4;
const BACKLOG_LEAVE: u64 = 2;
/// Looks remembered. With the oldest given up the delay is only told too small, and it is far beyond every mark by then.
const SAMPLES_MAX: usize = 1_024;

/// What is known of the journal.
#[derive(Debug)]
pub(super) struct Watch {
    /// Records that may wait before new sessions are refused.
    backlog_max: u64,
    /// Positions given out last, and when that was seen: those not durable yet, the oldest first.
    waiting: VecDeque<(Instant, Position)>,
    level: Level,
}

impl Watch {
    pub(super) const fn new(backlog_max: u64) -> Self {
        Self { backlog_max, waiting: VecDeque::new(), level: Level::Nothing }
    }

    /// What is to be refused from now on, and why.
    pub(super) fn judge(&mut self, now: Instant, last: Position, durable: Position) -> Option<(Level, Reason)> {
        self.waiting.retain(|(_, position)| *position > durable);
        if last > durable && self.waiting.back().is_none_or(|(_, position)| *position < last) {
            if self.waiting.len() >= SAMPLES_MAX {
                self.waiting.pop_front();
            }
            self.waiting.push_back((now, last));
        }
        let delay = self.waiting.front().map_or(Duration::ZERO, |(since, _)| now.duration_since(*since));
        let backlog = last.0.saturating_sub(durable.0);
        let by_backlog = |level: usize, held: bool| {
            let mark = self.backlog_max << level;
            backlog > if held { mark / BACKLOG_LEAVE } else { mark }
        };
        let by_delay = |level: usize, held: bool| {
            let mark = DELAYS[level];
            delay >= if held { mark / DELAY_LEAVE } else { mark }
        };
        let found = Level::ALL.into_iter().enumerate().rev().find_map(|(at, level)| {
            let held = self.level >= level;
            let reason = match (by_delay(at, held), by_backlog(at, held)) {
                (true, _) => Reason::Delay,
                (_, true) => Reason::Backlog,
                _ => return None,
            };
            Some((level, reason))
        });
        self.level = found.map_or(Level::Nothing, |(level, _)| level);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKLOG: u64 = 1_000;

    /// Looks, as: milliseconds, position given out last, durable, what is refused then.
    fn judged(looks: &[(u64, u64, u64, Level)]) {
        let (start, mut watch) = (Instant::now(), Watch::new(BACKLOG));
        for &(at, last, durable, expected) in looks {
            let now = start + Duration::from_millis(at);
            let found = watch.judge(now, Position(last), Position(durable)).map_or(Level::Nothing, |(level, _)| level);
            assert_eq!(found, expected, "at {at} ms");
        }
    }

    #[test]
    fn a_backlog_refuses_step_by_step_and_lets_go_at_half() {
        judged(&[
            (0, 10, 10, Level::Nothing),
            (50, 1_010, 10, Level::Nothing),
            (100, 1_011, 10, Level::Begins),
            (150, 2_011, 10, Level::Grants),
            (200, 4_011, 10, Level::Reports),
            // Between the marks nothing changes, whichever way it goes.
            (250, 4_011, 2_010, Level::Reports),
            (300, 4_011, 2_011, Level::Grants),
            (350, 4_111, 2_011, Level::Grants),
            (400, 4_111, 3_111, Level::Begins),
            (450, 4_111, 3_610, Level::Begins),
            (500, 4_111, 3_611, Level::Nothing),
            (550, 4_611, 3_611, Level::Nothing),
        ]);
    }

    #[test]
    fn a_delay_refuses_step_by_step_and_lets_go_at_a_quarter() {
        judged(&[
            (0, 11, 10, Level::Nothing),
            (1_999, 12, 10, Level::Nothing),
            (2_000, 12, 10, Level::Begins),
            (3_999, 13, 10, Level::Begins),
            (4_000, 13, 10, Level::Grants),
            (8_000, 13, 10, Level::Reports),
            // It moves again, by little: the second record has waited since 1,999 ms.
            (8_050, 14, 11, Level::Reports),
            (8_100, 14, 13, Level::Nothing),
        ]);
        // A disk that needs more than half a second for each sync holds what a stall began.
        judged(&[
            (0, 11, 10, Level::Nothing),
            (2_000, 12, 10, Level::Begins),
            (2_700, 13, 11, Level::Begins),
            (3_400, 14, 12, Level::Begins),
            (3_500, 14, 13, Level::Nothing),
            (5_000, 14, 13, Level::Nothing),
        ]);
    }

    #[test]
    fn an_idle_journal_is_not_a_stalled_one() {
        let idle = Level::Nothing;
        judged(&[(0, 11, 10, idle), (50, 11, 11, idle), (60_000, 11, 11, idle), (60_050, 12, 11, idle)]);
        // Nobody looked while it moved and came to rest again.
        judged(&[(0, 11, 10, idle), (60_000, 13, 12, idle)]);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let (start, mut watch) = (Instant::now(), Watch::new(u64::MAX >> 3));
        for at in 0..5_000 {
            watch.judge(start + Duration::from_millis(at), Position(at + 2), Position(1));
        }
        assert_eq!(watch.waiting.len(), SAMPLES_MAX);
    }
}
