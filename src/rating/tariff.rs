//! Tariffs: prices of a service that apply under conditions. Which one it is, is a pure function of the conditions and the
//! moment; the service's own price is what applies when none does.

mod why;

use std::sync::Arc;

use jiff::{civil::DateTime, tz::TimeZone};

use super::{
    attributes::{Attributes, Role},
    calendar::{self, Holidays, Hours},
    price::Price,
    service::Service,
};
use crate::time::Timestamp;

/// A price of a service that applies under conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// Its name: unique in its service, and stable.
    pub name: Arc<str>,
    /// What the service costs by it.
    pub price: Price,
    /// See [`Tariff::uplink_price`].
    pub(super) uplink: Option<Price>,
    pub(super) conditions: Conditions,
}

/// When a tariff applies: where a list is not empty, one of it must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conditions {
    pub(super) hours: Option<Hours>,
    pub(super) access: Vec<u8>,
    pub(super) networks: Vec<Network>,
    pub(super) areas: Vec<u32>,
    pub(super) cells: Vec<u64>,
    pub(super) apns: Vec<Box<str>>,
    /// What the other party's number begins with.
    pub(super) called: Vec<Prefixes>,
    pub(super) roles: Vec<Role>,
    pub(super) message_types: Vec<u32>,
    /// The smallest and largest size, both included.
    pub(super) size: Option<(u64, u64)>,
}

/// A serving network as a catalog names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    /// MCC and MNC.
    Is(Box<str>),
    /// What its digits begin with.
    Begins(Box<str>),
    /// Begins as one of these.
    Zone(Prefixes),
    /// One of the operator's own, or not told (spec G-93).
    Home(Arc<[Network]>),
    /// None of the operator's own.
    Roaming(Arc<[Network]>),
}

/// What digits begin with: one prefix, or those of a zone, which all tariffs that name it share; and the zone's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefixes(pub(super) Arc<[Box<str>]>, pub(super) Option<Arc<str>>);

/// The tariffs of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tariffs {
    /// In the order of the text.
    pub(super) list: Vec<Tariff>,
    /// Whose clock counts: the operator's,
    pub(super) zone: TimeZone,
    /// or the user's, where it is known (spec G-94).
    pub(super) user_zone: bool,
    /// The operator's calendar, whosever clock counts.
    pub(super) holidays: Holidays,
    /// See [`Service::triggers`].
    pub(super) triggers: Arc<[u32]>,
}

impl Tariff {
    /// What octets that are reported as uplink (CC-Input-Octets) cost by it, if that is something else than
    /// [`Tariff::price`]; see [`Service::uplink_price`], which it does not inherit.
    pub fn uplink_price(&self) -> Option<&Price> {
        self.uplink.as_ref()
    }

    fn is_free(&self) -> bool {
        self.price.is_free() && self.uplink.as_ref().is_none_or(Price::is_free)
    }
}

impl Service {
    /// The tariff that applies under these conditions at this moment; `None` is the service's own price.
    ///
    /// The first in the order of the catalog that fits. If that one is for prefixes of numbers, the longest prefix among
    /// all that fit wins.
    pub fn tariff_at(&self, attributes: &Attributes, at: Timestamp) -> Option<&Tariff> {
        let tariffs = self.tariffs.as_deref()?;
        let local = calendar::local(&tariffs.zone_for(attributes), at);
        tariffs.choose(attributes, local)
    }

    /// When the tariff will be another one because of the time, and which one then: the first such moment after `at`, at
    /// most `within_secs` later. Conditions are taken as they are now.
    pub fn next_change(
        &self,
        attributes: &Attributes,
        at: Timestamp,
        within_secs: u64,
    ) -> Option<(Timestamp, Option<&Tariff>)> {
        let tariffs = self.tariffs.as_deref().filter(|tariffs| tariffs.is_timed())?;
        let zone = tariffs.zone_for(attributes);
        let name = |tariff: Option<&Tariff>| tariff.map(|tariff| Arc::as_ptr(&tariff.name));
        let now = name(tariffs.choose(attributes, calendar::local(&zone, at)));
        let windows = tariffs.list.iter().filter_map(|tariff| tariff.conditions.hours.as_ref());
        let moments = calendar::boundaries(&zone, windows, &tariffs.holidays, at, at.plus_secs(within_secs));
        moments.into_iter().find_map(|moment| {
            let then = tariffs.choose(attributes, calendar::local(&zone, moment));
            (name(then) != now).then_some((moment, then))
        })
    }

    /// The tariff with this name.
    pub fn tariff_by_name(&self, name: &str) -> Option<&Tariff> {
        self.tariffs.as_deref()?.list.iter().find(|tariff| *tariff.name == *name)
    }

