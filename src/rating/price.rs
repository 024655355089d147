//! Prices: exact functions from cumulative usage to money.

mod curve;
mod error;
mod exact;
mod explain;
mod lines;
mod tiers;

use std::{slice, sync::Arc};

use rust_decimal::Decimal;

pub(crate) use self::explain::{grouped, percent, units_text};
use self::{
    curve::Curve,
    tiers::{Shape, Tier},
};
pub use self::{
    error::{PriceError, PriceOverflow},
    exact::BasisPoints,
    lines::{PriceLine, TierLine},
    tiers::{TIERS_MAX, TierBasis},
};
use super::quantity::QUANTITY_MAX;
use crate::units::{Money, UnitKind, div_ceil};

/// The highest price of one `per`, in units of the currency: a million is more than any service costs in any currency,
/// and keeps every intermediate product within 128 bits.
pub const PRICE_MAX: u32 = 1_000_000;

/// The most fractional digits of a price: six beyond the micro-unit, enough for a price per octet.
pub const PRICE_SCALE_MAX: u32 = 12;

/// What usage costs, as a function of the cumulative usage in one session and rating group (spec C-57), or of what its
/// [`TierBasis`] counts.
///
/// Usage is rounded up to whole blocks and money up to the micro-unit, once each and on the total, so that it does not
/// matter how a client cuts its usage into reports. All arithmetic is on integers, and exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// What is counted; `None` for the free price of anything.
    kind: Option<UnitKind>,
    /// The figures of the price itself, from 0 on; with free units and tiers it is one of several.
    own: Tier,
    /// One block costs `own.numerator / denominator` micro-units, in lowest terms; 1 to `i64::MAX`.
    denominator: u64,
    /// Micro-units added with the first unit; at least 0.
    setup: i64,
    /// Tiers, free units, a minimum; `None` for a plain price, which most are and which is the fastest.
    shape: Option<Arc<Shape>>,
}

/// A price as a person wrote it: `mantissa / 10^scale` for `per` units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    mantissa: u64,
    scale: u32,
    per: u64,
}

impl Written {
    const NOTHING: Self = Self { mantissa: 0, scale: 0, per: 1 };
}

impl Price {
    /// The price of what costs nothing, whatever its unit.
    pub const fn free() -> Self {
        let own = Tier { from: 0, block: 1, numerator: 0, before: 0, written: Written::NOTHING };
        Self { kind: None, own, denominator: 1, setup: 0, shape: None }
    }

    /// The price of what costs nothing and is counted in `kind`.
    pub fn free_of(kind: UnitKind) -> Self {
        Self { kind: Some(kind), ..Self::free() }
    }

    /// `amount` units of the currency for every `per` units of service, charged in whole blocks of `block` units, and
    /// `setup` with the first unit of a session.
    pub fn new(kind: UnitKind, amount: Decimal, per: u64, block: u64, setup: Money) -> Result<Self, PriceError> {
        if amount.is_sign_negative() && !amount.is_zero() || amount > Decimal::from(PRICE_MAX) {
            return Err(PriceError::Amount);
        }
        let amount = amount.normalize();
        let (mantissa, scale) = (amount.mantissa().unsigned_abs(), amount.scale());
        if scale > PRICE_SCALE_MAX {
            return Err(PriceError::Scale);
        }
        if [per, block].iter().any(|quantity| !(1..=QUANTITY_MAX).contains(quantity)) {
            return Err(PriceError::Quantity);
        }
        if setup.is_negative() || setup.micros() > i64::from(PRICE_MAX) * crate::units::MICROS {
            return Err(PriceError::Setup);
        }
        // Micro-units for one block: mantissa * 10^(6 - scale) * block / per.
        let (up, down) = (6u32.saturating_sub(scale), scale.saturating_sub(6));
        let numerator = mantissa.checked_mul(10u128.pow(up)).and_then(|n| n.checked_mul(u128::from(block)));
        let denominator = u128::from(per).checked_mul(10u128.pow(down));
        let (numerator, denominator) = numerator.zip(denominator).ok_or(PriceError::Inexact)?;
        let common = greatest_common_divisor(numerator, denominator);
        let narrow =
            |number: u128| i64::try_from(number / common).map(i64::unsigned_abs).map_err(|_| PriceError::Inexact);
        let written = Written { mantissa: u64::try_from(mantissa).map_err(|_| PriceError::Amount)?, scale, per };
        Ok(Self {
            kind: Some(kind),
            own: Tier { from: 0, block, numerator: narrow(numerator)?, before: 0, written },
            denominator: narrow(denominator)?,
            setup: setup.micros(),
            shape: None,
        })
    }

