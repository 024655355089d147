//! Accounts: who pays.

use std::sync::Arc;

use super::{
    Bucket, BucketKind, HISTORY_ENTRIES_MAX, History, HistoryKind, HistoryLine, Life, MemberNo, Profile,
    profile::Counter,
};
use crate::{
    ids::{AccountId, BucketId, Identity, SessionNo},
    time::Timestamp,
    units::{Currency, Money},
};

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
    pub history: History,
    /// The id of the next bucket.
    pub next_bucket: u32,
    /// How many allowances it was created with: buckets 2 and following, as long as they are there.
    pub opening_allowances: u32,
    /// What it has beside its buckets; `None` = nothing.
    pub profile: Option<Box<Profile>>,
}

impl Account {
    /// Money of all buckets, reservations not subtracted.
    pub fn balance(&self) -> Money {
        self.money(|bucket| bucket.amount)
    }

    /// Money that is everybody's, reservations not subtracted; the rest is members' own.
    pub fn shared_balance(&self) -> Money {
        self.money(|bucket| if bucket.owner == MemberNo::SHARED { bucket.amount } else { 0 })
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

    pub(super) fn remember(&mut self, line: &HistoryLine<'_>, keep: usize) {
        self.history.push(line, keep.min(HISTORY_ENTRIES_MAX));
    }

    /// Money has come in, or validity: products that pause are to be tried again.
    pub(super) fn retry_products(&mut self, at: Timestamp) {
        let Some(profile) = self.profile.as_deref_mut() else { return };
        for subscription in profile.subscriptions.iter_mut().filter(|subscription| subscription.paused) {
            subscription.retry = Some(at);
        }
    }

    /// Counts money that moved otherwise than by usage in the cycle that runs, if there is one.
    pub(super) fn count_in_cycle(&mut self, kind: HistoryKind, amount: Money) {
        let Some(cycle) = self.profile.as_deref_mut().and_then(|profile| profile.cycle.as_mut()) else { return };
        if kind == HistoryKind::Fee {
            cycle.fees = cycle.fees.saturating_sub(amount);
        } else {
            cycle.credits = cycle.credits.saturating_add(amount);
        }
    }

    /// Whether a counter is of what usage costs in a cycle that has no statement yet.
    pub(super) fn counts_usage_of_open_cycle(&self, id: BucketId) -> bool {
        let Some(profile) = self.profile.as_deref() else { return false };
        let counter = profile.counters.iter().find(|counter| counter.id == id);
        let mut open = profile.cycle.iter().chain(&profile.previous);
        counter.is_some_and(|counter| open.any(|cycle| cycle.counts(counter)))
    }

    pub(super) fn counter_mut(&mut self, id: BucketId) -> Option<&mut Counter> {
        self.profile.as_deref_mut()?.counters.iter_mut().find(|counter| counter.id == id)
    }

    /// The member of a shared account that one of these identities is of; [`MemberNo::SHARED`] if it is nobody's with terms
    /// of its own.
    pub fn member_with(&self, identities: &[Identity]) -> MemberNo {
        let Some(profile) = self.profile.as_deref().filter(|profile| !profile.members.is_empty()) else {
            return MemberNo::SHARED;
        };
        let named = |subscriber: &&Subscriber| identities.iter().any(|named| subscriber.identities.contains(named));
        let subscriber = self.subscribers.iter().find(named);
        subscriber.and_then(|it| profile.member_of(&it.id)).map_or(MemberNo::SHARED, |member| member.no)
    }

    /// When something is to be done about it by itself; `None` = never.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.state == AccountState::Terminated {
            return None;
        }
        let profile = self.profile.as_deref().and_then(Profile::next_due);
        [self.next_in_life(), profile].into_iter().flatten().min()
    }

    /// When the next step in its life is due, or money runs out. The life of an account on the red list does not end.
    pub(super) fn next_in_life(&self) -> Option<Timestamp> {
        let life = self.life().filter(|_| !self.never_stop).and_then(Life::next_due);
        self.buckets.iter().filter_map(Bucket::runs_out).chain(life).min()
    }

    /// Where its life has come to; `None` = it has no plan, and its life no end.
    pub fn life(&self) -> Option<&Life> {
        self.profile.as_deref().map(|profile| &profile.life)
    }

    /// Its plan in the catalog.
    pub fn plan(&self) -> Option<&Arc<str>> {
        self.profile.as_deref()?.plan.as_ref()
    }

    /// Whether its validity has ended: nothing chargeable is granted until it is extended.
    pub fn is_lapsed(&self) -> bool {
        self.life().is_some_and(|life| life.lapsed)
    }

    /// Whether its life begins with its first chargeable use, and there was none yet.
    pub fn waits_for_use(&self) -> bool {
        self.plan().is_some() && self.life().is_some_and(|life| life.activated.is_none())
    }

    /// All identities of all its subscribers.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.subscribers.iter().flat_map(|subscriber| subscriber.identities.iter())
    }
}
