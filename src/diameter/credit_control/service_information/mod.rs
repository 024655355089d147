//! Service-Information (TS 32.299 7.2.192): what the service is that is charged, one group for each domain.
//!
//! A request only checks the framing of it; each domain is read when it is asked for, in place. Nothing in it ever makes a
//! request wrong (spec G-92): what is unknown or ill-formed is passed over.

mod location;
mod ps;

use crate::diameter::{
    avp::{Avp, Avps},
    dictionary::key,
};

use super::request::CreditControlRequest;

pub use location::{Area, Cell, MsTimeZone, Plmn, UserLocation};
pub use ps::{FurnishChargingInformation, PresenceArea, PsInformation, TerminalInformation, UserCsg};

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
