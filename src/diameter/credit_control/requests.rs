//! Requests there and back, with all that 3GPP adds.

use super::*;
use crate::{
    diameter::{
        base::Identity,
        dictionary::{self as d, reporting_reason},
        error::ResultCode,
        frame::Frame,
        vectors::hex,
        writer::Writer,
    },
    time::Timestamp,
    units::Units,
};

fn update(origin: &Identity) -> CreditControlRequest<'_> {
    CreditControlRequest::new(b"pgw;1;2", origin, "example.com", RequestType::Update)
}

fn encoded(ccr: &CreditControlRequest<'_>) -> Frame {
    let mut out = Vec::new();
    ccr.encode(&mut out);
    Frame::from_bytes(out.into()).unwrap()
}

/// What is read again, but for what was received.
fn received(frame: &Frame) -> CreditControlRequest<'_> {
    let mut ccr = CreditControlRequest::parse(frame, Strictness::Strict).unwrap();
    ccr.body = &[];
    ccr.services.iter_mut().for_each(|service| service.members = &[]);
    ccr
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::bare(&mut out));
    out
}

fn octets(amount: u64, side: TariffChangeUsage) -> UsedUnits {
    UsedUnits { units: ServiceUnits::of(Units::octets(amount)), tariff_change: Some(side), reporting_reason: None }
}

