//! Group commit: while one batch is being synced, the next one fills.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{AppendError, Batch, DurableMark, Epoch, Fatal, Journal, JournalError, JournalReader, Position};

/// How much may wait to be written before [`Appender::append`] waits too: a second's work of a slow disk, and little enough
/// that a batch of it fits a segment of the default size.
pub const PENDING_MAX: usize = 32 << 20;

/// The longest record. What one request changes is far smaller; a longer one is a mistake and ends the journal.
pub const RECORD_MAX: usize = 16 << 20;

/// Memory a buffer keeps from one batch to the next.
const BUFFER_KEEP: usize = 4 << 20;

/// Where records enter. Clones append to the same journal.
#[derive(Clone)]
pub struct Appender {
    shared: Arc<Shared>,
}

/// The thread that writes and syncs what the appenders gather. Dropping it shuts it down.
pub struct Committer {
    shared: Arc<Shared>,
    reader: JournalReader,
    thread: Option<JoinHandle<()>>,
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
        let mark = DurableMark::new(last);
        let reader = JournalReader::new(journal.reader(), mark.clone());
        let shared = Arc::new(Shared {
            filling: Mutex::new(Filling { last, open: true, ..Filling::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
            mark,
        });
        let run = Run { journal, epoch, durable: last, observe, shared: EndOfThread(shared.clone()) };
        let thread = thread::Builder::new().name("journal-commit".to_owned()).spawn(|| run.until_closed())?;
        Ok(Self { shared, reader, thread: Some(thread) })
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

struct Shared {
    filling: Mutex<Filling>,
    /// There is something for the thread to do.
    work: Condvar,
    /// The pending records were taken.
    room: Condvar,
    mark: DurableMark,
}

#[derive(Default)]
struct Filling {
    batch: Batch,
    /// The position given out last.
    last: Position,
    trim: Position,
    trim_asked: bool,
    /// Records are taken.
    open: bool,
    /// The thread waits for work.
    idle: bool,
}

impl Shared {
    /// A panic of `under_lock` leaves the batch whole: it comes after the record.
    fn lock(&self) -> MutexGuard<'_, Filling> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut filling: MutexGuard<'_, Filling>) {
        let idle = std::mem::take(&mut filling.idle);
        drop(filling);
        if idle {
            self.work.notify_one();
        }
    }

    /// Swaps an empty batch for the one that has filled, once there is work. `None` when closed and nothing is left.
    fn take(&self, batch: &mut Batch) -> Option<Option<Position>> {
        let mut filling = self.lock();
        while filling.batch.is_empty() && !filling.trim_asked && filling.open {
            filling.idle = true;
            filling = self.work.wait(filling).unwrap_or_else(PoisonError::into_inner);
        }
        if filling.batch.is_empty() && !filling.trim_asked {
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

    fn close(&self) {
        let mut filling = self.lock();
        filling.open = false;
        filling.batch = Batch::new();
        drop(filling);
        self.room.notify_all();
    }
}

/// The committer's thread.
struct Run<J, O> {
    journal: J,
    epoch: Epoch,
    durable: Position,
    observe: O,
    shared: EndOfThread,
}

impl<J: Journal, O: FnMut(&Commit)> Run<J, O> {
    fn until_closed(mut self) {
        let mut batch = Batch::new();
        while let Some(trim) = self.shared.0.take(&mut batch) {
            if self.shared.0.mark.fatal().is_some() {
                return;
            }
            if let Err(fatal) = self.commit(&batch, trim) {
                return self.shared.0.mark.fail(fatal);
            }
            batch.clear(BUFFER_KEEP);
        }
        self.shared.0.mark.fail(Fatal::ShutDown);
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

/// However the thread ends, nobody waits for it any more.
struct EndOfThread(Arc<Shared>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        // The first reason stays: this one is seen after a panic only.
        self.0.mark.fail(Fatal::Failed("the committer's thread has ended".into()));
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
