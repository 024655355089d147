//! Quotas: what a session may use of one service, and how a balance pays for it.
//!
//! One routine, [`Ledger::allocate`], walks the buckets in the order of consumption, for reservations and for debits
//! alike. A reservation takes what it can get; a debit takes everything, and what no bucket can pay goes to the main money
//! bucket, which may then be below zero (spec C-20).

use std::sync::Arc;

use super::{Account, Bucket, BucketKind, Draw, rate::Rate};
use crate::{
    ids::{BucketId, QuotaKey},
    rating::{PriceOverflow, Service},
    time::Timestamp,
    units::{Money, UnitKind},
};

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Service units of one kind, which the server rates.
    Units(UnitKind),
    /// Micro-units of money, which the client rated itself (spec C-15).
    Money,
}

impl Default for Measure {
    fn default() -> Self {
        Self::Units(UnitKind::Octets)
    }
}

/// What a session holds and has used of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Its key in the session.
    pub key: QuotaKey,
    /// The service of the catalog it was last rated as.
    pub service: Arc<str>,
    /// What it counts.
    pub measure: Measure,
    /// The outstanding grant.
    pub granted: u64,
    /// What the outstanding grant reserves.
    pub holds: Vec<Draw>,
    /// All usage reported in the session.
    pub used: u64,
    /// The part of `used` that was charged to money by the service's own price: the price is a function of this.
    pub rated: u64,
    /// The same for each other tariff that it was rated by.
    pub rated_by: Vec<RatedBy>,
    /// The part of `used` that allowances paid for.
    pub from_allowance: u64,
    /// Money charged in the session.
    pub charged: Money,
    /// The Validity-Time of the outstanding grant, 0 if there is none.
    pub validity_secs: u32,
    /// The outstanding grant is the last that the account can pay.
    pub final_units: bool,
    /// The last request for units was refused for want of credit.
    pub refused: bool,
    /// Under which terms the outstanding grant was made; `None` = the service's own price, and no change is near.
    pub terms: Option<Arc<Terms>>,
    /// The pool that the outstanding grant draws from, which holds what it reserves.
    pub pool: Option<u32>,
    /// Where slices grow: by which one the outstanding grant was made.
    pub grown: Option<Box<Grown>>,
    /// The version of the catalog that the outstanding grant was made by; 0 = from before versions had numbers.
    pub catalog: u32,
}

/// A slice that may grow (spec G-116).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// Units; a grant may have been less.
    pub slice: u64,
    /// When it was granted.
    pub at: Timestamp,
}

/// Usage that a tariff of the service was charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedBy {
    /// The tariff's name in the catalog.
    pub tariff: Arc<str>,
    /// Units charged to money.
    pub units: u64,
}

/// The price that a grant was made at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// The tariff in force; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
    /// The change that the client was told of (Tariff-Time-Change).
    pub change: Option<TariffChange>,
}

/// A tariff change within the life of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffChange {
    /// When.
    pub at: Timestamp,
    /// The tariff from then on; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
}

/// What the quotas of a session hold together (G-S-U-Pool, spec C-170..C-175).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// What it reserves.
    pub holds: Vec<Draw>,
}

impl Quota {
    /// Units that were charged to money by a tariff; `None` = by the service's own price.
    pub(super) fn rated_as(&self, tariff: Option<&Arc<str>>) -> u64 {
        match tariff {
            None => self.rated,
            Some(name) => self.rated_by.iter().find(|rated| rated.tariff == *name).map_or(0, |rated| rated.units),
        }
    }

    /// Counts units that a tariff other than the service's own price was charged for.
    pub(super) fn add_rated_by(&mut self, tariff: &Arc<str>, units: u64) {
        if let Some(rated) = self.rated_by.iter_mut().find(|rated| rated.tariff == *tariff) {
            rated.units = rated.units.saturating_add(units);
        } else if units > 0 {
            self.rated_by.push(RatedBy { tariff: Arc::clone(tariff), units });
        }
    }

    /// Whether a credit to the account should make the client ask again.
    pub fn wants_credit(&self) -> bool {
        self.final_units || self.refused
    }
}

/// How usage becomes money.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tariff<'a> {
    /// By the catalog.
    Service(&'a Service),
    /// The client says the sum.
    Money,
}

impl Tariff<'_> {
    pub(super) fn measure(&self) -> Measure {
        match self {
            Self::Service(service) => Measure::Units(service.kind),
            Self::Money => Measure::Money,
        }
    }

    /// The service's name in the catalog.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Service(service) => &service.name,
            Self::Money => "money",
        }
    }

    /// Whether a bucket may pay for the service. A credit pool counts money alone.
    pub(super) fn takes(&self, bucket: &Bucket) -> bool {
        match bucket.kind {
            BucketKind::Money => true,
            BucketKind::Units(kind) => {
                self.measure() == Measure::Units(kind)
                    && !matches!(self, Self::Service(service) if service.pool.is_some())
                    && (bucket.services.is_empty() || bucket.services.iter().any(|name| **name == *self.name()))
            }
        }
    }
}

