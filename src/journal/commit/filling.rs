//! The batch that fills while another is written: the one place where appenders and the thread meet.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::PENDING_MAX;
use crate::journal::{Batch, DurableMark, Position};

pub(super) struct Shared {
    pub(super) filling: Mutex<Filling>,
    /// There is something for the thread to do.
    pub(super) work: Condvar,
    /// The pending records were taken.
    pub(super) room: Condvar,
    pub(super) mark: DurableMark,
}

#[derive(Default)]
pub(super) struct Filling {
    pub(super) batch: Batch,
    /// The position given out last.
    pub(super) last: Position,
    pub(super) trim: Position,
    pub(super) trim_asked: bool,
    /// Records are taken.
    pub(super) open: bool,
    /// The thread waits for work.
    pub(super) idle: bool,
}

impl Shared {
    /// A panic of `under_lock` leaves the batch whole: it comes after the record.
    pub(super) fn lock(&self) -> MutexGuard<'_, Filling> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self, mut filling: MutexGuard<'_, Filling>) {
        let idle = std::mem::take(&mut filling.idle);
        drop(filling);
        if idle {
            self.work.notify_one();
        }
    }

    /// Waits for work. `false` when closed and nothing is left.
    pub(super) fn wait(&self) -> bool {
        let mut filling = self.lock();
        while !filling.has_work() && filling.open {
            filling.idle = true;
            filling = self.work.wait(filling).unwrap_or_else(PoisonError::into_inner);
        }
        filling.has_work()
    }

    /// Swaps an empty batch for the one that has filled. `None` when there is no work.
    pub(super) fn take(&self, batch: &mut Batch) -> Option<Option<Position>> {
        let mut filling = self.lock();
        if !filling.has_work() {
            return None;
        }
        std::mem::swap(&mut filling.batch, batch);
        let trim = filling.take_trim();
        drop(filling);
        if batch.bytes() >= PENDING_MAX {
            self.room.notify_all();
        }
        Some(trim)
    }

    /// Waits, but not when a trim is asked for, which is returned. `None` = closed.
    pub(super) fn pause(&self, at_most: Duration) -> Option<Option<Position>> {
        let mut filling = self.lock();
        filling.idle = true;
        let waits = |filling: &mut Filling| filling.open && !filling.trim_asked;
        let woken = self.work.wait_timeout_while(filling, at_most, waits);
        let mut filling = woken.unwrap_or_else(PoisonError::into_inner).0;
        filling.idle = false;
        let trim = filling.take_trim();
        filling.open.then_some(trim)
    }

    /// Waits for work, but no longer than this. Whether none came.
    pub(super) fn is_idle_for(&self, longest: Duration) -> bool {
        let begun = Instant::now();
        let mut filling = self.lock();
        while filling.batch.is_empty() && !filling.trim_asked && filling.open {
            let left = longest.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            filling.idle = true;
            (filling, _) = self.work.wait_timeout(filling, left).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    pub(super) fn close(&self) {
        let mut filling = self.lock();
        filling.open = false;
        filling.batch = Batch::new();
        drop(filling);
        self.room.notify_all();
    }
}

impl Filling {
    fn has_work(&self) -> bool {
        !self.batch.is_empty() || self.trim_asked
    }

    /// How far records are to be given up, if that is asked for.
    pub(super) fn take_trim(&mut self) -> Option<Position> {
        std::mem::take(&mut self.trim_asked).then_some(self.trim)
    }
}
