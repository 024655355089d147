//! Rules of credit control that show on the wire: what is answered to which MSCC, what stands where, what costs what.

use tollgate::{charging::AccountState, ids::IdentityKind};

use crate::{
    client::Client,
    interop_rules::{
        BALANCE, HEAD, MB, any, ask, ccr, ccr_of, codes_of, imsi, mscc, subscription, used, used_and_wanted, used_only,
        wanted,
    },
    support::{DEMO_CATALOG, TestNode},
    wire::{Message, Part, Request, avps, code, group, long, number, text, tgpp},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;
const EVENT: u32 = 4;

const CC_SESSION_FAILOVER: u32 = 418;
const CHECK_BALANCE_RESULT: u32 = 422;
const LOW_BALANCE_INDICATION: u32 = 2020;
const CREDIT_CONTROL_FAILURE_HANDLING: u32 = 427;
const DIRECT_DEBITING_FAILURE_HANDLING: u32 = 428;
const QUOTA_HOLDING_TIME: u32 = 871;

/// A request in another service context.
fn in_context(context: &str, request: Request) -> Request {
    request.replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, context))
}

fn service(identifier: u32) -> Vec<u8> {
    number(code::SERVICE_IDENTIFIER, identifier)
}

fn rating_group(group: u32) -> Vec<u8> {
    number(code::RATING_GROUP, group)
}

/// Keys of the answered services: Rating-Group and Service-Identifier.
fn keys_of(answer: &Message) -> Vec<(Option<u32>, Option<u32>)> {
    let key = |service: Part<'_>| (service.number(&[code::RATING_GROUP]), service.number(&[code::SERVICE_IDENTIFIER]));
    answer.services().into_iter().map(key).collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// Services

// tests: C-30 C-31 G-112
#[tokio::test]
async fn each_key_is_a_quota_and_comes_back_as_it_was_sent() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    // A group, a service of it, a service alone, another service of the group, and none of both.
    let keys: [&[Vec<u8>]; 5] =
        [&[rating_group(1)], &[service(7), rating_group(1)], &[service(7)], &[rating_group(1), service(8)], &[]];
    let told = [(Some(1), None), (Some(1), Some(7)), (None, Some(7)), (Some(1), Some(8)), (None, None)];
    let all = |extra: &[Vec<u8>]| keys.map(|key| mscc(&[key, extra].concat()));
    let mut request = ccr_of(1, "pgw.example;keys", INITIAL, 0);
    request.avps.extend(all(&[any()]));
    let answer = ask(&mut client, request).await;
    assert_eq!(keys_of(&answer), told);
    // Five grants, five reservations: none shares another's.
    assert_eq!(node.balance(1), (BALANCE, 5 * 100_000));
    // What one reports and gives back is its own.
    let one = mscc(&[rating_group(1), service(7), used(MB)]);
    let answer = ask(&mut client, ccr_of(1, "pgw.example;keys", UPDATE, 1).with(one)).await;
    assert_eq!((answer.services().len(), node.balance(1)), (0, (BALANCE - 10_000, 4 * 100_000)));
    let mut request = ccr_of(1, "pgw.example;keys", UPDATE, 2);
    request.avps.extend(all(&[used(MB), any()]));
    assert_eq!(keys_of(&ask(&mut client, request).await), told);
    assert_eq!(node.balance(1), (BALANCE - 60_000, 5 * 100_000));
}

