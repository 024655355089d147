//! Products: bought, changed and cancelled on request. What becomes of them by themselves is in `renew.rs`.

mod part;
mod period;
mod renew;

use super::{Account, Cycle, MemberNo, ProductStep, Refusal, Subscription, When, cycles, draft::Draft};
use crate::{
    rating::{Catalog, Period, Plan, Product},
    time::Timestamp,
    units::Money,
};

pub(super) use part::Part;
pub(super) use renew::{floor, next, turn};

/// Products of one account: each is looked at for every request that is rated.
const ACCOUNT_PRODUCTS_MAX: usize = 32;
/// Buckets in one account, beyond which no more products are sold to it: the order of consumption is walked for every request.
const ACCOUNT_BUCKETS_MAX: usize = 64;

/// Buys a product. One that cannot be paid now is not sold, unless it is charged all the same.
pub(super) fn buy(draft: &mut Draft<'_>, name: &str, member: MemberNo, start: When) -> Result<(), Refusal> {
    let product = product(draft, name)?;
    if member != MemberNo::SHARED && draft.profile().member(member).is_none() {
        return Err(Refusal::NotThere(format!("the account has no member {}", member.0)));
    }
    clear_used_up(draft);
    may_have(draft, product)?;
    let now = draft.now;
    let starts = match start {
        When::Now => now,
        When::At(at) => future(at, now)?,
        When::Next => next_cycle(draft),
    };
    let subscription = Subscription {
        no: draft.profile().next_subscription.max(1),
        product: product.name.clone(),
        member,
        bought: now,
        starts,
        ends: product.lasts_secs.map(|secs| starts.plus_secs(secs)),
        trial_until: renew::trial(product, starts),
        ..Subscription::default()
    };
    renew::tell(draft, &subscription, ProductStep::Bought);
    if start != When::Now {
        draft.put_subscription(subscription);
        return Ok(());
    }
    let begun = period::begin(draft, product, &subscription, now);
    begun
        .map_err(|unpayable| Refusal::NotPossible(format!("product `{name}` is not sold: {}", String::from(unpayable))))
}

/// Products that come with a plan take effect next, as if they had been bought for this moment: those that the account does
/// not have yet. What they cost, and whether that can be paid, is for when they do.
///
/// # Errors
/// The first one that the account may not have; the others come all the same.
pub(super) fn add_of_plan(draft: &mut Draft<'_>, plan: &Plan) -> Result<(), Refusal> {
    let now = draft.now;
    let mut refused = Ok(());
    for name in &plan.products {
        if draft.profile().subscriptions.iter().any(|it| it.product == *name) {
            continue;
        }
        let product = match product(draft, name).and_then(|product| may_have(draft, product).map(|()| product)) {
            Ok(product) => product,
            Err(refusal) => {
                refused = refused.and(Err(refusal));
                continue;
            }
        };
        let subscription = Subscription {
            no: draft.profile().next_subscription.max(1),
            product: product.name.clone(),
            bought: now,
            starts: now,
            ends: product.lasts_secs.map(|secs| now.plus_secs(secs)),
            trial_until: renew::trial(product, now),
            of_plan: true,
            ..Subscription::default()
        };
        renew::tell(draft, &subscription, ProductStep::Bought);
        draft.put_subscription(subscription);
    }
    refused
}

/// What came with a plan ends, unless the next one has it too.
pub(super) fn end_of_plan(draft: &mut Draft<'_>, next: Option<&Plan>) {
    let stays = |it: &Subscription| next.is_some_and(|plan| plan.products.contains(&it.product));
    let subscriptions = draft.profile().subscriptions.clone();
    for subscription in subscriptions.iter().filter(|it| it.of_plan && !stays(it)) {
        renew::end(draft, subscription, draft.now);
    }
}

/// Subscriptions go that are taken away as they are: their share in the floor of the cycle stays. What the cycles are then,
/// if that is something else than before.
pub(super) fn keep_floors(
    catalog: &Catalog,
    account: &Account,
    gone: &[Subscription],
    now: Timestamp,
) -> Option<Box<(Option<Cycle>, Option<Cycle>)>> {
    let mut draft = Draft::new(account, catalog, now);
    let owed = gone.iter().fold(Money::ZERO, |sum, it| sum.saturating_add(floor(&mut draft, it, now)));
    let profile = draft.profile();
    let cycle = profile.cycle.as_mut().filter(|_| owed != Money::ZERO)?;
    cycle.floor = cycle.floor.saturating_add(owed);
    Some(Box::new((profile.cycle.clone(), profile.previous.clone())))
}

/// Changes a product for another.
pub(super) fn change(draft: &mut Draft<'_>, no: u32, to: &str, when: When) -> Result<(), Refusal> {
    let old = subscription(draft, no)?;
    let product = product(draft, to)?;
    if old.product == product.name {
        return refuse(format!("subscription {no} is `{to}` already"));
    }
    match when {
        When::Now => {
            renew::end(draft, &old, draft.now);
            buy(draft, to, old.member, When::Now)
        }
        When::At(at) => {
            let ends = future(at, draft.now)?;
            buy(draft, to, old.member, When::At(at))?;
            draft.put_subscription(Subscription { ends: Some(ends), becomes: None, ..old });
            Ok(())
        }
        When::Next => {
            period_end(draft, &old)?;
            may_have(draft, product)?;
            draft.put_subscription(Subscription { becomes: Some(product.name.clone()), ..old });
            Ok(())
        }
    }
}

