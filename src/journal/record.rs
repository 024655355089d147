//! The records of the journal: charging events and what consumers of business events say, as protobuf (`tollgate.journal.v1.Record`).
//!
//! A record is written for every charging request. It is therefore written field by field into the caller's buffer, with no
//! copy on the way; reading, which only recovery does, goes through the generated messages. Tests hold both together.

pub(super) mod account;
#[cfg(test)]
pub(super) mod arbitrary;
mod audit;
pub(super) mod bulk;
pub(super) mod catalogs;
mod described;
mod facts;
pub(super) mod fields;
pub(super) mod numbers;
pub(super) mod proto;
pub(super) mod rare;
pub(super) mod read;
#[cfg(test)]
mod tests;
pub(super) mod voucher;
pub(super) mod write;
pub(super) mod writer;

use prost::Message as _;

use self::writer::Writer;
pub use self::{
    audit::Audit,
    described::{Described, KINDS, describe},
};
use crate::{
    charging::{Bulk, BulkDecision, Event},
    ids::PartitionId,
    rating::Publication,
    time::Timestamp,
};

/// What a record tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something happened in a partition.
    Charging {
        /// The partition.
        partition: PartitionId,
        /// What happened.
        event: Event,
    },
    /// A consumer of business events has taken in everything up to a cursor.
    Acknowledged {
        /// Name of the consumer.
        consumer: Box<str>,
        /// The last event that it needs no more.
        cursor: u64,
        /// When.
        at: Timestamp,
    },
    /// A consumer of business events is gone for good: nothing is kept for it any more.
    Forgotten {
        /// Name of the consumer.
        consumer: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// A version of the catalog was published.
    Published(Publication),
    /// A version of the catalog was withdrawn before it came into force.
    Withdrawn {
        /// Its number.
        number: u32,
        /// When.
        at: Timestamp,
    },
    /// A call that would have changed data was refused; what comes with it says who called.
    CallRefused {
        /// When.
        at: Timestamp,
    },
    /// A bulk change was submitted.
    BulkSubmitted(Box<Bulk>),
    /// A bulk change that waited was decided about.
    BulkDecided {
        /// Its number.
        bulk: u64,
        /// What.
        decision: Box<BulkDecision>,
    },
    /// A change of a bulk change changed nothing; what comes with it says which, and why not.
    BulkItemEnded {
        /// When.
        at: Timestamp,
    },
}

/// Why bytes are not a record. The reader of segments checks a CRC first, so that this means another version or a defect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a protobuf message of this kind.
    #[error("not a protobuf message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The same, where it is read by hand.
    #[error("not a protobuf message: a field is cut off, or not what it should be")]
    Field,
    /// The record holds nothing that this version knows.
    #[error("no event that this version knows")]
    UnknownEvent,
    /// A part without which the record means nothing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A number that stands for nothing in its enumeration.
    #[error("`{field}` cannot be {value}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// Not the number of a currency.
    #[error("{0} is not the number of a known currency")]
    BadCurrency(u32),
    /// An identity that is not in its normal form.
    #[error("a subscriber's identity is not in its normal form")]
    BadIdentity,
}

/// Appends the record of an event. The hot path: no allocation beyond the growth of `out`.
pub fn encode_event(partition: PartitionId, event: &Event, out: &mut Vec<u8>) {
    write::event(&mut Writer::new(out), partition, event);
}

/// Appends the record of an acknowledgement.
pub fn encode_acknowledged(consumer: &str, cursor: u64, at: Timestamp, out: &mut Vec<u8>) {
    write::acknowledged(&mut Writer::new(out), consumer, cursor, at);
}

/// Appends the record of a consumer that is forgotten.
pub fn encode_forgotten(consumer: &str, at: Timestamp, out: &mut Vec<u8>) {
    write::forgotten(&mut Writer::new(out), consumer, at);
}

/// Appends the record of a publication. Withdrawals have records of their own.
pub fn encode_published(publication: &Publication, out: &mut Vec<u8>) {
    catalogs::write_published(&mut Writer::new(out), publication);
}

/// Appends the record of a withdrawal.
pub fn encode_withdrawn(number: u32, at: Timestamp, out: &mut Vec<u8>) {
    catalogs::write_withdrawn(&mut Writer::new(out), number, at);
}

/// Appends the record of a bulk change that was submitted.
pub fn encode_bulk_submitted(bulk: &Bulk, out: &mut Vec<u8>) {
    bulk::write_submitted(&mut Writer::new(out), bulk);
}

/// Appends the record of what was decided about a bulk change.
pub fn encode_bulk_decided(bulk: u64, decision: &BulkDecision, out: &mut Vec<u8>) {
    bulk::write_decided(&mut Writer::new(out), bulk, decision);
}

/// Appends the record of a change of a bulk change that changed nothing: which it is and why not, the audit says.
pub fn encode_bulk_item_ended(audit: &Audit, out: &mut Vec<u8>) {
    bulk::write_item_ended(&mut Writer::new(out), audit.at);
    encode_audit(audit, out);
}

/// Appends to the record that was just written who caused it.
pub fn encode_audit(audit: &Audit, out: &mut Vec<u8>) {
    audit::write(&mut Writer::new(out), audit);
}

/// Appends the record of a call that was refused.
pub fn encode_refused(audit: &Audit, out: &mut Vec<u8>) {
    write::call_refused(&mut Writer::new(out), audit.at);
    encode_audit(audit, out);
}

/// Reads one record.
///
/// # Errors
/// The bytes are not a record, or not one of this version.
pub fn decode(bytes: &[u8]) -> Result<Entry, RecordError> {
    decode_audited(bytes).map(|(entry, _)| entry)
}

/// Reads one record, and who caused it if that was a caller.
///
/// # Errors
/// As [`decode`].
pub fn decode_audited(bytes: &[u8]) -> Result<(Entry, Option<Audit>), RecordError> {
    let mut record = proto::Record::decode(bytes)?;
    let at = Timestamp::from_millis(record.at_ms);
    let item = record.bulk_item.take();
    let audit = record.audit.take().map(|wire| audit::read(wire, item, at));
    Ok((read::entry(record)?, audit))
}
