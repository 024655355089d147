//! A change of an account by anything but usage: products, fees, cycles, members, transfers, life. The event says all of it
//! as it is to be from now on, so that one way of applying it serves them all.

use std::sync::Arc;

use super::{
    AccountState, Bucket, Counter, Cycle, HistoryKind, Life, Member, MemberNo, Notice, Subscription, Transfer,
};
use crate::{
    ids::{AccountId, BucketId, SessionNo},
    time::Timestamp,
    units::Money,
};

/// A change of an account. What is not set stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountChanged {
    /// When.
    pub at: Timestamp,
    /// The account.
    pub account: AccountId,
    /// What was asked for, if somebody did.
    pub asked: Option<Box<Asked>>,
    /// Why, as the caller or we say.
    pub reason: Box<str>,
    /// What moved, in order. The only way in which amounts change.
    pub entries: Vec<Entry>,
    /// Buckets that are new, with what they hold at first (no entry says it again), or known ones with other terms: then
    /// amount, reserved and initial stay as they are.
    pub buckets: Vec<Bucket>,
    /// Buckets that are gone. Money that they still held must have left by entries.
    pub removed_buckets: Vec<BucketId>,
    /// Counters that are new.
    pub begun: Vec<Counter>,
    /// Its state.
    pub state: Option<AccountState>,
    /// How far below zero it may go.
    pub credit_limit: Option<Money>,
    /// Whether it is on the red list.
    pub never_stop: Option<bool>,
    /// Its plan; `Some(None)` = none any more.
    pub plan: Option<Option<Arc<str>>>,
    /// The day on which its cycles begin.
    pub cycle_day: Option<u8>,
    /// Where its life has come to.
    pub life: Option<Box<Life>>,
    /// Its cycles: the one that runs, and the one before.
    pub cycles: Option<Box<(Option<Cycle>, Option<Cycle>)>>,
    /// Subscriptions that are new, or as they are from now on.
    pub subscriptions: Vec<Subscription>,
    /// Subscriptions that are gone.
    pub removed_subscriptions: Vec<u32>,
    /// Members that are new, or as they are from now on.
    pub members: Vec<Member>,
    /// Members that are gone, with the subscribers that they were.
    pub removed_members: Vec<MemberNo>,
    /// Transfers that are on their way from now on.
    pub sent: Vec<Transfer>,
    /// Transfers that have arrived, or came back, by their request ids.
    pub settled: Vec<Box<str>>,
    /// A cycle that is closed.
    pub statement: Option<Box<Statement>>,
    /// Sessions that end with it.
    pub closes: Vec<SessionNo>,
    /// Sessions that should ask again now.
    pub reauthorise: Vec<SessionNo>,
    /// What provisioning must hear.
    pub notices: Vec<Notice>,
    /// Counters whose span has ended, for whose end sessions have waited.
    pub spans_ended: Vec<BucketId>,
    /// The period of a product that fees were charged and allowances given for.
    pub period: Option<Box<PeriodPart>>,
    /// The version of the catalog that says what that costs and gives; 0 = there is no period, or no number.
    pub catalog: u32,
}

/// A request of a caller, for its repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The caller's idempotency key, unique for the account.
    pub request_id: Box<str>,
    /// What was asked for, in short: a repetition with another one is refused.
    pub what: Box<str>,
    /// Money of the account in the answer.
    pub balance: Money,
}

/// An amount that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it was.
    pub kind: HistoryKind,
    /// The bucket.
    pub bucket: BucketId,
    /// Micro-units or units; below zero = taken.
    pub amount: i64,
    /// Product, allowance or reason.
    pub name: Arc<str>,
    /// Which fee it is.
    pub fee: FeeKind,
}

/// What a fee is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FeeKind {
    /// It is no fee, or from before this was told.
    #[default]
    Untold,
    /// A setup fee.
    Setup,
    /// The fee of a period, or its part.
    Period,
    /// What was missing to the least that is to be spent in a cycle.
    Floor,
}

/// The part of a period of a product that is paid for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeriodPart {
    /// The product.
    pub product: Arc<str>,
    /// When the part begins.
    pub from: Timestamp,
    /// When it ends; `None` = never.
    pub until: Option<Timestamp>,
    /// So many days of those that the whole period has: equal = all of it.
    pub days: u64,
    /// See `days`.
    pub of: u64,
}

/// What a cycle came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// When it began and ended.
    pub starts: Timestamp,
    /// See `starts`.
    pub ends: Timestamp,
    /// Money of the account at its start.
    pub opening: Money,
    /// Usage that happened in it, and was charged to money.
    pub usage: Money,
    /// Fees charged in it, floors included.
    pub fees: Money,
    /// Money that came in.
    pub credits: Money,
    /// Money of the account when it was closed.
    pub closing: Money,
    /// The least that was to be spent on usage in it.
    pub floor: Money,
}
