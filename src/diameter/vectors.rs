//! The vectors of the specification (B-V1..B-V25, G-V1..G-V21) and recorded traffic.

use std::{fs, path::Path};

use bytes::{Bytes, BytesMut};

use super::{
    avp::{Address, Avp, Avps},
    base::{BaseMessage, Identity, LocalNode, write_dwr},
    capabilities::{Capabilities, write_cea, write_cer},
    credit_control::{
        CcMoney, CreditControlAnswer, CreditControlRequest, FinalUnitAction, GrantedUnits, MultipleServices,
        RedirectAddressType, RequestType, ServiceAnswer, ServiceUnits, Strictness, SubscriptionId, UsedUnits,
        service_information::{
            Area, Cell, ImsInformation, MsTimeZone, Plmn, PsInformation, SmsInformation, UserLocation,
        },
    },
    dictionary::{self as d, application, command, key, requested_action, subscription_id_type, vendor},
    error::{RequestError, ResultCode, write_error_answer},
    frame::{Frame, Header, split},
    writer::Writer,
};
use crate::time::Timestamp;

pub(super) const CER: &str = "010000808000010100000000000000010000000200000108400000177067772e6578616d706c652e6e65740000000128400000136578616d706c652e6e657400000001014000000e0001c000021400000000010a4000000c000000000000010d0000000b70677700000001094000000c000028af000001024000000c00000004";
pub(super) const CCR_I: &str = "01000110c0000110000000040000000a1230000100000107400000247067772e6578616d706c652e6e65743b333938393230333230303b3100000108400000177067772e6578616d706c652e6e65740000000128400000136578616d706c652e6e6574000000011b400000136578616d706c652e636f6d00000001024000000c00000004000001cd40000016333232353140336770702e6f72670000000001a04000000c000000010000019f4000000c00000000000000374000000ced003780000001bb40000028000001c24000000c00000000000001bc40000014343931373030303030303031000001c74000000c00000001000001c84000001c000001b540000008000001b04000000c0000000a";
pub(super) const CCR_U: &str = "010001bcc0000110000000040000000b1230000300000107400000247067772e6578616d706c652e6e65743b333938393230333230303b3100000108400000177067772e6578616d706c652e6e65740000000128400000136578616d706c652e6e6574000000011b400000136578616d706c652e636f6d0000000125400000176f63732e6578616d706c652e636f6d00000001024000000c00000004000001cd40000018382e333232353140336770702e6f7267000001a04000000c000000020000019f4000000c00000001000001c840000064000001b540000008000001be4000004800000368c0000010000028af00000003000001a5400000100000000000a000000000019c4000001000000000002000000000019e400000100000000000800000000001b04000000c0000000a00000369c000008c000028af0000036ac0000080000028af00000002c0000010000028af0a0b0c0d0000001e40000010696e7465726e657400000012c0000011000028af323632303100000000000015c000000d000028af0600000000000016c0000019000028af8262f210000162f210000001010000000000034fc0000012000028af0001c00002010000";
pub(super) const CCR_E: &str = "010001acc0000110000000040000000c123000040000010740000026736d73632e6578616d706c652e6e65743b333938393230333230303b373700000000010840000018736d73632e6578616d706c652e6e657400000128400000136578616d706c652e6e6574000000011b400000136578616d706c652e636f6d00000001024000000c00000004000001cd40000016333232373440336770702e6f72670000000001a04000000c000000040000019f4000000c00000000000001bb40000028000001c24000000c00000000000001bc40000014343931373030303030303031000001b44000000c00000000000001c840000038000001b540000018000001a1400000100000000000000001000001b74000000c00000001000001b04000000c0000005a00000369c0000088000028af000007d0c000007c000028af000007e0c0000010000028af00000003000007d7c0000010000028af00000000000007eac0000040000028af000004b1c0000034000028af00000383c0000010000028af0000000100000381c0000018000028af343931373030303030303032000007e3c0000010000028af00000001";
const CCA_I: &str = "010000e840000110000000040000000a1230000100000107400000247067772e6578616d706c652e6e65743b333938393230333230303b310000010c4000000c000007d100000108400000176f63732e6578616d706c652e636f6d0000000128400000136578616d706c652e636f6d00000001024000000c00000004000001a04000000c000000010000019f4000000c00000000000001c840000054000001af40000018000001a5400000100000000000a00000000001b04000000c0000000a000001c04000000c00000e100000010c4000000c000007d100000365c0000010000028af00200000";

