//! What comes out of it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{ids::AccountId, units::Currency};

/// Reasons that are told apart: each is about a service that one of the catalogs lacks.
const REASONS_MAX: usize = 100;

/// What is added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Usage of a service of the catalog; empty = no price was found.
    Service(Arc<str>),
    /// The fees of a product; `floor` = what was missing to the least that is to be spent in a cycle.
    Fees(Arc<str>),
}

/// What was earned by something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Quotas of sessions, services of events, and fees that were charged.
    pub charges: u64,
    /// Units that were charged for, whoever paid: money or allowances. Micro-units of what the client rated itself.
    pub units: u64,
    /// Micro-units, less what was given back.
    pub earned: i128,
    /// Charges that were refused, in whole or in part.
    pub refused: u64,
    /// Units that were refused.
    pub refused_units: u64,
}

/// What one way of charging came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) items: BTreeMap<Item, Sums>,
    pub(super) unrated: BTreeMap<String, Unrated>,
    /// Of the account at hand.
    pub(super) refused: u64,
    pub(super) refused_recorded: i128,
}

/// Usage for which a catalog has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unrated {
    /// Quotas of sessions, and services of events.
    pub charges: u64,
    /// What was earned by them as recorded, micro-units.
    pub recorded: i128,
}

/// What a new catalog would have come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Of all sums.
    pub currency: Currency,
    /// For each service and product: as recorded, by the catalogs that were in force, by the new one.
    pub rows: Vec<(Item, [Sums; 3])>,
    /// The sum of all rows; units of different kinds are not added up.
    pub total: [Sums; 3],
    /// Why usage could not be rated: by the catalogs that were in force, by the new one.
    pub unrated: [BTreeMap<String, Unrated>; 2],
    /// Accounts that would have been refused something: by the catalogs that were in force, by the new one.
    pub refused: [u64; 2],
    /// The first of them by the new one, by account id.
    pub refused_accounts: Vec<RefusedAccount>,
    /// Accounts with something in the records.
    pub accounts: u64,
    /// Sessions, events, credits and fees that were done again.
    pub acts: u64,
    /// Records that are about no known account.
    pub left_out: u64,
}

/// An account that the new catalog would have refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// Its id.
    pub account: AccountId,
    /// The first identity of its first subscriber; to be masked in logs.
    pub identity: Option<crate::ids::Identity>,
    /// Charges that were refused, in whole or in part: by the catalogs that were in force, by the new one.
    pub charges: [u64; 2],
    /// What was earned by those of the new one as recorded, micro-units.
    pub recorded: i128,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.charges += other.charges;
        self.units = self.units.saturating_add(other.units);
        self.earned += other.earned;
        self.refused += other.refused;
        self.refused_units = self.refused_units.saturating_add(other.refused_units);
    }
}

impl Tally {
    pub(super) fn of(&mut self, item: Item) -> &mut Sums {
        self.items.entry(item).or_default()
    }

    pub(super) fn refuse(&mut self, service: Arc<str>, units: u64, recorded: i128) {
        let sums = self.of(Item::Service(service));
        sums.refused += 1;
        sums.refused_units = sums.refused_units.saturating_add(units);
        self.refused += 1;
        self.refused_recorded += recorded;
    }

    pub(super) fn unrated(&mut self, why: String, recorded: i128) {
        let known = self.unrated.len() < REASONS_MAX || self.unrated.contains_key(&why);
        let unrated = self.unrated.entry(if known { why } else { "other reasons".into() }).or_default();
        unrated.charges += 1;
        unrated.recorded += recorded;
    }

    /// Begins with the next account.
    pub(super) fn take_refused(&mut self) -> (u64, i128) {
        (std::mem::take(&mut self.refused), std::mem::take(&mut self.refused_recorded))
    }
}

/// The rows of three ways of charging, and their sums.
pub(super) fn side_by_side(tallies: [&Tally; 3]) -> (Vec<(Item, [Sums; 3])>, [Sums; 3]) {
    let mut rows: BTreeMap<Item, [Sums; 3]> = BTreeMap::new();
    let mut total = [Sums::default(); 3];
    for (index, tally) in tallies.into_iter().enumerate() {
        for (item, sums) in &tally.items {
            if let Some(place) = rows.entry(item.clone()).or_default().get_mut(index) {
                *place = *sums;
            }
            if let Some(total) = total.get_mut(index) {
                total.add(sums);
            }
        }
    }
    total.iter_mut().for_each(|total| (total.units, total.refused_units) = (0, 0));
    (rows.into_iter().collect(), total)
}
