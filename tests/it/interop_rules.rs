//! The rules that deployed clients depend on, one by one, over a socket and with requests built octet by octet.

use std::time::Instant;

use tollgate::{
    charging::AccountState,
    config::{Config, Diameter},
    ids::IdentityKind,
};

use crate::{
    client::{Client, PATIENCE},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Message, Part, Request, avp, code, group, long, number, text, tgpp},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;
const EVENT: u32 = 4;

pub(crate) const MB: u64 = 1_000_000;
/// Of the seeded accounts: 100.00.
pub(crate) const BALANCE: i64 = 100_000_000;

/// The first AVPs of every answer, in the order that clients need.
pub(crate) const HEAD: [u32; 7] = [
    code::SESSION_ID,
    code::RESULT_CODE,
    code::ORIGIN_HOST,
    code::ORIGIN_REALM,
    code::AUTH_APPLICATION_ID,
    code::CC_REQUEST_TYPE,
    code::CC_REQUEST_NUMBER,
];

/// The MSISDN of a seeded account.
pub(crate) fn msisdn(account: u64) -> String {
    (8_613_900_000_000 + account - 1).to_string()
}

pub(crate) fn imsi(account: u64) -> String {
    (460_000_000_000_000 + account - 1).to_string()
}

pub(crate) fn subscription(kind: u32, data: &str) -> Vec<u8> {
    group(code::SUBSCRIPTION_ID, &[number(code::SUBSCRIPTION_ID_TYPE, kind), text(code::SUBSCRIPTION_ID_DATA, data)])
}

/// A CCR of data with all that the grammar demands; subscriber and services are yet to be added.
pub(crate) fn ccr(session: &str, kind: u32, request_number: u32) -> Request {
    let avps = vec![
        text(code::SESSION_ID, session),
        text(code::ORIGIN_HOST, "pgw.example"),
        text(code::ORIGIN_REALM, "gateways.example"),
        text(code::DESTINATION_REALM, "tollgate.example"),
        number(code::AUTH_APPLICATION_ID, 4),
        text(code::SERVICE_CONTEXT_ID, "32251@3gpp.org"),
        number(code::CC_REQUEST_TYPE, kind),
        number(code::CC_REQUEST_NUMBER, request_number),
    ];
    Request::new(272, 4, avps)
}

/// The same with the subscriber of a seeded account.
pub(crate) fn ccr_of(account: u64, session: &str, kind: u32, request_number: u32) -> Request {
    ccr(session, kind, request_number).with(subscription(0, &msisdn(account)))
}

/// Requested-Service-Unit that leaves everything to the server.
pub(crate) fn any() -> Vec<u8> {
    group(code::REQUESTED_SERVICE_UNIT, &[])
}

pub(crate) fn used(octets: u64) -> Vec<u8> {
    group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, octets)])
}

pub(crate) fn mscc(members: &[Vec<u8>]) -> Vec<u8> {
    group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, members)
}

/// An MSCC that asks for quota of a rating group.
pub(crate) fn wanted(rating_group: u32) -> Vec<u8> {
    mscc(&[number(code::RATING_GROUP, rating_group), any()])
}

/// One that reports octets and asks for more.
pub(crate) fn used_and_wanted(rating_group: u32, octets: u64) -> Vec<u8> {
    mscc(&[number(code::RATING_GROUP, rating_group), any(), used(octets)])
}

/// One that only reports.
pub(crate) fn used_only(rating_group: u32, octets: u64) -> Vec<u8> {
    mscc(&[number(code::RATING_GROUP, rating_group), used(octets)])
}

pub(crate) fn codes_of(answer: &Message) -> Vec<(Option<u32>, Option<u32>)> {
    let services = answer.services();
    services
        .iter()
        .map(|service| (service.number(&[code::RATING_GROUP]), service.number(&[code::RESULT_CODE])))
        .collect()
}

fn redirects(service: &Part<'_>) -> bool {
    service.number(&[code::FINAL_UNIT_INDICATION, code::FINAL_UNIT_ACTION]) == Some(1)
}

/// What no answer may do to a client, whatever it is about.
pub(crate) fn expect_harmless(answer: &Message) {
    let parts: Vec<_> = answer.services().into_iter().chain([answer.part()]).collect();
    for part in &parts {
        let grant = part.octets();
        if let Some(threshold) = part.number(&[code::VOLUME_QUOTA_THRESHOLD]) {
            assert!(threshold > 0 && u64::from(threshold) < grant.unwrap(), "threshold {threshold} of {grant:?}");
        }
        assert_ne!(part.number(&[code::VALIDITY_TIME]), Some(0));
    }
    for service in answer.services() {
        let result = service.number(&[code::RESULT_CODE]).unwrap();
        let granted = service.find(&[code::GRANTED_SERVICE_UNIT]);
        assert_eq!(granted.is_some(), result == 2001, "2001 has a grant, everything else has none");
        assert_ne!(granted, Some(&[][..]), "an empty grant is read as no limit");
        let zero =
            service.octets() == Some(0) || service.number(&[code::GRANTED_SERVICE_UNIT, code::CC_TIME]) == Some(0);
        assert!(
            !zero || service.find(&[code::FINAL_UNIT_INDICATION]).is_some(),
            "nothing granted, and no final action"
        );
        assert!(!matches!(result, 4011 | 5030), "{result} stands at command level only");
    }
}

/// Asks, and checks what holds for every answer.
pub(crate) async fn ask(client: &mut Client, request: Request) -> Message {
    let answer = client.ask_new(request).await;
    expect_harmless(&answer);
    answer
}

