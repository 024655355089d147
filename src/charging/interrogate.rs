//! Decides requests of sessions: debit what was used, reserve what is wanted, as one atomic step (spec C-16, C-44, I-7).

use std::sync::Arc;

use super::{
    Account, AccountState, Answer, ClosingCause, Decided, Event, FinalUnits, Grant, Interrogated, Interrogation,
    Measure, Opening, Origin, OrphanUsage, Quota, Reply, RequestKind, ServiceRequest, Session, State, Step, Used,
    Verdict, Want, lifecycle,
    quota::{Demand, Ledger, Tariff},
    session::{Novelty, SESSION_QUOTAS_USED_MAX},
};
use crate::{
    ids::{QuotaKey, SessionId, SessionNo},
    rating::{Catalog, ContextId, FinalAction, Service},
    time::Timestamp,
    units::{Money, UnitKind},
};

pub(super) fn decide(state: &State, catalog: &Catalog, request: &Interrogation<'_>, now: Timestamp) -> Decided {
    let bare = |verdict| Arc::new(Answer::bare(request.kind, request.number, verdict));
    let session = state.session_by_id(request.key, request.session_id);
    if let Some(session) = session {
        match session.novelty(request.kind, request.number) {
            Novelty::New if request.kind == RequestKind::Initial => {
                return Decided::unchanged(bare(Verdict::UnableToComply));
            }
            Novelty::New => {}
            Novelty::Answered(answer) => return Decided::repeated(answer).paid_by(session.account),
            Novelty::Forgotten => {
                return Decided { repeated: true, ..Decided::unchanged(bare(Verdict::UnableToComply)) };
            }
            // It may be a copy, so it is not charged; it may be none, so it is recorded.
            Novelty::TooOld => return orphan(request, now, bare(Verdict::UnableToComply)),
        }
        if request.account.is_some_and(|account| account != session.account) || !same_context(session, catalog, request)
        {
            return orphan(request, now, bare(Verdict::InvalidValue));
        }
    } else if let Some(closed) = state.closed_session(request.key) {
        if let Some(answer) = closed.answer().filter(|a| a.kind == request.kind && a.number == request.number) {
            return Decided::repeated(answer).paid_by(closed.account);
        }
        if request.kind == RequestKind::Initial {
            // A late copy of a request that was answered long ago, or a Session-Id used twice: neither may reserve.
            return Decided::unchanged(bare(Verdict::UnableToComply));
        }
    }
    if session.is_none() && request.kind != RequestKind::Initial {
        return orphan(request, now, bare(Verdict::UnknownSession));
    }
    let Some(account) = session.map(|s| s.account).or(request.account).and_then(|id| state.account(id)) else {
        return Decided::unchanged(bare(Verdict::UserUnknown));
    };
    let context = request.context.or_else(|| session.and_then(|s| catalog.context(&s.context)));
    if session.is_none() {
        if context.is_none() {
            return Decided::unchanged(bare(Verdict::RatingFailed));
        }
        if account.sessions.len() >= state.retention.account_sessions_max {
            return Decided::unchanged(bare(Verdict::ResourcesExceeded));
        }
        if barred(account) {
            return Decided::unchanged(bare(Verdict::ServiceDenied));
        }
    }
    Interrogator::new(state, catalog, request, now, account, session, context).run()
}

/// Usage of a session that is not there is recorded, never dropped silently (spec C-90, I-13).
fn orphan(request: &Interrogation<'_>, now: Timestamp, answer: Arc<Answer>) -> Decided {
    let usage: Vec<_> = request
        .services
        .iter()
        .filter_map(|service| service.used.filter(|used| !used.is_zero()).map(|used| (service.key, used)))
        .collect();
    if usage.is_empty() {
        return Decided::unchanged(answer);
    }
    let event = Event::OrphanUsage(Box::new(OrphanUsage {
        at: now,
        account: request.account,
        session_id: SessionId::new(request.session_id),
        context: request.context_name.into(),
        kind: request.kind,
        number: request.number,
        usage,
    }));
    Decided { event: Some(event), ..Decided::unchanged(answer) }
}

fn barred(account: &Account) -> bool {
    matches!(account.state, AccountState::Suspended | AccountState::Terminated)
}

