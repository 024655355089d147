//! Each profile once through a session as its element plays one, and what it is answered, word for word.

use std::fmt::Write as _;

use tollgate::{
    config::{Config, Peer},
    diameter::dictionary::{DataType, lookup},
    ids::IdentityKind,
};

use crate::{
    client::Client,
    interop_rules::{Reason, SMF, any, expect_harmless, imsi, mscc, smf_ccr, subscription, used},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Avp, Message, Request, avp_of, avps, code, group, long, number, text, tgpp},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;
const MB: u64 = 1_000_000;

/// The IMSI of an account of a test's own.
const IMSI: &str = "1001";
const ACCOUNT: u64 = 20;

/// A node at which a host is configured like this, as it would be in a file.
async fn node(host: &str, entry: &str, catalog: &str) -> TestNode {
    let peer: Peer = toml::from_str(&format!("origin_host = \"{host}\"\n{entry}")).unwrap();
    TestNode::start(catalog, |config: &mut Config| {
        config.diameter.accept_unknown_peers = false;
        config.diameter.peers = vec![peer];
    })
    .await
}

/// What an answer says beyond the AVPs that every answer begins with: names, values and members in their order.
fn said(answer: &Message) -> Vec<String> {
    let head = [263, 268, 264, 296, 258, 416, 415, 281];
    let rest = answer.avps().into_iter().filter(|avp| !head.contains(&avp.code));
    let rest = rest.map(|avp| {
        let mut text = String::new();
        write(&avp, &mut text);
        text
    });
    [answer.result().to_string()].into_iter().chain(rest).collect()
}

/// Names that a table of answers would be too wide with.
const SHORT: [(&str, &str); 23] = [
    ("Low-Balance-Indication", "low"),
    ("Multiple-Services-Credit-Control", "MSCC"),
    ("Granted-Service-Unit", "GSU"),
    ("Final-Unit-Indication", "FUI"),
    ("Credit-Control-Failure-Handling", "CCFH"),
    ("CC-Session-Failover", "failover"),
    ("CC-Total-Octets", "octets"),
    ("CC-Time", "seconds"),
    ("Rating-Group", "RG"),
    ("Service-Identifier", "SI"),
    ("Volume-Quota-Threshold", "threshold"),
    ("Validity-Time", "valid"),
    ("Result-Code", "result"),
    ("Quota-Holding-Time", "holding"),
    ("Cost-Information", "cost"),
    ("Final-Unit-Action", "action"),
    ("Unit-Value", "value"),
    ("Value-Digits", "digits"),
    ("Exponent", "exponent"),
    ("Currency-Code", "currency"),
    ("Redirect-Server-Address", "address"),
    ("Redirect-Address-Type", "kind"),
    ("Redirect-Server", "to"),
];

fn write(avp: &Avp<'_>, text: &mut String) {
    let def = lookup(avp.vendor, avp.code).unwrap();
    text.push_str(SHORT.iter().find(|(name, _)| *name == def.name).map_or(def.name, |(_, short)| short));
    match def.data {
        DataType::Grouped => {
            text.push('{');
            for (at, member) in avps(avp.data).iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                write(member, text);
            }
            text.push('}');
        }
        DataType::Unsigned64 | DataType::Integer64 => {
            write!(text, " {}", i64::from_be_bytes(avp.data.try_into().unwrap())).unwrap();
        }
        DataType::Unsigned32 | DataType::Integer32 | DataType::Enumerated | DataType::Time => {
            write!(text, " {}", i32::from_be_bytes(avp.data.try_into().unwrap())).unwrap();
        }
        _ => write!(text, " {}", String::from_utf8_lossy(avp.data)).unwrap(),
    }
}

/// Asks each, and compares what is said; every answer is one that no client can misread as more than it is.
async fn play(client: &mut Client, steps: Vec<(Request, &[&str])>) {
    for (at, (request, expected)) in steps.into_iter().enumerate() {
        let answer = client.ask_new(request).await;
        expect_harmless(&answer);
        assert_eq!(said(&answer), expected, "step {at}");
    }
    judged_by_tshark(&client.received);
}

/// A gateway as 3GPP wants it: what is asked for stands in MSCCs of rating groups.
struct Gateway {
    host: &'static str,
    context: &'static str,
    session: &'static str,
}

