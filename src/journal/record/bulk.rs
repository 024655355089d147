//! Bulk changes: written by hand like the rest, read from the generated messages.

use std::sync::Arc;

use super::{RecordError, numbers::Numbered, proto, writer::Writer};
use crate::{
    charging::{Bulk, BulkDecision, BulkItem, BulkStage, Change, Person, PlannedChange, RefusedChange, When},
    ids::AccountId,
    time::Timestamp,
    units::Money,
};

pub(super) fn write_submitted(w: &mut Writer<'_>, bulk: &Bulk) {
    w.uint(2, bulk.submitted.millis());
    w.message(40, |w| submitted(w, bulk, true));
}

pub(super) fn write_decided(w: &mut Writer<'_>, bulk: u64, decision: &BulkDecision) {
    w.uint(2, decision.at.millis());
    w.message(41, |w| decided(w, bulk, decision));
}

pub(super) fn write_item_ended(w: &mut Writer<'_>, at: Timestamp) {
    w.uint(2, at.millis());
    w.message(42, |_| {});
}

pub(super) fn write_item(w: &mut Writer<'_>, item: &BulkItem) {
    w.message(44, |w| {
        w.uint(1, item.bulk);
        w.uint(2, item.item);
        w.bytes(3, item.approver.as_bytes());
    });
}

pub(super) fn read_item(wire: proto::BulkItem) -> BulkItem {
    BulkItem { bulk: wire.bulk, item: wire.item, approver: wire.approver.into() }
}

fn submitted(w: &mut Writer<'_>, bulk: &Bulk, with_changes: bool) {
    w.uint(1, bulk.id);
    w.bytes(2, bulk.request_id.as_bytes());
    w.bytes(3, bulk.reason.as_bytes());
    w.bytes(4, bulk.by.name.as_bytes());
    w.bytes(5, bulk.by.role.as_bytes());
    w.bytes(6, bulk.by.address.as_bytes());
    w.optional(7, bulk.expires.map(Timestamp::millis));
    w.bytes(8, &bulk.digest);
    w.sint(9, bulk.money.micros());
    if with_changes {
        bulk.changes.iter().for_each(|each| w.message(10, |w| change(w, each)));
    }
}

/// A bulk change as it was submitted.
pub(super) fn read_submitted(wire: proto::BulkSubmitted, at: Timestamp) -> Result<Bulk, RecordError> {
    let changes = wire.changes.into_iter().map(read_change).collect::<Result<Arc<[_]>, _>>()?;
    let expires = wire.expires_ms.map(Timestamp::from_millis);
    Ok(Bulk {
        id: wire.bulk,
        request_id: wire.request_id.into(),
        reason: wire.reason.into(),
        by: Person { name: wire.name.into(), role: wire.role.into(), address: wire.address.into() },
        submitted: at,
        expires,
        digest: wire.digest.try_into().map_err(|_| RecordError::Missing("digest of 32 octets"))?,
        count: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        money: Money::from_micros(wire.money),
        changes,
        stage: if expires.is_some() { BulkStage::Pending } else { BulkStage::Running },
        decision: None,
        executed: 0,
        refused: 0,
        refusals: Vec::new(),
        ended: None,
    })
}

fn decided(w: &mut Writer<'_>, bulk: u64, decision: &BulkDecision) {
    w.uint(1, bulk);
    w.uint(2, decision.verdict.number());
    w.bytes(3, decision.by.as_bytes());
    w.bytes(4, decision.reason.as_bytes());
}

/// The number of a bulk change, and what was decided about it.
pub(super) fn read_decided(wire: proto::BulkDecided, at: Timestamp) -> Result<(u64, BulkDecision), RecordError> {
    let verdict = Numbered::from_number(wire.verdict)?;
    Ok((wire.bulk, BulkDecision { verdict, by: wire.by.into(), reason: wire.reason.into(), at }))
}

/// A bulk change as it stands, without its changes.
pub(in crate::journal) fn write_known(w: &mut Writer<'_>, bulk: &Bulk) {
    w.message(1, |w| submitted(w, bulk, false));
    w.uint(2, bulk.submitted.millis());
    w.uint(3, bulk.stage.number());
    if let Some(decision) = &bulk.decision {
        w.message(4, |w| decided(w, bulk.id, decision));
        w.uint(5, decision.at.millis());
    }
    w.uint(6, bulk.count);
    w.uint(7, bulk.executed);
    w.uint(8, bulk.refused);
    for refusal in &bulk.refusals {
        w.message(9, |w| {
            w.uint(1, refusal.item);
            w.uint(2, refusal.account.0);
            w.bytes(3, refusal.why.as_bytes());
        });
    }
    w.optional(10, bulk.ended.map(Timestamp::millis));
}

