//! Input that no good client sends: each gets the error that the standard names, or loses its connection, and nobody else
//! notices.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    client::{Client, PATIENCE, cer, dwr, expect_answer},
    interop_rules::{ccr, ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{
        ERROR, Message, PROXIABLE, Part, REQUEST, RETRANSMITTED, Request, avp, avp_of, code, group, long, nested,
        number, text, tgpp, unhex,
    },
};

const INITIAL: u32 = 1;
const EVENT: u32 = 4;

/// A request that is served: an account of its own, so that tests of one node do not disturb each other.
fn good(session: &str) -> Request {
    ccr_of(1, session, INITIAL, 0).with(wanted(1))
}

/// The header of a message with any version and length, and whatever follows.
fn framed(version: u8, length: u32, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut octets = vec![version];
    octets.extend(&length.to_be_bytes()[1..]);
    octets.push(flags);
    octets.extend(unhex("000110000000041122334455667788"));
    octets.extend(rest);
    octets
}

// ---------------------------------------------------------------------------------------------------------------------
// Frames

// tests: B-1 B-3 B-184 B-82
#[tokio::test]
async fn a_broken_frame_is_answered_and_ends_its_own_connection_only() {
    let node = TestNode::demo().await;
    let mut bystander = Client::open(node.diameter(), "bystander.example").await;
    let mut received = Vec::new();
    let limit = 65_536;
    for (what, octets, result) in [
        ("version 2", framed(2, 20, 0xc0, &[]), 5011),
        ("version 0", framed(0, 20, 0xc0, &[]), 5011),
        ("length 0", framed(1, 0, 0xc0, &[]), 5015),
        ("length 16", framed(1, 16, 0xc0, &[]), 5015),
        ("length 22", framed(1, 22, 0xc0, &[0; 4]), 5015),
        ("length 16 MB", framed(1, 0x00ff_fffc, 0xc0, &[0; 100]), 5015),
        ("one word above the limit", framed(1, limit + 4, 0xc0, &[0; 100]), 5015),
    ] {
        let mut client = Client::open(node.diameter(), "broken.example").await;
        client.send(&octets).await;
        let answer = client.receive().await;
        assert_eq!((answer.result(), answer.is_error()), (result, true), "{what}");
        expect_answer(&Message(octets), &answer);
        client.is_closed().await;
        received.extend(client.received);
        bystander.is_served().await;
    }
    // A broken answer is never answered, and what is too short to have a header cannot be.
    for octets in [framed(1, 22, 0x40, &[0; 4]), vec![1, 0, 0, 3], vec![9; 7]] {
        let mut client = Client::open(node.diameter(), "broken.example").await;
        client.send(&octets).await;
        client.is_closed().await;
        bystander.is_served().await;
    }
    judged_by_tshark(&received);
}

// tests: B-3 B-184
#[tokio::test]
async fn a_message_may_be_as_long_as_the_limit() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.message_octets_max = 8_192).await;
    let mut client = Client::open(node.diameter(), "long.example").await;
    // Filled up with an AVP that nobody knows and nobody has to.
    let filled = |octets: usize| {
        let request = good("long.example;1").numbered(7);
        let room = octets - request.octets().len() - 8;
        request.with(avp_of(0x00ab_cdef, 0, None, &vec![7; room]))
    };
    assert_eq!(filled(8_192).octets().len(), 8_192);
    assert_eq!(client.ask(&filled(8_192)).await.result(), 2001);
    assert_eq!(client.ask(&filled(8_196)).await.result(), 5015);
    client.is_closed().await;
}

// tests: B-2
#[tokio::test]
async fn a_message_may_come_in_any_pieces() {
    let node = TestNode::demo().await;
    let mut client = Client::tcp(node.diameter()).await;
    // Octet by octet, CER and all.
    for request in [cer("slow.example", "gateways.example"), good("slow.example;1").numbered(1)] {
        for octet in request.octets() {
            client.send(&[octet]).await;
        }
        let answer = client.receive().await;
        expect_answer(&Message(request.octets()), &answer);
        assert_eq!(answer.result(), 2001);
    }
    // Two and a half in one segment, then the rest.
    let three: Vec<u8> = (2..5).flat_map(|n| good(&format!("slow.example;{n}")).numbered(n).octets()).collect();
    let (now, later) = three.split_at(three.len() * 5 / 6);
    client.send(now).await;
    for n in 2..4 {
        assert_eq!(client.receive().await.hop_by_hop(), n);
    }
    client.send(later).await;
    assert_eq!(client.receive().await.hop_by_hop(), 4);
}

// tests: B-2 B-3 B-28 B-80
#[tokio::test]
async fn a_stream_that_ends_within_a_message_ends_quietly() {
    let node = TestNode::demo().await;
    let whole = good("cut.example;1").numbered(5).octets();
    for cut in [1, 3, 4, 19, 20, 21, whole.len() - 1] {
        let mut client = Client::open(node.diameter(), "cut.example").await;
        client.send(&whole[..cut]).await;
        client.end().await;
        client.is_closed().await;
    }
    assert!(node.account(1).sessions.is_empty());
    Client::open(node.diameter(), "next.example").await.is_served().await;
}

