//! Bulk changes: many changes under one reason, which may have to wait for a second person's approval. The table of them is
//! state like any other: what happens to one is decided by the store, journaled, and applied here.
//!
//! Changes are executed in their order, each with its tick in the record of the change itself (`BulkItem`), so that a crash
//! leaves none half done and none is done twice.

use std::{collections::BTreeMap, sync::Arc};

use super::{AccountState, When};
use crate::{ids::AccountId, time::Timestamp, units::Money};

/// Changes of one bulk change. With the room that names take it is one record of the journal of some megabytes, which is
/// written in the time of a few syncs; more is several bulk changes.
pub const BULK_CHANGES_MAX: usize = 100_000;
/// Bulk changes that wait for approval or are being executed. Their changes are in memory: with this many, less than 200 MB.
pub const BULKS_OPEN_MAX: usize = 16;
/// Bulk changes that have ended and are still told of. A request id is compared with those.
pub const BULKS_ENDED_KEPT: usize = 1_000;
/// Refused changes of one bulk change that are told one by one; all of them are counted, and are in the audit trail.
pub const BULK_REFUSALS_KEPT: usize = 1_000;

/// Somebody who changes data, as the audit trail tells of him.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The authenticated name.
    pub name: Box<str>,
    /// The roles.
    pub role: Box<str>,
    /// The address that was called from.
    pub address: Box<str>,
}

/// One change of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// The account; 0 for what is about none.
    pub account: AccountId,
    /// What is to be done.
    pub change: Change,
}

/// What can be done in bulk: what single calls do, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Money is given, or taken (below zero).
    Adjust(Money),
    /// Money is paid in; above zero.
    TopUp(Money),
    /// An allowance of the catalog is given.
    GrantAllowance(Box<str>),
    /// A plan of the catalog is set; empty = none any more.
    SetPlan(Box<str>),
    /// A product is bought.
    Buy(Box<str>, When),
    /// A subscription ends.
    Cancel(u32, When),
    /// The account is blocked, or not any more, or ended.
    SetState(AccountState),
    /// The vouchers of a batch can be redeemed from now on.
    UnblockVouchers(Box<str>),
}

/// Which change of which bulk change a record is: the tick that it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BulkItem {
    /// The number of the bulk change.
    pub bulk: u64,
    /// The number of the change in it, from 1.
    pub item: u32,
    /// Who has approved it; empty = it needed no approval.
    pub approver: Box<str>,
}

/// How far a bulk change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BulkStage {
    /// It waits for approval.
    Pending,
    /// Its changes are being executed.
    Running,
    /// All of them were executed.
    Done,
    /// It was rejected: nothing was changed.
    Rejected,
    /// Nobody has approved it in time: nothing was changed.
    Expired,
}

/// What was decided about a bulk change that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkVerdict {
    /// It is executed.
    Approved,
    /// It is not.
    Rejected,
    /// Nobody has said anything in time.
    Expired,
}

/// A decision about a bulk change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkDecision {
    /// What.
    pub verdict: BulkVerdict,
    /// By whom; empty if nobody has decided in time.
    pub by: Box<str>,
    /// Why, in his words.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// A change that was refused when its turn came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedChange {
    /// Its number, from 1.
    pub item: u32,
    /// Its account.
    pub account: AccountId,
    /// Why.
    pub why: Box<str>,
}

/// A bulk change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Its number, from 1.
    pub id: u64,
    /// The submitter's idempotency key.
    pub request_id: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Who submitted it.
    pub by: Person,
    /// When.
    pub submitted: Timestamp,
    /// Until when it waits for approval; `None` = it needed none.
    pub expires: Option<Timestamp>,
    /// Of what was submitted (SHA-256), so that a repetition is known when the changes are gone.
    pub digest: [u8; 32],
    /// How many changes.
    pub count: u32,
    /// The sum of the amounts that it moves, without their signs.
    pub money: Money,
    /// What is to be done; empty when it has ended.
    pub changes: Arc<[PlannedChange]>,
    /// How far it is.
    pub stage: BulkStage,
    /// What was decided, if it had to wait.
    pub decision: Option<BulkDecision>,
    /// Changes that were executed, refused ones included: the first ones.
    pub executed: u32,
    /// How many of them were refused.
    pub refused: u32,
    /// The first of those, in order; at most [`BULK_REFUSALS_KEPT`].
    pub refusals: Vec<RefusedChange>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Bulk {
    /// Who has approved it; empty = it needed no approval.
    pub fn approver(&self) -> &str {
        let approval = self.decision.as_ref().filter(|decision| decision.verdict == BulkVerdict::Approved);
        approval.map_or("", |decision| &decision.by)
    }

    /// Whether it waits, or is being executed.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, BulkStage::Pending | BulkStage::Running)
    }

    fn end(&mut self, stage: BulkStage, at: Timestamp) {
        self.stage = stage;
        self.ended = Some(at);
        self.changes = Arc::new([]);
    }
}