// tests: C-32 C-41 C-42 C-47 G-110 G-111 G-113
#[tokio::test]
async fn each_service_has_its_own_answer_and_the_command_has_nothing_of_it() {
    let catalog = DEMO_CATALOG
        .replace("fallback_service = \"other-data\"", "")
        .replace("name = \"other-data\"", "name = \"other-data\"\nrating_group = 5");
    let node = TestNode::start(&catalog, |_| {}).await;
    // Ten MB of the internet; nothing is left for the television, music is free, and group 77 is not sold.
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 100_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;own", kind, n).with(subscription(1, "1001"));
    let opened = request(INITIAL, 0).with(wanted(1)).with(wanted(99)).with(wanted(3)).with(wanted(77));
    let answer = ask(&mut client, opened).await;
    assert_eq!(
        codes_of(&answer),
        [(Some(1), Some(2001)), (Some(99), Some(2001)), (Some(3), Some(2001)), (Some(77), Some(5031))]
    );
    let validity = answer.services().iter().map(|s| s.number(&[code::VALIDITY_TIME])).collect::<Vec<_>>();
    assert_eq!(validity, [Some(3_600), Some(300), Some(7_200), None]);
    for service in answer.services() {
        let units = service.find(&[code::GRANTED_SERVICE_UNIT]).map(|units| avps(units).len());
        assert_eq!(units, (service.number(&[code::RESULT_CODE]) == Some(2001)).then_some(1), "one unit, one limit");
    }
    let in_mscc = [
        code::GRANTED_SERVICE_UNIT,
        code::VALIDITY_TIME,
        code::FINAL_UNIT_INDICATION,
        code::RATING_GROUP,
        code::VOLUME_QUOTA_THRESHOLD,
    ];
    assert!(in_mscc.iter().all(|code| !answer.has(*code)));
    assert_eq!(answer.part().all(code::RESULT_CODE).len(), 1);
    // An update about one group is answered for that group only.
    let answer = ask(&mut client, request(UPDATE, 1).with(used_and_wanted(3, MB))).await;
    assert_eq!(codes_of(&answer), [(Some(3), Some(2001))]);
    // A result of the command is the result of everything in it.
    node.set_state(20, AccountState::Suspended);
    let answer = ask(&mut client, request(UPDATE, 2).with(used_and_wanted(1, MB)).with(wanted(3))).await;
    assert_eq!((answer.result(), answer.services().len(), node.balance(20)), (4010, 0, (90_000, 0)));
}

// tests: C-36 C-38 C-45 G-31
#[tokio::test]
async fn usage_counts_wherever_it_is_and_a_grant_is_given_once() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr_of(1, "pgw.example;merged", kind, n);
    ask(&mut client, request(INITIAL, 0).with(wanted(1))).await;
    // The same group three times: all that is reported counts, and what is wanted is granted once.
    let answer =
        ask(&mut client, request(UPDATE, 1).with(used_only(1, MB)).with(wanted(1)).with(used_and_wanted(1, 2 * MB)))
            .await;
    assert_eq!((codes_of(&answer), node.balance(1)), (vec![(Some(1), Some(2001))], (BALANCE - 30_000, 100_000)));
    let granted = answer.services()[0];
    assert_eq!(granted.all(code::GRANTED_SERVICE_UNIT).len(), 1);
    // Usage of groups that were never granted is charged like any other.
    let answer = ask(&mut client, request(UPDATE, 2).with(used_only(2, 2 * MB))).await;
    assert_eq!((answer.result(), node.balance(1)), (2001, (BALANCE - 40_000, 100_000)));
    let answer = ask(&mut client, request(TERMINATION, 3).with(used_only(99, MB)).with(used_only(1, MB))).await;
    assert_eq!((answer.result(), node.balance(1)), (2001, (BALANCE - 70_000, 0)));
}

// tests: C-39 C-40 C-97
#[tokio::test]
async fn services_are_served_whatever_the_indicator_says_and_win_over_the_command() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for indicator in [0, 1] {
        let request = ccr_of(1, &format!("pgw.example;msi;{indicator}"), INITIAL, 0)
            .with(number(code::MULTIPLE_SERVICES_INDICATOR, indicator));
        let answer = ask(&mut client, request.with(wanted(1)).with(wanted(2))).await;
        assert_eq!(codes_of(&answer), [(Some(1), Some(2001)), (Some(2), Some(2001))]);
    }
    let before = node.balance(1).1;
    let both = ccr_of(1, "pgw.example;both", INITIAL, 0).with(any()).with(used(50 * MB)).with(wanted(1));
    let answer = ask(&mut client, both).await;
    assert_eq!((codes_of(&answer), answer.has(code::GRANTED_SERVICE_UNIT)), (vec![(Some(1), Some(2001))], false));
    // Only the group is charged and reserved, not what stands beside it.
    assert_eq!(node.balance(1), (BALANCE, before + 100_000));
}

