//! One partition: its state and the position of its last record.

use crate::{charging::State, ids::SessionNo, journal::Position, time::Timestamp};

/// A partition, to be held under its lock.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) state: State,
    /// The journal position of its last change: what any answer from this state rests on.
    pub(super) last: Position,
    /// Where the search for sessions that were left behind goes on; `None` = none is under way.
    sweep: Option<(Timestamp, SessionNo)>,
    /// When the last search began.
    swept: Timestamp,
}

impl Partition {
    pub(super) fn new(state: State, last: Position) -> Self {
        Self { state, last, sweep: None, swept: Timestamp::EPOCH }
    }

    /// Where to look on for sessions that their clients have left behind; `None` = there is no need. A search begins when
    /// the grace time of a restart has ended since the last one began.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Option<(Timestamp, SessionNo)> {
        if self.sweep.is_none() && self.state.has_restart_between(self.swept, now) {
            self.swept = now;
            self.sweep = Some((Timestamp::EPOCH, SessionNo(0)));
        }
        self.sweep
    }

    /// How far the search has come; `None` = to the end.
    pub(super) fn swept_to(&mut self, place: Option<(Timestamp, SessionNo)>) {
        self.sweep = place;
    }
}
