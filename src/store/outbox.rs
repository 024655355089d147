//! Business events on their way to provisioning: numbered in journal order, delivered when durable, kept until they are
//! acknowledged.

use std::{
    collections::{BTreeMap, VecDeque},
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
    /// Notices kept at most, whoever has not acknowledged them: they are in memory, and a consumer that never comes back must
    /// not take the node with it.
    keep_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// By cursor, which only grows: what lies behind a cursor is found by bisection and counted without a walk, since
    /// appenders wait for this lock.
    notices: VecDeque<(u64, Arc<Notice>)>,
    consumers: BTreeMap<Box<str>, u64>,
    /// Everything up to here has been dropped.
    dropped: u64,
    /// Notices that were dropped although a consumer had not acknowledged them, since the start.
    given_up: u64,
    /// The record that changed something here last.
    last: Position,
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
    pub(super) fn new(keep: usize, keep_max: usize) -> Self {
        Self { inner: Mutex::default(), newest: watch::Sender::new(0), keep, keep_max }
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

    /// Notices that were dropped since the start although a consumer had not acknowledged them.
    pub fn given_up(&self) -> u64 {
        self.lock().given_up
    }

    /// The cursor that a consumer has acknowledged, if it ever has.
    pub fn acknowledged(&self, consumer: &str) -> Option<u64> {
        self.lock().consumers.get(consumer).copied()
    }

    /// All consumers.
    pub fn consumers(&self) -> Vec<Consumer> {
        let inner = self.lock();
        let consumer = |name: &str, cursor: u64| {
            let first = inner.index_after(cursor);
            let oldest = inner.notices.get(first).map(|(_, notice)| Arc::clone(notice));
            Consumer { name: name.into(), cursor, behind: inner.notices.len() - first, oldest }
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
        let range = inner.notices.range(inner.index_after(cursor)..);
        Ok(range.take_while(|(at, _)| *at < durable).take(limit).cloned().collect())
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
        let next = {
            let inner = self.lock();
            inner.notices.get(inner.index_after(cursor)).map(|(at, _)| *at)
        };
        if let Some(next) = next {
            mark.wait_for(Position(next >> INDEX_BITS)).await?;
        }
        Ok(())
    }

    /// Takes in the notices of a record. This and what follows is called in the order of positions, live and in a replay.
    pub(super) fn push(&self, position: Position, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let Some(mut inner) = self.change(position) else { return };
        // More than fit are not made by one request: they would be left out, never take another record's cursors.
        let first = first_cursor(position.0);
        let numbered = (first..first + (1 << INDEX_BITS)).zip(notices);
        inner.notices.extend(numbered.map(|(cursor, notice)| (cursor, Arc::new(notice.clone()))));
        let newest = inner.notices.back().map_or(inner.dropped, |(cursor, _)| *cursor);
        inner.drop_old(self.keep, self.keep_max);
        drop(inner);
        self.newest.send_modify(|known| *known = (*known).max(newest));
    }

    /// Notes how far a consumer has come.
    pub(super) fn acknowledge(&self, position: Position, consumer: &str, cursor: u64) {
        let Some(mut inner) = self.change(position) else { return };
        let known = inner.consumers.entry(consumer.into()).or_default();
        *known = (*known).max(cursor);
        inner.drop_old(self.keep, self.keep_max);
    }

    /// Forgets a consumer: what was kept for it alone goes.
    pub(super) fn forget(&self, position: Position, consumer: &str) {
        let Some(mut inner) = self.change(position) else { return };
        inner.consumers.remove(consumer);
        inner.drop_old(self.keep, self.keep_max);
    }

    /// What a record is to change; `None` if the checkpoint that a replay began with has that change already.
    fn change(&self, position: Position) -> Option<MutexGuard<'_, Inner>> {
        let mut inner = self.lock();
        if position <= inner.last {
            return None;
        }
        inner.last = position;
        Some(inner)
    }

    pub(super) fn snapshot(&self) -> OutboxSnapshot {
        let inner = self.lock();
        let notices = inner.notices.clone();
        let snapshot = OutboxSnapshot {
            position: inner.last.0,
            // The end of what is not kept, so that a reader that comes too late is told so after a restart as well.
            next_cursor: inner.dropped,
            notices: Vec::new(),
            consumers: inner.consumers.iter().map(|(name, cursor)| (name.clone(), *cursor)).collect(),
            ..OutboxSnapshot::default()
        };
        drop(inner);
        let notices = notices.into_iter().map(|(cursor, notice)| (cursor, (*notice).clone())).collect();
        OutboxSnapshot { notices, ..snapshot }
    }

    pub(super) fn restore(&self, snapshot: OutboxSnapshot) {
        let mut inner = self.lock();
        inner.last = Position(snapshot.position);
        inner.dropped = snapshot.next_cursor;
        inner.notices = snapshot.notices.into_iter().map(|(cursor, notice)| (cursor, Arc::new(notice))).collect();
        inner.consumers = snapshot.consumers.into_iter().collect();
        let newest = inner.notices.back().map_or(inner.dropped, |(cursor, _)| *cursor);
        drop(inner);
        self.newest.send_modify(|known| *known = (*known).max(newest));
    }
}

impl Inner {
    /// The place of the first notice after a cursor.
    fn index_after(&self, cursor: u64) -> usize {
        self.notices.partition_point(|(at, _)| *at <= cursor)
    }

    /// Drops the oldest notices beyond `keep`, but none that a consumer has still to acknowledge, unless there are more than
    /// `keep_max`.
    fn drop_old(&mut self, keep: usize, keep_max: usize) {
        if self.notices.len() <= keep {
            return;
        }
        let needed = self.consumers.values().copied().min().unwrap_or(u64::MAX);
        let free = self.index_after(needed);
        let too_many = self.notices.len().saturating_sub(keep_max.max(keep));
        let surplus = (self.notices.len() - keep).min(free).max(too_many);
        self.given_up += surplus.saturating_sub(free) as u64;
        if let Some((last, _)) = self.notices.drain(..surplus).next_back() {
            self.dropped = last;
        }
    }
}

fn first_cursor(position: u64) -> u64 {
    position << INDEX_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{charging::NoticeKind, ids::AccountId, time::Timestamp, units::Money};

    const KEEP: usize = 2;
    const KEEP_MAX: usize = 400;

    fn notice(position: u64) -> Notice {
        let (account, at) = (AccountId(1), Timestamp::from_secs(position));
        Notice { account, at, balance: Money::ZERO, kind: NoticeKind::CreditStop }
    }

    /// What journal records do.
    #[derive(Clone, Copy)]
    enum Record {
        Notices(usize),
        Acknowledged(&'static str, u64),
        Forgotten(&'static str),
    }

    fn write(outbox: &Outbox, position: u64, record: Record) {
        let at = Position(position);
        match record {
            Record::Notices(count) => outbox.push(at, &vec![notice(position); count]),
            Record::Acknowledged(consumer, position) => outbox.acknowledge(at, consumer, first_cursor(position)),
            Record::Forgotten(consumer) => outbox.forget(at, consumer),
        }
    }

    fn behind(outbox: &Outbox) -> Vec<(Box<str>, usize, Option<Timestamp>)> {
        let seen = |one: Consumer| (one.name, one.behind, one.oldest.map(|notice| notice.at));
        outbox.consumers().into_iter().map(seen).collect()
    }

    #[test]
    fn what_a_consumer_has_still_to_see_is_kept_and_counted() {
        let outbox = Outbox::new(KEEP, KEEP_MAX);
        for position in 1..=3 {
            write(&outbox, position, Record::Notices(2));
        }
        // Nobody has asked for more than what is kept for all.
        assert_eq!((outbox.len(), outbox.newest()), (2, first_cursor(3) + 1));
        write(&outbox, 4, Record::Acknowledged("slow", 3));
        for position in 5..=7 {
            write(&outbox, position, Record::Notices(1));
        }
        write(&outbox, 8, Record::Acknowledged("fast", 6));
        let at = |position| Some(Timestamp::from_secs(position));
        assert_eq!(behind(&outbox), [("fast".into(), 1, at(7)), ("slow".into(), 4, at(3))]);
        write(&outbox, 9, Record::Acknowledged("fast", 7));
        assert_eq!(behind(&outbox)[0], ("fast".into(), 0, None));
        assert_eq!(outbox.len(), 4);
        write(&outbox, 10, Record::Forgotten("slow"));
        assert_eq!((outbox.len(), outbox.acknowledged("slow")), (KEEP, None));
        let kept = outbox.snapshot();
        assert_eq!(kept.next_cursor, first_cursor(5), "the last that is gone");
        assert_eq!(kept.notices[0].0, first_cursor(6));
    }

    #[test]
    fn a_consumer_that_never_comes_back_loses_the_oldest_and_is_told() {
        let outbox = Outbox::new(KEEP, 5);
        write(&outbox, 1, Record::Notices(1));
        write(&outbox, 2, Record::Acknowledged("gone", 1));
        write(&outbox, 3, Record::Acknowledged("there", 1));
        for position in 4..=8 {
            write(&outbox, position, Record::Notices(1));
        }
        assert_eq!((outbox.len(), outbox.given_up()), (5, 0));
        let mark = crate::journal::DurableMark::at(Position(99));
        let gone = outbox.acknowledged("gone").unwrap();
        assert_eq!(outbox.after(gone, 9, &mark).unwrap().len(), 5);
        write(&outbox, 9, Record::Acknowledged("there", 8));
        write(&outbox, 10, Record::Notices(2));
        assert_eq!((outbox.len(), outbox.given_up()), (5, 2));
        let told = outbox.after(gone, 9, &mark).unwrap_err();
        assert_eq!(told.kept_after, first_cursor(5));
        assert_eq!(outbox.after(told.kept_after, 9, &mark).unwrap().len(), 5, "and goes on from there");
        assert_eq!(outbox.after(outbox.acknowledged("there").unwrap(), 9, &mark).unwrap().len(), 2);
    }

    /// A checkpoint takes the outbox after the position from which the journal is replayed: records in between must not
    /// change it twice. A consumer that was forgotten and came back would lose what is kept for it.
    #[test]
    fn a_replay_from_any_earlier_position_changes_nothing() {
        let records = [
            Record::Notices(3),
            Record::Acknowledged("hlr", 1),
            Record::Notices(1),
            Record::Forgotten("hlr"),
            Record::Acknowledged("hlr", 1),
            Record::Notices(300),
            Record::Notices(0),
            Record::Notices(1),
        ];
        let numbered = || (1..).zip(records);
        let live = Outbox::new(KEEP, KEEP_MAX);
        for (position, record) in numbered() {
            write(&live, position, record);
        }
        let expected = live.snapshot();
        assert_eq!(expected.notices.len(), KEEP + 256 + 1, "kept when the consumer came back, what fits of 300, one");
        for taken in 0..=records.len() as u64 {
            let before = Outbox::new(KEEP, KEEP_MAX);
            numbered().filter(|(at, _)| *at <= taken).for_each(|(at, record)| write(&before, at, record));
            let snapshot = before.snapshot();
            for from in 0..=taken {
                let replayed = Outbox::new(KEEP, KEEP_MAX);
                replayed.restore(snapshot.clone());
                numbered().filter(|(at, _)| *at > from).for_each(|(at, record)| write(&replayed, at, record));
                assert_eq!(replayed.snapshot(), expected, "taken at {taken}, replayed from {from}");
                assert_eq!(replayed.newest(), live.newest());
            }
        }
    }
}
