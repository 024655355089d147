//! What waits to be written: in the order of the journal, no sooner than it is durable there.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::journal::{DurableMark, JournalError, Position, lines::Cursor};

/// Lines that are written and synced at once.
const BATCH: usize = 8_192;

/// Where a trail goes.
pub(super) trait Sink<T> {
    /// Writes items durably, in order. Those that are there already are passed over; asked again after an error with the
    /// same ones, it goes on.
    fn write(&mut self, items: &[(Cursor, T)]) -> Result<(), JournalError>;

    /// The last item that all files have.
    fn last(&self) -> Option<Cursor>;
}

/// A queue and its writer.
pub(super) struct Trail<T, S> {
    queue: Mutex<VecDeque<(Cursor, T)>>,
    waiting: AtomicUsize,
    writer: Mutex<Writer<T, S>>,
    /// What the files had when they were opened: a replay makes it again.
    had: Option<Cursor>,
}

struct Writer<T, S> {
    sink: S,
    /// Taken out of the queue and not yet durable in the files.
    in_hand: Vec<(Cursor, T)>,
}

impl<T, S: Sink<T>> Trail<T, S> {
    pub(super) fn new(sink: S) -> Self {
        let had = sink.last();
        let writer = Mutex::new(Writer { sink, in_hand: Vec::new() });
        Self { queue: Mutex::default(), waiting: AtomicUsize::new(0), writer, had }
    }

    /// Takes in what belongs to a record. Called in the order of positions.
    pub(super) fn push(&self, position: Position, items: impl IntoIterator<Item = T>) {
        (0..).zip(items).for_each(|(index, item)| self.push_at(Cursor::new(position, index), item));
    }

    pub(super) fn push_at(&self, cursor: Cursor, item: T) {
        if Some(cursor) > self.had {
            lock(&self.queue).push_back((cursor, item));
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The last that the files had when they were opened.
    pub(super) fn last(&self) -> Option<Cursor> {
        self.had
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Writes all that is durable in the journal. Returns how many lines that were.
    pub(super) fn flush(&self, mark: &DurableMark) -> Result<usize, JournalError> {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        let mut written = 0;
        loop {
            if writer.in_hand.is_empty() {
                let durable = mark.current();
                let mut queue = lock(&self.queue);
                let ready = queue.iter().take(BATCH).take_while(|(cursor, _)| cursor.position <= durable).count();
                writer.in_hand.extend(queue.drain(..ready));
            }
            if writer.in_hand.is_empty() {
                return Ok(written);
            }
            writer.sink.write(&writer.in_hand)?;
            written += writer.in_hand.len();
            self.waiting.fetch_sub(writer.in_hand.len(), Ordering::Relaxed);
            writer.in_hand.clear();
        }
    }

    /// A look at where it goes.
    pub(super) fn look<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&lock(&self.writer).sink)
    }
}

/// Queue and writer are whole after each single operation: a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
