//! Reads records back, beside the writer if need be.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    DiskFile, DurableMark, Epoch, JournalError, Position, Visit,
    batch::split_record,
    scan::{Scan, Step},
    segment::Segment,
};

/// Reads a journal that is being written.
#[derive(Clone)]
pub struct JournalReader {
    engine: Arc<dyn ReadJournal>,
    mark: DurableMark,
}

/// What an engine offers to readers beside the writer.
pub trait ReadJournal: Send + Sync {
    /// Visits the records after one position up to and including another, which is known to be durable.
    fn read(&self, after: Position, up_to: Position, visit: Visit<'_>) -> Result<(), JournalError>;
}

impl JournalReader {
    /// Visits every durable record after a position, in order. Returns the last.
    pub fn read_from(&self, after: Position, visit: Visit<'_>) -> Result<Position, JournalError> {
        let up_to = self.mark.current();
        self.engine.read(after, up_to, visit)?;
        Ok(up_to)
    }

    pub(super) fn new(engine: Arc<dyn ReadJournal>, mark: DurableMark) -> Self {
        Self { engine, mark }
    }
}

/// The segments of a local journal, oldest first; never empty. Who reads holds on to what it reads.
pub(super) struct Segments<F> {
    list: Arc<Mutex<Vec<Arc<Segment<F>>>>>,
}

impl<F> Clone for Segments<F> {
    fn clone(&self) -> Self {
        Self { list: self.list.clone() }
    }
}

impl<F> Segments<F> {
    pub(super) fn new(list: Vec<Arc<Segment<F>>>) -> Self {
        Self { list: Arc::new(Mutex::new(list)) }
    }

    /// Looks at or changes the list, which is whole before and after each change.
    pub(super) fn with<R>(&self, action: impl FnOnce(&mut Vec<Arc<Segment<F>>>) -> R) -> R {
        action(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The segments from the one that holds a position.
    fn holding(&self, position: Position) -> Result<Vec<Arc<Segment<F>>>, JournalError> {
        self.with(|list| {
            let before = list.partition_point(|segment| segment.first <= position);
            let Some(start) = before.checked_sub(1) else {
                let oldest = list.first().map_or(position, |segment| segment.first);
                return Err(JournalError::Trimmed { after: Position(position.0.saturating_sub(1)), oldest });
            };
            Ok(list[start..].to_vec())
        })
    }
}

impl<F: DiskFile> ReadJournal for Segments<F> {
    fn read(&self, after: Position, up_to: Position, visit: Visit<'_>) -> Result<(), JournalError> {
        self.read_with(false, after, up_to, visit)
    }
}

impl<F: DiskFile> Segments<F> {
    /// As [`read`](ReadJournal::read); `past_damage` = what is damaged in records before those that are wanted is passed over.
    pub(super) fn read_with(
        &self,
        past_damage: bool,
        after: Position,
        up_to: Position,
        visit: Visit<'_>,
    ) -> Result<(), JournalError> {
        if after > up_to {
            return Err(JournalError::Missing { after, last: up_to });
        }
        if after == up_to {
            return Ok(());
        }
        let segments = self.holding(after.next())?;
        let mut epoch = Epoch(0);
        for (index, segment) in segments.iter().enumerate() {
            let mut scan = Scan::new(segment, epoch);
            let expected = loop {
                match scan.step()? {
                    Step::Batch { first, payload } => visit_batch(first, payload, after, up_to, visit)?,
                    Step::End { expected, .. } => {
                        if past_damage && scan.next <= after && scan.pass_over(after.next())? {
                            continue;
                        }
                        break expected;
                    }
                }
                if scan.next > up_to {
                    return Ok(());
                }
            };
            // A segment ends where the next one begins, or records are missing.
            if segments.get(index + 1).is_none_or(|following| following.first != scan.next) {
                return Err(JournalError::corrupt(&segment.name, scan.offset, expected));
            }
            epoch = scan.epoch;
        }
        Ok(())
    }
}

fn visit_batch(
    first: Position,
    mut payload: &[u8],
    after: Position,
    up_to: Position,
    visit: Visit<'_>,
) -> Result<(), JournalError> {
    let mut position = first;
    while let Some((record, rest)) = split_record(payload) {
        if position > after && position <= up_to {
            visit(position, record)?;
        }
        payload = rest;
        position = position.next();
    }
    Ok(())
}
