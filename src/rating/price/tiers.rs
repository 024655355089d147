//! Tiers: prices that follow one another as usage adds up. Free units are a first tier that costs nothing.

use std::sync::Arc;

use super::{PRICE_MAX, Price, PriceError, Written, greatest_common_divisor};
use crate::{
    rating::{offer::Period, quantity::QUANTITY_MAX},
    units::{MICROS, Money, UnitKind},
};

/// The most tiers of one price beside its own: they are walked with every charge.
pub const TIERS_MAX: usize = 20;

/// What the usage that a price is a function of is counted over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TierBasis {
    /// From the start of the session.
    Session,
    /// From the start of the period, over all sessions of the account and all services whose prices name this counter.
    Counter {
        /// Whose usage is added up: the name of the service, unless the catalog gives another.
        name: Arc<str>,
        /// When the count begins anew; the same for all prices that name it.
        period: Period,
    },
}

/// What a price has beside its own figures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Ascending; the first begins at 0.
    pub(super) tiers: Box<[Tier]>,
    /// Of all tiers; 1 to `i64::MAX`.
    pub(super) denominator: u64,
    /// The least that any usage costs, in micro-units; at least 0.
    pub(super) minimum: u64,
    pub(super) basis: TierBasis,
}

/// A price of the units behind `from`, up to where the next tier begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tier {
    /// At most [`QUANTITY_MAX`], and a multiple of the blocks on both sides.
    pub(super) from: u64,
    /// Usage is charged in whole blocks of this many units; 1 to [`QUANTITY_MAX`].
    pub(super) block: u64,
    /// What one block costs in micro-units, by the denominator; 0 to `i64::MAX`.
    pub(super) numerator: u64,
    /// What all tiers before cost, by the denominator; below 2^119.
    pub(super) before: u128,
    /// The price as it was written.
    pub(super) written: Written,
}

impl Tier {
    /// How many blocks are begun by `total` units, which are not fewer than where the tier begins.
    pub(super) fn blocks(&self, total: u64) -> u64 {
        (total - self.from).div_ceil(self.block)
    }
}

impl Price {
    /// The same price, but any usage costs at least `minimum` (the setup fee included), the first `free_units` cost
    /// nothing beside the setup fee, and the `tiers` follow: from so many units on (the free ones count) the price is
    /// that one. All is counted over `basis`.
    ///
    /// The tiers' prices are of [`Price::new`], without a setup fee, and count what this price counts.
    ///
    /// # Errors
    /// All that [`PriceError`] says of minimum charges, free units and tiers.
    pub fn shaped(
        self,
        minimum: Money,
        free_units: u64,
        tiers: &[(u64, Price)],
        basis: TierBasis,
    ) -> Result<Self, PriceError> {
        if minimum.is_negative() || minimum.micros() > i64::from(PRICE_MAX) * MICROS {
            return Err(PriceError::Minimum);
        }
        if tiers.len() > TIERS_MAX {
            return Err(PriceError::Tiers);
        }
        if free_units > QUANTITY_MAX || tiers.iter().any(|(from, _)| !(1..=QUANTITY_MAX).contains(from)) {
            return Err(PriceError::Quantity);
        }
        if minimum == Money::ZERO && free_units == 0 && tiers.is_empty() && basis == TierBasis::Session {
            return Ok(self);
        }
        let kind = self.kind.unwrap_or(UnitKind::Events);
        let own = Tier { from: free_units, ..self.own };
        let mut list = vec![(own, self.denominator)];
        list.extend(tiers.iter().map(|(from, price)| (Tier { from: *from, ..price.own }, price.denominator)));
        check_boundaries(&list, kind)?;
        let (mut list, denominator) = common(&list, kind)?;
        if free_units > 0 {
            list.insert(0, Tier { block: 1, numerator: 0, written: Written::NOTHING, ..self.own });
        }
        add_up(&mut list);
        // Not below zero.
        let minimum = minimum.micros().unsigned_abs();
        let shape = Shape { tiers: list.into(), denominator, minimum, basis };
        Ok(Self { shape: Some(Arc::new(shape)), ..self })
    }

    /// What the usage that its cost is a function of is counted over.
    pub fn tier_basis(&self) -> &TierBasis {
        self.shape.as_ref().map_or(&TierBasis::Session, |shape| &shape.basis)
    }
}

/// Tiers follow one another, and no block reaches from one into the next.
fn check_boundaries(list: &[(Tier, u64)], kind: UnitKind) -> Result<(), PriceError> {
    // Free units, if there are any, have no blocks.
    let (mut last, mut block_before) = (0, 1);
    for (tier, (price, _)) in list.iter().enumerate() {
        let from = price.from;
        if tier > 0 && from <= last {
            return Err(PriceError::Order { tier });
        }
        if let Some(block) = [block_before, price.block].into_iter().find(|block| !from.is_multiple_of(*block)) {
            return Err(PriceError::Boundary { tier, from, block, kind });
        }
        (last, block_before) = (from, price.block);
    }
    Ok(())
}

/// The tiers over their common denominator.
fn common(list: &[(Tier, u64)], kind: UnitKind) -> Result<(Vec<Tier>, u64), PriceError> {
    let mut brought = (Vec::new(), 1);
    for (tier, (price, _)) in list.iter().enumerate() {
        let inexact = PriceError::TierInexact { tier, from: price.from, kind };
        brought = bring(list.get(..=tier).unwrap_or(list)).ok_or(inexact)?;
    }
    Ok(brought)
}

/// `None` if a number does not fit 63 bits.
fn bring(list: &[(Tier, u64)]) -> Option<(Vec<Tier>, u64)> {
    let narrow = |number: u128| i64::try_from(number).ok().map(i64::unsigned_abs);
    let denominator = list.iter().try_fold(1u64, |common, (_, denominator)| {
        let shared = greatest_common_divisor(common.into(), (*denominator).into());
        narrow(u128::from(common) * (u128::from(*denominator) / shared))
    })?;
    let bring = |(tier, own): &(Tier, u64)| {
        // Both are below 2^63.
        let numerator = narrow(u128::from(tier.numerator) * u128::from(denominator / own))?;
        Some(Tier { numerator, ..*tier })
    };
    Some((list.iter().map(bring).collect::<Option<_>>()?, denominator))
}

/// Says of each tier what those before cost: at most 22 times 2^63 for each of 2^50 blocks.
fn add_up(tiers: &mut [Tier]) {
    let (mut before, mut last): (u128, Option<Tier>) = (0, None);
    for tier in tiers {
        if let Some(last) = last {
            before += u128::from(last.blocks(tier.from)) * u128::from(last.numerator);
        }
        tier.before = before;
        last = Some(*tier);
    }
}
