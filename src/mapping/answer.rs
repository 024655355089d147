//! A decision becomes a CCA.

use std::sync::Arc;

use super::{ClientTraits, ServicesRead};
use crate::{
    charging::{Answer, Answered, FinalUnits, Grant, Measure, Reply, RequestKind, Verdict},
    diameter::{
        Avps, CreditControlAnswer, Frame, Identity, ResultCode, Writer,
        credit_control::{
            CcMoney, CheckBalanceResult, CostInformation, FailureHandling, FinalUnitAction, GrantedUnits,
            RedirectAddressType, ServiceAnswer,
        },
        dictionary::{self as d, AvpDef},
    },
    ids::QuotaKey,
    journal::Durable,
    rating::FinalAction,
    units::{Currency, Money, UnitKind, Units},
};

/// Encodes the answer to a request of such a client. Only a durable decision can be encoded: what an answer promises, a
/// crash must not undo. Returns whether the client is to be told of overload (RFC 7683).
pub fn encode_answer(
    decision: &Durable<Answered>,
    request: &Frame,
    client: ClientTraits,
    local: &Identity,
    out: &mut Vec<u8>,
) -> bool {
    let Answered { answer, currency, .. } = &**decision;
    credit_control_answer(answer, *currency, request, client).encode(request, local, out)
}

/// The Result-Code of a verdict.
pub const fn result_code(verdict: Verdict) -> ResultCode {
    match verdict {
        Verdict::Success => ResultCode::SUCCESS,
        Verdict::ServiceDenied => ResultCode::END_USER_SERVICE_DENIED,
        Verdict::CreditLimitReached => ResultCode::CREDIT_LIMIT_REACHED,
        Verdict::RatingFailed => ResultCode::RATING_FAILED,
        Verdict::UserUnknown => ResultCode::USER_UNKNOWN,
        Verdict::UnknownSession => ResultCode::UNKNOWN_SESSION_ID,
        Verdict::ResourcesExceeded => ResultCode::RESOURCES_EXCEEDED,
        Verdict::UnableToComply => ResultCode::UNABLE_TO_COMPLY,
        Verdict::InvalidValue => ResultCode::INVALID_AVP_VALUE,
    }
}

fn credit_control_answer(
    answer: &Answer,
    currency: Option<Currency>,
    request: &Frame,
    client: ClientTraits,
) -> CreditControlAnswer {
    let mut cca = CreditControlAnswer::new(result_code(answer.verdict));
    let success = answer.verdict == Verdict::Success;
    if success && answer.kind == RequestKind::Initial {
        // How the client behaves when it cannot reach us is said once (spec C-154). Sessions live on one node, and a
        // service that is not charged is stopped.
        cca.session_failover = Some(false);
        cca.failure_handling = Some(FailureHandling::Terminate);
    }
    if let (true, true, Some(currency)) = (success, cost_told(answer.kind, client), currency) {
        let cost = CcMoney::from_money(answer.cost, Some(currency.number()));
        cca.cost = Some(CostInformation { cost, unit: None });
    }
    cca.check_balance = answer
        .enough_credit
        .map(|enough| if enough { CheckBalanceResult::EnoughCredit } else { CheckBalanceResult::NoCredit });
    cca.failed_avp = failed_avp(answer, request);
    if answer.at_command_level {
        if let Some(reply) = answer.replies.first() {
            match told(reply, client) {
                Some(final_action) => {
                    cca.granted = reply.grant.map(|grant| granted(grant, currency));
                    cca.validity_time = validity(reply);
                    cca.final_unit = final_action;
                }
                None => cca.result_code = ResultCode::CREDIT_LIMIT_REACHED,
            }
        }
    } else {
        cca.services = answer.replies.iter().map(|reply| service(reply, currency, client)).collect();
        put_where_read(&mut cca.services, client.services_read);
    }
    cca
}

/// The final action as a client understands it. `None`: it knows no other than the end of the service, and there are no
/// units to end it with, so that nothing but a refusal will do (spec C-80, I-2).
fn told(reply: &Reply, client: ClientTraits) -> Option<Option<FinalUnitAction>> {
    match &reply.final_action {
        Some(FinalUnits::Redirect(_)) if !client.redirects => {
            reply.grant.filter(|grant| grant.amount > 0).map(|_| Some(FinalUnitAction::Terminate))
        }
        action => Some(action.as_ref().map(final_unit)),
    }
}

/// Of several MSCCs a client may act on one only: the one that restricts it most must stand there, or a refusal would be
/// read as a grant (interop.md).
fn put_where_read(services: &mut [ServiceAnswer], read: ServicesRead) {
    let restriction = |service: &ServiceAnswer| match (service.granted, &service.final_unit) {
        (None, _) => 2,
        (Some(_), Some(_)) => 1,
        (Some(_), None) => 0,
    };
    match read {
        ServicesRead::All => {}
        ServicesRead::First => services.sort_by_key(|service| std::cmp::Reverse(restriction(service))),
        ServicesRead::Last => services.sort_by_key(restriction),
    }
}