/// A small generator of numbers: a failure names the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)) % bound as u64) as usize
    }
}

/// Sends octets and the end of the stream. Whatever they are, what comes back is whole messages and then the end; returns
/// the Result-Codes.
async fn survives(node: &TestNode, octets: &[u8]) -> Vec<u32> {
    let mut client = Client::open(node.diameter(), "random.example").await;
    client.send(octets).await;
    client.end().await;
    let mut results = Vec::new();
    while let Some(answer) = client.next().await {
        assert!(!answer.is_request());
        results.push(answer.result());
    }
    results
}

// tests: B-1 B-3 B-60 B-80
#[tokio::test]
async fn random_octets_do_no_harm() {
    let node = TestNode::demo().await;
    let mut bystander = Client::open(node.diameter(), "bystander.example").await;
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let mut octets: Vec<u8> = (0..dice.below(400)).map(|_| dice.below(256) as u8).collect();
        if seed % 3 == 0 && octets.len() >= 20 {
            // With a header that can be read, so that the body is looked at.
            octets.truncate(octets.len() / 4 * 4);
            let header = framed(1, octets.len() as u32, 0xc0, &[]);
            octets[..20].copy_from_slice(&header);
        }
        let results = survives(&node, &octets).await;
        assert!(results.iter().all(|result| !matches!(result / 1000, 2 | 4)), "seed {seed}: {results:?}");
    }
    bystander.is_served().await;
    assert_eq!(node.balance(1), (100_000_000, 0));
}

// tests: B-28 B-65 B-80 G-152
#[tokio::test]
async fn a_request_with_one_octet_changed_has_one_answer_or_none() {
    let node = TestNode::demo().await;
    let mut bystander = Client::open(node.diameter(), "bystander.example").await;
    let whole = good("changed.example;1").with(tgpp(code::SERVICE_INFORMATION, &tgpp(874, &text(30, "internet"))));
    let whole = whole.numbered(9).octets();
    let mut dice = Dice(1);
    let mut answered = 0;
    for at in 0..whole.len() {
        let mut octets = whole.clone();
        octets[at] ^= 1 << dice.below(8);
        let results = survives(&node, &octets).await;
        assert!(results.len() <= 1, "octet {at}: {results:?}");
        answered += results.len();
    }
    // Only a changed length, version or R bit can keep the request from being one.
    assert!(answered >= whole.len() - 4, "{answered} of {}", whole.len());
    bystander.is_served().await;
    node.node.store.check().unwrap();
}

// ---------------------------------------------------------------------------------------------------------------------
// Capabilities exchange

// tests: B-4 B-61
#[tokio::test]
async fn nothing_comes_before_the_capabilities_exchange() {
    let node = TestNode::demo().await;
    let mut answer = cer("early.example", "gateways.example");
    answer.flags = 0;
    for octets in [
        good("early.example;1").octets(),
        dwr("early.example", 1).octets(),
        Request::new(282, 0, vec![number(code::DISCONNECT_CAUSE, 0)]).octets(),
        answer.octets(),
        // Not even in one write with the CER behind it.
        [good("early.example;1").octets(), cer("early.example", "gateways.example").octets()].concat(),
    ] {
        let mut client = Client::tcp(node.diameter()).await;
        client.send(&octets).await;
        client.is_closed().await;
    }
    assert!(node.account(1).sessions.is_empty());
    // Behind it they may be in one write.
    let mut client = Client::tcp(node.diameter()).await;
    let both = [cer("early.example", "gateways.example").octets(), good("early.example;1").numbered(1).octets()];
    client.send(&both.concat()).await;
    assert_eq!((client.receive().await.command(), client.receive().await.command()), (257, 272));
}

