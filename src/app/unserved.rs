//! Whether the catalog fits the clients: what a client cannot count must not be what it is granted.

use crate::{
    config::{Peer, Profile, ReauthoriseBy},
    rating::Catalog,
    units::UnitKind,
};

/// What gateways send for packet-switched data.
const PS_CONTEXT: &str = "32251@3gpp.org";
/// Some clients ask no sooner than this, others would do nothing else (interop.md).
const VALIDITY_SECS_MIN: u32 = 5;

/// Peers that the catalog does not fit: each with its key and what would be right.
pub fn unserved_peers(peers: &[Peer], catalog: &Catalog) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        let problem = match peer.profile {
            Profile::Open5gs => open5gs_problem(catalog),
            _ => None,
        };
        for problem in problem.into_iter().chain(validity_problem(peer, catalog)) {
            problems.push((format!("diameter.peers.{index}"), format!("peer `{}`: {problem}", peer.origin_host)));
        }
    }
    problems
}

/// Open5GS names no rating group, so that only one service is for it (spec I-9); and it counts octets and seconds only: of
/// any other grant it takes no notice, which is a service without limit (spec I-2).
fn open5gs_problem(catalog: &Catalog) -> Option<String> {
    let right = "name a service of octets or seconds in `default_service`";
    let Some(context) = catalog.context(PS_CONTEXT) else {
        return Some(format!("Open5GS sends {PS_CONTEXT}, and the catalog has no context for it"));
    };
    match catalog.service(context, None, None) {
        None => Some(format!("Open5GS names no rating group, and the context of {PS_CONTEXT} has no default: {right}")),
        Some(service) if service.kind == UnitKind::Events => Some(format!(
            "Open5GS takes a grant of events for no limit at all, and service `{}` counts them: {right}",
            service.name
        )),
        Some(_) => None,
    }
}

/// A short Validity-Time takes the place of a Re-Auth-Request (spec I-15): so it must be short, and not so short that the
/// client asks all the time.
fn validity_problem(peer: &Peer, catalog: &Catalog) -> Option<String> {
    if peer.switches().reauthorise_by != ReauthoriseBy::Validity {
        return None;
    }
    let unfit = |short: u32, long: u32| short < VALIDITY_SECS_MIN || short >= long;
    let service =
        catalog.services().iter().find(|service| unfit(service.short_validity_secs, service.validity_secs))?;
    Some(format!(
        "its sessions ask again after `short_validity`, which for service `{}` is {} s: it must be at least \
         {VALIDITY_SECS_MIN} s and shorter than the service's `validity`, {} s",
        service.name, service.short_validity_secs, service.validity_secs
    ))
}