// tests: I-1 B-82 B-83 B-85 C-2 C-11
#[tokio::test]
async fn answers_begin_as_clients_parse_them() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let session = "pgw.example;1;1";
    let unpriced = ccr_of(1, "pgw.example;1;2", INITIAL, 0)
        .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "unknown@example"))
        .with(wanted(1));
    for (request, result) in [
        // Any number will do to begin with, and gaps do no harm.
        (ccr_of(1, session, INITIAL, 760).with(wanted(1)), 2001),
        (ccr_of(1, session, UPDATE, u32::MAX).with(used_and_wanted(1, 1)), 2001),
        (ccr_of(1, session, TERMINATION, 5), 2001),
        (ccr_of(1, session, UPDATE, 6).with(wanted(1)), 5002),
        (unpriced, 5031),
        (ccr("pgw.example;1;3", INITIAL, 0).with(subscription(0, "49")).with(wanted(1)), 5030),
        (ccr_of(1, "pgw.example;1;4", EVENT, 0).with(number(code::REQUESTED_ACTION, 9)), 5004),
    ] {
        let echoed = request.clone();
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error()), (result, false));
        assert_eq!(answer.codes()[..7], HEAD);
        for same in [code::SESSION_ID, code::CC_REQUEST_TYPE, code::CC_REQUEST_NUMBER] {
            assert_eq!(answer.part().find(&[same]), Message(echoed.octets()).part().find(&[same]));
        }
    }
    // An answer with the E bit has them too, in the order of its own grammar.
    let elsewhere = ccr_of(1, session, INITIAL, 9).with(text(code::DESTINATION_HOST, "other.example"));
    let answer = ask(&mut client, elsewhere).await;
    assert_eq!((answer.result(), answer.is_error(), answer.codes()[0]), (3002, true, code::SESSION_ID));
    assert!(HEAD.iter().all(|code| answer.has(*code)));
    judged_by_tshark(&client.received);
}

// tests: I-2 I-5 C-43 C-83 C-84 C-85 C-87 C-113
#[tokio::test]
async fn nothing_can_be_read_as_unlimited() {
    let node = TestNode::demo().await;
    // 0.05: five MB of the internet, and then nothing.
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 50_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;2;1", kind, n).with(subscription(1, "1001"));

    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(1)).with(wanted(3))).await;
    assert_eq!(codes_of(&answer), [(Some(1), Some(2001)), (Some(3), Some(2001))]);
    assert_eq!(answer.services()[0].octets(), Some(5 * MB));
    assert_eq!(answer.services()[0].number(&[code::FINAL_UNIT_INDICATION, code::FINAL_UNIT_ACTION]), Some(0));
    // What is free of charge is granted for real.
    assert_eq!(answer.services()[1].octets(), Some(100 * MB));

    // The last units are used: refused without a grant, while the command and the free group go on.
    let answer =
        ask(&mut client, request(UPDATE, 1).with(used_and_wanted(1, 5 * MB)).with(used_and_wanted(3, MB))).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(1), Some(4012)), (Some(3), Some(2001))]));
    // A report that asks for nothing gets no MSCC that could be taken for a free pass.
    let answer = ask(&mut client, request(UPDATE, 2).with(used_only(3, MB))).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    // Where the user is to be sent somewhere, the grant of zero says that it is no grant: with a request and without.
    let answer = ask(&mut client, request(UPDATE, 3).with(wanted(99))).await;
    let service = answer.services()[0];
    assert_eq!((service.octets(), redirects(&service)), (Some(0), true));
    let answer = ask(&mut client, request(TERMINATION, 4)).await;
    assert_eq!((answer.result(), answer.services().len(), node.balance(20)), (2001, 0, (0, 0)));
    judged_by_tshark(&client.received);
}

// tests: I-2 C-85 C-86
#[tokio::test]
async fn a_redirected_user_stays_redirected_until_there_is_money() {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 40_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;2;2", kind, n).with(subscription(1, "1001"));
    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(99))).await;
    assert_eq!((answer.services()[0].octets(), redirects(&answer.services()[0])), (Some(2 * MB), true));
    // The report after the last units asks for nothing, and is still told where to send the user and for how long.
    let answer = ask(&mut client, request(UPDATE, 1).with(used_only(99, 2 * MB))).await;
    let service = answer.services()[0];
    assert_eq!((service.octets(), redirects(&service)), (Some(0), true));
    assert_eq!(service.number(&[code::VALIDITY_TIME]), Some(300));
    // That time is over, and there is no money; then there is.
    let answer = ask(&mut client, request(UPDATE, 2).with(wanted(99))).await;
    assert_eq!((answer.services()[0].octets(), redirects(&answer.services()[0])), (Some(0), true));
    node.top_up(20, 1_000_000, "more");
    let answer = ask(&mut client, request(UPDATE, 3).with(wanted(99))).await;
    assert_eq!((answer.services()[0].octets(), redirects(&answer.services()[0])), (Some(20 * MB), false));
}

// tests: I-3 I-8 C-33 C-35 G-111
#[tokio::test]
async fn data_is_granted_as_a_total_of_the_servers_choice() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let asked = [
        vec![],
        vec![long(code::CC_TOTAL_OCTETS, MB)],
        vec![long(code::CC_TOTAL_OCTETS, 0)],
        vec![long(code::CC_INPUT_OCTETS, 200_000), long(code::CC_OUTPUT_OCTETS, 200_000)],
        vec![long(code::CC_INPUT_OCTETS, 5), long(code::CC_OUTPUT_OCTETS, 5), long(code::CC_TOTAL_OCTETS, u64::MAX)],
    ];
    for (at, units) in (0..).zip(asked) {
        let units = group(code::REQUESTED_SERVICE_UNIT, &units);
        let service = mscc(&[units, number(code::RATING_GROUP, 1)]);
        let answer = ask(&mut client, ccr_of(1, &format!("pgw.example;3;{at}"), INITIAL, 0).with(service)).await;
        let granted = Part(answer.services()[0].find(&[code::GRANTED_SERVICE_UNIT]).unwrap());
        assert_eq!(granted.long(&[code::CC_TOTAL_OCTETS]), Some(10 * MB));
        assert_eq!(granted.0.len(), 16, "the total and nothing else");
    }
}

