//! Replies as octets, read back.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    charging::{Advice, AnswerExtras as Told, FinalUnits, Grant, Measure, PoolShare, Reply, ReplyExtras, TariffAdvice},
    diameter::{
        CreditControlRequest,
        credit_control::{
            AocCost, AocTariff, AocTariffs, CcUnitType, EnvelopeReporting, FinalUnitAction, MultipleServices,
            PoolReference, QosFinalUnit, RateElement, RedirectAddressType, RedirectTarget, RequestType, ServiceUnits,
            TimeQuotaMechanism, TimeQuotaType, UnitValue,
        },
    },
    ids::QuotaKey,
    rating::{Announcement, EnvelopeReporting as Envelopes, TimeMechanism},
    time::Timestamp,
    units::{Money, UnitKind},
};

fn request(services: Vec<MultipleServices<'_>>) -> Frame {
    let origin = Identity { host: "gw.example".into(), realm: "example".into() };
    let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", RequestType::Update);
    request.service_context_id = "32251@3gpp.org";
    request.services = services;
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    Frame::from_bytes(Bytes::from(bytes)).unwrap()
}

/// What a client reads in the answer.
fn read(answer: &Answer, request: &Frame, client: ClientTraits) -> CreditControlAnswer {
    let local = Identity { host: "ocs.example".into(), realm: "example".into() };
    let mut bytes = Vec::new();
    let euro = "EUR".parse().ok();
    credit_control_answer(answer, euro, request, client).encode(request, &local, &mut bytes);
    let frame = Frame::from_bytes(Bytes::from(bytes)).unwrap();
    CreditControlAnswer::parse(&frame).unwrap().answer
}

fn with_reply(reply: Reply) -> Answer {
    Answer { replies: vec![reply], ..Answer::bare(RequestKind::Update, 0, Verdict::Success) }
}

fn octets(amount: u64) -> Reply {
    let key = QuotaKey { rating_group: Some(7), ..QuotaKey::default() };
    let grant = Some(Grant { measure: Measure::Units(UnitKind::Octets), amount });
    Reply { key, grant, ..Reply::default() }
}

fn generic() -> ClientTraits {
    ClientTraits::default()
}

// tests: C-80 C-89
#[test]
fn each_final_action_has_its_members_and_its_qos_form_for_those_who_know_it() {
    let filters: Arc<[Arc<str>]> = [Arc::from("walled")].into();
    let rule: Arc<[Arc<str>]> = [Arc::from("permit in ip from any to any")].into();
    let none: Arc<[Arc<str>]> = [].into();
    let redirect = |kind, address: &str| FinalUnitAction::Redirect { kind, address: address.into() };
    let cases = [
        (FinalUnits::Terminate, FinalUnitAction::Terminate, Some(QosFinalUnit::Terminate)),
        (
            FinalUnits::Redirect("http://topup.example".into()),
            redirect(RedirectAddressType::Url, "http://topup.example"),
            Some(QosFinalUnit::Redirect(RedirectTarget::Url("http://topup.example".into()))),
        ),
        (
            FinalUnits::Redirect("2001:db8::1".into()),
            redirect(RedirectAddressType::Ipv6, "2001:db8::1"),
            Some(QosFinalUnit::Redirect(RedirectTarget::Ip("2001:db8::1".parse().unwrap()))),
        ),
        (
            FinalUnits::Redirect("sip:topup@example".into()),
            redirect(RedirectAddressType::SipUri, "sip:topup@example"),
            Some(QosFinalUnit::Redirect(RedirectTarget::SipUri("sip:topup@example".into()))),
        ),
        (
            FinalUnits::Restrict { rules: none.clone(), filters: filters.clone() },
            FinalUnitAction::RestrictAccess { rules: none, filter_ids: filters.clone() },
            Some(QosFinalUnit::RestrictAccess { filter_rules: [].into(), filter_ids: filters.clone() }),
        ),
        // The newer form has no place for rules as text: there is none.
        (
            FinalUnits::Restrict { rules: rule.clone(), filters: filters.clone() },
            FinalUnitAction::RestrictAccess { rules: rule, filter_ids: filters },
            None,
        ),
    ];
    for (told, action, qos) in cases {
        let mut answer = with_reply(Reply { final_action: Some(told), ..octets(10) });
        let knows = ClientTraits { qos_final_unit: true, ..generic() };
        let request = request(vec![]);
        let service = &read(&answer, &request, generic()).services[0];
        assert_eq!((service.final_unit.as_ref(), service.extras.as_ref()), (Some(&action), None));
        let service = &read(&answer, &request, knows).services[0];
        let both = (service.final_unit.as_ref(), service.extras.as_ref().and_then(|it| it.qos_final_unit.as_ref()));
        assert_eq!(both, (Some(&action), qos.as_ref()));
        // At command level it is for the whole session (spec C-82).
        answer.at_command_level = true;
        let whole = read(&answer, &request, knows);
        let both = (whole.final_unit.as_ref(), whole.extras.as_ref().and_then(|it| it.qos_final_unit.as_ref()));
        assert_eq!((both, whole.services.len()), ((Some(&action), qos.as_ref()), 0));
    }
}

