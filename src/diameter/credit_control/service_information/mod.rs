//! Service-Information (TS 32.299 7.2.192): what the service is that is charged, one group for each domain.
//!
//! A request only checks the framing of it; each domain is read when it is asked for, in place. Nothing in it ever makes a
//! request wrong (spec G-92): what is unknown or ill-formed is passed over.

mod addresses;
mod ims;
mod location;
mod mms;
mod mmtel;
mod ps;
mod sms;
mod vcs;

use crate::diameter::{
    avp::{Avp, Avps},
    dictionary::key,
};

use super::request::{CreditControlRequest, SubscriptionId};

pub use addresses::{AddressDomain, AddressType, Interface, InterfaceType, MessageAddress};
pub use ims::{ImsEvent, ImsInformation, ImsTimes, InterOperator, MediaComponent, RoleOfNode, TrunkGroup};
pub use location::{Area, Cell, MsTimeZone, Plmn, UserLocation};
pub use mms::{MessageClass, MmContentPart, MmContentType, MmsInformation, mms_message_type};
pub use mmtel::{MmtelInformation, SupplementaryService, supplementary_service};
pub use ps::{PresenceArea, PsInformation, TerminalInformation, UserCsg};
pub use sms::{Recipient, SmMessageType, SmsInformation};
pub use vcs::{BasicService, IsupCause, SwappedDigits, VcsInformation};

/// The members of Service-Information, to be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceInformation<'a> {
    members: &'a [u8],
}

impl<'a> ServiceInformation<'a> {
    /// Over the members as a request or an answer has them.
    pub const fn new(members: &'a [u8]) -> Self {
        Self { members }
    }

    /// PS-Information.
    pub fn ps(&self) -> Option<PsInformation<'a>> {
        self.find(key::PS_INFORMATION).map(|group| PsInformation::parse(group.data))
    }

    /// IMS-Information.
    pub fn ims(&self) -> Option<ImsInformation<'a>> {
        self.find(key::IMS_INFORMATION).map(|group| ImsInformation::parse(group.data))
    }

    /// MMTel-Information.
    pub fn mmtel(&self) -> Option<MmtelInformation<'a>> {
        self.find(key::MMTEL_INFORMATION).map(|group| MmtelInformation::parse(group.data))
    }

    /// SMS-Information.
    pub fn sms(&self) -> Option<SmsInformation<'a>> {
        self.find(key::SMS_INFORMATION).map(|group| SmsInformation::parse(group.data))
    }

    /// MMS-Information.
    pub fn mms(&self) -> Option<MmsInformation<'a>> {
        self.find(key::MMS_INFORMATION).map(|group| MmsInformation::parse(group.data))
    }

    /// VCS-Information.
    pub fn vcs(&self) -> Option<VcsInformation<'a>> {
        self.find(key::VCS_INFORMATION).map(|group| VcsInformation::parse(group.data))
    }

    /// Subscription-Id of the service: counts when the command has none (spec C-162), which
    /// [`CreditControlRequest::parse`] sees to.
    pub fn subscription_ids(self) -> impl Iterator<Item = SubscriptionId<'a>> {
        let groups = Avps::new(self.members).map_while(Result::ok).filter(|avp| avp.key() == key::SUBSCRIPTION_ID);
        groups.filter_map(|group| {
            let (mut kind, mut data) = (None, None);
            for avp in group.grouped().map_while(Result::ok) {
                match avp.key() {
                    key::SUBSCRIPTION_ID_TYPE => kind = avp.u32().ok(),
                    key::SUBSCRIPTION_ID_DATA => data = avp.utf8().ok(),
                    _ => {}
                }
            }
            Some(SubscriptionId { kind: kind?, data: data? })
        })
    }

    fn find(&self, key: u64) -> Option<Avp<'a>> {
        Avps::new(self.members).map_while(Result::ok).find(|avp| avp.key() == key)
    }
}

impl<'a> CreditControlRequest<'a> {
    /// Service-Information to be looked into; without one, all its domains are absent.
    pub fn information(&self) -> ServiceInformation<'a> {
        ServiceInformation::new(self.service_information.unwrap_or_default())
    }

    /// PS-Information, completed by what old clients put at command level (spec G-95). `None` when the request says
    /// nothing of packet data at all.
    pub fn ps_information(&self) -> Option<PsInformation<'a>> {
        let inside = self.information().ps();
        let mut ps = inside.clone().unwrap_or_default();
        ps.or_of_the_command(self.body);
        (inside.is_some() || ps != PsInformation::default()).then_some(ps)
    }
}

#[cfg(test)]
mod tests;