fn same_context(session: &Session, catalog: &Catalog, request: &Interrogation<'_>) -> bool {
    *session.context == *request.context_name
        || request.context.is_some_and(|context| catalog.context(&session.context) == Some(context))
}

/// One service of the request, merged with its repetitions (spec C-38), and what becomes of it.
struct Line<'a> {
    key: QuotaKey,
    /// The quota that usage belongs to (spec G-30).
    quota: QuotaKey,
    used: Option<Used>,
    want: Option<Want>,
    tariff: Option<Tariff<'a>>,
    /// Money that cannot be charged was reported: another currency, or more than can be counted (spec C-54, C-55).
    unusable: bool,
}

/// The decision on one request: a working copy of the balance and the steps so far.
struct Interrogator<'a> {
    state: &'a State,
    catalog: &'a Catalog,
    request: &'a Interrogation<'a>,
    now: Timestamp,
    account: &'a Account,
    session: Option<&'a Session>,
    context: Option<ContextId>,
    ledger: Ledger<'a>,
    steps: Vec<Step>,
    replies: Vec<Reply>,
}

impl<'a> Interrogator<'a> {
    fn new(
        state: &'a State,
        catalog: &'a Catalog,
        request: &'a Interrogation<'a>,
        now: Timestamp,
        account: &'a Account,
        session: Option<&'a Session>,
        context: Option<ContextId>,
    ) -> Self {
        let ledger = Ledger::new(account, now);
        let count = request.services.len();
        let (steps, replies) = (Vec::with_capacity(count), Vec::with_capacity(count));
        Self { state, catalog, request, now, account, session, context, ledger, steps, replies }
    }

    fn run(mut self) -> Decided {
        let lines = self.lines();
        if self.quotas_with(&lines) > SESSION_QUOTAS_USED_MAX {
            let answer = Answer::bare(self.request.kind, self.request.number, Verdict::ResourcesExceeded);
            return orphan(self.request, self.now, Arc::new(answer));
        }
        // All releases and debits come first, so that what one service gives back can go to another in the same request.
        if self.request.kind == RequestKind::Termination {
            for quota in self.session.map_or(&[][..], |session| &session.quotas) {
                self.ledger.release(&quota.holds);
            }
        } else {
            for (index, line) in lines.iter().enumerate() {
                let first = lines.iter().take(index).all(|earlier| earlier.quota != line.quota);
                if let Some(quota) = self.quota(line.quota).filter(|_| first) {
                    self.ledger.release(&quota.holds);
                }
            }
        }
        for line in &lines {
            self.debit(line);
        }
        self.ledger.settle();
        let debited = self.steps.iter().any(|step| !step.debits.is_empty());
        let notices = if debited {
            lifecycle::notices_of_debit(self.account, &self.ledger, self.catalog, self.now)
        } else {
            Vec::new()
        };
        let barred = barred(self.account);
        let stopped = self.account.state == AccountState::Stopped
            || notices.iter().any(|notice| notice.kind == super::NoticeKind::CreditStop);
        if self.request.kind != RequestKind::Termination && !barred {
            for line in &lines {
                self.grant(line, stopped);
            }
        }
        self.conclude(barred, notices)
    }

