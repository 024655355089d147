//! Parts of exact amounts, rounded once.

use super::PriceOverflow;
use crate::units::Money;

/// A part of a price in hundredths of a percent: 0 (nothing of it) to 10,000 (all of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// All of it.
    pub const WHOLE: Self = Self(10_000);
    /// Nothing of it.
    pub const NOTHING: Self = Self(0);

    /// So many hundredths of a percent; `None` above 10,000.
    pub const fn new(hundredths: u16) -> Option<Self> {
        if hundredths <= Self::WHOLE.0 { Some(Self(hundredths)) } else { None }
    }

    /// What is left when a discount of so many hundredths of a percent is taken off; nothing if it is more than all.
    pub const fn less(discount: u16) -> Self {
        Self(Self::WHOLE.0.saturating_sub(discount))
    }

    /// In hundredths of a percent: 0 to 10,000.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// `keep` of `numerator / denominator` micro-units, rounded up once.
pub(super) fn round_up(numerator: u128, denominator: u64, keep: BasisPoints) -> Result<Money, PriceOverflow> {
    let (denominator, part) = (u128::from(denominator), u128::from(keep.0));
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    // What leaves 128 bits here is far beyond money also when it is divided by 10,000. The rest is below 2^64, so it fits.
    let parts = whole.checked_mul(part).ok_or(PriceOverflow)?;
    let parts = parts.checked_add((rest * part).div_ceil(denominator)).ok_or(PriceOverflow)?;
    let micros = parts.div_ceil(u128::from(BasisPoints::WHOLE.0));
    i64::try_from(micros).map(Money::from_micros).map_err(|_| PriceOverflow)
}

/// The largest numerator of which `keep`, rounded up, is at most `limit` micro-units; all that 128 bits hold if there is no
/// such limit among them.
pub(super) fn largest_within(limit: u64, denominator: u64, keep: BasisPoints) -> u128 {
    let (denominator, part) = (u128::from(denominator), u128::from(keep.0));
    if part == 0 {
        return u128::MAX;
    }
    // ceil(x * part / (10,000 * denominator)) <= limit is x <= floor(limit * 10,000 * denominator / part), for limit is
    // whole.
    let scaled = u128::from(limit) * u128::from(BasisPoints::WHOLE.0);
    let (whole, rest) = (scaled / part, scaled % part);
    whole.saturating_mul(denominator).saturating_add(rest * denominator / part)
}
