//! The keys of quotas, as they stand in a request.

use crate::{
    diameter::{
        Avp, Avps,
        dictionary::{self as d, AvpDef},
    },
    ids::QuotaKey,
};

/// The MSCCs of a request, as received.
pub(super) fn services(body: &[u8]) -> impl Iterator<Item = Avp<'_>> {
    Avps::new(body).map_while(Result::ok).filter(|avp| avp.is(&d::MULTIPLE_SERVICES_CREDIT_CONTROL))
}

/// The key of an MSCC.
pub(super) fn key_of(mscc: &Avp<'_>) -> QuotaKey {
    let rating_group = numbers(mscc, &d::RATING_GROUP).next();
    QuotaKey::of(rating_group, &numbers(mscc, &d::SERVICE_IDENTIFIER).collect::<Vec<_>>())
}

/// The Service-Identifiers of the MSCC with this key, in the order in which they came.
pub(super) fn service_identifiers(body: &[u8], key: QuotaKey) -> Vec<u32> {
    let mscc = services(body).find(|mscc| key_of(mscc) == key);
    mscc.map_or_else(Vec::new, |mscc| numbers(&mscc, &d::SERVICE_IDENTIFIER).collect())
}

fn numbers<'a>(mscc: &Avp<'a>, def: &'static AvpDef) -> impl Iterator<Item = u32> + use<'a> {
    mscc.grouped().map_while(Result::ok).filter(|avp| avp.is(def)).filter_map(|avp| avp.u32().ok())
}
