//! Answers there and back.

use super::*;
use crate::{
    diameter::{
        avp::Avps,
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
    answer
}

// tests: B-80 B-81 B-136 C-2 I-1
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
    assert_eq!(codes[codes.len() - 2..], [284, 284]);
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