pub(super) fn hex(text: &str) -> Vec<u8> {
    let text = text.trim();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(super) fn frame(text: &str) -> Frame {
    Frame::from_bytes(Bytes::from(hex(text))).unwrap()
}

pub(super) fn ocs() -> Identity {
    Identity { host: "ocs.example.com".into(), realm: "example.com".into() }
}

fn pgw() -> Identity {
    Identity { host: "pgw.example.net".into(), realm: "example.net".into() }
}

/// The one AVP of a vector.
fn one<'a>(octets: &'a [u8]) -> Avp<'a> {
    let mut avps = Avps::new(octets);
    let avp = avps.next().unwrap().unwrap();
    assert!(avps.next().is_none());
    assert_eq!(avp.raw, octets);
    avp
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::bare(&mut out));
    out
}

// tests: B-V1 B-V2 B-V3 B-V4 B-V5 B-V6 B-V7 (B-20, B-21, B-41, B-42, B-46, B-48, B-49)
#[test]
fn simple_avps_are_read_and_written() {
    let host = hex("00000108400000136578616d706c652e636f6d00");
    assert_eq!(one(&host).utf8().unwrap(), "example.com");
    assert_eq!(written(|w| w.utf8(&d::ORIGIN_HOST, "example.com")), host);

    let result = hex("0000010c4000000c000007d1");
    assert_eq!(one(&result).u32().unwrap(), 2001);
    assert_eq!(written(|w| w.u32(&d::RESULT_CODE, 2001)), result);

    for (vector, ip) in [
        ("000001014000000e0001c000020a0000", "192.0.2.10"),
        ("000001014000001a000220010db80000000000000000000000010000", "2001:db8::1"),
    ] {
        let (octets, ip) = (hex(vector), ip.parse().unwrap());
        assert_eq!(one(&octets).address().unwrap(), Address::Ip(ip));
        assert_eq!(written(|w| w.address(&d::HOST_IP_ADDRESS, ip)), octets);
    }

    for (vector, secs) in [("000000374000000ced003780", 1_767_225_600), ("000000374000000c00000000", 2_085_978_496)] {
        let (octets, time) = (hex(vector), Timestamp::from_secs(secs));
        assert_eq!(one(&octets).time().unwrap(), time);
        assert_eq!(written(|w| w.time(&d::EVENT_TIMESTAMP, time)), octets);
    }

    let octets = hex("000001a5400000100000000000a00000");
    assert_eq!(one(&octets).u64().unwrap(), 10_485_760);
    assert_eq!(written(|w| w.u64(&d::CC_TOTAL_OCTETS, 10_485_760)), octets);
}

// tests: B-V8 B-V9 B-V10 B-V11 B-V12 B-V13 (B-32, B-44, C-53)
#[test]
fn groups_are_written_as_others_write_them() {
    let unit_value = written(|w| {
        w.group(&d::UNIT_VALUE, |w| {
            w.i64(&d::VALUE_DIGITS, 5);
            w.i32(&d::EXPONENT, -2);
        });
    });
    assert_eq!(unit_value, hex("000001bd40000024000001bf400000100000000000000005000001ad4000000cfffffffe"));

    let nobody = Identity::default();
    let mut ccr = CreditControlRequest::new(b"a;1", &nobody, "", RequestType::Event);
    ccr.requested = Some(ServiceUnits::of_money(CcMoney { digits: 230, exponent: -2, currency: Some(978) }));
    ccr.subscription_ids = vec![SubscriptionId { kind: subscription_id_type::E164, data: "491700000001" }];
    ccr.services = vec![MultipleServices { requested: Some(ServiceUnits::default()), ..Default::default() }];
    let mut out = Vec::new();
    ccr.encode(&mut out);
    for vector in [
        "0000019d40000038000001bd40000024000001bf4000001000000000000000e6000001ad4000000cfffffffe000001a94000000c000003d2",
        "000001bb40000028000001c24000000c00000000000001bc40000014343931373030303030303031",
        "000001b540000008",
    ] {
        let wanted = hex(vector);
        assert!(out.windows(wanted.len()).any(|window| window == wanted), "{vector}");
    }

    let apn = written(|w| {
        w.group(&d::SERVICE_INFORMATION, |w| {
            w.group(&d::PS_INFORMATION, |w| w.utf8(&d::CALLED_STATION_ID, "internet"));
        });
    });
    assert_eq!(apn, hex("00000369c0000028000028af0000036ac000001c000028af0000001e40000010696e7465726e6574"));

    let trigger = written(|w| w.group(&d::TRIGGER, |w| w.u32(&d::TRIGGER_TYPE, 4)));
    assert_eq!(trigger, hex("000004f0c000001c000028af00000366c0000010000028af00000004"));
}