/// Whether an answer carries Cost-Information (spec C-56).
const fn cost_told(kind: RequestKind, client: ClientTraits) -> bool {
    match kind {
        RequestKind::Termination | RequestKind::Event => true,
        RequestKind::Update => client.cost_information_in_updates,
        RequestKind::Initial => false,
    }
}

fn service(reply: &Reply, currency: Option<Currency>, client: ClientTraits) -> ServiceAnswer {
    let (rating_group, service_identifier) = (reply.key.rating_group, reply.key.service_identifier);
    let Some(final_action) = told(reply, client) else {
        let result_code = Some(ResultCode::CREDIT_LIMIT_REACHED);
        return ServiceAnswer { rating_group, service_identifier, result_code, ..ServiceAnswer::default() };
    };
    let mut service = ServiceAnswer {
        rating_group,
        service_identifier,
        result_code: Some(result_code(reply.verdict)),
        granted: reply.grant.map(|grant| granted(grant, currency)),
        validity_time: validity(reply),
        final_unit: final_action,
        quota_holding_time: reply.holding_secs,
        ..ServiceAnswer::default()
    };
    let threshold = Some(reply.threshold).filter(|threshold| *threshold > 0 && client.thresholds);
    match reply.grant.map(|grant| grant.measure) {
        Some(Measure::Units(UnitKind::Octets)) => service.volume_quota_threshold = threshold,
        Some(Measure::Units(UnitKind::Seconds)) => service.time_quota_threshold = threshold,
        Some(Measure::Units(UnitKind::Events)) => service.unit_quota_threshold = threshold,
        Some(Measure::Money) | None => {}
    }
    service
}

fn validity(reply: &Reply) -> Option<u32> {
    Some(reply.validity_secs).filter(|secs| *secs > 0)
}

fn granted(grant: Grant, currency: Option<Currency>) -> GrantedUnits {
    match grant.measure {
        Measure::Units(kind) => GrantedUnits::of(Units { kind, amount: grant.amount }),
        Measure::Money => {
            let micros = i64::try_from(grant.amount).unwrap_or(i64::MAX);
            let money = CcMoney::from_money(Money::from_micros(micros), currency.map(Currency::number));
            GrantedUnits::of_money(money)
        }
    }
}

fn final_unit(action: &FinalUnits) -> FinalUnitAction {
    match action {
        // Restriction is not encoded yet: a client that is not told how to restrict ends the service (spec C-80).
        FinalUnits::Terminate | FinalUnits::Restrict { .. } => FinalUnitAction::Terminate,
        FinalUnits::Redirect(address) => {
            let redirect = FinalAction::Redirect { address: Arc::clone(address) };
            let kind = match redirect.redirect_address_type() {
                Some(0) => RedirectAddressType::Ipv4,
                Some(1) => RedirectAddressType::Ipv6,
                Some(3) => RedirectAddressType::SipUri,
                _ => RedirectAddressType::Url,
            };
            FinalUnitAction::Redirect { kind, address: Arc::clone(address) }
        }
    }
}

/// The content of Failed-AVP, where the result demands one (spec B-72, C-121).
fn failed_avp(answer: &Answer, request: &Frame) -> Option<Vec<u8>> {
    match answer.verdict {
        Verdict::RatingFailed => Some(unrated_as_a_whole(answer, request)),
        // Another subscriber than the session's, or another service context (spec C-6, C-164). A request that names no
        // subscriber can only have the wrong context.
        Verdict::InvalidValue => {
            let subscriber = copy_of(request.body(), &d::SUBSCRIPTION_ID);
            Some(if subscriber.is_empty() { copy_of(request.body(), &d::SERVICE_CONTEXT_ID) } else { subscriber })
        }
        _ => answer.replies.iter().find(|reply| reply.verdict == Verdict::RatingFailed).map(|reply| unrated(reply.key)),
    }
}

/// What was asked for, if that was the matter: money of another currency, units that the service is not counted in (spec
/// C-35, C-55). Otherwise the service context, which is not known or has no price for a request without a key.
fn unrated_as_a_whole(answer: &Answer, request: &Frame) -> Vec<u8> {
    let asked = Avps::new(request.body()).map_while(Result::ok).find(|avp| avp.is(&d::REQUESTED_SERVICE_UNIT));
    match asked.filter(|units| answer.at_command_level && !units.data.is_empty()) {
        Some(units) => units.raw.to_vec(),
        None => copy_of(request.body(), &d::SERVICE_CONTEXT_ID),
    }
}

/// The key of the service that has no price, where it stands (spec B-73); an example of it if the client sent none (spec
/// C-116).
fn unrated(key: QuotaKey) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::bare(&mut out).group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, |w| {
        match (key.rating_group, key.service_identifier) {
            (None, Some(service)) => w.u32(&d::SERVICE_IDENTIFIER, service),
            (group, _) => w.u32(&d::RATING_GROUP, group.unwrap_or(0)),
        }
    });
    out
}

/// The first AVP of its kind as it was received.
pub(super) fn copy_of(body: &[u8], def: &AvpDef) -> Vec<u8> {
    let found = Avps::new(body).map_while(Result::ok).find(|avp| avp.is(def));
    found.map_or_else(Vec::new, |avp| avp.raw.to_vec())
}
