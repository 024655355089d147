//! What an account has beside its buckets: a plan, products, counters, members, billing cycles. Most accounts of a plain
//! prepaid service have none of it.

use std::sync::Arc;

use super::{Measure, members};
use crate::{ids::BucketId, rating::Period, time::Timestamp, units::Money};

/// A member of a shared account; 0 = none, what is shared. Numbers are never used again in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MemberNo(pub u32);

impl MemberNo {
    /// Everybody's.
    pub const SHARED: Self = Self(0);
}

/// What an account has beside its buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Its plan in the catalog.
    pub plan: Option<Arc<str>>,
    /// The day of the month on which its cycles begin, 1 to 28; 0 = the first, and it has no billing cycles.
    pub cycle_day: u8,
    /// Where its life has come to.
    pub life: Life,
    /// The billing cycle that runs, if it has billing cycles.
    pub cycle: Option<Cycle>,
    /// The one before, as long as usage may still arrive for it.
    pub previous: Option<Cycle>,
    /// Products that it has, by number.
    pub subscriptions: Vec<Subscription>,
    /// The number of the next subscription.
    pub next_subscription: u32,
    /// Members of a shared account, by number.
    pub members: Vec<Member>,
    /// The number of the next member.
    pub next_member: u32,
    /// What is counted for limits, tiers and cycles.
    pub counters: Vec<Counter>,
    /// Transfers of money to other accounts that have not arrived yet.
    pub transfers: Vec<Transfer>,
}

/// Where an account's life has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Life {
    /// Its first chargeable use, or its creation; `None` = it waits for its first use.
    pub activated: Option<Timestamp>,
    /// It may be used until then; `None` = for ever.
    pub valid_until: Option<Timestamp>,
    /// When the end of its validity is announced; `None` = not, or told.
    pub remind_at: Option<Timestamp>,
    /// Its validity has ended: nothing chargeable is granted until a top-up adds some.
    pub lapsed: bool,
    /// When it is terminated, if nothing revives it.
    pub ends: Option<Timestamp>,
}

/// A billing cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cycle {
    /// When it began.
    pub starts: Timestamp,
    /// When the next one begins.
    pub ends: Timestamp,
    /// Until when usage that happened in it is counted to it.
    pub closes: Timestamp,
    /// Money of the account at its start.
    pub opening: Money,
    /// Fees charged in it.
    pub fees: Money,
    /// Money that came in during it, less what was taken otherwise than by usage and fees.
    pub credits: Money,
    /// The least that must be spent on usage in it, on account of products that have ended meanwhile; at its end, of all.
    pub floor: Money,
}

/// A product that an account has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Unique in the account.
    pub no: u32,
    /// Its name in the catalog.
    pub product: Arc<str>,
    /// Whose; [`MemberNo::SHARED`] = the whole account's.
    pub member: MemberNo,
    /// When it was bought.
    pub bought: Timestamp,
    /// When it takes effect, or has taken effect again: as another product, or after a pause.
    pub starts: Timestamp,
    /// When its period ends and the next one begins, or while it pauses: when the last one ended. `None` = it does not renew,
    /// or has not begun.
    pub renews: Option<Timestamp>,
    /// When it ends; `None` = nobody has said.
    pub ends: Option<Timestamp>,
    /// No fees are charged before this.
    pub trial_until: Option<Timestamp>,
    /// A fee could not be paid: it gives nothing until it can.
    pub paused: bool,
    /// The product that it becomes at the end of its period.
    pub becomes: Option<Arc<str>>,
    /// The period that runs was paid for, and its allowances were given.
    pub begun: bool,
    /// It pauses, and money came in at this moment: it is to be tried again.
    pub retry: Option<Timestamp>,
    /// It came with the account's plan, and goes with it.
    pub of_plan: bool,
}

/// A subscriber of a shared account, with terms of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Unique in the account.
    pub no: MemberNo,
    /// The subscriber's id.
    pub subscriber: Box<str>,
    /// Whose balance pays first.
    pub order: PayOrder,
    /// What it may take of what is shared.
    pub limits: Vec<MemberLimit>,
}

/// In which order a member's usage is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayOrder {
    /// From its own balance, then from what is shared.
    #[default]
    OwnFirst,
    /// From what is shared, then from its own.
    SharedFirst,
    /// From its own only.
    OwnOnly,
    /// From what is shared only.
    SharedOnly,
}

/// How much of what is shared a member may take in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLimit {
    /// When the count begins anew.
    pub period: Period,
    /// Money, or units of allowances.
    pub measure: Measure,
    /// Micro-units or units; not negative.
    pub amount: i64,
}

