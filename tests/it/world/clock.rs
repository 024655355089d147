//! The world's time: it goes by fits and starts, and back. As the system's clock, it does not go back for a process that
//! has seen it; the next process may begin earlier.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate::time::{Clock, Timestamp};

#[derive(Debug)]
pub(super) struct WorldClock {
    wall: AtomicU64,
    seen: AtomicU64,
}

impl WorldClock {
    pub(super) fn new(secs: u64) -> Self {
        Self { wall: AtomicU64::new(secs * 1_000), seen: AtomicU64::new(0) }
    }

    pub(super) fn forward(&self, millis: u64) {
        self.wall.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn back(&self, millis: u64) {
        self.wall.fetch_sub(millis, Ordering::Relaxed);
    }

    /// The process is another.
    pub(super) fn forget(&self) {
        self.seen.store(0, Ordering::Relaxed);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let wall = self.wall.load(Ordering::Relaxed);
        Timestamp::from_millis(self.seen.fetch_max(wall, Ordering::Relaxed).max(wall))
    }
}
