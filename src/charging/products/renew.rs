//! What becomes of a product by itself: it takes effect, renews, its trial ends, it ends; and one that pauses is tried again.

use super::{
    part,
    period::{self, Unpayable},
};
use crate::{
    charging::{Account, Bucket, FeeKind, NoticeKind, ProductStep, Subscription, draft::Draft, lifecycle},
    ids::BucketId,
    rating::{Product, Unpaid},
    time::Timestamp,
    units::Money,
};

/// The subscription for which something is due the earliest, and when.
pub(in crate::charging) fn next(account: &Account) -> Option<(Timestamp, u32)> {
    let subscriptions = account.profile.as_deref()?.subscriptions.iter();
    subscriptions.filter_map(|subscription| Some((subscription.next_due()?, subscription.no))).min()
}

/// Does what is due for a subscription at a moment: its end, then its start or renewal, then the end of its trial.
pub(in crate::charging) fn turn(draft: &mut Draft<'_>, no: u32, due: Timestamp) {
    let Some(subscription) = draft.profile().subscription(no).cloned() else { return };
    if subscription.ends.is_some_and(|ends| ends <= due) {
        return end(draft, &subscription, due);
    }
    let Some(product) = draft.catalog.product(&subscription.product) else {
        // It is not sold any more, and nobody knows what it costs.
        return end(draft, &subscription, due);
    };
    if lifecycle::is_lapsed(&draft.account) {
        wait_for_life(draft, &subscription, due);
    } else if subscription.paused {
        retry(draft, product, &subscription, due);
    } else if !subscription.begun {
        begin(draft, product, &subscription, due);
    } else if subscription.renews.is_some_and(|renews| renews <= due) {
        renew(draft, product, &subscription, due);
    } else if subscription.trial_until.is_some_and(|until| until <= due) {
        end_trial(draft, product, &subscription, due);
    }
}

/// Nobody pays for a period in which the account cannot be used: its products pause, whatever they cost, and begin again when
/// it is brought back.
fn wait_for_life(draft: &mut Draft<'_>, subscription: &Subscription, due: Timestamp) {
    if subscription.paused {
        draft.put_subscription(Subscription { retry: None, ..subscription.clone() });
    } else {
        pause(draft, subscription, due);
    }
}

/// Money has come in for a product that pauses, or its account is valid again: it begins again as of that moment, or goes on waiting.
fn retry(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, due: Timestamp) {
    let again = Subscription { retry: None, starts: due, ..subscription.clone() };
    match period::begin(draft, product, &again, due) {
        Ok(()) => tell(draft, &again, ProductStep::Renewed),
        Err(_) => draft.put_subscription(Subscription { starts: subscription.starts, ..again }),
    }
}

fn begin(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, due: Timestamp) {
    match period::begin(draft, product, subscription, due) {
        Ok(()) => tell(draft, subscription, ProductStep::Renewed),
        Err(_) => unpaid(draft, product, subscription, due),
    }
}

fn renew(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, due: Timestamp) {
    let Some(name) = &subscription.becomes else { return begin(draft, product, subscription, due) };
    let Some(other) = draft.catalog.product(name) else { return end(draft, subscription, due) };
    // The other product begins with a first period of its own: nothing of the old one rolls over into it.
    give_up(draft, subscription, due);
    let changed = Subscription {
        product: name.clone(),
        becomes: None,
        starts: due,
        renews: None,
        trial_until: trial(other, due),
        ends: other.lasts_secs.map(|secs| due.plus_secs(secs)),
        ..subscription.clone()
    };
    begin(draft, other, &changed, due);
}

/// When the trial of a product ends that takes effect at a moment. One that is bought once has none.
pub(super) fn trial(product: &Product, from: Timestamp) -> Option<Timestamp> {
    (product.trial_secs > 0 && product.period.is_some()).then(|| from.plus_secs(product.trial_secs))
}

/// From the end of the trial on the rest of the period is to be paid.
fn end_trial(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, due: Timestamp) {
    let cycle_day = draft.profile().cycle_day();
    let until = [subscription.renews, subscription.ends].into_iter().flatten().min().unwrap_or(due);
    let part = part::part(draft.catalog, product, cycle_day, due, until);
    match period::charge(draft, product, &[(FeeKind::Period, part.of_money(product.fee))]) {
        Ok(()) => {
            draft.changed.period = Some(part.told(product, due, Some(until)));
            draft.put_subscription(Subscription { trial_until: None, ..subscription.clone() });
        }
        Err(_) => unpaid(draft, product, subscription, due),
    }
}

