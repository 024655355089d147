//! Rules of the base protocol that a whole server shows, and what the dictionary must hold for them.

use tollgate::{
    charging::AccountState,
    diameter::{
        Avps, CreditControlAnswer, Frame, Header, Identity, ResultCode, Writer,
        base::LocalNode,
        credit_control::CcMoney,
        dictionary::{self as d, DataType, application, command},
        peer::{Action, CloseReason, Input, Peer, Timers},
    },
    time::Timestamp,
};

use crate::{
    client::{Client, cer, dwr},
    interop_rules::{BALANCE, HEAD, MB, any, ask, ccr, ccr_of, mscc, used_and_wanted, used_only, wanted},
    support::TestNode,
    wire::{Message, Request, avp, avp_of, avps, code, number, text, unhex},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;

// tests: B-8 B-9 G-2
#[test]
fn commands_and_applications_have_their_numbers() {
    for (ours, number) in [
        (command::CAPABILITIES_EXCHANGE, 257),
        (command::RE_AUTH, 258),
        (command::ACCOUNTING, 271),
        (command::CREDIT_CONTROL, 272),
        (command::ABORT_SESSION, 274),
        (command::SESSION_TERMINATION, 275),
        (command::DEVICE_WATCHDOG, 280),
        (command::DISCONNECT_PEER, 282),
        (application::COMMON, 0),
        (application::ACCOUNTING, 3),
        (application::CREDIT_CONTROL, 4),
        (application::SY, 16_777_302),
        (application::RELAY, u32::MAX),
        (d::vendor::TGPP, 10_415),
    ] {
        assert_eq!(ours, number);
    }
}

/// What is sent is in the dictionary as the standard has it: type, vendor, and M clear on what an older client need not know.
// tests: B-51 C-190 G-24 G-25
#[test]
fn the_dictionary_knows_sizes_vendors_and_m_bits() {
    for (def, data) in [
        (&d::CC_TOTAL_OCTETS, DataType::Unsigned64),
        (&d::CC_INPUT_OCTETS, DataType::Unsigned64),
        (&d::CC_OUTPUT_OCTETS, DataType::Unsigned64),
        (&d::CC_SERVICE_SPECIFIC_UNITS, DataType::Unsigned64),
        (&d::CC_TIME, DataType::Unsigned32),
        (&d::VALUE_DIGITS, DataType::Integer64),
        (&d::EXPONENT, DataType::Integer32),
    ] {
        assert_eq!(def.data, data, "{}", def.name);
    }
    let mut out = Vec::new();
    let mut w = Writer::bare(&mut out);
    w.i64(&d::VALUE_DIGITS, -5);
    w.i32(&d::EXPONENT, -2);
    w.u32(&d::CC_TIME, 0x0102_0304);
    let expected = [
        "000001bf40000010fffffffffffffffb", // -5 in eight octets, the highest first
        "000001ad4000000cfffffffe",
        "000001a44000000c01020304",
    ];
    assert_eq!(out, unhex(&expected.concat()));
    let read: Vec<_> = Avps::new(&out).map(Result::unwrap).collect();
    assert_eq!((read[0].i64(), read[1].i32(), read[2].u32()), (Ok(-5), Ok(-2), Ok(0x0102_0304)));

    // New in RFC 8506, or optional in it: a client of RFC 4006 ignores them only without M (spec C-190).
    let optional = |code| matches!(code, 411 | 440..=442 | 458..=460 | 653..=669);
    let found: Vec<_> = d::all().iter().filter(|def| def.vendor == 0 && optional(def.code)).collect();
    assert!(found.len() >= 10, "{}", found.len());
    assert!(found.iter().all(|def| !def.mandatory), "{found:?}");

    // Members of groups keep the vendor that they have elsewhere (spec G-25).
    let of_3gpp = [&d::SERVICE_INFORMATION, &d::PS_INFORMATION, &d::REPORTING_REASON, &d::VOLUME_QUOTA_THRESHOLD];
    assert!(of_3gpp.iter().all(|def| def.vendor == 10_415));
    let mut answer = CreditControlAnswer::new(ResultCode::SUCCESS);
    answer.remaining_balance = Some(CcMoney { digits: 5, exponent: -2, currency: Some(978) });
    let frame = {
        let body = ccr("pgw.example;1", INITIAL, 0).avps.concat();
        let mut out = Vec::new();
        let mut w = Writer::start(&mut out, Header::request(272, 4, true, 1, 1));
        w.raw(&body);
        w.finish();
        Frame::from_bytes(out.into()).unwrap()
    };
    let mut out = Vec::new();
    answer.encode(&frame, &Identity { host: "ocs.example".into(), realm: "example".into() }, &mut out);
    let answer = Message(out);
    let balance = *answer.avps().iter().find(|avp| avp.code == 2021).unwrap();
    assert_eq!((balance.vendor, balance.flags & 0x80), (10_415, 0x80));
    let members = avps(balance.data);
    assert_eq!(members.iter().map(|avp| (avp.code, avp.vendor)).collect::<Vec<_>>(), [(445, 0), (425, 0)]);
}

// tests: G-24
#[tokio::test]
async fn what_is_of_3gpp_may_have_m_or_not() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for (n, flags) in (0..).zip([0_u8, 0x40]) {
        let of_3gpp = |code, data: &[u8]| avp_of(code, flags, Some(10_415), data);
        let inside = of_3gpp(code::PS_INFORMATION, &[of_3gpp(21, &[6]), text(30, "internet")].concat());
        let reason = of_3gpp(code::REPORTING_REASON, &[0, 0, 0, 3]);
        let request = ccr_of(1, &format!("pgw.example;3gpp;{n}"), INITIAL, 0)
            .with(of_3gpp(code::SERVICE_INFORMATION, &inside))
            .with(mscc(&[number(code::RATING_GROUP, 1), any(), reason]));
        assert_eq!(ask(&mut client, request).await.services()[0].octets(), Some(10 * MB), "{flags:02x}");
    }
    // The server's own carry V and their vendor.
    let answer = client.received.last().unwrap();
    let threshold = avps(answer.services()[0].0).into_iter().find(|avp| avp.code == 869).unwrap();
    assert_eq!((threshold.flags & 0x80, threshold.vendor), (0x80, 10_415));
}