impl Gateway {
    fn ccr(&self, kind: u32, n: u32) -> Request {
        let avps = vec![
            text(code::SESSION_ID, self.session),
            text(code::ORIGIN_HOST, self.host),
            text(code::ORIGIN_REALM, "gateways.example"),
            text(code::DESTINATION_REALM, "tollgate.example"),
            number(code::AUTH_APPLICATION_ID, 4),
            text(code::SERVICE_CONTEXT_ID, self.context),
            number(code::CC_REQUEST_TYPE, kind),
            number(code::CC_REQUEST_NUMBER, n),
            subscription(1, IMSI),
        ];
        let request = Request::new(272, 4, avps);
        if kind == TERMINATION { request.with(number(code::TERMINATION_CAUSE, 1)) } else { request }
    }
}

fn rating_group(group: u32, members: &[Vec<u8>]) -> Vec<u8> {
    mscc(&[&[number(code::RATING_GROUP, group)], members].concat())
}

fn reason(reason: u32) -> Vec<u8> {
    tgpp(code::REPORTING_REASON, &reason.to_be_bytes())
}

/// Used-Service-Unit of input and output octets, without a total.
fn in_and_out(input: u64, output: u64) -> Vec<u8> {
    group(code::USED_SERVICE_UNIT, &[long(code::CC_INPUT_OCTETS, input), long(code::CC_OUTPUT_OCTETS, output)])
}

// tests: I-1, I-2, I-5, C-43, C-83, C-85
#[tokio::test]
async fn generic() {
    let node = node("pgw.example", "", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 450_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let pgw = Gateway { host: "pgw.example", context: "32251@3gpp.org", session: "pgw.example;1;1" };
    play(
        &mut client,
        vec![
            (
                pgw.ccr(INITIAL, 0).with(rating_group(1, &[any()])),
                &[
                    "2001",
                    "failover 0",
                    "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}",
                    "low 1",
                    "CCFH 0",
                ],
            ),
            (
                pgw.ccr(UPDATE, 1).with(rating_group(1, &[any(), used(10 * MB)])).with(rating_group(99, &[any()])),
                &[
                    "2001",
                    "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}",
                    "MSCC{GSU{octets 12000000}, RG 99, valid 60, result 2001, threshold 2400000}",
                    "low 1",
                ],
            ),
            (pgw.ccr(UPDATE, 2).with(rating_group(99, &[used(12 * MB + 500_000), reason(3)])), &["2001", "low 1"]),
            (
                pgw.ccr(UPDATE, 3).with(rating_group(1, &[used(10 * MB), any()])),
                &["2001", "MSCC{RG 1, result 4012}", "low 1"],
            ),
            (pgw.ccr(TERMINATION, 4), &["2001", "cost{value{digits 46, exponent -2}, currency 156}", "low 1"]),
        ],
    )
    .await;
}

// tests: I-1, I-2, I-3, I-4, I-8, I-9, I-10, I-15
#[tokio::test]
async fn open5gs() {
    // What it has is for one service only: the context's default. Here its user would be sent elsewhere at the end.
    let catalog = DEMO_CATALOG.replacen("default_service = \"internet\"", "default_service = \"mobile-tv\"", 1);
    let node = node(SMF, "profile = \"open5gs\"", &catalog).await;
    let mut client = Client::open(node.diameter(), SMF).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, &imsi(ACCOUNT))], 600_000);
    let session = format!("{SMF};1700000000;1;app_gy");
    let ccr = |kind, n, report| smf_ccr(ACCOUNT, &session, kind, n, report);
    play(
        &mut client,
        vec![
            (
                ccr(INITIAL, 0, None),
                &[
                    "2001",
                    "failover 0",
                    "MSCC{GSU{octets 20000000}, valid 3600, result 2001, threshold 4000000}",
                    "CCFH 0",
                ],
            ),
            (
                ccr(UPDATE, 1, Some((30, 15 * MB, 5 * MB, Reason::Used(3)))),
                &["2001", "MSCC{GSU{octets 10000000}, valid 60, result 2001, FUI{action 0}}"],
            ),
            (ccr(UPDATE, 2, Some((30, 10 * MB, 0, Reason::Service(4)))), &["2001", "MSCC{result 4012}"]),
            (
                ccr(TERMINATION, 3, Some((1, 0, 0, Reason::Service(2)))),
                &["2001", "cost{value{digits 6, exponent -1}, currency 156}"],
            ),
            (
                smf_ccr(ACCOUNT, &format!("{SMF};1700000000;2;app_gy"), INITIAL, 0, None),
                &["2001", "failover 0", "MSCC{result 4012}", "CCFH 0"],
            ),
        ],
    )
    .await;
    // Were there several MSCCs, the last would win: the refusal stands there, wherever it was asked for.
    let (free, paid) = (rating_group(3, &[any()]), rating_group(2, &[any()]));
    for (at, (first, second)) in [(&free, &paid), (&paid, &free)].into_iter().enumerate() {
        let session = format!("{SMF};1700000000;3;{at}");
        let request = smf_ccr(ACCOUNT, &session, INITIAL, 0, None).without(code::MULTIPLE_SERVICES_CREDIT_CONTROL);
        let answer = client.ask_new(request.with(first.clone()).with(second.clone())).await;
        let results: Vec<_> = answer.services().iter().map(|s| s.number(&[code::RESULT_CODE]).unwrap()).collect();
        assert_eq!(results, [2001, 4012]);
    }
}

