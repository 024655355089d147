//! A price, and where on it usage stands: what so many more units cost.
//!
//! The charge is built in a fixed order, each step a function of a cumulative amount, so that it does not matter how usage
//! is cut into reports: the price with its tiers, with the discount inside before it is rounded; then the caps in the order
//! of the catalog, each counting the money that reaches it.

mod caps;

use std::sync::Arc;

pub(super) use self::caps::Cap;
use super::{Measure, contract::Near, ledger::Place, quota::Tariff};
use crate::{
    rating::{self, BasisPoints, Price, PriceOverflow, Service},
    units::Money,
};

/// Behind a tariff's name, the name under which a quota's uplink octets stand: by the service's own price it stands alone.
/// No name in a catalog has a slash.
pub(super) const UPLINK: &str = "/up";

/// A price of a service by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Priced<'a> {
    /// The tariff; `None` = the service's own price.
    pub(super) name: Option<&'a Arc<str>>,
    pub(super) price: &'a Price,
    /// What octets from the user cost, if that is something else.
    uplink: Option<&'a Price>,
    /// It is that price.
    is_uplink: bool,
}

/// What emergency calls cost (spec G-104).
static FREE: Price = Price::free();

impl<'a> Priced<'a> {
    /// By the tariff, or by the service's own price if there is none.
    pub(super) fn by(service: &'a Service, tariff: Option<&'a rating::Tariff>) -> Self {
        let (name, price, uplink) = match tariff {
            None => (None, &service.price, service.uplink_price()),
            Some(tariff) => (Some(&tariff.name), &tariff.price, tariff.uplink_price()),
        };
        Self { name, price, uplink, is_uplink: false }
    }

    /// Whether a service costs nothing by it. Money that the client rates is never free.
    pub(super) fn is_free(&self, tariff: Tariff<'_>) -> bool {
        matches!(tariff, Tariff::Service(_)) && self.price.is_free() && self.uplink.is_none_or(Price::is_free)
    }

    /// For nothing.
    pub(super) fn free() -> Self {
        Self { name: None, price: &FREE, uplink: None, is_uplink: false }
    }

    /// The same for octets from the user, if they have another price.
    pub(super) fn uplink(self) -> Option<Self> {
        self.uplink.map(|price| Self { price, uplink: None, is_uplink: true, ..self })
    }

    /// Whether it is for one direction only.
    pub(super) fn is_directed(&self) -> bool {
        self.is_uplink || self.uplink.is_some()
    }

    /// The name under which usage that is rated by it stands in a quota; `None` = the service's own price.
    pub(super) fn position(&self) -> Option<Arc<str>> {
        match (self.name, self.is_uplink) {
            (name, false) => name.cloned(),
            (name, true) => Some(format!("{}{UPLINK}", name.map_or("", |name| name)).into()),
        }
    }
}

/// How units that come next are paid for.
#[derive(Debug, Clone)]
pub(super) struct Rate<'a> {
    pub(super) tariff: Tariff<'a>,
    /// Of no account if the client names the money.
    now: Side<'a>,
    /// Other prices that some of the units may be charged by, or all: after a change of tariff (spec C-61), for another
    /// direction, in another span of a counter.
    pub(super) others: Vec<Side<'a>>,
    /// What the usage counts in, beside the tiers of its price.
    pub(super) counted: Counted,
}

/// A price and how many units were rated by it so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) price: &'a Price,
    /// What is charged of it.
    pub(super) keep: BasisPoints,
    pub(super) rated: u64,
    /// It may be so many when the units come to be used.
    pub(super) latest: u64,
    /// Where units are counted for its tiers, if that is not the quota.
    pub(super) counter: Option<Place>,
    /// Units of one grant may be charged in part by this and in part by others.
    pub(super) mixes: bool,
    /// It is for one direction: nearly every grant is used by both.
    pub(super) directed: bool,
}

/// What money for usage is counted in.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    /// In the order of the catalog.
    pub(super) caps: Vec<Cap>,
    /// By what is charged after all caps.
    pub(super) limits: Vec<Meter>,
    /// By what a member takes of what is shared.
    pub(super) shares: Vec<Share>,
    /// See [`Near::until_secs`].
    pub(super) until_secs: Option<u32>,
}

/// An amount, and the counter that it limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    pub(super) place: Place,
    pub(super) amount: i64,
    /// No more than the amount is granted.
    pub(super) cuts: bool,
}

/// What a member may take of what is shared: money, or units of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) measure: Measure,
    pub(super) meter: Meter,
}

impl<'a> Side<'a> {
    /// At a price as it is written, after so many units.
    pub(super) fn new(price: &'a Price, rated: u64) -> Self {
        Self { price, keep: BasisPoints::WHOLE, rated, latest: rated, counter: None, mixes: true, directed: false }
    }

