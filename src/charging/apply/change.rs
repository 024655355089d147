//! Changes of an account by anything but usage.

use std::borrow::Cow;

use crate::{
    charging::{
        Account, AccountChanged, Bucket, BucketKind, ClosingCause, Counter, Credited, Detail, Entry, HistoryKind,
        HistoryLine, MemberNo, Profile, RememberedCredit, State,
    },
    ids::{AccountId, BucketId},
    time::Timestamp,
    units::Money,
};

impl AccountChanged {
    /// Money that comes in, or goes out if it is below zero, with the buckets that are new and the entries.
    pub(in crate::charging) fn money_moved(&self, account: &Account) -> Money {
        let of_bucket = |id: BucketId| {
            let known = account.bucket(id).map(|bucket| bucket.kind);
            known.or_else(|| self.buckets.iter().find(|bucket| bucket.id == id).map(|bucket| bucket.kind))
        };
        let new = self.buckets.iter().filter(|bucket| account.bucket(bucket.id).is_none());
        let opened = new.filter(|bucket| bucket.kind == BucketKind::Money).map(|bucket| bucket.amount);
        let moved = self.entries.iter().filter(|entry| of_bucket(entry.bucket) == Some(BucketKind::Money));
        let sum = opened.chain(moved.map(|entry| entry.amount)).fold(0i64, i64::saturating_add);
        Money::from_micros(sum)
    }
}

impl State {
    pub(super) fn apply_change(&mut self, event: &AccountChanged) {
        let keep = self.retention.history_entries;
        let Some(account) = self.accounts.get_mut(&event.account) else { return };
        let (mut moved, mut opened) = (Moved::default(), Vec::new());
        for bucket in &event.buckets {
            if put_bucket(account, bucket) {
                moved.open(account, bucket);
                let line = opening_line(bucket, event.at).with_detail(event.detail_of_bucket(bucket));
                account.remember(&HistoryLine { catalog: event.catalog, ..line }, keep);
                opened.push(bucket.id);
            }
        }
        for entry in &event.entries {
            if let Some(line) = moved.book(account, entry, event) {
                account.remember(&line, keep);
            }
        }
        if let Some(limit) = event.credit_limit {
            account.credit_limit = limit;
        }
        if let Some(never_stop) = event.never_stop {
            account.never_stop = never_stop;
        }
        let was_lapsed = account.is_lapsed();
        if moved.credited > 0 {
            account.retry_products(event.at);
        }
        change_profile(account, event);
        if was_lapsed && !account.is_lapsed() {
            account.retry_products(event.at);
        }
        self.balances += moved.credited - moved.debited;
        self.credited += moved.credited;
        self.debited += moved.debited;
        self.record_change(event, &opened);
        self.remove_buckets(event);
        self.begin(event.account, &event.begun, event.at);
        if let Some(state) = event.state {
            self.set_state(event.account, state);
        }
        self.apply_notices(event.account, &event.notices);
        for session in &event.closes {
            self.close(*session, ClosingCause::Withdrawn, event.at);
        }
        if let Some(account) = self.accounts.get_mut(&event.account) {
            for id in &event.spans_ended {
                if let Some(counter) = account.counter_mut(*id) {
                    counter.refused = false;
                }
            }
        }
        self.drop_counters_of(event.account, &event.removed_members);
        for session in &event.reauthorise {
            self.mark_reauthorise(*session, true, None);
        }
        if let Some(asked) = &event.asked {
            self.credits.insert(RememberedCredit {
                account: event.account,
                request_id: asked.request_id.clone(),
                at: event.at,
                kind: HistoryKind::Change,
                amount: 0,
                allowance: asked.what.clone(),
                balance: asked.balance,
                bucket: BucketId::MAIN,
            });
        }
        if let Some(account) = self.accounts.get(&event.account) {
            let sends = account.profile.as_deref().is_some_and(|profile| !profile.transfers.is_empty());
            if sends {
                self.senders.insert(event.account);
            } else {
                self.senders.remove(&event.account);
            }
        }
        self.forget(event.at);
    }

    /// Nobody is counted any more who has left; what sessions still hold goes when they end.
    fn drop_counters_of(&mut self, account: AccountId, gone: &[MemberNo]) {
        let profile = self.accounts.get_mut(&account).and_then(|account| account.profile.as_deref_mut());
        if let Some(profile) = profile.filter(|_| !gone.is_empty()) {
            profile.counters.retain(|counter| counter.reserved != 0 || !gone.contains(&counter.member));
        }
    }

    /// What others hold of a bucket is theirs until they give it back; and no money goes but by an entry.
    fn remove_buckets(&mut self, event: &AccountChanged) {
        let Some(account) = self.accounts.get_mut(&event.account) else { return };
        let empty = |bucket: &Bucket| bucket.reserved == 0 && (bucket.kind != BucketKind::Money || bucket.amount == 0);
        account.buckets.retain(|bucket| !(event.removed_buckets.contains(&bucket.id) && empty(bucket)));
    }

    /// Begins spans of counters. Those that are closed go.
    pub(super) fn begin(&mut self, account: AccountId, begun: &[Counter], at: Timestamp) {
        if begun.is_empty() {
            return;
        }
        let Some(account) = self.accounts.get_mut(&account) else { return };
        let profile = account.profile.get_or_insert_default();
        profile.counters.retain(|counter| !counter.is_closed(at));
        for counter in begun {
            account.next_bucket = account.next_bucket.max(counter.id.0.saturating_add(1));
            profile.counters.push(counter.clone());
        }
    }
}

/// Money that a change moved in total.
#[derive(Default)]
struct Moved {
    credited: i128,
    debited: i128,
}

