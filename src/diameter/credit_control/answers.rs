//! Answers there and back.

use super::*;
use crate::{
    diameter::{
        avp::Avps,
        dictionary as d,
        error::ResultCode,
        frame::Frame,
        vectors::{CCR_U, hex, ocs},
    },
    time::Timestamp,
    units::{Money, Units},
};

fn codes(frame: &Frame) -> Vec<u32> {
    Avps::new(frame.body()).map(|avp| avp.unwrap().code).collect()
}

/// CCR-U with more AVPs behind.
fn request(more: &str) -> Frame {
    let mut octets = [hex(CCR_U), hex(more)].concat();
    let [_, length @ ..] = (octets.len() as u32).to_be_bytes();
    octets[1..4].copy_from_slice(&length);
    Frame::from_bytes(octets.into()).unwrap()
}

fn encoded(answer: &CreditControlAnswer, request: &Frame) -> Frame {
    let mut out = vec![1, 2, 3, 4];
    answer.encode(request, &ocs(), &mut out);
    // What was in the buffer stays.
    Frame::from_bytes(out.split_off(4).into()).unwrap()
}

fn full() -> CreditControlAnswer {
    let money = CcMoney::from_money(Money::from_micros(120_000), Some(156));
    let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
    answer.session_failover = Some(true);
    answer.granted = Some(GrantedUnits::of_money(money));
    answer.services = vec![
        ServiceAnswer {
            rating_group: Some(10),
            service_identifier: Some(1),
            more_service_identifiers: vec![2, 3],
            result_code: Some(ResultCode::SUCCESS),
            granted: Some(GrantedUnits {
                units: ServiceUnits::of(Units::octets(1_000)),
                tariff_time_change: Some(Timestamp::from_secs(1_767_225_600)),
            }),
            validity_time: Some(600),
            final_unit: Some(FinalUnitAction::RestrictAccess {
                rules: ["permit in ip from any to 192.0.2.1".into()].into(),
                filter_ids: ["captive".into()].into(),
            }),
            time_quota_threshold: Some(1),
            volume_quota_threshold: Some(2),
            unit_quota_threshold: Some(3),
            quota_holding_time: Some(4),
            quota_consumption_time: Some(5),
            triggers: Some([4, 30].into()),
            refund_information: Some(b"token".to_vec()),
            tariff_change: Some(TariffChangeUsage::Before),
            pools: vec![PoolReference {
                pool: 1,
                unit: CcUnitType::TotalOctets,
                multiplier: UnitValue { digits: 5, exponent: -1 },
            }],
            time_quota_mechanism: Some(TimeQuotaMechanism { kind: TimeQuotaType::Continuous, interval_secs: 60 }),
            envelope_reporting: Some(EnvelopeReporting::WithVolume),
            extras: Some(Box::new(ServiceAnswerExtras {
                qos_final_unit: Some(QosFinalUnit::RestrictAccess {
                    filter_rules: [hex("000001fe4000000c00000001").into()].into(),
                    filter_ids: ["captive".into()].into(),
                }),
                announcements: vec![announcement(), Announcement::default()],
                furnish: Some(furnish()),
            })),
        },
        ServiceAnswer { result_code: Some(ResultCode::CREDIT_LIMIT_REACHED), ..Default::default() },
    ];
    answer.cost = Some(CostInformation { cost: money, unit: Some("minute".into()) });
    answer.low_balance = Some(true);
    answer.remaining_balance = Some(money);
    answer.final_unit = Some(FinalUnitAction::Terminate);
    answer.check_balance = Some(CheckBalanceResult::NoCredit);
    answer.failure_handling = Some(FailureHandling::RetryAndTerminate);
    answer.direct_debiting_continue = Some(false);
    answer.validity_time = Some(60);
    answer.error_message = Some("none".into());
    answer.failed_avp = Some(hex("000001cd40000008"));
    answer.extras = Some(Box::new(AnswerExtras {
        experimental: Some(ExperimentalResult { vendor: Some(10_415), code: Some(4_241) }),
        origin_state_id: Some(7),
        qos_final_unit: Some(QosFinalUnit::Terminate),
        redirection: Redirection {
            hosts: vec!["aaa://a.example".into(), "aaa://b.example".into()],
            usage: Some(1),
            max_cache_secs: Some(60),
        },
        information: Some(AnswerInformation {
            aoc: Some(advice()),
            ps: Some(PsAnswer { furnish: Some(furnish()), unused_quota_timer: Some(30) }),
            ims: Some(ImsAnswer { account_expiration: Some(Timestamp::from_secs(1_767_225_600)) }),
        }),
    }));
    answer
}

