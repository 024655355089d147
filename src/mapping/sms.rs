//! Short messages (TS 32.274): how many there are.

use crate::diameter::{Avps, dictionary::key};

/// How many messages a request is about when it does not ask for a number of units: Number-Of-Messages-Sent, else one for
/// each recipient, else one (spec G-123, G-124).
pub(super) fn quantity(service_information: Option<&[u8]>) -> Option<u64> {
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
