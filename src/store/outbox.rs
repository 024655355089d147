//! Business events on their way to provisioning: numbered in journal order, delivered when durable, kept until they are
//! acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    charging::Notice,
    journal::{DurableMark, Fatal, Position, snapshot::OutboxSnapshot},
};

/// Bits of a cursor that count the notices of one record.
const INDEX_BITS: u32 = 8;

/// Notices of this node, and how far each consumer has come.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    /// The newest cursor: waiting subscribers watch it.
    newest: watch::Sender<u64>,
    /// Notices kept although every known consumer has acknowledged them.
    keep: usize,
}

#[derive(Debug, Default)]
struct Inner {
    notices: BTreeMap<u64, Arc<Notice>>,
    consumers: BTreeMap<Box<str>, u64>,
    /// Everything up to here has been dropped.
    dropped: u64,
}

/// A consumer and how far it has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Box<str>,
    /// The last cursor that it has acknowledged.
    pub cursor: u64,
    /// Notices after that.
    pub behind: usize,
    /// The first of them, if there is one.
    pub oldest: Option<Arc<Notice>>,
}

/// The cursor lies before what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events up to cursor {kept_after} are no longer kept")]
pub struct CursorTooOld {
    /// Events after this cursor are kept.
    pub kept_after: u64,
}

impl Outbox {
    pub(super) fn new(keep: usize) -> Self {
        Self { inner: Mutex::default(), newest: watch::Sender::new(0), keep }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The map is whole after each single operation: a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cursor of the newest notice.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Notices that are kept.
    pub fn len(&self) -> usize {
        self.lock().notices.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cursor that a consumer has acknowledged, if it ever has.
    pub fn acknowledged(&self, consumer: &str) -> Option<u64> {
        self.lock().consumers.get(consumer).copied()
    }

    /// All consumers.
    pub fn consumers(&self) -> Vec<Consumer> {
        let inner = self.lock();
        let consumer = |name: &str, cursor: u64| {
            let mut behind = inner.notices.range(cursor.saturating_add(1)..);
            let oldest = behind.next().map(|(_, notice)| Arc::clone(notice));
            let count = usize::from(oldest.is_some()) + behind.count();
            Consumer { name: name.into(), cursor, behind: count, oldest }
        };
        inner.consumers.iter().map(|(name, cursor)| consumer(name, *cursor)).collect()
    }

    /// Notices after a cursor that are durable, at most `limit`, oldest first.
    ///
    /// # Errors
    /// Some that would come first are no longer kept.
    pub fn after(
        &self,
        cursor: u64,
        limit: usize,
        mark: &DurableMark,
    ) -> Result<Vec<(u64, Arc<Notice>)>, CursorTooOld> {
        let durable = first_cursor(mark.current().0.saturating_add(1));
        let inner = self.lock();
        if cursor < inner.dropped {
            return Err(CursorTooOld { kept_after: inner.dropped });
        }
        let range = inner.notices.range(cursor.saturating_add(1)..);
        Ok(range.take_while(|(at, _)| **at < durable).take(limit).map(|(at, n)| (*at, Arc::clone(n))).collect())
    }

    /// Waits until there is a durable notice after a cursor. Cancel safe.
    ///
    /// # Errors
    /// The journal has failed or is shut down: no more will come.
    pub async fn wait_after(&self, cursor: u64, mark: &DurableMark) -> Result<(), Fatal> {
        let mut newest = self.newest.subscribe();
        tokio::select! {
            // The sender lives in `self`, so it cannot be gone.
            _ = newest.wait_for(|newest| *newest > cursor) => {}
            fatal = mark.failed() => return Err(fatal),
        }
        let next = self.lock().notices.range(cursor.saturating_add(1)..).next().map(|(at, _)| *at);
        if let Some(next) = next {
            mark.wait_for(Position(next >> INDEX_BITS)).await?;
        }
        Ok(())
    }

    /// Takes in the notices of a record. Called in the order of positions.
    pub(super) fn push(&self, position: Position, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let first = first_cursor(position.0);
        let mut inner = self.lock();
        // More than fit are not made by one request; the last one would be overwritten, never another record's.
        for (index, notice) in notices.iter().enumerate() {
            let cursor = first + (index as u64).min((1 << INDEX_BITS) - 1);
            inner.notices.insert(cursor, Arc::new(notice.clone()));
        }
        inner.drop_old(self.keep);
        drop(inner);
        self.newest.send_modify(|newest| *newest = (*newest).max(first + notices.len() as u64 - 1));
    }

    /// Notes how far a consumer has come.
    pub(super) fn acknowledge(&self, consumer: &str, cursor: u64) {
        let mut inner = self.lock();
        let known = inner.consumers.entry(consumer.into()).or_default();
        *known = (*known).max(cursor);
        inner.drop_old(self.keep);
    }

    pub(super) fn snapshot(&self, position: Position) -> OutboxSnapshot {
        let inner = self.lock();
        OutboxSnapshot {
            position: position.0,
            // The first cursor that is kept, so that a reader that comes too late is told so after a restart as well.
            next_cursor: inner.dropped,
            notices: inner.notices.iter().map(|(cursor, notice)| (*cursor, (**notice).clone())).collect(),
            consumers: inner.consumers.iter().map(|(name, cursor)| (name.clone(), *cursor)).collect(),
        }
    }

    pub(super) fn restore(&self, snapshot: OutboxSnapshot) {
        let mut inner = self.lock();
        inner.dropped = snapshot.next_cursor;
        inner.notices = snapshot.notices.into_iter().map(|(cursor, notice)| (cursor, Arc::new(notice))).collect();
        inner.consumers = snapshot.consumers.into_iter().collect();
        let newest = inner.notices.last_key_value().map_or(inner.dropped, |(cursor, _)| *cursor);
        drop(inner);
        self.newest.send_modify(|known| *known = (*known).max(newest));
    }
}

impl Inner {
    /// Drops the oldest notices beyond `keep`, but none that a consumer has still to acknowledge.
    fn drop_old(&mut self, keep: usize) {
        let needed = self.consumers.values().copied().min().unwrap_or(u64::MAX);
        while self.notices.len() > keep {
            match self.notices.first_key_value() {
                Some((cursor, _)) if *cursor <= needed => {
                    self.dropped = *cursor;
                    self.notices.pop_first();
                }
                _ => break,
            }
        }
    }
}

fn first_cursor(position: u64) -> u64 {
    position << INDEX_BITS
}