// tests: I-2, B-132
#[tokio::test]
async fn magma() {
    let node = node("feg.example", "profile = \"magma\"", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 200_000);
    let mut client = Client::open(node.diameter(), "feg.example").await;
    let feg = Gateway { host: "feg.example", context: "32251@3gpp.org", session: "feg.example;1;1" };
    // Its first request names its own federation gateway; it leaves Service-Identifier out.
    let first = feg.ccr(INITIAL, 0).with(text(code::DESTINATION_HOST, "magma-fedgw.example"));
    play(&mut client, vec![
        (first.with(rating_group(99, &[any()])), &["2001", "failover 0", "MSCC{GSU{octets 10000000}, RG 99, valid 3600, result 2001, FUI{action 1, to{kind 2, address http://topup.tollgate.example/}}}", "CCFH 0"]),
        (feg.ccr(UPDATE, 1).with(rating_group(99, &[any(), used(10 * MB), reason(3)])), &["2001", "MSCC{GSU{octets 0}, RG 99, valid 300, result 2001, FUI{action 1, to{kind 2, address http://topup.tollgate.example/}}}"]),
        (feg.ccr(UPDATE, 2).with(rating_group(1, &[any()])), &["2001", "MSCC{RG 1, result 4012}"]),
        (feg.ccr(TERMINATION, 3), &["2001", "cost{value{digits 2, exponent -1}, currency 156}"]),
    ])
    .await;
}

// tests: I-3, I-4, I-5, C-31, G-112
#[tokio::test]
async fn cisco() {
    let node = node("asr.example", "profile = \"cisco\"", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 300_000);
    let mut client = Client::open(node.diameter(), "asr.example").await;
    let asr = Gateway { host: "asr.example", context: "32251@3gpp.org", session: "asr.example;1;1" };
    // It reports input and output without a total, asks for thresholds by having room for them, and knows both keys.
    play(
        &mut client,
        vec![
            (
                asr.ccr(INITIAL, 0).with(rating_group(1, &[any()])).with(rating_group(3, &[any()])),
                &[
                    "2001",
                    "failover 0",
                    "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}",
                    "MSCC{GSU{octets 100000000}, RG 3, valid 7200, result 2001, threshold 20000000}",
                    "low 1",
                    "CCFH 0",
                ],
            ),
            (
                asr.ccr(UPDATE, 1).with(rating_group(1, &[any(), in_and_out(3 * MB, 5 * MB), reason(0)])),
                &["2001", "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}", "low 1"],
            ),
            (
                asr.ccr(UPDATE, 2).with(rating_group(2, &[number(code::SERVICE_IDENTIFIER, 7), any()])),
                &[
                    "2001",
                    "MSCC{GSU{octets 24000000}, SI 7, RG 2, valid 60, result 2001, threshold 4800000, holding 600}",
                    "low 1",
                ],
            ),
            (
                asr.ccr(UPDATE, 3).with(rating_group(1, &[any(), in_and_out(7 * MB, 20 * MB), reason(3)])),
                &["2001", "MSCC{RG 1, result 4012}", "low 1"],
            ),
            (
                asr.ccr(TERMINATION, 4).with(rating_group(3, &[in_and_out(1, 1), reason(2)])),
                &["2001", "cost{value{digits 35, exponent -2}, currency 156}", "low 1"],
            ),
        ],
    )
    .await;
}

