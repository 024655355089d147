//! Prices: exact functions from the usage of one session and rating group to money.

use rust_decimal::Decimal;

use super::quantity::{self, QUANTITY_MAX};
use crate::units::{Currency, Money, UnitKind, div_ceil};

/// The highest price of one `per`, in units of the currency: a million is more than any service costs in any currency,
/// and keeps every intermediate product within 128 bits.
pub const PRICE_MAX: u32 = 1_000_000;

/// The most fractional digits of a price: six beyond the micro-unit, enough for a price per octet.
pub const PRICE_SCALE_MAX: u32 = 12;

/// What usage costs, as a function of the cumulative usage in one session and rating group (spec C-57).
///
/// Usage is rounded up to whole blocks and money up to the micro-unit, once each and on the total, so that it does not
/// matter how a client cuts its usage into reports. All arithmetic is on integers, and exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// What is counted; `None` for the free price of anything.
    kind: Option<UnitKind>,
    /// Usage is charged in whole blocks of this many units; 1 to [`QUANTITY_MAX`].
    block: u64,
    /// One block costs `numerator / denominator` micro-units, in lowest terms; 0 to `i64::MAX`.
    numerator: u64,
    /// 1 to `i64::MAX`.
    denominator: u64,
    /// Micro-units added with the first unit of a session; at least 0.
    setup: i64,
    /// The price as it was written, for [`Price::explain`].
    written: Written,
}

/// A price as a person wrote it: `mantissa / 10^scale` for `per` units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    mantissa: u64,
    scale: u32,
    per: u64,
}

/// The cost is beyond what money can hold (about 9.2 x 10^12 units of the currency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of this usage is beyond the range of money")]
pub struct PriceOverflow;

/// Why figures do not make a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The amount is below zero or above [`PRICE_MAX`].
    #[error("a price is between 0 and {PRICE_MAX}")]
    Amount,
    /// The amount has more than [`PRICE_SCALE_MAX`] fractional digits.
    #[error("a price has at most {PRICE_SCALE_MAX} fractional digits")]
    Scale,
    /// `per` or the block is 0 or above [`QUANTITY_MAX`].
    #[error("`per` and `block` are between 1 and {QUANTITY_MAX} units")]
    Quantity,
    /// The setup fee is below zero or above [`PRICE_MAX`].
    #[error("a setup fee is between 0 and {PRICE_MAX}")]
    Setup,
    /// One block's price has no exact fraction of 63-bit numbers.
    #[error("price, `per` and `block` do not fit together exactly: choose a `block` that divides `per`")]
    Inexact,
}

impl Price {
    /// The price of what costs nothing, whatever its unit.
    pub const fn free() -> Self {
        let written = Written { mantissa: 0, scale: 0, per: 1 };
        Self { kind: None, block: 1, numerator: 0, denominator: 1, setup: 0, written }
    }

    /// The price of what costs nothing and is counted in `kind`.
    pub const fn free_of(kind: UnitKind) -> Self {
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
        Ok(Self {
            kind: Some(kind),
            block,
            numerator: narrow(numerator)?,
            denominator: narrow(denominator)?,
            setup: setup.micros(),
            written: Written { mantissa: u64::try_from(mantissa).map_err(|_| PriceError::Amount)?, scale, per },
        })
    }

    /// Whether no usage ever costs anything.
    pub const fn is_free(&self) -> bool {
        self.numerator == 0 && self.setup == 0
    }

    /// Usage is charged in whole blocks of this many units; at least 1.
    pub const fn block(&self) -> u64 {
        self.block
    }

