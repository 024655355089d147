//! Bulk changes, to chunks and back.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;

use super::{SnapshotError, chunks::Chunks};
use crate::{
    charging::{Bulk, Bulks, PlannedChange},
    journal::record::{
        RecordError,
        bulk::{change, read_change, read_known, write_known},
        proto,
    },
};

/// The bulk changes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BulksSnapshot {
    /// The journal position that it includes.
    pub position: u64,
    /// All of them.
    pub bulks: Bulks,
}

/// Writes bulk changes as chunks of about [`super::CHUNK_OCTETS`], in the order in which they must be loaded.
///
/// # Errors
/// Those of `emit`.
pub fn write_bulks<E>(snapshot: &BulksSnapshot, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut chunks = Chunks::new(emit);
    let bulks = || snapshot.bulks.iter();
    chunks.item(50, |w| {
        w.uint(1, snapshot.position);
        w.uint(2, bulks().len() as u64);
        w.uint(3, bulks().map(|bulk| bulk.changes.len() as u64).sum::<u64>());
    })?;
    for bulk in bulks() {
        chunks.item(51, |w| write_known(w, bulk))?;
    }
    for bulk in bulks() {
        for planned in bulk.changes.iter() {
            chunks.item(52, |w| {
                w.uint(1, bulk.id);
                w.message(2, |w| change(w, planned));
            })?;
        }
    }
    chunks.finish()
}

/// Rebuilds bulk changes from their chunks. After an error it is of no use any more.
#[derive(Debug, Default)]
pub struct BulksLoader {
    bulks: Vec<Bulk>,
    changes: BTreeMap<u64, Vec<PlannedChange>>,
    found: u64,
    header: Option<proto::BulksHeader>,
    next_chunk: u64,
}

impl BulksLoader {
    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not one of bulk changes, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let chunk = proto::SnapshotChunk::decode(chunk).map_err(RecordError::from)?;
        let (number, expected) = (chunk.number, self.next_chunk);
        if number != expected {
            return Err(SnapshotError::Order { expected, got: number });
        }
        if chunk.header.is_some() || chunk.outbox_header.is_some() || chunk.catalogs_header.is_some() {
            return Err(SnapshotError::Foreign(number));
        }
        match chunk.bulks_header {
            Some(header) if number == 0 => self.header = Some(header),
            None if number > 0 => {}
            _ => return Err(SnapshotError::Header(number)),
        }
        self.next_chunk += 1;
        for wire in chunk.bulks {
            self.bulks.push(read_known(wire)?);
        }
        for wire in chunk.planned_changes {
            let planned = read_change(wire.change.ok_or(RecordError::Missing("planned change"))?)?;
            self.changes.entry(wire.bulk).or_default().push(planned);
            self.found += 1;
        }
        Ok(())
    }

    /// Whether as much is there as the header promised.
    pub fn is_complete(&self) -> bool {
        self.counts().is_some_and(|counts| counts.iter().all(|(_, expected, found)| expected == found))
    }

    /// The bulk changes, if they are whole.
    ///
    /// # Errors
    /// Something is missing or too much.
    pub fn finish(mut self) -> Result<BulksSnapshot, SnapshotError> {
        let wrong = |&(_, expected, found): &(_, u64, u64)| expected != found;
        if let Some((what, expected, found)) = self.counts().ok_or(SnapshotError::Header(0))?.into_iter().find(wrong) {
            return Err(SnapshotError::Count { what, expected, found });
        }
        let mut bulks = Bulks::default();
        for bulk in std::mem::take(&mut self.bulks) {
            let changes = Arc::from(self.changes.remove(&bulk.id).unwrap_or_default());
            bulks.submitted(Bulk { changes, ..bulk });
        }
        Ok(BulksSnapshot { position: self.header.map_or(0, |header| header.position), bulks })
    }

    /// What is counted, how much the header promised and how much is there.
    fn counts(&self) -> Option<[(&'static str, u64, u64); 2]> {
        let header = self.header.as_ref()?;
        Some([("bulk changes", header.bulks, self.bulks.len() as u64), ("planned changes", header.changes, self.found)])
    }
}
