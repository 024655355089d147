//! Decides one-time events (CCR event): debit in one step, all or nothing (spec C-130), balance check, price enquiry.

use std::sync::Arc;

use super::{
    Account, AccountState, Answer, Decided, Event, EventAction, EventCharged, EventRequest, Grant, Measure, NoticeKind,
    Reply, RequestKind, ServiceRequest, State, Step, Verdict, Want, lifecycle,
    quota::{Allocation, Demand, Ledger, Tariff},
    refund,
    state::event_key,
};
use crate::{ids::SessionId, rating::Catalog, time::Timestamp, units::Money};

pub(super) fn decide(state: &State, catalog: &Catalog, request: &EventRequest<'_>, now: Timestamp) -> Decided {
    let bare = |verdict| Decided::unchanged(Arc::new(Answer::bare(RequestKind::Event, request.number, verdict)));
    let key = event_key(request.key, request.action);
    let known = request.account.and_then(|account| state.charged_event(key, account, request.number));
    if let Some(known) = known {
        let answer = known.answer();
        let altered = is_altered(request, &answer);
        return Decided::repeated(answer).altered(altered);
    }
    let Some(account) = request.account.and_then(|id| state.account(id)) else { return bare(Verdict::UserUnknown) };
    if request.context.is_none() {
        return bare(Verdict::RatingFailed);
    }
    if request.action == EventAction::Refund {
        return refund::decide(state, catalog, request, account, now);
    }
    let enquiry = request.action == EventAction::PriceEnquiry;
    if !enquiry && matches!(account.state, AccountState::Suspended | AccountState::Terminated) {
        return bare(Verdict::ServiceDenied);
    }
    let demand = if enquiry { Demand::All } else { Demand::Affordable };
    let mut ledger = Ledger::new(account, now);
    let (mut cost, mut enough) = (Money::ZERO, true);
    // A request that names no service means one unit of the context's default service.
    let default = [ServiceRequest::default()];
    let services = if request.services.is_empty() { &default[..] } else { &request.services };
    let (mut steps, mut replies) = (Vec::with_capacity(services.len()), Vec::with_capacity(services.len()));
    for service in services {
        let rated = rate(catalog, &ledger, account, request, service, demand);
        let (verdict, grant) = match rated {
            Ok((tariff, allocation, want)) if allocation.units == want => {
                ledger.debit(&allocation);
                cost = cost.saturating_add(allocation.cost);
                let grant = Grant { measure: tariff.measure(), amount: want };
                steps.push(step(service, tariff, allocation));
                (Verdict::Success, Some(grant))
            }
            Ok(_) => {
                enough = false;
                (Verdict::CreditLimitReached, None)
            }
            Err(verdict) => (verdict, None),
        };
        replies.push(Reply { key: service.key, verdict, grant, ..Reply::default() });
    }
    let failed = replies.iter().map(|reply| reply.verdict).find(|verdict| *verdict != Verdict::Success);
    let mut answer = Answer {
        cost,
        at_command_level: request.at_command_level,
        replies,
        ..Answer::bare(RequestKind::Event, request.number, Verdict::Success)
    };
    if request.action != EventAction::Debit {
        // Check and enquiry leave no trace; lack of credit is a result of a check, not a failure of it (spec C-132, C-133).
        answer.replies.clear();
        answer.enough_credit = (request.action == EventAction::CheckBalance).then_some(enough);
        answer.verdict = failed.filter(|verdict| *verdict != Verdict::CreditLimitReached).unwrap_or(Verdict::Success);
        return Decided::unchanged(Arc::new(answer));
    }
    if let (true, Some(failed)) = (request.at_command_level, failed) {
        answer.verdict = failed;
        answer.replies.clear();
    }
    let answer = Arc::new(answer);
    let notices = if steps.iter().any(|step| !step.debits.is_empty()) {
        lifecycle::notices_of_debit(account, &ledger, catalog, now)
    } else {
        Vec::new()
    };
    debug_assert!(notices.iter().all(|notice| !matches!(notice.kind, NoticeKind::Overdraft { .. })));
    let event = Event::EventCharged(Box::new(EventCharged {
        at: now,
        account: account.id,
        session_id: SessionId::new(request.session_id),
        sub_session: request.sub_session,
        action: request.action,
        steps,
        answer: Arc::clone(&answer),
        notices,
        refund_of: None,
        reauthorise: Vec::new(),
    }));
    Decided { event: Some(event), ..Decided::unchanged(answer) }
}

/// Whether a repetition asks for something else than what was answered: other services, other amounts (spec C-140). Of what
/// was not granted nothing is known.
fn is_altered(request: &EventRequest<'_>, answer: &Answer) -> bool {
    let wants_else = |service: &ServiceRequest, reply: &Reply| {
        let granted = reply.grant.filter(|_| request.action == EventAction::Debit);
        service.key != reply.key
            || granted.is_some_and(|grant| match (service.want, grant.measure) {
                (Some(Want::Money(money)), Measure::Money) => u64::try_from(money.micros()) != Ok(grant.amount),
                (Some(Want::Units(units)), Measure::Units(kind)) => units.of(kind) != Some(grant.amount),
                (None | Some(Want::Any), _) => false,
                _ => true,
            })
    };
    answer.verdict == Verdict::Success
        && !answer.replies.is_empty()
        && (request.services.len() != answer.replies.len()
            || request.services.iter().zip(&answer.replies).any(|(service, reply)| wants_else(service, reply)))
}

/// The tariff, who would pay, and for how many units.
fn rate<'a>(
    catalog: &'a Catalog,
    ledger: &Ledger<'_>,
    account: &Account,
    request: &EventRequest<'_>,
    service: &ServiceRequest,
    demand: Demand,
) -> Result<(Tariff<'a>, Allocation, u64), Verdict> {
    let (tariff, want) = match service.want {
        Some(Want::Money(money)) if service.currency.is_none_or(|currency| currency == account.currency) => (
            Tariff::Money,
            u64::try_from(money.micros()).ok().filter(|micros| *micros > 0).ok_or(Verdict::RatingFailed)?,
        ),
        want => {
            let key = service.key;
            let found = request
                .context
                .and_then(|context| catalog.service(context, key.rating_group, key.service_identifier))
                .ok_or(Verdict::RatingFailed)?;
            let want = match want {
                None | Some(Want::Any) => 1,
                Some(Want::Units(units)) => {
                    units.of(found.kind).filter(|amount| *amount > 0).ok_or(Verdict::RatingFailed)?
                }
                Some(Want::Money(_) | Want::Unusable) => return Err(Verdict::RatingFailed),
            };
            (Tariff::Service(found), want)
        }
    };
    if account.state == AccountState::Stopped && !tariff.is_free() && demand == Demand::Affordable {
        return Ok((tariff, Allocation::default(), want.max(1)));
    }
    let allocation = ledger.allocate(tariff, 0, want, demand).map_err(|_| Verdict::RatingFailed)?;
    Ok((tariff, allocation, want))
}

fn step(service: &ServiceRequest, tariff: Tariff<'_>, allocation: Allocation) -> Step {
    Step {
        key: service.key,
        service: match tariff {
            Tariff::Service(service) => Arc::clone(&service.name),
            Tariff::Money => "money".into(),
        },
        measure: tariff.measure(),
        used: allocation.units,
        rated: allocation.rated,
        charged: allocation.cost,
        debits: allocation.draws,
        ..Step::default()
    }
}