fn announcement() -> Announcement {
    Announcement {
        id: Some(5),
        parts: vec![VariablePart {
            order: Some(1),
            kind: Some(VariablePartType::Currency),
            value: Some("00000120".into()),
        }],
        time: Some(0),
        uses_quota: Some(false),
        order: Some(2),
        to: Some(PlayAlternative::Remote),
        private: Some(true),
        language: Some("de".into()),
    }
}

fn furnish() -> FurnishCharging {
    FurnishCharging { charging_id: Some(9), data: Some(b"text".to_vec()), append: Some(0) }
}

fn advice() -> AocInformation {
    let element = RateElement {
        unit: Some(CcUnitType::Time),
        reason: Some(1),
        size: Some(UnitValue::whole(60)),
        cost: Some(UnitValue { digits: 12, exponent: -2 }),
        lasts: Some(600),
    };
    let tariff = AocTariff {
        currency: Some(978),
        scale: Some(UnitValue::whole(1)),
        elements: vec![element, RateElement { unit: Some(CcUnitType::Money), ..Default::default() }],
    };
    AocInformation {
        cost: Some(AocCost {
            accumulated: Some(UnitValue { digits: 230, exponent: -2 }),
            incremental: vec![UnitValue { digits: 5, exponent: -2 }, UnitValue::whole(1)],
            currency: Some(978),
        }),
        tariff: Some(AocTariffs {
            current: Some(tariff.clone()),
            change: Some(Timestamp::from_secs(1_767_225_600)),
            next: Some(AocTariff { scale: None, ..tariff }),
        }),
        subscription: Some(AocSubscription {
            services: vec![AocService { binding: Some(true), kind: Some(2) }],
            format: Some(0),
            currency: Some(978),
        }),
    }
}

// tests: B-80, B-81, B-136, C-2, I-1, C-56, C-60, C-63, C-89, C-150, C-151, C-152, C-170, G-50, G-60, G-65, G-70, G-71
// tests: G-80, G-81, G-82, G-83, G-84, G-85, G-86, G-87, G-88
#[test]
fn everything_arrives_as_it_was_sent() {
    let proxy_info = "0000011c40000020000001184000000961000000000000214000000962000000";
    let sub_session = "000001a3400000100000000000000007";
    let route_record = "0000011a4000000b702e6100";
    let request = request(&[sub_session, proxy_info, route_record, proxy_info].concat());
    let answer = full();
    let frame = encoded(&answer, &request);
    assert_eq!(CreditControlAnswer::parse(&frame).unwrap().answer, answer);
    let codes = codes(&frame);
    assert_eq!(codes[..9], [263, 268, 264, 296, 258, 416, 415, 418, 419]);
    assert_eq!(codes[codes.len() - 3..], [873, 284, 284]);
    assert!(!codes.contains(&282));
    assert_eq!(frame.header().end_to_end, request.header().end_to_end);
    assert!(frame.header().flags.is_proxiable() && !frame.header().flags.is_request());
}

// tests: B-82 B-85
#[test]
fn a_protocol_error_is_an_error_answer() {
    let frame = encoded(&CreditControlAnswer::new(ResultCode::TOO_BUSY), &request(""));
    assert!(frame.header().flags.is_error());
    let received = CreditControlAnswer::parse(&frame).unwrap();
    assert_eq!(received.answer.result_code, ResultCode::TOO_BUSY);
    assert_eq!((received.request_type, received.request_number), (Some(RequestType::Update), Some(1)));
}

// tests: C-80 C-83 I-2
#[test]
fn a_final_unit_action_that_is_not_understood_ends_the_service() {
    for (group, action) in [
        ("000001ae40000014000001c14000000c00000007", Some(FinalUnitAction::Terminate)),
        ("000001ae40000014000001c14000000c00000001", Some(FinalUnitAction::Terminate)),
        ("000001ae40000008", None),
    ] {
        let mut octets = encoded(&CreditControlAnswer::new(ResultCode::SUCCESS), &request("")).as_bytes().to_vec();
        octets.extend(hex(group));
        let [_, length @ ..] = (octets.len() as u32).to_be_bytes();
        octets[1..4].copy_from_slice(&length);
        let frame = Frame::from_bytes(octets.into()).unwrap();
        assert_eq!(CreditControlAnswer::parse(&frame).unwrap().answer.final_unit, action);
    }
}

