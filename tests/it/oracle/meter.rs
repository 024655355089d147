//! What usage costs, counted block by block with exact fractions, and rounded in one place.

use std::cell::RefCell;

use num_rational::BigRational;

use super::list::{Amount, Price};

/// A price, with the blocks that were walked so far.
pub(super) struct Meter {
    price: Price,
    /// For each block: before how many units it begins, and what all blocks up to it cost together, in micro-units.
    blocks: RefCell<Vec<(u64, BigRational)>>,
}

/// Of all of a price, in hundredths of a percent.
pub(super) const WHOLE: u64 = 10_000;

fn number(value: impl Into<i128>) -> BigRational {
    BigRational::from_integer(value.into().into())
}

/// Rounded up to the micro-unit.
fn micros(exact: &BigRational) -> i128 {
    i128::try_from(exact.ceil().to_integer()).unwrap()
}

fn block_price(amount: Amount, per: u64, block: u64) -> BigRational {
    number(amount.mantissa) * number(1_000_000) * number(block) / number(10i128.pow(amount.scale)) / number(per)
}

impl Meter {
    pub(super) fn new(price: &Price) -> Self {
        Self { price: price.clone(), blocks: RefCell::default() }
    }

    /// For octets from the user.
    pub(super) fn uplink(price: &Price, up: Amount) -> Self {
        let price = Price {
            amount: up,
            setup: 0,
            minimum: 0,
            free_units: 0,
            tiers: Vec::new(),
            counter: None,
            up: None,
            ..price.clone()
        };
        Self::new(&price)
    }

    pub(super) fn is_free(&self) -> bool {
        self.price.is_free()
    }

    pub(super) fn price(&self) -> &Price {
        &self.price
    }

    /// The price and the length of the block that begins after so many units.
    fn block_at(&self, begun: u64) -> (BigRational, u64) {
        let Price { amount, per, block, free_units, ref tiers, .. } = self.price;
        if begun < free_units {
            return (number(0), free_units);
        }
        match tiers.iter().rev().find(|tier| tier.from <= begun) {
            Some(tier) => (block_price(tier.amount, tier.per, tier.block), tier.block),
            None => (block_price(amount, per, block), block),
        }
    }

    /// The number of blocks that so many units begin.
    pub(super) fn blocks(&self, total: u64) -> usize {
        let mut blocks = self.blocks.borrow_mut();
        let mut next = match blocks.last() {
            Some((begins, _)) => begins + self.block_at(*begins).1,
            None => 0,
        };
        while next < total {
            let (price, length) = self.block_at(next);
            let before = blocks.last().map_or_else(|| number(0), |(_, sum)| sum.clone());
            blocks.push((next, before + price));
            next += length;
        }
        blocks.partition_point(|(begins, _)| *begins < total)
    }

    /// What so many units cost from the start, and of that only `keep`: rounded up, once.
    pub(super) fn cost(&self, total: u64, keep: u64) -> i128 {
        if total == 0 || self.is_free() {
            return 0;
        }
        let begun = self.blocks(total);
        let usage = self.blocks.borrow()[begun - 1].1.clone() + number(self.price.setup);
        let least = number(self.price.minimum);
        micros(&(if usage < least { least } else { usage } * number(keep) / number(WHOLE)))
    }

    /// What so many more units cost.
    pub(super) fn charge(&self, before: u64, units: u64, keep: u64) -> i128 {
        self.cost(before + units, keep) - self.cost(before, keep)
    }
}

/// What a cap makes of all money that has reached it.
pub(super) fn capped(reached: i128, cap: i128, part: u64) -> i128 {
    let beyond = (reached - cap).max(0);
    reached.min(cap) + micros(&(number(beyond) * number(part) / number(WHOLE)))
}
