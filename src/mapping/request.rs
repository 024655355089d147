//! A CCR becomes a command of the charging core.

use super::{ClientTraits, client::ServicesRead, conditions, identity};
use crate::{
    charging::{
        AdviceWanted, ClientNeeds, Command, EventAction, EventRequest, Interrogation, MemberNo, RequestKind,
        ServiceRequest, SplitUsage, Used, Want, WantedUnits,
    },
    diameter::{
        CreditControlRequest, RequestError, ResultCode,
        credit_control::{
            AocRequestType, CcMoney, MultipleServices, RequestType, ServiceUnits, TariffChangeUsage, UsedUnits,
        },
        dictionary as d,
    },
    ids::{AccountId, Identity, QuotaKey, RefundToken, SessionKey},
    rating::{Catalog, ContextId, Domain},
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
    // Units at command level count only where there is no MSCC (spec C-97).
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
        count_messages(&mut services, request, catalog, context);
        Request::Event(EventRequest {
            session_id: request.session_id,
            sub_session,
            key,
            number: request.request_number,
            account: None,
            action: action(request)?,
            context,
            context_name: request.service_context_id,
            services,
            at_command_level,
            client: needs(request, client),
            attributes: conditions::attributes(request, catalog, context, client.all_conditions),
            happened: request.event_timestamp,
            unlinked_refunds: client.unlinked_refunds,
            member: MemberNo::SHARED,
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
            client: needs(request, client),
            attributes: conditions::attributes(request, catalog, context, client.all_conditions),
            happened: request.event_timestamp,
            incarnation: request.origin_state_id.filter(|id| *id != 0).unwrap_or(client.incarnation),
            member: MemberNo::SHARED,
        })
    };
    Ok(Charge { identities: identity::identities(request), key, request: translated })
}

/// What the decision has to know of the client.
fn needs(request: &CreditControlRequest<'_>, client: ClientTraits) -> ClientNeeds {
    let advice = match request.aoc_request.filter(|_| client.advice_of_charge) {
        Some(AocRequestType::Full) => AdviceWanted::Full,
        Some(AocRequestType::CostOnly) => AdviceWanted::Cost,
        Some(AocRequestType::TariffOnly) => AdviceWanted::Tariff,
        Some(AocRequestType::NotRequested) | None => AdviceWanted::Nothing,
    };
    ClientNeeds {
        exact: false,
        redirects: client.redirects,
        thresholds: client.thresholds,
        free_of_charge_4011: client.free_of_charge_4011,
        // A client that reads one MSCC of an answer knows of no pool of several.
        pools: client.services_read == ServicesRead::All,
        tariff_time_change: client.tariff_time_change,
        remaining_balance: client.remaining_balance,
        low_balance: client.low_balance_indication,
        announcements: client.announcements,
        advice,
    }
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
    let key = if mscc.more_service_identifiers.is_empty() {
        QuotaKey { rating_group: mscc.rating_group, service_identifier: mscc.service_identifier, further: 0 }
    } else {
        QuotaKey::of(mscc.rating_group, &mscc.service_identifiers().collect::<Vec<_>>())
    };
    ServiceRequest {
        refund: mscc.refund_information.map(RefundToken::read_or_invalid),
        reason: mscc.any_reporting_reason(),
        access: mscc.rat_type,
        ..from_units(key, mscc.requested.as_ref(), mscc.all_used())
    }
}