// tests: I-4 C-44 C-110 C-112 C-114 C-120 C-121 G-118
#[tokio::test]
async fn each_failure_stands_at_its_level() {
    let strict = DEMO_CATALOG
        .replace("fallback_service = \"other-data\"", "")
        .replace("name = \"other-data\"", "name = \"other-data\"\nrating_group = 5");
    let node = TestNode::start(&strict, |_| {}).await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 0);
    node.provision(21, &[(IdentityKind::Imsi, "1002")], BALANCE);
    node.set_state(21, AccountState::Suspended);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |session: &str, id: &str| ccr(session, INITIAL, 0).with(subscription(1, id));

    // No money, no price, and free of charge, in one request: the session opens, and each group has its own result.
    let answer =
        ask(&mut client, request("pgw.example;4;1", "1001").with(wanted(1)).with(wanted(77)).with(wanted(3))).await;
    assert_eq!(answer.result(), 2001);
    assert_eq!(codes_of(&answer), [(Some(1), Some(4012)), (Some(77), Some(5031)), (Some(3), Some(2001))]);
    assert_eq!(answer.failed().unwrap(), mscc(&[number(code::RATING_GROUP, 77)]));

    // All refused: the session is open all the same, since the client will end it with a CCR-T (spec C-13).
    let answer = ask(&mut client, request("pgw.example;4;2", "1001").with(wanted(1))).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(1), Some(4012))]));
    let answer = ask(&mut client, ccr("pgw.example;4;2", TERMINATION, 1)).await;
    assert_eq!(answer.result(), 2001);

    // What concerns the subscriber as a whole stands at command level, and so does everything where there is no MSCC.
    for (request, result) in [
        (request("pgw.example;4;3", "9999").with(wanted(1)), 5030),
        (request("pgw.example;4;4", "1002").with(wanted(1)), 4010),
        (request("pgw.example;4;5", "1001").with(any()), 4012),
    ] {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error(), answer.services().len()), (result, false, 0));
        assert_eq!(answer.codes()[..7], HEAD);
    }
    judged_by_tshark(&client.received);
}

// tests: I-4 B-72 B-73 C-5 C-35 C-55 C-121
#[tokio::test]
async fn what_cannot_be_rated_without_an_mscc_is_shown() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let money = |currency| {
        let value = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, 2)]);
        group(code::REQUESTED_SERVICE_UNIT, &[group(code::CC_MONEY, &[value, number(code::CURRENCY_CODE, currency)])])
    };
    let seconds = group(code::REQUESTED_SERVICE_UNIT, &[number(code::CC_TIME, 60)]);
    for (kind, tail) in [(INITIAL, vec![]), (EVENT, vec![number(code::REQUESTED_ACTION, 0)])] {
        for (at, (units, result)) in (0..).zip([
            // Rupees of an account in yuan, a currency that does not exist, and a unit that data is not counted in.
            (money(356), 5031),
            (money(0), 5031),
            (seconds.clone(), 5031),
            (money(156), 2001),
        ]) {
            let session = format!("pgw.example;4;{kind};{at}");
            let mut request = ccr_of(1, &session, kind, 0).with(units.clone());
            request.avps.extend(tail.clone());
            let answer = ask(&mut client, request).await;
            let shown = (result == 5031).then_some(&units[..]);
            assert_eq!((answer.result(), answer.failed()), (result, shown), "{kind} {at}");
        }
    }
    // The context comes first: without it no units mean anything.
    let context = text(code::SERVICE_CONTEXT_ID, "unknown@example");
    let request = ccr_of(1, "pgw.example;4;x", INITIAL, 0).replacing(code::SERVICE_CONTEXT_ID, context.clone());
    let answer = ask(&mut client, request.with(money(356))).await;
    assert_eq!((answer.result(), answer.failed()), (5031, Some(&context[..])));
}

// tests: I-5 G-60 G-62 C-74
#[tokio::test]
async fn thresholds_are_below_grants_of_every_size() {
    let fine =
        DEMO_CATALOG.replace("per = \"1 MB\"\nslice = \"10 MB\"\nvalidity = \"1 h\"", "per = \"1 B\"\nslice = \"4 B\"");
    assert_ne!(fine, DEMO_CATALOG);
    let node = TestNode::start(&fine, |_| {}).await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    // An octet costs 0.01: grants of 1 to 4 octets, whole or cut short by what the account has.
    for octets in 1..=5_u64 {
        let id = format!("20{octets}");
        node.provision(20 + octets, &[(IdentityKind::Imsi, &id)], octets as i64 * 10_000);
        let request = ccr(&format!("pgw.example;5;{octets}"), INITIAL, 0).with(subscription(1, &id)).with(wanted(1));
        let answer = ask(&mut client, request).await;
        let service = answer.services()[0];
        assert_eq!(service.octets(), Some(octets.min(4)));
        assert!(service.number(&[code::VALIDITY_TIME]).unwrap() > 0);
        let is_final = service.find(&[code::FINAL_UNIT_INDICATION]).is_some();
        assert_eq!(is_final, octets < 4);
        assert!(!is_final || service.find(&[code::VOLUME_QUOTA_THRESHOLD]).is_none());
    }
}

