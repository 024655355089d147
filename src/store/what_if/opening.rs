//! An account as it may have been before what is done again: as it is now, less what the records say of since.

use std::{collections::BTreeMap, sync::Arc};

use super::usage::{Given, GivenKind, Recorded, Usage, What};
use crate::{
    charging::{
        Account, AccountState, Bucket, BucketKind, Cycle, Life, Measure, MemberNo, Profile, State, Subscription,
    },
    ids::BucketId,
    rating::{Catalog, Catalogs, Period},
    time::Timestamp,
    units::{Money, UnitKind},
};

/// The name under which cycles charge what is missing to a floor.
const FLOOR: &str = "floor";
/// What allowances are called that are gone by now.
const BEFORE: &str = "from before";

/// An account as it is, with what its running sessions have taken so far: that is in no record yet.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) account: Account,
    running: i128,
    from_allowance: [u64; 3],
}

/// An account as it begins.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) account: Account,
    /// What comes about again by itself: fees of these products and allowances of these names from these moments on.
    fees: BTreeMap<Arc<str>, Timestamp>,
    allowances: BTreeMap<Arc<str>, Timestamp>,
}

impl Now {
    pub(super) fn of(state: &State, account: &Account) -> Self {
        let sessions = account.sessions.iter().filter_map(|no| state.session(*no));
        let (mut running, mut from_allowance) = (0, [0u64; 3]);
        for quota in sessions.flat_map(|session| &session.quotas) {
            running += i128::from(quota.charged.micros());
            add(&mut from_allowance, quota.measure, quota.from_allowance);
        }
        let account = Account { history: Default::default(), ..account.clone() };
        Self { account, running, from_allowance }
    }

    /// What it was when the window began.
    pub(super) fn opening(self, recorded: &Recorded, catalogs: &Catalogs, begins: Timestamp) -> Opening {
        let catalog = &catalogs.at(begins).catalog;
        let Self { account: now, running, mut from_allowance } = self;
        let mut opening = Opening { account: now, fees: BTreeMap::new(), allowances: BTreeMap::new() };
        let money = i128::from(opening.account.balance().micros()) + running + recorded.net;
        let given: Vec<&Given> = recorded.given().collect();
        recorded.uses(&mut from_allowance);
        let is_given = |bucket: &Bucket| given.iter().any(|it| it.bucket == bucket.id.0 && !bucket.is_main());
        for it in &given {
            // What is left of what was given within the window was not taken from what was there before.
            let left = opening.account.bucket(BucketId(it.bucket)).map_or(0, |bucket| bucket.amount);
            let taken = u64::try_from(it.amount.saturating_sub(left)).unwrap_or(0);
            if let (Some(kind), GivenKind::Allowance) = (it.unit, it.kind) {
                let sum = &mut from_allowance[index(kind)];
                *sum = sum.saturating_sub(taken);
            }
        }
        opening.account.buckets.retain(|bucket| !is_given(bucket));
        opening.account.buckets.iter_mut().for_each(|bucket| bucket.reserved = 0);
        let renews = opening.set_back_products(catalog, begins);
        if !renews {
            opening.put_back(recorded, from_allowance);
        }
        opening.set_money(money);
        opening.set_back_profile(catalog, begins);
        let account = &mut opening.account;
        let balance = account.balance();
        (account.credited, account.debited) = (balance.max(Money::ZERO), (-balance).max(Money::ZERO));
        account.state = AccountState::Active;
        account.credit_stopped = false;
        account.sessions.clear();
        opening
    }
}

impl Opening {
    /// Whether something recorded comes about again by itself.
    pub(super) fn brings_about(&self, given: &Given, at: Timestamp) -> bool {
        let since = |of: &BTreeMap<Arc<str>, Timestamp>| of.get(&given.name).is_some_and(|since| *since <= at);
        match given.kind {
            GivenKind::Consequence => true,
            GivenKind::Fee => since(&self.fees),
            GivenKind::Allowance => since(&self.allowances),
            GivenKind::TopUp | GivenKind::Voucher | GivenKind::Adjustment => false,
        }
    }

