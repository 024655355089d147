//! What a line of the history is made of, where the line itself does not say it: the parts of a charge with what each went
//! by, and the buckets that paid. Facts only: what follows from them is worked out by `explain`.
//!
//! Reports under the same terms, each of which begins where the one before ended, are one part, for prices and caps are functions of what adds up. A
//! plain charge (one price, one version, all from the main bucket) has no detail at all: the line says all of it.

mod codec;

use std::sync::Arc;

use super::{Bucket, BucketKind, FeeKind, Given, Left, LimitFact, Measure, MemberNo, PeriodPart, Quota, Step};
use crate::{ids::BucketId, time::Timestamp, units::Money};

/// Parts of one charge that are told apart. Where two sessions share a counter each report is a part of its own: so many
/// last for three days of a report every five minutes. They take about 200 kB then; of more only the sum is kept here, and
/// the rest is in the journal.
pub const PARTS_MAX: usize = 1_000;

/// Buckets that are told apart in one charge: a long session may empty any number of small ones. Of more only the sum by
/// kind is kept here, under [`Paid::OTHERS`].
pub const PAID_MAX: usize = 64;

/// What a line of the history is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Usage, or what was given back of it.
    Charge(Breakdown),
    /// A fee for the part of a period of a product.
    Fee(FeeKind, PeriodPart),
    /// What was missing to the least that is to be spent on usage in a cycle.
    Floor {
        /// When the cycle began and ended.
        starts: Timestamp,
        /// See `starts`.
        ends: Timestamp,
        /// The least that was to be spent.
        floor: Money,
        /// What was spent.
        usage: Money,
    },
    /// Units that a product gave, or that went on, for the part of a period.
    Given(PeriodPart),
    /// What came with a top-up of so much.
    Gift(Money),
}

/// What a charge is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breakdown {
    /// The member of a shared account that used it.
    pub member: MemberNo,
    /// In the order in which they were charged; at most [`PARTS_MAX`].
    pub parts: Vec<Part>,
    /// Where it came from, each bucket once; at most [`PAID_MAX`], and what all others paid once for each kind.
    pub paid: Vec<Paid>,
    /// The sum of what is not in `parts`.
    pub rest: Rest,
}

/// What was charged under the same terms, one report after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The version of the catalog.
    pub catalog: u32,
    /// The service of the catalog; empty = no price was found.
    pub service: Arc<str>,
    /// What is counted.
    pub measure: Measure,
    /// The tariff of the service, with `/up` behind it for octets from the user; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
    /// What the price is a function of had come to so many units before.
    pub from: u64,
    /// That is a count over several sessions.
    pub counted: bool,
    /// All units.
    pub used: u64,
    /// The part that money paid for.
    pub rated: u64,
    /// The part that allowances paid for; what is in neither was free.
    pub from_allowance: u64,
    /// That money.
    pub charged: Money,
    /// What was taken off the price.
    pub discount: Option<Given>,
    /// Caps that took something off, then limits that were reached.
    pub limits: Vec<LimitFact>,
    /// It was an emergency.
    pub emergency: bool,
    /// Of a refund of a part of a debit: what was left of it before.
    pub left: Option<Left>,
    /// How many reports; 0 = not known.
    pub reports: u32,
    /// When the first and the last of them were charged.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
}

/// What a bucket paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// Its id in the account; [`Paid::OTHERS`] = several.
    pub bucket: BucketId,
    /// What it is called.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: BucketKind,
    /// Whose it is.
    pub owner: MemberNo,
    /// Micro-units or units.
    pub amount: i64,
}

impl Paid {
    /// Stands for all buckets that are not told apart. No bucket has this id.
    pub const OTHERS: BucketId = BucketId(0);
}

/// The sum of parts that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// Units.
    pub used: u64,
    /// The part that money paid for.
    pub rated: u64,
    /// That money.
    pub charged: Money,
}

impl Part {
    /// A part of one step. `from` = where its price stands if no counter says so.
    pub(super) fn of(step: &Step, catalog: u32, from: u64, at: Timestamp) -> Self {
        let facts = step.facts.as_deref();
        let counted = facts.and_then(|facts| facts.counted);
        Self {
            catalog,
            service: Arc::clone(&step.service),
            measure: step.measure,
            tariff: step.tariff.clone(),
            from: counted.unwrap_or(from),
            counted: counted.is_some(),
            used: step.used,
            rated: step.rated,
            from_allowance: 0,
            charged: step.charged,
            discount: step.discount.clone(),
            limits: facts.map_or_else(Vec::new, |facts| facts.limits.clone()),
            emergency: facts.is_some_and(|facts| facts.emergency),
            left: facts.and_then(|facts| facts.left),
            reports: 1,
            first: at,
            last: at,
        }
    }

    /// Whether `next` goes on right where this one ends, under the same terms.
    fn goes_on_with(&self, next: &Self) -> bool {
        let idle = |part: &Self| part.rated == 0;
        self.catalog == next.catalog
            && self.service == next.service
            && self.measure == next.measure
            && self.tariff == next.tariff
            && self.discount == next.discount
            && self.emergency == next.emergency
            && (self.left, next.left) == (None, None)
            && (idle(self)
                || idle(next)
                || self.counted == next.counted && self.from.checked_add(self.rated) == Some(next.from))
            && self.limits.len() == next.limits.len()
            && self.limits.iter().zip(&next.limits).all(|(one, other)| one.goes_on_with(other))
    }