/// Who pays for units, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Allocation {
    /// Units that are paid for.
    pub(super) units: u64,
    /// The part of them that money pays for.
    pub(super) rated: u64,
    /// That money.
    pub(super) cost: Money,
    /// Where it all comes from.
    pub(super) draws: Vec<Draw>,
}

/// How far an allocation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Only what the account can pay: for reservations and events.
    Affordable,
    /// All of it, come what may: usage that has happened.
    All,
}

/// How far from zero any bucket or total may be, in micro-units or units: half of what can be counted, so that sums of two
/// still can.
pub(super) const BALANCE_MAX: i64 = i64::MAX / 2;

/// A working copy of an account's buckets for the length of one decision.
pub(super) struct Ledger<'a> {
    account: &'a Account,
    /// In the order of the account's buckets.
    lines: Vec<Line>,
    now: Timestamp,
    /// All that was ever debited from the account, micro-units.
    debited: i64,
}

#[derive(Clone, Copy)]
struct Line {
    amount: i64,
    reserved: i64,
    /// What this decision has released: it may be spent even if the bucket has expired meanwhile.
    released: i64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(account: &'a Account, now: Timestamp) -> Self {
        let lines = account
            .buckets
            .iter()
            .map(|bucket| Line { amount: bucket.amount, reserved: bucket.reserved, released: 0 })
            .collect();
        Self { account, lines, now, debited: account.debited.micros() }
    }

    fn line_mut(&mut self, bucket: BucketId) -> Option<&mut Line> {
        let index = self.account.buckets.iter().position(|other| other.id == bucket)?;
        self.lines.get_mut(index)
    }

    /// Gives back what a quota holds.
    pub(super) fn release(&mut self, holds: &[Draw]) {
        for hold in holds {
            if let Some(line) = self.line_mut(hold.bucket) {
                line.reserved -= hold.amount;
                line.released += hold.amount;
            }
        }
    }

    /// Reserves an allocation.
    pub(super) fn hold(&mut self, allocation: &Allocation) {
        for draw in &allocation.draws {
            if let Some(line) = self.line_mut(draw.bucket) {
                line.reserved += draw.amount;
            }
        }
    }

    /// Takes an allocation out.
    pub(super) fn debit(&mut self, allocation: &Allocation) {
        self.debited = self.debited.saturating_add(allocation.cost.micros());
        for draw in &allocation.draws {
            if let Some(line) = self.line_mut(draw.bucket) {
                line.amount -= draw.amount;
                line.released = (line.released - draw.amount).max(0);
            }
        }
    }

    /// Ends the debits: what was released and not spent is free like everything else, and in an expired bucket it is gone.
    pub(super) fn settle(&mut self) {
        self.lines.iter_mut().for_each(|line| line.released = 0);
    }

    /// Whether there is more to be had in some bucket than before.
    pub(super) fn has_freed(&self) -> bool {
        self.account.buckets.iter().zip(&self.lines).any(|(bucket, line)| {
            line.amount.saturating_sub(line.reserved) > bucket.amount.saturating_sub(bucket.reserved)
                && bucket.is_valid(self.now)
        })
    }

    /// Money that is neither spent nor reserved: below zero if the account is in debt.
    pub(super) fn remaining(&self) -> Money {
        let lines = self.account.buckets.iter().zip(&self.lines);
        lines
            .filter(|(bucket, _)| bucket.kind == BucketKind::Money && bucket.is_valid(self.now))
            .fold(Money::ZERO, |sum, (_, line)| {
                sum.saturating_add(Money::from_micros(line.amount.saturating_sub(line.reserved)))
            })
    }

    /// Whether anything that could pay for this service is reserved beside `own`, by whichever session: it may come back
    /// (spec C-81).
    pub(super) fn anything_reserved_beside(&self, tariff: Tariff<'_>, own: &[Draw]) -> bool {
        self.account.buckets.iter().zip(&self.lines).any(|(bucket, line)| {
            let own = own.iter().filter(|draw| draw.bucket == bucket.id).map(|draw| draw.amount).sum();
            line.reserved > own && tariff.takes(bucket)
        })
    }

    /// Money of all buckets, reservations not subtracted.
    pub(super) fn balance(&self) -> Money {
        self.account
            .buckets
            .iter()
            .zip(&self.lines)
            .filter(|(bucket, _)| bucket.kind == BucketKind::Money)
            .fold(Money::ZERO, |sum, (_, line)| sum.saturating_add(Money::from_micros(line.amount)))
    }

    /// Units left in valid unit buckets.
    pub(super) fn has_units(&self) -> bool {
        self.account
            .buckets
            .iter()
            .zip(&self.lines)
            .any(|(bucket, line)| bucket.kind != BucketKind::Money && line.amount > 0 && bucket.is_valid(self.now))
    }