// tests: I-6 B-80 B-173
#[tokio::test]
async fn nothing_stays_without_an_answer_when_the_server_stops() {
    let node = TestNode::demo().await;
    let TestNode { node, directory } = node;
    let mut client = Client::open(node.diameter[0], "pgw.example").await;
    let request = |at: u32| ccr_of(1, &format!("pgw.example;6;{at}"), INITIAL, 0).with(wanted(1)).numbered(at);
    // Some are on their way when it stops, some come between its DPR and our DPA.
    let before: Vec<u8> = (1..=50).flat_map(|at| request(at).octets()).collect();
    client.send(&before).await;
    let first = client.receive().await;
    assert_eq!(first.hop_by_hop(), 1);
    let stopping = tokio::spawn(node.stop());
    let (mut answered, mut disconnect) = (vec![1], None);
    while disconnect.is_none() {
        let message = client.receive().await;
        if message.is_request() { disconnect = Some(message) } else { answered.push(message.hop_by_hop()) }
    }
    let disconnect = disconnect.unwrap();
    assert_eq!((disconnect.command(), disconnect.number(&[code::DISCONNECT_CAUSE])), (282, Some(0)));
    let after: Vec<u8> = (51..=60).flat_map(|at| request(at).octets()).collect();
    client.send(&after).await;
    while answered.len() < 60 {
        let answer = client.receive().await;
        assert!(matches!(answer.result(), 2001 | 3004), "{}", answer.result());
        answered.push(answer.hop_by_hop());
    }
    answered.sort_unstable();
    assert_eq!(answered, Vec::from_iter(1..=60));
    // DPA: the server closes, and ends well.
    let mut dpa = Request::new(282, 0, vec![number(code::RESULT_CODE, 2001), text(code::ORIGIN_HOST, "pgw.example")]);
    dpa = dpa.with(text(code::ORIGIN_REALM, "gateways.example"));
    (dpa.flags, dpa.hop_by_hop, dpa.end_to_end) = (0, disconnect.hop_by_hop(), disconnect.end_to_end());
    client.send(&dpa.octets()).await;
    client.is_closed().await;
    stopping.await.unwrap().unwrap();
    drop(directory);
}

// tests: I-7 C-16 C-17 C-44
#[tokio::test]
async fn services_of_one_request_are_one_decision() {
    let node = TestNode::demo().await;
    // 0.10 pays for 10 MB of the internet, or for 20 MB of video.
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 100_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;7;1", kind, n).with(subscription(1, "1001"));
    // The first takes everything; the second gets nothing, and says so by itself.
    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(1)).with(wanted(2))).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(1), Some(2001)), (Some(2), Some(4012))]));
    assert_eq!(node.balance(20), (100_000, 100_000));
    // What the second gives back goes to the first, whichever stands first: commits and releases before reservations.
    let answer = ask(&mut client, request(UPDATE, 1).with(wanted(2)).with(used_only(1, 4 * MB))).await;
    assert_eq!(codes_of(&answer), [(Some(2), Some(2001))]);
    assert_eq!(answer.services()[0].octets(), Some(12 * MB));
    assert_eq!(node.balance(20), (60_000, 60_000));
    // A report of one group leaves the other's reservation alone.
    let answer = ask(&mut client, request(UPDATE, 2).with(used_only(1, 0))).await;
    assert_eq!((answer.result(), node.balance(20)), (2001, (60_000, 60_000)));
}

/// Plays a report of some units in a session of its own; returns what it cost, in micro-units.
async fn cost_of(client: &mut Client, node: &TestNode, session: &str, members: &[Vec<u8>]) -> i64 {
    let before = node.balance(1).0;
    let asked = mscc(&[any()]);
    let answer = ask(client, ccr_of(1, session, INITIAL, 0).with(asked)).await;
    assert_eq!(codes_of(&answer), [(None, Some(2001))], "the answer has no key, like the request");
    assert_eq!(answer.services()[0].octets(), Some(10 * MB));
    let answer = ask(client, ccr_of(1, session, TERMINATION, 1).with(mscc(members))).await;
    assert_eq!(answer.result(), 2001);
    assert_eq!(node.balance(1).1, 0);
    before - node.balance(1).0
}

// tests: I-9 C-37 C-51 C-52 C-116 G-32 G-34
#[tokio::test]
async fn usage_counts_once_whatever_its_form() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let (input, output) = (long(code::CC_INPUT_OCTETS, MB), long(code::CC_OUTPUT_OCTETS, 2 * MB));
    let (total, time) = (long(code::CC_TOTAL_OCTETS, 3 * MB), number(code::CC_TIME, 77));
    let usu = |members: &[&Vec<u8>]| {
        avp(code::USED_SERVICE_UNIT, &members.iter().copied().flatten().copied().collect::<Vec<_>>())
    };
    // Neither Rating-Group nor Service-Identifier: the context's default, 0.01 for each MB.
    for (at, (members, cost)) in (0..).zip([
        (vec![usu(&[&input, &output])], 30_000),
        (vec![usu(&[&input, &output, &total, &time])], 30_000),
        (vec![usu(&[&output])], 20_000),
        (vec![usu(&[&total]), usu(&[&total])], 60_000),
        (vec![usu(&[&total]), usu(&[&input, &output]), usu(&[&time])], 60_000),
        (vec![usu(&[&time])], 0),
        (vec![usu(&[])], 0),
    ]) {
        assert_eq!(cost_of(&mut client, &node, &format!("pgw.example;9;{at}"), &members).await, cost, "{at}");
    }
}

