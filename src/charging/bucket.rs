//! Buckets: the parts of a balance. Money, or units of one kind that may be used for certain rating groups.

use std::sync::Arc;

use super::{HistoryKind, MemberNo};
use crate::{ids::BucketId, time::Timestamp, units::UnitKind};

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketKind {
    /// Money of the account's currency, in micro-units.
    Money,
    /// Units of one kind.
    Units(UnitKind),
}

/// A part of an account's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Unique in the account.
    pub id: BucketId,
    /// What it holds.
    pub kind: BucketKind,
    /// Micro-units of money, or units. Only the main money bucket may be below zero.
    pub amount: i64,
    /// The part that running sessions hold; never negative.
    pub reserved: i64,
    /// What it held at first; percent thresholds count from here.
    pub initial: i64,
    /// Lower is used first.
    pub priority: u32,
    /// Not used for new grants from this moment on.
    pub expires: Option<Timestamp>,
    /// Services of the catalog it may pay for; empty = all that count its unit.
    pub services: Arc<[Arc<str>]>,
    /// The name it was sold under.
    pub name: Arc<str>,
    /// Whose it is; [`MemberNo::SHARED`] = everybody's who uses the account.
    pub owner: MemberNo,
    /// The subscription that gave it; 0 = none.
    pub subscription: u32,
    /// How often it has rolled over into a further period.
    pub rolled: u8,
}

impl Bucket {
    /// Priority of the main money bucket: after everything else.
    pub const MAIN_PRIORITY: u32 = 1_000;
    /// Priority of money that was given: after allowances, and before what was paid in, which does not run out.
    pub const GIFT_PRIORITY: u32 = 900;

    /// The place in the order of consumption: priority, then soonest expiry, then id (design section 4).
    pub fn rank(&self) -> (u32, Timestamp, BucketId) {
        (self.priority, self.expires.unwrap_or(Timestamp::from_millis(u64::MAX)), self.id)
    }

    /// Whether it can pay for nothing any more, and nothing holds it: it may go. Money never goes with it.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        let ran_out = self.kind != BucketKind::Money && !self.is_valid(now);
        self.id != BucketId::MAIN && self.reserved == 0 && (self.amount == 0 || ran_out)
    }

    /// When what is left of its money is gone; `None` = nothing that is free will go. What sessions hold is theirs until they
    /// give it back.
    pub fn runs_out(&self) -> Option<Timestamp> {
        self.expires.filter(|_| self.kind == BucketKind::Money && self.amount > self.reserved)
    }

    /// What the history calls it when it is given.
    pub(super) fn opening_kind(&self) -> HistoryKind {
        match self.kind {
            BucketKind::Money => HistoryKind::Gift,
            BucketKind::Units(_) if self.rolled > 0 => HistoryKind::RollOver,
            BucketKind::Units(_) => HistoryKind::Allowance,
        }
    }

    /// Whether it can still be used for new grants.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// An amount that a quota takes from, or holds in, one bucket: micro-units of money or units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The bucket.
    pub bucket: BucketId,
    /// Above zero.
    pub amount: i64,
}