/// For clients that leave Requested-Service-Unit out although they go on (spec C-34). What the client says it hands back or
/// has ended is not granted again (spec G-40).
fn ask_silently(services: &mut [ServiceRequest], request: &CreditControlRequest<'_>) {
    for (service, mscc) in services.iter_mut().zip(&request.services) {
        let reason = mscc.any_reporting_reason();
        let ends = matches!(reason, Some(d::reporting_reason::QHT | d::reporting_reason::FINAL));
        if (service.used.is_some() || service.split.is_some()) && !ends {
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
    reports: impl Iterator<Item = &'u UsedUnits>,
) -> ServiceRequest {
    let (mut currency, mut unusable) = (None, false);
    let mut used = None;
    let mut split: Option<Box<SplitUsage>> = None;
    // Every Used-Service-Unit counts, not only the first, each on its side of a change of tariff (spec C-37, C-62, I-9).
    for report in reports {
        let money = report.units.money.and_then(|money| {
            let counted = money_of(money, &mut currency);
            unusable |= counted.is_none();
            counted
        });
        let this = Used {
            octets: report.units.octets().unwrap_or(0),
            input: report.units.input_octets.unwrap_or(0),
            output: report.units.output_octets.unwrap_or(0),
            seconds: report.units.amount(UnitKind::Seconds).unwrap_or(0),
            events: report.units.amount(UnitKind::Events).unwrap_or(0),
            money: money.unwrap_or(Money::ZERO),
        };
        let place = match report.tariff_change {
            None => &mut used,
            Some(TariffChangeUsage::Before) => &mut split.get_or_insert_default().before,
            Some(TariffChangeUsage::After) => &mut split.get_or_insert_default().after,
            Some(TariffChangeUsage::Indeterminate) => &mut split.get_or_insert_default().either,
        };
        *place = Some(place.unwrap_or_default().plus(this));
    }
    let want = requested.map(|units| match units.money {
        Some(money) => money_of(money, &mut currency).map_or(Want::Unusable, Want::Money),
        None if units.is_empty() => Want::Any,
        None => Want::Units(WantedUnits {
            octets: units.octets(),
            seconds: units.amount(UnitKind::Seconds),
            events: units.amount(UnitKind::Events),
        }),
    });
    ServiceRequest { key, used, split, want, currency, unusable, ..ServiceRequest::default() }
}

/// The amount, if it can be counted; the currency is noted. A currency that is not known makes it uncountable.
fn money_of(money: CcMoney, currency: &mut Option<Currency>) -> Option<Money> {
    if let Some(number) = money.currency {
        *currency = Some(Currency::from_number(number)?);
    }
    money.to_money().filter(|money| !money.is_negative())
}

/// Where the client does not say how many units an event is about, the messages are counted (spec G-124, G-132).
fn count_messages(
    services: &mut [ServiceRequest],
    request: &CreditControlRequest<'_>,
    catalog: &Catalog,
    context: Option<ContextId>,
) {
    let quantity = match context.and_then(|context| catalog.domain(context, request.service_context_id)) {
        Some(Domain::Mms) => conditions::mms::quantity,
        _ => conditions::sms::quantity,
    };
    let silent = |want: Option<Want>| matches!(want, None | Some(Want::Any));
    if services.iter().any(|service| silent(service.want))
        && let Some(messages) = quantity(request.service_information)
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
        assert_eq!(services[0].used, Some(Used { octets: 13, input: 2, output: 4, ..Used::default() }));
        assert_eq!(services[0].want, None);
    }

    // tests: C-37, C-62
    #[test]
    fn sides_of_a_tariff_change_stay_apart() {
        let on = |amount, side| UsedUnits {
            tariff_change: side,
            ..used(ServiceUnits { total_octets: Some(amount), ..ServiceUnits::default() })
        };
        let octets = |octets| Some(Used { octets, ..Used::default() });
        let services = translated(|request| {
            request.services = vec![MultipleServices {
                rating_group: Some(1),
                used: Some(on(1, Some(TariffChangeUsage::Before))),
                more_used: vec![
                    on(2, Some(TariffChangeUsage::After)),
                    on(4, None),
                    on(8, Some(TariffChangeUsage::Indeterminate)),
                    on(16, Some(TariffChangeUsage::After)),
                ],
                ..MultipleServices::default()
            }];
        })
        .unwrap();
        assert_eq!(services[0].used, octets(4));
        let split = SplitUsage { before: octets(1), after: octets(18), either: octets(8) };
        assert_eq!(services[0].split.as_deref(), Some(&split));
        assert_eq!(services[0].all_used().octets, 31);
    }

    // tests: G-35, G-41
    #[test]
    fn a_group_may_have_a_radio_and_reasons_of_its_own() {
        let services = translated(|request| {
            let report = UsedUnits { reporting_reason: Some(6), ..UsedUnits::default() };
            request.services = vec![
                MultipleServices { rat_type: Some(2), reporting_reason: Some(4), ..MultipleServices::default() },
                MultipleServices { used: Some(report), ..MultipleServices::default() },
            ];
        })
        .unwrap();
        assert_eq!((services[0].access, services[0].reason), (Some(2), Some(4)));
        assert_eq!((services[1].access, services[1].reason), (None, Some(6)));
    }

    // tests: C-30, C-31
    #[test]
    fn a_key_is_the_set_of_its_service_identifiers() {
        let key = |identifiers: &[u32]| {
            let services = translated(|request| {
                request.services = vec![MultipleServices {
                    rating_group: Some(1),
                    service_identifier: identifiers.first().copied(),
                    more_service_identifiers: identifiers.get(1..).unwrap_or_default().to_vec(),
                    ..MultipleServices::default()
                }];
            });
            services.unwrap()[0].key
        };
        assert_eq!(key(&[7, 9, 8]), key(&[9, 8, 7]));
        assert_eq!(key(&[7, 9, 9]), key(&[7, 9]));
        assert_eq!(key(&[7]), QuotaKey { rating_group: Some(1), service_identifier: Some(7), further: 0 });
        assert_eq!(key(&[9, 7]).service_identifier, Some(7));
        let different = [key(&[]), key(&[7]), key(&[7, 8]), key(&[7, 9]), key(&[7, 8, 9]), key(&[8, 9])];
        for (index, one) in different.iter().enumerate() {
            assert!(different.iter().skip(index + 1).all(|other| other != one), "{one:?}");
        }
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