// tests: B-46 B-67 B-72 B-82 B-141 B-142 B-143 B-144 B-145 B-146 B-147 B-149 B-150
#[tokio::test]
async fn a_cer_is_accepted_or_refused_for_a_reason() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.accept_unknown_peers = false;
        let peer = |name: &str| toml::from_str(&format!("origin_host = \"{name}\"")).unwrap();
        config.diameter.peers = vec![peer("pgw.example"), peer("*.gateways.example")];
    })
    .await;
    let known = cer("pgw.example", "gateways.example");
    let applications = |avps: &[Vec<u8>]| {
        let mut request = known.clone().without(code::AUTH_APPLICATION_ID);
        request.avps.extend(avps.iter().cloned());
        request
    };
    let specific = |avps: &[Vec<u8>]| {
        let vendor = number(code::VENDOR_ID, 10_415);
        group(code::VENDOR_SPECIFIC_APPLICATION_ID, &[&[vendor], avps].concat())
    };
    let (auth, acct) = (number(code::AUTH_APPLICATION_ID, 4), number(259, 4));
    let examples = [number(code::AUTH_APPLICATION_ID, 0), number(259, 0)].concat();
    let mut received = Vec::new();
    for (what, request, result, failed) in [
        ("as it should be", known.clone(), 2001, None),
        ("in capitals", cer("PGW.Example", "gateways.example"), 2001, None),
        ("below a listed domain", cer("pgw7.gateways.example", "gateways.example"), 2001, None),
        ("a stranger", cer("pgw.elsewhere", "gateways.example"), 3010, None),
        ("the domain itself", cer("gateways.example", "gateways.example"), 3010, None),
        ("our own name", cer("OCS1.tollgate.example", "gateways.example"), 5012, None),
        ("no application", applications(&[]), 5010, None),
        ("another application", applications(&[number(code::AUTH_APPLICATION_ID, 16_777_238)]), 5010, None),
        ("a relay", applications(&[number(code::AUTH_APPLICATION_ID, u32::MAX)]), 2001, None),
        ("for accounting", applications(std::slice::from_ref(&acct)), 2001, None),
        ("for a vendor", applications(&[specific(std::slice::from_ref(&auth))]), 2001, None),
        ("for a vendor, not which", applications(&[specific(&[])]), 5005, Some(examples)),
        (
            "for a vendor, two",
            applications(&[specific(&[auth.clone(), acct.clone()])]),
            5009,
            Some([auth, acct].concat()),
        ),
        ("security inside only", known.clone().with(number(code::INBAND_SECURITY_ID, 1)), 5017, None),
        (
            "with or without security",
            known.clone().with(number(code::INBAND_SECURITY_ID, 1)).with(number(code::INBAND_SECURITY_ID, 0)),
            2001,
            None,
        ),
        ("no Origin-Realm", known.clone().without(code::ORIGIN_REALM), 5005, Some(avp(code::ORIGIN_REALM, &[]))),
        ("no address", known.clone().without(code::HOST_IP_ADDRESS), 5005, Some(avp(code::HOST_IP_ADDRESS, &[0; 6]))),
        ("no Vendor-Id", known.clone().without(code::VENDOR_ID), 5005, Some(number(code::VENDOR_ID, 0))),
        ("no product", known.clone().without(code::PRODUCT_NAME), 5005, Some(avp_of(code::PRODUCT_NAME, 0, None, &[]))),
        (
            "a short Vendor-Id",
            known.clone().replacing(code::VENDOR_ID, avp(code::VENDOR_ID, &[0; 3])),
            5014,
            Some(number(code::VENDOR_ID, 0)),
        ),
    ] {
        let mut client = Client::tcp(node.diameter()).await;
        let cea = client.ask(&request).await;
        assert_eq!((cea.result(), cea.failed()), (result, failed.as_deref()), "{what}");
        if result == 3010 {
            assert!(cea.is_error());
        } else {
            // Whoever is refused otherwise learns what there would be.
            assert!(!cea.is_error() && cea.has(code::HOST_IP_ADDRESS) && cea.has(code::PRODUCT_NAME), "{what}");
            assert_eq!(cea.number(&[code::AUTH_APPLICATION_ID]), Some(4), "{what}");
        }
        if result == 2001 {
            client.is_served().await;
        } else {
            client.is_closed().await;
        }
        received.extend(client.received);
    }
    judged_by_tshark(&received);
}

// tests: B-48 B-148
#[tokio::test]
async fn a_node_that_listens_everywhere_names_the_address_it_was_found_at() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.listen = toml::from_str::<tollgate::config::Diameter>("listen = \"0.0.0.0:0\"").unwrap().listen;
    })
    .await;
    let mut client = Client::tcp((Ipv4Addr::LOCALHOST, node.diameter().port()).into()).await;
    let cea = client.ask(&cer("pgw.example", "gateways.example")).await;
    let addresses: Vec<_> = cea.part().all(code::HOST_IP_ADDRESS);
    assert_eq!((cea.result(), &addresses[..]), (2001, &[Part(&[0, 1, 127, 0, 0, 1])][..]));
}

// tests: B-151
#[tokio::test]
async fn a_second_cer_is_answered_and_changes_nothing() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "twice.example").await;
    let cea = client.ask(&cer("twice.example", "gateways.example").numbered(2)).await;
    assert_eq!((cea.command(), cea.result()), (257, 2001));
    assert_eq!(client.ask_new(good("twice.example;1")).await.result(), 2001);
}

// tests: B-61
#[tokio::test]
async fn a_connection_that_does_not_introduce_itself_is_closed() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.handshake_secs = 1).await;
    let started = Instant::now();
    let mut silent = Client::tcp(node.diameter()).await;
    let mut slow = Client::tcp(node.diameter()).await;
    slow.send(&cer("slow.example", "gateways.example").octets()[..50]).await;
    // One that has introduced itself may be silent for longer.
    let mut open = Client::open(node.diameter(), "open.example").await;
    silent.is_closed().await;
    slow.is_closed().await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    open.is_served().await;
}

// tests: B-186
#[tokio::test]
async fn connections_are_counted() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.connections_max = 2).await;
    let mut first = Client::open(node.diameter(), "first.example").await;
    // One that has not introduced itself counts too.
    let mut second = Client::tcp(node.diameter()).await;
    let mut third = Client::tcp(node.diameter()).await;
    third.is_closed().await;
    first.is_served().await;
    assert_eq!(second.ask(&cer("second.example", "gateways.example")).await.result(), 2001);

    // When one leaves there is room again, as soon as the server has noticed.
    second.end().await;
    second.is_closed().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut next = Client::tcp(node.diameter()).await;
        if next.try_send(&cer("next.example", "gateways.example").octets()).await && next.next().await.is_some() {
            next.is_served().await;
            break;
        }
        assert!(Instant::now() < deadline, "there is still no room");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests

