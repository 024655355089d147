//! Bulk changes: submitted, approved by a second person where they must be, executed in the background.
//!
//! The table is changed under the journal's own lock, in the order of positions, like the outbox. A change that is executed
//! has its tick in its own record, so that after a crash the next one is exactly the first that is not durable.

mod run;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::run::method_of;
use super::{
    Store,
    audited::{Audited, By},
    hex,
};
use crate::{
    charging::{BULKS_OPEN_MAX, Bulk, BulkDecision, BulkItem, BulkStage, BulkVerdict, Bulks, Person, PlannedChange},
    journal::{Disk, Pending, Position, record, snapshot::BulksSnapshot},
    time::Timestamp,
    units::Money,
};

/// Octets of what is submitted: one record of the journal, whose write holds up all others by some tens of milliseconds at
/// most. As many changes as may be have 80 octets each.
const SUBMISSION_OCTETS_MAX: usize = 8 << 20;

/// A bulk change that is to be submitted.
#[derive(Debug, Clone)]
pub struct Submit<'a> {
    /// The submitter's idempotency key.
    pub request_id: &'a str,
    /// What was asked for, octet for octet: it is compared when the request comes again.
    pub asked: &'a [u8],
    /// What is to be done, in order; not empty.
    pub changes: Vec<PlannedChange>,
    /// The sum of the amounts that it moves, without their signs.
    pub money: Money,
    /// Until when it waits for approval; `None` = it needs none.
    pub expires: Option<Timestamp>,
}

/// Why a bulk change was not submitted, or not decided about; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// The request id was used for something else, or by somebody else.
    #[error("request id `{0}` was used before for something else")]
    RequestIdReused(Box<str>),
    /// As many are open as may be.
    #[error("{BULKS_OPEN_MAX} bulk changes wait for approval or are being executed: wait until one has ended")]
    TooManyOpen,
    /// More octets than one record should have.
    #[error("the changes have {0} octets, at most {SUBMISSION_OCTETS_MAX} are taken: make it several bulk changes")]
    TooLong(usize),
    /// There is none with this number, or it is no longer kept.
    #[error("there is no bulk change {0}, or it is no longer kept")]
    Unknown(u64),
    /// It does not wait for approval.
    #[error("bulk change {id} does not wait for approval: it is {stage}")]
    NotPending {
        /// Its number.
        id: u64,
        /// What it is instead.
        stage: &'static str,
    },
    /// Whoever submitted it cannot approve it.
    #[error("bulk change {id} was submitted by `{name}`: somebody else must approve it")]
    SamePerson {
        /// Its number.
        id: u64,
        /// The submitter.
        name: Box<str>,
    },
}

/// All bulk changes of a store.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// One submission or decision at a time.
    deciding: Mutex<()>,
    /// One executor at a time.
    executing: Mutex<()>,
    table: Mutex<Table>,
}

/// What a recovery rebuilds.
#[derive(Debug, Default)]
pub(super) struct Table {
    bulks: Bulks,
    /// The record that changed something here last.
    last: Position,
}

