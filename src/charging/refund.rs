//! Decides refunds (REFUND_ACCOUNT): what a debit took goes back to where it came from, once and at most in full (spec
//! C-136, G-12, G-83).
//!
//! A refund names its debit by a token, or by the debit's Session-Id. One that names none is paid into the main bucket at
//! the price of today, where the client may do that. Of a debit in units, what money paid for goes back first, since it was
//! taken last; units go back to their allowance, or, where that has gone or run out, to another one for the service. What
//! the debit counted in for limits and tiers is given back in the same part.

use std::sync::Arc;

use super::{
    Account, AccountState, Answer, BucketKind, DebitRef, Decided, Draw, Event, EventAction, EventCharged, EventRequest,
    Facts, Grant, Left, Measure, MemberNo, Notice, NoticeKind, Reply, RequestKind, ServiceRequest, State, Step,
    Verdict, Want,
    beside::{self, Beside, Reheld},
    contract::Contract,
    event_charging, lifecycle,
    payer::Payer,
    price_lists::PriceLists,
    quota::{Allocation, BALANCE_MAX, Given, Ledger, Tariff},
};
use crate::{
    ids::{BucketId, SessionId},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

pub(super) fn decide(
    state: &State,
    lists: PriceLists<'_>,
    request: &EventRequest<'_>,
    account: &Account,
    now: Timestamp,
) -> Decided {
    let own = lists.in_force(now);
    let catalog = own.catalog;
    let bare = |verdict| Decided::unchanged(Arc::new(Answer::bare(RequestKind::Event, request.number, verdict)));
    // Whoever is suspended gets back what is his; an account that has ended gets nothing any more.
    if account.state == AccountState::Terminated {
        return bare(Verdict::ServiceDenied);
    }
    let mut left = match linked(state, account, request) {
        Link::Debit(debit, left, alone) => Some((debit, left, alone)),
        Link::None if request.unlinked_refunds => None,
        Link::None | Link::Forged => return bare(Verdict::ServiceDenied),
    };
    let default = [ServiceRequest::default()];
    let services = if request.services.is_empty() { &default[..] } else { &request.services };
    let refunder = Refunder { catalog, request, account, now };
    let (mut steps, mut replies) = (Vec::new(), Vec::with_capacity(services.len()));
    for service in services {
        let given = match &mut left {
            Some((debit, left, alone))
                if service.refund.is_none_or(|token| (token.key, token.number) == (debit.key, debit.number)) =>
            {
                refunder.out_of_debit(left, *alone, service)
            }
            Some(_) => Err(Verdict::ServiceDenied),
            None => refunder.unlinked(service),
        };
        let (verdict, grant) = match given {
            Ok(step) => {
                let grant = Grant { measure: step.measure, amount: step.used };
                steps.push(step);
                (Verdict::Success, Some(grant))
            }
            Err(verdict) => (verdict, None),
        };
        replies.push(Reply { key: service.key, verdict, grant, ..Reply::default() });
    }
    if let Some(failed) = replies.iter().map(|reply| reply.verdict).find(|verdict| *verdict != Verdict::Success)
        && (request.at_command_level || steps.is_empty())
    {
        // Nothing has changed: it need not be remembered (spec C-144).
        return bare(failed);
    }
    let cost = steps.iter().fold(Money::ZERO, |sum, step| sum.saturating_add(step.charged));
    if !stays_in_range(account, &steps, cost) {
        return bare(Verdict::UnableToComply);
    }
    let mut ledger = Ledger::new(account, now);
    for step in &steps {
        let draws = step.debits.iter().map(|draw| Draw { amount: -draw.amount, ..*draw }).collect();
        ledger.debit(&Allocation { draws, ..Allocation::default() });
    }
    ledger.settle();
    let (moment, _) = catalog.moment(request.happened, now);
    let reheld = Beside { state, lists, own, account, moment }.after_refund(&mut ledger, &steps);
    let helps = !lifecycle::is_exhausted(account, &ledger);
    let mut notices = Vec::new();
    if account.credit_stopped && helps {
        notices.push(Notice { account: account.id, at: now, balance: ledger.balance(), kind: NoticeKind::Reconnect });
    }
    let answer = Arc::new(Answer {
        cost,
        at_command_level: request.at_command_level,
        replies,
        ..Answer::bare(RequestKind::Event, request.number, Verdict::Success)
    });
    let event = Event::EventCharged(Box::new(EventCharged {
        at: now,
        account: account.id,
        session_id: SessionId::new(request.session_id),
        sub_session: request.sub_session,
        action: EventAction::Refund,
        steps,
        answer: Arc::clone(&answer),
        notices,
        refund_of: left.map(|(debit, ..)| debit),
        reauthorise: if helps { lifecycle::waiting(state, account) } else { Vec::new() },
        untimely: None,
        begun: ledger.begun(),
        reheld,
        catalog: 0,
        conditions: event_charging::conditions(state, request),
    }));
    Decided { event: Some(event), ..Decided::unchanged(answer).paid_by(account.id) }
}

impl<'a> Beside<'a> {
    /// Where the first units are the dear ones, others' units are dearer again: what they hold is raised as far as it can be
    /// paid. No refund is refused for that.
    fn after_refund(&self, ledger: &mut Ledger<'a>, steps: &[Step]) -> Vec<Reheld> {
        let given: Vec<Draw> = steps.iter().flat_map(|step| &step.debits).copied().collect();
        let mut reheld = Vec::new();
        if given.iter().any(|draw| ledger.moves_others(draw)) {
            let mut open = self.open(&[]);
            self.secure(ledger, &mut open, &given);
            beside::note(&mut reheld, open);
        }
        reheld
    }
}

/// What remains of a debit when these steps have been given back.
pub(super) fn left_after(mut left: Vec<Step>, given: &[Step]) -> Vec<Step> {
    for step in given {
        let Some(line) = left.iter_mut().find(|line| line.key == step.key) else { continue };
        if step.measure == line.measure {
            line.used = line.used.saturating_sub(step.used);
            line.rated = line.rated.saturating_sub(step.rated);
        }
        line.charged = line.charged.saturating_sub(step.charged);
        // Where it was taken from, if that is not where it went.
        let taken = if step.holds.is_empty() { &step.debits } else { &step.holds };
        for draw in taken {
            if let Some(known) = line.debits.iter_mut().find(|known| known.bucket == draw.bucket) {
                known.amount = known.amount.saturating_sub(draw.amount);
            }
        }
        line.debits.retain(|draw| draw.amount > 0);
        if line.measure == Measure::Money && line.charged == Money::ZERO {
            line.used = 0;
        }
    }
    left.retain(|line| {
        line.used > 0 && (line.charged.is_positive() || line.rated < line.used || line.debits.is_empty())
    });
    left
}

/// How many of a debit's draws are from buckets: the others say what it counts in.
fn paid_draws(line: &Step) -> usize {
    let mut due = i128::from(line.used - line.rated.min(line.used)) + i128::from(line.charged.micros());
    let mut paid = 0;
    for draw in &line.debits {
        if due <= 0 {
            break;
        }
        due -= i128::from(draw.amount);
        paid += 1;
    }
    paid
}

enum Link {
    /// To this debit, of which so much is left, and whether it was of one service.
    Debit(DebitRef, Vec<Step>, bool),
    /// To none that is known.
    None,
    /// To one that no answer has told of.
    Forged,
}

/// The debit that a refund names.
fn linked(state: &State, account: &Account, request: &EventRequest<'_>) -> Link {
    let left_of = |key, number| {
        let debit = state.charged_event(key, account.id, number)?;
        Some(Link::Debit(DebitRef { key, number }, debit.left(), debit.answer().replies.len() == 1))
    };
    if let Some(token) = request.services.iter().find_map(|service| service.refund) {
        if !token.is_genuine(state.retention.secret) {
            return Link::Forged;
        }
        return left_of(token.key, token.number).unwrap_or(Link::None);
    }
    // Clients count their requests on, or begin each with 0 (spec C-11, C-135).
    let numbers = [Some(request.number), request.number.checked_sub(1), Some(0)];
    numbers.into_iter().flatten().find_map(|number| left_of(request.key, number)).unwrap_or(Link::None)
}

/// Whether buckets and totals can count it.
fn stays_in_range(account: &Account, steps: &[Step], money: Money) -> bool {
    let fits = |value: Option<i64>| value.is_some_and(|value| value.unsigned_abs() <= BALANCE_MAX.unsigned_abs());
    let credited = account.credited.checked_add(money).map(Money::micros);
    let balance = account.balance().checked_add(money).map(Money::micros);
    fits(credited)
        && fits(balance)
        && account.buckets.iter().all(|bucket| {
            let draws = steps.iter().flat_map(|step| &step.debits).filter(|draw| draw.bucket == bucket.id);
            fits(draws.map(|draw| draw.amount).try_fold(bucket.amount, i64::checked_add))
        })
}

struct Refunder<'a> {
    catalog: &'a Catalog,
    request: &'a EventRequest<'a>,
    account: &'a Account,
    now: Timestamp,
}