pub(in crate::journal) fn read_known(wire: proto::KnownBulk) -> Result<Bulk, RecordError> {
    let submitted = wire.submitted.ok_or(RecordError::Missing("submission of a bulk change"))?;
    let decided_at = Timestamp::from_millis(wire.decided_ms);
    let refusal = |wire: proto::RefusedChange| RefusedChange {
        item: wire.item,
        account: AccountId(wire.account),
        why: wire.why.into(),
    };
    Ok(Bulk {
        stage: Numbered::from_number(wire.stage)?,
        decision: wire.decided.map(|wire| read_decided(wire, decided_at)).transpose()?.map(|(_, decision)| decision),
        count: wire.count,
        executed: wire.executed,
        refused: wire.refused,
        refusals: wire.refusals.into_iter().map(refusal).collect(),
        ended: wire.ended_ms.map(Timestamp::from_millis),
        ..read_submitted(submitted, Timestamp::from_millis(wire.submitted_ms))?
    })
}

pub(in crate::journal) fn change(w: &mut Writer<'_>, planned: &PlannedChange) {
    use proto::BulkKind as Kind;
    w.uint(1, planned.account.0);
    let kind = match planned.change {
        Change::Adjust(_) => Kind::Adjust,
        Change::TopUp(_) => Kind::TopUp,
        Change::GrantAllowance(_) => Kind::GrantAllowance,
        Change::SetPlan(_) => Kind::SetPlan,
        Change::Buy(..) => Kind::Buy,
        Change::Cancel(..) => Kind::Cancel,
        Change::SetState(_) => Kind::SetState,
        Change::UnblockVouchers(_) => Kind::UnblockVouchers,
    };
    w.uint(2, kind as u32);
    match &planned.change {
        Change::Adjust(amount) | Change::TopUp(amount) => w.sint(3, amount.micros()),
        Change::GrantAllowance(name) | Change::SetPlan(name) | Change::UnblockVouchers(name) => {
            w.bytes(4, name.as_bytes());
        }
        Change::Buy(product, start) => {
            w.bytes(4, product.as_bytes());
            when(w, *start);
        }
        Change::Cancel(subscription, end) => {
            w.uint(5, *subscription);
            when(w, *end);
        }
        Change::SetState(state) => w.uint(8, state.number()),
    }
}

pub(in crate::journal) fn read_change(wire: proto::BulkChange) -> Result<PlannedChange, RecordError> {
    use proto::BulkKind as Kind;
    let start = match (wire.at_ms, wire.next) {
        (Some(at), _) => When::At(Timestamp::from_millis(at)),
        (None, true) => When::Next,
        (None, false) => When::Now,
    };
    let (amount, name) = (Money::from_micros(wire.amount), wire.name.into_boxed_str());
    let change = match Kind::try_from(wire.kind) {
        Ok(Kind::Adjust) => Change::Adjust(amount),
        Ok(Kind::TopUp) => Change::TopUp(amount),
        Ok(Kind::GrantAllowance) => Change::GrantAllowance(name),
        Ok(Kind::SetPlan) => Change::SetPlan(name),
        Ok(Kind::Buy) => Change::Buy(name, start),
        Ok(Kind::Cancel) => Change::Cancel(wire.subscription, start),
        Ok(Kind::SetState) => Change::SetState(Numbered::from_number(wire.state)?),
        Ok(Kind::UnblockVouchers) => Change::UnblockVouchers(name),
        Ok(Kind::Unspecified) | Err(_) => {
            return Err(RecordError::BadValue { field: "kind of a bulk change", value: i64::from(wire.kind) });
        }
    };
    Ok(PlannedChange { account: AccountId(wire.account), change })
}

fn when(w: &mut Writer<'_>, when: When) {
    match when {
        When::Now => {}
        When::At(at) => w.optional(6, Some(at.millis())),
        When::Next => w.bool(7, true),
    }
}
