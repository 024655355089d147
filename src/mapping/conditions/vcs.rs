//! Circuit-switched calls through a proxy (TS 32.276): the parties are in IMS-Information beside VCS-Information (spec
//! G-140).

use super::ims;
use crate::{
    diameter::{CreditControlRequest, credit_control::service_information::VcsInformation},
    rating::{Attributes, Catalog},
};

/// The teleservice of emergency calls (TS 29.002 17.7.9).
const EMERGENCY_CALLS: u8 = 0x12;

/// From both groups. The number of the visitor register, or else of the switch, tells where the user is: the catalog has a
/// table of the networks (spec G-141).
pub(super) fn attributes(request: &CreditControlRequest<'_>, catalog: &Catalog) -> Option<Attributes> {
    let information = request.information();
    let (ims, vcs) = (information.ims(), information.vcs());
    if ims.is_none() && vcs.is_none() {
        return None;
    }
    let mut told = ims.map(|ims| ims::of(&ims, catalog)).unwrap_or_default();
    if let Some(vcs) = vcs {
        told.emergency |= is_emergency_call(&vcs);
        let register = vcs.vlr.or(vcs.msc).map(|number| number.digits().collect::<String>());
        told.serving_network = register.and_then(|digits| catalog.network_of_number(&digits)).map(Into::into);
    }
    Some(told)
}

/// Whether it is an emergency, by either group, where nothing else is wanted of them (spec G-104).
pub(super) fn is_emergency(request: &CreditControlRequest<'_>) -> bool {
    ims::is_emergency(request) || request.information().vcs().is_some_and(|vcs| is_emergency_call(&vcs))
}

fn is_emergency_call(vcs: &VcsInformation<'_>) -> bool {
    let teleservice = vcs.basic_service.as_ref().and_then(|service| service.teleservice);
    teleservice.is_some_and(|code| code.last() == Some(&EMERGENCY_CALLS))
}