    fn is_free(&self) -> bool {
        self.price.is_free() || self.keep == BasisPoints::NOTHING
    }

    fn charge(&self, units: u64) -> Result<Money, PriceOverflow> {
        self.price.dearest_charge(self.rated, self.latest, units, self.keep)
    }

    /// The most units, at most `want`, that the money pays for.
    fn affordable(&self, money: Money, want: u64) -> u64 {
        if self.is_free() {
            return want;
        }
        if self.latest <= self.rated {
            return self.price.affordable_at(self.rated, money, want, self.keep);
        }
        let pays = |units: u64| self.charge(units).is_ok_and(|cost| cost <= money.max(Money::ZERO));
        if pays(want) {
            return want;
        }
        // Always payable below, never at `above`.
        let (mut payable, mut above) = (0, want);
        while above - payable > 1 {
            let middle = payable + (above - payable) / 2;
            if pays(middle) { payable = middle } else { above = middle }
        }
        payable
    }
}

impl<'a> Rate<'a> {
    /// One price.
    pub(super) fn new(tariff: Tariff<'a>, now: Side<'a>) -> Self {
        Self { tariff, now, others: Vec::new(), counted: Counted::default() }
    }

    /// Money that the client rates itself.
    pub(super) fn money() -> Self {
        Self::new(Tariff::Money, Side::new(&FREE, 0))
    }

    /// With what the usage counts in.
    pub(super) fn counted_in(self, counted: Counted) -> Self {
        Self { counted, ..self }
    }

    /// The same for one who has used nothing yet, without discounts and caps: in a pool nobody knows what will be used.
    pub(super) fn at_zero(&self) -> Self {
        let zero = |side: Side<'a>| Side { mixes: side.mixes, directed: side.directed, ..Side::new(side.price, 0) };
        let counted = Counted { caps: Vec::new(), ..self.counted.clone() };
        Self { now: zero(self.now), others: self.others.iter().copied().map(zero).collect(), counted, ..*self }
    }

    pub(super) fn sides(&self) -> impl Iterator<Item = &Side<'a>> {
        std::iter::once(&self.now).chain(&self.others)
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.tariff, Tariff::Service(_)) && self.sides().all(Side::is_free)
    }

    /// Whether a cap that is reached makes it free, whatever it costs by itself.
    pub(super) fn is_capped_to_nothing(&self) -> bool {
        self.counted.caps.iter().any(Cap::is_free)
    }

    /// What the units cost, by the dearest price if there are several.
    pub(super) fn charge(&self, units: u64) -> Result<Money, PriceOverflow> {
        let price = self.price(units)?;
        Ok(self.counted.caps.iter().fold(price, |money, cap| cap.charge(money)))
    }

    /// What the units cost before any cap.
    pub(super) fn price(&self, units: u64) -> Result<Money, PriceOverflow> {
        match self.tariff {
            Tariff::Service(_) => {
                self.sides().try_fold(Money::ZERO, |dearest, side| Ok(dearest.max(side.charge(units)?)))
            }
            Tariff::Money => i64::try_from(units).map(Money::from_micros).map_err(|_| PriceOverflow),
        }
    }

    /// As [`Rate::affordable`], and where directions have prices of their own, whichever of them shares the units with which.
    pub(super) fn surely_affordable(&self, money: Money, want: u64) -> u64 {
        let most = self.affordable(money, want);
        if !self.sides().any(|side| side.directed) {
            return most;
        }
        let pays = |units: u64| self.dearest_share(units).is_ok_and(|cost| cost <= money.max(Money::ZERO));
        if !self.is_mixed() || pays(most) {
            return most;
        }
        // Always payable below, never at `above`.
        let (mut payable, mut above) = (0, most);
        while above - payable > 1 {
            let middle = payable + (above - payable) / 2;
            if pays(middle) { payable = middle } else { above = middle }
        }
        payable
    }

    /// At least what so many units cost in whatever parts the prices share them.
    pub(super) fn dearest_share(&self, units: u64) -> Result<Money, PriceOverflow> {
        let price = self.price(units)?.checked_add(self.margin(units)).ok_or(PriceOverflow)?;
        Ok(self.counted.caps.iter().fold(price, |money, cap| cap.charge(money)))
    }

    /// Whether units may be charged in part by one price and in part by another.
    pub(super) fn is_mixed(&self) -> bool {
        self.sides().filter(|side| side.mixes).nth(1).is_some()
    }

    /// The most units, at most `want`, that the money pays for, by the dearest price if there are several.
    pub(super) fn affordable(&self, money: Money, want: u64) -> u64 {
        let money = self.counted.caps.iter().rev().fold(money, |money, cap| cap.reach(money));
        match self.tariff {
            Tariff::Service(_) => self.sides().fold(want, |fewest, side| side.affordable(money, fewest)),
            Tariff::Money => want.min(u64::try_from(money.micros()).unwrap_or(0)),
        }
    }

    /// How much more than [`Rate::price`] so many units may cost if several prices share them: by each a block may be
    /// started, a micro-unit be rounded up and a setup fee fall due. Where there are tiers or a minimum, each may cost nearly
    /// all that it would cost alone.
    fn margin(&self, units: u64) -> Money {
        // One unit is not shared.
        if units < 2 || !self.is_mixed() {
            return Money::ZERO;
        }
        let mixing = || self.sides().filter(|side| side.mixes);
        let sum = |sum: Money, money: Money| sum.saturating_add(money);
        let alone = || mixing().map(|side| side.charge(units).unwrap_or(Money::from_micros(i64::MAX)));
        // The dearest one is counted already.
        let dearest = alone().max().unwrap_or(Money::ZERO);
        let others = alone().fold(Money::ZERO, sum).saturating_sub(dearest);
        if !mixing().all(|side| side.price.is_plain()) {
            return others;
        }
        let setup = |side: &Side<'_>| if side.rated == 0 { side.price.setup() } else { Money::ZERO };
        // The dearest side's own fee is counted already: of the others nothing dearer can come.
        let fee = mixing().map(setup).max().unwrap_or(Money::ZERO);
        mixing().map(|side| side.price.block_cost()).fold(fee, sum).min(others)
    }
}