impl Desk {
    pub(super) fn new(table: Table) -> Self {
        Self { table: Mutex::new(table), ..Self::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Whole after each single operation: a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change was executed. To be called under the journal's lock.
    pub(super) fn executed(&self, position: Position, item: &BulkItem, refusal: &str, at: Timestamp) {
        self.table().executed(position, item, refusal, at);
    }

    pub(super) fn snapshot(&self) -> BulksSnapshot {
        let table = self.table();
        BulksSnapshot { position: table.last.0, bulks: table.bulks.clone() }
    }
}

impl Table {
    pub(super) fn restore(&mut self, snapshot: BulksSnapshot) {
        *self = Self { bulks: snapshot.bulks, last: Position(snapshot.position) };
    }

    // The checkpoint that a replay begins with may have any of these already.

    pub(super) fn submitted(&mut self, position: Position, bulk: Bulk) {
        if position > self.last {
            self.last = position;
            self.bulks.submitted(bulk);
        }
    }

    pub(super) fn decided(&mut self, position: Position, bulk: u64, decision: &BulkDecision) {
        if position > self.last {
            self.last = position;
            self.bulks.decided(bulk, decision);
        }
    }

    pub(super) fn executed(&mut self, position: Position, item: &BulkItem, refusal: &str, at: Timestamp) {
        if position > self.last {
            self.last = position;
            self.bulks.executed(item, refusal, at);
        }
    }
}

impl<D: Disk> Store<D> {
    /// Looks at all bulk changes. `look` must be quick: whoever changes something waits meanwhile.
    pub fn look_at_bulks<T>(&self, look: impl FnOnce(&Bulks) -> T) -> Pending<T> {
        let seen = look(&self.desk.table().bulks);
        self.pending(seen)
    }

    /// Ends those that nobody has approved in time. Returns how many.
    pub fn expire_bulks(&self) -> usize {
        let by = By::node("ExpireBulk", "nobody has approved it in time");
        let _alone = self.desk.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let due: Vec<Bulk> = {
            let table = self.desk.table();
            table.bulks.iter().filter(|bulk| is_overdue(bulk, now)).cloned().collect()
        };
        for bulk in &due {
            self.by(by).decide_bulk(bulk, BulkVerdict::Expired, now);
        }
        due.len()
    }
}

impl<D: Disk> Audited<'_, D> {
    /// Submits a bulk change. The same request again changes nothing, and tells what has become of the first; `true` = that.
    ///
    /// # Errors
    /// It is not taken; nothing has changed but the audit trail.
    pub fn submit_bulk(&self, submit: Submit<'_>) -> Pending<Result<(u64, bool), BulkError>> {
        let store = self.store;
        let _alone = store.desk.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.submit(submit);
        if let Err(error) = &result {
            self.refused("bulk", &error.to_string());
        }
        store.pending(result)
    }

    /// What has become of a request that was taken before: as [`Self::submit_bulk`] says of a repetition. `None` = it was not,
    /// as far as is remembered.
    pub fn repeated_bulk(&self, request_id: &str, asked: &[u8]) -> Option<Pending<Result<(u64, bool), BulkError>>> {
        let result = self.repeated(request_id, &self.digest(asked))?;
        if let Err(error) = &result {
            self.refused("bulk", &error.to_string());
        }
        Some(self.store.pending(result))
    }

    fn repeated(&self, request_id: &str, digest: &[u8; 32]) -> Option<Result<(u64, bool), BulkError>> {
        let bulks = &self.store.desk.table().bulks;
        let known = bulks.iter().find(|known| *known.request_id == *request_id)?;
        let same = known.digest == *digest;
        Some(if same { Ok((known.id, true)) } else { Err(BulkError::RequestIdReused(request_id.into())) })
    }

    /// Of what is compared when a request comes again: what was asked for, why, and who; not when, and from where.
    fn digest(&self, asked: &[u8]) -> [u8; 32] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in [self.by.name.as_bytes(), self.by.reason.as_bytes(), asked] {
            // With its length, so that no two requests run together to the same octets.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        // SHA-256 has 32 octets.
        context.finish().as_ref().try_into().unwrap_or([0; 32])
    }

    fn submit(&self, submit: Submit<'_>) -> Result<(u64, bool), BulkError> {
        let store = self.store;
        let now = store.clock.now();
        let expires = submit.expires;
        let mut bulk = self.planned(submit);
        if let Some(answer) = self.repeated(&bulk.request_id, &bulk.digest) {
            return answer;
        }
        let mut bytes = Vec::new();
        record::encode_bulk_submitted(&bulk, &mut bytes);
        {
            let bulks = &store.desk.table().bulks;
            if bulks.iter().filter(|bulk| bulk.is_open()).count() >= BULKS_OPEN_MAX {
                return Err(BulkError::TooManyOpen);
            }
            bulk.id = bulks.next_id();
        }
        if bytes.len() > SUBMISSION_OCTETS_MAX {
            return Err(BulkError::TooLong(bytes.len()));
        }
        (bulk.submitted, bulk.by.role, bulk.by.address) = (now, self.by.role.into(), self.by.address.into());
        if expires.is_some() {
            (bulk.expires, bulk.stage) = (expires, BulkStage::Pending);
        }
        bytes.clear();
        record::encode_bulk_submitted(&bulk, &mut bytes);
        let id = bulk.id;
        let after = serde_json::json!({
            "changes": bulk.count,
            "money": bulk.money.to_string(),
            "stage": stage_name(bulk.stage),
            "digest": hex(&bulk.digest),
        });
        let audit = self.audit(now, &target(id), ("{}".into(), after.to_string().into()), "");
        record::encode_audit(&audit, &mut bytes);
        store.appender.append(&bytes, |position| {
            store.desk.table().submitted(position, bulk);
            store.trails.push_audit(position, audit);
        });
        Ok((id, false))
    }

    fn planned(&self, submit: Submit<'_>) -> Bulk {
        Bulk {
            id: 0,
            request_id: submit.request_id.into(),
            reason: self.by.reason.into(),
            by: Person { name: self.by.name.into(), ..Person::default() },
            submitted: Timestamp::EPOCH,
            expires: None,
            digest: self.digest(submit.asked),
            count: u32::try_from(submit.changes.len()).unwrap_or(u32::MAX),
            money: submit.money,
            changes: submit.changes.into(),
            stage: BulkStage::Running,
            decision: None,
            executed: 0,
            refused: 0,
            refusals: Vec::new(),
            ended: None,
        }
    }

    /// Approves a bulk change, or rejects it. Whoever submitted it may only reject it. The same again changes nothing.
    ///
    /// # Errors
    /// It does not wait for this person's approval; nothing has changed but the audit trail.
    pub fn decide_on_bulk(&self, id: u64, approved: bool) -> Pending<Result<(), BulkError>> {
        let store = self.store;
        let _alone = store.desk.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let now = store.clock.now();
        let verdict = if approved { BulkVerdict::Approved } else { BulkVerdict::Rejected };
        let bulk = store.desk.table().bulks.get(id).cloned();
        let result = match bulk {
            None => Err(BulkError::Unknown(id)),
            Some(bulk) if self.has_decided(&bulk, verdict) => Ok(()),
            Some(bulk) if bulk.stage != BulkStage::Pending => {
                Err(BulkError::NotPending { id, stage: stage_name(bulk.stage) })
            }
            Some(bulk) if is_overdue(&bulk, now) => {
                Err(BulkError::NotPending { id, stage: stage_name(BulkStage::Expired) })
            }
            Some(bulk) if approved && *bulk.by.name == *self.by.name => {
                Err(BulkError::SamePerson { id, name: bulk.by.name })
            }
            Some(bulk) => {
                self.decide_bulk(&bulk, verdict, now);
                Ok(())
            }
        };
        if let Err(error) = &result {
            self.refused(&target(id), &error.to_string());
        }
        store.pending(result)
    }

    fn has_decided(&self, bulk: &Bulk, verdict: BulkVerdict) -> bool {
        let same = |decision: &BulkDecision| {
            (decision.verdict, &*decision.by, &*decision.reason) == (verdict, self.by.name, self.by.reason)
        };
        bulk.decision.as_ref().is_some_and(same)
    }

    fn decide_bulk(&self, bulk: &Bulk, verdict: BulkVerdict, at: Timestamp) {
        let store = self.store;
        let decision = BulkDecision { verdict, by: self.by.name.into(), reason: self.by.reason.into(), at };
        let stage = match verdict {
            BulkVerdict::Approved => BulkStage::Running,
            BulkVerdict::Rejected => BulkStage::Rejected,
            BulkVerdict::Expired => BulkStage::Expired,
        };
        let before = serde_json::json!({ "stage": stage_name(bulk.stage) }).to_string();
        let after = serde_json::json!({
            "stage": stage_name(stage),
            "submitted_by": bulk.by.name,
            "decided_by": decision.by,
        });
        let audit = self.audit(at, &target(bulk.id), (before.into(), after.to_string().into()), "");
        let mut bytes = Vec::new();
        record::encode_bulk_decided(bulk.id, &decision, &mut bytes);
        record::encode_audit(&audit, &mut bytes);
        store.appender.append(&bytes, |position| {
            store.desk.table().decided(position, bulk.id, &decision);
            store.trails.push_audit(position, audit);
        });
    }
}

/// A stage in a word.
pub const fn stage_name(stage: BulkStage) -> &'static str {
    match stage {
        BulkStage::Pending => "pending",
        BulkStage::Running => "running",
        BulkStage::Done => "done",
        BulkStage::Rejected => "rejected",
        BulkStage::Expired => "expired",
    }
}

fn is_overdue(bulk: &Bulk, now: Timestamp) -> bool {
    bulk.stage == BulkStage::Pending && bulk.expires.is_some_and(|expires| expires <= now)
}

fn target(id: u64) -> String {
    format!("bulk {id}")
}
