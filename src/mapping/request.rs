//! A CCR becomes a command of the charging core.

use super::{ClientTraits, identity, sms};
use crate::{
    charging::{
        Command, EventAction, EventRequest, Interrogation, RequestKind, ServiceRequest, Used, Want, WantedUnits,
    },
    diameter::{
        CreditControlRequest, RequestError, ResultCode,
        credit_control::{CcMoney, MultipleServices, RequestType, ServiceUnits, UsedUnits},
        dictionary as d,
    },
    ids::{AccountId, Identity, QuotaKey, RefundToken, SessionKey},
    rating::Catalog,
    units::{Currency, Money, UnitKind},
};

/// A charging request, and whom it names. The account is not known yet: finding it is the store's.
#[derive(Debug)]
pub struct Charge<'a> {
    /// In the order of look-up; may be empty in updates, where the session knows its account (spec C-164).
    pub identities: Vec<Identity>,
    /// Session-Id's key.
    pub key: SessionKey,
    request: Request<'a>,
}

#[derive(Debug)]
enum Request<'a> {
    Session(Interrogation<'a>),
    Event(EventRequest<'a>),
}

impl<'a> Charge<'a> {
    /// The identities and the rest apart: the rest is used up when the account is known.
    pub fn split(mut self) -> (Vec<Identity>, Self) {
        (std::mem::take(&mut self.identities), self)
    }

    /// The command, once it is known which account the identities name.
    pub fn into_command(self, account: Option<AccountId>) -> Command<'a> {
        match self.request {
            Request::Session(interrogation) => Command::Interrogate(Interrogation { account, ..interrogation }),
            Request::Event(event) => Command::ChargeEvent(EventRequest { account, ..event }),
        }
    }

    /// Type of the request.
    pub fn kind(&self) -> RequestKind {
        match &self.request {
            Request::Session(interrogation) => interrogation.kind,
            Request::Event(_) => RequestKind::Event,
        }
    }

    /// CC-Request-Number.
    pub fn number(&self) -> u32 {
        match &self.request {
            Request::Session(interrogation) => interrogation.number,
            Request::Event(event) => event.number,
        }
    }
}

/// Translates a request.
///
/// # Errors
/// 5004 or 5005, as the answer will say it.
pub fn charge<'a>(
    request: &CreditControlRequest<'a>,
    catalog: &Catalog,
    client: ClientTraits,
) -> Result<Charge<'a>, RequestError> {
    let sub_session = request.sub_session_id.unwrap_or(0);
    let key = SessionKey::of_sub_session(request.session_id, sub_session);
    let context = catalog.context(request.service_context_id);
    let at_command_level = request.services.is_empty();
    let kind = match request.request_type {
        RequestType::Initial => RequestKind::Initial,
        RequestType::Update => RequestKind::Update,
        RequestType::Termination => RequestKind::Termination,
        RequestType::Event => RequestKind::Event,
    };
    let mut services: Vec<_> = request.services.iter().map(service).collect();
    if client.grant_without_request && kind == RequestKind::Update {
        ask_silently(&mut services, request);
    }
    if request.is_command_level() {
        services.push(command_level(request));
        if client.grant_without_request && kind == RequestKind::Update {
            services.iter_mut().for_each(|service| service.want = service.want.or(Some(Want::Any)));
        }
    }
    let translated = if kind == RequestKind::Event {
        if services.is_empty() {
            services.push(command_level(request));
        }
        count_messages(&mut services, request);
        Request::Event(EventRequest {
            session_id: request.session_id,
            sub_session,
            key,
            number: request.request_number,
            account: None,
            action: action(request)?,
            context,
            services,
            at_command_level,
            attributes: None,
            happened: None,
            unlinked_refunds: client.unlinked_refunds,
        })
    } else {
        Request::Session(Interrogation {
            session_id: request.session_id,
            sub_session,
            key,
            account: None,
            kind,
            number: request.request_number,
            context,
            context_name: request.service_context_id,
            origin_host: request.origin_host,
            origin_realm: request.origin_realm,
            services,
            at_command_level: at_command_level && request.is_command_level(),
            short_validity: client.ignores_reauthorisation,
            attributes: None,
            happened: None,
            incarnation: request.origin_state_id.filter(|id| *id != 0).unwrap_or(client.incarnation),
        })
    };
    Ok(Charge { identities: identity::identities(request), key, request: translated })
}

/// Requested-Action counts in event requests only: one SMF sends it in every CCR (spec C-95, C-96, I-10).
fn action(request: &CreditControlRequest<'_>) -> Result<EventAction, RequestError> {
    match request.requested_action {
        Some(d::requested_action::DIRECT_DEBITING) => Ok(EventAction::Debit),
        Some(d::requested_action::REFUND_ACCOUNT) => Ok(EventAction::Refund),
        Some(d::requested_action::CHECK_BALANCE) => Ok(EventAction::CheckBalance),
        Some(d::requested_action::PRICE_ENQUIRY) => Ok(EventAction::PriceEnquiry),
        Some(_) => Err(RequestError::new(ResultCode::INVALID_AVP_VALUE, "no such Requested-Action")
            .with_failed_avp(super::answer::copy_of(request.body, &d::REQUESTED_ACTION))),
        None => Err(RequestError::missing(&d::REQUESTED_ACTION)),
    }
}

fn service(mscc: &MultipleServices<'_>) -> ServiceRequest {
    let key = QuotaKey {
        rating_group: mscc.rating_group,
        service_identifier: mscc.service_identifier,
        ..QuotaKey::default()
    };
    let refund = mscc.refund_information.map(RefundToken::read_or_invalid);
    ServiceRequest { refund, ..from_units(key, mscc.requested.as_ref(), mscc.all_used()) }
}

