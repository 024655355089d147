//! What a top-up brings beside its money: validity by the account's plan, and the catalog's gift. All of it is in the event
//! of the top-up, so it comes exactly once for a request id.

use super::{
    Account, Bucket, BucketKind, Life, MemberNo,
    credit::{ACCOUNT_BUCKETS_MAX, bucket_of},
    life,
};
use crate::{
    ids::BucketId,
    rating::{Catalog, Gift},
    time::Timestamp,
    units::Money,
};

/// What a top-up brings.
#[derive(Default)]
pub(super) struct Bonus {
    /// The life of the account from then on, if it is valid for longer.
    pub(super) life: Option<Life>,
    /// Buckets that are new, or more for known ones.
    pub(super) gifts: Vec<Bucket>,
}

impl Bonus {
    /// Money in the gifts.
    pub(super) fn money(&self) -> Money {
        let money = self.gifts.iter().filter(|gift| gift.kind == BucketKind::Money);
        money.fold(Money::ZERO, |sum, gift| sum.saturating_add(Money::from_micros(gift.amount)))
    }

    /// Whether there are units among the gifts.
    pub(super) fn has_units(&self) -> bool {
        self.gifts.iter().any(|gift| gift.kind != BucketKind::Money && gift.amount > 0)
    }
}

/// What comes with a top-up. `first` = the id of the first bucket that a gift may have.
pub(super) fn of_top_up(catalog: &Catalog, account: &Account, first: u32, amount: Money, now: Timestamp) -> Bonus {
    Bonus {
        life: validity(catalog, account, amount, now),
        gifts: catalog.gift_for(amount).map_or_else(Vec::new, |gift| gifts(account, gift, first, amount, now)),
    }
}

/// A validity that runs is extended from its end, one that has ended from now on. Before the first use none runs.
fn validity(catalog: &Catalog, account: &Account, amount: Money, now: Timestamp) -> Option<Life> {
    let known = account.life()?;
    let end = known.valid_until?;
    let plan = life::plan_of(catalog, account)?;
    let (_, secs) = plan.top_up_validity.iter().rev().find(|(from, _)| *from <= amount)?;
    Some(life::valid_until(known, Some(plan), Some(end.max(now).plus_secs(*secs)), now))
}

/// The buckets of a gift. Money that does not run out joins what was given by the same name before. An account that has as
/// many buckets as it may have gets none: its top-up is not refused for that.
fn gifts(account: &Account, gift: &Gift, first: u32, amount: Money, now: Timestamp) -> Vec<Bucket> {
    let shared = account.buckets.iter().filter(|it| it.owner == MemberNo::SHARED && !it.is_spent(now)).count();
    let mut room = ACCOUNT_BUCKETS_MAX.saturating_sub(shared);
    let mut next = first;
    let mut gifts = Vec::new();
    if let Some(money) = money(gift, amount, now) {
        let joined = |known: &&Bucket| {
            money.expires.is_none()
                && (known.kind, known.expires) == (BucketKind::Money, None)
                && known.id != BucketId::MAIN
                && known.name == gift.name
                && !known.is_spent(now)
        };
        match account.buckets.iter().find(joined) {
            Some(known) => gifts.push(Bucket { id: known.id, ..money }),
            None if room > 0 => {
                gifts.push(Bucket { id: BucketId(next), ..money });
                (next, room) = (next.saturating_add(1), room - 1);
            }
            None => {}
        }
    }
    if let Some(allowance) = gift.allowance.as_ref().filter(|_| room > 0) {
        gifts.push(bucket_of(allowance, BucketId(next), now));
    }
    gifts
}

fn money(gift: &Gift, amount: Money, now: Timestamp) -> Option<Bucket> {
    // Rounded down: a gift is a part of what was paid, never more.
    let micros = i128::from(amount.micros()) * i128::from(gift.basis_points) / 10_000;
    let amount = i64::try_from(micros).ok().filter(|micros| *micros > 0)?;
    Some(Bucket {
        id: BucketId::MAIN,
        kind: BucketKind::Money,
        amount,
        reserved: 0,
        initial: amount,
        priority: Bucket::GIFT_PRIORITY,
        expires: gift.validity_secs.map(|secs| now.plus_secs(secs)),
        services: [].into(),
        name: gift.name.clone(),
        owner: MemberNo::SHARED,
        subscription: 0,
        rolled: 0,
    })
}