impl Moved {
    fn money(&mut self, account: &mut Account, kind: HistoryKind, amount: i64) {
        let money = Money::from_micros(amount);
        account.count_in_cycle(kind, money);
        if money.is_negative() {
            account.debited = account.debited.saturating_sub(money);
            self.debited -= i128::from(amount);
        } else {
            account.credited = account.credited.saturating_add(money);
            self.credited += i128::from(amount);
        }
    }

    fn open(&mut self, account: &mut Account, bucket: &Bucket) {
        if bucket.kind == BucketKind::Money {
            self.money(account, HistoryKind::Gift, bucket.amount);
        }
    }

    fn book<'e>(
        &mut self,
        account: &mut Account,
        entry: &'e Entry,
        event: &'e AccountChanged,
    ) -> Option<HistoryLine<'e>> {
        let bucket = account.bucket_mut(entry.bucket)?;
        bucket.amount = bucket.amount.saturating_add(entry.amount);
        let mut line = HistoryLine::money(event.at, entry.kind, Money::ZERO);
        match bucket.kind {
            BucketKind::Money => {
                line.amount = Money::from_micros(entry.amount);
                self.money(account, entry.kind, entry.amount);
            }
            BucketKind::Units(kind) => (line.units, line.unit_kind) = (entry.amount.unsigned_abs(), Some(kind)),
        }
        line.service = Cow::Borrowed(&entry.name);
        line.request_id = Cow::Borrowed(event.asked.as_ref().map_or("", |asked| &asked.request_id));
        line.catalog = event.catalog;
        Some(line.with_detail(event.detail_of_entry(entry)))
    }
}

/// Gives what came with a top-up, and tells how much of it is money.
pub(super) fn give(account: &mut Account, event: &Credited, keep: usize) -> i128 {
    let mut moved = Moved::default();
    if !event.gifts.is_empty() {
        account.buckets.retain(|bucket| bucket.subscription != 0 || !bucket.is_spent(event.at));
    }
    for gift in &event.gifts {
        match account.bucket_mut(gift.id) {
            Some(known) => {
                known.amount = known.amount.saturating_add(gift.amount);
                known.initial = known.amount;
            }
            None => account.insert_bucket(gift.clone()),
        }
        moved.open(account, gift);
        let request_id = Cow::Borrowed(&*event.request_id);
        let line = HistoryLine {
            kind: HistoryKind::Gift,
            request_id,
            catalog: event.catalog,
            ..opening_line(gift, event.at).with_detail(Some(Detail::Gift(Money::from_micros(event.amount))))
        };
        account.remember(&line, keep);
    }
    moved.credited
}

/// Puts a bucket into an account, or gives a known one other terms. True = it is new.
fn put_bucket(account: &mut Account, bucket: &Bucket) -> bool {
    let Some(place) = account.buckets.iter().position(|known| known.id == bucket.id) else {
        account.insert_bucket(bucket.clone());
        return true;
    };
    let known = account.buckets.remove(place);
    let Bucket { amount, reserved, initial, .. } = known;
    account.insert_bucket(Bucket { amount, reserved, initial, ..bucket.clone() });
    false
}

fn opening_line(bucket: &Bucket, at: Timestamp) -> HistoryLine<'_> {
    let (amount, units) = match bucket.kind {
        BucketKind::Money => (Money::from_micros(bucket.amount), None),
        BucketKind::Units(kind) => (Money::ZERO, Some(kind)),
    };
    HistoryLine {
        units: units.map_or(0, |_| bucket.amount.unsigned_abs()),
        unit_kind: units,
        service: Cow::Borrowed(&bucket.name),
        ..HistoryLine::money(at, bucket.opening_kind(), amount)
    }
}

fn change_profile(account: &mut Account, event: &AccountChanged) {
    let AccountChanged { plan, cycle_day, life, cycles, subscriptions, members, sent, settled, .. } = event;
    let gone = !event.removed_subscriptions.is_empty() || !event.removed_members.is_empty() || !settled.is_empty();
    let new = plan.is_some() || cycle_day.is_some() || life.is_some() || cycles.is_some();
    if !gone && !new && subscriptions.is_empty() && members.is_empty() && sent.is_empty() {
        return;
    }
    let profile: &mut Profile = account.profile.get_or_insert_default();
    if let Some(plan) = plan {
        profile.plan.clone_from(plan);
    }
    if let Some(day) = cycle_day {
        profile.cycle_day = *day;
    }
    if let Some(life) = life {
        profile.life = (**life).clone();
    }
    if let Some(cycles) = cycles {
        (profile.cycle, profile.previous) = (**cycles).clone();
    }
    profile.subscriptions.retain(|known| !event.removed_subscriptions.contains(&known.no));
    for subscription in subscriptions {
        profile.next_subscription = profile.next_subscription.max(subscription.no.saturating_add(1));
        match profile.subscriptions.iter_mut().find(|known| known.no == subscription.no) {
            Some(known) => known.clone_from(subscription),
            None => profile.subscriptions.push(subscription.clone()),
        }
    }
    for member in members {
        profile.next_member = profile.next_member.max(member.no.0.saturating_add(1));
        match profile.members.iter_mut().find(|known| known.no == member.no) {
            Some(known) => known.clone_from(member),
            None => profile.members.push(member.clone()),
        }
    }
    // After the new ones: a subscriber without terms becomes a member and leaves at once.
    for no in &event.removed_members {
        let Some(place) = profile.members.iter().position(|member| member.no == *no) else { continue };
        let member = profile.members.remove(place);
        account.subscribers.retain(|subscriber| subscriber.id != member.subscriber);
    }
    profile.transfers.retain(|transfer| !settled.contains(&transfer.request_id));
    profile.transfers.extend(sent.iter().cloned());
}