    /// All its tariffs, in the order of the catalog.
    pub fn tariffs(&self) -> &[Tariff] {
        self.tariffs.as_deref().map_or(&[], |tariffs| &tariffs.list)
    }

    /// Whether its price depends on the time.
    pub fn is_timed(&self) -> bool {
        self.tariffs.as_deref().is_some_and(Tariffs::is_timed)
    }

    /// The Trigger-Types of the changes that its price depends on, and no others (spec G-53); ascending.
    pub fn triggers(&self) -> &[u32] {
        self.tariffs.as_deref().map_or(&[], |tariffs| &tariffs.triggers)
    }

    /// Whether it never costs anything, by whichever tariff.
    pub fn is_free(&self) -> bool {
        self.price.is_free()
            && self.uplink.as_ref().is_none_or(Price::is_free)
            && self.tariffs().iter().all(Tariff::is_free)
    }
}

impl Tariffs {
    pub(super) fn is_timed(&self) -> bool {
        self.list.iter().any(|tariff| tariff.conditions.hours.is_some())
    }

    /// Whether any price depends on more than the time of the operator's clock.
    pub(super) fn read_attributes(&self) -> bool {
        let bare = |conditions: &Conditions| Conditions { hours: None, ..conditions.clone() } == Conditions::default();
        (self.user_zone && self.is_timed()) || self.list.iter().any(|tariff| !bare(&tariff.conditions))
    }

    fn zone_for(&self, attributes: &Attributes) -> TimeZone {
        let users = attributes.time_zone.filter(|_| self.user_zone).and_then(calendar::user_zone);
        users.unwrap_or_else(|| self.zone.clone())
    }

    fn choose(&self, attributes: &Attributes, local: Option<DateTime>) -> Option<&Tariff> {
        let fitting = |tariff: &'_ &Tariff| tariff.conditions.fit(attributes, local, &self.holidays);
        let mut fit = self.list.iter().filter(fitting);
        let first = fit.next()?;
        let prefix = |tariff: &Tariff| tariff.conditions.prefix(attributes);
        match prefix(first) {
            0 => Some(first),
            // Of prefixes that are equally long the first one counts.
            _ => Some(fit.fold(first, |best, next| if prefix(next) > prefix(best) { next } else { best })),
        }
    }
}

impl Conditions {
    fn fit(&self, attributes: &Attributes, local: Option<DateTime>, holidays: &Holidays) -> bool {
        fn one_of<T: PartialEq>(list: &[T], value: Option<&T>) -> bool {
            list.is_empty() || value.is_some_and(|value| list.contains(value))
        }
        let text = |list: &[Box<str>], value: &Option<Arc<str>>| {
            list.is_empty() || value.as_ref().is_some_and(|value| list.iter().any(|it| **it == **value))
        };
        let network = attributes.serving_network.as_deref();
        self.hours.is_none_or(|hours| local.is_some_and(|local| hours.include(local, holidays)))
            && one_of(&self.access, attributes.access.as_ref())
            && (self.networks.is_empty() || self.networks.iter().any(|pattern| pattern.fits(network)))
            && one_of(&self.areas, attributes.area.as_ref())
            && one_of(&self.cells, attributes.cell.as_ref())
            && text(&self.apns, &attributes.apn)
            && (self.called.is_empty() || self.prefix(attributes) > 0)
            && one_of(&self.roles, attributes.role.as_ref())
            && one_of(&self.message_types, attributes.message_type.as_ref())
            && self.size.is_none_or(|(least, most)| attributes.size.is_some_and(|size| (least..=most).contains(&size)))
    }

    /// The length of the longest prefix that fits the other party's number; 0 if none does.
    fn prefix(&self, attributes: &Attributes) -> usize {
        let Some(number) = &attributes.other_party else { return 0 };
        let prefixes = self.called.iter().flat_map(|prefixes| prefixes.0.iter());
        prefixes.filter(|prefix| number.starts_with(&***prefix)).map(|prefix| prefix.len()).max().unwrap_or(0)
    }
}

impl Network {
    fn fits(&self, network: Option<&str>) -> bool {
        let home = |own: &[Network]| network.is_none_or(|_| own.iter().any(|pattern| pattern.fits(network)));
        match self {
            Self::Is(digits) => network == Some(digits),
            Self::Begins(digits) => network.is_some_and(|network| network.starts_with(&**digits)),
            Self::Zone(Prefixes(all, _)) => {
                network.is_some_and(|network| all.iter().any(|digits| network.starts_with(&**digits)))
            }
            Self::Home(own) => home(own),
            Self::Roaming(own) => !home(own),
        }
    }
}

#[cfg(test)]
mod tests;