fn flags_of(avps: Avps<'_>, found: &mut Vec<(u32, u32, bool)>) {
    for avp in avps {
        let avp = avp.unwrap();
        found.push((avp.vendor, avp.code, avp.flags.is_mandatory()));
        if d::is_grouped(avp.vendor, avp.code) {
            flags_of(avp.grouped(), found);
        }
    }
}

// tests: B-26, C-89, C-190, G-24, G-25, G-151
#[test]
fn every_avp_carries_the_vendor_and_the_m_bit_of_its_definition() {
    let frame = encoded(&full(), &request(""));
    let mut found = Vec::new();
    flags_of(Avps::new(frame.body()), &mut found);
    for &(vendor, code, mandatory) in &found {
        // Filter-Rule's own members are whatever was configured.
        if (vendor, code) != (0, 510) {
            let def = d::lookup(vendor, code).unwrap_or_else(|| panic!("{vendor} {code}"));
            assert_eq!(mandatory, def.mandatory, "{}", def.name);
        }
    }
    // What older clients do not know can be ignored by them.
    for code in [669, 281] {
        assert!(found.contains(&(0, code, false)), "{code}");
    }
    // IETF's AVPs keep their vendor inside of 3GPP's groups.
    for code in [425, 445, 447, 451, 454] {
        assert!(found.contains(&(0, code, true)), "{code}");
    }
    for code in [865, 866, 870, 1_226, 1_264, 1_268, 1_270, 2_020, 2_021, 2_022, 2_053, 2_054, 2_061, 3_904, 4_407] {
        assert!(found.contains(&(10_415, code, true)), "{code}");
    }
}

// tests: B-82, B-137
#[test]
fn a_redirection_is_an_error_answer_and_says_where_to() {
    let redirection = Redirection { hosts: vec!["aaa://b.example".into()], usage: Some(1), max_cache_secs: Some(60) };
    let mut answer = CreditControlAnswer::new(ResultCode::REDIRECT_INDICATION);
    answer.extras = Some(Box::new(AnswerExtras { redirection, ..Default::default() }));
    let frame = encoded(&answer, &request(""));
    assert!(frame.header().flags.is_error());
    let received = CreditControlAnswer::parse(&frame).unwrap().answer;
    assert_eq!((received.result_code, received.extras), (ResultCode::REDIRECT_INDICATION, answer.extras));
}

// tests: G-50
#[test]
fn no_trigger_and_a_trigger_without_types_are_two_things() {
    for triggers in [None, Some([].into()), Some([4, 30].into())] {
        let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
        answer.services = vec![ServiceAnswer { triggers, ..Default::default() }];
        assert_eq!(CreditControlAnswer::parse(&encoded(&answer, &request(""))).unwrap().answer, answer);
    }
}

// tests: C-80, C-89
#[test]
fn the_other_form_of_the_final_units() {
    let redirect = |kind, address: &str| FinalUnitAction::Redirect { kind, address: address.into() }.to_qos_form();
    for (form, expected) in [
        (FinalUnitAction::Terminate.to_qos_form(), Some(QosFinalUnit::Terminate)),
        (
            redirect(RedirectAddressType::Ipv6, "2001:db8::1"),
            Some(QosFinalUnit::Redirect(RedirectTarget::Ip("2001:db8::1".parse().unwrap()))),
        ),
        (redirect(RedirectAddressType::Ipv4, "nowhere"), None),
        (
            redirect(RedirectAddressType::Url, "http://topup.example"),
            Some(QosFinalUnit::Redirect(RedirectTarget::Url("http://topup.example".into()))),
        ),
        (
            redirect(RedirectAddressType::SipUri, "sip:topup@example"),
            Some(QosFinalUnit::Redirect(RedirectTarget::SipUri("sip:topup@example".into()))),
        ),
    ] {
        assert_eq!(form, expected);
        let Some(form) = form else { continue };
        let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
        answer.extras = Some(Box::new(AnswerExtras { qos_final_unit: Some(form), ..Default::default() }));
        assert_eq!(CreditControlAnswer::parse(&encoded(&answer, &request(""))).unwrap().answer, answer);
    }
    // Rules as text have no place in the other form: it would let everything through.
    let restrict = |rules: &[&str]| FinalUnitAction::RestrictAccess {
        rules: rules.iter().map(|rule| (*rule).into()).collect(),
        filter_ids: ["captive".into()].into(),
    };
    assert_eq!(restrict(&["permit out ip from any to any"]).to_qos_form(), None);
    assert!(matches!(restrict(&[]).to_qos_form(), Some(QosFinalUnit::RestrictAccess { .. })));
}
