//! Who pays for units: buckets in the order of consumption, as far as limits allow.

use super::{Allocation, BALANCE_MAX, Demand, Ledger};
use crate::{
    charging::{BucketKind, Draw, Measure, MemberNo, rate::Rate},
    ids::BucketId,
    rating::PriceOverflow,
    units::Money,
};

/// What limits leave.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Money, in all.
    money: i64,
    /// What a member may still take of shared money, and of shared units.
    shared_money: i64,
    shared_units: i64,
}

impl Ledger<'_> {
    /// Finds who pays for `want` more units. Where a change of tariff may cut a grant in two, what that can cost beside the
    /// dearer price is drawn too, as far as it is there (spec C-61 sizes a grant by the dearer price alone); where directions
    /// share it, all of it must be there. It is no part of the cost.
    ///
    /// # Errors
    /// The price of so many units is beyond what money can count.
    pub(in crate::charging) fn allocate(
        &self,
        rate: &Rate<'_>,
        want: u64,
        demand: Demand,
    ) -> Result<Allocation, PriceOverflow> {
        let tariff = rate.tariff;
        if rate.is_free() || want == 0 {
            return Ok(Allocation { units: want, ..Allocation::default() });
        }
        let mut allocation = Allocation::default();
        let mut open = want;
        let limits = self.room(rate);
        let mut room = limits;
        let mut cut = false;
        // Units of allowances that are used only when money is.
        let mut behind = 0u64;
        // Money buckets add up to a purse that buys units as cheaply as one bucket would: the price of a block may come
        // from two of them.
        let (mut purse, mut bought) = (Money::ZERO, 0u64);
        let mut after_money = false;
        for (index, bucket) in self.in_order() {
            if open == 0 {
                break;
            }
            let free = self.available(index);
            let available = if bucket.owner == MemberNo::SHARED { room.shared(bucket.kind, free) } else { free };
            match bucket.kind {
                BucketKind::Units(_) if tariff.takes(bucket) => {
                    let taken = available.min(i64::try_from(open).unwrap_or(i64::MAX));
                    cut |= available < free;
                    if taken > 0 {
                        allocation.draws.push(Draw { bucket: bucket.id, amount: taken });
                        open -= taken.unsigned_abs();
                        behind += if after_money { taken.unsigned_abs() } else { 0 };
                        if bucket.owner == MemberNo::SHARED {
                            room.shared_units -= taken;
                        }
                    }
                }
                BucketKind::Units(_) => {}
                BucketKind::Money => {
                    after_money = true;
                    purse = purse.saturating_add(Money::from_micros(available));
                    let allowed = purse.min(Money::from_micros(room.money));
                    cut |= available < free || allowed < purse;
                    if bucket.owner == MemberNo::SHARED {
                        room.shared_money = room.shared_money.saturating_sub(available);
                    }
                    let want = bought.saturating_add(open);
                    let affordable = match demand {
                        Demand::Affordable | Demand::Grant => rate.surely_affordable(allowed, want),
                        Demand::All => rate.affordable(allowed, want),
                    };
                    open -= affordable.saturating_sub(bought);
                    bought = bought.max(affordable);
                }
            }
        }
        allocation.limited = cut && open > 0;
        if demand == Demand::All {
            bought = bought.saturating_add(open);
            open = 0;
        }
        allocation.units = want - open;
        allocation.rated = bought;
        allocation.cost = rate.charge(bought)?;
        let margin = match demand {
            Demand::Affordable | Demand::Grant if rate.is_mixed() => {
                rate.dearest_share(bought)?.saturating_sub(allocation.cost)
            }
            Demand::Affordable | Demand::Grant | Demand::All => Money::ZERO,
        };
        self.draw_money(limits, &mut allocation, margin);
        // Where money comes in before they are reported, it pays for them: they count with what is paid with money then.
        let counted = allocation.rated.saturating_add(if demand == Demand::Grant { behind } else { 0 });
        self.count(rate, counted, &mut allocation);
        if self.stays_in_range(&allocation) { Ok(allocation) } else { Err(PriceOverflow) }
    }

    /// Whether others hold a part of what limits an allocation: it may come back (spec C-81).
    pub(in crate::charging) fn limits_are_held_beside(&self, rate: &Rate<'_>, own: &[Draw]) -> bool {
        rate.counted.meters().any(|meter| self.is_held_beside(meter.place, own))
    }

    /// Whether others hold a part of what makes an allocation dear: it may stay unused, so that more can be paid.
    pub(in crate::charging) fn tiers_are_held_beside(&self, rate: &Rate<'_>, own: &[Draw]) -> bool {
        rate.sides().filter_map(|side| side.counter).any(|place| self.is_held_beside(place, own))
    }

    fn room(&self, rate: &Rate<'_>) -> Room {
        let mut room = Room { money: i64::MAX, shared_money: i64::MAX, shared_units: i64::MAX };
        let left = |place, amount: i64| {
            let (used, reserved) = self.counted(place);
            amount.saturating_sub(used).saturating_sub(reserved).max(0)
        };
        for meter in rate.counted.limits.iter().filter(|meter| meter.cuts) {
            room.money = room.money.min(left(meter.place, meter.amount));
        }
        for share in rate.counted.shares.iter().filter(|share| share.meter.cuts) {
            let least = if share.measure == Measure::Money { &mut room.shared_money } else { &mut room.shared_units };
            *least = (*least).min(left(share.meter.place, share.meter.amount));
        }
        room
    }

    /// Whether buckets, counters and totals can count what an allocation does to them, as a debit or as a reservation.
    fn stays_in_range(&self, allocation: &Allocation) -> bool {
        let fits = |value: Option<i64>| value.is_some_and(|value| value.unsigned_abs() <= BALANCE_MAX.unsigned_abs());
        fits(self.debited.checked_add(allocation.cost.micros()))
            && allocation.draws.iter().all(|draw| {
                let line = self.account.buckets.iter().zip(&self.lines).find(|(bucket, _)| bucket.id == draw.bucket);
                if let Some((_, line)) = line {
                    return fits(line.amount.checked_sub(draw.amount)) && fits(line.reserved.checked_add(draw.amount));
                }
                let tally = self.tallies.iter().find(|tally| tally.counter.id == draw.bucket);
                tally.is_some_and(|tally| {
                    fits(tally.used.checked_add(draw.amount)) && fits(tally.reserved.checked_add(draw.amount))
                })
            })
    }

    /// Spreads the cost over the money buckets that may be used, the main one last among what is shared; what they cannot
    /// pay goes to the main bucket. The margin is taken only as far as it is there, and allowed.
    fn draw_money(&self, mut room: Room, allocation: &mut Allocation, margin: Money) {
        let money = || self.in_order().filter(|(_, bucket)| bucket.kind == BucketKind::Money);
        let mut due = allocation.cost.micros();
        if margin != Money::ZERO {
            let (mut own, mut shared) = (0i64, 0i64);
            for (index, bucket) in money() {
                let sum = if bucket.owner == MemberNo::SHARED { &mut shared } else { &mut own };
                *sum = sum.saturating_add(self.available(index));
            }
            let free = own.saturating_add(room.shared(BucketKind::Money, shared)).min(room.money);
            due = due.saturating_add(margin.micros().min(free.saturating_sub(due)).max(0));
        }
        for owner in self.payer.owners().into_iter().flatten() {
            let buckets = || self.account.buckets.iter().enumerate();
            let of_owner = || buckets().filter(|(_, it)| it.kind == BucketKind::Money && it.owner == owner);
            let (others, main) =
                (of_owner().filter(|(_, it)| !it.is_main()), of_owner().filter(|(_, it)| it.is_main()));
            for (index, bucket) in others.chain(main) {
                if due <= 0 {
                    return;
                }
                let mut taken = self.available(index).min(due);
                if owner == MemberNo::SHARED {
                    taken = room.shared(bucket.kind, taken);
                    room.shared_money = room.shared_money.saturating_sub(taken);
                }
                if taken > 0 {
                    allocation.draws.push(Draw { bucket: bucket.id, amount: taken });
                    due -= taken;
                }
            }
        }
        if due > 0 {
            match allocation.draws.iter_mut().find(|draw| draw.bucket == BucketId::MAIN) {
                Some(draw) => draw.amount = draw.amount.saturating_add(due),
                None => allocation.draws.push(Draw { bucket: BucketId::MAIN, amount: due }),
            }
        }
    }

    /// Adds what an allocation counts in: so many units for tiers, money for caps and limits, and what a member takes of what is
    /// shared.
    fn count(&self, rate: &Rate<'_>, rated: u64, allocation: &mut Allocation) {
        let rated = i64::try_from(rated).unwrap_or(i64::MAX);
        for side in rate.sides() {
            if let Some(place) = side.counter {
                self.count_once(allocation, place, rated);
            }
        }
        if rate.counted.is_empty() {
            return;
        }
        let (money, units) = self.drawn_from_shared(allocation);
        let drawn = self.money_of(&allocation.draws);
        let mut reaching = rate.price(allocation.rated).unwrap_or(Money::ZERO);
        for cap in &rate.counted.caps {
            if let Some(place) = cap.place {
                self.count_once(allocation, place, reaching.micros());
            }
            reaching = cap.charge(reaching);
        }
        for meter in &rate.counted.limits {
            self.count_once(allocation, meter.place, drawn);
        }
        for share in &rate.counted.shares {
            let amount = if share.measure == Measure::Money { money } else { units };
            self.count_once(allocation, share.meter.place, amount);
        }
    }

    /// Two prices may count in one counter: what is used is used once.
    fn count_once(&self, allocation: &mut Allocation, place: super::Place, amount: i64) {
        let bucket = self.tally(place).counter.id;
        if amount > 0 && allocation.draws.iter().all(|draw| draw.bucket != bucket) {
            allocation.draws.push(Draw { bucket, amount });
        }
    }

    /// Units that draws take from allowances that are used only when money is.
    pub(in crate::charging) fn behind_money(&self, draws: &[Draw]) -> u64 {
        let behind = self.in_order().skip_while(|(_, bucket)| bucket.kind != BucketKind::Money);
        let units = behind.filter(|(_, bucket)| bucket.kind != BucketKind::Money);
        let drawn = units.filter_map(|(_, bucket)| draws.iter().find(|draw| draw.bucket == bucket.id));
        drawn.fold(0, |sum, draw| sum.saturating_add(draw.amount.unsigned_abs()))
    }

    /// Money and units that an allocation takes from buckets that are everybody's.
    pub(super) fn drawn_from_shared(&self, allocation: &Allocation) -> (i64, i64) {
        let shared = |draw: &Draw| {
            let bucket = self.account.bucket(draw.bucket).filter(|bucket| bucket.owner == MemberNo::SHARED)?;
            Some((bucket.kind, draw.amount))
        };
        allocation.draws.iter().filter_map(shared).fold((0i64, 0i64), |(money, units), (kind, amount)| match kind {
            BucketKind::Money => (money.saturating_add(amount), units),
            BucketKind::Units(_) => (money, units.saturating_add(amount)),
        })
    }
}

impl Room {
    /// What a member may take of so much that is shared.
    fn shared(&self, kind: BucketKind, available: i64) -> i64 {
        let left = if kind == BucketKind::Money { self.shared_money } else { self.shared_units };
        available.min(left.max(0))
    }
}