// tests: B-V14 B-V15 B-V16 (B-72)
#[test]
fn failed_avp_shows_an_example_of_what_is_missing() {
    for (def, vector) in [
        (&d::CC_REQUEST_NUMBER, "00000117400000140000019f4000000c00000000"),
        (&d::SERVICE_CONTEXT_ID, "0000011740000010000001cd40000008"),
        (&d::SERVICE_INFORMATION, "000001174000001400000369c000000c000028af"),
    ] {
        let content = RequestError::missing(def).failed_avp.unwrap();
        assert_eq!(written(|w| w.octets(&d::FAILED_AVP, &content)), hex(vector), "{}", def.name);
    }
}

// tests: B-V17 (C-80)
#[test]
fn final_units_redirect_to_a_page() {
    let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
    answer.final_unit =
        Some(FinalUnitAction::Redirect { kind: RedirectAddressType::Url, address: "http://topup.example".into() });
    let mut out = Vec::new();
    answer.encode(&frame(CCR_I), &ocs(), &mut out);
    let wanted = hex(
        "000001ae40000044000001c14000000c00000001000001b240000030000001b14000000c00000002000001b34000001c687474703a2f2f746f7075702e6578616d706c65",
    );
    assert!(out.windows(wanted.len()).any(|window| window == wanted));
    let frame = Frame::from_bytes(out.into()).unwrap();
    assert_eq!(CreditControlAnswer::parse(&frame).unwrap().answer, answer);
}

// tests: B-V20 (B-166)
#[test]
fn dwr_vector() {
    let vector = "0100004c8000011800000000112233445566778800000108400000176f63732e6578616d706c652e636f6d0000000128400000136578616d706c652e636f6d00000001164000000c6955b900";
    let node = LocalNode { origin_state_id: 0x6955_b900, ..LocalNode::credit_control(ocs(), vec![]) };
    let mut out = Vec::new();
    write_dwr(&mut out, &node, 0x1122_3344, 0x5566_7788);
    assert_eq!(out, hex(vector));
    let frame = frame(vector);
    let message = BaseMessage::parse(&frame).unwrap();
    assert_eq!((message.origin_host, message.origin_state_id), (Some("ocs.example.com"), Some(0x6955_b900)));
}

// tests: B-V21 B-V22 (B-140, B-141, B-142)
#[test]
fn capabilities_vectors() {
    let gateway =
        LocalNode { product_name: "pgw".into(), ..LocalNode::gateway(pgw(), vec!["192.0.2.20".parse().unwrap()]) };
    let mut out = Vec::new();
    write_cer(&mut out, &gateway, 1, 2);
    assert_eq!(out, hex(CER));
    assert_eq!(Capabilities::parse(&frame(CER)).unwrap().applications, [4]);

    let cea = "010000ac000001010000000000000001000000020000010c4000000c000007d100000108400000176f63732e6578616d706c652e636f6d0000000128400000136578616d706c652e636f6d00000001014000000e0001c000020a00000000010a4000000c000000000000010d0000000b6f637300000001094000000c000028af000001024000000c0000000400000104400000200000010a4000000c000028af000001024000000c01000056";
    let server = LocalNode {
        product_name: "ocs".into(),
        vendor_auth_applications: vec![(vendor::TGPP, application::SY)],
        ..LocalNode::credit_control(ocs(), vec!["192.0.2.10".parse().unwrap()])
    };
    let mut out = Vec::new();
    write_cea(&mut out, &server, &frame(CER).header(), None);
    assert_eq!(out, hex(cea));
    let parsed = Capabilities::parse(&frame(cea)).unwrap();
    assert_eq!((parsed.result_code, parsed.applications), (Some(ResultCode::SUCCESS), vec![4, application::SY]));
}