// tests: C-170 C-173 G-65 G-70 G-71 G-88
#[test]
fn what_a_quota_says_beside_its_grant() {
    let pool = Some(PoolShare { id: 3, multiplier: 10 });
    for (kind, unit) in [
        (UnitKind::Octets, CcUnitType::TotalOctets),
        (UnitKind::Seconds, CcUnitType::Time),
        (UnitKind::Events, CcUnitType::ServiceSpecificUnits),
    ] {
        let extras = Some(Box::new(ReplyExtras { pool, ..ReplyExtras::default() }));
        let grant = Some(Grant { measure: Measure::Units(kind), amount: 5 });
        let answer = read(&with_reply(Reply { grant, extras, ..octets(1) }), &request(vec![]), generic());
        let reference = PoolReference { pool: 3, unit, multiplier: UnitValue::whole(10) };
        assert_eq!(answer.services[0].pools, [reference]);
    }
    for (envelopes, reporting) in [
        (Envelopes::Plain, EnvelopeReporting::Envelopes),
        (Envelopes::Volume, EnvelopeReporting::WithVolume),
        (Envelopes::Events, EnvelopeReporting::WithEvents),
        (Envelopes::Both, EnvelopeReporting::WithVolumeAndEvents),
    ] {
        let extras = ReplyExtras {
            envelopes: Some(envelopes),
            consumption_secs: Some(10),
            time_mechanism: Some(TimeMechanism { continuous: envelopes == Envelopes::Plain, base_secs: 60 }),
            announcement: Some(Announcement { id: 7, before_end_secs: 30 }),
            ..ReplyExtras::default()
        };
        let extras = Some(Box::new(extras));
        let answer = read(&with_reply(Reply { extras, ..octets(1) }), &request(vec![]), generic());
        let service = &answer.services[0];
        let kind = if envelopes == Envelopes::Plain { TimeQuotaType::Continuous } else { TimeQuotaType::Discrete };
        assert_eq!(service.time_quota_mechanism, Some(TimeQuotaMechanism { kind, interval_secs: 60 }));
        assert_eq!((service.envelope_reporting, service.quota_consumption_time), (Some(reporting), Some(10)));
        let played = &service.extras.as_ref().unwrap().announcements;
        assert_eq!((played.len(), played[0].id, played[0].time), (1, Some(7), Some(30)));
    }
}

