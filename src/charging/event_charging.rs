//! Decides one-time events (CCR event): debit in one step, all or nothing (spec C-130), balance check, price enquiry.

mod enquiry;

use std::sync::Arc;

use super::{
    Account, AccountState, Answer, Conditions, Decided, Event, EventAction, EventCharged, EventRequest, Facts, Grant,
    Measure, MemberNo, NoticeKind, Reply, RequestKind, ServiceRequest, State, Step, Verdict, Want,
    beside::{self, Beside, Reheld},
    contract::{Contract, Purpose},
    interrogate::extras::answer_extras,
    lifecycle,
    price_lists::PriceLists,
    quota::{Allocation, Demand, Given, Ledger, Tariff},
    rate::{Priced, Rate},
    refund,
    state::event_key,
};
use crate::{
    ids::SessionId,
    rating::{Attributes, Catalog, Service},
    time::Timestamp,
    units::{Currency, Money},
};

pub(super) fn decide(state: &State, lists: PriceLists<'_>, request: &EventRequest<'_>, now: Timestamp) -> Decided {
    let own = lists.in_force(now);
    let catalog = own.catalog;
    let bare = |verdict| Decided::unchanged(Arc::new(Answer::bare(RequestKind::Event, request.number, verdict)));
    let key = event_key(request.key, request.action);
    let known = request.account.and_then(|account| state.charged_event(key, account, request.number));
    if let Some(known) = known {
        let answer = known.answer();
        let altered = is_altered(request, &answer);
        return Decided::repeated(answer).altered(altered);
    }
    let enquiry = request.action == EventAction::PriceEnquiry;
    let Some(account) = request.account.and_then(|id| state.account(id)) else {
        return if enquiry && request.account.is_none() {
            enquiry::price(catalog, request, now)
        } else {
            bare(Verdict::UserUnknown)
        };
    };
    if request.context.is_none() {
        return bare(Verdict::RatingFailed);
    }
    let emergency = request.attributes.as_ref().is_some_and(|told| told.emergency);
    if request.action == EventAction::Refund {
        return refund::decide(state, lists, request, account, now);
    }
    if !enquiry && !emergency && matches!(account.state, AccountState::Suspended | AccountState::Terminated) {
        return bare(Verdict::ServiceDenied);
    }
    let demand = if enquiry { Demand::All } else { Demand::Affordable };
    let (moment, untimely) = catalog.moment(request.happened, now);
    let contract = Contract::of(catalog, account, request.member, moment);
    let mut ledger = Ledger::new(account, now).used_by(request.member);
    let (mut cost, mut enough) = (Money::ZERO, true);
    // A request that names no service means one unit of the context's default service.
    let default = [ServiceRequest::default()];
    let services = if request.services.is_empty() { &default[..] } else { &request.services };
    let (mut steps, mut replies) = (Vec::with_capacity(services.len()), Vec::with_capacity(services.len()));
    let beside = Beside { state, lists, own, account, moment };
    let mut reheld = Vec::new();
    for service in services {
        let rated = rate(catalog, &contract, &mut ledger, account, request, service, (demand, moment));
        let (verdict, grant) = match rated {
            Ok(Rated { tariff, priced, .. }) if priced.is_free(tariff) && request.client.free_of_charge_4011 => {
                (Verdict::NotApplicable, None)
            }
            Ok(rated)
                if rated.allocation.units == rated.want && beside.pay(&mut ledger, &mut reheld, &rated, demand) =>
            {
                cost = cost.saturating_add(rated.allocation.cost);
                let grant = Grant { measure: rated.tariff.measure(), amount: rated.want };
                steps.push(step(service, rated));
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
    let priced = services.iter().find_map(|service| service_of(catalog, request, service)).filter(|_| !emergency);
    let priced = priced.map(|service| (service, request.attributes.as_deref(), moment));
    let mut answer = Answer {
        cost,
        at_command_level: request.at_command_level,
        replies,
        extras: answer_extras(request.client, account, &ledger, catalog, || cost, priced),
        ..Answer::bare(RequestKind::Event, request.number, Verdict::Success)
    };
    if request.action != EventAction::Debit {
        let is_check = request.action == EventAction::CheckBalance;
        enquiry::conclude(&mut answer, is_check.then_some(enough));
        return Decided::unchanged(Arc::new(answer)).paid_by(account.id);
    }
    if let (true, Some(failed)) = (request.at_command_level, failed) {
        answer.verdict = failed;
        answer.replies.clear();
    }
    let answer = Arc::new(answer);
    let mut notices = Vec::new();
    if steps.iter().any(|step| !step.debits.is_empty()) {
        notices = lifecycle::notices_of_debit(account, &ledger, catalog, now);
        notices.extend(contract.notices(&ledger, now));
    }
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
        untimely: request.happened.filter(|_| untimely),
        begun: ledger.begun(),
        reheld,
        catalog: 0,
        conditions: conditions(state, request),
    }));
    Decided { event: Some(event), ..Decided::unchanged(answer) }
}

/// What the records of an event need to be rated again, if records are made.
pub(super) fn conditions(state: &State, request: &EventRequest<'_>) -> Option<Box<Conditions>> {
    state.keeps_records.then(|| {
        Box::new(Conditions {
            context: request.context_name.into(),
            attributes: request.attributes.as_deref().map(|told| Arc::new(told.clone())),
            member: request.member,
        })
    })
}

