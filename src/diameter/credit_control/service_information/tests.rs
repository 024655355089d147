use std::net::IpAddr;

use super::{super::*, *};
use crate::{
    diameter::{
        avp::Address,
        base::Identity,
        dictionary as d,
        frame::Frame,
        vectors::{CCR_U, frame},
        writer::Writer,
    },
    time::Timestamp,
};

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::bare(&mut out));
    out
}

// tests: G-V20, G-91, G-93
#[test]
fn packet_data_of_the_vector() {
    let frame = frame(CCR_U);
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    let ps = ccr.ps_information().unwrap();
    assert_eq!(ps.charging_id, Some(0x0a0b_0c0d));
    assert_eq!(ps.apn().as_deref(), Some("internet"));
    assert_eq!(ps.serving_network(), Plmn::from_text("26201"));
    assert_eq!(ps.rat_type, Some(6));
    let location = ps.location.unwrap();
    assert_eq!((location.area, location.cell), (Some(Area::Tac(1)), Some(Cell::Eci(0x101))));
    assert_eq!(ps.gateway, Some(Address::Ip("192.0.2.1".parse().unwrap())));
    assert_eq!((ps.time_zone, &ps.qos, ps.pdp_addresses.first()), (None, &None, None));
    // What is written is what was read, in the order of the table.
    let ps = PsInformation { gateway: None, location: None, ..ps };
    assert_eq!(PsInformation::parse(&written(|w| ps.write_members(w))), ps);
}

// tests: G-25, G-91, G-96
#[test]
fn packet_data_there_and_back() {
    let time = Timestamp::from_secs(1_767_225_600);
    let v4 = Address::Ip("192.0.2.7".parse::<IpAddr>().unwrap());
    let v6 = Address::Ip("2001:db8::".parse::<IpAddr>().unwrap());
    let ps = PsInformation {
        charging_id: Some(7),
        connection_charging_id: Some(8),
        node_id: Some("pgw-1"),
        pdp_type: Some(3),
        pdp_addresses: [v4, v6].into_iter().collect(),
        prefix_length: Some(56),
        dynamic_address: Some(true),
        qos: Some(QosInformation { class: Some(5), aggregate_down: Some(1_000), ..Default::default() }),
        serving_node: Some(v4),
        serving_node_type: Some(2),
        home_network: Plmn::from_text("310410"),
        gateway_network: Plmn::from_text("310410"),
        sgsn_network: Plmn::from_text("26201"),
        nsapi: Some(b"5"),
        called_station: Some("IMS"),
        session_stop: Some(0xff),
        selection_mode: Some("0"),
        charging_characteristics: Some("0800"),
        time_zone: Some(MsTimeZone { quarter_hours: 8, daylight_hours: 1 }),
        location: Some(UserLocation::parse(b"\x80\x62\xf2\x10\x00\x01")),
        rat_type: Some(6),
        rule_bases: ["a", "b"].into_iter().collect(),
        terminal: Some(TerminalInformation { imei: Some("35"), software_version: None }),
        start: Some(time),
        presence: Some(PresenceArea { id: Some(b"123"), status: Some(1) }),
        csg: Some(UserCsg { id: Some(1), access_mode: Some(1), member: Some(false) }),
        data_off: Some(1),
        unused_quota_timer: Some(30),
        furnish: Some(FurnishChargingInformation { charging_id: Some(7), data: Some(b"x"), append: Some(0) }),
        ..Default::default()
    };
    let members = written(|w| w.group(&d::PS_INFORMATION, |w| ps.write_members(w)));
    assert_eq!(ServiceInformation::new(&members).ps().unwrap(), ps);
    // The APN has no vendor inside of a group that has one, and the charging id has exactly four octets.
    let apn = written(|w| w.utf8(&d::CALLED_STATION_ID, "IMS"));
    assert!(members.windows(apn.len()).any(|window| window == apn));
    let id = written(|w| w.octets(&d::TGPP_CHARGING_ID, &[0, 0, 0, 7]));
    assert!(members.windows(id.len()).any(|window| window == id));
}