/// Something that is counted over a span of time: what limits, tiers and cycles go by. Draws name it as they name buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Unique among the account's buckets and counters.
    pub id: BucketId,
    /// What it counts for.
    pub name: Arc<str>,
    /// Whose usage.
    pub member: MemberNo,
    /// Money, or units.
    pub measure: Measure,
    /// When its span began.
    pub starts: Timestamp,
    /// When its span ends.
    pub ends: Timestamp,
    /// Until when usage that happened in the span is counted.
    pub closes: Timestamp,
    /// Micro-units or units so far.
    pub used: i64,
    /// What running grants may add.
    pub reserved: i64,
    /// A session was refused on account of it, and nobody is to be asked again before its span ends.
    pub refused: bool,
}

/// Money on its way to another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The caller's idempotency key: unique in the account that sends.
    pub request_id: Box<str>,
    /// Who gets it.
    pub to: crate::ids::AccountId,
    /// Above zero.
    pub amount: Money,
    /// When it was sent.
    pub at: Timestamp,
}

impl Profile {
    /// When something is to be done about the account by itself, such as the renewal of a product; `None` = never.
    /// What its life is due for is not in it.
    pub fn next_due(&self) -> Option<Timestamp> {
        let cycles = [self.cycle.as_ref().map(|cycle| cycle.ends), self.previous.as_ref().map(|cycle| cycle.closes)];
        let subscriptions = self.subscriptions.iter().filter_map(Subscription::next_due);
        let limits = self.counters.iter().filter(|counter| counter.refused).map(|counter| counter.ends);
        cycles.into_iter().flatten().chain(subscriptions).chain(limits).min()
    }

    /// The counter with this name and member whose span a moment lies in: of those that are still open, the first that
    /// ends after it.
    pub fn counter(&self, name: &str, member: MemberNo, at: Timestamp) -> Option<&Counter> {
        let fits = |counter: &&Counter| *counter.name == *name && counter.member == member && at < counter.ends;
        self.counters.iter().filter(fits).min_by_key(|counter| counter.ends)
    }

    /// The billing cycle that usage belongs to which happened at a moment: the one before as long as it is there, else the
    /// one that runs.
    pub fn cycle_at(&self, at: Timestamp) -> Option<&Cycle> {
        self.previous.as_ref().filter(|previous| at < previous.ends).or(self.cycle.as_ref())
    }

    /// The member with this number.
    pub fn member(&self, no: MemberNo) -> Option<&Member> {
        self.members.iter().find(|member| member.no == no)
    }

    /// The member that a subscriber is.
    pub fn member_of(&self, subscriber: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.subscriber == *subscriber)
    }

    /// What a member has taken of what is shared, of what a limit counts, in the period that runs at a moment.
    pub fn taken(&self, member: MemberNo, limit: &MemberLimit, at: Timestamp) -> i64 {
        let period = members::period_name(limit.period);
        let counts = |counter: &&Counter| {
            counter.member == member
                && counter.measure == limit.measure
                && counter.name.strip_prefix(members::COUNTED) == Some(&period)
                && counter.starts <= at
                && at < counter.ends
        };
        self.counters.iter().find(counts).map_or(0, |counter| counter.used)
    }

    /// The subscription with this number.
    pub fn subscription(&self, no: u32) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.no == no)
    }

    /// The day of the month on which its cycles begin.
    pub fn cycle_day(&self) -> u8 {
        self.cycle_day.clamp(1, 28)
    }
}

impl Life {
    /// When the next step in it is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        [self.remind_at, self.valid_until.filter(|_| !self.lapsed), self.ends].into_iter().flatten().min()
    }
}

impl Subscription {
    /// When something is to be done about it.
    pub fn next_due(&self) -> Option<Timestamp> {
        let start = (!self.begun && !self.paused).then_some(self.starts);
        let renews = self.renews.filter(|_| !self.paused);
        let trial = self.trial_until.filter(|_| self.begun);
        let retry = self.retry.filter(|_| self.paused);
        [start, renews, trial, retry, self.ends].into_iter().flatten().min()
    }

    /// Whether it holds at a moment: it has begun, and is paid for.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.begun && !self.paused && self.starts <= at && self.ends.is_none_or(|ends| at < ends)
    }
}

impl Counter {
    /// Whether no more usage can be counted, nothing is held and nobody waits for its end: it may go.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.reserved == 0 && self.closes <= now && !self.refused
    }
}