// tests: B-V23 (C-1, C-33)
#[test]
fn ccr_initial_vector() {
    let frame = frame(CCR_I);
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    assert_eq!(ccr.session_id, b"pgw.example.net;3989203200;1");
    assert_eq!(
        (ccr.origin_host, ccr.origin_realm, ccr.destination_realm),
        ("pgw.example.net", "example.net", "example.com")
    );
    assert_eq!(
        (ccr.service_context_id, ccr.request_type, ccr.request_number),
        ("32251@3gpp.org", RequestType::Initial, 0)
    );
    assert_eq!(ccr.event_timestamp, Some(Timestamp::from_secs(1_767_225_600)));
    assert_eq!(ccr.subscription_ids, [SubscriptionId { kind: 0, data: "491700000001" }]);
    assert!(ccr.multiple_services_indicator);
    let service = &ccr.services[0];
    assert_eq!((service.rating_group, service.requested), (Some(10), Some(ServiceUnits::default())));
    let mut out = Vec::new();
    ccr.encode(&mut out);
    assert_eq!(out, frame.as_bytes());
}

// tests: B-V24 (I-1, G-110)
#[test]
fn cca_initial_vector() {
    let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
    answer.services.push(ServiceAnswer {
        rating_group: Some(10),
        result_code: Some(ResultCode::SUCCESS),
        granted: Some(GrantedUnits::of(crate::units::Units::octets(10_485_760))),
        validity_time: Some(3600),
        volume_quota_threshold: Some(2_097_152),
        ..Default::default()
    });
    let mut out = Vec::new();
    answer.encode(&frame(CCR_I), &ocs(), &mut out);
    assert_eq!(out, hex(CCA_I));
    let frame = frame(CCA_I);
    let received = CreditControlAnswer::parse(&frame).unwrap();
    assert_eq!(received.answer, answer);
    assert_eq!(received.session_id, Some(b"pgw.example.net;3989203200;1".as_slice()));
    assert_eq!((received.request_type, received.request_number), (Some(RequestType::Initial), Some(0)));
}

// tests: B-V25 (B-63, B-80, B-82)
#[test]
fn unknown_command_vector() {
    let mut request = Vec::new();
    Writer::start(&mut request, Header::request(999, 4, true, 0xb, 0x1230_0002)).finish();
    let request = Frame::from_bytes(request.into()).unwrap();
    let error = LocalNode::credit_control(ocs(), vec![]).check_command(&request.header()).unwrap_err();
    let mut out = Vec::new();
    write_error_answer(&mut out, &request, &ocs(), &error);
    assert_eq!(
        out,
        hex(
            "0100004c600003e7000000040000000b1230000200000108400000176f63732e6578616d706c652e636f6d0000000128400000136578616d706c652e636f6d000000010c4000000c00000bb9"
        )
    );
}