    fn go_on(&mut self, next: &Self) {
        if self.rated == 0 {
            (self.from, self.counted) = (next.from, next.counted);
        }
        self.used = self.used.saturating_add(next.used);
        self.rated = self.rated.saturating_add(next.rated);
        self.from_allowance = self.from_allowance.saturating_add(next.from_allowance);
        self.charged = self.charged.saturating_add(next.charged);
        for (limit, more) in self.limits.iter_mut().zip(&next.limits) {
            limit.go_on(more);
        }
        self.reports = if self.reports == 0 { 0 } else { self.reports.saturating_add(next.reports) };
        self.last = next.last;
    }
}

impl LimitFact {
    fn goes_on_with(&self, next: &Self) -> bool {
        let terms = |it: &Self| (it.member, it.measure, it.amount, it.part);
        let follows = match self.part {
            // It changed nothing.
            None => true,
            // Beyond it all is free, however much others have added in between.
            Some(0) if self.used >= self.amount && next.used >= next.amount => true,
            Some(_) => self.used.saturating_add(self.added) == next.used,
        };
        self.name == next.name && terms(self) == terms(next) && follows
    }

    fn go_on(&mut self, next: &Self) {
        self.added = match self.part {
            // With what others have added in between.
            None => next.used.saturating_add(next.added).saturating_sub(self.used),
            Some(_) => self.added.saturating_add(next.added),
        };
    }
}

impl Breakdown {
    /// What a quota has been charged so far, which has had no detail yet: all of it by one price from the start.
    pub(super) fn of_plain(quota: &Quota, member: MemberNo) -> Self {
        let mut known = Self { member, ..Self::default() };
        if quota.used == 0 && quota.charged == Money::ZERO {
            return known;
        }
        known.pay(BucketId::MAIN, "main".into(), BucketKind::Money, MemberNo::SHARED, quota.charged.micros());
        if !quota.rated_by.is_empty() || quota.from_allowance > 0 {
            // From before this was kept.
            known.rest = Rest { used: quota.used, rated: quota.rated, charged: quota.charged };
            return known;
        }
        known.parts.push(Part {
            catalog: quota.catalog,
            service: Arc::clone(&quota.service),
            measure: quota.measure,
            used: quota.used,
            rated: quota.rated,
            charged: quota.charged,
            ..Part::default()
        });
        known
    }

    /// Adds a part, and what its draws took from buckets. What is not a bucket is a counter.
    pub(super) fn add<'b>(&mut self, mut part: Part, step: &Step, bucket: impl Fn(BucketId) -> Option<&'b Bucket>) {
        for draw in &step.debits {
            let Some(bucket) = bucket(draw.bucket) else { continue };
            if bucket.kind != BucketKind::Money {
                part.from_allowance = part.from_allowance.saturating_add(draw.amount.unsigned_abs());
            }
            self.pay(bucket.id, Arc::clone(&bucket.name), bucket.kind, bucket.owner, draw.amount);
        }
        let is_open = self.rest == Rest::default();
        let room = self.parts.len() < PARTS_MAX && is_open || self.parts.is_empty();
        // The two directions of a report have each a part of their own, and take turns.
        match self.parts.iter_mut().rev().find(|known| is_open && known.goes_on_with(&part)) {
            Some(known) => known.go_on(&part),
            None if room => self.parts.push(part),
            None => self.rest.add(&part),
        }
    }

    fn pay(&mut self, bucket: BucketId, name: Arc<str>, kind: BucketKind, owner: MemberNo, amount: i64) {
        if amount == 0 {
            return;
        }
        let known = |paid: &Paid, bucket| (paid.bucket, paid.kind) == (bucket, kind);
        let is_named = self.paid.len() < PAID_MAX || self.paid.iter().any(|paid| known(paid, bucket));
        let (bucket, name, owner) =
            if is_named { (bucket, name, owner) } else { (Paid::OTHERS, "others".into(), MemberNo::SHARED) };
        match self.paid.iter_mut().find(|paid| known(paid, bucket)) {
            Some(paid) => paid.amount = paid.amount.saturating_add(amount),
            None => self.paid.push(Paid { bucket, name, kind, owner, amount }),
        }
    }
}

impl Rest {
    fn add(&mut self, part: &Part) {
        self.used = self.used.saturating_add(part.used);
        self.rated = self.rated.saturating_add(part.rated);
        self.charged = self.charged.saturating_add(part.charged);
    }
}

impl Step {
    /// Whether it says all of its charge by itself: one price, all from the main bucket.
    pub(super) fn is_plain<'b>(&self, bucket: impl Fn(BucketId) -> Option<&'b Bucket>) -> bool {
        let is_counter = |id: BucketId| id != BucketId::MAIN && bucket(id).is_none();
        self.tariff.is_none()
            && self.discount.is_none()
            && self.facts.is_none()
            && (self.rated == self.used || self.rated == 0 && self.debits.is_empty())
            && self.debits.iter().all(|draw| draw.bucket == BucketId::MAIN || is_counter(draw.bucket))
    }
}
