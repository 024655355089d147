//! Who caused a record: part of the record itself, so that no change by a caller is without it.

use super::{bulk, proto, writer::Writer};
use crate::{charging::BulkItem, time::Timestamp};

/// A call by which somebody changed data, or was refused to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// When; in the journal, the moment of the record.
    pub at: Timestamp,
    /// Who: the authenticated name.
    pub name: Box<str>,
    /// In which role.
    pub role: Box<str>,
    /// From which address.
    pub address: Box<str>,
    /// By which call.
    pub method: Box<str>,
    /// What it was about, such as `account 5`.
    pub target: Box<str>,
    /// Why, in the caller's words.
    pub reason: Box<str>,
    /// What was there before of that which is different now: a JSON object.
    pub before: Box<str>,
    /// What is there now.
    pub after: Box<str>,
    /// Why it was refused; empty = it was done.
    pub refusal: Box<str>,
    /// The change of a bulk change that it is.
    pub bulk: Option<BulkItem>,
}

pub(super) fn write(w: &mut Writer<'_>, audit: &Audit) {
    let Audit { at: _, name, role, address, method, target, reason, before, after, refusal, bulk } = audit;
    let texts = [name, role, address, method, target, reason, before, after, refusal];
    w.message(24, |w| (1..).zip(texts).for_each(|(field, text)| w.bytes(field, text.as_bytes())));
    if let Some(item) = bulk {
        bulk::write_item(w, item);
    }
}

pub(super) fn read(wire: proto::Audit, item: Option<proto::BulkItem>, at: Timestamp) -> Audit {
    Audit {
        at,
        name: wire.name.into(),
        role: wire.role.into(),
        address: wire.address.into(),
        method: wire.method.into(),
        target: wire.target.into(),
        reason: wire.reason.into(),
        before: wire.before.into(),
        after: wire.after.into(),
        refusal: wire.refusal.into(),
        bulk: item.map(bulk::read_item),
    }
}
