//! Makes events true. Total: it cannot refuse, and it is the same code live and in recovery.

mod change;
mod detail;

use std::{borrow::Cow, sync::Arc};

use self::detail::{RefundOf, note_step};
use super::{
    Account, AccountState, Answer, BucketKind, Client, Closed, ClosingCause, Credited, DebitRef, Draw, Event,
    EventAction, EventCharged, Grown, HistoryKind, HistoryLine, Interrogated, LifeStep, Notice, NoticeKind,
    OrphanUsage, Quota, Reheld, RememberedCredit, RememberedEvent, RequestKind, Retention, Session, State, Step,
    history::unit_kind,
    refund,
    state::{event_key, report_key},
};
use crate::{
    few::Few,
    ids::{AccountId, BucketId, SessionKey, SessionNo},
    time::Timestamp,
    units::Money,
};

/// Stands for the account of usage that named none.
const NOBODY: AccountId = AccountId(0);
/// How many of each kind are forgotten at most with one event.
const FORGET_AT_ONCE: usize = 64;

impl State {
    /// Makes an event true.
    pub fn apply(&mut self, event: &Event) {
        // No event moves anything of two accounts. What is due for the one is looked for once, whatever has moved.
        let account = self.account_of(event);
        let next_due = |state: &Self| state.accounts.get(&account?).and_then(Account::next_due);
        let before = next_due(self);
        self.make_true(event);
        let after = next_due(self);
        if let Some(account) = account {
            self.queue_account(account, before, after);
        }
        self.rest();
    }

    /// The account that an event is about, if it is about one.
    fn account_of(&self, event: &Event) -> Option<AccountId> {
        match event {
            Event::AccountCreated { account, .. }
            | Event::SubscriberCreated { account, .. }
            | Event::StateChanged { account, .. } => Some(*account),
            Event::AccountChanged(event) => Some(event.account),
            Event::Interrogated(event) => Some(event.account),
            Event::EventCharged(event) => Some(event.account),
            Event::Credited(event) => Some(event.account),
            Event::OrphanUsage(event) => event.account,
            Event::SessionClosed { session, .. }
            | Event::ReAuthorise { session, .. }
            | Event::Abort { session, .. } => self.sessions.get(session).map(|session| session.account),
            Event::VouchersCreated { .. }
            | Event::VoucherMarked { .. }
            | Event::VouchersBlocked { .. }
            | Event::ClientState { .. } => None,
        }
    }