/// One unit after the other: what is granted in it, and what it costs to have used that much.
// tests: C-46 C-50 G-106
#[tokio::test]
async fn every_unit_is_granted_in_its_own_avp_and_stays_the_same() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "as.example").await;
    for (context, unit, width, slice, price) in [
        ("32251@3gpp.org", code::CC_TOTAL_OCTETS, 8, 10 * MB, 100_000),
        ("32260@3gpp.org", code::CC_TIME, 4, 60, 150_000),
        ("32274@3gpp.org", code::CC_SERVICE_SPECIFIC_UNITS, 8, 1, 100_000),
    ] {
        let session = format!("as.example;{unit}");
        let amount = |n: u64| if width == 4 { number(unit, n as u32) } else { long(unit, n) };
        let (before, _) = node.balance(1);
        for (n, kind) in (0..).zip([INITIAL, UPDATE, UPDATE]) {
            let mut members = vec![any()];
            if kind == UPDATE {
                members.push(group(code::USED_SERVICE_UNIT, &[amount(slice)]));
            }
            let request = in_context(context, ccr_of(1, &session, kind, n)).with(mscc(&members));
            let answer = ask(&mut client, request).await;
            let granted = answer.services()[0].find(&[code::GRANTED_SERVICE_UNIT]).unwrap();
            let units = avps(granted);
            assert_eq!((units.len(), units[0].code, units[0].data.len()), (1, unit, width), "{context}");
            assert_eq!(granted, amount(slice), "{context}");
        }
        assert_eq!(node.balance(1), (before - 2 * price, price), "{context}");
        let request = in_context(context, ccr_of(1, &session, TERMINATION, 3));
        assert_eq!(ask(&mut client, request).await.result(), 2001);
        assert_eq!(node.balance(1), (before - 2 * price, 0), "{context}");
    }
    // Money is a unit too: what is asked is what is held.
    let value = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, 25), number(code::EXPONENT, -1_i32 as u32)]);
    let money = group(code::CC_MONEY, &[value, number(code::CURRENCY_CODE, 156)]);
    let asked = mscc(&[rating_group(1), group(code::REQUESTED_SERVICE_UNIT, &[money])]);
    let answer = ask(&mut client, ccr_of(2, "as.example;money", INITIAL, 0).with(asked)).await;
    let granted = answer.services()[0].money(&[code::GRANTED_SERVICE_UNIT, code::CC_MONEY]);
    assert_eq!((granted, node.balance(2)), (Some((2_500_000, Some(156))), (BALANCE, 2_500_000)));
}

// tests: C-56 G-119
#[tokio::test]
async fn the_last_answer_tells_the_cost_and_holds_no_service() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr_of(1, "pgw.example;cost", kind, n);
    ask(&mut client, request(INITIAL, 0).with(wanted(1)).with(wanted(2))).await;
    ask(&mut client, request(UPDATE, 1).with(used_and_wanted(1, 3 * MB)).with(used_and_wanted(2, 2 * MB))).await;
    let answer = ask(&mut client, request(TERMINATION, 2).with(used_and_wanted(1, MB)).with(wanted(2))).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    // Three MB and one at 0.01, two at 0.005, in the account's currency.
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((50_000, Some(156))));
    assert_eq!(node.balance(1), (BALANCE - 50_000, 0));
    // An enquiry tells the price.
    let units = group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, 3)]);
    let request = in_context("32274@3gpp.org", ccr_of(1, "pgw.example;enquiry", EVENT, 0));
    let answer = ask(&mut client, request.with(number(code::REQUESTED_ACTION, 3)).with(units)).await;
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((300_000, Some(156))));
}

// tests: C-59
#[tokio::test]
async fn what_is_free_is_granted_to_an_empty_account_and_reserves_nothing() {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 0);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;free", kind, n).with(subscription(1, "1001"));
    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(3))).await;
    let service = answer.services()[0];
    assert_eq!((service.number(&[code::RESULT_CODE]), service.octets()), (Some(2001), Some(100 * MB)));
    assert!(service.find(&[code::FINAL_UNIT_INDICATION]).is_none());
    let answer = ask(&mut client, request(UPDATE, 1).with(used_and_wanted(3, 100 * MB))).await;
    assert_eq!((answer.services()[0].octets(), node.balance(20)), (Some(100 * MB), (0, 0)));
}

