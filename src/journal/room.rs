//! How much room the journal has: told to those who decide what is taken on.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::JournalError;

/// The part of a segment that is kept for what has been taken on already: below it nothing more is. An eighth of the default
/// size takes the records of some ten thousand requests, far more than are on their way at a time.
const RESERVE_SHARE: u64 = 8;

/// What the journal has room for. Clones tell of the same journal.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Inner>);

/// For what there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// For everything.
    Enough,
    /// The disk has no room for the segment after the present one: nothing new should begin.
    Short,
    /// Only the reserve is left, or not even that: for what has been taken on already.
    Reserved,
}

#[derive(Debug, Default)]
struct Inner {
    /// Segments that are ready.
    spares: AtomicUsize,
    /// There was none, and none could be made.
    short: AtomicBool,
    /// A batch waits for room.
    stuck: AtomicBool,
    /// Bytes of the present segment that are still to be used.
    left: AtomicU64,
    reserve: AtomicU64,
}

impl Room {
    /// For what there is room now. Costs a load or two.
    pub fn space(&self) -> Space {
        let Inner { spares: _, short, stuck, left, reserve } = &*self.0;
        if stuck.load(Ordering::Relaxed) {
            return Space::Reserved;
        }
        if !short.load(Ordering::Relaxed) {
            return Space::Enough;
        }
        let is_low = left.load(Ordering::Relaxed) <= reserve.load(Ordering::Relaxed);
        if is_low { Space::Reserved } else { Space::Short }
    }

    /// Room that is told to be like that.
    #[cfg(test)]
    pub(crate) fn of(space: Space) -> Self {
        let room = Self::default();
        room.0.short.store(space == Space::Short, Ordering::Relaxed);
        room.set_left(1);
        room.set_stuck(space == Space::Reserved);
        room
    }

    /// Room that is never short, of segments of a size.
    pub(super) fn of_segments(bytes: u64) -> Self {
        let room = Self::default();
        room.0.reserve.store(bytes / RESERVE_SHARE, Ordering::Relaxed);
        room
    }

    pub(super) fn is_short(&self) -> bool {
        self.0.short.load(Ordering::Relaxed)
    }

    /// A segment is ready.
    pub(super) fn spare_made(&self) {
        self.0.spares.fetch_add(1, Ordering::Relaxed);
        self.0.short.store(false, Ordering::Relaxed);
    }

    /// One that was ready is in use.
    pub(super) fn spare_taken(&self) {
        // Each was made before.
        self.0.spares.fetch_sub(1, Ordering::Relaxed);
    }

    /// There was no room to make one. As long as another is ready, nobody need know.
    pub(super) fn spare_lacks(&self) {
        self.0.short.store(self.0.spares.load(Ordering::Relaxed) == 0, Ordering::Relaxed);
    }

    pub(super) fn set_left(&self, bytes: u64) {
        self.0.left.store(bytes, Ordering::Relaxed);
    }

    /// Whether a batch waits for room.
    #[cfg(test)]
    pub(super) fn is_stuck(&self) -> bool {
        self.0.stuck.load(Ordering::Relaxed)
    }

    /// A batch found no room; `false` = it has been written after all.
    pub(super) fn set_stuck(&self, stuck: bool) {
        self.0.stuck.store(stuck, Ordering::Relaxed);
    }
}

/// Whether an error says that there is no room, which may change. Any other is taken for good.
pub(super) fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The error of a sync. Whatever it says, nobody knows what it has left on the disk: it must not be taken for want of room.
pub(super) fn of_sync(error: io::Error) -> io::Error {
    if is_want_of_room(&error) { io::Error::other(error) } else { error }
}

impl JournalError {
    /// Whether the disk had no room: nothing is damaged, and it can be tried again.
    pub fn is_want_of_room(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_want_of_room(source))
    }
}
