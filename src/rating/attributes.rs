//! What a price may depend on beside the service and the time.

use std::sync::Arc;

/// The conditions under which a service is used, as far as the client told (spec G-91, G-102, G-121, G-131). Kept with the
/// session: what a report says was used belongs to the conditions before it (spec G-42).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// 3GPP-RAT-Type.
    pub access: Option<u8>,
    /// MCC and MNC of the serving network, digits (spec G-93).
    pub serving_network: Option<Arc<str>>,
    /// Location or tracking area code.
    pub area: Option<u32>,
    /// Cell identity.
    pub cell: Option<u64>,
    /// Access point name without the operator's part, in lower case.
    pub apn: Option<Arc<str>>,
    /// The other party's number: called, calling, or the first recipient's; international, digits only.
    pub other_party: Option<Arc<str>>,
    /// Whose side of a call or message this is.
    pub role: Option<Role>,
    /// What kind of message it is: SM-Message-Type or Message-Type of an MMS.
    pub message_type: Option<u32>,
    /// Octets of a message.
    pub size: Option<u64>,
    /// Offset of the user's local time from UTC, minutes (spec G-94).
    pub time_zone: Option<i16>,
    /// An emergency session: it is never refused (spec G-104).
    pub emergency: bool,
}

impl Attributes {
    /// What is known now: what a request told, and of the rest what was known before (spec G-96). An emergency stays one.
    pub fn merged_into(self, known: &Self) -> Self {
        Self {
            access: self.access.or(known.access),
            serving_network: self.serving_network.or_else(|| known.serving_network.clone()),
            area: self.area.or(known.area),
            cell: self.cell.or(known.cell),
            apn: self.apn.or_else(|| known.apn.clone()),
            other_party: self.other_party.or_else(|| known.other_party.clone()),
            role: self.role.or(known.role),
            message_type: self.message_type.or(known.message_type),
            size: self.size.or(known.size),
            time_zone: self.time_zone.or(known.time_zone),
            emergency: self.emergency || known.emergency,
        }
    }
}

/// Whose side of a call or message is charged (Role-Of-Node, Interface-Type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The caller's or sender's.
    Originating,
    /// The called party's or recipient's.
    Terminating,
    /// Of the one who diverts a call.
    Forwarding,
}