// tests: G-150 G-151
#[tokio::test]
async fn an_answer_holds_what_clients_know_and_nothing_of_the_request() {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 0);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    for request in [
        ccr_of(1, "pgw.example;a", INITIAL, 0).with(wanted(1)).with(wanted(2)).with(wanted(99)),
        ccr_of(1, "pgw.example;a", UPDATE, 1).with(used_and_wanted(1, MB)),
        ccr_of(1, "pgw.example;a", TERMINATION, 2).with(used_only(1, MB)),
        ccr_of(1, "pgw.example;a", UPDATE, 3).with(used_only(1, MB)),
        ccr("pgw.example;b", INITIAL, 0).with(subscription(1, "1001")).with(wanted(1)).with(wanted(99)),
        ccr("pgw.example;c", INITIAL, 0).with(subscription(1, "1001")).with(any()),
        ccr("pgw.example;d", INITIAL, 0).with(subscription(1, "none")).with(wanted(1)),
        in_context("unknown@example", ccr_of(1, "pgw.example;e", INITIAL, 0)).with(wanted(1)),
        in_context("32274@3gpp.org", ccr_of(1, "pgw.example;f", EVENT, 0)).with(number(code::REQUESTED_ACTION, 2)),
    ] {
        ask(&mut client, request).await;
    }
    let echoed = [
        code::SUBSCRIPTION_ID,
        code::SERVICE_CONTEXT_ID,
        code::REQUESTED_SERVICE_UNIT,
        code::USED_SERVICE_UNIT,
        code::REQUESTED_ACTION,
    ];
    // Of section 17 of the reference for CCA, and of 3GPP what belongs into its MSCC.
    let command = [
        &HEAD[..],
        &[code::MULTIPLE_SERVICES_CREDIT_CONTROL, code::GRANTED_SERVICE_UNIT, code::COST_INFORMATION],
        &[code::FINAL_UNIT_INDICATION, code::VALIDITY_TIME, code::FAILED_AVP, CHECK_BALANCE_RESULT],
        &[CC_SESSION_FAILOVER, CREDIT_CONTROL_FAILURE_HANDLING, LOW_BALANCE_INDICATION],
    ]
    .concat();
    let in_mscc = [
        code::GRANTED_SERVICE_UNIT,
        code::RATING_GROUP,
        code::SERVICE_IDENTIFIER,
        code::VALIDITY_TIME,
        code::RESULT_CODE,
        code::FINAL_UNIT_INDICATION,
        code::VOLUME_QUOTA_THRESHOLD,
        QUOTA_HOLDING_TIME,
    ];
    for answer in &client.received[1..] {
        assert!(echoed.iter().all(|code| !answer.has(*code)), "{:?}", answer.codes());
        for avp in answer.avps() {
            let optional = avp.flags & 0x40 == 0;
            assert!(optional || command.contains(&avp.code), "{} has M and is not known to clients", avp.code);
        }
        for avp in answer.services().iter().flat_map(|service| avps(service.0)) {
            assert!(avp.flags & 0x40 == 0 || in_mscc.contains(&avp.code), "{} in an MSCC", avp.code);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Sessions

// tests: C-19 C-25 B-202 G-22
#[tokio::test]
async fn an_end_is_taken_from_any_account_for_any_cause() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let causes = [1, 2, 3, 4, 5, 6, 7, 8, 11, 32];
    for (n, cause) in (0..).zip(causes) {
        let account = 30 + n;
        node.provision(account, &[(IdentityKind::Imsi, &account.to_string())], 20_000);
        let request = |kind, number| {
            ccr(&format!("pgw.example;end;{n}"), kind, number).with(subscription(1, &account.to_string()))
        };
        ask(&mut client, request(INITIAL, 0).with(wanted(1))).await;
        assert_eq!(node.balance(account), (20_000, 20_000));
        // Barred meanwhile, or all spent.
        match n % 3 {
            0 => node.set_state(account, AccountState::Suspended),
            1 => node.set_state(account, AccountState::Terminated),
            _ => {
                ask(&mut client, request(UPDATE, 1).with(used_and_wanted(1, 2 * MB))).await;
            }
        }
        let before = node.balance(account).0;
        let end = request(TERMINATION, 2).with(used_only(1, MB)).with(number(code::TERMINATION_CAUSE, cause));
        let answer = ask(&mut client, end).await;
        assert_eq!((answer.result(), node.balance(account)), (2001, (before - 10_000, 0)), "cause {cause}");
        assert!(node.account(account).sessions.is_empty());
    }
}

// tests: C-111 C-12
#[tokio::test]
async fn an_error_of_the_application_is_a_whole_answer_and_ends_the_session() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 20_000);
    let request = |kind, n| ccr("pgw.example;error", kind, n).with(subscription(1, "1001"));
    ask(&mut client, request(INITIAL, 0).with(any())).await;
    // All is spent: without an MSCC the whole command is refused, its usage is charged, and the session is over.
    let answer = ask(&mut client, request(UPDATE, 1).with(any()).with(used(2 * MB))).await;
    assert_eq!((answer.result(), answer.is_error(), &answer.codes()[..7]), (4012, false, &HEAD[..]));
    assert_eq!((node.balance(20), node.account(20).sessions.len()), ((0, 0), 0));
    for (request, result) in [
        (request(TERMINATION, 2), 5002),
        (ccr("pgw.example;error;2", INITIAL, 0).with(subscription(1, "none")).with(wanted(1)), 5030),
        (in_context("none@example", ccr_of(1, "pgw.example;error;3", INITIAL, 0)).with(wanted(1)), 5031),
    ] {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.is_error(), &answer.codes()[..7]), (result, false, &HEAD[..]));
    }
}