// tests: B-40 B-100
#[tokio::test]
async fn a_session_id_is_octets_and_nothing_else() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    // No identity before a semicolon, letters that differ in case only, a blank, octets that are no text.
    let names: [&[u8]; 5] = [b"pgw.example;1", b"PGW.example;1", b"pgw.example;1 ", b"x", b"pgw.example;\xff\x00;1"];
    for name in &names {
        let request =
            ccr_of(1, "", INITIAL, 0).replacing(code::SESSION_ID, avp(code::SESSION_ID, name)).with(wanted(1));
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.part().find(&[code::SESSION_ID])), (2001, Some(*name)));
    }
    assert_eq!(node.account(1).sessions.len(), names.len(), "each is a session of its own");
}

// tests: B-21
#[tokio::test]
async fn padding_is_not_looked_at_and_is_sent_as_zero() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let mut octets = ccr_of(1, "pgw.example;1;1;x", INITIAL, 0).with(wanted(1)).numbered(1).octets();
    let whole = Message(octets.clone());
    let mut at = 20;
    let mut padded = 0;
    for avp in whole.avps() {
        for octet in &mut octets[at + 8 + avp.data.len()..at + avp.raw.len()] {
            *octet = 0xff;
            padded += 1;
        }
        at += avp.raw.len();
    }
    assert!(padded > 3, "there is padding to be spoilt");
    let answer = client.ask_octets(&octets).await;
    // Reading the answer's AVPs checks its padding.
    assert_eq!((answer.result(), answer.services()[0].octets()), (2001, Some(10 * MB)));
    assert_eq!(answer.text(code::SESSION_ID), Some("pgw.example;1;1;x"));
}

// tests: B-22
#[tokio::test]
async fn a_vendor_bit_without_a_vendor_matters_only_where_it_must_be_understood() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let nobodys = |flags| avp_of(code::CC_TIME, flags, Some(0), &[0, 0, 0, 9]);
    let group_of = |member| mscc(&[number(code::RATING_GROUP, 1), any(), member]);
    for (n, (request, result)) in (0..).zip([
        (ccr_of(1, "pgw.example;0", INITIAL, 0).with(wanted(1)).with(nobodys(0x40)), 3009),
        (ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1)).with(nobodys(0)), 2001),
        (ccr_of(1, "pgw.example;2", INITIAL, 0).with(group_of(nobodys(0))), 2001),
        (ccr_of(1, "pgw.example;3", INITIAL, 0).with(group_of(nobodys(0x40))), 2001),
    ]) {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error()), (result, result == 3009), "{n}");
    }
}