    /// Products that were bought since are bought again; others renew as they did. Returns whether the allowances of any
    /// are given anew.
    fn set_back_products(&mut self, catalog: &Catalog, begins: Timestamp) -> bool {
        let Some(profile) = self.account.profile.as_deref_mut() else { return false };
        let cycle_day = profile.cycle_day();
        let (mut anew, mut renewed) = (Vec::new(), Vec::new());
        for subscription in &mut profile.subscriptions {
            let Some(product) = catalog.product(&subscription.product) else { continue };
            let since = if subscription.bought >= begins {
                let trial = product.trial_secs > 0 && product.period.is_some();
                subscription.trial_until = trial.then(|| subscription.starts.plus_secs(product.trial_secs));
                (subscription.renews, subscription.begun, subscription.paused) = (None, false, false);
                anew.push(subscription.no);
                subscription.bought
            } else {
                let renewal = subscription
                    .renews
                    .zip(product.period)
                    .map(|(renews, period)| (last_renewal(catalog, period, cycle_day, renews, begins), renews));
                let Some((before, _)) = renewal.filter(|(before, renews)| before < renews) else { continue };
                (subscription.renews, subscription.begun, subscription.paused) = (Some(before), true, false);
                anew.push(subscription.no);
                renewed.push(subscription.clone());
                begins
            };
            subscription.retry = None;
            let earliest = |of: &mut BTreeMap<Arc<str>, Timestamp>, name: &Arc<str>| {
                let known = of.entry(Arc::clone(name)).or_insert(since);
                *known = since.min(*known);
            };
            earliest(&mut self.fees, &product.name);
            product.allowances.iter().for_each(|it| earliest(&mut self.allowances, &it.allowance.name));
        }
        self.account.buckets.retain(|bucket| !anew.contains(&bucket.subscription) || bucket.subscription == 0);
        for subscription in &renewed {
            self.give_whole(catalog, subscription);
        }
        !self.allowances.is_empty()
    }

    /// What a period gives, whole: how much of it was used before is not known.
    fn give_whole(&mut self, catalog: &Catalog, subscription: &Subscription) {
        let Some(product) = catalog.product(&subscription.product) else { return };
        for included in &product.allowances {
            let allowance = &included.allowance;
            let bucket = Bucket {
                priority: allowance.priority,
                expires: subscription.renews,
                services: allowance.services.as_slice().into(),
                name: Arc::clone(&allowance.name),
                owner: subscription.member,
                subscription: subscription.no,
                ..self.units(allowance.kind, allowance.amount)
            };
            self.insert(bucket);
        }
    }

    /// Units that were used since go back into allowances of their kind that are still there, or into one that is made.
    fn put_back(&mut self, recorded: &Recorded, from_allowance: [u64; 3]) {
        for kind in [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events] {
            let units = from_allowance[index(kind)];
            if units == 0 {
                continue;
            }
            let known = self.account.buckets.iter_mut().find(|bucket| bucket.kind == BucketKind::Units(kind));
            if let Some(known) = known {
                known.amount = known.amount.saturating_add(i64::try_from(units).unwrap_or(i64::MAX));
            } else {
                let services = recorded.services_with_allowance(kind).into();
                let bucket = Bucket { services, name: BEFORE.into(), ..self.units(kind, units) };
                self.insert(bucket);
            }
        }
    }

    fn units(&self, kind: UnitKind, units: u64) -> Bucket {
        let amount = i64::try_from(units).unwrap_or(i64::MAX);
        Bucket {
            id: BucketId(self.account.next_bucket),
            kind: BucketKind::Units(kind),
            amount,
            reserved: 0,
            initial: amount,
            priority: 0,
            expires: None,
            services: Arc::new([]),
            name: "".into(),
            owner: MemberNo::SHARED,
            subscription: 0,
            rolled: 0,
        }
    }

    fn insert(&mut self, bucket: Bucket) {
        self.account.next_bucket = self.account.next_bucket.max(bucket.id.0.saturating_add(1));
        self.account.buckets.push(bucket);
        self.account.buckets.sort_by_key(Bucket::rank);
    }

