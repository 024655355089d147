//! The exact cost as a function of cumulative usage: in each tier a staircase, over one denominator.

use super::tiers::Tier;

/// What so many units cost in micro-units, times the denominator.
///
/// A tier's numerator is below 2^63, as the denominator is, and there are at most 2^64 blocks; with what the tiers before,
/// the setup fee and the minimum (2^40 micro-units each) add, all stays within 128 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve<'a> {
    /// At least one; the first begins at 0.
    pub(super) tiers: &'a [Tier],
    /// Due with the first unit.
    pub(super) setup: u128,
    /// The least that any unit costs.
    pub(super) minimum: u128,
}

impl Curve<'_> {
    /// The cost of `total` units; 0 for none, never less for more.
    pub(super) fn at(&self, total: u64) -> u128 {
        if total == 0 { 0 } else { self.minimum.max(self.without_minimum(total)) }
    }

    /// The cost of `total` units as if there were no minimum charge.
    pub(super) fn without_minimum(&self, total: u64) -> u128 {
        match self.tier_at(total) {
            Some(tier) => self.setup + tier.before + u128::from(tier.blocks(total)) * u128::from(tier.numerator),
            None => 0,
        }
    }

    /// The most units that cost at most `budget`.
    pub(super) fn reach(&self, budget: u128) -> u64 {
        let Some(budget) = budget.checked_sub(self.setup).filter(|_| budget >= self.minimum) else { return 0 };
        // The last tier that can be paid for up to where it begins: the first one always can.
        let paid = self.tiers.partition_point(|tier| tier.before <= budget);
        let Some(tier) = paid.checked_sub(1).and_then(|last| self.tiers.get(last)) else { return 0 };
        // A tier that costs nothing is not the last that can be paid for, unless none follows.
        let blocks = (budget - tier.before).checked_div(u128::from(tier.numerator));
        let blocks = blocks.and_then(|blocks| u64::try_from(blocks).ok()).unwrap_or(u64::MAX);
        blocks.saturating_mul(tier.block).saturating_add(tier.from)
    }

    /// At least what `units` units cost after any number of units from `from` to `latest`: 1 or more, up to `latest`, so
    /// that no setup fee and no minimum falls due. `latest + units` fits; `units` is not 0.
    pub(super) fn dearest(&self, from: u64, latest: u64, units: u64) -> u128 {
        let index = |total: u64| self.tiers.partition_point(|tier| tier.from < total).saturating_sub(1);
        let (first, last) = (index(from + 1), index(latest + units));
        if let Some(tier) = self.tiers.get(first).filter(|_| first == last) {
            let most = u128::from(units.div_ceil(tier.block)) * u128::from(tier.numerator);
            return most.min(self.at(latest + units) - self.at(from));
        }
        // Without the steps the difference is a broken line, whose peak is where it begins, ends or breaks.
        let ends = [from, latest].into_iter();
        let breaks = self.tiers.iter().flat_map(|tier| [tier.from, tier.from.saturating_sub(units)]);
        let between = |at: &u64| (from..=latest).contains(at);
        let rise = |at: u64| self.line(at + units, true).saturating_sub(self.line(at, false));
        let peak = ends.chain(breaks.filter(between)).map(rise).max().unwrap_or(0);
        // The steps are above the line by less than a block.
        let ending = self.tiers.get(index(from + units)..=last).unwrap_or(self.tiers);
        let step = ending.iter().map(|tier| tier.numerator - tier.numerator / tier.block).max().unwrap_or(0);
        // Nor can it be more than all that the last of them cost above the first: what a minimum has paid is paid.
        (peak + u128::from(step)).min(self.at(latest + units) - self.at(from))
    }

    /// The line below the steps, without setup fee and minimum, rounded up or down.
    fn line(&self, total: u64, up: bool) -> u128 {
        let Some(tier) = self.tier_at(total) else { return 0 };
        // At most 2^64 times 2^63.
        let product = u128::from(total - tier.from) * u128::from(tier.numerator);
        let block = u128::from(tier.block);
        tier.before + if up { product.div_ceil(block) } else { product / block }
    }

    /// The tier by which the last of `total` units is charged; `None` if there is no unit.
    fn tier_at(&self, total: u64) -> Option<&Tier> {
        let begun = self.tiers.partition_point(|tier| tier.from < total);
        self.tiers.get(begun.checked_sub(1)?)
    }
}
