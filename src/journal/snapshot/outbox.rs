//! The outbox of business events, to chunks and back.

use prost::Message as _;

use super::{SnapshotError, chunks::Chunks};
use crate::{
    charging::Notice,
    journal::Position,
    journal::record::{RecordError, proto, read::notice as read_notice, write::notice as write_notice},
};

/// Business events that are not yet acknowledged by all, and how far each consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxSnapshot {
    /// The journal position that it includes.
    pub position: u64,
    /// Everything up to this cursor is no longer kept.
    pub next_cursor: u64,
    /// Notices with their cursors, oldest first.
    pub notices: Vec<(u64, Notice)>,
    /// Consumers, and the last cursor that each has acknowledged.
    pub consumers: Vec<(Box<str>, u64)>,
    /// Usage records were being written: those of all that the checkpoint includes are in their files.
    pub records_kept: bool,
    /// The end of the audit trail that the checkpoint includes.
    pub audit: Option<AuditHead>,
}

/// The last line of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The record that it is of.
    pub position: Position,
    /// How many lines there are.
    pub lines: u64,
    /// Its hash (SHA-256).
    pub hash: [u8; 32],
}

/// Writes the outbox as chunks of about [`super::CHUNK_OCTETS`], in the order in which they must be loaded.
///
/// # Errors
/// Those of `emit`.
pub fn write_outbox<E>(outbox: &OutboxSnapshot, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut chunks = Chunks::new(emit);
    chunks.item(3, |w| {
        w.uint(1, outbox.position);
        w.uint(2, outbox.next_cursor);
        w.uint(3, outbox.notices.len() as u64);
        w.uint(4, outbox.consumers.len() as u64);
        w.bool(60, outbox.records_kept);
        if let Some(head) = &outbox.audit {
            w.message(61, |w| {
                w.uint(1, head.position.0);
                w.uint(2, head.lines);
                w.bytes(3, &head.hash);
            });
        }
    })?;
    for (cursor, notice) in &outbox.notices {
        chunks.item(9, |w| {
            w.uint(1, *cursor);
            w.message(2, |w| write_notice(w, notice));
        })?;
    }
    for (name, cursor) in &outbox.consumers {
        chunks.item(10, |w| {
            w.bytes(1, name.as_bytes());
            w.uint(2, *cursor);
        })?;
    }
    chunks.finish()
}

fn audit_head(wire: proto::AuditHead) -> Result<AuditHead, RecordError> {
    let hash = wire.hash.try_into().map_err(|_| RecordError::Missing("hash of 32 octets"))?;
    Ok(AuditHead { position: Position(wire.position), lines: wire.lines, hash })
}

/// Rebuilds the outbox from its chunks. After an error it is of no use any more.
#[derive(Debug, Default)]
pub struct OutboxLoader {
    outbox: OutboxSnapshot,
    header: Option<proto::OutboxHeader>,
    next_chunk: u64,
}

impl OutboxLoader {
    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not an outbox's, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let chunk = proto::SnapshotChunk::decode(chunk).map_err(RecordError::from)?;
        let (number, expected) = (chunk.number, self.next_chunk);
        if number != expected {
            return Err(SnapshotError::Order { expected, got: number });
        }
        let partition_items =
            [chunk.accounts.len(), chunk.sessions.len(), chunk.closed.len(), chunk.events.len(), chunk.credits.len()];
        if chunk.header.is_some() || partition_items != [0; 5] {
            return Err(SnapshotError::Foreign(number));
        }
        match chunk.outbox_header {
            Some(header) if number == 0 => {
                (self.outbox.position, self.outbox.next_cursor) = (header.position, header.next_cursor);
                self.outbox.records_kept = header.records_kept;
                self.outbox.audit = header.audit.clone().map(audit_head).transpose()?;
                self.header = Some(header);
            }
            None if number > 0 => {}
            _ => return Err(SnapshotError::Header(number)),
        }
        self.next_chunk += 1;
        for wire in chunk.outbox_notices {
            let notice = read_notice(wire.notice.ok_or(RecordError::Missing("notice"))?)?;
            self.outbox.notices.push((wire.cursor, notice));
        }
        self.outbox.consumers.extend(chunk.consumers.into_iter().map(|wire| (wire.name.into(), wire.cursor)));
        Ok(())
    }

    /// Whether as much is there as the header promised.
    pub fn is_complete(&self) -> bool {
        self.counts().is_some_and(|counts| counts.iter().all(|(_, expected, found)| expected == found))
    }

    /// The outbox, if it is whole.
    ///
    /// # Errors
    /// Something is missing or too much.
    pub fn finish(self) -> Result<OutboxSnapshot, SnapshotError> {
        let wrong = |&(_, expected, found): &(_, u64, u64)| expected != found;
        match self.counts().ok_or(SnapshotError::Header(0))?.into_iter().find(wrong) {
            Some((what, expected, found)) => Err(SnapshotError::Count { what, expected, found }),
            None => Ok(self.outbox),
        }
    }

    /// What is counted, how much the header promised and how much is there.
    fn counts(&self) -> Option<[(&'static str, u64, u64); 2]> {
        let header = self.header.as_ref()?;
        Some([
            ("notices", header.notices, self.outbox.notices.len() as u64),
            ("consumers", header.consumers, self.outbox.consumers.len() as u64),
        ])
    }
}