    /// Whether no usage ever costs anything.
    pub fn is_free(&self) -> bool {
        let free = |shape: &Arc<Shape>| shape.minimum == 0 && shape.tiers.iter().all(|tier| tier.numerator == 0);
        self.own.numerator == 0 && self.setup == 0 && self.shape.as_ref().is_none_or(free)
    }

    /// Whether every unit costs the same: there are no tiers and free units, no minimum, and no counter beside the session.
    pub const fn is_plain(&self) -> bool {
        self.shape.is_none()
    }

    /// By the price itself, which is the first tier, usage is charged in whole blocks of this many units; at least 1.
    pub const fn block(&self) -> u64 {
        self.own.block
    }

    /// What one unit of a plain price by a block of one costs, in micro-units: a fraction in lowest terms.
    pub(super) const fn per_unit(&self) -> (u64, u64) {
        (self.own.numerator, self.denominator)
    }

    /// The price as a person wrote it: `mantissa / 10^scale` of the currency for so many units. Of several tiers it is the
    /// first that is not the free units'.
    pub const fn as_written(&self) -> (u64, u8, u64) {
        // At most PRICE_SCALE_MAX.
        (self.own.written.mantissa, self.own.written.scale as u8, self.own.written.per)
    }

    /// What one block costs, rounded up; of the dearest tier if there are several.
    pub fn block_cost(&self) -> Money {
        let (tiers, denominator) = self.tiers();
        let dearest = tiers.iter().map(|tier| tier.numerator).max().unwrap_or(0);
        // At most `i64::MAX`, as the numerator is.
        Money::from_micros(i64::try_from(dearest.div_ceil(denominator)).unwrap_or(i64::MAX))
    }

    /// What is charged with the first unit, beside the units.
    pub const fn setup(&self) -> Money {
        Money::from_micros(self.setup)
    }

    /// What `total` units cost from the start: 0 for none, never less for more.
    pub fn cost(&self, total: u64) -> Result<Money, PriceOverflow> {
        if total == 0 {
            return Ok(Money::ZERO);
        }
        if self.shape.is_some() {
            return self.exactly(total, BasisPoints::WHOLE);
        }
        let blocks = if self.own.block == 1 { total } else { total.div_ceil(self.own.block) };
        let usage = match blocks.checked_mul(self.own.numerator) {
            // The same rounding in 64 bits, which most usage fits: several times as fast.
            Some(product) if self.denominator == 1 => i128::from(product),
            Some(product) => i128::from(product.div_ceil(self.denominator)),
            // At most 2^64 * 2^63: fits.
            None => div_ceil(i128::from(blocks) * i128::from(self.own.numerator), i128::from(self.denominator)),
        };
        let cost = usage.checked_add(i128::from(self.setup)).ok_or(PriceOverflow)?;
        i64::try_from(cost).map(Money::from_micros).map_err(|_| PriceOverflow)
    }

    /// As [`Price::cost`], but only `keep` of it: the discount comes off the exact cost, and what is left is rounded up
    /// once.
    pub fn cost_at(&self, total: u64, keep: BasisPoints) -> Result<Money, PriceOverflow> {
        if keep == BasisPoints::WHOLE { self.cost(total) } else { self.exactly(total, keep) }
    }

    /// What usage from `before` to `after` (both counted from the start) costs: the difference of the costs (spec C-57).
    /// Below zero if `after` is less than `before`, which is a correction.
    pub fn charge(&self, before: u64, after: u64) -> Result<Money, PriceOverflow> {
        self.charge_at(before, after, BasisPoints::WHOLE)
    }

    /// As [`Price::charge`], but only `keep` of it. Charges add up as long as `keep` is the same.
    pub fn charge_at(&self, before: u64, after: u64, keep: BasisPoints) -> Result<Money, PriceOverflow> {
        if self.is_free() {
            return Ok(Money::ZERO);
        }
        self.cost_at(after, keep)?.checked_sub(self.cost_at(before, keep)?).ok_or(PriceOverflow)
    }

