//! Group commit: while one batch is being synced, the next one fills.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use self::{
    filling::{Filling, Shared},
    run::{ByHand, EndOfRun, Run},
};
use super::{Batch, DurableMark, Epoch, Fatal, Journal, JournalReader, Position, Room};

mod filling;
mod run;

/// How much may wait to be written before [`Appender::append`] waits too: a second's work of a slow disk, and little enough
/// that a batch of it fits a segment of the default size.
pub const PENDING_MAX: usize = 32 << 20;

/// The longest record. What one request changes is far smaller; a longer one is a mistake and ends the journal.
pub const RECORD_MAX: usize = 16 << 20;

/// Where records enter. Clones append to the same journal.
#[derive(Clone)]
pub struct Appender {
    shared: Arc<Shared>,
}

/// Writes and syncs what the appenders gather, in a thread of its own or [by hand](Self::by_hand). Dropping it shuts it down.
pub struct Committer {
    shared: Arc<Shared>,
    reader: JournalReader,
    room: Room,
    thread: Option<JoinHandle<()>>,
    by_hand: Option<Box<dyn ByHand>>,
}

/// What a step by hand has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// There was something, and it is durable now.
    Committed,
    /// There was nothing to do, or nothing becomes durable any more.
    Nothing,
    /// The disk has no room for it: it is not durable, and the next step tries it again.
    NoRoom,
}

/// What one commit did, for whoever measures.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    /// Records in the batch.
    pub records: u32,
    /// Bytes in the batch.
    pub bytes: usize,
    /// How long the write and the sync took.
    pub took: Duration,
}

impl Appender {
    /// Copies a record into the batch that is filling and returns its position, long before that is durable.
    ///
    /// `under_lock` is called with the position while no other record can get one: what it does happens in the order of
    /// positions. It must be short, and must not append. Waits only if [`PENDING_MAX`] bytes are waiting to be written.
    ///
    /// After a fatal error or a shutdown the record is dropped; its position never becomes durable.
    pub fn append(&self, record: &[u8], under_lock: impl FnOnce(Position)) -> Position {
        let mut filling = self.shared.lock();
        while filling.batch.bytes() >= PENDING_MAX && filling.open {
            filling = self.shared.room.wait(filling).unwrap_or_else(PoisonError::into_inner);
        }
        if record.len() > RECORD_MAX {
            let why = format!("a record of {} bytes, more than {RECORD_MAX}", record.len());
            filling.open = false;
            self.shared.mark.fail(Fatal::Failed(why.into()));
        }
        filling.last = filling.last.next();
        if filling.open {
            filling.batch.push(record);
        }
        let position = filling.last;
        under_lock(position);
        self.shared.wake(filling);
        position
    }

    /// The position given out last.
    pub fn last(&self) -> Position {
        self.shared.lock().last
    }

    /// Has the committer give up records up to and including a position, soon. The caller has them in a checkpoint.
    pub fn trim(&self, up_to: Position) {
        let mut filling = self.shared.lock();
        filling.trim = filling.trim.max(up_to);
        filling.trim_asked = true;
        self.shared.wake(filling);
    }

    /// How far the journal is durable.
    pub fn mark(&self) -> &DurableMark {
        &self.shared.mark
    }
}

impl Committer {
    /// Starts the thread on a journal that has been taken over: `epoch` and `last` are what
    /// [`takeover`](Journal::takeover) returned. `observe` is called after each commit, in the thread.
    pub fn start(
        journal: impl Journal + 'static,
        epoch: Epoch,
        last: Position,
        observe: impl FnMut(&Commit) + Send + 'static,
    ) -> io::Result<Self> {
        let (mut committer, run) = Self::prepare(journal, epoch, last, observe);
        let thread = thread::Builder::new().name("journal-commit".to_owned()).spawn(|| run.until_closed())?;
        committer.thread = Some(thread);
        Ok(committer)
    }

    /// As [`start`](Self::start), without a thread: nothing is committed but by [`step`](Self::step). A simulation decides so
    /// when a commit comes.
    pub fn by_hand(journal: impl Journal + 'static, epoch: Epoch, last: Position) -> Self {
        let (mut committer, mut run) = Self::prepare(journal, epoch, last, |_| {});
        run.waits = false;
        committer.by_hand = Some(Box::new(run));
        committer
    }

    /// Commits in the caller's thread what has gathered. Always [`Stepped::Nothing`] where a thread does that.
    pub fn step(&mut self) -> Stepped {
        self.by_hand.as_mut().map_or(Stepped::Nothing, |run| run.step())
    }

    /// Does by hand what the thread does after nothing has come for a while: what is durable is sealed.
    pub fn idle_by_hand(&mut self) {
        if let Some(run) = &mut self.by_hand {
            run.idle();
        }
    }

    fn prepare<J: Journal, O: FnMut(&Commit)>(
        journal: J,
        epoch: Epoch,
        last: Position,
        observe: O,
    ) -> (Self, Run<J, O>) {
        let mark = DurableMark::new(last);
        let reader = JournalReader::new(journal.reader(), mark.clone());
        let room = journal.room();
        let shared = Arc::new(Shared {
            filling: Mutex::new(Filling { last, open: true, ..Filling::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
            mark,
        });
        let ends = EndOfRun(shared.clone());
        let run = Run {
            journal,
            epoch,
            durable: last,
            observe,
            batch: Batch::new(),
            waits: true,
            gather: Duration::ZERO,
            shared: ends,
        };
        (Self { shared, reader, room, thread: None, by_hand: None }, run)
    }

    /// Where records enter.
    pub fn appender(&self) -> Appender {
        Appender { shared: self.shared.clone() }
    }

    /// How far the journal is durable, and whether it has failed.
    pub fn mark(&self) -> DurableMark {
        self.shared.mark.clone()
    }

    /// Reads what is durable, beside the thread.
    pub fn reader(&self) -> JournalReader {
        self.reader.clone()
    }

    /// What the journal has room for.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Writes and syncs all that was appended, ends the thread and closes the journal. Returns the last durable position,
    /// or why not all of it is.
    pub fn shutdown(mut self) -> Result<Position, Fatal> {
        self.stop();
        match self.shared.mark.fatal() {
            Some(Fatal::ShutDown) | None => Ok(self.shared.mark.current()),
            Some(fatal) => Err(fatal),
        }
    }

    fn stop(&mut self) {
        if let Some(mut run) = self.by_hand.take() {
            run.finish();
        }
        let mut filling = self.shared.lock();
        filling.open = false;
        self.shared.wake(filling);
        if let Some(thread) = self.thread.take() {
            // A panic there has been turned into a fatal error already.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}