// tests: G-91
#[test]
fn the_operator_is_no_part_of_the_apn() {
    for (received, apn) in [
        ("internet", "internet"),
        ("Internet.MNC001.mcc262.GPRS", "internet"),
        ("corp.example.mnc410.mcc310.gprs", "corp.example"),
        ("internet.mnc01.mcc262.gprs", "internet.mnc01.mcc262.gprs"),
        (".mnc001.mcc262.gprs", ".mnc001.mcc262.gprs"),
        ("ünïcödé.mnc001.mcc262.gprs", "ünïcödé"),
        ("", ""),
    ] {
        let ps = PsInformation { called_station: Some(received), ..Default::default() };
        assert_eq!(ps.apn().as_deref(), Some(apn), "{received}");
    }
}

/// A request with more AVPs at command level.
fn request(more: &[u8], information: Option<&[u8]>) -> Frame {
    let origin = Identity { host: "pgw".into(), realm: "net".into() };
    let mut ccr = CreditControlRequest::new(b"pgw;1;2", &origin, "example.com", RequestType::Update);
    ccr.service_information = information;
    let mut out = Vec::new();
    ccr.encode(&mut out);
    out.extend(more);
    let [_, length @ ..] = (out.len() as u32).to_be_bytes();
    out[1..4].copy_from_slice(&length);
    Frame::from_bytes(out.into()).unwrap()
}

// tests: G-95
#[test]
fn old_clients_put_it_at_command_level() {
    let outside = written(|w| {
        w.utf8(&d::CALLED_STATION_ID, "old");
        w.utf8(&d::TGPP_SGSN_MCC_MNC, "26201");
        w.octets(&d::TGPP_RAT_TYPE, &[1]);
        // Nobody means the bearer's with this one.
        w.u32(&d::START_TIME, 1);
    });
    let none = request(&outside, None);
    let ps = CreditControlRequest::parse(&none, Strictness::Strict).unwrap().ps_information().unwrap();
    assert_eq!((ps.called_station, ps.rat_type, ps.start), (Some("old"), Some(1), None));
    assert_eq!(ps.serving_network(), Plmn::from_text("26201"));

    // What stands inside comes first.
    let inside = written(|w| w.group(&d::PS_INFORMATION, |w| w.octets(&d::TGPP_RAT_TYPE, &[6])));
    let both = request(&outside, Some(&inside));
    let ps = CreditControlRequest::parse(&both, Strictness::Strict).unwrap().ps_information().unwrap();
    assert_eq!((ps.called_station, ps.rat_type), (Some("old"), Some(6)));

    let neither = request(&[], None);
    assert_eq!(CreditControlRequest::parse(&neither, Strictness::Strict).unwrap().ps_information(), None);
}

// tests: G-92, C-7
#[test]
fn ill_formed_members_make_no_request_wrong() {
    let information = written(|w| {
        w.group(&d::PS_INFORMATION, |w| {
            w.octets(&d::TGPP_USER_LOCATION_INFO, &[77, 1, 2]);
            w.octets(&d::TGPP_RAT_TYPE, &[0, 0, 0, 6]);
            w.octets(&d::TGPP_CHARGING_ID, &[1]);
            w.octets(&d::TGPP_SGSN_MCC_MNC, b"\xff\xff");
            w.octets(&d::TGPP_MS_TIMEZONE, &[0x40]);
            w.octets(&d::SGSN_ADDRESS, &[0, 1, 2]);
            w.utf8(&d::CALLED_STATION_ID, "internet");
            w.u32(&d::SERVING_NODE_TYPE, 99);
        });
    });
    let frame = request(&[], Some(&information));
    let ps = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap().ps_information().unwrap();
    let location = Some(UserLocation { octets: &[77, 1, 2], ..Default::default() });
    let expected =
        PsInformation { location, called_station: Some("internet"), serving_node_type: Some(99), ..Default::default() };
    assert_eq!(ps, expected);
}