    /// The most units, at most `want`, that `money` pays for after `before` units (spec C-58): the largest `u` with
    /// `charge(before, before + u) <= money`. What is left of a paid block is included, and money below zero counts as
    /// none. A free price returns `want` whole.
    pub fn affordable(&self, before: u64, money: Money, want: u64) -> u64 {
        self.affordable_at(before, money, want, BasisPoints::WHOLE)
    }

    /// As [`Price::affordable`], where only `keep` of the price is charged.
    pub fn affordable_at(&self, before: u64, money: Money, want: u64, keep: BasisPoints) -> u64 {
        if self.is_free() || keep == BasisPoints::NOTHING {
            return want;
        }
        let Ok(spent) = self.cost_at(before, keep) else { return 0 };
        // What the cost may be in total.
        let limit = spent.micros().saturating_add(money.micros().max(0));
        let reach = if self.shape.is_none() && keep == BasisPoints::WHOLE {
            self.plain_reach(limit)
        } else {
            // Both are at least 0.
            self.curve().reach(exact::largest_within(limit.unsigned_abs(), self.tiers().1, keep))
        };
        reach.saturating_sub(before).min(want)
    }

    /// At least what `units` units cost after any number of units from `from` to `latest`, at `keep` of the price: what to
    /// reserve while others may move a common count on before these units are used, whether tiers rise or fall. Exact where
    /// `from` is `latest`; of a plain price at most a block, and a micro-unit of rounding, above the charge.
    ///
    /// # Errors
    /// So many units are beyond 64 bits, or what they cost is beyond money.
    pub fn dearest_charge(
        &self,
        from: u64,
        latest: u64,
        units: u64,
        keep: BasisPoints,
    ) -> Result<Money, PriceOverflow> {
        if self.is_free() || units == 0 {
            return Ok(Money::ZERO);
        }
        let last = latest.max(from).checked_add(units).ok_or(PriceOverflow)?;
        if latest <= from {
            return self.charge_at(from, last, keep);
        }
        // Only the very first units pay a setup fee or a minimum.
        let start = if from == 0 { self.cost_at(units, keep)? } else { Money::ZERO };
        let dearest = self.curve().dearest(from.max(1), latest, units);
        Ok(start.max(exact::round_up(dearest, self.tiers().1, keep)?))
    }

    /// The most units of a plain price that cost at most `limit`, which is at least 0.
    fn plain_reach(&self, limit: i64) -> u64 {
        let Some(limit) = limit.checked_sub(self.setup).filter(|limit| *limit >= 0) else { return 0 };
        if self.own.numerator == 0 {
            return u64::MAX;
        }
        // ceil(blocks * n / d) <= limit is the same as blocks <= floor(limit * d / n), for limit is whole.
        let limit = limit.unsigned_abs();
        let blocks = match limit.checked_mul(self.denominator) {
            Some(product) => product / self.own.numerator,
            None => {
                let blocks = u128::from(limit) * u128::from(self.denominator) / u128::from(self.own.numerator);
                u64::try_from(blocks).unwrap_or(u64::MAX)
            }
        };
        blocks.saturating_mul(self.own.block)
    }

    /// The cost of any price and part, in 128 bits.
    fn exactly(&self, total: u64, keep: BasisPoints) -> Result<Money, PriceOverflow> {
        exact::round_up(self.curve().at(total), self.tiers().1, keep)
    }

    fn curve(&self) -> Curve<'_> {
        let (tiers, denominator) = self.tiers();
        let denominator = u128::from(denominator);
        let minimum = self.shape.as_ref().map_or(0, |shape| shape.minimum);
        Curve {
            tiers,
            setup: u128::from(self.setup.unsigned_abs()) * denominator,
            minimum: u128::from(minimum) * denominator,
        }
    }

    /// All tiers, of which a plain price has one, and their denominator.
    fn tiers(&self) -> (&[Tier], u64) {
        match &self.shape {
            Some(shape) => (&shape.tiers, shape.denominator),
            None => (slice::from_ref(&self.own), self.denominator),
        }
    }
}

/// Euclid's; not both are 0.
pub(super) fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