    /// What one unit of a block of one costs, in micro-units: a fraction in lowest terms.
    pub(super) const fn per_unit(&self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// The price as a person wrote it: `mantissa / 10^scale` of the currency for so many units.
    pub const fn as_written(&self) -> (u64, u8, u64) {
        // At most PRICE_SCALE_MAX.
        (self.written.mantissa, self.written.scale as u8, self.written.per)
    }

    /// What one block costs, rounded up.
    pub fn block_cost(&self) -> Money {
        // At most `i64::MAX`, as the numerator is.
        Money::from_micros(i64::try_from(self.numerator.div_ceil(self.denominator)).unwrap_or(i64::MAX))
    }

    /// What is charged with the first unit of a session, beside the units.
    pub const fn setup(&self) -> Money {
        Money::from_micros(self.setup)
    }

    /// What `total` units cost from the start of the session: 0 for none, never less for more.
    pub fn cost(&self, total: u64) -> Result<Money, PriceOverflow> {
        if total == 0 {
            return Ok(Money::ZERO);
        }
        let blocks = if self.block == 1 { total } else { total.div_ceil(self.block) };
        let usage = match blocks.checked_mul(self.numerator) {
            // The same rounding in 64 bits, which most usage fits: several times as fast.
            Some(product) if self.denominator == 1 => i128::from(product),
            Some(product) => i128::from(product.div_ceil(self.denominator)),
            // At most 2^64 * 2^63: fits.
            None => div_ceil(i128::from(blocks) * i128::from(self.numerator), i128::from(self.denominator)),
        };
        let cost = usage.checked_add(i128::from(self.setup)).ok_or(PriceOverflow)?;
        i64::try_from(cost).map(Money::from_micros).map_err(|_| PriceOverflow)
    }

    /// What usage from `before` to `after` (both counted from the start of the session) costs: the difference of the
    /// costs (spec C-57). Below zero if `after` is less than `before`, which is a correction.
    pub fn charge(&self, before: u64, after: u64) -> Result<Money, PriceOverflow> {
        if self.is_free() {
            return Ok(Money::ZERO);
        }
        self.cost(after)?.checked_sub(self.cost(before)?).ok_or(PriceOverflow)
    }

    /// The most units, at most `want`, that `money` pays for after `before` units (spec C-58): the largest `u` with
    /// `charge(before, before + u) <= money`. What is left of a paid block is included, and money below zero counts as
    /// none. A free price returns `want` whole.
    pub fn affordable(&self, before: u64, money: Money, want: u64) -> u64 {
        if self.is_free() {
            return want;
        }
        let Ok(spent) = self.cost(before) else { return 0 };
        // What the session's cost may be in total, without the setup fee.
        let limit = spent.micros().saturating_add(money.micros().max(0));
        let Some(limit) = limit.checked_sub(self.setup).filter(|limit| *limit >= 0) else { return 0 };
        let want = want.min(u64::MAX - before);
        if self.numerator == 0 {
            return want;
        }
        // ceil(blocks * n / d) <= limit is the same as blocks <= floor(limit * d / n), for limit is whole.
        let limit = limit.unsigned_abs();
        let blocks = match limit.checked_mul(self.denominator) {
            Some(product) => product / self.numerator,
            None => {
                let blocks = u128::from(limit) * u128::from(self.denominator) / u128::from(self.numerator);
                u64::try_from(blocks).unwrap_or(u64::MAX)
            }
        };
        blocks.saturating_mul(self.block).saturating_sub(before).min(want)
    }

    /// One sentence that says how the charge for usage from `before` to `after` comes about, for people:
    /// `3,145,728 octets = 4 blocks of 1 MB at 0.01 CNY per MB: 0.04 CNY`.
    pub fn explain(&self, before: u64, after: u64, currency: Currency) -> String {
        let kind = self.kind.map_or("units", UnitKind::name);
        let usage = match after.checked_sub(before) {
            Some(used) => {
                let kind = if used == 1 { kind.trim_end_matches('s') } else { kind };
                let after = if before == 0 { String::new() } else { format!(" after {}", grouped(before)) };
                format!("{} {kind}{after}", grouped(used))
            }
            None => format!("correction from {} to {} {kind}", grouped(before), grouped(after)),
        };
        if self.is_free() {
            return format!("{usage}, free of charge: 0.00 {currency}");
        }
        let (paid, due) = (before.div_ceil(self.block), after.div_ceil(self.block));
        let blocks = match self.kind {
            Some(kind) if self.block > 1 => {
                let (count, more) = (due.abs_diff(paid), if before == 0 { "" } else { "more " });
                let less = if due < paid { "less " } else { more };
                let plural = if count == 1 { "" } else { "s" };
                format!(" = {} {less}block{plural} of {}", grouped(count), quantity::write(kind, self.block))
            }
            _ => String::new(),
        };
        let per = self.kind.map_or_else(|| "unit".into(), |kind| quantity::write_per(kind, self.written.per));
        let setup = match (before == 0 && after > 0, self.setup) {
            (true, 1..) => format!(" and {} {currency} for the start", self.setup()),
            _ => String::new(),
        };
        let charge = match self.charge(before, after) {
            Ok(charge) => format!("{charge} {currency}"),
            Err(overflow) => overflow.to_string(),
        };
        format!("{usage}{blocks} at {} {currency} per {per}{setup}: {charge}", self.written.amount())
    }
}

impl Written {
    /// The amount with at least two fractional digits.
    fn amount(&self) -> String {
        let scale = self.scale.min(PRICE_SCALE_MAX) as usize;
        let digits = format!("{:0>width$}", self.mantissa, width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        format!("{whole}.{fraction:0<2}")
    }
}

/// The number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
