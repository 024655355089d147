//! Publications of catalogs: written by hand like the rest, read from the generated messages.

use super::{RecordError, numbers::Numbered as _, proto, writer::Writer};
use crate::{
    rating::{Publication, RunningSessions},
    time::Timestamp,
};

pub(super) fn write_published(w: &mut Writer<'_>, publication: &Publication) {
    w.uint(2, publication.published.millis());
    w.message(20, |w| write_publication(w, publication));
}

pub(super) fn write_withdrawn(w: &mut Writer<'_>, number: u32, at: Timestamp) {
    w.uint(2, at.millis());
    w.message(21, |w| w.uint(1, number));
}

/// All but the moments of the publication and of a withdrawal.
pub(in crate::journal) fn write_publication(w: &mut Writer<'_>, publication: &Publication) {
    w.uint(1, publication.number);
    w.bytes(2, publication.text.as_bytes());
    w.uint(3, publication.activates.millis());
    w.uint(4, publication.sessions.number());
    w.bytes(5, publication.by.as_bytes());
    w.bytes(6, publication.reason.as_bytes());
    w.bytes(7, publication.request_id.as_bytes());
}

pub(in crate::journal) fn publication(
    wire: proto::CatalogPublished,
    published: Timestamp,
) -> Result<Publication, RecordError> {
    Ok(Publication {
        number: wire.number,
        text: wire.text.into(),
        published,
        activates: Timestamp::from_millis(wire.activates_ms),
        sessions: RunningSessions::from_number(wire.sessions)?,
        by: wire.by.into(),
        reason: wire.reason.into(),
        request_id: wire.request_id.into(),
        withdrawn: None,
    })
}