// tests: B-101 B-103
#[tokio::test]
async fn a_session_id_is_there_once_or_not_at_all() {
    let node = TestNode::demo().await;
    let mut client = Client::tcp(node.diameter()).await;
    let cea = client.ask(&cer("pgw.example", "gateways.example")).await;
    let dwa = client.ask(&dwr("pgw.example", 7)).await;
    let second = text(code::SESSION_ID, "pgw.example;other");
    let answer = client.ask_new(ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1)).with(second.clone())).await;
    assert_eq!((answer.result(), answer.failed()), (5009, Some(&second[..])));
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1))).await;
    assert_eq!(answer.codes()[0], code::SESSION_ID);
    assert_eq!(answer.part().all(code::SESSION_ID).len(), 1);
    // Neither the peer's nor the server's own messages of the base protocol have one.
    let head = vec![text(code::ORIGIN_HOST, "pgw.example"), text(code::ORIGIN_REALM, "gateways.example")];
    let dpa = client.ask(&Request::new(282, 0, head).with(number(code::DISCONNECT_CAUSE, 0)).numbered(9)).await;
    let TestNode { node, directory } = node;
    let mut other = Client::open(node.diameter[0], "other.example").await;
    let stopping = tokio::spawn(node.stop());
    let dpr = other.receive().await;
    for (message, command) in [(&cea, 257), (&dwa, 280), (&dpa, 282), (&dpr, 282)] {
        assert_eq!((message.command(), message.application(), message.has(code::SESSION_ID)), (command, 0, false));
    }
    drop((client, other));
    stopping.await.unwrap().unwrap();
    drop(directory);
}

/// The answer to a request, on a connection on which the server may ask something itself.
async fn answer_to(client: &mut Client, request: &Request) -> Message {
    client.send(&request.octets()).await;
    loop {
        let message = client.receive().await;
        if !message.is_request() {
            return message;
        }
    }
}

// tests: B-62 B-93
#[tokio::test]
async fn a_duplicate_is_known_before_anything_else_is_asked() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let opened = ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1)).numbered(1);
    let update = ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_and_wanted(1, MB)).numbered(2);
    let (first, second) = (client.ask(&opened).await, client.ask(&update).await);
    // What the same requests would get now, were they new: the one a refusal of the line, the other too.
    node.set_state(1, AccountState::Suspended);
    assert_eq!((answer_to(&mut client, &opened).await, answer_to(&mut client, &update).await), (first, second));
    let new = ccr_of(1, "pgw.example;2", INITIAL, 0).with(wanted(1)).numbered(7);
    assert_eq!(answer_to(&mut client, &new).await.result(), 4010);
    // And when the session has ended, as long as its end is remembered, its last request is known.
    let end = ccr_of(1, "pgw.example;1", TERMINATION, 2).with(used_only(1, MB)).numbered(3);
    let last = answer_to(&mut client, &end).await;
    assert_eq!((last.result(), answer_to(&mut client, &end).await), (2001, last.clone()));
    assert_eq!(node.balance(1), (BALANCE - 20_000, 0));
}

// tests: B-70 B-104
#[tokio::test]
async fn what_is_wrong_with_a_request_comes_before_what_is_wrong_with_its_session() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    // Of a session that is not known; that is told only when nothing else is wrong.
    let request = |n| ccr_of(1, "pgw.example;unknown", UPDATE, n).with(used_only(1, MB));
    for (n, (what, request, result)) in (1..).zip([
        ("another application", Request { application: 16_777_302, ..request(1) }, 3007),
        ("another host", request(2).with(text(code::DESTINATION_HOST, "other.example")), 3002),
        ("framing", request(3).with(vec![0, 0, 0, 1, 0x40, 0, 0, 4]), 5014),
        ("missing", request(4).without(code::SERVICE_CONTEXT_ID), 5005),
        ("too many", request(5).with(number(code::CC_REQUEST_NUMBER, 2)), 5009),
        ("a value", request(6).replacing(code::CC_REQUEST_TYPE, number(code::CC_REQUEST_TYPE, 9)), 5004),
    ]) {
        assert_eq!(client.ask_new(request).await.result(), result, "{n}: {what}");
    }
    assert_eq!(client.ask_new(request(7)).await.result(), 5002);
    assert!(node.orphans().iter().any(|orphan| orphan.number == 7));
}

