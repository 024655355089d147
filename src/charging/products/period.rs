//! A period of a product begins: its fee is charged, what is left of the one before goes on, and its allowances are given.

use std::{collections::BTreeMap, sync::Arc};

use super::part::{self, Part};
use crate::{
    charging::{Bucket, BucketKind, FeeKind, HistoryKind, Subscription, credit, draft::Draft},
    ids::BucketId,
    rating::{Included, Product, RollOver, Unpaid},
    time::Timestamp,
    units::Money,
};

/// What is missing to pay a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpayable {
    /// The fee, as a whole.
    pub(super) fee: Money,
    /// What is missing of it.
    pub(super) missing: Money,
}

/// Begins a period. The first of a product costs its setup fee too. Nothing has changed if it cannot be paid.
pub(super) fn begin(
    draft: &mut Draft<'_>,
    product: &Product,
    subscription: &Subscription,
    from: Timestamp,
) -> Result<(), Unpayable> {
    let cycle_day = draft.profile().cycle_day();
    let renews = part::end(draft.catalog, product, cycle_day, from);
    let until = [renews, subscription.ends].into_iter().flatten().min();
    let part = until.map_or(Part::WHOLE, |until| part::part(draft.catalog, product, cycle_day, from, until));
    let is_first = subscription.renews.is_none();
    let trial_until = subscription.trial_until.filter(|until| from < *until);
    if trial_until.is_none() {
        let setup = if is_first && subscription.trial_until.is_none() { product.setup_fee } else { Money::ZERO };
        charge(draft, product, &[(FeeKind::Setup, setup), (FeeKind::Period, part.of_money(product.fee))])?;
    }
    draft.changed.period = Some(part.told(product, from, until));
    roll_over(draft, product, subscription, until);
    for included in &product.allowances {
        give(draft, included, subscription, part, from, until);
    }
    let begun = Subscription { renews, trial_until, begun: true, paused: false, ..subscription.clone() };
    draft.put_subscription(begun);
    Ok(())
}

/// Charges fees, all or nothing. With [`Unpaid::Charge`] they are charged whether or not there is money.
pub(super) fn charge(draft: &mut Draft<'_>, product: &Product, fees: &[(FeeKind, Money)]) -> Result<(), Unpayable> {
    let fee = fees.iter().fold(Money::ZERO, |sum, (_, fee)| sum.saturating_add(*fee));
    let missing = draft.missing(fee).filter(|_| product.unpaid != Unpaid::Charge);
    let missing = missing.or_else(|| (!draft.can_count(fee)).then_some(fee));
    if let Some(missing) = missing {
        return Err(Unpayable { fee, missing });
    }
    for (kind, fee) in fees {
        draft.enter_fee(*kind, *fee, &product.name);
    }
    Ok(())
}

/// The period that ended, if one did, has left units: those that may go on do so, and the others are gone. What sessions hold
/// stays where it is until they report.
fn roll_over(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, until: Option<Timestamp>) {
    let Some(ended) = subscription.renews else { return };
    for included in &product.allowances {
        let Some(terms) = included.roll_over else { continue };
        let rolled = take_over(draft, included, terms, subscription, ended);
        // Of two buckets that end at the same time the one with the lower number is used first: the one that can go on for
        // the shortest time.
        for (times, amount) in rolled.into_iter().rev() {
            let bucket = bucket_of(draft, included, subscription, until);
            draft.open(Bucket { amount, initial: amount, rolled: times, ..bucket });
        }
    }
    let of_ended = |bucket: &&Bucket| {
        bucket.subscription == subscription.no && bucket.expires.is_some_and(|expires| expires <= ended)
    };
    let old: Vec<BucketId> = draft.account.buckets.iter().filter(of_ended).map(|bucket| bucket.id).collect();
    old.into_iter().for_each(|id| draft.run_out(id, ended));
}

/// Takes what goes on out of the buckets that ended, by how often it will have rolled over then. Where not all may, what can
/// go on for the longest time does.
fn take_over(
    draft: &mut Draft<'_>,
    included: &Included,
    terms: RollOver,
    subscription: &Subscription,
    ended: Timestamp,
) -> BTreeMap<u8, i64> {
    let goes_on = |bucket: &&Bucket| {
        bucket.subscription == subscription.no
            && bucket.name == included.allowance.name
            && bucket.kind == BucketKind::Units(included.allowance.kind)
            && bucket.expires == Some(ended)
            && bucket.rolled < terms.periods
    };
    let mut old: Vec<Bucket> = draft.account.buckets.iter().filter(goes_on).cloned().collect();
    old.sort_by_key(|bucket| (bucket.rolled, bucket.id));
    let mut room = i64::try_from(terms.most).unwrap_or(i64::MAX);
    let mut rolled = BTreeMap::new();
    for bucket in old {
        let taken = bucket.amount.saturating_sub(bucket.reserved).clamp(0, room);
        if taken > 0 {
            draft.enter(HistoryKind::RollOver, bucket.id, -taken, &bucket.name);
            *rolled.entry(bucket.rolled.saturating_add(1)).or_insert(0) += taken;
            room -= taken;
        }
    }
    rolled
}

fn give(
    draft: &mut Draft<'_>,
    included: &Included,
    subscription: &Subscription,
    part: Part,
    from: Timestamp,
    until: Option<Timestamp>,
) {
    let allowance = &included.allowance;
    let amount = i64::try_from(part.of_units(allowance.amount)).unwrap_or(i64::MAX);
    let until = allowance.validity_secs.map(|secs| from.plus_secs(secs)).or(until);
    let bucket = bucket_of(draft, included, subscription, until);
    draft.open(Bucket { amount, initial: amount, ..bucket });
}

/// An empty bucket for an allowance of a subscription.
fn bucket_of(
    draft: &Draft<'_>,
    included: &Included,
    subscription: &Subscription,
    expires: Option<Timestamp>,
) -> Bucket {
    let bucket = credit::bucket_of(&included.allowance, BucketId(draft.account.next_bucket), draft.now);
    Bucket {
        expires,
        name: Arc::clone(&included.allowance.name),
        owner: subscription.member,
        subscription: subscription.no,
        ..bucket
    }
}
