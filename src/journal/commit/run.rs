use std::{sync::Arc, time::Instant};

use super::{Commit, filling::Shared};
use crate::journal::{AppendError, Batch, Epoch, Fatal, Journal, JournalError, Position};

/// Memory a buffer keeps from one batch to the next.
const BUFFER_KEEP: usize = 4 << 20;

/// What writes and syncs: the committer's thread, or whoever asks for a step.
pub(super) struct Run<J, O> {
    pub(super) journal: J,
    pub(super) epoch: Epoch,
    pub(super) durable: Position,
    pub(super) observe: O,
    pub(super) batch: Batch,
    pub(super) shared: EndOfRun,
}

impl<J: Journal, O: FnMut(&Commit)> Run<J, O> {
    pub(super) fn until_closed(mut self) {
        while self.shared.0.wait() && self.step() {}
        self.shared.0.mark.fail(Fatal::ShutDown);
    }

    /// Commits what has gathered, in one batch. Returns whether there was something and it is durable now.
    pub(super) fn step(&mut self) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        let Some(trim) = self.shared.0.take(&mut batch) else { return false };
        if self.shared.0.mark.fatal().is_some() {
            return false;
        }
        let committed = self.commit(&batch, trim);
        batch.clear(BUFFER_KEEP);
        self.batch = batch;
        committed.map_err(|fatal| self.shared.0.mark.fail(fatal)).is_ok()
    }

    fn commit(&mut self, batch: &Batch, trim: Option<Position>) -> Result<(), Fatal> {
        if !batch.is_empty() {
            let begun = Instant::now();
            self.durable = self.journal.append(self.epoch, self.durable, batch)?;
            let took = begun.elapsed();
            self.shared.0.mark.advance(self.durable);
            (self.observe)(&Commit { records: batch.records(), bytes: batch.bytes(), took });
        }
        match trim {
            // What is not durable is not in a checkpoint either, whatever the caller says.
            Some(up_to) => Ok(self.journal.trim(up_to.min(self.durable))?),
            None => Ok(()),
        }
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
            AppendError::OutOfOrder { .. } | AppendError::Io(_) => Self::Failed(why),
        }
    }
}

impl From<JournalError> for Fatal {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.to_string().into())
    }
}