    fn make_true(&mut self, event: &Event) {
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
                    profile: None,
                };
                buckets.iter().for_each(|bucket| new.insert_bucket(bucket.clone()));
                if opening != 0 {
                    let line = HistoryLine::money(*at, HistoryKind::Opening, Money::from_micros(opening));
                    new.remember(&line, self.retention.history_entries);
                }
                self.credited += i128::from(opening);
                self.balances += i128::from(opening);
                self.accounts.insert(new);
                self.record_opening(*account, buckets, *at);
            }
            Event::SubscriberCreated { account, subscriber, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.subscribers.push(subscriber.clone());
                }
            }
            Event::StateChanged { account, state, .. } => self.set_state(*account, *state),
            Event::AccountChanged(event) => self.apply_change(event),
            Event::Interrogated(event) => self.apply_interrogated(event),
            Event::EventCharged(event) => self.apply_event(event),
            Event::Credited(event) => self.apply_credit(event),
            Event::OrphanUsage(event) => self.apply_orphan(event),
            Event::VouchersCreated { batch, blocked, vouchers, .. } => self.create_vouchers(batch, *blocked, vouchers),
            Event::VoucherMarked { key, mark, .. } => self.mark_voucher(*key, mark),
            Event::VouchersBlocked { batch, blocked, .. } => self.block_vouchers(batch, *blocked),
            Event::SessionClosed { session, cause, wake, at } => {
                self.wake(wake, *at);
                self.close(*session, *cause, *at);
            }
            Event::ReAuthorise { session, wanted, group, .. } => self.mark_reauthorise(*session, *wanted, *group),
            Event::Abort { session, wanted, .. } => self.mark_abort(*session, *wanted),
            Event::ClientState { host, state_id, at } => {
                let known = self.clients.contains_key(host);
                let client = Client { state_id: *state_id, restarted: known.then_some(*at) };
                self.clients.insert(Arc::clone(host), client);
            }
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
                incarnation: 0,
                abort: false,
                reauthorise_group: None,
                woken: Timestamp::EPOCH,
                reported: 0,
                member: opening.member,
                catalog: opening.catalog,
            };
            self.insert_session(session);
        }
        self.begin(event.account, &event.begun, event.at);
        for step in &event.steps {
            self.apply_step(event, step);
        }
        self.rehold(event.account, &event.reheld);
        self.mark_refused(event.account, &event.reached);
        self.apply_notices(event.account, &event.notices);
        self.wake(&event.wake, event.at);
        let moved = event.moved_to.as_ref().map(|to| (self.intern(&to.host), self.intern(&to.realm)));
        let Some(session) = self.sessions.get_mut(&event.session) else { return };
        session.last_request = event.at;
        session.catalog = event.catalog.unwrap_or(session.catalog);
        if let Some(member) = event.member {
            session.member = member;
            let untouched = |quota: &&mut Quota| event.steps.iter().all(|step| step.key != quota.key);
            session.quotas.iter_mut().filter(untouched).for_each(|quota| quota.without_terms = quota.granted > 0);
        }
        if let Some((host, realm)) = moved {
            (session.origin_host, session.origin_realm) = (host, realm);
        }
        if let Some(incarnation) = event.incarnation {
            session.incarnation = incarnation;
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
        session.reported = event.steps.iter().fold(0, |sum, step| sum.wrapping_add(step.used));
        session.remember(Arc::clone(&event.answer));
        if event.answer.kind == RequestKind::Update && session.reauthorise {
            self.mark_reauthorise(event.session, false, None);
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
        if session.reauthorise || session.abort {
            self.reauthorise.insert(session.no);
        }
        self.sub_sessions += usize::from(session.sub_session != 0);
        if let Some(account) = self.accounts.get_mut(&session.account) {
            account.sessions.push(session.no);
        }
        self.sessions.insert(session.no, session);
    }

    fn apply_step(&mut self, event: &Interrogated, step: &Step) {
        let (no, account) = (event.session, event.account);
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
        if session.quotas.get(index).is_some_and(|quota| quota.needs_line(step)) {
            self.close_line(no, index, event.at);
        }
        let Some(session) = self.sessions.get_mut(&no) else { return };
        // Looked up only where a step is not plain.
        let accounts = &self.accounts;
        note_step(session, index, event, step, |bucket| accounts.get(&account)?.bucket(bucket));
        let Some(quota) = session.quotas.get_mut(index) else { return };
        let own = if step.pool.is_none() { step.holds.clone() } else { Few::new() };
        let mut released = std::mem::replace(&mut quota.holds, own);
        quota.service = service;
        // A step without a number is by the version that the session goes by from now on.
        quota.catalog = if step.catalog == 0 { event.catalog.unwrap_or(session.catalog) } else { step.catalog };
        if quota.measure != step.measure {
            quota.count(step.measure);
        }
        quota.granted = step.granted;
        quota.without_terms = false;
        quota.used = quota.used.saturating_add(step.used);
        quota.add_rated(step.tariff.as_ref(), step.rated);
        quota.charged = quota.charged.saturating_add(step.charged);
        quota.validity_secs = step.validity_secs;
        quota.final_units = step.final_units;
        quota.refused = step.refused;
        quota.terms.clone_from(&step.terms);
        quota.pool = step.pool;
        quota.grown = (step.slice > 0).then(|| Box::new(Grown { slice: step.slice, at: event.at }));
        if let Some(pool) = step.pool {
            released.extend(session.replace_pool(pool, &step.holds));
        }
        self.reserve(account, &released, -1);
        let from_allowance = self.debit(account, &step.debits, step.charged);
        self.reserve(account, &step.holds, 1);
        let quota = self.sessions.get_mut(&no).and_then(|session| session.quotas.get_mut(index));
        if let Some(quota) = quota.filter(|_| from_allowance > 0) {
            quota.from_allowance = quota.from_allowance.saturating_add(from_allowance);
        }
    }

    /// Tells of a quota while its session runs: another line tells what comes.
    fn close_line(&mut self, no: SessionNo, index: usize, at: Timestamp) {
        let Some(mut session) = self.sessions.remove(&no) else { return };
        if let Some(quota) = session.quotas.get(index) {
            if let Some(account) = self.accounts.get_mut(&session.account) {
                account.remember(&HistoryLine::usage(&session, quota, at), self.retention.history_entries);
            }
            self.record_usage(&session, std::slice::from_ref(quota), None, at);
        }
        let member = session.member;
        if let Some(quota) = session.quotas.get_mut(index) {
            quota.tell(member);
        }
        self.sessions.insert(no, session);
    }

    /// Adds to (sign 1) or takes from (sign -1) what is reserved in buckets.
    fn reserve(&mut self, account: AccountId, draws: &[Draw], sign: i64) {
        if draws.is_empty() {
            return;
        }
        let Some(account) = self.accounts.get_mut(&account) else { return };
        for draw in draws {
            if let Some(bucket) = account.bucket_mut(draw.bucket) {
                bucket.reserved += sign * draw.amount;
                if bucket.kind == BucketKind::Money {
                    self.reserved += i128::from(sign * draw.amount);
                }
            } else if let Some(counter) = account.counter_mut(draw.bucket) {
                counter.reserved += sign * draw.amount;
            }
        }
    }

    /// Has other quotas hold something else than before.
    fn rehold(&mut self, account: AccountId, reheld: &[Reheld]) {
        for Reheld { session, key, holds } in reheld {
            let session = self.sessions.get_mut(session).filter(|session| session.account == account);
            let quota = session.and_then(|session| session.quotas.iter_mut().find(|quota| quota.key == *key));
            let Some(quota) = quota else { continue };
            let released = std::mem::replace(&mut quota.holds, holds.clone());
            self.reserve(account, &released, -1);
            self.reserve(account, holds, 1);
        }
    }

    /// Limits have refused something: at the end of their span sessions are to be asked again.
    fn mark_refused(&mut self, account: AccountId, reached: &[BucketId]) {
        let Some(account) = self.accounts.get_mut(&account).filter(|_| !reached.is_empty()) else { return };
        for id in reached {
            if let Some(counter) = account.counter_mut(*id) {
                counter.refused = true;
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
            } else if let Some(counter) = account.counter_mut(draw.bucket) {
                counter.used = counter.used.saturating_add(draw.amount);
            }
        }
        account.debited = account.debited.saturating_add(charged);
        self.debited += i128::from(charged.micros());
        units
    }

    fn apply_event(&mut self, event: &EventCharged) {
        let refund = event.action == EventAction::Refund;
        self.begin(event.account, &event.begun, event.at);
        let mut charged = Vec::with_capacity(event.steps.len());
        for step in &event.steps {
            let given = if event.refund_of.is_some() { RefundOf::Debit } else { RefundOf::Nothing };
            let detail = self.detail_of(event.account, step, event.catalog, event.at, refund.then_some(given));
            let (kind, amount, units) = if refund {
                let units = self.give_back(event.account, &step.debits, step.charged);
                (HistoryKind::Refund, step.charged, units)
            } else {
                (HistoryKind::Usage, -step.charged, self.debit(event.account, &step.debits, step.charged))
            };
            self.remember_step(
                event.account,
                event.session_id.as_bytes(),
                step,
                units,
                HistoryLine { catalog: event.catalog, ..HistoryLine::money(event.at, kind, amount) }
                    .with_breakdown(detail.as_ref()),
            );
            charged.push((units, detail));
        }
        if refund && let Some(account) = self.accounts.get_mut(&event.account) {
            account.retry_products(event.at);
        }
        self.rehold(event.account, &event.reheld);
        self.record_event(event, charged);
        self.apply_notices(event.account, &event.notices);
        if let Some(DebitRef { key, number }) = event.refund_of
            && let Some(debit) = self.charged_event(key, event.account, number)
        {
            let left = refund::left_after(debit.left(), &event.steps);
            let debit = debit.with_left(left);
            self.events.insert(debit);
        }
        for session in &event.reauthorise {
            self.mark_reauthorise(*session, true, None);
        }
        let key = event_key(SessionKey::of_sub_session(event.session_id.as_bytes(), event.sub_session), event.action);
        let new = RememberedEvent::new(key, event.account, event.at, &event.answer, event.action, &event.steps);
        self.events.insert(new);
        self.forget(event.at);
    }

    /// Usage without a session: charged if it has steps, and remembered, so that a copy of the report is known as one.
    fn apply_orphan(&mut self, event: &OrphanUsage) {
        let mut charged = Vec::new();
        if let Some(account) = event.account {
            self.begin(account, &event.begun, event.at);
            for step in &event.steps {
                let detail = self.detail_of(account, step, event.catalog, event.at, None);
                let units = self.debit(account, &step.debits, step.charged);
                let line = HistoryLine::money(event.at, HistoryKind::Usage, -step.charged);
                let line = HistoryLine { catalog: event.catalog, ..line }.with_breakdown(detail.as_ref());
                self.remember_step(account, event.session_id.as_bytes(), step, units, line);
                charged.push((units, detail));
            }
            self.rehold(account, &event.reheld);
            self.apply_notices(account, &event.notices);
        }
        let key = SessionKey::of_sub_session(event.session_id.as_bytes(), event.sub_session);
        self.record_late(event, charged);
        let answer = Arc::new(Answer::bare(event.kind, event.number, event.verdict));
        let account = event.account.unwrap_or(NOBODY);
        let key = report_key(key, event.kind, event.number);
        self.closed.insert(Closed::new(key, account, event.at, Some(&answer)));
        self.forget(event.at);
    }

    /// Puts a step that belongs to no session into an account's history.
    fn remember_step(
        &mut self,
        account: AccountId,
        session_id: &[u8],
        step: &Step,
        from_allowance: u64,
        line: HistoryLine<'_>,
    ) {
        let keep = self.retention.history_entries;
        let line = HistoryLine {
            units: step.used,
            unit_kind: unit_kind(step.measure),
            units_from_allowance: from_allowance,
            service: Cow::Borrowed(&step.service),
            rating_group: step.key.rating_group.unwrap_or(0),
            session_id: Some(Cow::Borrowed(session_id)),
            ..line
        };
        if let Some(account) = self.accounts.get_mut(&account) {
            account.remember(&line, keep);
        }
    }

    /// Puts back into buckets what was taken out of them, and tells how many units went to allowances.
    fn give_back(&mut self, account: AccountId, draws: &[Draw], money: Money) -> u64 {
        let Some(account) = self.accounts.get_mut(&account) else { return 0 };
        // What no open cycle takes off its usage has come in during the one that runs, or a statement would not add up.
        let mut credited = money;
        let mut units = 0u64;
        for draw in draws {
            if let Some(bucket) = account.bucket_mut(draw.bucket) {
                bucket.amount = bucket.amount.saturating_add(draw.amount);
                if bucket.kind == BucketKind::Money {
                    self.balances += i128::from(draw.amount);
                } else {
                    units = units.saturating_add(draw.amount.unsigned_abs());
                }
            } else {
                let is_usage = account.counts_usage_of_open_cycle(draw.bucket);
                let Some(counter) = account.counter_mut(draw.bucket) else { continue };
                // A span that began since then has not counted it.
                let before = counter.used;
                counter.used = before.saturating_sub(draw.amount).max(0);
                if is_usage {
                    let taken_off = Money::from_micros(before.saturating_sub(counter.used));
                    credited = credited.saturating_sub(taken_off);
                }
            }
        }
        account.count_in_cycle(HistoryKind::Refund, credited);
        account.credited = account.credited.saturating_add(money);
        self.credited += i128::from(money.micros());
        units
    }

    fn apply_credit(&mut self, event: &Credited) {
        let keep = self.retention.history_entries;
        let Some(account) = self.accounts.get_mut(&event.account) else { return };
        let is_money = event.kind != HistoryKind::Allowance;
        if let Some(bucket) = &event.new_bucket {
            // What a product has given goes with its period, or rolls over.
            account.buckets.retain(|bucket| bucket.subscription != 0 || !bucket.is_spent(event.at));
            account.insert_bucket((**bucket).clone());
        } else if let Some(bucket) = account.bucket_mut(event.bucket) {
            bucket.amount = bucket.amount.saturating_add(event.amount);
        }
        if is_money {
            let money = Money::from_micros(event.amount);
            account.count_in_cycle(event.kind, money);
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
        let given = change::give(account, event, keep);
        (self.balances, self.credited) = (self.balances + given, self.credited + given);
        let was_lapsed = account.is_lapsed();
        if let Some(life) = &event.life {
            account.profile.get_or_insert_default().life = (**life).clone();
        }
        if is_money && event.amount > 0 || was_lapsed && !account.is_lapsed() {
            account.retry_products(event.at);
        }
        self.record_credit(event);
        self.apply_notices(event.account, &event.notices);
        for session in &event.reauthorise {
            self.mark_reauthorise(*session, true, None);
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

    fn apply_notices(&mut self, id: AccountId, notices: &[Notice]) {
        for notice in notices {
            let Some(account) = self.accounts.get_mut(&id) else { return };
            match notice.kind {
                NoticeKind::CreditStop => account.credit_stopped = true,
                NoticeKind::Reconnect => account.credit_stopped = false,
                NoticeKind::Life { step: LifeStep::Suspended, .. } => {
                    self.set_state(id, AccountState::Suspended);
                    continue;
                }
                NoticeKind::TopUp { .. }
                | NoticeKind::Threshold { .. }
                | NoticeKind::Overdraft { .. }
                | NoticeKind::Limit { .. }
                | NoticeKind::Product { .. }
                | NoticeKind::Life { .. }
                | NoticeKind::CycleClosed { .. } => continue,
            }
            account.state = match (account.state, account.credit_stopped) {
                (AccountState::Active, true) => AccountState::Stopped,
                (AccountState::Stopped, false) => AccountState::Active,
                (state, _) => state,
            };
        }
    }

    /// Sets an account's state, and what follows for its sessions.
    fn set_state(&mut self, account: AccountId, state: AccountState) {
        let Some(account) = self.accounts.get_mut(&account) else { return };
        // An operator lifts a suspension, not a credit stop: only a credit does.
        let stopped = state == AccountState::Active && account.credit_stopped;
        account.state = if stopped { AccountState::Stopped } else { state };
        // Whoever may not be served is not served on (spec C-106); and an abort that is no longer wanted is none.
        let abort = matches!(state, AccountState::Suspended | AccountState::Terminated);
        let sessions = account.sessions.clone();
        sessions.into_iter().for_each(|no| self.mark_abort(no, abort));
    }

    fn mark_reauthorise(&mut self, no: SessionNo, wanted: bool, group: Option<u32>) {
        let Some(session) = self.sessions.get_mut(&no) else { return };
        // Two wishes about different things are a wish about the whole session.
        session.reauthorise_group = match (session.reauthorise, session.reauthorise_group) {
            (true, known) if known != group => None,
            _ => group.filter(|_| wanted),
        };
        session.reauthorise = wanted;
        self.mark_request(no);
    }

    fn mark_abort(&mut self, no: SessionNo, wanted: bool) {
        let Some(session) = self.sessions.get_mut(&no) else { return };
        session.abort = wanted;
        self.mark_request(no);
    }

    /// Whether a request of ours is to be sent about a session.
    fn mark_request(&mut self, no: SessionNo) {
        if self.sessions.get(&no).is_some_and(|session| session.reauthorise || session.abort) {
            self.reauthorise.insert(no);
        } else {
            self.reauthorise.remove(&no);
        }
    }

    /// Sessions that wait for credit may get some that others have released.
    fn wake(&mut self, sessions: &[SessionNo], at: Timestamp) {
        for no in sessions {
            self.mark_reauthorise(*no, true, None);
            if let Some(session) = self.sessions.get_mut(no) {
                session.woken = at;
            }
        }
    }

    /// Ends a session: everything it still holds is released, its lines go to the account's history, and its last answer
    /// is remembered. Its sub-sessions end with it (spec C-23).
    fn close(&mut self, no: SessionNo, cause: ClosingCause, at: Timestamp) {
        let Some(session) = self.sessions.remove(&no) else { return };
        let key = session.key();
        self.session_keys.remove(&key);
        self.ended.push((key, cause));
        self.sub_sessions -= usize::from(session.sub_session != 0);
        self.reauthorise.remove(&no);
        self.supervision.remove(&(session.queued, no));
        for quota in &session.quotas {
            self.reserve(session.account, &quota.holds, -1);
        }
        for pool in &session.pools {
            self.reserve(session.account, &pool.holds, -1);
        }
        let keep = self.retention.history_entries;
        if let Some(account) = self.accounts.get_mut(&session.account) {
            account.sessions.retain(|other| *other != no);
            for quota in session.quotas.iter().filter(|quota| quota.is_untold()) {
                account.remember(&HistoryLine::usage(&session, quota, at), keep);
            }
        }
        self.record_usage(&session, &session.quotas, Some(cause), at);
        let answered = matches!(cause, ClosingCause::Terminated | ClosingCause::Refused);
        let answer = session.answers.back().filter(|_| answered);
        let closed = Closed::new(key, session.account, at, answer);
        // Half of the window: what is older cannot be told from a copy after the end.
        self.closed.insert(closed.with_updates(session.highest_update, session.seen_updates as u32));
        if session.sub_session == 0 && self.sub_sessions > 0 {
            self.sub_sessions_of(&session).into_iter().for_each(|no| self.close(no, ClosingCause::MainEnded, at));
        }
        self.forget(at);
    }

    /// Whether anything is reserved for a session, or for those that end with it.
    pub(super) fn releases_anything(&self, session: &Session) -> bool {
        let subs = || self.sub_sessions_of(session).into_iter().filter_map(|no| self.sessions.get(&no));
        let has_subs = session.sub_session == 0 && self.sub_sessions > 0;
        session.holds_anything() || has_subs && subs().any(Session::holds_anything)
    }

    /// The running sub-sessions of a session, in the order in which they opened.
    fn sub_sessions_of(&self, main: &Session) -> Vec<SessionNo> {
        let is_one = |no: &SessionNo| {
            self.sessions.get(no).is_some_and(|session| session.sub_session != 0 && session.id == main.id)
        };
        let account = self.accounts.get(&main.account);
        account.map_or_else(Vec::new, |account| account.sessions.iter().copied().filter(is_one).collect())
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