/// A request and what it is answered: Result-Code, whether E is set, the content of Failed-AVP.
struct Refused {
    what: &'static str,
    request: Request,
    result: u32,
    error: bool,
    failed: Option<Vec<u8>>,
}

/// Asks each on one connection, which goes on; nothing is charged and no session opens.
async fn refused(node: &TestNode, cases: Vec<Refused>) {
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for Refused { what, request, result, error, failed } in cases {
        let answer = client.ask_new(request.clone()).await;
        assert_eq!((answer.result(), answer.is_error()), (result, error), "{what}");
        assert_eq!(answer.failed().map(crate::wire::hex), failed.map(|octets| crate::wire::hex(&octets)), "{what}");
        // What the answer can repeat it repeats (spec B-84, B-85).
        let request = Message(request.octets());
        if request.command() == 272 && request.application() == 4 && request.intact() {
            for same in [code::SESSION_ID, code::CC_REQUEST_TYPE, code::CC_REQUEST_NUMBER] {
                assert_eq!(answer.part().find(&[same]), request.part().find(&[same]), "{what}");
            }
            assert!(answer.is_error() || answer.number(&[code::AUTH_APPLICATION_ID]) == Some(4), "{what}");
        }
    }
    client.is_served().await;
    // A command that nobody knows is not known to tshark either.
    judged_by_tshark(client.received.iter().filter(|answer| answer.command() != 999));
    assert_eq!(node.balance(1), (100_000_000, 0));
    assert!(node.account(1).sessions.is_empty());
}

fn case(what: &'static str, request: Request, result: u32, failed: Option<Vec<u8>>) -> Refused {
    Refused { what, request, result, error: result / 1000 == 3, failed }
}

// tests: B-4 B-5 B-6 B-63 B-64 B-82 B-130 B-132 B-134 B-201
#[tokio::test]
async fn requests_that_are_not_for_us() {
    let node = TestNode::demo().await;
    let request = || good("pgw.example;20;1");
    let with_header = |command, application, flags| Request { command, application, flags, ..request() };
    let to = |host: &str| text(code::DESTINATION_HOST, host);
    let by = |host: &str| text(code::ROUTE_RECORD, host);
    let foreign = text(code::DESTINATION_REALM, "elsewhere.example");
    let cases = vec![
        case("another application", with_header(272, 16_777_238, 0xc0), 3007, None),
        case("another application's unknown command", with_header(999, 3, 0xc0), 3007, None),
        case("unknown command of ours", with_header(999, 4, 0xc0), 3001, None),
        case("unknown command of the base", with_header(999, 0, 0x80), 3001, None),
        case("STR", with_header(275, 4, 0xc0), 3001, None),
        case("ASR, which is ours to send", with_header(274, 4, 0xc0), 3001, None),
        case("E bit", with_header(272, 4, REQUEST | PROXIABLE | ERROR), 3008, None),
        case("E bit in a DWR", Request { flags: REQUEST | ERROR, ..dwr("pgw.example", 0) }, 3008, None),
        case("another host", request().with(to("ocs2.tollgate.example")), 3002, None),
        case(
            "another host of another realm",
            request().replacing(code::DESTINATION_REALM, foreign.clone()).with(to("ocs.elsewhere.example")),
            3002,
            None,
        ),
        case(
            "a host without a realm",
            request().without(code::DESTINATION_REALM).with(to("ocs1.tollgate.example")),
            3002,
            None,
        ),
        case(
            "another realm, by a relay",
            request().replacing(code::DESTINATION_REALM, foreign).with(by("dra.example")),
            3003,
            None,
        ),
        case("a loop", request().with(by("dra.example")).with(by("OCS1.tollgate.example")), 3005, None),
    ];
    refused(&node, cases).await;

    // Ours by whatever writing, directly and by a relay; reserved bits and a P bit that is clear do no harm (B-5, B-6).
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for (at, mut request) in [
        request().with(to("OCS1.Tollgate.example")),
        request().with(by("dra.example")),
        Request { flags: REQUEST, ..request() },
        Request { flags: REQUEST | PROXIABLE | 0x0f, ..request() },
    ]
    .into_iter()
    .enumerate()
    {
        request = request.replacing(code::SESSION_ID, text(code::SESSION_ID, &format!("pgw.example;20;2;{at}")));
        assert_eq!(client.ask_new(request).await.result(), 2001, "{at}");
    }
}