// tests: C-151 C-154 G-114
#[tokio::test]
async fn how_to_fail_is_told_at_the_start_and_only_there() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let told = [CC_SESSION_FAILOVER, CREDIT_CONTROL_FAILURE_HANDLING, DIRECT_DEBITING_FAILURE_HANDLING];
    let request = |kind, n| ccr_of(1, "pgw.example;fail", kind, n).with(used_and_wanted(1, MB));
    let answer = ask(&mut client, request(INITIAL, 0)).await;
    // Sessions live on this node: another one could not go on with them.
    assert_eq!(answer.number(&[CC_SESSION_FAILOVER]), Some(0));
    assert!(answer.has(CREDIT_CONTROL_FAILURE_HANDLING));
    let event = in_context("32274@3gpp.org", ccr_of(1, "pgw.example;fail;e", EVENT, 0));
    for request in [request(UPDATE, 1), request(TERMINATION, 2), event.with(number(code::REQUESTED_ACTION, 0))] {
        let answer = ask(&mut client, request).await;
        assert_eq!(answer.result(), 2001);
        assert!(told.iter().all(|code| !answer.has(*code)));
    }
    let refused = ccr("pgw.example;fail;2", INITIAL, 0).with(subscription(1, "none")).with(wanted(1));
    let answer = ask(&mut client, refused).await;
    assert!(told.iter().all(|code| !answer.has(*code)));
    // Who has answered stays the same, so that Destination-Host leads here for the life of the session.
    let hosts = client.received.iter().map(|answer| answer.text(code::ORIGIN_HOST).unwrap());
    assert!(hosts.eq(client.received.iter().map(|_| "ocs1.tollgate.example")));
    let addressed = ccr_of(1, "pgw.example;fail;3", INITIAL, 0).with(wanted(1));
    let addressed = addressed.with(text(code::DESTINATION_HOST, "OCS1.tollgate.example"));
    assert_eq!(ask(&mut client, addressed).await.result(), 2001);
}