// tests: I-10 B-30 B-132 C-39 C-95 G-41
#[tokio::test]
async fn oddities_of_deployed_clients_are_served() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let reason = tgpp(code::REPORTING_REASON, &3_u32.to_be_bytes());
    let inside = group(code::USED_SERVICE_UNIT, &[reason.clone(), long(code::CC_TOTAL_OCTETS, MB)]);
    let beside = [number(code::RATING_GROUP, 1), any(), used(MB), reason.clone()];
    let within = [inside, any(), number(code::RATING_GROUP, 1)];
    let realm = text(code::DESTINATION_REALM, "epc.mnc001.mcc001.3gppnetwork.org");
    let mut backwards = ccr_of(1, "pgw.example;10;4", INITIAL, 0).with(wanted(1));
    backwards.avps[1..].reverse();
    for (at, request) in (1..).zip([
        ccr_of(1, "pgw.example;10;1", INITIAL, 0).with(number(code::REQUESTED_ACTION, 0)).with(wanted(1)),
        ccr_of(1, "pgw.example;10;2", INITIAL, 0).with(number(code::MULTIPLE_SERVICES_INDICATOR, 0)).with(wanted(1)),
        ccr_of(1, "pgw.example;10;3", INITIAL, 0).replacing(code::DESTINATION_REALM, realm).with(wanted(1)),
        backwards,
    ]) {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(1), Some(2001))]), "{at}");
    }
    for (number, members) in [(1, &beside[..]), (2, &within[..])] {
        let answer = ask(&mut client, ccr_of(1, "pgw.example;10;1", UPDATE, number).with(mscc(members))).await;
        assert_eq!(codes_of(&answer), [(Some(1), Some(2001))]);
        assert_eq!(node.balance(1).0, BALANCE - 10_000 * i64::from(number));
    }
    // Session-Id may even stand last; the answer has it first.
    let mut last = ccr_of(1, "pgw.example;10;5", INITIAL, 0).with(wanted(1));
    last.avps.rotate_left(1);
    assert_eq!(ask(&mut client, last).await.codes()[..7], HEAD);
}

// tests: I-11 G-26 G-27 C-5
#[tokio::test]
async fn a_context_is_known_by_its_end() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for (at, (context, result)) in (0..).zip([
        ("32251@3gpp.org", 2001),
        ("8.32251@3gpp.org", 2001),
        ("01.262.12.32251@3gpp.org", 2001),
        ("Ericsson_OCS_V1_0.0.0.7.32251@3gpp.org", 2001),
        ("gprs@cmcc.com", 2001),
        ("832251@3gpp.org", 5031),
        ("32251@example.org", 5031),
        ("", 5031),
    ]) {
        let named = text(code::SERVICE_CONTEXT_ID, context);
        let session = format!("pgw.example;11;{at}");
        let request = ccr_of(1, &session, INITIAL, 0).replacing(code::SERVICE_CONTEXT_ID, named.clone());
        let answer = ask(&mut client, request.with(wanted(1))).await;
        assert_eq!(answer.result(), result, "{context}");
        assert_eq!(answer.failed(), (result == 5031).then_some(&named[..]));
    }
}

// tests: C-48 C-92 B-185
#[tokio::test]
async fn updates_that_come_at_once_are_all_served_in_order() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let session = "pgw.example;12;1";
    let answer =
        ask(&mut client, ccr_of(1, session, INITIAL, 0).with(wanted(1)).with(wanted(2)).with(wanted(99))).await;
    assert_eq!(answer.services().len(), 3);
    // One for each rating group, as after a re-authorisation, and one that was overtaken: all in one write.
    let updates = [(2, 1), (4, 2), (3, 99), (1, 1)];
    let octets = updates.map(|(n, rating_group)| {
        ccr_of(1, session, UPDATE, n).with(used_and_wanted(rating_group, MB)).numbered(100 + n).octets()
    });
    client.send(&octets.concat()).await;
    for (n, rating_group) in updates {
        let answer = client.receive().await;
        assert_eq!((answer.hop_by_hop(), answer.result()), (100 + n, 2001));
        assert_eq!(answer.number(&[code::CC_REQUEST_NUMBER]), Some(n));
        assert_eq!(codes_of(&answer), [(Some(rating_group), Some(2001))]);
    }
    // Two MB of the internet, one of video, one of mobile TV.
    assert_eq!(node.balance(1).0, BALANCE - 20_000 - 5_000 - 20_000);
}

// tests: I-13 C-90 C-93 C-94
#[tokio::test]
async fn usage_of_unknown_sessions_is_recorded() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for (n, request) in (1..).zip([
        ccr_of(1, "pgw.example;13;1", UPDATE, 1).with(used_and_wanted(1, 5)).with(used_only(2, 7)),
        ccr_of(1, "pgw.example;13;2", TERMINATION, 2).with(used_only(1, 9)),
        // Nobody that is known here, or nobody at all.
        ccr("pgw.example;13;3", TERMINATION, 3).with(subscription(0, "49")).with(used_only(1, 11)),
        ccr("pgw.example;13;4", UPDATE, 4).with(group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, 13)])),
    ]) {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error(), answer.services().len()), (5002, false, 0));
        assert_eq!(node.orphans().len(), n);
    }
    let recorded: Vec<_> =
        node.orphans().iter().map(|orphan| (orphan.account.map(|id| id.0), orphan.number, octets_of(orphan))).collect();
    assert_eq!(recorded, [(Some(1), 1, vec![5, 7]), (Some(1), 2, vec![9]), (None, 3, vec![11]), (None, 4, vec![13])]);
    assert_eq!(node.balance(1), (BALANCE, 0));
    // Without usage there is nothing to record, and after its end a session is as unknown as any.
    assert_eq!(ask(&mut client, ccr_of(1, "pgw.example;13;5", TERMINATION, 0)).await.result(), 5002);
    assert_eq!(node.orphans().len(), 4);
    ask(&mut client, ccr_of(1, "pgw.example;13;6", INITIAL, 0).with(wanted(1))).await;
    ask(&mut client, ccr_of(1, "pgw.example;13;6", TERMINATION, 2).with(used_only(1, MB))).await;
    let late = ask(&mut client, ccr_of(1, "pgw.example;13;6", UPDATE, 1).with(used_and_wanted(1, 3))).await;
    assert_eq!((late.result(), node.orphans().len(), node.balance(1)), (5002, 5, (BALANCE - 10_000, 0)));
}