/// Cancels a product. What was paid for its period stays paid: the part of a last period that is not whole is what counts
/// where that is known when the period begins.
pub(super) fn cancel(draft: &mut Draft<'_>, no: u32, when: When) -> Result<(), Refusal> {
    let old = subscription(draft, no)?;
    let ends = match when {
        When::Now => {
            renew::end(draft, &old, draft.now);
            return Ok(());
        }
        When::At(at) => future(at, draft.now)?,
        When::Next => period_end(draft, &old)?,
    };
    draft.put_subscription(Subscription { ends: Some(ends), becomes: None, ..old });
    Ok(())
}

fn refuse<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::NotPossible(why))
}

/// The product with this name.
fn product<'c>(draft: &Draft<'c>, name: &str) -> Result<&'c Product, Refusal> {
    let catalog = draft.catalog;
    if catalog.currency() != draft.account.currency {
        let given = catalog.currency();
        return Err(Refusal::WrongCurrency { account: draft.account.currency, given });
    }
    catalog.product(name).ok_or_else(|| {
        let known: Vec<_> = catalog.products().iter().map(|product| format!("`{}`", product.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Refusal::NotThere(format!("there is no product `{name}`; there are: {known}"))
    })
}

fn subscription(draft: &mut Draft<'_>, no: u32) -> Result<Subscription, Refusal> {
    let profile = draft.profile();
    profile.subscription(no).cloned().ok_or_else(|| {
        let known: Vec<_> = profile.subscriptions.iter().map(|it| format!("{} ({})", it.no, it.product)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Refusal::NotThere(format!("the account has no subscription {no}; it has: {known}"))
    })
}

/// Whether one more of a product fits into the account.
fn may_have(draft: &mut Draft<'_>, product: &Product) -> Result<(), Refusal> {
    let (now, name) = (draft.now, &product.name);
    let buckets = draft.account.buckets.iter().filter(|bucket| !bucket.is_spent(now)).count();
    if buckets + product.allowances.len() > ACCOUNT_BUCKETS_MAX {
        return Err(Refusal::TooManyBuckets(buckets));
    }
    let profile = draft.profile();
    if profile.subscriptions.len() >= ACCOUNT_PRODUCTS_MAX {
        return refuse(format!("the account has {ACCOUNT_PRODUCTS_MAX} products, more is not possible"));
    }
    let is_it = |it: &&Subscription| it.product == *name || it.becomes.as_ref() == Some(name);
    let has = profile.subscriptions.iter().filter(is_it).count();
    if has >= product.most as usize {
        return refuse(format!("the account has `{name}` {has} times, and may have it {} at once", product.most));
    }
    if product.floor != Money::ZERO && (product.period != Some(Period::Cycle) || profile.cycle.is_none()) {
        return refuse(format!(
            "`{name}` has a floor, which is settled by billing cycle: set the account's cycle day first"
        ));
    }
    Ok(())
}

/// What was bought once, and has given nothing but units, is there as long as some of them are left.
fn clear_used_up(draft: &mut Draft<'_>) {
    let (catalog, now) = (draft.catalog, draft.now);
    let is_pack = |it: &Subscription| {
        let product = catalog.product(&it.product);
        it.begun
            && product.is_some_and(|product| {
                product.period.is_none() && product.discounts.is_empty() && product.limits.is_empty()
            })
    };
    let is_left = |account: &Account, no: u32| {
        let of_it = |it: &&super::Bucket| it.subscription == no;
        account
            .buckets
            .iter()
            .filter(of_it)
            .any(|bucket| bucket.reserved > 0 || bucket.amount > 0 && bucket.is_valid(now))
    };
    let subscriptions = draft.profile().subscriptions.clone();
    for subscription in subscriptions.iter().filter(|it| is_pack(it)) {
        if !is_left(&draft.account, subscription.no) {
            renew::end(draft, subscription, now);
        }
    }
}

fn future(at: Timestamp, now: Timestamp) -> Result<Timestamp, Refusal> {
    if at > now { Ok(at) } else { refuse(format!("{at} is not in the future: it is {now}")) }
}

/// When the account's next billing cycle begins; without billing cycles, the next month.
fn next_cycle(draft: &mut Draft<'_>) -> Timestamp {
    let (catalog, now) = (draft.catalog, draft.now);
    let profile = draft.profile();
    let ends = profile.cycle.as_ref().map(|cycle| cycle.ends);
    ends.unwrap_or_else(|| cycles::next_start(catalog, profile.cycle_day(), now))
}

/// When the period of a subscription ends.
fn period_end(draft: &Draft<'_>, subscription: &Subscription) -> Result<Timestamp, Refusal> {
    let Subscription { no, product, .. } = subscription;
    match subscription.renews.filter(|renews| *renews > draft.now && !subscription.paused) {
        Some(renews) => Ok(renews),
        None => refuse(format!("subscription {no} (`{product}`) has no period that runs: say now, or at which moment")),
    }
}
