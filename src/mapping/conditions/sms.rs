//! Short messages (TS 32.274): to whom, of what kind, and how many.

use crate::{
    diameter::{Avps, CreditControlRequest, credit_control::service_information::InterfaceType, dictionary::key},
    rating::{Attributes, Catalog, Role},
};

/// From SMS-Information (spec G-120..G-125).
pub(super) fn attributes(request: &CreditControlRequest<'_>, catalog: &Catalog) -> Option<Attributes> {
    let sms = request.information().sms()?;
    let interface = sms.originator_interface.as_ref().and_then(|interface| interface.kind);
    let interfaces = interface.into_iter().chain(
        sms.recipients.iter().filter_map(|recipient| recipient.interface.as_ref().and_then(|interface| interface.kind)),
    );
    let role = interfaces.map(role).find_map(|role| role);
    let other = match role {
        Some(Role::Terminating) => sms.originator.as_ref().and_then(|address| address.data),
        _ => sms.recipients.iter().find_map(|recipient| recipient.address()?.data),
    };
    Some(Attributes {
        other_party: other.and_then(|number| catalog.international(number)).map(Into::into),
        role,
        message_type: sms.message_type.map(|kind| kind as u32),
        size: sms.size.map(u64::from),
        ..Attributes::default()
    })
}

/// Which side an interface is on (spec G-122).
fn role(interface: InterfaceType) -> Option<Role> {
    match interface {
        InterfaceType::Unknown => None,
        InterfaceType::MobileOriginating | InterfaceType::ApplicationOriginating => Some(Role::Originating),
        InterfaceType::MobileTerminating | InterfaceType::ApplicationTermination => Some(Role::Terminating),
    }
}

/// How many messages a request is about when it does not ask for a number of units: Number-Of-Messages-Sent, else one for
/// each recipient, else one (spec G-123, G-124).
pub(in crate::mapping) fn quantity(service_information: Option<&[u8]>) -> Option<u64> {
    let group = service_information?;
    let sms = Avps::new(group).map_while(Result::ok).find(|avp| avp.key() == key::SMS_INFORMATION)?;
    let (mut sent, mut recipients) = (None, 0);
    for avp in Avps::new(sms.data).map_while(Result::ok) {
        match avp.key() {
            key::NUMBER_OF_MESSAGES_SENT => sent = avp.u32().ok().filter(|number| *number > 0),
            key::RECIPIENT_INFO => recipients += 1,
            _ => {}
        }
    }
    Some(sent.map_or(recipients, u64::from).max(1))
}
