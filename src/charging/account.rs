//! Accounts: who pays.

use std::{collections::VecDeque, sync::Arc};

use super::{Bucket, BucketKind};
use crate::{
    ids::{AccountId, BucketId, Identity, SessionId, SessionNo},
    time::Timestamp,
    units::{Currency, Money, UnitKind},
};

/// The most history lines an account keeps in memory, whatever the configuration says.
pub const HISTORY_ENTRIES_MAX: usize = 1_000;

/// Life of an account (design section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// In use.
    Active,
    /// Credit stop: nothing chargeable is granted until a credit brings it back.
    Stopped,
    /// By an operator.
    Suspended,
    /// Ended for good.
    Terminated,
}

/// A line that uses an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Unique in the account.
    pub id: Box<str>,
    /// How the network knows it.
    pub identities: Box<[Identity]>,
}

/// What a history line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKind {
    /// Usage of a service.
    Usage,
    /// A payment.
    TopUp,
    /// An operator's adjustment.
    Adjustment,
    /// A bundle of units was given.
    Allowance,
    /// Opening balance.
    Opening,
    /// Usage given back.
    Refund,
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// When it was settled.
    pub at: Timestamp,
    /// What happened.
    pub kind: HistoryKind,
    /// Money that moved; below zero for a charge.
    pub amount: Money,
    /// Units used or given, and their kind.
    pub units: u64,
    /// Kind of the units; `None` for money.
    pub unit_kind: Option<UnitKind>,
    /// The part of `units` that an allowance paid for.
    pub units_from_allowance: u64,
    /// Service or allowance of the catalog, or an operator's reason.
    pub service: Arc<str>,
    /// Rating-Group, 0 if none.
    pub rating_group: u32,
    /// The session, for usage.
    pub session_id: Option<SessionId>,
    /// The caller's request id, for credits.
    pub request_id: Box<str>,
}

/// An account: buckets, the subscribers that use it, and its running sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Currency of all its money.
    pub currency: Currency,
    /// Where it is in its life.
    pub state: AccountState,
    /// A credit stop was told and no reconnect since: also while an operator suspends the account.
    pub credit_stopped: bool,
    /// Red list: may go below zero and is never stopped.
    pub never_stop: bool,
    /// How far below zero the money may go; not negative.
    pub credit_limit: Money,
    /// In the order of consumption.
    pub buckets: Vec<Bucket>,
    /// Lines that use it.
    pub subscribers: Vec<Subscriber>,
    /// Running sessions, in the order in which they opened.
    pub sessions: Vec<SessionNo>,
    /// All money that ever came in.
    pub credited: Money,
    /// All money that was ever charged or taken.
    pub debited: Money,
    /// Recent lines, oldest first.
    pub history: VecDeque<HistoryLine>,
    /// The id of the next bucket.
    pub next_bucket: u32,
    /// How many allowances it was created with: buckets 2 and following, as long as they are there.
    pub opening_allowances: u32,
}

impl Account {
    /// Money of all buckets, reservations not subtracted.
    pub fn balance(&self) -> Money {
        self.money(|bucket| bucket.amount)
    }

    /// Money that running sessions hold.
    pub fn reserved(&self) -> Money {
        self.money(|bucket| bucket.reserved)
    }

    fn money(&self, part: impl Fn(&Bucket) -> i64) -> Money {
        self.buckets
            .iter()
            .filter(|bucket| bucket.kind == BucketKind::Money)
            .fold(Money::ZERO, |sum, bucket| sum.saturating_add(Money::from_micros(part(bucket))))
    }

    /// The bucket with this id.
    pub fn bucket(&self, id: BucketId) -> Option<&Bucket> {
        self.buckets.iter().find(|bucket| bucket.id == id)
    }

    pub(super) fn bucket_mut(&mut self, id: BucketId) -> Option<&mut Bucket> {
        self.buckets.iter_mut().find(|bucket| bucket.id == id)
    }

    /// Puts a bucket at its place in the order of consumption.
    pub(super) fn insert_bucket(&mut self, bucket: Bucket) {
        self.next_bucket = self.next_bucket.max(bucket.id.0.saturating_add(1));
        let place = self.buckets.partition_point(|other| other.rank() < bucket.rank());
        self.buckets.insert(place, bucket);
    }

    pub(super) fn remember(&mut self, line: HistoryLine, keep: usize) {
        while !self.history.is_empty() && self.history.len() >= keep.min(HISTORY_ENTRIES_MAX) {
            self.history.pop_front();
        }
        if keep > 0 {
            self.history.push_back(line);
        }
    }

    /// All identities of all its subscribers.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.subscribers.iter().flat_map(|subscriber| subscriber.identities.iter())
    }
}