// tests: B-97 C-141
#[tokio::test]
async fn two_copies_at_once_are_one_request_with_two_answers() {
    let node = TestNode::demo().await;
    let mut one = Client::open(node.diameter(), "one.example").await;
    let mut two = Client::open(node.diameter(), "two.example").await;
    // A hundred sessions, every request by both ways at the same time, each in one write.
    let requests = |first: u32| {
        let requests = (0..100).flat_map(|n| {
            let session = format!("pgw.example;copies;{n}");
            let opened = ccr_of(1, &session, INITIAL, 0).with(wanted(1)).numbered(first + 2 * n);
            let update = ccr_of(1, &session, UPDATE, 1).with(used_and_wanted(1, MB)).numbered(first + 2 * n + 1);
            [opened.octets(), update.octets()].concat()
        });
        requests.collect::<Vec<u8>>()
    };
    let (by_one, by_two) = (requests(1_000), requests(5_000));
    tokio::join!(one.send(&by_one), two.send(&by_two));
    let (mut answers, mut others) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        answers.push(one.receive().await);
        others.push(two.receive().await);
    }
    answers.sort_unstable_by_key(Message::hop_by_hop);
    others.sort_unstable_by_key(Message::hop_by_hop);
    for (at, (answer, other)) in answers.iter().zip(&others).enumerate() {
        assert_eq!((answer.hop_by_hop(), other.hop_by_hop()), (1_000 + at as u32, 5_000 + at as u32));
        assert_eq!((answer.result(), &answer.0[20..]), (2001, &other.0[20..]), "{at}");
    }
    assert_eq!(node.balance(1), (BALANCE - 100 * 10_000, 100 * 100_000));
}

// tests: B-87
#[test]
fn a_result_of_no_known_class_is_a_failure() {
    let node = |host: &str| {
        LocalNode::credit_control(Identity { host: host.into(), realm: "example".into() }, vec![[127, 0, 0, 1].into()])
    };
    for (result, accepted) in [(2001, true), (2999, true), (0, false), (999, false), (6001, false), (u32::MAX, false)] {
        assert_eq!(ResultCode(result).is_success(), accepted, "{result}");
        let now = Timestamp::from_secs(1_000);
        let mut peer = Peer::initiator(node("ocs.example").into(), Timers::default(), 7, now);
        let actions = peer.handle(Input::Connected, now);
        let Some(Action::Send(sent)) = actions.into_iter().next() else { panic!("no CER") };
        let mut cea = cer("peer.example", "example").replacing(code::PRODUCT_NAME, avp_of(269, 0, None, b"p"));
        cea.avps.insert(0, number(code::RESULT_CODE, result));
        let cer = Message(sent);
        (cea.flags, cea.hop_by_hop, cea.end_to_end) = (0, cer.hop_by_hop(), cer.end_to_end());
        let frame = Frame::from_bytes(cea.octets().into()).unwrap();
        let actions = peer.handle(Input::Message(&frame), now);
        let opened = actions.iter().any(|action| matches!(action, Action::Opened(_)));
        let refused = actions.contains(&Action::Close(CloseReason::Refused(ResultCode(result))));
        assert_eq!((opened, refused), (accepted, !accepted), "{result}");
    }
}

// tests: C-156 B-83
#[tokio::test]
async fn what_another_server_could_do_better_has_e_and_a_failure_has_not() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let good = || ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1));
    ask(&mut client, good()).await;
    for (request, result) in [
        (good().with(text(code::DESTINATION_HOST, "other.example")), 3002),
        (good().with(text(code::ROUTE_RECORD, "ocs1.tollgate.example")), 3005),
        (ccr_of(1, "pgw.example;1", INITIAL, 1).with(wanted(1)), 5012),
    ] {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error()), (result, result < 4000));
        assert!(HEAD.iter().all(|code| answer.has(*code)));
    }
}
