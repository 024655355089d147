//! Rules of answers as a client sees them: ends of credit, pools, balances, and what is shown of a request that cannot be
//! rated.

use tollgate::config::{Config, Diameter};

use crate::{
    client::Client,
    interop_rules::{MB, any, ask, ccr_of, codes_of, mscc, subscription, used, used_and_wanted, used_only, wanted},
    support::TestNode,
    wire::{Request, code, group, long, nested, number, text},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;
const EVENT: u32 = 4;

const RESTRICTION_FILTER_RULE: u32 = 438;
const FILTER_ID: u32 = 11;
const QOS_FINAL_UNIT_INDICATION: u32 = 669;
const REMAINING_BALANCE: u32 = 2021;
const LOW_BALANCE_INDICATION: u32 = 2020;
const CHECK_BALANCE_RESULT: u32 = 422;
const G_S_U_POOL_REFERENCE: u32 = 457;
const G_S_U_POOL_IDENTIFIER: u32 = 453;

/// Account n has 100.00 CNY and pays 1.00 for a MB, everywhere.
const CATALOG: &str = r#"
currency = "CNY"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[context]]
name = "sms"
service_context_id = "32274@3gpp.org"
[[service]]
name = "walled"
context = "data"
rating_group = 1
price = "1.00"
per = "1 MB"
slice = "200 MB"
restrict_to = ["permit in ip from any to 192.0.2.10"]
restrict_filters = ["top-up"]
restricted_validity = "10 min"
[[service]]
name = "plain"
context = "data"
rating_group = 2
price = "1.00"
per = "1 MB"
slice = "60 MB"
[[service]]
name = "access"
context = "data"
rating_group = 3
price = "1.00"
per = "1 MB"
block = "1 B"
slice = "5 MB"
pool = 9
[[service]]
name = "talk"
context = "data"
rating_group = 4
price = "0.10"
per = "1 s"
slice = "50 s"
pool = 9
[[service]]
name = "music"
context = "data"
rating_group = 5
free = true
slice = "5 MB"
[[service]]
name = "sms"
context = "sms"
rating_group = 700
price = "0.10"
per = "1 event"
[[threshold]]
name = "low"
money = "10.00"
"#;

/// A node, and a client of it with these switches.
async fn node(switches: &str) -> (TestNode, Client) {
    let peer = format!("origin_host = \"pgw.example\"\n{switches}");
    let node = TestNode::start(CATALOG, |config: &mut Config| {
        let peers = vec![toml::from_str(&peer).unwrap()];
        config.diameter = Diameter { peers, ..std::mem::take(&mut config.diameter) };
    })
    .await;
    let client = Client::open(node.diameter(), "pgw.example").await;
    (node, client)
}

fn sms(request: Request) -> Request {
    request.replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"))
}

fn event(session: &str, action: u32) -> Request {
    sms(ccr_of(1, session, EVENT, 0)).with(number(code::REQUESTED_ACTION, action))
}

fn messages(count: u64) -> Vec<u8> {
    group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, count)])
}

fn rupees(around: u32) -> Vec<u8> {
    let value = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, 2)]);
    group(around, &[group(code::CC_MONEY, &[value, number(code::CURRENCY_CODE, 356)])])
}

// tests: C-80 C-83 C-85 C-86 C-F4 B-50
#[tokio::test]
async fn a_restricted_user_is_told_what_is_left_open() {
    let (node, mut client) = node("qos_final_unit = true").await;
    let is_restricted = |answer: &crate::wire::Message, octets: u64, validity: u32| {
        let service = answer.services()[0];
        let told = service.all(code::FINAL_UNIT_INDICATION)[0];
        assert_eq!(told.number(&[code::FINAL_UNIT_ACTION]), Some(2));
        assert_eq!(told.find(&[RESTRICTION_FILTER_RULE]), Some(&b"permit in ip from any to 192.0.2.10"[..]));
        assert_eq!(told.find(&[FILTER_ID]), Some(&b"top-up"[..]));
        // It has no place for rules as text.
        assert_eq!(service.find(&[QOS_FINAL_UNIT_INDICATION]), None);
        assert_eq!((service.octets(), service.number(&[code::VALIDITY_TIME])), (Some(octets), Some(validity)));
        assert_eq!(codes_of(answer), [(Some(1), Some(2001))]);
    };
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1))).await;
    is_restricted(&answer, 100 * MB, 3_600);
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_only(1, 100 * MB))).await;
    is_restricted(&answer, 0, 600);
    assert_eq!(node.balance(1), (0, 0));
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 2).with(wanted(1))).await;
    is_restricted(&answer, 0, 600);
    node.top_up(1, 300_000_000, "pay");
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 3).with(wanted(1))).await;
    assert_eq!((answer.services()[0].octets(), node.balance(1)), (Some(200 * MB), (300_000_000, 200_000_000)));
    assert!(answer.services()[0].find(&[code::FINAL_UNIT_INDICATION]).is_none());
}