impl Refunder<'_> {
    /// Takes what is wanted out of what is left of a debit. Where that was of one service, the refund need not name it.
    fn out_of_debit(&self, left: &mut [Step], alone: bool, service: &ServiceRequest) -> Result<Step, Verdict> {
        let line = left.iter_mut().find(|line| line.key == service.key || alone).ok_or(Verdict::ServiceDenied)?;
        let mut step = Step { key: line.key, measure: line.measure, ..Step::default() };
        step.service = self.service_name(line);
        match (service.want, line.measure) {
            (Some(Want::Unusable), _) => return Err(Verdict::RatingFailed),
            (Some(Want::Money(_)), _) if service.currency.is_some_and(|currency| currency != self.account.currency) => {
                return Err(Verdict::RatingFailed);
            }
            (Some(Want::Money(money)), _) => {
                step.measure = Measure::Money;
                step.charged = money.min(line.charged);
                step.used = u64::try_from(step.charged.micros()).unwrap_or(0);
            }
            (Some(Want::Units(_)), Measure::Money) => return Err(Verdict::RatingFailed),
            (_, Measure::Money) => {
                step.charged = line.charged;
                step.used = u64::try_from(step.charged.micros()).unwrap_or(0);
            }
            (want, Measure::Units(kind)) => {
                step.used = match want {
                    Some(Want::Units(units)) => units.of(kind).ok_or(Verdict::RatingFailed)?.min(line.used),
                    _ => line.used,
                };
                // What money paid for was taken last.
                step.rated = step.used.min(line.rated);
                step.charged = share(line.charged, step.rated, line.rated);
            }
        }
        self.draws(line, &mut step);
        let left = Left { rated: line.rated, charged: line.charged };
        if (Left { rated: step.rated, charged: step.charged }) != left {
            step.facts = Facts { left: Some(left), ..Facts::default() }.or_none();
        }
        if step.used == 0 {
            return Err(Verdict::ServiceDenied);
        }
        let given = std::slice::from_ref(&step);
        if let Some(rest) = left_after(vec![line.clone()], given).pop() {
            *line = rest;
        } else {
            (line.used, line.rated, line.charged) = (0, 0, Money::ZERO);
            line.debits.clear();
        }
        Ok(step)
    }

    /// Where it goes: last taken, first given back.
    fn draws(&self, line: &Step, step: &mut Step) {
        let units = if step.measure == Measure::Money { 0 } else { step.used - step.rated };
        let (mut money, mut units) = (step.charged.micros(), i64::try_from(units).unwrap_or(i64::MAX));
        let mut moved = false;
        let (taken, counted) = line.debits.split_at(paid_draws(line));
        for draw in taken.iter().rev() {
            let bucket = self.account.bucket(draw.bucket);
            let is_money = bucket.is_some_and(|bucket| bucket.kind == BucketKind::Money);
            let open = if is_money { &mut money } else { &mut units };
            let amount = draw.amount.min(*open);
            let to = match bucket {
                Some(bucket) if bucket.is_valid(self.now) => Some(bucket.id),
                // Money that would run out on the way back is the account's own now.
                Some(_) if is_money => Some(BucketId::MAIN),
                // In one that has run out nobody could use them.
                Some(_) | None => self.substitute(step),
            };
            if let Some(to) = to.filter(|_| amount > 0) {
                *open -= amount;
                moved |= to != draw.bucket;
                step.debits.push(Draw { bucket: to, amount });
                step.holds.push(Draw { amount, ..*draw });
            }
        }
        // What came from money that has gone since.
        if money > 0 {
            moved = true;
            step.debits.push(Draw { bucket: BucketId::MAIN, amount: money });
        }
        let counted: Vec<_> = counted.iter().filter_map(|draw| self.uncounted(line, step, draw)).collect();
        step.debits.extend(counted.iter().copied());
        step.holds.extend(counted);
        if !moved {
            step.holds.clear();
        }
        // No allowance takes them any more.
        step.used -= u64::try_from(units).unwrap_or(0).min(step.used);
    }

    /// What is given back of what a debit counted in. A counter that has gone has nothing to give back to.
    fn uncounted(&self, line: &Step, step: &Step, draw: &Draw) -> Option<Draw> {
        let counters = self.account.profile.as_deref().map_or(&[][..], |profile| &profile.counters);
        let counter = counters.iter().find(|counter| counter.id == draw.bucket)?;
        let (part, whole) = match (counter.measure, step.measure) {
            (Measure::Money, _) if line.charged.is_positive() => {
                (step.charged.micros().unsigned_abs(), line.charged.micros().unsigned_abs())
            }
            // A sum of money is no number of units.
            (Measure::Units(_), Measure::Money) => return None,
            // Tiers count what money paid for; what a member takes of what is shared, what it did not.
            (Measure::Units(_), _) if counter.member != MemberNo::SHARED => {
                (step.used - step.rated, line.used - line.rated)
            }
            _ => (step.rated, line.rated),
        };
        let amount = share(Money::from_micros(draw.amount), part, whole).micros();
        (amount > 0).then_some(Draw { amount, ..*draw })
    }

    /// Another allowance that can pay for the service, where the one that did has gone or run out.
    fn substitute(&self, step: &Step) -> Option<BucketId> {
        let service = self.catalog.service_by_name(&step.service)?;
        let payer = Payer::of(self.account, self.request.member);
        let takes = |bucket: &&super::Bucket| {
            bucket.kind != BucketKind::Money
                && bucket.is_valid(self.now)
                && Tariff::Service(service).takes(bucket)
                && payer.uses(bucket)
        };
        self.account.buckets.iter().find(takes).map(|bucket| bucket.id)
    }

    fn service_name(&self, line: &Step) -> Arc<str> {
        if !line.service.is_empty() {
            return Arc::clone(&line.service);
        }
        if line.measure == Measure::Money {
            return "money".into();
        }
        let (context, key) = (self.request.context, line.key);
        let found = context.and_then(|context| self.catalog.service(context, key.rating_group, key.service_identifier));
        found.map_or_else(|| "".into(), |service| Arc::clone(&service.name))
    }

    /// A refund that names no debit: its price, into the main bucket (spec C-131, C-136).
    fn unlinked(&self, service: &ServiceRequest) -> Result<Step, Verdict> {
        let mut step = Step { key: service.key, ..Step::default() };
        match service.want {
            Some(Want::Unusable) => return Err(Verdict::RatingFailed),
            Some(Want::Money(money)) => {
                let other = service.currency.is_some_and(|currency| currency != self.account.currency);
                if other || !money.is_positive() {
                    return Err(Verdict::RatingFailed);
                }
                (step.service, step.measure, step.charged) = ("money".into(), Measure::Money, money);
                step.used = money.micros().unsigned_abs();
            }
            want => {
                let key = service.key;
                let found = self
                    .request
                    .context
                    .and_then(|context| self.catalog.service(context, key.rating_group, key.service_identifier))
                    .ok_or(Verdict::RatingFailed)?;
                step.used = match want {
                    Some(Want::Units(units)) => {
                        units.of(found.kind).filter(|amount| *amount > 0).ok_or(Verdict::RatingFailed)?
                    }
                    _ => 1,
                };
                (step.service, step.measure) = (Arc::clone(&found.name), Measure::Units(found.kind));
                let (moment, _) = self.catalog.moment(self.request.happened, self.now);
                let priced = event_charging::priced(Tariff::Service(found), self.request, moment);
                step.tariff = priced.position();
                // As it would be charged today.
                let contract = Contract::of(self.catalog, self.account, self.request.member, moment);
                step.discount = contract.discount(found).filter(|_| !priced.price.is_free()).map(Given::of);
                let keep = Given::keep(step.discount.as_ref());
                step.charged = priced.price.cost_at(step.used, keep).map_err(|_| Verdict::RatingFailed)?;
            }
        }
        if step.charged > Money::MAX_INPUT {
            return Err(Verdict::RatingFailed);
        }
        step.rated = step.used;
        if step.charged.is_positive() {
            step.debits.push(Draw { bucket: BucketId::MAIN, amount: step.charged.micros() });
        }
        Ok(step)
    }
}

/// The part of a sum that belongs to `part` of `whole` units; rounded down, so that parts never add up to more.
pub(super) fn share(sum: Money, part: u64, whole: u64) -> Money {
    if part == whole {
        return sum;
    }
    let micros = i128::from(sum.micros()) * i128::from(part) / i128::from(whole.max(1));
    Money::from_micros(i64::try_from(micros).unwrap_or(0))
}
