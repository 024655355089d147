//! Service-Information becomes rating attributes: one file for each domain; only that of the request's context is read (spec
//! G-29).

mod ims;
pub(super) mod mms;
mod ps;
pub(super) mod sms;
mod vcs;

use crate::{
    diameter::CreditControlRequest,
    rating::{Attributes, Catalog, ContextId, Domain},
};

/// The conditions that a request tells of, if a price of the context depends on any, or `all` are wanted; otherwise only an
/// emergency counts.
pub(super) fn attributes(
    request: &CreditControlRequest<'_>,
    catalog: &Catalog,
    context: Option<ContextId>,
    all: bool,
) -> Option<Box<Attributes>> {
    let context = context.filter(|context| all || catalog.reads_attributes(*context))?;
    let domain = catalog.domain(context, request.service_context_id)?;
    let told = match (all || catalog.prices_by_attributes(context), domain) {
        (true, Domain::Ps) => ps::attributes(request),
        (true, Domain::Ims) => ims::attributes(request, catalog),
        (true, Domain::Sms) => sms::attributes(request, catalog),
        (true, Domain::Mms) => mms::attributes(request, catalog),
        (true, Domain::Vcs) => vcs::attributes(request, catalog),
        (false, Domain::Ims) => ims::is_emergency(request).then(emergency),
        (false, Domain::Vcs) => vcs::is_emergency(request).then(emergency),
        (false, _) => None,
    }?;
    (told != Attributes::default()).then(|| Box::new(told))
}

fn emergency() -> Attributes {
    Attributes { emergency: true, ..Attributes::default() }
}

#[cfg(test)]
mod tests;