// tests: I-1, I-11
#[tokio::test]
async fn nokia() {
    let node = node("sr7750.example", "profile = \"nokia\"", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 300_000);
    let mut client = Client::open(node.diameter(), "sr7750.example").await;
    let sr = Gateway { host: "sr7750.example", context: "8.32251@3gpp.org", session: "sr7750.example;1;1" };
    play(
        &mut client,
        vec![
            // Nothing is asked for until there is traffic.
            (sr.ccr(INITIAL, 0), &["2001", "failover 0", "low 1", "CCFH 0"]),
            (
                sr.ccr(UPDATE, 1).with(rating_group(2, &[any()])),
                &[
                    "2001",
                    "MSCC{GSU{octets 50000000}, RG 2, valid 3600, result 2001, threshold 10000000, holding 600}",
                    "low 1",
                ],
            ),
            (sr.ccr(UPDATE, 2).with(rating_group(2, &[used(MB), reason(1)])), &["2001", "low 1"]),
            (
                sr.ccr(UPDATE, 3).with(rating_group(2, &[any()])),
                &[
                    "2001",
                    "MSCC{GSU{octets 50000000}, RG 2, valid 3600, result 2001, threshold 10000000, holding 600}",
                    "low 1",
                ],
            ),
            (
                sr.ccr(TERMINATION, 4).with(rating_group(2, &[used(MB), reason(2)])),
                &["2001", "cost{value{digits 1, exponent -2}, currency 156}", "low 1"],
            ),
        ],
    )
    .await;
    // Without these three it would not know the answer for its own.
    for answer in client.received.iter().filter(|answer| answer.command() == 272) {
        assert!([258, 416, 415].iter().all(|code| answer.has(*code)));
    }
}

// tests: I-8, I-9, I-11, C-51
#[tokio::test]
async fn huawei() {
    let node = node("ugw.example", "profile = \"huawei\"", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 1_000_000);
    let mut client = Client::open(node.diameter(), "ugw.example").await;
    let context = "460.00.8.32251@3gpp.org";
    let ugw = Gateway { host: "ugw.example", context, session: "ugw.example;1;1" };
    // Total, input and output together: the total counts, once; and it asks for a constant.
    let constant = || group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, 4 * MB)]);
    let units = [(code::CC_TOTAL_OCTETS, 9 * MB), (code::CC_INPUT_OCTETS, 4 * MB), (code::CC_OUTPUT_OCTETS, 5 * MB)];
    let report = group(code::USED_SERVICE_UNIT, &units.map(|(code, octets)| long(code, octets)));
    play(
        &mut client,
        vec![
            (
                ugw.ccr(INITIAL, 0).with(rating_group(1, &[constant()])),
                &[
                    "2001",
                    "failover 0",
                    "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}",
                    "low 1",
                    "CCFH 0",
                ],
            ),
            (
                ugw.ccr(UPDATE, 1).with(rating_group(1, &[constant(), report, reason(3)])),
                &["2001", "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}", "low 1"],
            ),
            (ugw.ccr(TERMINATION, 2), &["2001", "cost{value{digits 9, exponent -2}, currency 156}", "low 1"]),
        ],
    )
    .await;
    assert_eq!(node.balance(ACCOUNT), (910_000, 0));
}

// tests: I-4, C-39, C-112, G-20, G-106
#[tokio::test]
async fn a_client_of_ims_that_knows_no_more_than_the_end_of_a_call() {
    let entry = "redirect = false\nservices_read = \"first\"\ntariff_time_change = false\nthresholds = false";
    // The call would send its caller elsewhere at the end.
    let redirected = "slice = \"1 min\"\nredirect_to = \"sip:topup@tollgate.example\"";
    let catalog = DEMO_CATALOG.replacen("slice = \"1 min\"", redirected, 1);
    let node = node("as.example", entry, &catalog).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 300_000);
    let mut client = Client::open(node.diameter(), "as.example").await;
    let ims = Gateway { host: "as.example", context: "32260@3gpp.org", session: "as.example;1;1" };
    let seconds = |code, amount: u32| group(code, &[number(code::CC_TIME, amount)]);
    let (wants, has_used) = (|| seconds(code::REQUESTED_SERVICE_UNIT, 60), || seconds(code::USED_SERVICE_UNIT, 60));
    // No rating group is set: units stand at command level.
    play(
        &mut client,
        vec![
            (
                ims.ccr(INITIAL, 0).with(wants()),
                &["2001", "failover 0", "GSU{seconds 60}", "low 1", "CCFH 0", "valid 600"],
            ),
            (ims.ccr(UPDATE, 1).with(wants()).with(has_used()), &["2001", "GSU{seconds 60}", "low 1", "valid 600"]),
            (ims.ccr(UPDATE, 2).with(wants()).with(has_used()), &["4012"]),
        ],
    )
    .await;
    assert_eq!(node.balance(ACCOUNT), (0, 0));
}

