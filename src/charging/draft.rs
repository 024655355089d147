//! A change of an account in the making: what is to be is tried on a copy, so that each step of the decision sees what the
//! ones before it did, and is written down as the event that makes it true.

use std::sync::Arc;

use super::{
    Account, AccountChanged, Bucket, BucketKind, Cycle, Entry, FeeKind, History, HistoryKind, Notice, NoticeKind,
    Profile, State, Subscription, lifecycle,
    quota::{BALANCE_MAX, Ledger},
};
use crate::{ids::BucketId, rating::Catalog, time::Timestamp, units::Money};

/// A change of an account in the making.
pub(super) struct Draft<'a> {
    pub(super) catalog: &'a Catalog,
    /// The real time, whatever moment the change counts from.
    pub(super) now: Timestamp,
    /// The account as it is.
    before: &'a Account,
    /// The account as it will be.
    pub(super) account: Account,
    /// What makes it so.
    pub(super) changed: AccountChanged,
    told: Vec<NoticeKind>,
    cycles_changed: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(account: &'a Account, catalog: &'a Catalog, now: Timestamp) -> Self {
        let copy = Account { history: History::default(), ..account.clone() };
        let changed = AccountChanged { at: now, account: account.id, ..AccountChanged::default() };
        Self { catalog, now, before: account, account: copy, changed, told: Vec::new(), cycles_changed: false }
    }

    pub(super) fn profile(&mut self) -> &mut Profile {
        self.account.profile.get_or_insert_default()
    }

    /// Moves an amount in or out of a bucket.
    pub(super) fn enter(&mut self, kind: HistoryKind, bucket: BucketId, amount: i64, name: &Arc<str>) {
        self.enter_as(kind, FeeKind::Untold, bucket, amount, name);
    }

    /// Charges a fee.
    pub(super) fn enter_fee(&mut self, fee: FeeKind, amount: Money, name: &Arc<str>) {
        self.enter_as(HistoryKind::Fee, fee, BucketId::MAIN, -amount.micros(), name);
    }

    fn enter_as(&mut self, kind: HistoryKind, fee: FeeKind, bucket: BucketId, amount: i64, name: &Arc<str>) {
        let Some(known) = self.account.bucket_mut(bucket).filter(|_| amount != 0) else { return };
        known.amount = known.amount.saturating_add(amount);
        if known.kind == BucketKind::Money {
            self.account.count_in_cycle(kind, Money::from_micros(amount));
            let (debited, credited) = (&mut self.account.debited, &mut self.account.credited);
            let total = if amount < 0 { debited } else { credited };
            *total = total.saturating_add(Money::from_micros(amount.saturating_abs()));
        }
        self.changed.entries.push(Entry { kind, bucket, amount, name: Arc::clone(name), fee });
    }

    /// Puts a new bucket of units into the account; what it holds needs no entry.
    pub(super) fn open(&mut self, bucket: Bucket) {
        self.account.insert_bucket(bucket.clone());
        self.changed.buckets.push(bucket);
    }

    /// A bucket's units may be used until this moment and no longer. They go, but for what sessions hold: that stays until
    /// they report.
    pub(super) fn run_out(&mut self, id: BucketId, at: Timestamp) {
        let Some(bucket) = self.account.bucket(id).cloned() else { return };
        let free = bucket.amount.saturating_sub(bucket.reserved).max(0);
        self.enter(HistoryKind::Expired, id, -free, &bucket.name);
        if bucket.reserved == 0 {
            self.account.buckets.retain(|bucket| bucket.id != id);
            self.changed.removed_buckets.push(id);
        } else if bucket.is_valid(at) {
            self.expire(id, at);
        }
    }

    /// Ends a bucket's validity, whatever it holds.
    pub(super) fn expire(&mut self, id: BucketId, at: Timestamp) {
        let Some(place) = self.account.buckets.iter().position(|bucket| bucket.id == id) else { return };
        let bucket = Bucket { expires: Some(at), ..self.account.buckets.remove(place) };
        self.account.insert_bucket(bucket.clone());
        self.changed.buckets.retain(|known| known.id != id);
        self.changed.buckets.push(bucket);
    }

    /// Money of the main bucket that may be spent now: what sessions hold may not.
    fn spendable(&self) -> Money {
        let main = self.account.bucket(BucketId::MAIN);
        let free = main.map_or(0, |bucket| bucket.amount.saturating_sub(bucket.reserved));
        Money::from_micros(free).saturating_add(self.account.credit_limit)
    }

    /// What is missing to pay an amount; `None` = it can be paid. An account on the red list can always pay.
    pub(super) fn missing(&self, amount: Money) -> Option<Money> {
        let missing = amount.saturating_sub(self.spendable());
        (amount.is_positive() && missing.is_positive() && !self.account.never_stop).then_some(missing)
    }

    /// Whether the account can count what is left after a charge.
    pub(super) fn can_count(&self, charge: Money) -> bool {
        let fits = |value: i64| value.unsigned_abs() <= BALANCE_MAX.unsigned_abs();
        let main = self.account.bucket(BucketId::MAIN).map_or(0, |bucket| bucket.amount);
        fits(main.saturating_sub(charge.micros())) && fits(self.account.debited.saturating_add(charge).micros())
    }

    /// The subscription as it is from now on.
    pub(super) fn put_subscription(&mut self, subscription: Subscription) {
        let profile = self.profile();
        profile.next_subscription = profile.next_subscription.max(subscription.no.saturating_add(1));
        profile.subscriptions.retain(|known| known.no != subscription.no);
        profile.subscriptions.push(subscription.clone());
        self.changed.subscriptions.retain(|known| known.no != subscription.no);
        self.changed.subscriptions.push(subscription);
    }

    pub(super) fn remove_subscription(&mut self, no: u32) {
        self.profile().subscriptions.retain(|known| known.no != no);
        self.changed.subscriptions.retain(|known| known.no != no);
        self.changed.removed_subscriptions.push(no);
    }

    /// Changes the cycles: the one that runs, and the one before.
    pub(super) fn change_cycles(&mut self, change: impl FnOnce(&mut (Option<Cycle>, Option<Cycle>))) {
        let profile = self.profile();
        let mut cycles = (profile.cycle.take(), profile.previous.take());
        change(&mut cycles);
        (profile.cycle, profile.previous) = cycles;
        self.cycles_changed = true;
    }

    pub(super) fn tell(&mut self, kind: NoticeKind) {
        self.told.push(kind);
    }

    /// Whether a product is gone, or pauses, whose caps grants may have been made under: nobody holds money for what they
    /// cost without, so that they are to be given back soon.
    fn takes_terms(&self) -> bool {
        let before = || self.before.profile.iter().flat_map(|profile| &profile.subscriptions).filter(|it| it.begun);
        let stays = |it: &Subscription| {
            let after = self.account.profile.as_deref().and_then(|profile| profile.subscription(it.no));
            after.is_some_and(|after| after.begun && after.product == it.product)
        };
        let has_limits =
            |it: &Subscription| self.catalog.product(&it.product).is_some_and(|product| !product.limits.is_empty());
        before().any(|it| !stays(it) && has_limits(it))
    }

    /// The change, with what follows of it for the account's life and for sessions that wait for credit.
    pub(super) fn finish(mut self, state: &State) -> AccountChanged {
        let before = self.before;
        if self.cycles_changed {
            // As they are after all that was counted in them.
            let profile = self.profile();
            self.changed.cycles = Some(Box::new((profile.cycle.clone(), profile.previous.clone())));
        }
        let ledger = Ledger::new(&self.account, self.now);
        let balance = ledger.balance();
        let notice = |kind| Notice { account: before.id, at: self.now, balance, kind };
        let mut notices: Vec<Notice> = std::mem::take(&mut self.told).into_iter().map(notice).collect();
        // A bucket that is known gets other terms only when it runs out.
        let runs_out = self.changed.buckets.iter().any(|bucket| before.bucket(bucket.id).is_some());
        let takes = runs_out || self.changed.entries.iter().any(|entry| entry.amount < 0);
        if takes {
            // What ran out was not used: no threshold of an allowance is crossed by it.
            let money = before.buckets.iter().filter(|bucket| bucket.kind == BucketKind::Money);
            let before = Account { buckets: money.cloned().collect(), ..Account::clone(before) };
            notices.extend(lifecycle::notices_of_debit(&before, &ledger, self.catalog, self.now));
        }
        let exhausted = lifecycle::is_exhausted(before, &ledger);
        if before.credit_stopped && !exhausted {
            notices.push(notice(NoticeKind::Reconnect));
        }
        if !exhausted && self.changed.gives() {
            self.changed.reauthorise = lifecycle::waiting_for_given(state, &self.account, &self.changed);
        }
        if self.takes_terms() {
            let granted = lifecycle::granted(state, before);
            let known = self.changed.reauthorise.clone();
            self.changed.reauthorise.extend(granted.into_iter().filter(|no| !known.contains(no)));
        }
        self.changed.notices = notices;
        self.changed
    }
}

impl AccountChanged {
    /// Whether there is more to be had than before: units, money, or terms of a product.
    fn gives(&self) -> bool {
        self.buckets.iter().any(|bucket| bucket.amount > 0)
            || self.entries.iter().any(|entry| entry.amount > 0)
            || self.subscriptions.iter().any(|it| it.begun)
    }
}