    /// Amount of one bucket.
    pub(super) fn amount(&self, bucket: BucketId) -> Option<i64> {
        let index = self.account.buckets.iter().position(|other| other.id == bucket)?;
        self.lines.get(index).map(|line| line.amount)
    }

    /// What can be taken from the bucket at `index` without touching what others hold.
    fn available(&self, index: usize) -> i64 {
        let (Some(bucket), Some(line)) = (self.account.buckets.get(index), self.lines.get(index)) else { return 0 };
        let free = line.amount.saturating_sub(line.reserved);
        if !bucket.is_valid(self.now) {
            return free.min(line.released).max(0);
        }
        if bucket.id != BucketId::MAIN {
            return free.max(0);
        }
        if self.account.never_stop {
            return Money::MAX_INPUT.micros();
        }
        free.saturating_add(self.account.credit_limit.micros()).max(0)
    }

    /// Finds who pays for `want` more units. Where a change of tariff may cut a grant in two, what that can cost beside the
    /// dearer price is drawn too, as far as it is there; it is no part of the cost.
    ///
    /// # Errors
    /// The price of so many units is beyond what money can count.
    pub(super) fn allocate(&self, rate: Rate<'_>, want: u64, demand: Demand) -> Result<Allocation, PriceOverflow> {
        let tariff = rate.tariff;
        if rate.is_free() || want == 0 {
            return Ok(Allocation { units: want, ..Allocation::default() });
        }
        let mut allocation = Allocation::default();
        let mut open = want;
        // Money buckets add up to a purse that buys units as cheaply as one bucket would: the price of a block may come
        // from two of them.
        let (mut purse, mut bought) = (Money::ZERO, 0u64);
        for (index, bucket) in self.account.buckets.iter().enumerate() {
            if open == 0 {
                break;
            }
            let available = self.available(index);
            match bucket.kind {
                BucketKind::Units(_) => {
                    let taken =
                        if tariff.takes(bucket) { available.min(i64::try_from(open).unwrap_or(i64::MAX)) } else { 0 };
                    if taken > 0 {
                        allocation.draws.push(Draw { bucket: bucket.id, amount: taken });
                        open -= taken.unsigned_abs();
                    }
                }
                BucketKind::Money => {
                    purse = purse.saturating_add(Money::from_micros(available));
                    let affordable = rate.affordable(purse, bought.saturating_add(open));
                    open -= affordable.saturating_sub(bought);
                    bought = bought.max(affordable);
                }
            }
        }
        if demand == Demand::All {
            bought = bought.saturating_add(open);
            open = 0;
        }
        allocation.units = want - open;
        allocation.rated = bought;
        allocation.cost = rate.charge(bought)?;
        let margin = if demand == Demand::Affordable && bought > 0 { rate.margin(bought) } else { Money::ZERO };
        self.draw_money(&mut allocation, margin);
        if self.stays_in_range(&allocation) { Ok(allocation) } else { Err(PriceOverflow) }
    }

    /// Whether buckets and totals can count what an allocation does to them, as a debit or as a reservation.
    fn stays_in_range(&self, allocation: &Allocation) -> bool {
        let fits = |value: Option<i64>| value.is_some_and(|value| value.unsigned_abs() <= BALANCE_MAX.unsigned_abs());
        fits(self.debited.checked_add(allocation.cost.micros()))
            && allocation.draws.iter().all(|draw| {
                let line = self.account.buckets.iter().zip(&self.lines).find(|(bucket, _)| bucket.id == draw.bucket);
                line.is_some_and(|(_, line)| {
                    fits(line.amount.checked_sub(draw.amount)) && fits(line.reserved.checked_add(draw.amount))
                })
            })
    }

    /// Spreads the cost over the money buckets; what they cannot pay goes to the main bucket. The margin is taken only as
    /// far as it is there.
    fn draw_money(&self, allocation: &mut Allocation, margin: Money) {
        let mut due = allocation.cost.micros();
        if margin != Money::ZERO {
            let money =
                |index: &usize| self.account.buckets.get(*index).is_some_and(|bucket| bucket.kind == BucketKind::Money);
            let indices = (0..self.account.buckets.len()).filter(money);
            let free = indices.fold(0i64, |sum, index| sum.saturating_add(self.available(index)));
            due = due.saturating_add(margin.micros().min(free.saturating_sub(due)).max(0));
        }
        for (index, bucket) in self.account.buckets.iter().enumerate() {
            if bucket.kind != BucketKind::Money || bucket.id == BucketId::MAIN {
                continue;
            }
            let taken = self.available(index).min(due);
            if taken > 0 {
                allocation.draws.push(Draw { bucket: bucket.id, amount: taken });
                due -= taken;
            }
        }
        if due > 0 {
            allocation.draws.push(Draw { bucket: BucketId::MAIN, amount: due });
        }
    }
}