// tests: C-34, G-40
#[tokio::test]
async fn a_client_that_never_asks_is_granted_more_where_it_goes_on() {
    let node = node("old.example", "grant_without_request = true", DEMO_CATALOG).await;
    node.provision(ACCOUNT, &[(IdentityKind::Imsi, IMSI)], 10_000_000);
    let mut client = Client::open(node.diameter(), "old.example").await;
    let old = Gateway { host: "old.example", context: "32251@3gpp.org", session: "old.example;1;1" };
    play(
        &mut client,
        vec![
            (
                old.ccr(INITIAL, 0).with(rating_group(1, &[any()])),
                &[
                    "2001",
                    "failover 0",
                    "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}",
                    "CCFH 0",
                ],
            ),
            (
                old.ccr(UPDATE, 1).with(rating_group(1, &[used(MB), reason(3)])),
                &["2001", "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}"],
            ),
            (
                old.ccr(UPDATE, 2).with(rating_group(1, &[used(MB)])),
                &["2001", "MSCC{GSU{octets 10000000}, RG 1, valid 3600, result 2001, threshold 2000000}"],
            ),
            // What it hands back or has ended it does not want again.
            (old.ccr(UPDATE, 3).with(rating_group(1, &[used(MB), reason(1)])), &["2001"]),
            (old.ccr(UPDATE, 4).with(rating_group(1, &[used(MB), reason(2)])), &["2001"]),
            (
                old.ccr(TERMINATION, 5).with(rating_group(1, &[used(MB)])),
                &["2001", "cost{value{digits 5, exponent -2}, currency 156}"],
            ),
        ],
    )
    .await;
}

// tests: B-24, B-25, B-73
#[tokio::test]
async fn strictness_is_the_clients_also_behind_a_relay() {
    let peers = "[[peers]]\norigin_host = \"strict.example\"\nstrict_mandatory_avps = true\n\
                 [[peers]]\norigin_host = \"lax.example\"\nstrict_mandatory_avps = false\n\
                 [[peers]]\norigin_host = \"relay.example\"\n";
    for default in [false, true] {
        let node = TestNode::start(DEMO_CATALOG, |config: &mut Config| {
            let parsed: tollgate::config::Diameter = toml::from_str(peers).unwrap();
            config.diameter.peers = parsed.peers;
            config.diameter.accept_unknown_peers = false;
            config.diameter.strict_mandatory_avps = default;
        })
        .await;
        // An operator's own, deep inside of what is known.
        let own = avp_of(4_242, 0x40, Some(99_999), b"own");
        let inside = || tgpp(code::SERVICE_INFORMATION, &tgpp(code::PS_INFORMATION, &own));
        // Over its own connection, and over one of a relay that forwards for all.
        for (way, host, strict) in [
            ("strict.example", "strict.example", true),
            ("lax.example", "lax.example", false),
            ("relay.example", "strict.example", true),
            ("relay.example", "lax.example", false),
            ("relay.example", "relay.example", default),
            // One that is not configured is served as the relay is.
            ("relay.example", "behind.example", default),
        ] {
            let mut client = Client::open(node.diameter(), way).await;
            let session = format!("{host};{way}");
            let request = Request::new(
                272,
                4,
                vec![
                    text(code::SESSION_ID, &session),
                    text(code::ORIGIN_HOST, host),
                    text(code::ORIGIN_REALM, "gateways.example"),
                    text(code::DESTINATION_REALM, "tollgate.example"),
                    number(code::AUTH_APPLICATION_ID, 4),
                    text(code::SERVICE_CONTEXT_ID, "32251@3gpp.org"),
                    number(code::CC_REQUEST_TYPE, INITIAL),
                    number(code::CC_REQUEST_NUMBER, 0),
                    subscription(1, &imsi(1)),
                    rating_group(1, &[any()]),
                    inside(),
                ],
            );
            let answer = client.ask_new(request).await;
            // The place of the AVP is shown with its groups, each with its vendor.
            let expected = if strict { (5001, Some(inside())) } else { (2001, None) };
            assert_eq!((answer.result(), answer.failed().map(<[u8]>::to_vec)), expected, "{host} by {way}");
            client.end().await;
            client.is_closed().await;
        }
    }
}