// tests: C-80 I-15
#[tokio::test]
async fn a_client_that_cannot_restrict_ends_the_service() {
    let (_node, mut client) = node("redirect = false\nqos_final_unit = true").await;
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(1))).await;
    let service = answer.services()[0];
    for form in [code::FINAL_UNIT_INDICATION, QOS_FINAL_UNIT_INDICATION] {
        let members = service.all(form);
        assert_eq!(
            (members.len(), members[0].0.len(), members[0].number(&[code::FINAL_UNIT_ACTION])),
            (1, 12, Some(0))
        );
    }
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_and_wanted(1, 100 * MB))).await;
    assert_eq!(codes_of(&answer), [(Some(1), Some(4012))]);
}

// tests: C-170 C-171 C-174 C-175 C-31
#[tokio::test]
async fn quotas_of_a_pool_name_it() {
    let (node, mut client) = node("").await;
    let request = ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(3)).with(wanted(4)).with(wanted(2));
    let answer = ask(&mut client, request).await;
    // 1 micro-unit for an octet, 100,000 for a second.
    for (service, (kind, multiplier)) in answer.services().iter().zip([(2, 1), (0, 100_000)]) {
        let reference = service.all(G_S_U_POOL_REFERENCE)[0];
        assert_eq!(reference.number(&[G_S_U_POOL_IDENTIFIER]), Some(9));
        assert_eq!(reference.number(&[454]), Some(kind));
        assert_eq!(reference.long(&[code::UNIT_VALUE, code::VALUE_DIGITS]), Some(multiplier));
        assert!(service.find(&[code::GRANTED_SERVICE_UNIT]).is_some());
    }
    assert!(answer.services()[2].find(&[G_S_U_POOL_REFERENCE]).is_none());
    assert_eq!(node.balance(1), (100_000_000, 70_000_000));
    // More than its own grant, and no more than the pool: nothing else is touched.
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_and_wanted(3, 9 * MB))).await;
    assert_eq!(node.balance(1), (91_000_000, 66_000_000));
    // A copy gets the same.
    let again = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_and_wanted(3, 9 * MB))).await;
    assert_eq!((&again.0[20..], node.balance(1)), (&answer.0[20..], (91_000_000, 66_000_000)));
    ask(&mut client, ccr_of(1, "pgw.example;1", TERMINATION, 2)).await;
    assert_eq!(node.balance(1), (91_000_000, 0));
}

// tests: G-80 G-81 C-56
#[tokio::test]
async fn what_is_left_is_told_to_those_who_want_to_know() {
    let (_node, mut client) = node("remaining_balance = true\ncost_information_in_updates = true").await;
    let told = |answer: &crate::wire::Message| {
        let part = answer.part();
        let low = answer.number(&[LOW_BALANCE_INDICATION]);
        (part.money(&[REMAINING_BALANCE]), low, part.money(&[code::COST_INFORMATION]))
    };
    let yuan = |micros: i64| Some((micros, Some(156)));
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(2))).await;
    assert_eq!(told(&answer), (yuan(40_000_000), None, None));
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_only(2, 95 * MB))).await;
    assert_eq!(told(&answer), (yuan(5_000_000), Some(1), yuan(95_000_000)));
    let again = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_only(2, 95 * MB))).await;
    assert_eq!(&again.0[20..], &answer.0[20..]);
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", TERMINATION, 2).with(used_only(2, MB))).await;
    assert_eq!(told(&answer), (yuan(4_000_000), Some(1), yuan(96_000_000)));
}