fn octets_of(orphan: &tollgate::charging::OrphanUsage) -> Vec<u64> {
    orphan.usage.iter().map(|(_, used)| used.octets).collect()
}

// tests: I-14 B-72 C-6 C-160 C-162 C-163 C-164
#[tokio::test]
async fn a_subscriber_has_many_names() {
    let node = TestNode::demo().await;
    let names = [
        (IdentityKind::SipUri, "sip:alice@ims.example"),
        (IdentityKind::Nai, "alice@nai.example"),
        (IdentityKind::Private, "alice-7"),
        (IdentityKind::E164, "491701234567"),
    ];
    node.provision(20, &names, BALANCE);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let one = |kind, data: &str| vec![subscription(kind, data)];
    let (number_of_1, imsi_of_1, imsi_of_2) =
        (subscription(0, &msisdn(1)), subscription(1, &imsi(1)), subscription(1, &imsi(2)));
    for (at, (named, result, account)) in (0..).zip([
        (one(1, &imsi(1)), 2001, 1),
        (one(0, &msisdn(1)), 2001, 1),
        (one(0, &format!("+{}", msisdn(1))), 2001, 1),
        (vec![number_of_1.clone(), imsi_of_1.clone()], 2001, 1),
        (vec![imsi_of_1.clone(), number_of_1.clone()], 2001, 1),
        // One of the two is known: it decides.
        (vec![subscription(0, "49"), imsi_of_1.clone()], 2001, 1),
        (one(2, "sip:alice@ims.example"), 2001, 20),
        (one(2, "tel:+49-170-1234567"), 2001, 20),
        (one(3, "alice@nai.example"), 2001, 20),
        (one(4, "alice-7"), 2001, 20),
        // Of a type that nobody knows, beside one that is.
        (vec![subscription(9, "x"), imsi_of_1], 2001, 1),
        // Two accounts.
        (vec![number_of_1.clone(), imsi_of_2.clone()], 5030, 1),
        (vec![imsi_of_2, number_of_1], 5030, 1),
        (one(1, "999"), 5030, 1),
        (vec![], 5030, 1),
    ]) {
        let before = node.account(account).sessions.len();
        let mut request = ccr(&format!("pgw.example;14;{at}"), INITIAL, 0).with(wanted(1));
        request.avps.extend(named);
        let answer = ask(&mut client, request).await;
        assert_eq!(answer.result(), result, "{at}");
        assert_eq!(node.account(account).sessions.len() - before, usize::from(result == 2001), "{at}");
    }
    // An update needs no name, but must not name somebody else.
    let answer = ask(&mut client, ccr("pgw.example;14;0", UPDATE, 1).with(used_and_wanted(1, MB))).await;
    assert_eq!((answer.result(), node.balance(1).0), (2001, BALANCE - 10_000));
    // Nor leave its service context; whatever is wrong is shown.
    let voice = text(code::SERVICE_CONTEXT_ID, "32260@3gpp.org");
    let moved = ccr("pgw.example;14;0", UPDATE, 2).replacing(code::SERVICE_CONTEXT_ID, voice.clone());
    let answer = ask(&mut client, moved.with(used_only(1, MB))).await;
    assert_eq!((answer.result(), answer.failed()), (5004, Some(&voice[..])));
    let other = subscription(1, &imsi(2));
    let answer = ask(&mut client, ccr("pgw.example;14;0", UPDATE, 3).with(other.clone()).with(used_only(1, MB))).await;
    assert_eq!((answer.result(), answer.failed()), (5004, Some(&other[..])));
    assert_eq!(node.balance(1).0, BALANCE - 10_000);
}

// tests: B-135 C-88 C-100 C-101 C-104
#[tokio::test]
async fn a_client_is_reached_over_whichever_of_its_connections_is_left() {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 50_000);
    let request = |kind, n| ccr("pgw.example;16;1", kind, n).with(subscription(1, "1001"));
    let mut first = Client::open(node.diameter(), "pgw.example").await;
    let answer = ask(&mut first, request(INITIAL, 0).with(wanted(1))).await;
    assert!(answer.services()[0].find(&[code::FINAL_UNIT_INDICATION]).is_some());

    // A second connection of the same client comes, is used, and goes.
    let mut second = Client::open(node.diameter(), "pgw.example").await;
    assert_eq!(ask(&mut second, request(UPDATE, 1).with(used_and_wanted(1, 0))).await.result(), 2001);
    second.end().await;
    second.is_closed().await;

    // The money that comes in is told over the first.
    node.top_up(20, 10_000_000, "more");
    let rar = first.receive().await;
    assert_eq!((rar.command(), rar.flags()), (258, 0xc0));
    assert_eq!(rar.text(code::SESSION_ID), Some("pgw.example;16;1"));
    assert_eq!(rar.text(code::DESTINATION_HOST), Some("pgw.example"));
    assert_eq!(rar.text(code::DESTINATION_REALM), Some("gateways.example"));
    let mut raa =
        Request::new(258, 4, vec![text(code::SESSION_ID, "pgw.example;16;1"), number(code::RESULT_CODE, 2002)]);
    raa = raa.with(text(code::ORIGIN_HOST, "pgw.example")).with(text(code::ORIGIN_REALM, "gateways.example"));
    (raa.flags, raa.hop_by_hop, raa.end_to_end) = (0x40, rar.hop_by_hop(), rar.end_to_end());
    first.send(&raa.octets()).await;
    let answer = ask(&mut first, request(UPDATE, 2).with(used_and_wanted(1, MB))).await;
    assert_eq!(answer.services()[0].octets(), Some(10 * MB));
    judged_by_tshark(&first.received);
}