    /// All money in sum; what is not elsewhere is in the main bucket.
    fn set_money(&mut self, money: i128) {
        let others = self.account.buckets.iter().filter(|bucket| bucket.kind == BucketKind::Money && !bucket.is_main());
        let others: i128 = others.map(|bucket| i128::from(bucket.amount)).sum();
        if let Some(main) = self.account.buckets.iter_mut().find(|bucket| bucket.is_main()) {
            main.amount = i64::try_from(money - others).unwrap_or(i64::MAX);
        }
    }

    /// Nothing is counted yet, the cycle is the one of that time, and the account lives.
    fn set_back_profile(&mut self, catalog: &Catalog, begins: Timestamp) {
        let opening = self.account.balance();
        let Some(profile) = self.account.profile.as_deref_mut() else { return };
        profile.counters.clear();
        profile.transfers.clear();
        profile.life = Life { remind_at: None, lapsed: false, ends: None, ..profile.life.clone() };
        if profile.cycle.is_some() {
            let (starts, ends) = catalog.span(Period::Cycle, profile.cycle_day(), begins);
            let late = late_secs(catalog, profile);
            profile.cycle = Some(Cycle { starts, ends, closes: ends.plus_secs(late), opening, ..Cycle::default() });
            profile.previous = None;
            self.fees.insert(FLOOR.into(), begins);
        }
    }
}

fn late_secs(catalog: &Catalog, profile: &Profile) -> u64 {
    profile.plan.as_deref().and_then(|plan| catalog.plan(plan)).map_or(0, |plan| plan.late_usage_secs)
}

/// When a period ended that ran at a moment, of those that end with `renews`.
fn last_renewal(catalog: &Catalog, period: Period, cycle_day: u8, renews: Timestamp, begins: Timestamp) -> Timestamp {
    match period {
        Period::Seconds(secs) => {
            let millis = u64::from(secs.max(1)) * 1_000;
            let back = renews.millis().saturating_sub(begins.millis() + 1) / millis;
            Timestamp::from_millis(renews.millis() - back * millis)
        }
        period => catalog.span(period, cycle_day, begins).1.min(renews),
    }
}

impl Recorded {
    fn given(&self) -> impl Iterator<Item = &Given> {
        self.acts.iter().filter_map(|act| match &act.what {
            What::Given(given) => Some(&**given),
            _ => None,
        })
    }

    fn usages(&self) -> impl Iterator<Item = (&Usage, bool)> {
        self.acts.iter().filter_map(|act| match &act.what {
            What::Session(usage) | What::Event(usage) => Some((&**usage, false)),
            What::Refund(usage) => Some((&**usage, true)),
            What::Given(_) => None,
        })
    }

    /// Adds up what allowances paid for.
    fn uses(&self, from_allowance: &mut [u64; 3]) {
        for (usage, is_back) in self.usages() {
            for used in &usage.uses {
                if is_back {
                    if let Measure::Units(kind) = used.measure {
                        let sum = &mut from_allowance[index(kind)];
                        *sum = sum.saturating_sub(used.from_allowance);
                    }
                } else {
                    add(from_allowance, used.measure, used.from_allowance);
                }
            }
        }
    }

    fn services_with_allowance(&self, kind: UnitKind) -> Vec<Arc<str>> {
        let uses = self.usages().flat_map(|(usage, _)| &usage.uses);
        let paid = uses.filter(|used| used.from_allowance > 0 && used.measure == Measure::Units(kind));
        let names: std::collections::BTreeSet<_> = paid.map(|used| Arc::clone(&used.service)).collect();
        names.into_iter().collect()
    }
}

fn add(sums: &mut [u64; 3], measure: Measure, units: u64) {
    if let Measure::Units(kind) = measure {
        let sum = &mut sums[index(kind)];
        *sum = sum.saturating_add(units);
    }
}

const fn index(kind: UnitKind) -> usize {
    match kind {
        UnitKind::Octets => 0,
        UnitKind::Seconds => 1,
        UnitKind::Events => 2,
    }
}