    fn lines(&self) -> Vec<Line<'a>> {
        let mut lines: Vec<Line<'a>> = Vec::with_capacity(self.request.services.len());
        for service in &self.request.services {
            let silent = service.used.is_none() && service.want.is_none();
            if silent && !self.asks_silently(service.key) {
                continue;
            }
            if let Some(line) = lines.iter_mut().find(|line| line.key == service.key) {
                line.used = match (line.used, service.used) {
                    (Some(a), Some(b)) => Some(a.plus(b)),
                    (a, b) => a.or(b),
                };
                line.want = line.want.or(service.want);
                line.unusable |= service.unusable;
            } else {
                lines.push(self.line(service));
            }
        }
        lines
    }

    fn line(&self, service: &ServiceRequest) -> Line<'a> {
        let ServiceRequest { key, used, want, currency, unusable } = *service;
        // A report may belong to the quota of the whole group (spec G-30); a grant is always for the very key that asks,
        // so that no two grants share one reservation.
        let quota = match (self.session, want) {
            (Some(session), None) => session.resolve(key),
            _ => key,
        };
        let in_money = unusable
            || matches!(want, Some(Want::Money(_)))
            || used.is_some_and(|used| used.money != Money::ZERO)
            || self.quota(quota).is_some_and(|quota| quota.measure == Measure::Money);
        let tariff = if in_money {
            // Nothing is converted: money of another currency cannot be charged (spec C-55).
            Some(Tariff::Money)
                .filter(|_| !unusable && currency.is_none_or(|currency| currency == self.account.currency))
        } else {
            self.context
                .and_then(|context| self.catalog.service(context, key.rating_group, key.service_identifier))
                .map(Tariff::Service)
        };
        let unusable = unusable || (in_money && tariff.is_none() && used.is_some());
        Line { key, quota, used, want, tariff, unusable }
    }

    fn quota(&self, key: QuotaKey) -> Option<&'a Quota> {
        self.session.and_then(|session| session.quota(key))
    }

    /// How many quotas the session will have with these lines.
    fn quotas_with(&self, lines: &[Line<'_>]) -> usize {
        let known = self.session.map_or(0, |session| session.quotas.len());
        known + lines.iter().filter(|line| self.quota(line.quota).is_none()).count()
    }

    /// Whether a client that names a quota and asks for nothing wants units all the same: after a re-authorisation, or
    /// from the restricted state, some leave Requested-Service-Unit out (spec C-88).
    fn asks_silently(&self, key: QuotaKey) -> bool {
        let Some((session, quota)) = self.session.and_then(|s| s.quota(key).map(|quota| (s, quota))) else {
            return false;
        };
        if session.reauthorise {
            return quota.wants_credit();
        }
        quota.refused && quota.granted == 0 && self.redirects(key)
    }

    fn redirects(&self, key: QuotaKey) -> bool {
        self.context
            .and_then(|context| self.catalog.service(context, key.rating_group, key.service_identifier))
            .is_some_and(|service| matches!(service.final_action, FinalAction::Redirect { .. }))
    }

    /// Debits what a line reports. Every line gets a step here, in order.
    fn debit(&mut self, line: &Line<'a>) {
        let measure = line.tariff.map_or(Measure::Units(UnitKind::Octets), |tariff| tariff.measure());
        let mut step = Step {
            key: line.quota,
            service: match line.tariff {
                Some(Tariff::Service(service)) => Arc::clone(&service.name),
                Some(Tariff::Money) => "money".into(),
                None => "".into(),
            },
            measure,
            used: line.used.map_or(0, |used| used.amount(measure)),
            rated: 0,
            charged: Money::ZERO,
            debits: Vec::new(),
            holds: Vec::new(),
            granted: 0,
            validity_secs: 0,
            final_units: false,
            refused: false,
        };
        if let (Some(tariff), true) = (line.tariff, step.used > 0) {
            let rated = self.rated(line.quota, measure);
            match self.ledger.allocate(tariff, rated, step.used, Demand::All) {
                Ok(allocation) => {
                    self.ledger.debit(&allocation);
                    step.rated = allocation.rated;
                    step.charged = allocation.cost;
                    step.debits = allocation.draws;
                }
                // More than money can count: no meter reads that. It is recorded, with the service left empty as a mark.
                Err(_) => step.service = "".into(),
            }
        }
        self.steps.push(step);
    }

    /// Units of a quota charged to money so far, this request's included. What was counted in another measure is no part
    /// of the price.
    fn rated(&self, key: QuotaKey, measure: Measure) -> u64 {
        let before = self.quota(key).filter(|quota| quota.measure == measure).map_or(0, |quota| quota.rated);
        let steps = self.steps.iter().filter(|step| step.key == key && step.measure == measure);
        steps.fold(before, |sum, step| sum.saturating_add(step.rated))
    }

    fn grant(&mut self, line: &Line<'a>, stopped: bool) {
        if line.unusable {
            return self.reply(line, Verdict::RatingFailed);
        }
        // For the key itself only: a report of a service that counts for the group's quota asks for nothing.
        let silent = Some(Want::Any).filter(|_| self.asks_silently(line.key));
        let Some(want) = line.want.or(silent) else {
            self.repeat_final_action(line);
            return;
        };
        let new = self.quota(line.quota).is_none();
        let quotas_max = self.state.retention.session_quotas_max;
        if new && self.session.is_some_and(|session| session.quotas.len() >= quotas_max) {
            return self.reply(line, Verdict::ResourcesExceeded);
        }
        let (slice, service) = match (line.tariff, want) {
            (None, _) | (_, Want::Unusable) => return self.reply(line, Verdict::RatingFailed),
            (Some(Tariff::Money), Want::Money(money)) if money.is_positive() => (money.micros().unsigned_abs(), None),
            (Some(Tariff::Money), _) => return self.reply(line, Verdict::RatingFailed),
            (Some(Tariff::Service(service)), want) => match wanted(service, want) {
                Some(slice) => (slice, Some(service)),
                None => return self.reply(line, Verdict::RatingFailed),
            },
        };
        let Some(tariff) = line.tariff else { return };
        let allocation = if stopped && !tariff.is_free() {
            Default::default()
        } else {
            let rated = self.rated(line.quota, tariff.measure());
            match self.ledger.allocate(tariff, rated, slice, Demand::Affordable) {
                Ok(allocation) => allocation,
                Err(_) => return self.reply(line, Verdict::RatingFailed),
            }
        };
        let cut = allocation.units < slice;
        // Money that others hold may come back: then these are not the last units (spec C-81).
        let is_final = cut && !self.ledger.anything_reserved(tariff);
        self.ledger.hold(&allocation);
        if allocation.units == 0 && slice > 0 {
            return self.refuse(line, service);
        }
        let validity_secs = self.validity(service, &allocation.draws, cut, is_final);
        let threshold = match service {
            Some(service) if !is_final => service.threshold_for(allocation.units).unwrap_or(0),
            _ => 0,
        };
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure: tariff.measure(), amount: allocation.units }),
            validity_secs,
            threshold,
            holding_secs: service.and_then(|service| service.quota_holding_secs),
            final_action: is_final.then(|| final_units(service)),
        });
        if let Some(step) = self.step(line.quota) {
            step.granted = allocation.units;
            step.holds = allocation.draws;
            step.validity_secs = validity_secs;
            step.final_units = is_final;
        }
    }

    /// The last step of a quota: a quota has several if a request names it by several keys; the grant goes to one.
    fn step(&mut self, quota: QuotaKey) -> Option<&mut Step> {
        self.steps.iter_mut().rev().find(|step| step.key == quota)
    }

    fn reply(&mut self, line: &Line<'a>, verdict: Verdict) {
        self.replies.push(Reply {
            key: line.key,
            verdict,
            grant: None,
            validity_secs: 0,
            threshold: 0,
            holding_secs: None,
            final_action: None,
        });
    }

    /// No credit at all: refuse, or send the user to where credit can be had (spec C-83).
    fn refuse(&mut self, line: &Line<'a>, service: Option<&Service>) {
        if let Some(step) = self.step(line.quota) {
            step.refused = true;
        }
        match service.map(|service| (&service.final_action, service)) {
            Some((FinalAction::Redirect { .. }, service)) => self.reply_restricted(line, service),
            _ => self.reply(line, Verdict::CreditLimitReached),
        }
    }

    /// After the final units, a report without a request: the final action is said again, so that the answer cannot be
    /// read as a free pass (spec C-85). Ending the service needs no answer for it (spec C-43).
    fn repeat_final_action(&mut self, line: &Line<'a>) {
        let was_final = self.quota(line.quota).is_some_and(|quota| quota.final_units);
        if let (true, Some(Tariff::Service(service))) = (was_final, line.tariff)
            && matches!(service.final_action, FinalAction::Redirect { .. })
        {
            if let Some(step) = self.step(line.quota) {
                step.refused = true;
            }
            self.reply_restricted(line, service);
        }
    }

    /// A zero grant with the final action and the time for which the restriction may last (spec C-83).
    fn reply_restricted(&mut self, line: &Line<'a>, service: &Service) {
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure: Measure::Units(service.kind), amount: 0 }),
            validity_secs: service.restricted_validity_secs,
            threshold: 0,
            holding_secs: None,
            final_action: Some(final_units(Some(service))),
        });
    }

    /// Validity-Time: short when more may be had soon, and never beyond the life of a bucket that is drawn from (spec
    /// C-75, C-81, I-15).
    fn validity(&self, service: Option<&Service>, draws: &[super::Draw], cut: bool, is_final: bool) -> u32 {
        let Some(service) = service else { return 0 };
        let short = (cut && !is_final) || (is_final && self.request.short_validity);
        let wanted = if short { service.short_validity_secs } else { service.validity_secs };
        draws
            .iter()
            .filter_map(|draw| self.account.bucket(draw.bucket)?.expires)
            .map(|expires| u32::try_from(expires.since(self.now).as_secs()).unwrap_or(u32::MAX).max(1))
            .fold(wanted, u32::min)
    }

    fn conclude(self, barred: bool, notices: Vec<super::Notice>) -> Decided {
        let Self { state, request, now, account, session, steps, mut replies, .. } = self;
        let charged = steps
            .iter()
            .fold(session.map_or(Money::ZERO, Session::charged), |sum, step| sum.saturating_add(step.charged));
        let verdict = if barred && request.kind != RequestKind::Termination {
            Verdict::ServiceDenied
        } else if request.at_command_level {
            // Without an MSCC the result of the one service is the result of the request (spec C-112).
            replies.first().map_or(Verdict::Success, |reply| reply.verdict)
        } else {
            Verdict::Success
        };
        if verdict != Verdict::Success {
            replies.clear();
        }
        let answer = Arc::new(Answer {
            kind: request.kind,
            number: request.number,
            verdict,
            replies,
            at_command_level: request.at_command_level,
            cost: charged,
            enough_credit: None,
        });
        let closes = match (request.kind, verdict) {
            (RequestKind::Termination, _) => Some(ClosingCause::Terminated),
            (_, Verdict::Success) => None,
            _ => Some(ClosingCause::Refused),
        };
        let expires = supervision_end(state, session, &steps, now);
        let opening = session.is_none().then(|| {
            Box::new(Opening {
                session_id: SessionId::new(request.session_id),
                context: request.context_name.into(),
                origin_host: request.origin_host.into(),
                origin_realm: request.origin_realm.into(),
            })
        });
        let moved = session.filter(|session| {
            *session.origin_host != *request.origin_host || *session.origin_realm != *request.origin_realm
        });
        let moved_to =
            moved.map(|_| Box::new(Origin { host: request.origin_host.into(), realm: request.origin_realm.into() }));
        let event = Event::Interrogated(Box::new(Interrogated {
            at: now,
            account: account.id,
            session: session.map_or(SessionNo(state.next_session), |session| session.no),
            opening,
            steps,
            answer: Arc::clone(&answer),
            expires,
            closes,
            notices,
            moved_to,
        }));
        Decided { event: Some(event), ..Decided::unchanged(answer).paid_by(account.id) }
    }
}