// tests: G-80 G-81 G-85 G-86 G-87 C-56
#[test]
fn balances_and_advice_stand_at_command_level() {
    let tariff =
        TariffAdvice { kind: UnitKind::Seconds, units: 60, digits: 12, scale: 2, setup: Money::from_micros(500_000) };
    let evening = (Timestamp::from_secs(1_800_000_000), TariffAdvice { digits: 6, setup: Money::ZERO, ..tariff });
    let incremental = Some(Money::from_micros(240_000));
    let advice = Advice { incremental, tariff: Some(tariff), next: Some(evening) };
    let extras = Told {
        remaining: Some(Money::from_micros(1_230_000)),
        low_balance: Some(true),
        advice: Some(advice),
        cost_unit: Some("minute".into()),
    };
    let answer = Answer {
        cost: Money::from_micros(360_000),
        extras: Some(Box::new(extras)),
        ..Answer::bare(RequestKind::Termination, 3, Verdict::Success)
    };
    let told = read(&answer, &request(vec![]), generic());
    let euro = |digits, exponent| CcMoney { digits, exponent, currency: Some(978) };
    assert_eq!((told.remaining_balance, told.low_balance), (Some(euro(123, -2)), Some(true)));
    assert_eq!(told.cost, Some(CostInformation { cost: euro(36, -2), unit: Some("minute".into()) }));
    let aoc = told.extras.unwrap().information.unwrap().aoc.unwrap();
    let value = |digits, exponent| Some(UnitValue { digits, exponent });
    let cost = AocCost { accumulated: value(36, -2), incremental: vec![value(24, -2).unwrap()], currency: Some(978) };
    assert_eq!(aoc.cost, Some(cost));
    let fee = RateElement { unit: Some(CcUnitType::Money), reason: Some(3), cost: value(5, -1), ..Default::default() };
    let minutes = RateElement {
        unit: Some(CcUnitType::Time),
        reason: Some(1),
        size: value(60, 0),
        cost: value(12, -2),
        lasts: None,
    };
    let then = AocTariff {
        currency: Some(978),
        scale: None,
        elements: vec![RateElement { cost: value(6, -2), ..minutes.clone() }],
    };
    let current = AocTariff { currency: Some(978), scale: None, elements: vec![fee, minutes] };
    assert_eq!(aoc.tariff, Some(AocTariffs { current: Some(current), change: Some(evening.0), next: Some(then) }));
    // What is not asked for is not told.
    let bare = Answer { extras: None, ..answer };
    let told = read(&bare, &request(vec![]), generic());
    assert_eq!((told.remaining_balance, told.low_balance, told.extras), (None, None, None));
}

// tests: C-30 C-31 G-112
#[test]
fn every_service_identifier_is_echoed_as_it_came() {
    let asked = |first, more| MultipleServices {
        rating_group: Some(7),
        service_identifier: Some(first),
        more_service_identifiers: more,
        requested: Some(ServiceUnits::default()),
        ..MultipleServices::default()
    };
    let request = request(vec![asked(9, vec![]), asked(9, vec![3, 5]), asked(5, vec![])]);
    let key = QuotaKey::of(Some(7), &[3, 5, 9]);
    assert_eq!(key, QuotaKey::of(Some(7), &[9, 3, 5, 3]));
    assert_ne!(key, QuotaKey::of(Some(7), &[3, 5]));
    assert_eq!(QuotaKey::of(Some(7), &[3, 3]), QuotaKey::of(Some(7), &[3]));
    let service = &read(&with_reply(Reply { key, ..octets(1) }), &request, generic()).services[0];
    assert_eq!((service.rating_group, service.service_identifier), (Some(7), Some(9)));
    assert_eq!(service.more_service_identifiers, [3, 5]);
}

// tests: C-59 C-110 C-114
#[test]
fn results_have_their_codes() {
    for (verdict, code) in [
        (Verdict::Success, 2001),
        (Verdict::ServiceDenied, 4010),
        (Verdict::NotApplicable, 4011),
        (Verdict::CreditLimitReached, 4012),
        (Verdict::UnknownSession, 5002),
        (Verdict::InvalidValue, 5004),
        (Verdict::OtherContext, 5004),
        (Verdict::ResourcesExceeded, 5006),
        (Verdict::UnableToComply, 5012),
        (Verdict::UserUnknown, 5030),
        (Verdict::RatingFailed, 5031),
        (Verdict::UnitNotRated, 5031),
        (Verdict::MoneyNotRated, 5031),
    ] {
        assert_eq!(result_code(verdict).0, code, "{verdict:?}");
    }
}