// tests: B-67 B-72 B-74 B-84 C-3 C-96
#[tokio::test]
async fn a_missing_avp_is_shown_by_example() {
    let node = TestNode::demo().await;
    let request = || good("pgw.example;21;1");
    let missing = |code| request().without(code);
    let zero = |code| number(code, 0);
    let empty = |code| avp(code, &[]);
    let without_e = |code, example| case("missing", missing(code), 5005, Some(example));
    // Without these an answer by the grammar of CCA is not possible: E is set.
    let with_e = |code, example| Refused { error: true, ..without_e(code, example) };
    let subscriber =
        |members: &[Vec<u8>]| request().replacing(code::SUBSCRIPTION_ID, group(code::SUBSCRIPTION_ID, members));
    refused(
        &node,
        vec![
            with_e(code::SESSION_ID, empty(code::SESSION_ID)),
            without_e(code::ORIGIN_HOST, empty(code::ORIGIN_HOST)),
            without_e(code::ORIGIN_REALM, empty(code::ORIGIN_REALM)),
            without_e(code::DESTINATION_REALM, empty(code::DESTINATION_REALM)),
            without_e(code::AUTH_APPLICATION_ID, zero(code::AUTH_APPLICATION_ID)),
            without_e(code::SERVICE_CONTEXT_ID, empty(code::SERVICE_CONTEXT_ID)),
            with_e(code::CC_REQUEST_TYPE, zero(code::CC_REQUEST_TYPE)),
            with_e(code::CC_REQUEST_NUMBER, zero(code::CC_REQUEST_NUMBER)),
            case(
                "an event's action",
                ccr_of(1, "pgw.example;21;2", EVENT, 0),
                5005,
                Some(zero(code::REQUESTED_ACTION)),
            ),
            case(
                "a subscriber's type",
                subscriber(&[text(code::SUBSCRIPTION_ID_DATA, "49")]),
                5005,
                Some(group(code::SUBSCRIPTION_ID, &[zero(code::SUBSCRIPTION_ID_TYPE)])),
            ),
            case(
                "a subscriber's number",
                subscriber(&[zero(code::SUBSCRIPTION_ID_TYPE)]),
                5005,
                Some(group(code::SUBSCRIPTION_ID, &[empty(code::SUBSCRIPTION_ID_DATA)])),
            ),
            // Two are missing: the first of the grammar is told.
            case(
                "two",
                missing(code::ORIGIN_REALM).without(code::SERVICE_CONTEXT_ID),
                5005,
                Some(empty(code::ORIGIN_REALM)),
            ),
            // Nothing at all is there.
            Refused {
                what: "everything",
                request: Request::new(272, 4, vec![]),
                result: 5005,
                error: true,
                failed: Some(empty(code::SESSION_ID)),
            },
        ],
    )
    .await;
}

/// The same AVP with another length in its header.
fn with_length(mut avp: Vec<u8>, length: u32) -> Vec<u8> {
    avp[5..8].copy_from_slice(&length.to_be_bytes()[1..]);
    avp
}

// tests: B-20 B-28 B-29 B-33 B-65 B-71 B-73 B-83
#[tokio::test]
async fn a_wrong_length_is_shown_in_its_place() {
    let node = TestNode::demo().await;
    let request = || ccr_of(1, "pgw.example;22;1", INITIAL, 0);
    let service =
        |member: Vec<u8>| group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &[number(code::RATING_GROUP, 1), member]);
    let in_units = [code::MULTIPLE_SERVICES_CREDIT_CONTROL, code::USED_SERVICE_UNIT];
    let used = |member: Vec<u8>| service(group(code::USED_SERVICE_UNIT, &[member]));
    let deep = (0..20).fold(Vec::new(), |inner, _| avp(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &inner));
    // The first group that is too deep, empty (spec B-28).
    let shown = nested(&[code::MULTIPLE_SERVICES_CREDIT_CONTROL; 16], avp(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &[]));
    let timestamp = with_length(number(code::EVENT_TIMESTAMP, 1), 4);
    refused(
        &node,
        vec![
            case(
                "beyond the message",
                request().with(with_length(number(code::EVENT_TIMESTAMP, 1), 16)),
                5014,
                Some(number(code::EVENT_TIMESTAMP, 0)),
            ),
            case("below a header", request().with(timestamp.clone()), 5014, Some(number(code::EVENT_TIMESTAMP, 0))),
            case(
                "a vendor's below its header",
                request().with(with_length(tgpp(code::SERVICE_INFORMATION, &[]), 8)),
                5014,
                Some(tgpp(code::SERVICE_INFORMATION, &[])),
            ),
            case(
                "half a header",
                request().with(number(code::EVENT_TIMESTAMP, 1)[..4].to_vec()),
                5014,
                Some(avp_of(code::EVENT_TIMESTAMP, 0, None, &[0; 4])),
            ),
            case(
                "three octets of four",
                request().with(avp(code::EVENT_TIMESTAMP, &[0; 3])),
                5014,
                Some(number(code::EVENT_TIMESTAMP, 0)),
            ),
            case(
                "eight octets of four",
                request().with(long(code::EVENT_TIMESTAMP, 0)),
                5014,
                Some(number(code::EVENT_TIMESTAMP, 0)),
            ),
            case(
                "four octets of eight",
                request().with(used(number(code::CC_TOTAL_OCTETS, 1))),
                5014,
                Some(nested(&in_units, long(code::CC_TOTAL_OCTETS, 0))),
            ),
            case(
                "beyond its group",
                request().with(used(with_length(long(code::CC_TOTAL_OCTETS, 1), 20))),
                5014,
                Some(nested(&in_units, long(code::CC_TOTAL_OCTETS, 0))),
            ),
            case("nested too deeply", request().with(deep), 5014, Some(shown)),
            // Framing comes before what is missing and before values (spec section 4).
            case(
                "and missing",
                request().without(code::ORIGIN_HOST).with(timestamp),
                5014,
                Some(number(code::EVENT_TIMESTAMP, 0)),
            ),
        ],
    )
    .await;

    // Where the type comes behind the break it cannot be repeated: then E is set (spec B-84).
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let mut broken = request();
    broken.avps.insert(2, with_length(number(code::EVENT_TIMESTAMP, 1), 400));
    let answer = client.ask_new(broken).await;
    assert_eq!((answer.result(), answer.is_error(), answer.codes()[0]), (5014, true, code::SESSION_ID));
    // The base protocol's own messages are read as carefully.
    let answer = client.ask_new(dwr("pgw.example", 0).with(avp(278, &[1, 2, 3]))).await;
    assert_eq!((answer.command(), answer.result(), answer.failed()), (280, 5014, Some(&number(278, 0)[..])));
    client.is_served().await;
}

