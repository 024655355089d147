//! Any bulk change, whether or not it could be.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*};

use super::{accounts, boxed, moments, money, states, u32s, u64s};
use crate::charging::{
    Bulk, BulkDecision, BulkItem, BulkStage, BulkVerdict, Change, Person, PlannedChange, RefusedChange, When,
};

fn changes() -> BoxedStrategy<PlannedChange> {
    let whens = prop_oneof![Just(When::Now), Just(When::Next), moments().prop_map(When::At)].boxed();
    let change = prop_oneof![
        money().prop_map(Change::Adjust),
        money().prop_map(Change::TopUp),
        boxed().prop_map(Change::GrantAllowance),
        boxed().prop_map(Change::SetPlan),
        (boxed(), whens.clone()).prop_map(|(product, start)| Change::Buy(product, start)),
        (u32s(), whens).prop_map(|(subscription, end)| Change::Cancel(subscription, end)),
        states().prop_map(Change::SetState),
        boxed().prop_map(Change::UnblockVouchers),
    ];
    (accounts(), change).prop_map(|(account, change)| PlannedChange { account, change }).boxed()
}

/// As one is submitted: with all its changes, and nothing done yet.
pub(in crate::journal) fn submitted_bulks() -> BoxedStrategy<Bulk> {
    let person = (boxed(), boxed(), boxed()).prop_map(|(name, role, address)| Person { name, role, address });
    let texts = (boxed(), boxed(), person);
    let rest = (moments(), option::of(moments()), any::<[u8; 32]>(), money(), vec(changes(), 0..9));
    (u64s(), texts, rest)
        .prop_map(|(id, (request_id, reason, by), (submitted, expires, digest, money, changes))| Bulk {
            id,
            request_id,
            reason,
            by,
            submitted,
            expires,
            digest,
            count: changes.len() as u32,
            money,
            changes: changes.into(),
            stage: if expires.is_some() { BulkStage::Pending } else { BulkStage::Running },
            decision: None,
            executed: 0,
            refused: 0,
            refusals: Vec::new(),
            ended: None,
        })
        .boxed()
}

pub(in crate::journal) fn bulk_decisions() -> BoxedStrategy<BulkDecision> {
    use BulkVerdict::*;
    let verdict = prop::sample::select(vec![Approved, Rejected, Expired]);
    (verdict, boxed(), boxed(), moments())
        .prop_map(|(verdict, by, reason, at)| BulkDecision { verdict, by, reason, at })
        .boxed()
}

/// As one may stand.
pub(in crate::journal) fn bulks() -> BoxedStrategy<Bulk> {
    use BulkStage::*;
    let stage = prop::sample::select(vec![Pending, Running, Done, Rejected, Expired]);
    let refusal = (u32s(), accounts(), boxed()).prop_map(|(item, account, why)| RefusedChange { item, account, why });
    let counts = (u32s(), u32s(), u32s());
    let rest = (stage, option::of(bulk_decisions()), counts, vec(refusal, 0..4), option::of(moments()));
    (submitted_bulks(), rest)
        .prop_map(|(bulk, (stage, decision, (count, executed, refused), refusals, ended))| {
            let is_open = matches!(stage, Pending | Running);
            let changes = if is_open { bulk.changes } else { Arc::new([]) };
            Bulk { stage, decision, count, executed, refused, refusals, ended, changes, ..bulk }
        })
        .boxed()
}

pub(super) fn bulk_items() -> BoxedStrategy<BulkItem> {
    (u64s(), u32s(), boxed()).prop_map(|(bulk, item, approver)| BulkItem { bulk, item, approver }).boxed()
}