// tests: C-59 C-114 C-137
#[tokio::test]
async fn what_costs_nothing_is_4011_where_that_is_understood() {
    let (node, mut client) = node("free_of_charge_4011 = true").await;
    let answer = client.ask_new(ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(5)).with(wanted(2))).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(5), Some(4011)), (Some(2), Some(2001))]));
    assert!(answer.services()[0].find(&[code::GRANTED_SERVICE_UNIT]).is_none());
    assert_eq!(node.account(1).sessions.len(), 1, "the session goes on");
    let free = ccr_of(2, "pgw.example;e", EVENT, 0).with(number(code::REQUESTED_ACTION, 0)).with(wanted(5));
    let answer = client.ask_new(free).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(5), Some(4011))]));
    assert_eq!(node.balance(2), (100_000_000, 0));
}

// tests: C-34
#[tokio::test]
async fn a_report_is_a_request_for_a_client_that_never_asks() {
    let (_node, mut client) = node("grant_without_request = true").await;
    ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(2))).await;
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(used_only(2, MB))).await;
    assert_eq!(answer.services()[0].octets(), Some(60 * MB));
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", TERMINATION, 2).with(used_only(2, MB))).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
}

// tests: B-73 C-35 C-44 C-55 C-116 C-121
#[tokio::test]
async fn what_cannot_be_rated_is_shown_with_the_groups_around_it() {
    const MSCC: u32 = code::MULTIPLE_SERVICES_CREDIT_CONTROL;
    let (node, mut client) = node("").await;
    let group_2 = number(code::RATING_GROUP, 2);
    let seconds = number(code::CC_TIME, 60);
    let money = |around| rupees(around);
    for (at, (members, shown)) in (0..).zip([
        // A unit that data is not counted in; money of another currency, asked for and used; no price; no key.
        (
            vec![group_2.clone(), group(code::REQUESTED_SERVICE_UNIT, std::slice::from_ref(&seconds))],
            nested(&[MSCC, code::REQUESTED_SERVICE_UNIT], seconds.clone()),
        ),
        (
            vec![group_2.clone(), money(code::REQUESTED_SERVICE_UNIT)],
            nested(&[MSCC], money(code::REQUESTED_SERVICE_UNIT)),
        ),
        (
            vec![group_2.clone(), any(), used(5), money(code::USED_SERVICE_UNIT)],
            nested(&[MSCC], money(code::USED_SERVICE_UNIT)),
        ),
        (vec![number(code::RATING_GROUP, 77), any()], nested(&[MSCC], number(code::RATING_GROUP, 77))),
        (vec![number(code::SERVICE_IDENTIFIER, 78), any()], nested(&[MSCC], number(code::SERVICE_IDENTIFIER, 78))),
        (vec![any()], nested(&[MSCC], number(code::RATING_GROUP, 0))),
    ]) {
        // Beside one that can be rated: the session goes on.
        let request = ccr_of(1, &format!("pgw.example;{at}"), INITIAL, 0).with(wanted(5)).with(mscc(&members));
        let answer = ask(&mut client, request).await;
        let codes: Vec<_> = codes_of(&answer).into_iter().map(|(_, code)| code).collect();
        assert_eq!((answer.result(), codes), (2001, vec![Some(2001), Some(5031)]), "{at}");
        assert_eq!(answer.failed(), Some(&shown[..]), "{at}");
        let request = ccr_of(1, &format!("pgw.example;e{at}"), EVENT, 0).with(number(code::REQUESTED_ACTION, 0));
        if at != 2 {
            let answer = ask(&mut client, request.with(mscc(&members))).await;
            assert_eq!((answer.failed(), answer.services().len()), (Some(&shown[..]), 1), "{at}");
        }
    }
    assert_eq!(node.balance(1), (100_000_000, 0));
}

// tests: C-6 C-164 B-71
#[tokio::test]
async fn a_request_that_leaves_its_session_shows_what_differs() {
    let (_node, mut client) = node("").await;
    ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(wanted(2))).await;
    let context = text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org");
    // The subscriber is named, and rightly: the context is what differs.
    let moved = ccr_of(1, "pgw.example;1", UPDATE, 1).replacing(code::SERVICE_CONTEXT_ID, context.clone());
    let answer = ask(&mut client, moved.with(used_only(2, MB))).await;
    assert_eq!((answer.result(), answer.failed()), (5004, Some(&context[..])));
    // Both differ: the first is told.
    let both = ccr_of(2, "pgw.example;1", UPDATE, 2).replacing(code::SERVICE_CONTEXT_ID, context);
    let answer = ask(&mut client, both.with(used_only(2, MB))).await;
    let other = subscription(0, &crate::interop_rules::msisdn(2));
    assert_eq!((answer.result(), answer.failed()), (5004, Some(&other[..])));
}