// tests: B-7 B-43 B-45 B-52 B-68 B-69 B-72 B-73 B-102 C-10 C-54
#[tokio::test]
async fn a_wrong_value_is_shown_as_it_came() {
    let node = TestNode::demo().await;
    let request = || good("pgw.example;23;1");
    let instead = |code, avp: &[u8]| request().replacing(code, avp.to_vec());
    let value = |what, code, avp: Vec<u8>| case(what, instead(code, &avp), 5004, Some(avp));
    let long_id = text(code::SESSION_ID, &"x".repeat(1_025));
    let money = |exponent: i32| {
        let value = [long(code::VALUE_DIGITS, 1), number(code::EXPONENT, exponent as u32)];
        let money = group(code::CC_MONEY, &[group(code::UNIT_VALUE, &value)]);
        group(code::REQUESTED_SERVICE_UNIT, &[money])
    };
    let place = [code::REQUESTED_SERVICE_UNIT, code::CC_MONEY, code::UNIT_VALUE];
    let other_type =
        group(code::SUBSCRIPTION_ID, &[number(code::SUBSCRIPTION_ID_TYPE, 9), text(code::SUBSCRIPTION_ID_DATA, "x")]);
    let its_type = group(code::SUBSCRIPTION_ID, &[number(code::SUBSCRIPTION_ID_TYPE, 9)]);
    let twice = number(code::CC_REQUEST_NUMBER, 1);
    let rating_groups = [number(code::RATING_GROUP, 1), number(code::RATING_GROUP, 2)];
    refused(
        &node,
        vec![
            value("type 0", code::CC_REQUEST_TYPE, number(code::CC_REQUEST_TYPE, 0)),
            value("type 5", code::CC_REQUEST_TYPE, number(code::CC_REQUEST_TYPE, 5)),
            value(
                "another application than the header's",
                code::AUTH_APPLICATION_ID,
                number(code::AUTH_APPLICATION_ID, 3),
            ),
            value("a host that is no text", code::ORIGIN_HOST, avp(code::ORIGIN_HOST, &[0xff, 0xfe])),
            value("a Session-Id that is too long", code::SESSION_ID, long_id),
            value("a Session-Id of nothing", code::SESSION_ID, avp(code::SESSION_ID, &[])),
            case(
                "an unknown action",
                ccr_of(1, "pgw.example;23;2", EVENT, 0).with(number(code::REQUESTED_ACTION, 4)),
                5004,
                Some(number(code::REQUESTED_ACTION, 4)),
            ),
            case("a type of subscriber", instead(code::SUBSCRIPTION_ID, &other_type), 5004, Some(its_type)),
            case("an exponent", request().with(money(13)), 5004, Some(nested(&place, number(code::EXPONENT, 13)))),
            case("the number twice", request().with(twice.clone()), 5009, Some(twice)),
            case(
                "two rating groups",
                request().with(group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &rating_groups)),
                5009,
                Some(nested(&[code::MULTIPLE_SERVICES_CREDIT_CONTROL], number(code::RATING_GROUP, 2))),
            ),
        ],
    )
    .await;
}