/// A request with more AVPs behind.
fn with(more: impl FnOnce(&mut Writer<'_>)) -> Frame {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let mut out = Vec::new();
    update(&origin).encode(&mut out);
    let mut w = Writer::resume(&mut out, 0).unwrap();
    more(&mut w);
    w.finish();
    Frame::from_bytes(out.into()).unwrap()
}

/// A request whose one MSCC has these members.
fn with_service(members: impl FnOnce(&mut Writer<'_>)) -> Frame {
    with(|w| w.group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, members))
}

/// The same, as a refusal.
fn refusal(members: &[u8]) -> (u32, Vec<u8>) {
    let frame = with_service(|w| w.raw(members));
    let error = CreditControlRequest::parse(&frame, Strictness::Tolerant).unwrap_err();
    (error.result_code.0, error.failed_avp.unwrap_or_default())
}

// tests: C-31, C-37, C-62, C-65, G-34
#[test]
fn usage_around_a_tariff_change_stays_apart() {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let mut ccr = update(&origin);
    let plain = UsedUnits { units: ServiceUnits::of(Units::seconds(4)), ..Default::default() };
    ccr.services = vec![MultipleServices {
        rating_group: Some(10),
        service_identifier: Some(1),
        more_service_identifiers: vec![2, 7],
        used: Some(octets(100, TariffChangeUsage::Before)),
        more_used: vec![octets(200, TariffChangeUsage::After), octets(3, TariffChangeUsage::Indeterminate), plain],
        tariff_change: Some(TariffChangeUsage::After),
        ..Default::default()
    }];
    let frame = encoded(&ccr);
    assert_eq!(received(&frame), ccr);
    let service = &received(&frame).services[0];
    let sides: Vec<_> = service.all_used().map(|used| used.tariff_change.map(|side| side as u32)).collect();
    assert_eq!(sides, [Some(0), Some(1), Some(2), None]);
    assert_eq!(service.service_identifiers().collect::<Vec<_>>(), [1, 2, 7]);
}

// tests: G-41, G-51, I-10
#[test]
fn reasons_and_triggers_of_a_report() {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let mut ccr = update(&origin);
    let used = UsedUnits { reporting_reason: Some(reporting_reason::QUOTA_EXHAUSTED), ..Default::default() };
    ccr.services = vec![
        MultipleServices {
            used: Some(used),
            reporting_reason: Some(reporting_reason::RATING_CONDITION_CHANGE),
            more_reporting_reasons: vec![reporting_reason::POOL_EXHAUSTED],
            triggers: Some(vec![4, 30]),
            ..Default::default()
        },
        MultipleServices { triggers: Some(vec![]), ..Default::default() },
        MultipleServices::default(),
    ];
    let frame = encoded(&ccr);
    assert_eq!(received(&frame), ccr);
    let [first, second, third] = &received(&frame).services[..] else { panic!("three") };
    for reason in [3, 6, 8] {
        assert!(first.has_reporting_reason(reason), "{reason}");
    }
    assert!(!first.has_reporting_reason(reporting_reason::FINAL));
    assert_eq!(first.any_reporting_reason(), Some(6));
    assert_eq!((&first.triggers, &second.triggers, &third.triggers), (&Some(vec![4, 30]), &Some(vec![]), &None));
}

// tests: G-35, G-71, G-83, G-97, C-170
#[test]
fn what_few_clients_send_is_kept() {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let mut ccr = update(&origin);
    let qos = QosInformation {
        class: Some(9),
        max_down: Some(5_000_000),
        priority: Some(RetentionPriority { level: Some(8), capability: Some(1), vulnerability: Some(0) }),
        ..Default::default()
    };
    let qos_members = written(|w| qos.write_members(w));
    let time = Timestamp::from_secs(1_767_225_600);
    let unit = UnitValue { digits: 5, exponent: -1 };
    ccr.services = vec![MultipleServices {
        refund_information: Some(b"token"),
        qos: Some(&qos_members),
        rat_type: Some(6),
        extras: Some(Box::new(ServiceExtras {
            pools: vec![PoolReference { pool: 1, unit: CcUnitType::TotalOctets, multiplier: unit }],
            envelopes: vec![
                Envelope {
                    start: Some(time),
                    end: Some(time.plus_secs(9)),
                    total_octets: Some(7),
                    ..Default::default()
                },
                Envelope { start: Some(time.plus_secs(20)), specific: Some(2), ..Default::default() },
            ],
            service_specific: vec![ServiceSpecificInfo { kind: Some(2), data: Some("x") }],
            af_correlations: vec![AfCorrelation {
                charging_id: Some(b"icid"),
                flows: vec![Flows { medium: Some(1), numbers: vec![1, 2] }],
            }],
        })),
        ..Default::default()
    }];
    let frame = encoded(&ccr);
    assert_eq!(received(&frame), ccr);
    assert_eq!(received(&frame).services[0].qos_information(), Some(qos));
}

// tests: C-23, C-24, C-25, C-160, C-161, C-166, G-85
#[test]
fn the_avps_of_the_command() {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let features = written(|w| w.u64(&d::OC_FEATURE_VECTOR, 1));
    let mut ccr = CreditControlRequest {
        termination_cause: Some(1),
        origin_state_id: Some(77),
        event_timestamp: Some(Timestamp::from_secs(1_767_225_600)),
        sub_session_id: Some(3),
        correlation_id: Some(b"abc"),
        acct_multi_session_id: Some("multi"),
        user_equipment: Some(UserEquipment { kind: EquipmentKind::Imeisv, value: b"3512345678901234" }),
        service_parameters: vec![ServiceParameter { kind: Some(1), value: Some(b"v") }],
        aoc_request: Some(AocRequestType::Full),
        supported_features: Some(&features),
        requested_action: Some(0),
        subscription_ids: vec![SubscriptionId { kind: 0, data: "491700000001" }],
        ..update(&origin)
    };
    let frame = encoded(&ccr);
    assert_eq!(received(&frame), ccr);

    ccr.user_equipment = Some(UserEquipment { kind: EquipmentKind::Imei, value: b"35123456789012" });
    let frame = encoded(&ccr);
    assert_eq!(received(&frame), ccr);
}

// tests: B-29, B-73
#[test]
fn what_is_wrong_inside_shows_its_place() {
    for (members, code, failed) in [
        // Trigger-Type of two octets.
        (
            "000004f0c000001c000028af00000366c000000e000028af00040000",
            5014,
            "000001c840000024000004f0c000001c000028af00000366c0000010000028af00000000",
        ),
        // Tariff-Change-Usage 3 in a Used-Service-Unit.
        ("000001be40000014000001c44000000c00000003", 5004, "000001c84000001c000001be40000014000001c44000000c00000003"),
        // The second Service-Identifier has three octets.
        ("000001b74000000c00000001000001b74000000b00000100", 5014, "000001c840000014000001b74000000c00000000"),
        // An Envelope that ends in the middle of an AVP.
        (
            "000004f2c0000014000028af000001a440000010",
            5014,
            "000001c840000020000004f2c0000018000028af000001a44000000c00000000",
        ),
    ] {
        assert_eq!(refusal(&hex(members)), (code, hex(failed)), "{members}");
    }
}

// tests: B-43
#[test]
fn an_unknown_wish_counts_only_when_the_client_insists() {
    for (flags, code) in [("c0", Some(ResultCode::INVALID_AVP_VALUE)), ("80", None)] {
        let frame = with(|w| w.raw(&hex(&format!("00000807{flags}000010000028af00000009"))));
        match CreditControlRequest::parse(&frame, Strictness::Tolerant) {
            Ok(ccr) => assert_eq!((code, ccr.aoc_request), (None, Some(AocRequestType::NotRequested))),
            Err(error) => assert_eq!(Some(error.result_code), code),
        }
    }
}

// tests: C-7, G-92
#[test]
fn ill_formed_extras_are_passed_over() {
    let frame = with_service(|w| {
        w.octets(&d::TGPP_RAT_TYPE, &[0, 6]);
        // A pool without a unit; an envelope whose volume has four octets.
        w.group(&d::G_S_U_POOL_REFERENCE, |w| w.u32(&d::G_S_U_POOL_IDENTIFIER, 1));
        w.group(&d::ENVELOPE, |w| w.u32(&d::CC_TOTAL_OCTETS, 1));
    });
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    let service = &ccr.services[0];
    assert_eq!(service.rat_type, None);
    let extras = service.extras.as_ref().unwrap();
    assert_eq!((extras.pools.len(), extras.envelopes.clone()), (0, vec![Envelope::default()]));
}

// tests: G-33
#[test]
fn the_times_of_single_events_are_passed_over() {
    let frame = with_service(|w| {
        w.group(&d::USED_SERVICE_UNIT, |w| {
            w.u64(&d::CC_SERVICE_SPECIFIC_UNITS, 2);
            (1..3).for_each(|at| w.time(&d::EVENT_CHARGING_TIMESTAMP, Timestamp::from_secs(at)));
        });
    });
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    let units = ServiceUnits { specific: Some(2), ..Default::default() };
    assert_eq!(ccr.services[0].used, Some(UsedUnits { units, ..Default::default() }));
}

// tests: G-52, G-54
#[test]
fn every_kind_of_trigger_is_kept_and_a_related_one_is_no_trigger() {
    let kinds: Vec<u32> =
        [1..=5, 10..=24, 30..=36, 40..=40, 50..=52, 60..=62, 70..=76, 999..=999].into_iter().flatten().collect();
    let frame = with_service(|w| {
        w.group(&d::RELATED_TRIGGER, |w| w.u32(&d::TRIGGER_TYPE, d::trigger_type::RAT));
        w.group(&d::TRIGGER, |w| kinds.iter().for_each(|kind| w.u32(&d::TRIGGER_TYPE, *kind)));
    });
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    assert_eq!(ccr.services[0].triggers, Some(kinds));
}