/// How many units to grant at best; `None` if the service does not count in what was asked for (spec C-35).
fn wanted(service: &Service, want: Want) -> Option<u64> {
    match want {
        Want::Any => Some(service.slice),
        Want::Units(units) => match (units.of(service.kind)?, service.kind) {
            // For volume the client's number is a hint that many clients never change (spec I-8).
            (_, UnitKind::Octets) | (0, _) => Some(service.slice),
            (amount, _) => Some(amount.min(service.slice)),
        },
        Want::Money(_) | Want::Unusable => None,
    }
}

fn final_units(service: Option<&Service>) -> FinalUnits {
    match service.map(|service| &service.final_action) {
        Some(FinalAction::Redirect { address }) => FinalUnits::Redirect(Arc::clone(address)),
        _ => FinalUnits::Terminate,
    }
}

/// Tcc: twice the largest Validity-Time that is open in the session, or the default (spec C-72).
fn supervision_end(state: &State, session: Option<&Session>, steps: &[Step], now: Timestamp) -> Timestamp {
    let untouched = session
        .into_iter()
        .flat_map(|session| &session.quotas)
        .filter(|quota| steps.iter().all(|step| step.key != quota.key))
        .map(|quota| quota.validity_secs);
    let longest = untouched.chain(steps.iter().map(|step| step.validity_secs)).max().unwrap_or(0);
    let secs = if longest == 0 { state.retention.session_default_secs } else { 2 * u64::from(longest) };
    now.plus_secs(secs)
}