/// What a service is rated by, and how many units it is about: one if nothing is said (spec C-131, G-124).
fn tariff_of<'a>(
    catalog: &'a Catalog,
    request: &EventRequest<'_>,
    service: &ServiceRequest,
    currency: Currency,
) -> Result<(Tariff<'a>, u64), Verdict> {
    match service.want {
        Some(Want::Unusable) => Err(Verdict::MoneyNotRated),
        Some(Want::Money(money)) => {
            let micros = u64::try_from(money.micros()).ok().filter(|micros| *micros > 0);
            // Nothing is converted (spec C-55).
            let micros = micros.filter(|_| service.currency.is_none_or(|given| given == currency));
            Ok((Tariff::Money, micros.ok_or(Verdict::MoneyNotRated)?))
        }
        want => {
            let found = service_of(catalog, request, service).ok_or(Verdict::RatingFailed)?;
            let units = match want {
                Some(Want::Units(units)) => {
                    units.of(found.kind).filter(|amount| *amount > 0).ok_or(Verdict::UnitNotRated)?
                }
                _ => 1,
            };
            Ok((Tariff::Service(found), units))
        }
    }
}

/// The service of the catalog that a request's service is, if it is not rated as money.
fn service_of<'a>(catalog: &'a Catalog, request: &EventRequest<'_>, service: &ServiceRequest) -> Option<&'a Service> {
    if matches!(service.want, Some(Want::Money(_) | Want::Unusable)) {
        return None;
    }
    let key = service.key;
    request.context.and_then(|context| catalog.service(context, key.rating_group, key.service_identifier))
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

/// A service of an event: by which price, who would pay, and for how many units.
struct Rated<'a> {
    tariff: Tariff<'a>,
    priced: Priced<'a>,
    discount: Option<Given>,
    facts: Option<Box<Facts>>,
    allocation: Allocation,
    want: u64,
}

impl<'a> Beside<'a> {
    /// Debits an event. Not if it makes dearer what sessions may still use, and that cannot be paid as well.
    fn pay(&self, ledger: &mut Ledger<'a>, reheld: &mut Vec<Reheld>, rated: &Rated<'_>, demand: Demand) -> bool {
        let draws = &rated.allocation.draws;
        if demand == Demand::All || !draws.iter().any(|draw| ledger.moves_others(draw)) {
            ledger.debit(&rated.allocation);
            return true;
        }
        let (mut after, mut open) = (ledger.clone(), self.open(reheld));
        after.debit(&rated.allocation);
        let paid = self.secure(&mut after, &mut open, draws);
        if paid {
            *ledger = after;
            beside::note(reheld, open);
        }
        paid
    }
}

fn rate<'a>(
    catalog: &'a Catalog,
    contract: &Contract<'a>,
    ledger: &mut Ledger<'_>,
    account: &Account,
    request: &EventRequest<'_>,
    service: &ServiceRequest,
    (demand, moment): (Demand, Timestamp),
) -> Result<Rated<'a>, Verdict> {
    let (tariff, want) = tariff_of(catalog, request, service, account.currency)?;
    let priced = priced(tariff, request, moment);
    let mut discount = None;
    let mut rate = Rate::money();
    if let Tariff::Service(found) = tariff {
        discount = contract.discount(found).filter(|_| !priced.is_free(tariff)).map(Given::of);
        let keep = Given::keep(discount.as_ref());
        rate = Rate::new(tariff, contract.used_at(ledger, priced, found.kind, keep, 0));
    }
    if !rate.is_free() {
        rate = rate.counted_in(contract.counted(ledger, tariff, Purpose::Event));
    }
    let stopped = account.state == AccountState::Stopped && !rate.is_capped_to_nothing();
    let allocation = if (stopped || lifecycle::is_lapsed(account)) && !rate.is_free() && demand == Demand::Affordable {
        Allocation::default()
    } else {
        ledger.allocate(&rate, want, demand).map_err(|_| Verdict::RatingFailed)?
    };
    let facts = facts(ledger, request, &rate, &allocation);
    Ok(Rated { tariff, priced, discount, facts, allocation, want: want.max(1) })
}

/// What the charge goes by beside its price.
fn facts(
    ledger: &Ledger<'_>,
    request: &EventRequest<'_>,
    rate: &Rate<'_>,
    allocation: &Allocation,
) -> Option<Box<Facts>> {
    let told = request.attributes.as_ref().is_some_and(|told| told.emergency);
    let emergency = told && matches!(rate.tariff, Tariff::Service(service) if !service.is_free());
    let facts = ledger.facts(rate, allocation);
    if !emergency && request.member == MemberNo::SHARED {
        return facts;
    }
    let known = facts.map_or_else(Facts::default, |facts| *facts);
    Facts { emergency, member: request.member, ..known }.or_none()
}

/// The price that applies.
pub(super) fn priced<'a>(tariff: Tariff<'a>, request: &EventRequest<'_>, moment: Timestamp) -> Priced<'a> {
    let Tariff::Service(service) = tariff else { return Priced::free() };
    match request.attributes.as_deref() {
        Some(told) if told.emergency => Priced::free(),
        _ if service.tariffs().is_empty() => Priced::by(service, None),
        Some(told) => Priced::by(service, service.tariff_at(told, moment)),
        None => Priced::by(service, service.tariff_at(&Attributes::default(), moment)),
    }
}

fn step(service: &ServiceRequest, rated: Rated<'_>) -> Step {
    let Rated { tariff, priced, discount, facts, allocation, .. } = rated;
    Step {
        key: service.key,
        service: match tariff {
            Tariff::Service(service) => Arc::clone(&service.name),
            Tariff::Money => "money".into(),
        },
        tariff: priced.position(),
        discount,
        measure: tariff.measure(),
        used: allocation.units,
        rated: allocation.rated,
        charged: allocation.cost,
        debits: allocation.draws,
        facts,
        ..Step::default()
    }
}
