//! Requests that are not right, and what their answers say.

use proptest::prelude::*;

use super::{parse_request::SESSION_ID_MAX, *};
use crate::diameter::{
    avp::{AVP_DEPTH_MAX, Avps},
    dictionary::{self as d, AvpDef},
    error::ResultCode,
    frame::{Flags, Frame, Header},
    limits::Limits,
    vectors::{CCR_I, CCR_U, frame, hex},
    writer::Writer,
};

fn made(body: &[u8]) -> Frame {
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, Header::request(272, 4, true, 1, 2));
    w.raw(body);
    w.finish();
    Frame::from_bytes(out.into()).unwrap()
}

/// The body of CCR-I without some AVPs.
fn without(defs: &[&AvpDef]) -> Vec<u8> {
    let frame = frame(CCR_I);
    let kept = Avps::new(frame.body()).flatten().filter(|avp| !defs.iter().any(|def| avp.is(def)));
    kept.flat_map(|avp| avp.raw.to_vec()).collect()
}

/// The body of CCR-I with an AVP more or instead.
fn with(def: &AvpDef, instead: bool, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut body = if instead { without(&[def]) } else { without(&[]) };
    write(&mut Writer::bare(&mut body));
    body
}

fn refusal(body: &[u8], strictness: Strictness) -> (u32, Vec<u8>) {
    let error = CreditControlRequest::parse(&made(body), strictness).unwrap_err();
    (error.result_code.0, error.failed_avp.unwrap_or_default())
}

// tests: B-67 B-72 C-3
#[test]
fn every_required_avp_is_missed() {
    for def in [
        &d::SESSION_ID,
        &d::ORIGIN_HOST,
        &d::ORIGIN_REALM,
        &d::DESTINATION_REALM,
        &d::AUTH_APPLICATION_ID,
        &d::SERVICE_CONTEXT_ID,
        &d::CC_REQUEST_TYPE,
        &d::CC_REQUEST_NUMBER,
    ] {
        let (code, failed) = refusal(&without(&[def]), Strictness::Tolerant);
        let example = Avps::new(&failed).next().unwrap().unwrap();
        assert!(code == 5005 && example.is(def) && example.data.len() == def.data.min_len(), "{}", def.name);
    }
    // A destination without a realm cannot be routed (spec B-130).
    let mut body = without(&[&d::DESTINATION_REALM]);
    Writer::bare(&mut body).utf8(&d::DESTINATION_HOST, "ocs.example.com");
    assert_eq!(refusal(&body, Strictness::Tolerant).0, 3002);
}

// tests: B-26 B-27 B-30 B-5
#[test]
fn order_and_flags_do_not_matter() {
    let original = frame(CCR_I);
    let mut avps: Vec<Vec<u8>> = Avps::new(original.body()).flatten().map(|avp| avp.raw.to_vec()).collect();
    avps.reverse();
    avps.iter_mut().for_each(|avp| avp[4] = avp[4] & 0xbf | 0x20);
    let (frame, expected) = (made(&avps.concat()), CreditControlRequest::parse(&original, Strictness::Strict));
    let (ccr, expected) = (CreditControlRequest::parse(&frame, Strictness::Strict).unwrap(), expected.unwrap());
    assert_eq!((ccr.session_id, &ccr.subscription_ids), (expected.session_id, &expected.subscription_ids));
    assert_eq!(ccr.services[0].rating_group, Some(10));
}

// tests: B-24 B-25 B-66 B-73 C-7
#[test]
fn unknown_mandatory_avps_are_a_matter_of_strictness() {
    let unknown = hex("000001004000000c00000001");
    let mut body = without(&[]);
    body.extend(&unknown);
    assert!(CreditControlRequest::parse(&made(&body), Strictness::Tolerant).is_ok());
    assert_eq!(refusal(&body, Strictness::Strict), (5001, unknown.clone()));

    let inside = with(&d::SERVICE_INFORMATION, false, |w| {
        w.group(&d::SERVICE_INFORMATION, |w| w.group(&d::PS_INFORMATION, |w| w.raw(&unknown)));
    });
    let (code, failed) = refusal(&inside, Strictness::Strict);
    let group = Avps::new(&failed).next().unwrap().unwrap();
    let member = group.grouped().next().unwrap().unwrap();
    assert!(code == 5001 && group.is(&d::SERVICE_INFORMATION) && member.is(&d::PS_INFORMATION));
    assert_eq!(member.data, unknown);

    // Without M, whatever is inside an unknown group.
    let harmless = hex("00000100000000100000010040000008");
    let mut body = without(&[]);
    body.extend(harmless);
    assert!(CreditControlRequest::parse(&made(&body), Strictness::Strict).is_ok());
}

