use std::net::IpAddr;

use proptest::prelude::*;

use super::{super::*, *};
use crate::{
    diameter::{
        avp::Address,
        base::Identity,
        dictionary as d,
        frame::Frame,
        vectors::{CCR_E, CCR_U, frame},
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
    let mut w = Writer::resume(&mut out, 0).unwrap();
    w.raw(more);
    w.finish();
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

// tests: G-V21, G-121, G-123, G-124
#[test]
fn short_message_of_the_vector() {
    let frame = frame(CCR_E);
    let ccr = CreditControlRequest::parse(&frame, Strictness::Strict).unwrap();
    assert_eq!(ccr.ps_information(), None);
    let sms = ccr.information().sms().unwrap();
    assert_eq!((sms.node, sms.message_type, sms.messages), (Some(3), Some(SmMessageType::Submission), Some(1)));
    let [recipient] = &sms.recipients[..] else { panic!("one") };
    let address = recipient.address().unwrap();
    assert_eq!((address.kind, address.data), (Some(AddressType::Msisdn), Some("491700000002")));
}

// tests: B-48, G-121, G-122, G-123
#[test]
fn short_messages_there_and_back() {
    let address = |kind, data| MessageAddress { kind: Some(kind), data: Some(data), ..Default::default() };
    let interface = Interface { kind: Some(InterfaceType::MobileOriginating), id: Some("i"), ..Default::default() };
    let sms = SmsInformation {
        node: Some(1),
        center: Some(Address::E164("49170")),
        coding: Some(-1),
        message_type: Some(SmMessageType::DeliveryReport),
        originator_interface: Some(interface.clone()),
        status: Some(0x20),
        messages: Some(3),
        recipients: vec![
            Recipient {
                interface: Some(Interface { kind: Some(InterfaceType::ApplicationTermination), ..Default::default() }),
                addresses: vec![address(AddressType::Email, "a@b"), address(AddressType::Msisdn, "491")],
                sccp: Some(Address::Other { family: 9, octets: b"x" }),
                ..Default::default()
            },
            Recipient { received: vec![address(AddressType::NumericShortcode, "1234")], ..Default::default() },
            Recipient::default(),
        ],
        originator: Some(MessageAddress {
            domain: Some(AddressDomain { name: Some("d"), network: Plmn::from_text("26201") }),
            ..address(AddressType::Imsi, "262011234567890")
        }),
        ..Default::default()
    };
    let members = written(|w| w.group(&d::SMS_INFORMATION, |w| sms.write_members(w)));
    let read = ServiceInformation::new(&members).sms().unwrap();
    assert_eq!(read, sms);
    let priced: Vec<_> = read.recipients.iter().map(|to| to.address().and_then(|address| address.data)).collect();
    assert_eq!(priced, [Some("491"), Some("1234"), None]);
}

// tests: G-102, G-104
#[test]
fn calls_there_and_back() {
    let time = Timestamp::from_secs(1_767_225_600);
    let ims = ImsInformation {
        event: Some(ImsEvent { method: Some("INVITE"), ..Default::default() }),
        role: Some(RoleOfNode::Originating),
        node: Some(6),
        session_id: Some("call@host"),
        calling: ["sip:a@example.com", "tel:+491"].into_iter().collect(),
        called: ["tel:+492"].into_iter().collect(),
        requested: ["tel:2"].into_iter().collect(),
        times: Some(ImsTimes { request: Some(time), response_millis: Some(250), ..Default::default() }),
        operators: vec![InterOperator { originating: Some("home"), terminating: None }],
        charging_id: Some("icid"),
        media: vec![
            MediaComponent { name: Some("audio 49170 RTP/AVP 0"), kind: Some(0), ..Default::default() },
            MediaComponent { name: Some("m=video 1 RTP/AVP 31"), charging_id: Some(7), ..Default::default() },
            MediaComponent::default(),
        ],
        cause: Some(-1),
        visited_network: Some("ims.mnc001.mcc262.3gppnetwork.org"),
        access_network: Some(b"3GPP-E-UTRAN-FDD"),
        emergency: Some(true),
        ..Default::default()
    };
    let members = written(|w| w.group(&d::IMS_INFORMATION, |w| ims.write_members(w)));
    let read = ServiceInformation::new(&members).ims().unwrap();
    assert_eq!(read, ims);
    let media: Vec<_> = read.media.iter().map(MediaComponent::medium).collect();
    assert_eq!(media, [Some("audio"), Some("video"), None]);
    assert!(read.is_emergency() && !ImsInformation::default().is_emergency());
}

// tests: G-105
#[test]
fn diverted_calls() {
    let service = |kind| SupplementaryService { kind: Some(kind), ..Default::default() };
    let diverted = SupplementaryService {
        mode: Some(1),
        diversions: Some(2),
        associated_party: Some("tel:+493"),
        ..service(supplementary_service::DIVERSION)
    };
    let mmtel = MmtelInformation { services: vec![service(0), diverted] };
    let members = written(|w| w.group(&d::MMTEL_INFORMATION, |w| mmtel.write_members(w)));
    let read = ServiceInformation::new(&members).mmtel().unwrap();
    assert!(read == mmtel && read.is_diverted());
    assert!(!MmtelInformation { services: vec![service(supplementary_service::CONFERENCE)] }.is_diverted());
}

// tests: G-131, G-132
#[test]
fn multimedia_messages_there_and_back() {
    let to = |data| MessageAddress { kind: Some(AddressType::Msisdn), data: Some(data), ..Default::default() };
    let mms = MmsInformation {
        originator: Some(to("491")),
        recipients: vec![to("492"), to("493")],
        submitted: Some(Timestamp::from_secs(1_767_225_600)),
        content_type: Some(MmContentType {
            number: Some(12),
            size: Some(9_000),
            parts: vec![MmContentPart { text: Some("image/jpeg"), size: Some(8_000), number: None }],
            text: None,
        }),
        message_type: Some(mms_message_type::SEND),
        size: Some(9_100),
        class: Some(MessageClass { id: Some(0), token: Some("t") }),
        delivery_report: Some(true),
        content_class: Some(2),
        adaptations: Some(0),
        vasp: Some("vasp"),
        vas: Some("vas"),
        ..Default::default()
    };
    let members = written(|w| w.group(&d::MMS_INFORMATION, |w| mms.write_members(w)));
    assert_eq!(ServiceInformation::new(&members).mms(), Some(mms));
}

// tests: G-140, G-141
#[test]
fn circuit_switched_calls_there_and_back() {
    let vcs = VcsInformation {
        basic_service: Some(BasicService { teleservice: Some(&[0x11]), bearer: None }),
        call_reference: Some(&[1, 2, 3]),
        msc: Some(SwappedDigits(&[0x94, 0x71, 0xf0])),
        vlr: Some(SwappedDigits(&[0x94, 0x71, 0x10])),
        forwarding: Some(false),
        cause: Some(IsupCause { location: Some(0), value: Some(16), diagnostics: None }),
        charging_start: Some(Timestamp::from_secs(1_767_225_600)),
        ..Default::default()
    };
    let members = written(|w| w.group(&d::VCS_INFORMATION, |w| vcs.write_members(w)));
    let read = ServiceInformation::new(&members).vcs().unwrap();
    assert_eq!(read, vcs);
    let number = |digits: Option<SwappedDigits<'_>>| digits.unwrap().digits().collect::<String>();
    assert_eq!((number(read.msc), number(read.vlr)), ("49170".into(), "491701".into()));
}

// tests: C-162, G-25, G-29
#[test]
fn identities_inside_and_domains_side_by_side() {
    let identity = SubscriptionId { kind: 1, data: "262011234567890" };
    let information = written(|w| {
        w.group(&d::SUBSCRIPTION_ID, |w| {
            w.u32(&d::SUBSCRIPTION_ID_TYPE, identity.kind);
            w.utf8(&d::SUBSCRIPTION_ID_DATA, identity.data);
        });
        w.group(&d::SUBSCRIPTION_ID, |w| w.u32(&d::SUBSCRIPTION_ID_TYPE, 0));
        w.group(&d::IMS_INFORMATION, |w| w.u32(&d::NODE_FUNCTIONALITY, 16));
        w.group(&d::VCS_INFORMATION, |w| w.u32(&d::FORWARDING_PENDING, 1));
    });
    let frame = request(&[], Some(&information));
    assert_eq!(CreditControlRequest::parse(&frame, Strictness::Strict).unwrap().subscription_ids, [identity]);
    let inside = ServiceInformation::new(&information);
    assert_eq!(inside.subscription_ids().collect::<Vec<_>>(), [identity]);
    assert_eq!(inside.ims().unwrap().node, Some(16));
    assert_eq!(inside.vcs().unwrap().forwarding, Some(true));
    assert_eq!((inside.ps(), inside.sms(), inside.mms(), inside.mmtel()), (None, None, None, None));
}

proptest! {
    // tests: G-92
    #[test]
    fn any_members_are_read_without_panic_and_stay_what_they_are(
        members in prop::collection::vec((0_usize..600, prop::collection::vec(any::<u8>(), 0..24), any::<bool>()), 0..30)
    ) {
        let out = written(|w| {
            for (at, data, inside) in &members {
                let def = &d::all()[at % d::all().len()];
                match inside {
                    true => w.group(def, |w| w.octets(&d::all()[(at * 7) % d::all().len()], data)),
                    false => w.octets(def, data),
                }
            }
        });
        for def in
            [&d::PS_INFORMATION, &d::IMS_INFORMATION, &d::SMS_INFORMATION, &d::MMS_INFORMATION, &d::MMTEL_INFORMATION, &d::VCS_INFORMATION]
        {
            let information = written(|w| w.octets(def, &out));
            let read = ServiceInformation::new(&information);
            let again = written(|w| {
                if let Some(it) = read.ps() { w.group(def, |w| it.write_members(w)); }
                if let Some(it) = read.ims() { w.group(def, |w| it.write_members(w)); }
                if let Some(it) = read.sms() { w.group(def, |w| it.write_members(w)); }
                if let Some(it) = read.mms() { w.group(def, |w| it.write_members(w)); }
                if let Some(it) = read.mmtel() { w.group(def, |w| it.write_members(w)); }
                if let Some(it) = read.vcs() { w.group(def, |w| it.write_members(w)); }
            });
            let same = ServiceInformation::new(&again);
            prop_assert_eq!((read.ps(), read.ims(), read.sms()), (same.ps(), same.ims(), same.sms()));
            prop_assert_eq!((read.mms(), read.mmtel(), read.vcs()), (same.mms(), same.mmtel(), same.vcs()));
        }
    }
}
