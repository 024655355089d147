//! Gathers items into chunks of bounded size.

use super::CHUNK_OCTETS;
use crate::journal::record::writer::Writer;

/// The chunks of one snapshot, as they are written.
pub(super) struct Chunks<'a, E> {
    out: Vec<u8>,
    /// Of the chunk in `out`.
    number: u64,
    /// Whether there is anything in it yet.
    started: bool,
    emit: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
}

impl<'a, E> Chunks<'a, E> {
    pub(super) fn new(emit: &'a mut dyn FnMut(&[u8]) -> Result<(), E>) -> Self {
        Self { out: Vec::new(), number: 0, started: false, emit }
    }

    /// One field of `SnapshotChunk`: a header or an item.
    pub(super) fn item(&mut self, field: u32, body: impl FnOnce(&mut Writer<'_>)) -> Result<(), E> {
        let mut w = Writer::new(&mut self.out);
        if !self.started {
            w.uint(1, self.number);
            self.started = true;
        }
        w.message(field, body);
        if self.out.len() < CHUNK_OCTETS { Ok(()) } else { self.flush() }
    }

    /// Emits what is left.
    pub(super) fn finish(mut self) -> Result<(), E> {
        if self.started { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), E> {
        (self.emit)(&self.out)?;
        self.out.clear();
        self.number += 1;
        self.started = false;
        Ok(())
    }
}
