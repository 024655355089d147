//! By which version of the catalog something is decided.

use super::{RequestKind, Session, State};
use crate::{
    ids::SessionKey,
    rating::{Catalog, Catalogs, Version},
    time::Timestamp,
};

/// The price lists that a decision may look at.
#[derive(Debug, Clone, Copy)]
pub(super) enum PriceLists<'a> {
    /// One that has no number, or whose number matters to nobody.
    One(&'a Catalog),
    /// All versions.
    Versions(&'a Catalogs),
}

/// A price list and the number of its version; 0 = it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct PriceList<'a> {
    pub(super) number: u32,
    pub(super) catalog: &'a Catalog,
}

impl<'a> PriceLists<'a> {
    /// What is in force: for all that belongs to no session.
    pub(super) fn in_force(self, now: Timestamp) -> PriceList<'a> {
        match self {
            Self::One(catalog) => PriceList { number: 0, catalog },
            Self::Versions(catalogs) => catalogs.at(now).into(),
        }
    }

    /// What a request of a session goes by from now on; `None` = the session begins with it.
    pub(super) fn for_request(self, session: Option<&Session>, kind: RequestKind, now: Timestamp) -> PriceList<'a> {
        match self {
            Self::One(catalog) => PriceList { number: 0, catalog },
            Self::Versions(catalogs) => version_for_request(catalogs, session, kind, now).into(),
        }
    }

    /// The price list with this number, else `otherwise`: 0 is from before there were numbers.
    pub(super) fn get_or(self, number: u32, otherwise: PriceList<'a>) -> PriceList<'a> {
        match self {
            Self::Versions(catalogs) if number != otherwise.number => {
                catalogs.get(number).map_or(otherwise, PriceList::from)
            }
            Self::One(_) | Self::Versions(_) => otherwise,
        }
    }
}

impl<'a> From<&'a Version> for PriceList<'a> {
    fn from(version: &'a Version) -> Self {
        Self { number: version.number(), catalog: &version.catalog }
    }
}

/// The version by which a charging request is read and decided: the contexts that it names must come from this one.
pub fn version_for<'c>(
    state: &State,
    catalogs: &'c Catalogs,
    key: SessionKey,
    kind: RequestKind,
    now: Timestamp,
) -> &'c Version {
    let session = state.session_by_key(key).filter(|_| kind != RequestKind::Event);
    version_for_request(catalogs, session, kind, now)
}

/// A final request is granted nothing: nobody moves to another version with it.
fn version_for_request<'c>(
    catalogs: &'c Catalogs,
    session: Option<&Session>,
    kind: RequestKind,
    now: Timestamp,
) -> &'c Version {
    let Some(session) = session else { return catalogs.at(now) };
    if kind == RequestKind::Termination
        && let Some(own) = catalogs.get(session.catalog)
    {
        return own;
    }
    catalogs.for_session(session.catalog, now)
}