// tests: G-10 G-11 G-13 G-14
#[tokio::test]
async fn the_three_modes_of_charging() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "smsc.example").await;
    let one = || group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, 1)]);
    let sent = |n| group(code::USED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, n)]);
    let sms = |session: &str, kind, n| in_context("32274@3gpp.org", ccr_of(1, session, kind, n));

    // IEC: debited in one step.
    let answer =
        ask(&mut client, sms("iec", EVENT, 0).with(number(code::REQUESTED_ACTION, 0)).with(mscc(&[one()]))).await;
    assert_eq!((codes_of(&answer)[0].1, node.balance(1)), (Some(2001), (BALANCE - 100_000, 0)));

    // ECUR: reserved, then debited; whether the message was delivered shows in the end.
    let mut left = BALANCE - 100_000;
    for (session, end, cost) in [
        ("delivered", mscc(&[sent(1)]), 100_000),
        ("failed", mscc(&[sent(0)]), 0),
        ("failed, and says nothing", mscc(&[]), 0),
    ] {
        ask(&mut client, sms(session, INITIAL, 0).with(mscc(&[one()]))).await;
        assert_eq!(node.balance(1), (left, 100_000), "{session}");
        ask(&mut client, sms(session, TERMINATION, 1).with(end)).await;
        left -= cost;
        assert_eq!(node.balance(1), (left, 0), "{session}");
    }
    // It has no update, but one is taken.
    ask(&mut client, sms("updated", INITIAL, 0).with(mscc(&[one()]))).await;
    let answer = ask(&mut client, sms("updated", UPDATE, 1).with(mscc(&[one(), sent(1)]))).await;
    assert_eq!((codes_of(&answer)[0].1, node.balance(1)), (Some(2001), (left - 100_000, 100_000)));
    ask(&mut client, sms("updated", TERMINATION, 2)).await;
    left -= 100_000;

    // SCUR: again and again.
    let data = |kind, n| ccr_of(1, "scur", kind, n);
    ask(&mut client, data(INITIAL, 0).with(wanted(1))).await;
    for n in 1..4 {
        ask(&mut client, data(UPDATE, n).with(used_and_wanted(1, MB))).await;
        left -= 10_000;
        assert_eq!(node.balance(1), (left, 100_000));
    }
    ask(&mut client, data(TERMINATION, 4).with(used_only(1, MB))).await;
    assert_eq!(node.balance(1), (left - 10_000, 0));
}

// tests: G-40 G-41 C-103
#[tokio::test]
async fn usage_is_charged_for_whatever_reason_it_is_reported() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    ask(&mut client, ccr_of(1, "pgw.example;why", INITIAL, 0).with(wanted(1))).await;
    let (mut n, mut left) = (0, BALANCE);
    // Ten reasons; in either place, in both, or none; with a request and without.
    for value in 0..10_u32 {
        let reason = tgpp(code::REPORTING_REASON, &value.to_be_bytes());
        for place in 0..4 {
            for wants in [true, false] {
                n += 1;
                let mut units = vec![long(code::CC_TOTAL_OCTETS, MB)];
                let mut members = vec![rating_group(1)];
                if place & 1 == 1 {
                    units.push(reason.clone());
                }
                if place & 2 == 2 {
                    members.push(reason.clone());
                }
                members.push(group(code::USED_SERVICE_UNIT, &units));
                members.extend(wants.then(any));
                let answer = ask(&mut client, ccr_of(1, "pgw.example;why", UPDATE, n).with(mscc(&members))).await;
                left -= 10_000;
                let what = format!("reason {value}, place {place}, wants {wants}");
                assert_eq!((answer.result(), answer.services().len()), (2001, usize::from(wants)), "{what}");
                assert_eq!(node.balance(1), (left, if wants { 100_000 } else { 0 }), "{what}");
            }
        }
    }
}

// tests: C-160 C-162 G-20
#[tokio::test]
async fn units_are_answered_where_they_were_asked() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "as.example").await;
    let answer = ask(&mut client, ccr("as.example;1", INITIAL, 0).with(subscription(1, &imsi(1))).with(any())).await;
    assert_eq!((answer.services().len(), answer.part().octets()), (0, Some(10 * MB)));
    assert_eq!(answer.number(&[code::VALIDITY_TIME]), Some(3_600));
    let answer =
        ask(&mut client, ccr("as.example;2", INITIAL, 0).with(subscription(1, &imsi(1))).with(wanted(1))).await;
    assert_eq!((answer.services()[0].octets(), answer.has(code::GRANTED_SERVICE_UNIT)), (Some(10 * MB), false));
}