// tests: B-130, B-131, B-132, B-133, B-134
#[tokio::test]
async fn a_destination_is_ours_a_siblings_or_nobodys() {
    let peers =
        "[[peers]]\norigin_host = \"pgw.example\"\n[[peers]]\norigin_host = \"exact.example\"\nany_realm = false\n";
    let node = TestNode::start(DEMO_CATALOG, |config: &mut Config| {
        let parsed: tollgate::config::Diameter = toml::from_str(peers).unwrap();
        config.diameter.peers = parsed.peers;
        config.diameter.sibling_hosts = vec!["ocs2.tollgate.example".into()];
        config.diameter.realms = vec!["old.example".into()];
    })
    .await;
    let (ours, other) = ("tollgate.example", "elsewhere.example");
    let mut n = 0;
    for (client, host, realm, route, result) in [
        // Any server of the realm, or of one of its others; without regard to case.
        ("pgw.example", None, ours, None, 2001),
        ("pgw.example", None, "OLD.example", None, 2001),
        // This one, or one that has the same sessions.
        ("pgw.example", Some("OCS1.tollgate.example"), ours, None, 2001),
        ("pgw.example", Some("ocs2.tollgate.example"), ours, None, 2001),
        ("pgw.example", Some("ocs3.tollgate.example"), ours, None, 3002),
        // Another realm is served for who is connected directly, unless it is said otherwise, and never for a relay.
        ("pgw.example", None, other, None, 2001),
        ("exact.example", None, other, None, 3003),
        ("exact.example", None, ours, None, 2001),
        ("pgw.example", None, other, Some("dra.example"), 3003),
        ("pgw.example", None, ours, Some("dra.example"), 2001),
        ("pgw.example", Some("ocs3.tollgate.example"), other, None, 3002),
        // It has come through here before; it has come through a sibling, which is no loop.
        ("pgw.example", None, ours, Some("ocs1.TOLLGATE.example"), 3005),
        ("pgw.example", None, ours, Some("ocs2.tollgate.example"), 2001),
    ] {
        n += 1;
        let mut connection = Client::open(node.diameter(), client).await;
        let mut request = Request::new(
            272,
            4,
            vec![
                text(code::SESSION_ID, &format!("{client};{n}")),
                text(code::ORIGIN_HOST, client),
                text(code::ORIGIN_REALM, "gateways.example"),
                text(code::DESTINATION_REALM, realm),
                number(code::AUTH_APPLICATION_ID, 4),
                text(code::SERVICE_CONTEXT_ID, "32251@3gpp.org"),
                number(code::CC_REQUEST_TYPE, INITIAL),
                number(code::CC_REQUEST_NUMBER, 0),
                subscription(1, &imsi(1)),
                rating_group(1, &[any()]),
            ],
        );
        if let Some(host) = host {
            request = request.with(text(code::DESTINATION_HOST, host));
        }
        if let Some(host) = route {
            request = request.with(text(code::ROUTE_RECORD, host));
        }
        let answer = connection.ask_new(request).await;
        let case = format!("{client} to {host:?} in {realm} by {route:?}");
        assert_eq!((answer.result(), answer.is_error()), (result, result != 2001), "{case}");
        judged_by_tshark(&connection.received);
        connection.end().await;
        connection.is_closed().await;
    }
    // A host without a realm cannot be routed.
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let pgw = Gateway { host: "pgw.example", context: "32251@3gpp.org", session: "pgw.example;0" };
    let request = pgw.ccr(INITIAL, 0).without(code::DESTINATION_REALM);
    let answer = client.ask_new(request.with(text(code::DESTINATION_HOST, "ocs1.tollgate.example"))).await;
    assert_eq!((answer.result(), answer.is_error()), (3002, true));
}
