//! The versions of the catalog, to chunks and back.

use prost::Message as _;

use super::{SnapshotError, chunks::Chunks};
use crate::{
    journal::record::{
        RecordError,
        catalogs::{publication, write_publication},
        proto,
    },
    rating::Publication,
    time::Timestamp,
};

/// What was published and is still kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogsSnapshot {
    /// The journal position that it includes.
    pub position: u64,
    /// By number.
    pub publications: Vec<Publication>,
}

/// Writes the versions as chunks of about [`super::CHUNK_OCTETS`], in the order in which they must be loaded.
///
/// # Errors
/// Those of `emit`.
pub fn write_catalogs<E>(catalogs: &CatalogsSnapshot, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut chunks = Chunks::new(emit);
    chunks.item(40, |w| {
        w.uint(1, catalogs.position);
        w.uint(2, catalogs.publications.len() as u64);
    })?;
    for publication in &catalogs.publications {
        chunks.item(41, |w| {
            w.uint(1, publication.published.millis());
            w.message(2, |w| write_publication(w, publication));
            w.optional(3, publication.withdrawn.map(Timestamp::millis));
        })?;
    }
    chunks.finish()
}

/// Rebuilds the versions from their chunks. After an error it is of no use any more.
#[derive(Debug, Default)]
pub struct CatalogsLoader {
    catalogs: CatalogsSnapshot,
    header: Option<proto::CatalogsHeader>,
    next_chunk: u64,
}

impl CatalogsLoader {
    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not one of catalogs, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let chunk = proto::SnapshotChunk::decode(chunk).map_err(RecordError::from)?;
        let (number, expected) = (chunk.number, self.next_chunk);
        if number != expected {
            return Err(SnapshotError::Order { expected, got: number });
        }
        if chunk.header.is_some() || chunk.outbox_header.is_some() {
            return Err(SnapshotError::Foreign(number));
        }
        match chunk.catalogs_header {
            Some(header) if number == 0 => {
                self.catalogs.position = header.position;
                self.header = Some(header);
            }
            None if number > 0 => {}
            _ => return Err(SnapshotError::Header(number)),
        }
        self.next_chunk += 1;
        for wire in chunk.catalogs {
            let published = Timestamp::from_millis(wire.published_ms);
            let publication = publication(wire.publication.ok_or(RecordError::Missing("publication"))?, published)?;
            let withdrawn = wire.withdrawn_ms.map(Timestamp::from_millis);
            self.catalogs.publications.push(Publication { withdrawn, ..publication });
        }
        Ok(())
    }

    /// Whether as much is there as the header promised.
    pub fn is_complete(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.catalogs == self.catalogs.publications.len() as u64)
    }

    /// The versions, if they are whole.
    ///
    /// # Errors
    /// Something is missing or too much.
    pub fn finish(self) -> Result<CatalogsSnapshot, SnapshotError> {
        let expected = self.header.as_ref().ok_or(SnapshotError::Header(0))?.catalogs;
        let found = self.catalogs.publications.len() as u64;
        if found != expected {
            return Err(SnapshotError::Count { what: "catalogs", expected, found });
        }
        Ok(self.catalogs)
    }
}