// tests: G-33 G-54 G-73
#[tokio::test]
async fn what_is_told_beside_the_usage_does_not_change_its_price() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let time = |code| tgpp(code, &0xed00_3780_u32.to_be_bytes());
    // Envelope-Start-Time and -End-Time; the volume and the time of it are part of what is reported, not more.
    let envelope = tgpp(1_266, &[time(1_269), time(1_267), long(code::CC_TOTAL_OCTETS, 50 * MB)].concat());
    let related = tgpp(3_926, &tgpp(870, &4_u32.to_be_bytes()));
    let events = group(code::USED_SERVICE_UNIT, &[number(code::CC_TIME, 61), time(1_258), time(1_258), time(1_258)]);
    let voice = |kind, n| in_context("32260@3gpp.org", ccr_of(1, "pgw.example;beside", kind, n));
    ask(&mut client, voice(INITIAL, 0).with(mscc(&[any()]))).await;
    // Two started minutes, whatever the envelope and the number of time stamps say.
    let report = mscc(&[events, envelope, related, any()]);
    let answer = ask(&mut client, voice(UPDATE, 1).with(report)).await;
    assert_eq!((codes_of(&answer)[0].1, node.balance(1).0), (Some(2001), BALANCE - 2 * 150_000));
}

// tests: C-107
#[tokio::test]
async fn nobody_is_asked_again_because_of_an_event() {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 100_000);
    let mut client = Client::open(node.diameter(), "smsc.example").await;
    let sms = |n| {
        let request = ccr("smsc.example;event", EVENT, n).with(subscription(1, "1001"));
        in_context("32274@3gpp.org", request).with(number(code::REQUESTED_ACTION, 0))
    };
    assert_eq!(ask(&mut client, sms(0)).await.result(), 2001);
    assert_eq!(ask(&mut client, sms(1)).await.result(), 4012);
    // Where a session waits for credit, a top-up is told to it; an event waits for nothing.
    let session = |kind, n| ccr("pgw.example;waits", kind, n).with(subscription(1, "1001")).with(wanted(99));
    ask(&mut client, session(INITIAL, 0)).await;
    node.top_up(20, 1_000_000, "more");
    let asked = client.receive().await;
    assert_eq!((asked.is_request(), asked.text(code::SESSION_ID)), (true, Some("pgw.example;waits")));
    client.is_served().await;
}

// tests: I-12 C-105
#[tokio::test]
async fn requests_that_cross_a_re_authorisation_are_served_as_they_are() {
    let node = TestNode::demo().await;
    // Two MB of television; then the user is redirected, and a top-up is told.
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 40_000);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr("pgw.example;cross", kind, n).with(subscription(1, "1001"));
    ask(&mut client, request(INITIAL, 0).with(wanted(99))).await;
    node.top_up(20, 1_000_000, "more");
    let rar = client.receive().await;
    assert_eq!((rar.command(), rar.is_request()), (258, true));
    // Its requests were on their way already, several at once, and are answered before it says a word about the RAR.
    let updates = [(2, 99), (1, 1), (3, 2)];
    let octets = updates.map(|(n, group)| request(UPDATE, n).with(used_and_wanted(group, MB)).numbered(n).octets());
    client.send(&octets.concat()).await;
    for (n, group) in updates {
        let answer = client.receive().await;
        assert_eq!((answer.hop_by_hop(), answer.result()), (n, 2001));
        assert_eq!(codes_of(&answer), [(Some(group), Some(2001))]);
    }
    // An MB of television, one of the internet, one of video.
    assert_eq!(node.balance(20).0, 1_040_000 - 20_000 - 10_000 - 5_000);
    let mut raa =
        Request::new(258, 4, vec![text(code::SESSION_ID, "pgw.example;cross"), number(code::RESULT_CODE, 2001)]);
    raa = raa.with(text(code::ORIGIN_HOST, "pgw.example")).with(text(code::ORIGIN_REALM, "gateways.example"));
    (raa.flags, raa.hop_by_hop, raa.end_to_end) = (0x40, rar.hop_by_hop(), rar.end_to_end());
    client.send(&raa.octets()).await;
    let answer = ask(&mut client, request(TERMINATION, 4)).await;
    assert_eq!((answer.result(), node.balance(20)), (2001, (1_005_000, 0)));
}