// ---------------------------------------------------------------------------------------------------------------------
// Open5GS, exactly as its SMF sends.

pub(crate) const SMF: &str = "smf.epc.mnc001.mcc001.3gppnetwork.org";
const SMF_REALM: &str = "epc.mnc001.mcc001.3gppnetwork.org";

fn smf_profile(config: &mut Config) {
    let peer = toml::from_str(&format!("origin_host = \"{SMF}\"\nprofile = \"open5gs\"")).unwrap();
    config.diameter = Diameter { peers: vec![peer], ..std::mem::take(&mut config.diameter) };
}

/// A CCR of the SMF for the subscriber of an account. `report`: time, input, output octets and why.
pub(crate) fn smf_ccr(
    account: u64,
    session: &str,
    kind: u32,
    n: u32,
    report: Option<(u32, u64, u64, Reason)>,
) -> Request {
    let mut request = Request::new(
        272,
        4,
        vec![
            text(code::SESSION_ID, session),
            text(code::ORIGIN_HOST, SMF),
            text(code::ORIGIN_REALM, SMF_REALM),
            // Its own realm; the host that has answered, once one has.
            text(code::DESTINATION_REALM, SMF_REALM),
        ],
    );
    if kind != INITIAL {
        request = request.with(text(code::DESTINATION_HOST, "ocs1.tollgate.example"));
    }
    request = request
        .with(number(code::AUTH_APPLICATION_ID, 4))
        .with(text(code::SERVICE_CONTEXT_ID, "32251@3gpp.org"))
        .with(number(code::CC_REQUEST_TYPE, kind))
        .with(number(code::CC_REQUEST_NUMBER, n))
        .with(number(code::REQUESTED_ACTION, 0))
        .with(tgpp(2055, &1_u32.to_be_bytes()))
        .with(number(code::EVENT_TIMESTAMP, 0xed00_3780))
        .with(subscription(1, &imsi(account)))
        .with(subscription(0, &msisdn(account)));
    if kind == INITIAL {
        request = request.with(number(code::MULTIPLE_SERVICES_INDICATOR, 0));
    }
    request = request.with(smf_service(kind, report));
    if kind == TERMINATION {
        request = request.with(number(code::TERMINATION_CAUSE, 1));
    }
    let imeisv = group(code::USER_EQUIPMENT_INFO, &[number(459, 0), text(460, "3570210000000012")]);
    let address = |octets: [u8; 4]| [&[0, 1][..], &octets].concat();
    // 3GPP-PDP-Type stands in the first request only.
    let pdp_type = if kind == INITIAL { tgpp(3, &0_u32.to_be_bytes()) } else { Vec::new() };
    let ps = [
        tgpp(2, &1_u32.to_be_bytes()),
        pdp_type,
        tgpp(1227, &address([10, 45, 0, 2])),
        tgpp(1228, &address([127, 0, 0, 3])),
        tgpp(847, &address([127, 0, 0, 4])),
        text(30, "internet"),
        tgpp(12, b"0"),
        tgpp(13, b"0000"),
        tgpp(18, b"00101"),
        tgpp(10, &[5]),
        tgpp(23, &[0x80, 0]),
        tgpp(22, &[0x82, 0x00, 0xf1, 0x10, 0x00, 0x01, 0x00, 0xf1, 0x10, 0x00, 0x00, 0x01, 0x01]),
        tgpp(21, &[6]),
    ];
    let ps = tgpp(code::PS_INFORMATION, &ps.concat());
    request.with(imeisv).with(tgpp(code::SERVICE_INFORMATION, &ps))
}

/// Why usage is reported, and where Open5GS says so.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// In Used-Service-Unit.
    Used(u32),
    /// In MSCC.
    Service(u32),
}

fn smf_service(kind: u32, report: Option<(u32, u64, u64, Reason)>) -> Vec<u8> {
    let mut members = Vec::new();
    if kind != TERMINATION {
        members.push(group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, MB)]));
    }
    if let Some((time, input, output, reason)) = report {
        let mut used = Vec::new();
        if let Reason::Used(reason) = reason {
            used.push(tgpp(code::REPORTING_REASON, &reason.to_be_bytes()));
        }
        used.extend([
            number(code::CC_TIME, time),
            long(code::CC_INPUT_OCTETS, input),
            long(code::CC_OUTPUT_OCTETS, output),
        ]);
        members.push(group(code::USED_SERVICE_UNIT, &used));
        if let Reason::Service(reason) = reason {
            members.push(tgpp(code::REPORTING_REASON, &reason.to_be_bytes()));
        }
    }
    // QoS-Information: class, retention priority, the bit rates of the access point.
    let qos = [
        tgpp(1028, &9_u32.to_be_bytes()),
        tgpp(
            1034,
            &[tgpp(1046, &8_u32.to_be_bytes()), tgpp(1047, &1_u32.to_be_bytes()), tgpp(1048, &1_u32.to_be_bytes())]
                .concat(),
        ),
        tgpp(1041, &1_000_000_000_u32.to_be_bytes()),
        tgpp(1040, &1_000_000_000_u32.to_be_bytes()),
    ];
    members.push(tgpp(1016, &qos.concat()));
    mscc(&members)
}

