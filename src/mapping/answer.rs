//! A decision becomes a CCA.

mod advice;
mod failed;
mod quota;

use super::{ClientTraits, ServicesRead};
use crate::{
    charging::{Answer, Answered, RequestKind, Verdict},
    diameter::{
        Avps, CreditControlAnswer, Frame, Identity, ResultCode,
        credit_control::{AnswerExtras, CcMoney, CheckBalanceResult, CostInformation, FailureHandling, ServiceAnswer},
        dictionary::AvpDef,
    },
    journal::Durable,
    rating::OnFailure,
    units::Currency,
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
    let Answered { answer, currency, refund, .. } = &**decision;
    let mut cca = credit_control_answer(answer, *currency, request, client);
    if let Some(token) = refund {
        // What can be given back is what was granted (spec G-83).
        for service in cca.services.iter_mut().filter(|service| service.granted.is_some()) {
            service.refund_information = Some(token.octets().to_vec());
        }
    }
    cca.encode(request, local, out)
}

/// The Result-Code of a verdict.
pub const fn result_code(verdict: Verdict) -> ResultCode {
    match verdict {
        Verdict::Success => ResultCode::SUCCESS,
        Verdict::ServiceDenied => ResultCode::END_USER_SERVICE_DENIED,
        Verdict::CreditLimitReached => ResultCode::CREDIT_LIMIT_REACHED,
        Verdict::RatingFailed | Verdict::UnitNotRated | Verdict::MoneyNotRated => ResultCode::RATING_FAILED,
        Verdict::NotApplicable => ResultCode::CREDIT_CONTROL_NOT_APPLICABLE,
        Verdict::UserUnknown => ResultCode::USER_UNKNOWN,
        Verdict::UnknownSession => ResultCode::UNKNOWN_SESSION_ID,
        Verdict::ResourcesExceeded => ResultCode::RESOURCES_EXCEEDED,
        Verdict::UnableToComply => ResultCode::UNABLE_TO_COMPLY,
        Verdict::InvalidValue | Verdict::OtherContext => ResultCode::INVALID_AVP_VALUE,
        Verdict::TooBusy => ResultCode::TOO_BUSY,
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
        // How the client behaves when it cannot reach us is said once (spec C-154).
        cca.session_failover = Some(client.failure.session_failover);
        cca.failure_handling = Some(match client.failure.handling {
            OnFailure::Terminate => FailureHandling::Terminate,
            OnFailure::Continue => FailureHandling::Continue,
            OnFailure::RetryAndTerminate => FailureHandling::RetryAndTerminate,
        });
    }
    if success && answer.kind == RequestKind::Event {
        cca.direct_debiting_continue = client.failure.direct_debiting_continue;
    }
    let number = currency.map(Currency::number);
    if success && cost_told(answer, client) && number.is_some() {
        let unit = answer.extras.as_ref().and_then(|extras| extras.cost_unit.clone());
        cca.cost = Some(CostInformation { cost: CcMoney::from_money(answer.cost, number), unit });
    }
    cca.check_balance = answer
        .enough_credit
        .map(|enough| if enough { CheckBalanceResult::EnoughCredit } else { CheckBalanceResult::NoCredit });
    cca.failed_avp = failed::failed_avp(answer, request);
    if let (true, Some(extras)) = (success, &answer.extras) {
        cca.remaining_balance = extras.remaining.map(|money| CcMoney::from_money(money, number));
        cca.low_balance = extras.low_balance;
        if let Some(advice) = &extras.advice {
            let information = Some(advice::information(advice, answer.cost, number));
            cca.extras = Some(Box::new(AnswerExtras { information, ..AnswerExtras::default() }));
        }
    }
    if answer.at_command_level {
        if let Some(reply) = answer.replies.first() {
            cca.granted = reply.grant.map(|grant| quota::granted(grant, reply, currency));
            cca.validity_time = quota::validity(reply);
            cca.final_unit = reply.final_action.as_ref().map(quota::final_unit);
            let qos = cca.final_unit.as_ref().filter(|_| client.qos_final_unit).and_then(|action| action.to_qos_form());
            if qos.is_some() {
                cca.extras.get_or_insert_default().qos_final_unit = qos;
            }
        }
    } else {
        cca.services = answer.replies.iter().map(|reply| quota::service(reply, currency, request, client)).collect();
        put_where_read(&mut cca.services, client.services_read);
    }
    cca
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

/// Whether an answer carries Cost-Information (spec C-56). A balance check costs nothing and says nothing of costs.
fn cost_told(answer: &Answer, client: ClientTraits) -> bool {
    match answer.kind {
        RequestKind::Termination => true,
        RequestKind::Event => answer.enough_credit.is_none(),
        RequestKind::Update => client.cost_information_in_updates,
        RequestKind::Initial => false,
    }
}

/// The first AVP of its kind as it was received.
pub(super) fn copy_of(body: &[u8], def: &AvpDef) -> Vec<u8> {
    let found = Avps::new(body).map_while(Result::ok).find(|avp| avp.is(def));
    found.map_or_else(Vec::new, |avp| avp.raw.to_vec())
}

#[cfg(test)]
mod tests;
