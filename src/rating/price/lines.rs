//! A charge as a sum, line by line: what the start costs, what each tier costs, what a minimum adds. The lines add up to the
//! charge, to the micro-unit.

use super::{BasisPoints, Price, PriceOverflow, Written, exact, tiers::Tier};
use crate::{
    rating::quantity,
    units::{Currency, Money, UnitKind},
};

/// A summand of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceLine {
    /// What the first unit costs beside the units.
    Setup,
    /// Units of one tier, or of a plain price.
    Tier(TierLine),
    /// So much is the least that any usage costs. What that adds; below zero = it was paid before, with the first units.
    Minimum(Money),
}

/// Units of one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierLine {
    /// From so many units on,
    pub from: u64,
    /// up to so many: more than `from`.
    pub to: u64,
    /// Where the tier begins and ends; `None` = it has no end. Of a plain price from 0, without an end.
    pub tier: (u64, Option<u64>),
    /// Blocks that are begun by these units; of free ones the units.
    pub blocks: u64,
    /// Units of a block.
    pub block: u64,
    /// The block that the first unit lies in was begun before, and is paid for.
    pub begun_before: bool,
    /// They cost nothing.
    pub free: bool,
    /// What they cost comes to whole micro-units.
    pub whole: bool,
    kind: Option<UnitKind>,
    written: Written,
}

impl TierLine {
    /// What it costs, as a person wrote it: `0.01 EUR per MB`.
    pub fn price(&self, currency: Currency) -> String {
        let per = self.kind.map_or_else(|| "unit".into(), |kind| quantity::write_per(kind, self.written.per));
        format!("{} {currency} per {per}", self.written.amount())
    }

    /// A number of units as people write it: `1 MB`.
    pub fn quantity(&self, units: u64) -> String {
        self.kind.map_or_else(|| units.to_string(), |kind| quantity::write(kind, units))
    }
}

impl Price {
    /// What usage from `before` to `after` (both counted from the start) costs, line by line: the lines add up to
    /// [`Price::charge`]. Each is rounded to the micro-unit as the sum so far is, so that one of them may differ by a
    /// micro-unit from what it would cost alone. None if it costs nothing, or `after` is not more than `before`.
    ///
    /// # Errors
    /// What so many units cost is beyond money.
    pub fn lines(&self, before: u64, after: u64) -> Result<Vec<(PriceLine, Money)>, PriceOverflow> {
        if self.is_free() || after <= before {
            return Ok(Vec::new());
        }
        let (curve, (tiers, denominator)) = (self.curve(), self.tiers());
        let rounded = |exact: u128| exact::round_up(exact, denominator, BasisPoints::WHOLE);
        let mut lines = Vec::new();
        let mut sum = curve.without_minimum(before);
        let start = rounded(sum)?;
        let mut last = start;
        let mut add = |line: PriceLine, more: u128| -> Result<(), PriceOverflow> {
            sum += more;
            let now = rounded(sum)?;
            lines.push((line, now.checked_sub(last).ok_or(PriceOverflow)?));
            last = now;
            Ok(())
        };
        if before == 0 && self.setup > 0 {
            add(PriceLine::Setup, curve.setup)?;
        }
        let ends = tiers.iter().skip(1).map(|tier| Some(tier.from)).chain([None]);
        for (tier, end) in tiers.iter().zip(ends) {
            let (from, to) = (before.max(tier.from), after.min(end.unwrap_or(u64::MAX)));
            if from < to {
                let line = self.tier_line(tier, end, from, to);
                add(PriceLine::Tier(line), u128::from(line.blocks) * u128::from(tier.numerator))?;
            }
        }
        let charge = self.charge(before, after)?;
        let minimum = charge.checked_sub(last.checked_sub(start).ok_or(PriceOverflow)?).ok_or(PriceOverflow)?;
        if minimum != Money::ZERO {
            let least = self.shape.as_ref().map_or(0, |shape| shape.minimum);
            let least = Money::from_micros(i64::try_from(least).unwrap_or(i64::MAX));
            lines.push((PriceLine::Minimum(least), minimum));
        }
        Ok(lines)
    }

    fn tier_line(&self, tier: &Tier, end: Option<u64>, from: u64, to: u64) -> TierLine {
        let free = tier.numerator == 0;
        let blocks = if free { to - from } else { tier.blocks(to) - tier.blocks(from) };
        let exact = u128::from(blocks) * u128::from(tier.numerator);
        TierLine {
            whole: exact.is_multiple_of(u128::from(self.tiers().1)),
            from,
            to,
            tier: (tier.from, end),
            blocks,
            block: tier.block,
            begun_before: !free && !(from - tier.from).is_multiple_of(tier.block),
            free,
            kind: self.kind,
            written: tier.written,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::{super::TierBasis, *};

    fn price(amount: &str, per: u64, block: u64, setup: i64) -> Price {
        let amount: Decimal = amount.parse().unwrap();
        Price::new(UnitKind::Seconds, amount, per, block, Money::from_micros(setup)).unwrap()
    }

    fn tiered() -> Price {
        let tiers = [(70, price("0.07", 3, 7, 0)), (140, price("0.01", 60, 1, 0))];
        price("0.10", 60, 10, 50_000).shaped(Money::from_micros(100_000), 10, &tiers, TierBasis::Session).unwrap()
    }

    #[test]
    fn each_tier_has_a_line() {
        let lines = tiered().lines(0, 100).unwrap();
        let amounts: Vec<i64> = lines.iter().map(|(_, amount)| amount.micros()).collect();
        // The start; 10 free; 6 blocks of 10 s at 1/60 of 0.10 a second: 0.10; 5 blocks of 7 s at 0.07/3 a second: 0.816666…
        assert_eq!(amounts, [50_000, 0, 100_000, 816_667]);
        let Some((PriceLine::Tier(last), _)) = lines.last() else { panic!("{lines:?}") };
        assert_eq!((last.from, last.to, last.tier, last.blocks, last.block), (70, 100, (70, Some(140)), 5, 7));
        assert_eq!(last.price("EUR".parse().unwrap()), "0.07 EUR per 3 s");
    }

    #[test]
    fn what_the_minimum_adds_and_what_it_has_paid() {
        let amounts = |before, after| {
            let lines = tiered().lines(before, after).unwrap();
            lines.iter().map(|(_, amount)| amount.micros()).collect::<Vec<_>>()
        };
        // 0.05 and two blocks: 0.083333…, so that 0.016667 are missing to 0.10; the next block is paid but for that.
        assert_eq!(amounts(0, 30), [50_000, 0, 33_334, 16_666]);
        assert_eq!(amounts(30, 40), [16_666, -16_666]);
        assert_eq!(amounts(40, 50), [16_667]);
    }

    proptest! {
        #[test]
        fn lines_add_up_to_the_charge(before in 0u64..300, units in 0u64..300) {
            for price in [tiered(), price("0.10", 7, 3, 5), price("0", 1, 1, 0), price("0", 1, 1, 7)] {
                let lines = price.lines(before, before + units).unwrap();
                let sum: i64 = lines.iter().map(|(_, amount)| amount.micros()).sum();
                prop_assert_eq!(Money::from_micros(sum), price.charge(before, before + units).unwrap());
            }
        }
    }
}
