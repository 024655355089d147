//! Records for people: what kind, when, and all fields by the names that `journal.proto` gives them.

use prost::Message as _;

use super::{RecordError, proto};
use crate::time::Timestamp;

/// A record as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// When it happened.
    pub at: Timestamp,
    /// In which partition; 0 also for what belongs to none.
    pub partition: u32,
    /// The name of its event in `journal.proto`.
    pub kind: &'static str,
    /// Who caused it, as the audit trail has it, if that was a caller.
    pub by: Option<String>,
    /// All its fields.
    pub fields: String,
}

/// Reads a record as far as it is a message at all: also one that this version would refuse.
///
/// # Errors
/// It is no protobuf message, or its event is of a later version.
pub fn describe(bytes: &[u8]) -> Result<Described, RecordError> {
    let record = proto::Record::decode(bytes)?;
    let (kind, fields) = kind_of(&record.event.ok_or(RecordError::UnknownEvent)?);
    let by = record.audit.map(|audit| format!("{audit:?}"));
    Ok(Described { at: Timestamp::from_millis(record.at_ms), partition: record.partition, kind, by, fields })
}

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// All kinds that there are.
        pub const KINDS: &[&str] = &[$(stringify!($kind)),*];

        fn kind_of(event: &proto::record::Event) -> (&'static str, String) {
            match event {
                $(proto::record::Event::$kind(fields) => (stringify!($kind), format!("{fields:?}")),)*
            }
        }
    };
}

kinds!(
    AccountCreated,
    SubscriberCreated,
    StateChanged,
    Interrogated,
    EventCharged,
    Credited,
    OrphanUsage,
    SessionClosed,
    ReAuthorise,
    Abort,
    VouchersCreated,
    VoucherMarked,
    VouchersBlocked,
    AccountChanged,
    ClientState,
    ConsumerAcknowledged,
    CallRefused,
    ConsumerForgotten,
    CatalogPublished,
    CatalogWithdrawn,
    BulkSubmitted,
    BulkDecided,
    BulkItemEnded,
);
