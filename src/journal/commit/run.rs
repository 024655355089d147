use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Commit, Stepped, filling::Shared};
use crate::journal::{AppendError, Batch, Epoch, Fatal, Journal, JournalError, Position};

/// Memory a buffer keeps from one batch to the next.
const BUFFER_KEEP: usize = 4 << 20;

/// How often a batch that the disk has no room for is tried again: clients wait for it.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// After nothing has come for so long, what is durable is sealed: long enough that it costs a busy journal nothing, and
/// short enough that what was answered a while ago is never taken for a torn write.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// Where so many records were in a batch, and as many wait for the next one, commits follow each other no faster than
/// [`COMMIT_EVERY`]: what a commit costs beside the disk's work (the system call, the wake-ups that follow it, a write to each
/// connection) is then shared by more. With fewer it is not processor time that is short, and where nobody waits, all wait
/// for this commit: time would only be lost.
const GATHER_FROM: u32 = 16;
/// A quarter of what a sync may take (a disk's p99 of 1 ms), so that a slow disk is not waited for, and no client notices.
const COMMIT_EVERY: Duration = Duration::from_micros(250);

/// What writes and syncs: the committer's thread, or whoever asks for a step.
pub(super) struct Run<J, O> {
    pub(super) journal: J,
    pub(super) epoch: Epoch,
    pub(super) durable: Position,
    pub(super) observe: O,
    /// What is being written; between two steps only what found no room.
    pub(super) batch: Batch,
    /// Whether it waits until there is room on the disk. By hand nobody would make any meanwhile: the next step tries again.
    pub(super) waits: bool,
    /// How long the next batch may gather.
    pub(super) gather: Duration,
    pub(super) shared: EndOfRun,
}

impl<J: Journal, O: FnMut(&Commit)> Run<J, O> {
    pub(super) fn until_closed(mut self) {
        let mut is_sealed = true;
        loop {
            if !is_sealed && self.shared.0.is_idle_for(SEAL_AFTER) {
                // Nothing depends on it: where it fails, the next time makes up for it.
                is_sealed = self.journal.seal().is_ok();
            }
            let before = self.durable;
            if !self.shared.0.wait() || self.step() == Stepped::Nothing {
                break;
            }
            is_sealed &= self.durable == before;
            if !self.gather.is_zero() && self.shared.0.lock().batch.records() >= GATHER_FROM {
                thread::sleep(self.gather);
            }
        }
        self.end();
    }

    /// Commits what has gathered, in one batch, or what found no room before.
    pub(super) fn step(&mut self) -> Stepped {
        let mut batch = std::mem::take(&mut self.batch);
        let trim = if batch.is_empty() {
            let Some(trim) = self.shared.0.take(&mut batch) else { return Stepped::Nothing };
            trim
        } else {
            self.shared.0.lock().take_trim()
        };
        if self.shared.0.mark.fatal().is_some() {
            return Stepped::Nothing;
        }
        let committed = self.commit(&batch, trim);
        if committed != Ok(Stepped::NoRoom) {
            batch.clear(BUFFER_KEEP);
        }
        self.batch = batch;
        committed.unwrap_or_else(|fatal| {
            self.shared.0.mark.fail(fatal);
            Stepped::Nothing
        })
    }

    /// Seals what is durable: after this nothing is committed any more.
    pub(super) fn end(&mut self) {
        if self.shared.0.mark.fatal().is_none() {
            let _ = self.journal.seal();
        }
        self.shared.0.mark.fail(Fatal::ShutDown);
    }

    fn commit(&mut self, batch: &Batch, mut trim: Option<Position>) -> Result<Stepped, Fatal> {
        while !batch.is_empty() {
            let begun = Instant::now();
            let full = match self.journal.append(self.epoch, self.durable, batch) {
                Ok(durable) => {
                    self.durable = durable;
                    self.shared.0.mark.advance(durable);
                    let took = begun.elapsed();
                    self.gather = match batch.records() {
                        GATHER_FROM.. => COMMIT_EVERY.saturating_sub(took),
                        _ => Duration::ZERO,
                    };
                    (self.observe)(&Commit { records: batch.records(), bytes: batch.bytes(), took });
                    break;
                }
                Err(AppendError::NoRoom(full)) => full,
                Err(error) => return Err(error.into()),
            };
            // What the journal gives up may be all the room that there is.
            self.trim(trim.take())?;
            if !self.waits {
                return Ok(Stepped::NoRoom);
            }
            trim = self.shared.0.pause(RETRY_EVERY).ok_or_else(|| Fatal::Failed(full.to_string().into()))?;
        }
        self.trim(trim)?;
        Ok(Stepped::Committed)
    }

    fn trim(&mut self, up_to: Option<Position>) -> Result<(), Fatal> {
        match up_to {
            // What is not durable is not in a checkpoint either, whatever the caller says.
            Some(up_to) => Ok(self.journal.trim(up_to.min(self.durable))?),
            None => Ok(()),
        }
    }
}

/// What may be done by hand.
pub(super) trait ByHand: Send {
    /// Commits what has gathered.
    fn step(&mut self) -> Stepped;

    /// Nothing has come for a while.
    fn idle(&mut self);

    /// Commits all of it and ends.
    fn finish(&mut self);
}

impl<J: Journal, O: FnMut(&Commit) + Send> ByHand for Run<J, O> {
    fn step(&mut self) -> Stepped {
        Self::step(self)
    }

    fn idle(&mut self) {
        if self.shared.0.mark.fatal().is_none() {
            // As in the thread: where it fails, the next time makes up for it.
            let _ = self.journal.seal();
        }
    }

    fn finish(&mut self) {
        while self.step() == Stepped::Committed {}
        if !self.batch.is_empty() {
            self.shared.0.mark.fail(Fatal::Failed("the disk is full".into()));
        }
        self.end();
    }
}

/// However it ends, nobody waits for it any more.
pub(super) struct EndOfRun(pub(super) Arc<Shared>);

impl Drop for EndOfRun {
    fn drop(&mut self) {
        // The first reason stays: this one is seen after a panic only.
        self.0.mark.fail(Fatal::Failed("the committer has ended".into()));
        self.0.close();
    }
}

impl From<AppendError> for Fatal {
    fn from(error: AppendError) -> Self {
        let why = error.to_string().into();
        match error {
            AppendError::Fenced { .. } => Self::Fenced(why),
            AppendError::OutOfOrder { .. } | AppendError::NoRoom(_) | AppendError::Io(_) => Self::Failed(why),
        }
    }
}

impl From<JournalError> for Fatal {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.to_string().into())
    }
}