// tests: C-30 C-31 C-38
#[tokio::test]
async fn several_service_identifiers_are_one_quota_in_any_order() {
    let (node, mut client) = node("").await;
    let keys = |ids: [u32; 3]| {
        let mut members = vec![number(code::RATING_GROUP, 2)];
        members.extend(ids.map(|id| number(code::SERVICE_IDENTIFIER, id)));
        members
    };
    let identifiers = |service: &crate::wire::Part<'_>| -> Vec<Option<u32>> {
        service
            .all(code::SERVICE_IDENTIFIER)
            .iter()
            .map(|part| part.0.try_into().ok().map(u32::from_be_bytes))
            .collect()
    };
    let asked = mscc(&[keys([7, 5, 6]), vec![any()]].concat());
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", INITIAL, 0).with(asked)).await;
    assert_eq!(identifiers(&answer.services()[0]), [Some(7), Some(5), Some(6)]);
    assert_eq!(node.balance(1), (100_000_000, 60_000_000));
    let report = mscc(&[keys([5, 6, 7]), vec![any(), used(MB)]].concat());
    let answer = ask(&mut client, ccr_of(1, "pgw.example;1", UPDATE, 1).with(report)).await;
    assert_eq!(identifiers(&answer.services()[0]), [Some(5), Some(6), Some(7)]);
    assert_eq!(node.balance(1), (99_000_000, 60_000_000), "the old grant was given back");
}

// tests: C-132 C-133 C-134 C-162 G-21
#[tokio::test]
async fn checks_and_enquiries_by_mscc_with_several_services_money_and_nobody() {
    let (node, mut client) = node("").await;
    let asked = |count| mscc(&[number(code::RATING_GROUP, 700), messages(count)]);
    let unknown = mscc(&[number(code::RATING_GROUP, 77), messages(1)]);
    let before = node.node.store.last_position();
    // 100.00 pays for a thousand.
    for (at, (count, result)) in (0..).zip([(999, 0), (1_000, 1)]) {
        let answer = ask(&mut client, event(&format!("pgw.example;c{at}"), 2).with(asked(1)).with(asked(count))).await;
        assert_eq!((answer.result(), answer.number(&[CHECK_BALANCE_RESULT])), (2001, Some(result)), "{count}");
        assert!(answer.services().is_empty() && !answer.has(code::COST_INFORMATION));
    }
    let answer = ask(&mut client, event("pgw.example;p1", 3).with(asked(2)).with(asked(3))).await;
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((500_000, Some(156))));
    // One of two has no price: that one is told where it stands.
    let answer = ask(&mut client, event("pgw.example;p2", 3).with(asked(2)).with(unknown.clone())).await;
    assert_eq!((answer.result(), codes_of(&answer)), (2001, vec![(Some(77), Some(5031))]));
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((200_000, Some(156))));
    // None has: there is nothing to tell.
    for action in [2, 3] {
        let answer = ask(&mut client, event(&format!("pgw.example;n{action}"), action).with(unknown.clone())).await;
        assert_eq!((answer.result(), answer.services().len()), (5031, 0));
        assert!(!answer.has(CHECK_BALANCE_RESULT) && !answer.has(code::COST_INFORMATION));
    }
    // Money as it is, and of another currency.
    let yuan = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, 2)]);
    let yuan = group(code::REQUESTED_SERVICE_UNIT, &[group(code::CC_MONEY, &[yuan, number(code::CURRENCY_CODE, 156)])]);
    let answer = ask(&mut client, event("pgw.example;m1", 3).with(yuan)).await;
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((2_000_000, Some(156))));
    let answer = ask(&mut client, event("pgw.example;m2", 2).with(rupees(code::REQUESTED_SERVICE_UNIT))).await;
    assert_eq!((answer.result(), answer.failed()), (5031, Some(&rupees(code::REQUESTED_SERVICE_UNIT)[..])));
    // For nobody there is a price, and nothing else.
    for (action, result) in [(0, 5030), (2, 5030), (3, 2001)] {
        let nobody = event(&format!("pgw.example;x{action}"), action).without(code::SUBSCRIPTION_ID);
        let answer = ask(&mut client, nobody.with(asked(7))).await;
        let cost = answer.part().money(&[code::COST_INFORMATION]);
        assert_eq!((answer.result(), cost), (result, (result == 2001).then_some((700_000, Some(156)))), "{action}");
    }
    assert_eq!((node.balance(1), node.node.store.last_position()), ((100_000_000, 0), before));
}