impl Counted {
    /// Whether it counts in nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.caps.is_empty() && self.limits.is_empty() && self.shares.is_empty()
    }

    pub(super) fn add_limit(&mut self, near: &Near, meter: impl Fn(Place) -> Meter) {
        self.limits.extend([Some(near.now), near.next].into_iter().flatten().map(meter));
        self.ends_within(near.until_secs);
    }

    pub(super) fn add_share(&mut self, near: &Near, share: impl Fn(Place) -> Share) {
        self.shares.extend([Some(near.now), near.next].into_iter().flatten().map(share));
        self.ends_within(near.until_secs);
    }

    fn ends_within(&mut self, secs: Option<u32>) {
        self.until_secs = [self.until_secs, secs].into_iter().flatten().min();
    }

    /// All amounts that may not be exceeded.
    pub(super) fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.limits.iter().chain(self.shares.iter().map(|share| &share.meter)).filter(|meter| meter.cuts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rating::Catalog;

    const CONTEXT: &str = "currency = \"EUR\"\n[[context]]\nname = \"c\"\nservice_context_id = \"32251@3gpp.org\"\ndefault_service = \"s\"\n\
         [[service]]\nname = \"s\"\ncontext = \"c\"\nper = \"1 s\"\n";

    /// Prices whose tiers rise or fall, with and without fees.
    const PRICES: [&str; 5] = [
        "price = \"1\"\ntiers = [{ from = \"10 s\", price = \"0\" }]\n",
        "price = \"0.3\"\nblock = \"5 s\"\ntiers = [{ from = \"20 s\", price = \"1\" }, { from = \"30 s\", price = \"0.1\" }]\n",
        "price = \"0.5\"\nminimum = \"7\"\nfree_units = \"8 s\"\n",
        "price = \"0.2\"\nsetup = \"2\"\nblock = \"4 s\"\n",
        "price = \"0.25\"\n",
    ];

    proptest! {
        // tests: C-61
        #[test]
        fn a_cut_in_two_costs_no_more_than_charge_and_margin(
            kinds in (0..PRICES.len(), 0..PRICES.len()), rated in (0u64..40, 0u64..40), units in 1u64..60,
        ) {
            let catalog = |kind: usize| Catalog::from_toml(&format!("{CONTEXT}{}", PRICES[kind])).unwrap();
            let (first, second) = (catalog(kinds.0), catalog(kinds.1));
            let (now, later) = (first.service_by_name("s").unwrap(), second.service_by_name("s").unwrap());
            let mut rate = Rate::new(Tariff::Service(now), Side::new(&now.price, rated.0));
            rate.others.push(Side::new(&later.price, rated.1));
            let reserved = rate.dearest_share(units).unwrap();
            for cut in 0..=units {
                let before = now.price.charge(rated.0, rated.0 + cut).unwrap();
                let behind = later.price.charge(rated.1, rated.1 + units - cut).unwrap();
                prop_assert!(before.checked_add(behind).unwrap() <= reserved, "cut at {cut}");
            }
        }
    }
}
