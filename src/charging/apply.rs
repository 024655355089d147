//! Makes events true. Total: it cannot refuse, and it is the same code live and in recovery.

use std::{borrow::Cow, sync::Arc};

use super::{
    Account, AccountState, BucketKind, Closed, ClosingCause, Credited, Draw, Event, EventCharged, HistoryKind,
    HistoryLine, Interrogated, Notice, NoticeKind, Quota, RememberedCredit, RememberedEvent, RequestKind, Retention,
    Session, State, Step, history::unit_kind,
};
use crate::{
    ids::{AccountId, BucketId, SessionKey, SessionNo},
    time::Timestamp,
    units::Money,
};

/// How many of each kind are forgotten at most with one event.
const FORGET_AT_ONCE: usize = 64;

impl State {
    /// Makes an event true.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::AccountCreated { account, currency, credit_limit, never_stop, buckets, at } => {
                let opening =
                    buckets.iter().find(|bucket| bucket.id == BucketId::MAIN).map_or(0, |bucket| bucket.amount);
                let mut new = Account {
                    id: *account,
                    currency: *currency,
                    state: AccountState::Active,
                    credit_stopped: false,
                    never_stop: *never_stop,
                    credit_limit: *credit_limit,
                    buckets: Vec::with_capacity(buckets.len()),
                    subscribers: Vec::new(),
                    sessions: Vec::new(),
                    credited: Money::from_micros(opening),
                    debited: Money::ZERO,
                    history: Default::default(),
                    next_bucket: 1,
                    opening_allowances: u32::try_from(buckets.len().saturating_sub(1)).unwrap_or(u32::MAX),
                };
                buckets.iter().for_each(|bucket| new.insert_bucket(bucket.clone()));
                if opening != 0 {
                    let line = HistoryLine::money(*at, HistoryKind::Opening, Money::from_micros(opening));
                    new.remember(&line, self.retention.history_entries);
                }
                self.credited += i128::from(opening);
                self.balances += i128::from(opening);
                self.accounts.insert(*account, new);
            }
            Event::SubscriberCreated { account, subscriber, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.subscribers.push(subscriber.clone());
                }
            }
            Event::StateChanged { account, state, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    // An operator lifts a suspension, not a credit stop: only a credit does.
                    let stopped = *state == AccountState::Active && account.credit_stopped;
                    account.state = if stopped { AccountState::Stopped } else { *state };
                }
            }
            Event::Interrogated(event) => self.apply_interrogated(event),
            Event::EventCharged(event) => self.apply_event(event),
            Event::Credited(event) => self.apply_credit(event),
            // A record for people and metrics; it changes no balance.
            Event::OrphanUsage(_) => {}
            Event::SessionClosed { session, cause, at } => self.close(*session, *cause, *at),
            Event::ReAuthorise { session, wanted, .. } => self.mark_reauthorise(*session, *wanted),
        }
    }

    fn apply_interrogated(&mut self, event: &Interrogated) {
        if let Some(opening) = &event.opening {
            let session = Session {
                no: event.session,
                id: opening.session_id.clone(),
                sub_session: opening.sub_session,
                account: event.account,
                context: self.intern(&opening.context),
                origin_host: self.intern(&opening.origin_host),
                origin_realm: self.intern(&opening.origin_realm),
                opened: event.at,
                last_request: event.at,
                expires: event.expires,
                queued: event.expires,
                quotas: Vec::with_capacity(event.steps.len()),
                answers: Default::default(),
                highest_update: 0,
                seen_updates: 0,
                reauthorise: false,
                attributes: None,
                pools: Vec::new(),
            };
            self.insert_session(session);
        }
        for step in &event.steps {
            self.apply_step(event.session, event.account, step);
        }
        self.apply_notices(event.account, &event.notices);
        let moved = event.moved_to.as_ref().map(|to| (self.intern(&to.host), self.intern(&to.realm)));
        let Some(session) = self.sessions.get_mut(&event.session) else { return };
        session.last_request = event.at;
        if let Some((host, realm)) = moved {
            (session.origin_host, session.origin_realm) = (host, realm);
        }
        if event.attributes.is_some() {
            session.attributes.clone_from(&event.attributes);
        }
        // The queue may look too early, never too late: only an earlier end needs a new place in it.
        if event.expires < session.queued {
            self.supervision.remove(&(session.queued, event.session));
            self.supervision.insert((event.expires, event.session));
            session.queued = event.expires;
        }
        session.expires = event.expires;
        session.remember(Arc::clone(&event.answer));
        if event.answer.kind == RequestKind::Update && session.reauthorise {
            session.reauthorise = false;
            self.reauthorise.remove(&event.session);
        }
        if let Some(cause) = event.closes {
            self.close(event.session, cause, event.at);
        }
    }

    /// Puts a running session into all indexes.
    pub(super) fn insert_session(&mut self, session: Session) {
        self.next_session = self.next_session.max(session.no.0.saturating_add(1));
        self.session_keys.insert(session.key(), session.no);
        self.supervision.insert((session.queued, session.no));
        if session.reauthorise {
            self.reauthorise.insert(session.no);
        }
        if let Some(account) = self.accounts.get_mut(&session.account) {
            account.sessions.push(session.no);
        }
        self.sessions.insert(session.no, session);
    }

    fn apply_step(&mut self, no: SessionNo, account: AccountId, step: &Step) {
        let service = self.intern(&step.service);
        let Some(session) = self.sessions.get_mut(&no) else { return };
        let index = session.quotas.iter().position(|quota| quota.key == step.key).unwrap_or_else(|| {
            session.quotas.push(Quota {
                key: step.key,
                service: Arc::clone(&service),
                measure: step.measure,
                ..Quota::default()
            });
            session.quotas.len() - 1
        });
        let Some(quota) = session.quotas.get_mut(index) else { return };
        let released = std::mem::replace(&mut quota.holds, step.holds.clone());
        quota.service = service;
        if quota.measure != step.measure {
            // The service counts something else now: the price begins anew, what was charged stays.
            (quota.measure, quota.used, quota.rated, quota.from_allowance) = (step.measure, 0, 0, 0);
            quota.rated_by.clear();
        }
        quota.granted = step.granted;
        quota.used = quota.used.saturating_add(step.used);
        match &step.tariff {
            None => quota.rated = quota.rated.saturating_add(step.rated),
            Some(tariff) => quota.add_rated_by(tariff, step.rated),
        }
        quota.charged = quota.charged.saturating_add(step.charged);
        quota.validity_secs = step.validity_secs;
        quota.final_units = step.final_units;
        quota.refused = step.refused;
        quota.terms.clone_from(&step.terms);
        quota.pool = step.pool;
        self.reserve(account, &released, -1);
        let from_allowance = self.debit(account, &step.debits, step.charged);
        self.reserve(account, &step.holds, 1);
        let quota = self.sessions.get_mut(&no).and_then(|session| session.quotas.get_mut(index));
        if let Some(quota) = quota.filter(|_| from_allowance > 0) {
            quota.from_allowance = quota.from_allowance.saturating_add(from_allowance);
        }
    }

    /// Adds to (sign 1) or takes from (sign -1) what is reserved in buckets.
    fn reserve(&mut self, account: AccountId, draws: &[Draw], sign: i64) {
        let Some(account) = self.accounts.get_mut(&account) else { return };
        for draw in draws {
            if let Some(bucket) = account.bucket_mut(draw.bucket) {
                bucket.reserved += sign * draw.amount;
                if bucket.kind == BucketKind::Money {
                    self.reserved += i128::from(sign * draw.amount);
                }
            }
        }
    }

    /// Takes from buckets, and tells how many units came from allowances.
    fn debit(&mut self, account: AccountId, draws: &[Draw], charged: Money) -> u64 {
        let Some(account) = self.accounts.get_mut(&account) else { return 0 };
        let mut units = 0u64;
        for draw in draws {
            if let Some(bucket) = account.bucket_mut(draw.bucket) {
                bucket.amount = bucket.amount.saturating_sub(draw.amount);
                if bucket.kind == BucketKind::Money {
                    self.balances -= i128::from(draw.amount);
                } else {
                    units = units.saturating_add(draw.amount.unsigned_abs());
                }
            }
        }
        account.debited = account.debited.saturating_add(charged);
        self.debited += i128::from(charged.micros());
        units
    }

    fn apply_event(&mut self, event: &EventCharged) {
        let keep = self.retention.history_entries;
        for step in &event.steps {
            let from_allowance = self.debit(event.account, &step.debits, step.charged);
            let line = HistoryLine {
                units: step.used,
                unit_kind: unit_kind(step.measure),
                units_from_allowance: from_allowance,
                service: Cow::Borrowed(&step.service),
                rating_group: step.key.rating_group.unwrap_or(0),
                session_id: Some(Cow::Borrowed(event.session_id.as_bytes())),
                ..HistoryLine::money(event.at, HistoryKind::Usage, -step.charged)
            };
            if let Some(account) = self.accounts.get_mut(&event.account) {
                account.remember(&line, keep);
            }
        }
        self.apply_notices(event.account, &event.notices);
        let key = SessionKey::of_sub_session(event.session_id.as_bytes(), event.sub_session);
        self.events.insert(RememberedEvent::new(key, event.account, event.at, &event.answer));
        self.forget(event.at);
    }

    fn apply_credit(&mut self, event: &Credited) {
        let keep = self.retention.history_entries;
        let Some(account) = self.accounts.get_mut(&event.account) else { return };
        let is_money = event.kind != HistoryKind::Allowance;
        if let Some(bucket) = &event.new_bucket {
            account.buckets.retain(|bucket| !bucket.is_spent(event.at));
            account.insert_bucket((**bucket).clone());
        } else if let Some(bucket) = account.bucket_mut(event.bucket) {
            bucket.amount = bucket.amount.saturating_add(event.amount);
        }
        if is_money {
            let money = Money::from_micros(event.amount);
            self.balances += i128::from(event.amount);
            if money.is_negative() {
                account.debited = account.debited.saturating_sub(money);
                self.debited -= i128::from(event.amount);
            } else {
                account.credited = account.credited.saturating_add(money);
                self.credited += i128::from(event.amount);
            }
        }
        let name = event.new_bucket.as_ref().map(|bucket| &*bucket.name);
        let mut line = HistoryLine::money(event.at, event.kind, Money::ZERO);
        line.request_id = Cow::Borrowed(&event.request_id);
        line.service = Cow::Borrowed(name.unwrap_or(&event.reason));
        if is_money {
            line.amount = Money::from_micros(event.amount);
        } else if let Some(BucketKind::Units(kind)) = event.new_bucket.as_ref().map(|bucket| bucket.kind) {
            line.units = event.amount.unsigned_abs();
            line.unit_kind = Some(kind);
        }
        account.remember(&line, keep);
        self.apply_notices(event.account, &event.notices);
        for session in &event.reauthorise {
            self.mark_reauthorise(*session, true);
        }
        self.credits.insert(RememberedCredit {
            account: event.account,
            request_id: event.request_id.clone(),
            at: event.at,
            kind: event.kind,
            amount: if is_money { event.amount } else { 0 },
            allowance: name.unwrap_or_default().into(),
            balance: event.balance,
            bucket: event.bucket,
        });
        self.forget(event.at);
    }

    fn apply_notices(&mut self, account: AccountId, notices: &[Notice]) {
        let Some(account) = self.accounts.get_mut(&account) else { return };
        for notice in notices {
            match notice.kind {
                NoticeKind::CreditStop => account.credit_stopped = true,
                NoticeKind::Reconnect => account.credit_stopped = false,
                NoticeKind::TopUp { .. } | NoticeKind::Threshold { .. } | NoticeKind::Overdraft { .. } => continue,
            }
            account.state = match (account.state, account.credit_stopped) {
                (AccountState::Active, true) => AccountState::Stopped,
                (AccountState::Stopped, false) => AccountState::Active,
                (state, _) => state,
            };
        }
    }

    fn mark_reauthorise(&mut self, no: SessionNo, wanted: bool) {
        let Some(session) = self.sessions.get_mut(&no) else { return };
        session.reauthorise = wanted;
        if wanted {
            self.reauthorise.insert(no);
        } else {
            self.reauthorise.remove(&no);
        }
    }

    /// Ends a session: everything it still holds is released, its lines go to the account's history, and its last answer
    /// is remembered.
    fn close(&mut self, no: SessionNo, cause: ClosingCause, at: Timestamp) {
        let Some(session) = self.sessions.remove(&no) else { return };
        let key = session.key();
        self.session_keys.remove(&key);
        self.ended.push(key);
        self.reauthorise.remove(&no);
        self.supervision.remove(&(session.queued, no));
        for quota in &session.quotas {
            self.reserve(session.account, &quota.holds, -1);
        }
        let keep = self.retention.history_entries;
        if let Some(account) = self.accounts.get_mut(&session.account) {
            account.sessions.retain(|other| *other != no);
            for quota in session.quotas.iter().filter(|quota| quota.used > 0) {
                account.remember(&HistoryLine::usage(&session, quota, at), keep);
            }
        }
        let answered = matches!(cause, ClosingCause::Terminated | ClosingCause::Refused);
        let answer = session.answers.back().filter(|_| answered);
        self.closed.insert(Closed::new(key, session.account, at, answer));
        self.forget(at);
    }

    /// Drops what has been remembered for long enough. Driven by the time of events, so that a replay forgets the same. A
    /// little at once, and more than comes in: after a quiet hour nobody waits until all is gone.
    fn forget(&mut self, now: Timestamp) {
        let Retention { session_secs, event_secs, request_id_secs, .. } = self.retention;
        let is_over = |at: Timestamp, secs| at.plus_secs(secs) < now;
        for _ in 0..FORGET_AT_ONCE {
            if self.closed.oldest().is_some_and(|closed| is_over(closed.at, session_secs)) {
                self.closed.forget_oldest();
            }
            if self.events.oldest().is_some_and(|event| is_over(event.at, event_secs)) {
                self.events.forget_oldest();
            }
            if self.credits.oldest().is_some_and(|credit| is_over(credit.at, request_id_secs)) {
                self.credits.forget_oldest();
            }
        }
    }
}