// tests: B-22 B-24 B-25 B-26 B-27 C-7
#[tokio::test]
async fn what_is_not_known_is_ignored_or_refused_by_its_m_bit() {
    let unknown = avp(0x00ab_cdef, b"unknown");
    let foreign = avp_of(1, 0x40, Some(999_999), b"foreign");
    let harmless = [
        avp_of(0x00ab_cdef, 0, None, b"unknown"),
        avp_of(1, 0, Some(999_999), b"foreign"),
        // A group that is not known is not looked into, whatever its members are (spec B-25).
        avp_of(901, 0, Some(1_368), &unknown),
        // P and reserved flag bits of AVPs mean nothing.
        avp_of(code::USER_NAME, 0x7f, None, b"somebody"),
        avp_of(code::ORIGIN_HOST, 0x3f, Some(999_999), b"another"),
    ];
    let vendor_zero = avp_of(0x00ab_cdef, 0x40, Some(0), b"nobody's");
    for strict in [false, true] {
        let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.strict_mandatory_avps = strict).await;
        let mut client = Client::open(node.diameter(), "pgw.example").await;
        let mut number_of = 0;
        let mut request = |avp: &[u8]| {
            number_of += 1;
            good(&format!("pgw.example;24;{number_of}")).with(avp.to_vec())
        };
        for avp in &harmless {
            assert_eq!(client.ask_new(request(avp)).await.result(), 2001, "{avp:02x?}");
        }
        for mandatory in [&unknown, &foreign] {
            let answer = client.ask_new(request(mandatory)).await;
            let expected = if strict { (5001, Some(&mandatory[..])) } else { (2001, None) };
            assert_eq!((answer.result(), answer.failed()), expected);
        }
        // The V bit without a vendor is wrong by itself.
        let answer = client.ask_new(request(&vendor_zero)).await;
        assert_eq!((answer.result(), answer.is_error(), answer.failed()), (3009, true, Some(&vendor_zero[..])));
        // The M bit may be missing on what must have it.
        let clear = request(&[]).replacing(code::CC_REQUEST_NUMBER, avp_of(code::CC_REQUEST_NUMBER, 0, None, &[0; 4]));
        assert_eq!(client.ask_new(clear).await.result(), 2001);
        judged_by_tshark(client.received.iter().filter(|answer| answer.failed().is_none()));
    }
}

// tests: B-88 B-89
#[tokio::test]
async fn answers_that_nobody_asked_for_are_dropped() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let broken = [1, 2, 3, 4].to_vec();
    for (command, application, avps) in
        [(272, 4, vec![]), (258, 4, vec![broken.clone()]), (280, 0, vec![broken]), (282, 0, vec![]), (999, 9, vec![])]
    {
        for flags in [0, PROXIABLE | ERROR] {
            client.send(&Request { flags, ..Request::new(command, application, avps.clone()) }.octets()).await;
        }
    }
    client.is_served().await;
}

// ---------------------------------------------------------------------------------------------------------------------
// Many at once, and again

// tests: B-80 B-91 B-185
#[tokio::test]
async fn two_hundred_requests_in_one_write_are_all_answered() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "many.example").await;
    let mut other = Client::open(node.diameter(), "other.example").await;
    let request = |n: u32| {
        let account = u64::from(n % 10) + 1;
        ccr_of(account, &format!("many.example;{n}"), INITIAL, 0).with(wanted(1)).numbered(n)
    };
    client.send(&(0..200).flat_map(|n| request(n).octets()).collect::<Vec<_>>()).await;
    // Nobody reads these answers yet; another connection does not wait for that.
    other.is_served().await;
    let mut answered = Vec::new();
    for _ in 0..200 {
        let answer = client.receive().await;
        expect_answer(&Message(request(answer.hop_by_hop()).octets()), &answer);
        assert_eq!(answer.result(), 2001);
        answered.push(answer.hop_by_hop());
    }
    answered.sort_unstable();
    assert_eq!(answered, Vec::from_iter(0..200));
    assert!((1..=10).all(|account| node.balance(account) == (100_000_000, 20 * 100_000)));
}

// tests: B-186
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_but_itself() {
    const REQUESTS: u32 = 20_000;
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.in_flight_max = 50).await;
    let greedy = Client::open(node.diameter(), "greedy.example").await;
    let mut other = Client::open(node.diameter(), "other.example").await;
    // All the same request: one is served, the others are repetitions of it, and every one is answered.
    let request = good("greedy.example;1").numbered(1).octets();
    let batch = request.repeat(100);
    let (mut reader, mut writer) = greedy.into_stream().into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..REQUESTS / 100 {
            writer.write_all(&batch).await.unwrap();
        }
        writer
    });
    for n in 0..20 {
        assert_eq!(other.ask_new(good(&format!("other.example;{n}"))).await.result(), 2001);
    }
    // It reads at last, and has all of them.
    let mut answers = vec![0; 4];
    reader.read_exact(&mut answers).await.unwrap();
    let length = u32::from_be_bytes([0, answers[1], answers[2], answers[3]]) as usize;
    answers.resize(length * REQUESTS as usize, 0);
    tokio::time::timeout(PATIENCE, reader.read_exact(&mut answers[4..])).await.unwrap().unwrap();
    drop(writing.await.unwrap());
    let first = Message(answers[..length].to_vec());
    expect_answer(&Message(request), &first);
    assert_eq!(first.result(), 2001);
    assert!(answers.chunks(length).all(|answer| answer == first.0));
    assert_eq!(node.account(1).sessions.len(), 21);
}