/// For clients that leave Requested-Service-Unit out although they go on (spec C-34). What the client says it hands back or
/// has ended is not granted again (spec G-40).
fn ask_silently(services: &mut [ServiceRequest], request: &CreditControlRequest<'_>) {
    for (service, mscc) in services.iter_mut().zip(&request.services) {
        let reason = mscc.any_reporting_reason();
        let ends = matches!(reason, Some(d::reporting_reason::QHT | d::reporting_reason::FINAL));
        if service.used.is_some() && !ends {
            service.want = service.want.or(Some(Want::Any));
        }
    }
}

/// Units outside of MSCC (spec C-39, G-20).
fn command_level(request: &CreditControlRequest<'_>) -> ServiceRequest {
    let key = QuotaKey { service_identifier: request.service_identifier, ..QuotaKey::default() };
    from_units(key, request.requested.as_ref(), request.used.iter())
}

fn from_units<'u>(
    key: QuotaKey,
    requested: Option<&ServiceUnits>,
    used: impl Iterator<Item = &'u UsedUnits>,
) -> ServiceRequest {
    let (mut currency, mut unusable) = (None, false);
    // Every Used-Service-Unit counts, not only the first (spec C-37, I-9).
    let used = used.fold(None, |sum: Option<Used>, used| {
        let money = used.units.money.and_then(|money| {
            let counted = money_of(money, &mut currency);
            unusable |= counted.is_none();
            counted
        });
        let this = Used {
            octets: used.units.octets().unwrap_or(0),
            seconds: used.units.amount(UnitKind::Seconds).unwrap_or(0),
            events: used.units.amount(UnitKind::Events).unwrap_or(0),
            money: money.unwrap_or(Money::ZERO),
        };
        Some(sum.unwrap_or_default().plus(this))
    });
    let want = requested.map(|units| match units.money {
        Some(money) => money_of(money, &mut currency).map_or(Want::Unusable, Want::Money),
        None if units.is_empty() => Want::Any,
        None => Want::Units(WantedUnits {
            octets: units.octets(),
            seconds: units.amount(UnitKind::Seconds),
            events: units.amount(UnitKind::Events),
        }),
    });
    ServiceRequest { key, used, want, currency, unusable, ..ServiceRequest::default() }
}

/// The amount, if it can be counted; the currency is noted. A currency that is not known makes it uncountable.
fn money_of(money: CcMoney, currency: &mut Option<Currency>) -> Option<Money> {
    if let Some(number) = money.currency {
        *currency = Some(Currency::from_number(number)?);
    }
    money.to_money().filter(|money| !money.is_negative())
}

/// Where the client does not say how many units an event is about, the messages are counted (spec G-124).
fn count_messages(services: &mut [ServiceRequest], request: &CreditControlRequest<'_>) {
    let silent = |want: Option<Want>| matches!(want, None | Some(Want::Any));
    if services.iter().any(|service| silent(service.want))
        && let Some(messages) = sms::quantity(request.service_information)
    {
        let units = Want::Units(WantedUnits { events: Some(messages), ..WantedUnits::default() });
        services.iter_mut().filter(|service| silent(service.want)).for_each(|service| service.want = Some(units));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::diameter::{Frame, Identity, credit_control::Strictness};

    fn translated(change: impl FnOnce(&mut CreditControlRequest<'_>)) -> Result<Vec<ServiceRequest>, RequestError> {
        let catalog = Catalog::from_toml(include_str!("../../config/demo/catalog.toml")).unwrap();
        let origin = Identity { host: "gw.example".into(), realm: "example".into() };
        let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", RequestType::Update);
        request.service_context_id = "32251@3gpp.org";
        change(&mut request);
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let frame = Frame::from_bytes(Bytes::from(bytes)).unwrap();
        let parsed = CreditControlRequest::parse(&frame, Strictness::Tolerant).unwrap();
        let charge = charge(&parsed, &catalog, ClientTraits::default())?;
        match charge.into_command(None) {
            Command::Interrogate(interrogation) => Ok(interrogation.services),
            Command::ChargeEvent(event) => Ok(event.services),
            other => panic!("{other:?}"),
        }
    }

    fn used(units: ServiceUnits) -> UsedUnits {
        UsedUnits { units, ..UsedUnits::default() }
    }

    // tests: I-9, C-37, C-51
    #[test]
    fn every_report_counts_and_a_total_counts_once() {
        let services = translated(|request| {
            let both = ServiceUnits { input_octets: Some(1), output_octets: Some(2), ..ServiceUnits::default() };
            let all = ServiceUnits { total_octets: Some(10), ..both };
            request.services = vec![MultipleServices {
                rating_group: Some(1),
                used: Some(used(both)),
                more_used: vec![used(all)],
                ..MultipleServices::default()
            }];
        })
        .unwrap();
        assert_eq!(services[0].used, Some(Used { octets: 13, ..Used::default() }));
        assert_eq!(services[0].want, None);
    }

    // tests: C-54, C-55
    #[test]
    fn money_that_cannot_be_counted_is_not_taken_for_none() {
        for money in [
            CcMoney { digits: 5, exponent: 0, currency: Some(1) },
            CcMoney { digits: -5, exponent: 0, currency: None },
            CcMoney { digits: i64::MAX, exponent: 6, currency: None },
        ] {
            let services = translated(|request| request.used = vec![used(ServiceUnits::of_money(money))]).unwrap();
            assert!(services[0].unusable, "{money:?}");
        }
        let fine = CcMoney { digits: 5, exponent: -2, currency: Some(156) };
        let services = translated(|request| request.used = vec![used(ServiceUnits::of_money(fine))]).unwrap();
        assert_eq!((services[0].unusable, services[0].used.unwrap().money.micros()), (false, 50_000));
    }
}