// tests: G-V1 G-V2 G-V3 G-V4 G-V5 G-V6 G-V7 G-V8
#[test]
fn packet_domain_avps() {
    for (vector, def, data) in [
        (
            "00000016c0000019000028af8262f210000162f21000000101000000",
            &d::TGPP_USER_LOCATION_INFO,
            "8262f210000162f21000000101",
        ),
        ("00000016c0000014000028af0013001412345678", &d::TGPP_USER_LOCATION_INFO, "0013001412345678"),
        ("00000012c0000011000028af3236323031000000", &d::TGPP_SGSN_MCC_MNC, "3236323031"),
        ("00000015c000000d000028af06000000", &d::TGPP_RAT_TYPE, "06"),
        ("00000017c000000e000028af80010000", &d::TGPP_MS_TIMEZONE, "8001"),
        ("00000002c0000010000028af0a0b0c0d", &d::TGPP_CHARGING_ID, "0a0b0c0d"),
        ("0000034fc0000012000028af0001c00002010000", &d::GGSN_ADDRESS, "0001c0000201"),
    ] {
        let octets = hex(vector);
        let avp = one(&octets);
        assert!(avp.is(def), "{}", def.name);
        assert_eq!(avp.octets(), hex(data), "{}", def.name);
        assert_eq!(written(|w| w.octets(def, avp.data)), octets, "{}", def.name);
    }
    let octets = hex("00000007c0000010000028afc0000201");
    assert!(one(&octets).is(&d::TGPP_GGSN_ADDRESS) && one(&octets).octets() == [192, 0, 2, 1]);
}

// tests: G-V1 G-V2 G-V3 G-V4 G-V5 G-V6 G-V7 (G-91, G-92)
#[test]
fn packet_domain_avps_say_where_and_how() {
    let network = |text| Plmn::from_text(text);
    let octets = hex("8262f210000162f21000000101");
    let members = [
        "00000016c0000019000028af8262f210000162f21000000101000000",
        "00000012c0000011000028af3236323031000000",
        "00000015c000000d000028af06000000",
        "00000017c000000e000028af80010000",
        "00000002c0000010000028af0a0b0c0d",
        "0000034fc0000012000028af0001c00002010000",
    ];
    let expected = PsInformation {
        charging_id: Some(0x0a0b_0c0d),
        gateway: Some(Address::Ip("192.0.2.1".parse().unwrap())),
        sgsn_network: network("26201"),
        time_zone: Some(MsTimeZone { quarter_hours: 8, daylight_hours: 1 }),
        location: Some(UserLocation {
            plmn: network("26201"),
            area: Some(Area::Tac(1)),
            cell: Some(Cell::Eci(0x101)),
            enodeb: None,
            octets: &octets,
        }),
        rat_type: Some(d::rat_type::EUTRAN),
        ..Default::default()
    };
    let read = hex(&members.concat());
    assert_eq!(PsInformation::parse(&read), expected);
    let mut members: Vec<_> = members.map(hex).into();
    members.sort();
    let out = written(|w| expected.write_members(w));
    let mut again: Vec<_> = Avps::new(&out).map(|avp| avp.unwrap().raw.to_vec()).collect();
    again.sort();
    assert_eq!(again, members);

    let location = UserLocation::parse(&[0, 0x13, 0, 0x14, 0x12, 0x34, 0x56, 0x78]);
    assert_eq!((location.plmn, location.area), (network("310410"), Some(Area::Lac(0x1234))));
    assert_eq!(location.cell, Some(Cell::Ci(0x5678)));
}

// tests: G-V9 G-V20 (C-51, I-3)
#[test]
fn ccr_update_vector() {
    let frame = frame(CCR_U);
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    let service = &ccr.services[0];
    let units = ServiceUnits {
        total_octets: Some(10_485_760),
        input_octets: Some(2_097_152),
        output_octets: Some(8_388_608),
        ..Default::default()
    };
    assert_eq!(service.used, Some(UsedUnits { units, tariff_change: None, reporting_reason: Some(3) }));
    assert_eq!((units.octets(), service.any_reporting_reason()), (Some(10_485_760), Some(3)));
    // Who sends nothing more pays nothing for what others send.
    assert!(service.extras.is_none() && service.triggers.is_none() && service.more_used.capacity() == 0);
    assert_eq!((ccr.request_type, ccr.destination_host), (RequestType::Update, Some("ocs.example.com")));
    let ps = Avps::new(ccr.service_information.unwrap()).next().unwrap().unwrap();
    let apn = ps.grouped().flatten().find(|avp| avp.key() == key::CALLED_STATION_ID).unwrap();
    assert_eq!(apn.utf8().unwrap(), "internet");
    let mut out = Vec::new();
    ccr.encode(&mut out);
    assert_eq!(out, frame.as_bytes());
}