/// A fee cannot be paid. (A fee beyond what can be counted is not paid either, whatever the product says.)
fn unpaid(draft: &mut Draft<'_>, product: &Product, subscription: &Subscription, due: Timestamp) {
    if product.unpaid == Unpaid::Cancel {
        return end(draft, subscription, due);
    }
    pause(draft, subscription, due);
}

/// It gives nothing until it is tried again.
fn pause(draft: &mut Draft<'_>, subscription: &Subscription, due: Timestamp) {
    // What its period has given is not used any more; at a renewal it has run out by itself.
    let ends_with = |bucket: &&Bucket| bucket.is_valid(due) && ends_with(bucket, subscription);
    let given: Vec<BucketId> = draft.account.buckets.iter().filter(ends_with).map(|bucket| bucket.id).collect();
    given.into_iter().for_each(|id| draft.expire(id, due));
    keep_floor(draft, subscription, due);
    // What the period that ended has left goes on when it is tried again. Its setup fee is due then if it was not yet.
    let renews = subscription.renews.map(|renews| renews.min(due));
    let paused = Subscription { paused: true, begun: false, renews, ..subscription.clone() };
    draft.put_subscription(paused);
    tell(draft, subscription, ProductStep::Paused);
}

/// Ends a subscription, with what it has given.
pub(super) fn end(draft: &mut Draft<'_>, subscription: &Subscription, at: Timestamp) {
    give_up(draft, subscription, at);
    draft.remove_subscription(subscription.no);
    tell(draft, subscription, ProductStep::Ended);
}

/// A product's time is over, and that of what lasts as long as it: its buckets and its share in the floor of the cycle.
fn give_up(draft: &mut Draft<'_>, subscription: &Subscription, at: Timestamp) {
    let ends = |bucket: &&Bucket| {
        ends_with(bucket, subscription) || !bucket.is_valid(at) && bucket.subscription == subscription.no
    };
    let given: Vec<BucketId> = draft.account.buckets.iter().filter(ends).map(|bucket| bucket.id).collect();
    given.into_iter().for_each(|id| draft.run_out(id, at));
    keep_floor(draft, subscription, at);
}

/// What was to be spent until a moment stays to be spent, whatever becomes of the subscription.
fn keep_floor(draft: &mut Draft<'_>, subscription: &Subscription, until: Timestamp) {
    let floor = floor(draft, subscription, until);
    if floor != Money::ZERO {
        draft.change_cycles(|cycles| {
            let Some(cycle) = &mut cycles.0 else { return };
            cycle.floor = cycle.floor.saturating_add(floor);
        });
    }
}

/// Whether a bucket ends with its subscription: what was given for a time of its own stays for that time.
fn ends_with(bucket: &Bucket, subscription: &Subscription) -> bool {
    let with_it = |expires| [subscription.renews, subscription.ends].contains(&Some(expires));
    bucket.subscription == subscription.no && bucket.expires.is_none_or(with_it)
}

/// The least that must be spent in the cycle that runs on account of a subscription that held in it until a moment.
pub(in crate::charging) fn floor(draft: &mut Draft<'_>, subscription: &Subscription, until: Timestamp) -> Money {
    let Some(product) = draft.catalog.product(&subscription.product) else { return Money::ZERO };
    let cycle_day = draft.profile().cycle_day();
    let Some(cycle) = draft.profile().cycle.as_ref().filter(|_| subscription.begun) else { return Money::ZERO };
    let from = cycle.starts.max(subscription.starts);
    if product.floor == Money::ZERO || until <= from {
        return Money::ZERO;
    }
    part::part(draft.catalog, product, cycle_day, from, until).of_money(product.floor)
}

pub(super) fn tell(draft: &mut Draft<'_>, subscription: &Subscription, step: ProductStep) {
    let Subscription { product, no, .. } = subscription;
    draft.tell(NoticeKind::Product { product: product.clone(), subscription: *no, step });
}

impl From<Unpayable> for String {
    fn from(Unpayable { fee, missing }: Unpayable) -> Self {
        format!("it costs {fee}, and {missing} is missing")
    }
}
