//! What is wrong with a price.

use super::{PRICE_MAX, PRICE_SCALE_MAX, TIERS_MAX};
use crate::{
    rating::quantity::{self, QUANTITY_MAX},
    units::UnitKind,
};

/// The cost is beyond what money can hold (about 9.2 x 10^12 units of the currency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of this usage is beyond the range of money")]
pub struct PriceOverflow;

/// Why figures do not make a price. A `tier` is the place in the list, from 1; 0 is the price before the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The amount is below zero or above [`PRICE_MAX`].
    #[error("a price is between 0 and {PRICE_MAX}")]
    Amount,
    /// The amount has more than [`PRICE_SCALE_MAX`] fractional digits.
    #[error("a price has at most {PRICE_SCALE_MAX} fractional digits")]
    Scale,
    /// `per`, the block, the free units or the beginning of a tier is 0 or above [`QUANTITY_MAX`].
    #[error("the quantities of a price are between 1 and {QUANTITY_MAX} units")]
    Quantity,
    /// The setup fee is below zero or above [`PRICE_MAX`].
    #[error("a setup fee is between 0 and {PRICE_MAX}")]
    Setup,
    /// The minimum charge is below zero or above [`PRICE_MAX`].
    #[error("a minimum charge is between 0 and {PRICE_MAX}")]
    Minimum,
    /// One block's price has no exact fraction of 63-bit numbers.
    #[error("price, `per` and `block` do not fit together exactly: choose a `block` that divides `per`")]
    Inexact,
    /// There are more than [`TIERS_MAX`].
    #[error("a price has at most {TIERS_MAX} tiers")]
    Tiers,
    /// A tier does not begin after the one before it.
    #[error("a tier begins after the one before it, and after the free units: list them in ascending order")]
    Order {
        /// Which.
        tier: usize,
    },
    /// A tier begins within a block.
    #[error(
        "{} is no multiple of {}: where the price changes, a block ends by the price before and begins by the one after",
        quantity::write(*kind, *from), quantity::write(*kind, *block)
    )]
    Boundary {
        /// Which; 0 where the free units end.
        tier: usize,
        /// Where it begins.
        from: u64,
        /// The block that it does not fit: its own, or that of the tier before.
        block: u64,
        /// What is counted.
        kind: UnitKind,
    },
    /// A tier's price has no common fraction of 63-bit numbers with those before it.
    #[error(
        "the tier from {} does not fit exactly together with those before it: choose a `block` that divides `per`",
        quantity::write(*kind, *from)
    )]
    TierInexact {
        /// Which; 0 cannot be.
        tier: usize,
        /// Where it begins.
        from: u64,
        /// What is counted.
        kind: UnitKind,
    },
}
