//! What each domain tells of a service.

use bytes::Bytes;

use crate::{
    charging::{Command, EventRequest, Interrogation, Want, WantedUnits},
    diameter::{
        CreditControlRequest, Frame, Identity, Writer,
        credit_control::{
            MultipleServices, RequestType, ServiceUnits, Strictness,
            service_information::{
                AddressType, BasicService, ImsInformation, Interface, InterfaceType, MessageAddress, MmsInformation,
                MsTimeZone, Plmn, PsInformation, Recipient, RoleOfNode, SmMessageType, SmsInformation, SwappedDigits,
                UserLocation, VcsInformation,
            },
        },
        dictionary::{self as d, AvpDef},
    },
    mapping::{ClientTraits, charge},
    rating::{Attributes, Catalog, Role},
    time::Timestamp,
};

/// A service in each context, with a price that depends on something unless `plain`.
fn catalog(plain: bool) -> Catalog {
    let mut text = "currency = \"EUR\"\n[dial_plan]\ncountry_code = \"49\"\nnational_prefix = \"0\"\n\
                    [visited_networks]\n\"33\" = \"20801\"\n\"3367\" = \"20810\"\n"
        .to_owned();
    for (name, number, per) in [
        ("ps", "32251", "1 MB"),
        ("ims", "32260", "1 min"),
        ("sms", "32274", "1 event"),
        ("mms", "32270", "1 event"),
        ("vcs", "32276", "1 min"),
    ] {
        let more = if number == "32251" { ", \"32255@3gpp.org\"" } else { "" };
        text += &format!(
            "[[context]]\nname = \"{name}\"\nservice_context_id = [\"{number}@3gpp.org\"{more}]\ndefault_service = \"{name}\"\n\
             fallback_service = \"{name}\"\n[[service]]\nname = \"{name}\"\ncontext = \"{name}\"\nprice = \"0.1\"\n\
             per = \"{per}\"\n"
        );
        if !plain {
            text += &format!("[[tariff]]\nservice = \"{name}\"\nname = \"x\"\naccess = 6\nfree = true\n");
        }
    }
    Catalog::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A group and what writes its members.
type Group<'a> = (&'a AvpDef, &'a dyn Fn(&mut Writer<'_>));

