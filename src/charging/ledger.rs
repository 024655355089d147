//! How a balance pays: a working copy of an account's buckets and counters for the length of one decision.
//!
//! One routine, [`Ledger::allocate`], walks the buckets in the order of consumption, for reservations and for debits
//! alike. A reservation takes what it can get; a debit takes everything, and what no bucket can pay goes to the main money
//! bucket, which may then be below zero (spec C-20).

mod allocate;
mod counters;
mod facts;

use self::counters::Tally;
pub(super) use self::counters::{Counting, Place, TIERS};
use super::{Account, Bucket, BucketKind, Draw, MemberNo, payer::Payer, quota::Tariff};
use crate::{few::Few, ids::BucketId, time::Timestamp, units::Money};

/// Who pays for units, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Allocation {
    /// Units that are paid for.
    pub(super) units: u64,
    /// The part of them that money pays for.
    pub(super) rated: u64,
    /// That money.
    pub(super) cost: Money,
    /// Where it all comes from, units before money; and then what it counts in, see [`super::Counter`].
    pub(super) draws: Few<Draw>,
    /// A limit allows no more, though more could be paid.
    pub(super) limited: bool,
}

/// How far an allocation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Only what the account can pay, now: an event.
    Affordable,
    /// The same, to be used later: a reservation.
    Grant,
    /// All of it, come what may: usage that has happened.
    All,
}

/// How far from zero any bucket or total may be, in micro-units or units: half of what can be counted, so that sums of two
/// still can.
pub(super) const BALANCE_MAX: i64 = i64::MAX / 2;

/// A working copy of an account's buckets and counters.
#[derive(Clone)]
pub(super) struct Ledger<'a> {
    account: &'a Account,
    /// On whose behalf.
    payer: Payer,
    /// In the order of the account's buckets.
    lines: Few<Line>,
    /// The account's counters, and those that begin now. Few accounts have any.
    tallies: Vec<Tally>,
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
        let tallies = counters::of(account, MemberNo::SHARED);
        Self { account, payer: Payer::ANYBODY, lines, tallies, now, debited: account.debited.micros() }
    }

    /// The same for the usage of a member of a shared account.
    pub(super) fn used_by(mut self, member: MemberNo) -> Self {
        if member != MemberNo::SHARED {
            self.payer = Payer::of(self.account, member);
            self.tallies.extend(counters::of(self.account, member));
        }
        self
    }

    /// On whose behalf it pays.
    pub(super) fn member(&self) -> MemberNo {
        self.payer.member()
    }

    /// Pays on behalf of another member from now on.
    pub(super) fn turn_to(&mut self, member: MemberNo) {
        if member == self.member() {
            return;
        }
        self.payer = Payer::of(self.account, member);
        if member != MemberNo::SHARED && self.tallies.iter().all(|tally| tally.counter.member != member) {
            self.tallies.extend(counters::of(self.account, member));
        }
    }

    /// The buckets that may be used, in the order of consumption.
    fn in_order(&self) -> impl Iterator<Item = (usize, &'a Bucket)> {
        let buckets = &self.account.buckets;
        let of = move |owner| buckets.iter().enumerate().filter(move |(_, bucket)| Some(bucket.owner) == owner);
        let [first, second] = self.payer.owners();
        of(first).chain(of(second))
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
            } else if let Some(tally) = self.tally_mut(hold.bucket) {
                tally.reserved -= hold.amount;
            }
        }
    }

    /// Reserves what an allocation draws.
    pub(super) fn hold(&mut self, draws: &[Draw]) {
        for draw in draws {
            if let Some(line) = self.line_mut(draw.bucket) {
                line.reserved += draw.amount;
            } else if let Some(tally) = self.tally_mut(draw.bucket) {
                tally.reserved += draw.amount;
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
            } else if let Some(tally) = self.tally_mut(draw.bucket) {
                tally.used = tally.used.saturating_add(draw.amount);
            }
        }
    }

    /// Ends the debits: what was released and not spent is free like everything else, and in an expired bucket it is gone.
    pub(super) fn settle(&mut self) {
        self.lines.iter_mut().for_each(|line| line.released = 0);
    }

    /// Whether there is more to be had in some bucket than before. What is held in counters is held in buckets too.
    pub(super) fn has_freed(&self) -> bool {
        self.account.buckets.iter().zip(&self.lines).any(|(bucket, line)| {
            line.amount.saturating_sub(line.reserved) > bucket.amount.saturating_sub(bucket.reserved)
                && bucket.is_valid(self.now)
        })
    }

    /// Money that may be used and is neither spent nor reserved: below zero if the account is in debt.
    pub(super) fn remaining(&self) -> Money {
        self.usable_money(|line| line.amount.saturating_sub(line.reserved))
    }

    /// Money that may be used, reservations not subtracted.
    pub(super) fn usable_balance(&self) -> Money {
        self.usable_money(|line| line.amount)
    }

    fn usable_money(&self, part: impl Fn(&Line) -> i64) -> Money {
        let money = self.in_order().filter(|(_, bucket)| bucket.kind == BucketKind::Money && bucket.is_valid(self.now));
        money
            .filter_map(|(index, _)| self.lines.get(index))
            .fold(Money::ZERO, |sum, line| sum.saturating_add(Money::from_micros(part(line))))
    }

    /// Whether anything that could pay for this service is reserved beside `own`, by whichever session: it may come back
    /// (spec C-81).
    pub(super) fn anything_reserved_beside(&self, tariff: Tariff<'_>, own: &[Draw]) -> bool {
        self.account.buckets.iter().zip(&self.lines).any(|(bucket, line)| {
            let own = own.iter().filter(|draw| draw.bucket == bucket.id).map(|draw| draw.amount).sum();
            line.reserved > own && tariff.takes(bucket) && self.payer.uses(bucket)
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

    /// Money that is everybody's, reservations not subtracted.
    pub(super) fn shared_balance(&self) -> Money {
        let lines = self.account.buckets.iter().zip(&self.lines);
        lines
            .filter(|(bucket, _)| bucket.kind == BucketKind::Money && bucket.owner == MemberNo::SHARED)
            .fold(Money::ZERO, |sum, (_, line)| sum.saturating_add(Money::from_micros(line.amount)))
    }

    /// Whether a member has money of its own.
    pub(super) fn has_own_money(&self) -> bool {
        self.account.buckets.iter().zip(&self.lines).any(|(bucket, line)| {
            bucket.owner != MemberNo::SHARED
                && bucket.kind == BucketKind::Money
                && line.amount > 0
                && bucket.is_valid(self.now)
        })
    }

    /// Money that is everybody's and has not run out, reservations not subtracted.
    pub(super) fn usable_shared(&self) -> Money {
        let lines = self.account.buckets.iter().zip(&self.lines);
        lines
            .filter(|(bucket, _)| bucket.kind == BucketKind::Money && bucket.owner == MemberNo::SHARED)
            .filter(|(bucket, _)| bucket.is_valid(self.now))
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

    /// How much of these draws is money.
    pub(super) fn money_of(&self, draws: &[Draw]) -> i64 {
        let is_money = |draw: &&Draw| self.account.bucket(draw.bucket).is_some_and(|it| it.kind == BucketKind::Money);
        draws.iter().filter(is_money).fold(0, |sum, draw| sum.saturating_add(draw.amount))
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
}
