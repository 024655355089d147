//! What charges are made of is noted as they are made: where a line of the history will not say it by itself.

use crate::{
    charging::{
        AccountChanged, Breakdown, Bucket, Detail, Entry, FeeKind, HistoryKind, Interrogated, Left, MemberNo, Part,
        Session, State, Step,
    },
    ids::{AccountId, BucketId},
    time::Timestamp,
    units::Money,
};

/// What a refund gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundOf {
    /// What a debit took.
    Debit,
    /// What it would cost at that moment: it names no debit.
    Nothing,
}

/// Notes what a step of a session is charged by, before its quota changes.
pub(super) fn note_step<'b>(
    session: &mut Session,
    index: usize,
    event: &Interrogated,
    step: &Step,
    bucket: impl Fn(BucketId) -> Option<&'b Bucket>,
) {
    // A step without a number is by the version that the session goes by from now on.
    let catalog = if step.catalog == 0 { event.catalog.unwrap_or(session.catalog) } else { step.catalog };
    let member = session.member;
    let Some(quota) = session.quotas.get_mut(index) else { return };
    let is_new = quota.used == 0 && quota.charged == Money::ZERO;
    let goes_on = (quota.catalog, quota.measure) == (catalog, step.measure) && quota.service == step.service;
    let is_plain = || step.used == 0 || member == MemberNo::SHARED && step.is_plain(&bucket);
    if quota.breakdown.is_none() && (is_new || goes_on) && is_plain() {
        return;
    }
    let from = if quota.measure == step.measure { quota.rated_as(step.tariff.as_ref()) } else { 0 };
    let known = quota.breakdown.take().unwrap_or_else(|| Box::new(Breakdown::of_plain(quota, member)));
    let known = quota.breakdown.insert(known);
    if step.used > 0 {
        known.add(Part::of(step, catalog, from, event.at), step, bucket);
    }
}

impl State {
    /// What a step that belongs to no session is made of; `None` = its line says all. Before anything moves.
    pub(super) fn detail_of(
        &self,
        account: AccountId,
        step: &Step,
        catalog: u32,
        at: Timestamp,
        refund: Option<RefundOf>,
    ) -> Option<Breakdown> {
        let account = self.accounts.get(&account);
        let bucket = |id: BucketId| account.and_then(|account| account.bucket(id));
        if step.is_plain(bucket) && refund.is_none() {
            return None;
        }
        let member = step.facts.as_ref().map_or(MemberNo::SHARED, |facts| facts.member);
        let mut breakdown = Breakdown { member, ..Breakdown::default() };
        let mut part = Part::of(step, catalog, 0, at);
        if refund == Some(RefundOf::Debit) {
            // Without another word, all that was left.
            part.left = part.left.or(Some(Left { rated: step.rated, charged: step.charged }));
        }
        breakdown.add(part, step, bucket);
        Some(breakdown)
    }
}

impl AccountChanged {
    /// What an entry is made of; `None` = it says all.
    pub(in crate::charging) fn detail_of_entry(&self, entry: &Entry) -> Option<Detail> {
        let period = || self.period.as_deref().cloned();
        match (entry.kind, entry.fee) {
            (HistoryKind::Fee, FeeKind::Floor) => {
                let statement = self.statement.as_deref()?;
                let (starts, ends, floor, usage) = (statement.starts, statement.ends, statement.floor, statement.usage);
                Some(Detail::Floor { starts, ends, floor, usage })
            }
            (HistoryKind::Fee, FeeKind::Setup | FeeKind::Period) => Some(Detail::Fee(entry.fee, period()?)),
            (HistoryKind::RollOver, _) => Some(Detail::Given(period()?)),
            _ => None,
        }
    }

    /// By what a new bucket was given; `None` = no product's period began with it.
    pub(in crate::charging) fn detail_of_bucket(&self, bucket: &Bucket) -> Option<Detail> {
        let given = self.period.as_deref().filter(|_| bucket.subscription != 0);
        given.cloned().map(Detail::Given)
    }
}
