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
        self.begin();
        Writer::new(&mut self.out).message(field, body);
        self.flush_if_full()
    }

    /// The same, written already.
    pub(super) fn field(&mut self, octets: &[u8]) -> Result<(), E> {
        self.begin();
        self.out.extend_from_slice(octets);
        self.flush_if_full()
    }

    /// Emits what is left.
    pub(super) fn finish(mut self) -> Result<(), E> {
        if self.started { self.flush() } else { Ok(()) }
    }

    fn begin(&mut self) {
        if !self.started {
            Writer::new(&mut self.out).uint(1, self.number);
            self.started = true;
        }
    }

    fn flush_if_full(&mut self) -> Result<(), E> {
        if self.out.len() < CHUNK_OCTETS { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), E> {
        (self.emit)(&self.out)?;
        self.out.clear();
        self.number += 1;
        self.started = false;
        Ok(())
    }
}
