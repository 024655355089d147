//! A price, and where on it a quota stands: what so many more units cost.

use std::sync::Arc;

use super::quota::Tariff;
use crate::{
    rating::{self, Price, PriceOverflow, Service},
    units::Money,
};

/// A price of a service by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Priced<'a> {
    /// The tariff; `None` = the service's own price.
    pub(super) name: Option<&'a Arc<str>>,
    pub(super) price: &'a Price,
}

/// What emergency calls cost (spec G-104).
static FREE: Price = Price::free();

impl<'a> Priced<'a> {
    /// By the tariff, or by the service's own price if there is none.
    pub(super) fn by(service: &'a Service, tariff: Option<&'a rating::Tariff>) -> Self {
        tariff.map_or(Self { name: None, price: &service.price }, |tariff| Self {
            name: Some(&tariff.name),
            price: &tariff.price,
        })
    }

    /// Whether a service costs nothing by it. Money that the client rates is never free.
    pub(super) fn is_free(&self, tariff: Tariff<'_>) -> bool {
        matches!(tariff, Tariff::Service(_)) && self.price.is_free()
    }

    /// For nothing.
    pub(super) fn free() -> Self {
        Self { name: None, price: &FREE }
    }
}

/// How units that come next are paid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate<'a> {
    pub(super) tariff: Tariff<'a>,
    /// Of no account if the client names the money.
    now: Side<'a>,
    /// The price after a change of tariff, which some of the units may fall behind (spec C-61).
    later: Option<Side<'a>>,
}

/// A price and how many units were rated by it so far.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    price: &'a Price,
    rated: u64,
}

impl<'a> Rate<'a> {
    /// One price, and the units that it was charged for so far.
    pub(super) fn new(tariff: Tariff<'a>, price: &'a Price, rated: u64) -> Self {
        Self { tariff, now: Side { price, rated }, later: None }
    }

    /// Money that the client rates itself.
    pub(super) fn money() -> Self {
        Self::new(Tariff::Money, &FREE, 0)
    }

    /// Any part of the units may be charged by this price instead.
    pub(super) fn or(self, price: &'a Price, rated: u64) -> Self {
        Self { later: Some(Side { price, rated }), ..self }
    }

    /// The same for one who has used nothing yet.
    pub(super) fn at_zero(self) -> Self {
        let zero = |side: Side<'a>| Side { rated: 0, ..side };
        Self { now: zero(self.now), later: self.later.map(zero), ..self }
    }

    fn sides(&self) -> impl Iterator<Item = Side<'a>> {
        [Some(self.now), self.later].into_iter().flatten()
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.tariff, Tariff::Service(_)) && self.sides().all(|side| side.price.is_free())
    }

    /// What the units cost, by the dearer price if there are two.
    pub(super) fn charge(&self, units: u64) -> Result<Money, PriceOverflow> {
        match self.tariff {
            Tariff::Service(_) => {
                self.sides().try_fold(Money::ZERO, |dearer, side| Ok(dearer.max(side.charge(units)?)))
            }
            Tariff::Money => i64::try_from(units).map(Money::from_micros).map_err(|_| PriceOverflow),
        }
    }

    /// The most units, at most `want`, that the money pays for, by the dearer price if there are two.
    pub(super) fn affordable(&self, money: Money, want: u64) -> u64 {
        match self.tariff {
            Tariff::Service(_) => {
                self.sides().fold(want, |fewest, side| fewest.min(side.price.affordable(side.rated, money, want)))
            }
            Tariff::Money => want.min(u64::try_from(money.micros()).unwrap_or(0)),
        }
    }

    /// How much more than [`Rate::charge`] so many units may cost if a change of tariff cuts them in two: on each side a
    /// block may be started, a micro-unit be rounded up and a setup fee fall due. Where there are tiers or a minimum, each
    /// side may cost nearly all that it would cost alone.
    pub(super) fn margin(&self, units: u64) -> Money {
        let Some(later) = self.later else { return Money::ZERO };
        let sides = [self.now, later];
        if !sides.iter().all(|side| side.price.is_plain()) {
            let alone = |side: &Side<'_>| side.charge(units).unwrap_or(Money::from_micros(i64::MAX));
            // The dearer one is counted already.
            return sides.iter().map(alone).min().unwrap_or(Money::ZERO);
        }
        let setup = |side: &Side<'_>| if side.rated == 0 { side.price.setup() } else { Money::ZERO };
        // The dearer side's own fee is counted already: of the other one nothing dearer can come.
        let fee = sides.iter().map(setup).max().unwrap_or(Money::ZERO);
        sides.iter().fold(fee, |sum, side| sum.saturating_add(side.price.block_cost()))
    }
}

impl Side<'_> {
    fn charge(&self, units: u64) -> Result<Money, PriceOverflow> {
        self.price.charge(self.rated, self.rated.checked_add(units).ok_or(PriceOverflow)?)
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
            let rate = Rate::new(Tariff::Service(now), &now.price, rated.0).or(&later.price, rated.1);
            let reserved = rate.charge(units).unwrap().checked_add(rate.margin(units)).unwrap();
            for cut in 0..=units {
                let before = now.price.charge(rated.0, rated.0 + cut).unwrap();
                let behind = later.price.charge(rated.1, rated.1 + units - cut).unwrap();
                prop_assert!(before.checked_add(behind).unwrap() <= reserved, "cut at {cut}");
            }
        }
    }
}