// tests: B-22 B-68
#[test]
fn what_has_no_place_in_a_request() {
    let body = [without(&[]), hex("0000010cc00000100000000000000001")].concat();
    assert_eq!(refusal(&body, Strictness::Tolerant).0, 3009);
    let body = with(&d::RESULT_CODE, false, |w| w.u32(&d::RESULT_CODE, 2001));
    assert!(CreditControlRequest::parse(&made(&body), Strictness::Tolerant).is_ok());
    assert_eq!(refusal(&body, Strictness::Strict).0, 5008);
}

// tests: B-52 B-68 B-72
#[test]
fn too_many_of_one() {
    let body = with(&d::CC_REQUEST_NUMBER, false, |w| w.u32(&d::CC_REQUEST_NUMBER, 7));
    assert_eq!(refusal(&body, Strictness::Tolerant), (5009, hex("0000019f4000000c00000007")));
    let one = hex("000001c840000008").repeat(Limits::default().services_max);
    assert_eq!(refusal(&[without(&[]), one].concat(), Strictness::Tolerant).0, 5009);
}

// tests: B-7 B-43 B-69 B-102 C-10
#[test]
fn values_out_of_range() {
    let request_type = with(&d::CC_REQUEST_TYPE, true, |w| w.u32(&d::CC_REQUEST_TYPE, 5));
    assert_eq!(refusal(&request_type, Strictness::Tolerant), (5004, hex("000001a04000000c00000005")));
    let application = with(&d::AUTH_APPLICATION_ID, true, |w| w.u32(&d::AUTH_APPLICATION_ID, 16_777_238));
    assert_eq!(refusal(&application, Strictness::Tolerant), (5004, hex("000001024000000c01000016")));
    let session = with(&d::SESSION_ID, true, |w| w.octets(&d::SESSION_ID, &[b'a'; SESSION_ID_MAX + 1]));
    assert_eq!(refusal(&session, Strictness::Tolerant).0, 5004);
    let host = with(&d::ORIGIN_HOST, true, |w| w.octets(&d::ORIGIN_HOST, b"\xff"));
    assert_eq!(refusal(&host, Strictness::Tolerant).0, 5004);
    // Wrong size is not missing.
    let number = with(&d::CC_REQUEST_NUMBER, true, |w| w.octets(&d::CC_REQUEST_NUMBER, &[0; 3]));
    assert_eq!(refusal(&number, Strictness::Tolerant), (5014, hex("0000019f4000000c00000000")));
}

// tests: C-54 B-73
#[test]
fn a_bad_value_deep_inside_shows_its_place() {
    let body = with(&d::REQUESTED_SERVICE_UNIT, false, |w| {
        w.group(&d::REQUESTED_SERVICE_UNIT, |w| {
            w.group(&d::CC_MONEY, |w| w.group(&d::UNIT_VALUE, |w| w.i32(&d::EXPONENT, 13)));
        });
    });
    let (code, failed) = refusal(&body, Strictness::Tolerant);
    assert_eq!(code, 5004);
    let mut avps = Avps::new(&failed);
    for def in [&d::REQUESTED_SERVICE_UNIT, &d::CC_MONEY, &d::UNIT_VALUE] {
        let avp = avps.next().unwrap().unwrap();
        assert!(avp.is(def));
        avps = avp.grouped();
    }
    assert_eq!(avps.next().unwrap().unwrap().i32(), Ok(13));
}

// tests: B-65 B-71 B-73
#[test]
fn broken_framing_comes_before_everything_else() {
    // A missing AVP, a bad value, and a CC-Time that reaches beyond its Used-Service-Unit.
    let mut body = without(&[&d::SERVICE_CONTEXT_ID, &d::CC_REQUEST_TYPE]);
    body.extend(hex("000001a04000000c00000009"));
    body.extend(hex("000001c840000018000001be40000010000001a440000010"));
    let (code, failed) = refusal(&body, Strictness::Tolerant);
    assert_eq!((code, failed), (5014, hex("000001c84000001c000001be40000014000001a44000000c00000000")));
}

// tests: B-33
#[test]
fn nesting_has_a_limit() {
    let mut nested = Vec::new();
    for _ in 0..AVP_DEPTH_MAX {
        nested = crate::diameter::writer::wrapped(&d::PROXY_INFO, &nested);
    }
    assert!(CreditControlRequest::parse(&made(&[without(&[]), nested.clone()].concat()), Strictness::Strict).is_ok());
    nested = crate::diameter::writer::wrapped(&d::PROXY_INFO, &nested);
    assert_eq!(refusal(&[without(&[]), nested].concat(), Strictness::Tolerant).0, 5014);
}

