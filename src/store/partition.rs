//! One partition: its state and the position of its last record.

use crate::{charging::State, journal::Position};

/// A partition, to be held under its lock.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) state: State,
    /// The journal position of its last change: what any answer from this state rests on.
    pub(super) last: Position,
}

impl Partition {
    pub(super) fn new(state: State, last: Position) -> Self {
        Self { state, last }
    }
}