// tests: B-93 B-94 B-95 B-136 C-140 C-142 C-183
#[tokio::test]
async fn a_retransmission_on_another_connection_is_answered_alike_and_charged_once() {
    let node = TestNode::demo().await;
    let mut first = Client::open(node.diameter(), "first.example").await;
    let mut second = Client::open(node.diameter(), "second.example").await;
    let used = group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, 1_500_000)]);
    let report = [number(code::RATING_GROUP, 1), group(code::REQUESTED_SERVICE_UNIT, &[]), used.clone()];
    let one = group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, 1)]);
    let mut message = ccr_of(1, "pgw.example;30;e", EVENT, 0)
        .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"));
    message.avps.extend([number(code::REQUESTED_ACTION, 0), one]);
    let requests = [
        good("pgw.example;30"),
        ccr_of(1, "pgw.example;30", 2, 1).with(group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &report)),
        ccr_of(1, "pgw.example;30", 3, 2).with(group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &report[..1])).with(used),
        message,
    ];
    for (n, request) in (1..).zip(requests) {
        let answer = first.ask(&request.clone().numbered(n)).await;
        assert_eq!(answer.result(), 2001, "{n}");
        let balance = node.balance(1);
        // By another way: T, a new hop-by-hop id, and a Proxy-Info that the first had not. Then with a new end-to-end id, as
        // from a client that tries another server; and without T.
        let proxy = group(code::PROXY_INFO, &[text(code::PROXY_HOST, "dra.example"), text(33, "state")]);
        for (flags, end_to_end) in [(0xc0 | RETRANSMITTED, n), (0xc0 | RETRANSMITTED, n + 1_000), (0xc0, n)] {
            let again = Request { flags, hop_by_hop: n + 500, end_to_end, ..request.clone() }.with(proxy.clone());
            let repeated = second.ask(&again).await;
            assert_eq!(repeated.0[20..], [&answer.0[20..], &proxy].concat(), "{n}");
            assert_eq!(node.balance(1), balance, "{n}");
        }
    }
    // 1.5 MB, then the session's end without more that counts, and one message.
    assert_eq!(node.balance(1), (100_000_000 - 20_000 - 100_000, 0));
}

// tests: B-94 B-95 C-145
#[tokio::test]
async fn a_retransmission_may_be_the_first_to_arrive() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let mut marked = good("pgw.example;31").numbered(1);
    marked.flags |= RETRANSMITTED;
    let answer = client.ask(&marked).await;
    assert_eq!((answer.result(), node.balance(1).1), (2001, 100_000));
    // The original comes later.
    let original = client.ask(&good("pgw.example;31").numbered(1)).await;
    assert_eq!((original, node.balance(1).1), (answer, 100_000));
    // The same number of another type is no retransmission, and an open session cannot be opened again.
    let reopened = client.ask_new(ccr_of(1, "pgw.example;31", INITIAL, 7).with(wanted(1))).await;
    assert_eq!((reopened.result(), node.balance(1).1), (5012, 100_000));
}

// ---------------------------------------------------------------------------------------------------------------------
// Watchdog and disconnect

// tests: B-165 B-166 B-169
#[tokio::test]
async fn the_server_watches_idle_connections() {
    // Six seconds is the least that the standard allows, and they vary by two.
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.watchdog_secs = 6).await;
    let mut client = Client::open(node.diameter(), "idle.example").await;
    let opened = Instant::now();
    let request = client.receive().await;
    let waited = opened.elapsed();
    assert!((Duration::from_millis(3_900)..Duration::from_millis(12_000)).contains(&waited), "{waited:?}");
    assert_eq!((request.command(), request.application(), request.flags()), (280, 0, REQUEST));
    assert_eq!(request.text(code::ORIGIN_HOST), Some("ocs1.tollgate.example"));
    judged_by_tshark([&request]);
    let mut answer = dwr("idle.example", 0).with(number(code::RESULT_CODE, 2001));
    (answer.flags, answer.hop_by_hop, answer.end_to_end) = (0, request.hop_by_hop(), request.end_to_end());
    client.send(&answer.octets()).await;
    assert_eq!(client.ask_new(good("idle.example;1")).await.result(), 2001);
}

// tests: B-171 B-172 B-173
#[tokio::test]
async fn a_client_that_disconnects_is_answered_until_it_closes() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "leaving.example").await;
    let head = vec![text(code::ORIGIN_HOST, "leaving.example"), text(code::ORIGIN_REALM, "gateways.example")];
    let dpr = Request::new(282, 0, head).with(number(code::DISCONNECT_CAUSE, 0)).numbered(2);
    // What was asked before is answered before.
    client.send(&[good("leaving.example;1").numbered(1).octets(), dpr.octets()].concat()).await;
    assert_eq!(client.receive().await.hop_by_hop(), 1);
    let dpa = client.receive().await;
    expect_answer(&Message(dpr.octets()), &dpa);
    assert_eq!((dpa.command(), dpa.result()), (282, 2001));
    // Who sent the DPR closes; until then what comes late is served.
    assert_eq!(client.ask_new(good("leaving.example;2")).await.result(), 2001);
    client.is_served().await;
    client.end().await;
    client.is_closed().await;
    // Its sessions stay, and it may come back.
    assert_eq!(node.account(1).sessions.len(), 2);
    let mut again = Client::open(node.diameter(), "leaving.example").await;
    assert_eq!(again.ask_new(ccr("leaving.example;2", 3, 1)).await.result(), 2001);
}
