//! The batch that fills while another is written: the one place where appenders and the thread meet.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
        let trim = std::mem::take(&mut filling.trim_asked).then_some(filling.trim);
        drop(filling);
        if batch.bytes() >= PENDING_MAX {
            self.room.notify_all();
        }
        Some(trim)
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
}