// tests: I-1 I-2 I-3 I-8 I-9 I-10 C-39 C-95 B-132
#[tokio::test]
async fn open5gs_has_a_session() {
    let node = TestNode::start(DEMO_CATALOG, smf_profile).await;
    let mut client = Client::open(node.diameter(), SMF).await;
    let session = format!("{SMF};1700000000;1;app_gy");

    let answer = ask(&mut client, smf_ccr(1, &session, INITIAL, 0, None)).await;
    assert_eq!(answer.codes()[..7], HEAD);
    // One MSCC, because the last one wins there; a total and nothing final, since any final unit ends the session.
    let granted = |answer: &Message| {
        assert_eq!((answer.result(), codes_of(answer)), (2001, vec![(None, Some(2001))]));
        let service = answer.services()[0];
        assert!(service.find(&[code::FINAL_UNIT_INDICATION]).is_none());
        (service.octets(), service.number(&[code::VALIDITY_TIME]), service.number(&[code::VOLUME_QUOTA_THRESHOLD]))
    };
    let whole = (Some(10 * MB), Some(3_600), Some(2 * MB as u32));
    assert_eq!(granted(&answer), whole);
    assert_eq!(node.balance(1), (BALANCE, 100_000));

    // Deltas of input and output without a total, with every reason at the place where the SMF puts it.
    let reports = [
        (Reason::Used(0), 6 * MB, 2 * MB),
        (Reason::Used(3), MB, MB + 1),
        (Reason::Used(5), 0, 0),
        (Reason::Service(4), 500_000, 0),
        (Reason::Service(1), 0, 1),
    ];
    let mut octets = 0;
    for (n, (reason, input, output)) in (1..).zip(reports) {
        let answer = ask(&mut client, smf_ccr(1, &session, UPDATE, n, Some((30, input, output, reason)))).await;
        assert_eq!(granted(&answer), whole);
        octets += input + output;
        let blocks = octets.div_ceil(MB) as i64;
        assert_eq!(node.balance(1), (BALANCE - 10_000 * blocks, 100_000), "rounded up once for the session");
    }
    let last = Some((5, 250_000, 250_000, Reason::Service(2)));
    let answer = ask(&mut client, smf_ccr(1, &session, TERMINATION, 6, last)).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    // 11,000,002 octets: twelve blocks.
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((120_000, Some(156))));
    assert_eq!(node.balance(1), (BALANCE - 120_000, 0));
    judged_by_tshark(&client.received);
}

// tests: I-15 C-88 C-104
#[tokio::test]
async fn open5gs_is_not_asked_to_re_authorise_but_asks_soon_by_itself() {
    let node = TestNode::start(DEMO_CATALOG, smf_profile).await;
    // 0.05 each: five MB.
    node.provision(20, &[(IdentityKind::Imsi, "460000000000019")], 50_000);
    node.provision(21, &[(IdentityKind::Imsi, "460000000000020")], 50_000);
    let mut smf = Client::open(node.diameter(), SMF).await;
    let mut other = Client::open(node.diameter(), "pgw.example").await;
    let session = format!("{SMF};1700000000;2;app_gy");
    let first = ask(&mut smf, smf_ccr(20, &session, INITIAL, 0, None)).await;
    let standard = ccr("pgw.example;15;1", INITIAL, 0).with(subscription(1, "460000000000020")).with(wanted(1));
    let second = ask(&mut other, standard).await;

    // Both hold their last units: for the one that ignores RAR they are valid for a minute only.
    for (answer, validity) in [(&first, 60), (&second, 3_600)] {
        let service = answer.services()[0];
        assert_eq!(service.octets(), Some(5 * MB));
        assert!(service.find(&[code::FINAL_UNIT_INDICATION]).is_some());
        assert_eq!(service.number(&[code::VALIDITY_TIME]), Some(validity));
    }

    // Money comes: the one is sent an RAR, the other is not.
    node.top_up(20, 10_000_000, "one");
    node.top_up(21, 10_000_000, "two");
    let rar = other.receive().await;
    assert_eq!((rar.command(), rar.is_request()), (258, true));
    assert_eq!(rar.text(code::SESSION_ID), Some("pgw.example;15;1"));
    let waiting = || {
        let pending = node.node.store.session(session.as_bytes()).unwrap();
        node.node.store.mark().admit(pending).is_ok_and(|session| session.reauthorise)
    };
    let deadline = Instant::now() + PATIENCE;
    while waiting() {
        assert!(Instant::now() < deadline, "the session still waits for an RAR");
        tokio::task::yield_now().await;
    }
    smf.is_served().await;

    // Its own request, when the minute is over, gets a whole grant.
    let report = Some((60, MB, 0, Reason::Service(4)));
    let answer = ask(&mut smf, smf_ccr(20, &session, UPDATE, 1, report)).await;
    let service = answer.services()[0];
    assert_eq!((service.octets(), service.number(&[code::VALIDITY_TIME])), (Some(10 * MB), Some(3_600)));
    assert!(service.find(&[code::FINAL_UNIT_INDICATION]).is_none());
    judged_by_tshark(smf.received.iter().chain(&other.received));
}