// tests: G-V21 (C-96)
#[test]
fn ccr_event_vector() {
    let frame = frame(CCR_E);
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    assert_eq!((ccr.request_type, ccr.requested_action), (RequestType::Event, Some(requested_action::DIRECT_DEBITING)));
    let service = &ccr.services[0];
    assert_eq!((service.rating_group, service.service_identifier), (Some(90), Some(1)));
    assert_eq!(service.requested.unwrap().specific, Some(1));
    let mut out = Vec::new();
    ccr.encode(&mut out);
    assert_eq!(out, frame.as_bytes());
}

/// Every recorded message: framing and types of all AVPs that the dictionary knows, and the parser of its command.
#[test]
fn recorded_traffic_is_understood() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let Ok(files) = fs::read_dir(&captures) else { return };
    let (mut messages, mut domains) = (0, 0);
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "hex")) {
        for line in fs::read_to_string(&file).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let mut stream = BytesMut::from(hex(line).as_slice());
            while let Some(frame) = split(&mut stream, 65_536).unwrap() {
                messages += 1;
                domains += understand(&frame, &file);
            }
            assert!(stream.is_empty());
        }
    }
    // As many as the recordings had when this was written.
    assert!(messages >= 58 && domains >= 9, "{messages} messages, {domains} domains");
}

/// Returns how many groups of Service-Information were read.
fn understand(frame: &Frame, file: &Path) -> usize {
    let mut again = frame.header().octets().to_vec();
    for avp in Avps::new(frame.body()) {
        again.extend(avp.unwrap().raw);
    }
    assert_eq!(again, frame.as_bytes(), "{file:?}");
    let header = frame.header();
    match (header.command, header.flags.is_request(), header.application) {
        (command::CREDIT_CONTROL, true, 4) => {
            let ccr = CreditControlRequest::parse(frame, Strictness::Tolerant).unwrap();
            assert!(!ccr.session_id.is_empty() && !ccr.subscription_ids.is_empty(), "{file:?}");
            round_trip(&ccr, frame.body());
            return information_round_trip(&ccr);
        }
        (command::CREDIT_CONTROL, false, 4) => {
            let received = CreditControlAnswer::parse(frame).unwrap();
            assert!(received.session_id.is_some() && received.request_number.is_some(), "{file:?}");
        }
        (command::CAPABILITIES_EXCHANGE, ..) => {
            assert!(!Capabilities::parse(frame).unwrap().origin_host.is_empty(), "{file:?}");
        }
        (_, _, 0) => assert!(BaseMessage::parse(frame).unwrap().origin_host.is_some(), "{file:?}"),
        _ => {}
    }
    0
}

/// What Service-Information says is the same when it is written and read again: 3GPP's members one by one, in the order of
/// our tables.
fn information_round_trip(ccr: &CreditControlRequest<'_>) -> usize {
    let information = ccr.information();
    let mut found = 0;
    if let Some(ps) = information.ps() {
        assert!(ps.location.is_none_or(|location| location.plmn.is_some()), "a place without a network");
        assert_eq!(PsInformation::parse(&written(|w| ps.write_members(w))), ps);
        found += 1;
    }
    if let Some(ims) = information.ims() {
        assert_eq!(ImsInformation::parse(&written(|w| ims.write_members(w))), ims);
        found += 1;
    }
    if let Some(sms) = information.sms() {
        assert_eq!(SmsInformation::parse(&written(|w| sms.write_members(w))), sms);
        found += 1;
    }
    found
}

/// A request that is written again and read again is the same, except for where it points to.
fn round_trip(ccr: &CreditControlRequest<'_>, body: &[u8]) {
    let mut out = Vec::new();
    ccr.encode(&mut out);
    let frame = Frame::from_bytes(out.into()).unwrap();
    let mut again = CreditControlRequest::parse(&frame, Strictness::Tolerant).unwrap();
    again.body = body;
    for (service, original) in again.services.iter_mut().zip(&ccr.services) {
        service.members = original.members;
    }
    assert_eq!(&again, ccr);
}