/// The groups, as Service-Information has them.
fn groups(groups: &[Group<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::bare(&mut out);
    groups.iter().for_each(|(def, write)| w.group(def, |w| write(w)));
    out
}

/// The command that such a request becomes.
fn with_command<T>(
    plain: bool,
    kind: RequestType,
    number: &str,
    change: impl FnOnce(&mut CreditControlRequest<'_>),
    members: Option<&[u8]>,
    then: impl FnOnce(Command<'_>) -> T,
) -> T {
    with_command_of(ClientTraits::default(), plain, kind, number, change, members, then)
}

fn with_command_of<T>(
    client: ClientTraits,
    plain: bool,
    kind: RequestType,
    number: &str,
    change: impl FnOnce(&mut CreditControlRequest<'_>),
    members: Option<&[u8]>,
    then: impl FnOnce(Command<'_>) -> T,
) -> T {
    let catalog = catalog(plain);
    let origin = Identity { host: "gw.example".into(), realm: "example".into() };
    let context = format!("{number}@3gpp.org");
    let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", kind);
    request.service_context_id = &context;
    request.service_information = members;
    change(&mut request);
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    let frame = Frame::from_bytes(Bytes::from(bytes)).unwrap();
    let parsed = CreditControlRequest::parse(&frame, Strictness::Tolerant).unwrap();
    then(charge(&parsed, &catalog, client).unwrap().into_command(None))
}

fn told_by(plain: bool, number: &str, members: &[u8]) -> Option<Attributes> {
    with_command(
        plain,
        RequestType::Initial,
        number,
        |_| {},
        Some(members),
        |command| match command {
            Command::Interrogate(Interrogation { attributes, .. }) => attributes.map(|told| *told),
            other => panic!("{other:?}"),
        },
    )
}

fn told(number: &str, members: &[u8]) -> Attributes {
    told_by(false, number, members).unwrap()
}

fn ps<'a>(location: &'a [u8]) -> PsInformation<'a> {
    PsInformation {
        rat_type: Some(6),
        sgsn_network: Plmn::from_text("26201"),
        location: Some(UserLocation::parse(location)),
        called_station: Some("Internet.MNC001.mcc262.gprs"),
        time_zone: Some(MsTimeZone { quarter_hours: 8, daylight_hours: 1 }),
        ..PsInformation::default()
    }
}

/// 310/410, TAC 1, ECI 0x101.
const LOCATION: [u8; 13] = [130, 0x13, 0x00, 0x14, 0, 1, 0x13, 0x00, 0x14, 0, 0, 1, 1];

// tests: G-91, G-92, G-93, G-94
#[test]
fn packet_data() {
    let full = ps(&LOCATION);
    let expected = Attributes {
        access: Some(6),
        serving_network: Some("26201".into()),
        area: Some(1),
        cell: Some(257),
        apn: Some("internet".into()),
        time_zone: Some(120),
        ..Attributes::default()
    };
    let members = groups(&[(&d::PS_INFORMATION, &|w| full.write_members(w))]);
    assert_eq!(told("32251", &members), expected);
    // The 5G charging specification over Diameter, and a release before the number.
    assert_eq!(told("32255", &members), expected);
    assert_eq!(told("8.32251", &members), expected);
    // Without the network of the serving node, that of the location.
    let roaming = PsInformation { sgsn_network: None, ..ps(&LOCATION) };
    let members = groups(&[(&d::PS_INFORMATION, &|w| roaming.write_members(w))]);
    assert_eq!(told("32251", &members).serving_network.as_deref(), Some("310410"));
    // Nothing is said, nothing is known.
    let nothing = groups(&[(&d::PS_INFORMATION, &|_| {})]);
    assert_eq!(told_by(false, "32251", &nothing), None);
}

/// Only the group of the context is read, and none where no price depends on it.
// tests: G-29
#[test]
fn only_the_group_of_the_context_counts() {
    let (ps, ims) =
        (ps(&LOCATION), ImsInformation { called: ["tel:+33123"].into_iter().collect(), ..Default::default() });
    let members =
        groups(&[(&d::IMS_INFORMATION, &|w| ims.write_members(w)), (&d::PS_INFORMATION, &|w| ps.write_members(w))]);
    assert_eq!(told("32251", &members).other_party, None);
    assert_eq!(told("32260", &members), Attributes { other_party: Some("33123".into()), ..Attributes::default() });
    for number in ["32251", "32260", "32274", "32270", "32276"] {
        assert_eq!(told_by(true, number, &members), None, "{number}");
    }
}

/// Usage records may be rated by other prices one day.
#[test]
fn records_want_what_no_price_asks_for() {
    let ps = ps(&LOCATION);
    let members = groups(&[(&d::PS_INFORMATION, &|w| ps.write_members(w))]);
    let client = ClientTraits { all_conditions: true, ..ClientTraits::default() };
    let told_of = |kind| {
        with_command_of(
            client,
            true,
            kind,
            "32251",
            |_| {},
            Some(&members),
            |command| match command {
                Command::Interrogate(Interrogation { attributes, context_name, .. })
                | Command::ChargeEvent(EventRequest { attributes, context_name, .. }) => {
                    assert_eq!(context_name, "32251@3gpp.org");
                    attributes.map(|told| *told)
                }
                other => panic!("{other:?}"),
            },
        )
    };
    assert_eq!(told_of(RequestType::Initial), Some(told("32251", &members)));
    assert_eq!(told_of(RequestType::Event), Some(told("32251", &members)));
}

// tests: G-95
#[test]
fn old_clients_put_packet_data_at_command_level() {
    let catalog = catalog(false);
    let origin = Identity { host: "gw.example".into(), realm: "example".into() };
    let request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", RequestType::Initial);
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    let mut w = Writer::bare(&mut bytes);
    w.octets(&d::TGPP_RAT_TYPE, &[6]);
    w.utf8(&d::CALLED_STATION_ID, "WAP");
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[1..4].copy_from_slice(&length[1..]);
    let frame = Frame::from_bytes(Bytes::from(bytes)).unwrap();
    let parsed = CreditControlRequest::parse(&frame, Strictness::Tolerant).unwrap();
    match charge(&parsed, &catalog, ClientTraits::default()).unwrap().into_command(None) {
        Command::Interrogate(Interrogation { attributes: Some(told), .. }) => {
            assert_eq!((told.access, told.apn.as_deref()), (Some(6), Some("wap")));
        }
        other => panic!("{other:?}"),
    }
}

// tests: G-100, G-102, G-103, G-105
#[test]
fn calls() {
    let call = |role| {
        let ims = ImsInformation {
            role,
            calling: ["sip:alice@example.org", "tel:+44-20-1"].into_iter().collect(),
            called: ["sip:0170123@example.org;user=phone"].into_iter().collect(),
            ..Default::default()
        };
        let members = groups(&[(&d::IMS_INFORMATION, &|w| ims.write_members(w))]);
        let told = told("32260", &members);
        (told.role, told.other_party.unwrap().to_string())
    };
    let called = || "49170123".to_owned();
    assert_eq!(call(None), (None, called()));
    assert_eq!(call(Some(RoleOfNode::Originating)), (Some(Role::Originating), called()));
    assert_eq!(call(Some(RoleOfNode::Terminating)), (Some(Role::Terminating), "44201".into()));
    assert_eq!(call(Some(RoleOfNode::Forwarding)), (Some(Role::Forwarding), called()));
}

/// An emergency is seen whether or not any price depends on anything.
// tests: G-104
#[test]
fn emergencies() {
    let ims = ImsInformation { emergency: Some(true), ..Default::default() };
    let members = groups(&[(&d::IMS_INFORMATION, &|w| ims.write_members(w))]);
    let emergency = Some(Attributes { emergency: true, ..Attributes::default() });
    for plain in [false, true] {
        assert_eq!(told_by(plain, "32260", &members), emergency);
        assert_eq!(told_by(plain, "32276", &members), emergency);
        assert_eq!(told_by(plain, "32251", &members), None);
        let code = BasicService { teleservice: Some(&[0x12]), ..Default::default() };
        let vcs = VcsInformation { basic_service: Some(code), ..Default::default() };
        let by_code = groups(&[(&d::VCS_INFORMATION, &|w| vcs.write_members(w))]);
        assert_eq!(told_by(plain, "32276", &by_code), emergency);
    }
    let ordinary = ImsInformation { emergency: Some(false), ..Default::default() };
    let members = groups(&[(&d::IMS_INFORMATION, &|w| ordinary.write_members(w))]);
    assert_eq!(told_by(true, "32260", &members), None);
}

// tests: G-140, G-141
#[test]
fn circuit_switched_calls() {
    let ims = ImsInformation {
        role: Some(RoleOfNode::Originating),
        called: ["tel:+441"].into_iter().collect(),
        ..Default::default()
    };
    let visited = |vlr: Option<&'static [u8]>, msc: Option<&'static [u8]>| {
        let vcs = VcsInformation { vlr: vlr.map(SwappedDigits), msc: msc.map(SwappedDigits), ..Default::default() };
        let members = groups(&[
            (&d::VCS_INFORMATION, &|w| vcs.write_members(w)),
            (&d::IMS_INFORMATION, &|w| ims.write_members(w)),
        ]);
        let told = told("32276", &members);
        assert_eq!((told.role, told.other_party.as_deref()), (Some(Role::Originating), Some("441")));
        told.serving_network.map(|network| network.to_string())
    };
    assert_eq!(visited(Some(&[0x33, 0x16]), None).as_deref(), Some("20801"));
    assert_eq!(visited(Some(&[0x33, 0x76, 0xf1]), None).as_deref(), Some("20810"), "the longest prefix");
    assert_eq!(visited(None, Some(&[0x33, 0xf1])).as_deref(), Some("20801"));
    assert_eq!(visited(Some(&[0x94, 0x01]), Some(&[0x33])), None, "a network that the table does not have");
}

fn address(kind: AddressType, data: &str) -> MessageAddress<'_> {
    MessageAddress { kind: Some(kind), data: Some(data), ..Default::default() }
}

// tests: G-120, G-121, G-122, G-123, G-125
#[test]
fn short_messages() {
    let interface = |kind| Some(Interface { kind: Some(kind), ..Default::default() });
    let message = |kind| SmsInformation {
        message_type: Some(SmMessageType::DeliveryReport),
        size: Some(140),
        originator_interface: interface(kind),
        originator: Some(address(AddressType::Msisdn, "4915")),
        recipients: vec![Recipient {
            addresses: vec![address(AddressType::Email, "a@b"), address(AddressType::Msisdn, "3316")],
            ..Default::default()
        }],
        ..Default::default()
    };
    let told = |sms: SmsInformation<'_>| told("32274", &groups(&[(&d::SMS_INFORMATION, &|w| sms.write_members(w))]));
    let sent = told(message(InterfaceType::MobileOriginating));
    assert_eq!((sent.role, sent.other_party.as_deref()), (Some(Role::Originating), Some("3316")));
    assert_eq!((sent.message_type, sent.size), (Some(1), Some(140)));
    let received = told(message(InterfaceType::MobileTerminating));
    assert_eq!((received.role, received.other_party.as_deref()), (Some(Role::Terminating), Some("4915")));
}

// tests: G-130, G-131, G-132
#[test]
fn multimedia_messages() {
    let mms = MmsInformation {
        message_type: Some(1),
        size: Some(300_000),
        originator: Some(address(AddressType::Msisdn, "4915")),
        recipients: vec![address(AddressType::Email, "a@b"), address(AddressType::Msisdn, "+44 7")],
        ..Default::default()
    };
    let members = groups(&[(&d::MMS_INFORMATION, &|w| mms.write_members(w))]);
    let sent = told("32270", &members);
    assert_eq!((sent.role, sent.other_party.as_deref()), (Some(Role::Originating), Some("447")));
    assert_eq!((sent.message_type, sent.size), (Some(1), Some(300_000)));
    let fetched = MmsInformation { message_type: Some(5), ..mms.clone() };
    let fetched = told("32270", &groups(&[(&d::MMS_INFORMATION, &|w| fetched.write_members(w))]));
    assert_eq!((fetched.role, fetched.other_party.as_deref()), (Some(Role::Terminating), Some("4915")));
    // One message for each recipient, unless the client counts.
    let wanted = |requested: Option<ServiceUnits>| {
        let change = |request: &mut CreditControlRequest<'_>| {
            request.services = vec![MultipleServices { requested, ..Default::default() }];
        };
        with_command(false, RequestType::Event, "32270", change, Some(&members), |command| match command {
            Command::ChargeEvent(EventRequest { services, attributes, .. }) => {
                assert!(attributes.is_some());
                services[0].want
            }
            other => panic!("{other:?}"),
        })
    };
    let events = |events| Some(Want::Units(WantedUnits { events: Some(events), ..WantedUnits::default() }));
    assert_eq!(wanted(None), events(2));
    assert_eq!(wanted(Some(ServiceUnits { specific: Some(1), ..Default::default() })), events(1));
}

/// How many messages: what the client asks for, what was sent, one for each recipient, one; never two of these multiplied.
// tests: G-123, G-124
#[test]
fn short_messages_are_counted() {
    let wanted = |messages, recipients, requested: Option<ServiceUnits>| {
        let recipients = vec![Recipient::default(); recipients];
        let sms = SmsInformation { messages, recipients, ..Default::default() };
        let members = groups(&[(&d::SMS_INFORMATION, &|w| sms.write_members(w))]);
        let change = |request: &mut CreditControlRequest<'_>| {
            request.services = vec![MultipleServices { requested, ..Default::default() }];
        };
        with_command(true, RequestType::Event, "32274", change, Some(&members), |command| match command {
            Command::ChargeEvent(event) => match event.services[0].want {
                Some(Want::Units(units)) => units.events,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(wanted(Some(3), 2, None), Some(3));
    assert_eq!(wanted(None, 2, None), Some(2));
    assert_eq!(wanted(Some(0), 0, None), Some(1));
    assert_eq!(wanted(Some(3), 2, Some(ServiceUnits { specific: Some(5), ..Default::default() })), Some(5));
}

/// SIP requests that are no calls: their conditions are those of calls.
// tests: G-101, G-102
#[test]
fn sip_events() {
    let ims = ImsInformation {
        role: Some(RoleOfNode::Terminating),
        calling: ["tel:+4915"].into_iter().collect(),
        ..Default::default()
    };
    let members = groups(&[(&d::IMS_INFORMATION, &|w| ims.write_members(w))]);
    with_command(
        false,
        RequestType::Event,
        "32260",
        |_| {},
        Some(&members),
        |command| match command {
            Command::ChargeEvent(EventRequest { attributes: Some(told), .. }) => {
                assert_eq!((told.role, told.other_party.as_deref()), (Some(Role::Terminating), Some("4915")));
            }
            other => panic!("{other:?}"),
        },
    );
}

// tests: C-24
#[test]
fn the_time_of_the_event_is_taken_along() {
    let at = Timestamp::from_secs(1_700_000_000);
    let change = |request: &mut CreditControlRequest<'_>| request.event_timestamp = Some(at);
    with_command(true, RequestType::Update, "32251", change, None, |command| match command {
        Command::Interrogate(interrogation) => assert_eq!(interrogation.happened, Some(at)),
        other => panic!("{other:?}"),
    });
    with_command(true, RequestType::Event, "32274", change, None, |command| match command {
        Command::ChargeEvent(event) => assert_eq!(event.happened, Some(at)),
        other => panic!("{other:?}"),
    });
}