// tests: C-95 C-96
#[test]
fn requested_action_matters_in_events_only() {
    let event = with(&d::CC_REQUEST_TYPE, true, |w| w.u32(&d::CC_REQUEST_TYPE, 4));
    assert_eq!(refusal(&event, Strictness::Tolerant), (5005, hex("000001b44000000c00000000")));
    let unknown = [event.clone(), hex("000001b44000000c00000009")].concat();
    assert_eq!(refusal(&unknown, Strictness::Tolerant).0, 5004);
    let session = [without(&[]), hex("000001b44000000c00000009")].concat();
    assert!(CreditControlRequest::parse(&made(&session), Strictness::Strict).is_ok());
}

// tests: C-161 C-162 C-165
#[test]
fn identities_are_found_where_they_are() {
    let parse = |body: &[u8]| {
        let frame = made(body);
        let ccr = CreditControlRequest::parse(&frame, Strictness::Tolerant);
        ccr.map(|ccr| ccr.subscription_ids.iter().map(|id| (id.kind, id.data.to_owned())).collect::<Vec<_>>())
    };
    let extension = with(&d::SUBSCRIPTION_ID, true, |w| {
        w.group(&d::SUBSCRIPTION_ID_EXTENSION, |w| w.utf8(&d::SUBSCRIPTION_ID_IMSI, "262011234567890"));
    });
    assert_eq!(parse(&extension).unwrap(), [(1, "262011234567890".to_owned())]);

    let id = hex("000001bb40000028000001c24000000c00000000000001bc40000014343931373030303030303031");
    let inside = with(&d::SUBSCRIPTION_ID, true, |w| w.group(&d::SERVICE_INFORMATION, |w| w.raw(&id)));
    assert_eq!(parse(&inside).unwrap(), [(0, "491700000001".to_owned())]);

    assert_eq!(parse(&without(&[&d::SUBSCRIPTION_ID])).unwrap(), []);

    let odd = hex("000001bb40000020000001c24000000c00000009000001bc4000000a41420000");
    assert_eq!(refusal(&[without(&[&d::SUBSCRIPTION_ID]), odd.clone()].concat(), Strictness::Tolerant).0, 5004);
    assert_eq!(parse(&[without(&[]), odd].concat()).unwrap().len(), 1);

    let incomplete = [without(&[]), hex("000001bb40000014000001c24000000c00000000")].concat();
    assert_eq!(refusal(&incomplete, Strictness::Tolerant), (5005, hex("000001bb40000010000001bc40000008")));
}

// tests: B-4
#[test]
fn header_bits() {
    let mut octets = hex(CCR_I);
    octets[4] |= Flags::ERROR;
    let broken = Frame::from_bytes(octets.into()).unwrap();
    let error = CreditControlRequest::parse(&broken, Strictness::Tolerant).unwrap_err();
    assert_eq!(error.result_code, ResultCode::INVALID_HDR_BITS);
}

// tests: B-28 B-65
#[test]
fn a_request_cut_anywhere_is_refused() {
    for vector in [CCR_I, CCR_U] {
        let whole = hex(vector);
        for end in (20..whole.len()).step_by(4) {
            let mut octets = whole[..end].to_vec();
            let [_, length @ ..] = (end as u32).to_be_bytes();
            octets[1..4].copy_from_slice(&length);
            let frame = Frame::from_bytes(octets.into()).unwrap();
            let at_boundary = Avps::new(frame.body()).all(|avp| avp.is_ok());
            match CreditControlRequest::parse(&frame, Strictness::Strict) {
                Ok(_) => assert!(at_boundary, "{end}"),
                Err(error) if at_boundary => assert_eq!(error.result_code.0, 5005),
                Err(error) => assert_eq!(error.result_code.0, 5014, "{end}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn damaged_requests_are_read_without_panic(
        damage in prop::collection::vec((20_usize..444, any::<u8>()), 1..6), strict: bool
    ) {
        let mut octets = hex(CCR_U);
        damage.iter().for_each(|(at, octet)| octets[*at] = *octet);
        let frame = Frame::from_bytes(octets.into()).unwrap();
        let strictness = if strict { Strictness::Strict } else { Strictness::Tolerant };
        if let Err(error) = CreditControlRequest::parse(&frame, strictness) {
            let mut out = Vec::new();
            let local = crate::diameter::vectors::ocs();
            crate::diameter::error::write_error_answer(&mut out, &frame, &local, &error);
            let answer = Frame::from_bytes(out.into()).unwrap();
            prop_assert!(Avps::new(answer.body()).all(|avp| avp.is_ok()));
        }
    }
}