/// All bulk changes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bulks(BTreeMap<u64, Bulk>);

impl Bulks {
    /// By number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bulk> + ExactSizeIterator {
        self.0.values()
    }

    /// That with a number.
    pub fn get(&self, id: u64) -> Option<&Bulk> {
        self.0.get(&id)
    }

    /// The number of the next one.
    pub fn next_id(&self) -> u64 {
        // The newest is always kept.
        self.0.keys().next_back().map_or(1, |last| last.saturating_add(1))
    }

    /// One was submitted.
    pub fn submitted(&mut self, bulk: Bulk) {
        self.0.insert(bulk.id, bulk);
    }

    /// One that waited was decided about.
    pub fn decided(&mut self, id: u64, decision: &BulkDecision) {
        let Some(bulk) = self.0.get_mut(&id).filter(|bulk| bulk.stage == BulkStage::Pending) else { return };
        match decision.verdict {
            BulkVerdict::Approved => bulk.stage = BulkStage::Running,
            BulkVerdict::Rejected => bulk.end(BulkStage::Rejected, decision.at),
            BulkVerdict::Expired => bulk.end(BulkStage::Expired, decision.at),
        }
        bulk.decision = Some(decision.clone());
        self.forget();
    }

    /// A change was executed; `refusal` = why not, empty if it was.
    pub fn executed(&mut self, item: &BulkItem, refusal: &str, at: Timestamp) {
        let Some(bulk) = self.0.get_mut(&item.bulk).filter(|bulk| bulk.stage == BulkStage::Running) else { return };
        if item.item != bulk.executed.saturating_add(1) {
            return;
        }
        bulk.executed = item.item;
        if !refusal.is_empty() {
            bulk.refused = bulk.refused.saturating_add(1);
        }
        if !refusal.is_empty() && bulk.refusals.len() < BULK_REFUSALS_KEPT {
            let planned = bulk.changes.get(item.item as usize - 1);
            let account = planned.map_or(AccountId(0), |planned| planned.account);
            bulk.refusals.push(RefusedChange { item: item.item, account, why: refusal.into() });
        }
        if bulk.executed == bulk.count {
            bulk.end(BulkStage::Done, at);
            self.forget();
        }
    }

    /// Drops those that ended first, beyond what is kept; the newest stays whatever it is, for its number.
    fn forget(&mut self) {
        // Not by number: one that has waited long ends after many that were submitted later.
        let mut ended: Vec<(Option<Timestamp>, u64)> =
            self.0.values().filter(|bulk| !bulk.is_open()).map(|bulk| (bulk.ended, bulk.id)).collect();
        ended.sort_unstable();
        let newest = self.0.keys().next_back().copied();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(BULKS_ENDED_KEPT)) {
            if Some(*id) != newest {
                self.0.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(id: u64, stage: BulkStage, count: u32) -> Bulk {
        let change = PlannedChange { account: AccountId(7), change: Change::Adjust(Money::from_micros(1)) };
        Bulk {
            id,
            request_id: format!("r{id}").into(),
            reason: "why".into(),
            by: Person::default(),
            submitted: Timestamp::EPOCH,
            expires: None,
            digest: [0; 32],
            count,
            money: Money::ZERO,
            changes: vec![change; count as usize].into(),
            stage,
            decision: None,
            executed: 0,
            refused: 0,
            refusals: Vec::new(),
            ended: None,
        }
    }

    fn tick(bulk: u64, item: u32) -> BulkItem {
        BulkItem { bulk, item, approver: "".into() }
    }

    fn decision(verdict: BulkVerdict) -> BulkDecision {
        BulkDecision { verdict, by: "bob".into(), reason: "".into(), at: Timestamp::from_secs(5) }
    }

    #[test]
    fn ticks_count_once_and_in_order_and_the_last_one_ends_it() {
        let mut bulks = Bulks::default();
        bulks.submitted(bulk(1, BulkStage::Pending, 2));
        bulks.executed(&tick(1, 1), "", Timestamp::EPOCH);
        assert_eq!(bulks.get(1).unwrap().executed, 0, "nothing is executed before it is approved");
        bulks.decided(1, &decision(BulkVerdict::Approved));
        assert_eq!(bulks.get(1).unwrap().approver(), "bob");
        for (item, expected) in [(2, 0), (1, 1), (1, 1)] {
            bulks.executed(&tick(1, item), "", Timestamp::EPOCH);
            assert_eq!(bulks.get(1).unwrap().executed, expected);
        }
        bulks.executed(&tick(1, 2), "no such account", Timestamp::from_secs(9));
        let ended = bulks.get(1).unwrap();
        assert_eq!((ended.stage, ended.executed, ended.refused), (BulkStage::Done, 2, 1));
        assert_eq!((ended.changes.len(), ended.ended), (0, Some(Timestamp::from_secs(9))));
        let refusal = RefusedChange { item: 2, account: AccountId(7), why: "no such account".into() };
        assert_eq!(ended.refusals, [refusal]);
    }

    #[test]
    fn what_is_decided_is_decided_once() {
        let mut bulks = Bulks::default();
        bulks.submitted(bulk(1, BulkStage::Pending, 1));
        bulks.decided(1, &decision(BulkVerdict::Rejected));
        bulks.decided(1, &decision(BulkVerdict::Approved));
        let rejected = bulks.get(1).unwrap();
        assert_eq!((rejected.stage, rejected.approver(), rejected.changes.len()), (BulkStage::Rejected, "", 0));
    }

    #[test]
    fn refusals_are_counted_and_the_first_of_them_told() {
        let (mut bulks, count) = (Bulks::default(), BULK_REFUSALS_KEPT as u32 + 5);
        bulks.submitted(bulk(1, BulkStage::Running, count));
        (1..=count).for_each(|item| bulks.executed(&tick(1, item), "no", Timestamp::EPOCH));
        let ended = bulks.get(1).unwrap();
        assert_eq!((ended.stage, ended.refused, ended.refusals.len()), (BulkStage::Done, count, BULK_REFUSALS_KEPT));
        assert_eq!((ended.refusals[0].item, ended.refusals.last().unwrap().item), (1, count - 5));
    }

    #[test]
    fn the_first_that_ended_are_forgotten_and_numbers_never_come_again() {
        let mut bulks = Bulks::default();
        bulks.submitted(bulk(1, BulkStage::Pending, 1));
        let last = BULKS_ENDED_KEPT as u64 + 10;
        for id in 2..=last {
            assert_eq!(bulks.next_id(), id);
            bulks.submitted(bulk(id, BulkStage::Running, 1));
            bulks.executed(&tick(id, 1), "", Timestamp::EPOCH);
        }
        assert_eq!(bulks.iter().len(), BULKS_ENDED_KEPT + 1);
        assert!(bulks.get(1).is_some() && bulks.get(2).is_none() && bulks.get(last).is_some());
    }

    #[test]
    fn one_that_has_waited_long_is_still_told_of_when_it_is_done() {
        let mut bulks = Bulks::default();
        bulks.submitted(bulk(1, BulkStage::Pending, 1));
        let last = BULKS_ENDED_KEPT as u64 + 1;
        for id in 2..=last {
            bulks.submitted(bulk(id, BulkStage::Running, 1));
            bulks.executed(&tick(id, 1), "", Timestamp::from_secs(id));
        }
        bulks.decided(1, &decision(BulkVerdict::Approved));
        bulks.executed(&tick(1, 1), "", Timestamp::from_secs(last + 1));
        assert_eq!(bulks.iter().len(), BULKS_ENDED_KEPT);
        assert!(bulks.get(1).is_some() && bulks.get(2).is_none() && bulks.get(3).is_some());
    }
}
