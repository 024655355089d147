//! Multimedia messages (TS 32.270): to whom, how large, in which direction.

use crate::{
    diameter::{
        Avps, CreditControlRequest,
        credit_control::service_information::{AddressType, MessageAddress, mms_message_type},
        dictionary::key,
    },
    rating::{Attributes, Catalog, Role},
};

/// From MMS-Information (spec G-130..G-132).
pub(super) fn attributes(request: &CreditControlRequest<'_>, catalog: &Catalog) -> Option<Attributes> {
    let mms = request.information().mms()?;
    let role = mms.message_type.and_then(|kind| match kind {
        mms_message_type::SEND => Some(Role::Originating),
        mms_message_type::RETRIEVE => Some(Role::Terminating),
        mms_message_type::FORWARD => Some(Role::Forwarding),
        _ => None,
    });
    let other = match role {
        Some(Role::Terminating) => mms.originator.as_ref().and_then(number),
        _ => mms.recipients.iter().find_map(number),
    };
    Some(Attributes {
        other_party: other.and_then(|number| catalog.international(number)).map(Into::into),
        role,
        message_type: mms.message_type,
        size: mms.size.map(u64::from),
        ..Attributes::default()
    })
}

/// How many messages a request is about when it does not ask for a number of units: one for each recipient (spec G-132).
pub(in crate::mapping) fn quantity(service_information: Option<&[u8]>) -> Option<u64> {
    let group = service_information?;
    let mms = Avps::new(group).map_while(Result::ok).find(|avp| avp.key() == key::MMS_INFORMATION)?;
    let recipients = Avps::new(mms.data).map_while(Result::ok).filter(|avp| avp.key() == key::RECIPIENT_ADDRESS);
    u64::try_from(recipients.count()).ok().map(|recipients| recipients.max(1))
}

/// A telephone number or a short code; what has another type is none.
fn number<'a>(address: &MessageAddress<'a>) -> Option<&'a str> {
    let kind = address.kind.unwrap_or(AddressType::Msisdn);
    address.data.filter(|_| matches!(kind, AddressType::Msisdn | AddressType::NumericShortcode))
}
