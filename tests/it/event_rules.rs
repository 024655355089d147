//! Rules of one-time events: one request, one answer, no session.

use tollgate::ids::IdentityKind;

use crate::{
    client::Client,
    interop_rules::{BALANCE, ask, ccr, codes_of, mscc, subscription, wanted},
    support::{DEMO_CATALOG, TestNode},
    wire::{Message, Request, code, group, long, number, text},
};

const INITIAL: u32 = 1;
const EVENT: u32 = 4;

const DEBIT: u32 = 0;
const CHECK: u32 = 2;
const ENQUIRY: u32 = 3;

const CHECK_BALANCE_RESULT: u32 = 422;
/// Of one message in the demo's price list.
const PRICE: i64 = 100_000;

/// A request about messages of the subscriber with this IMSI.
fn sms(session: &str, request_number: u32, imsi: &str, action: u32) -> Request {
    ccr(session, EVENT, request_number)
        .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"))
        .with(subscription(1, imsi))
        .with(number(code::REQUESTED_ACTION, action))
}

fn messages(count: u64) -> Vec<u8> {
    group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, count)])
}

fn money(digits: u64, exponent: i32, currency: u32) -> Vec<u8> {
    let value = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, digits), number(code::EXPONENT, exponent as u32)]);
    group(code::REQUESTED_SERVICE_UNIT, &[group(code::CC_MONEY, &[value, number(code::CURRENCY_CODE, currency)])])
}

fn granted_messages(answer: &Message) -> Option<u64> {
    answer.part().long(&[code::GRANTED_SERVICE_UNIT, code::CC_SERVICE_SPECIFIC_UNITS])
}

/// A node with one more subscriber, IMSI 1001 of account 20, who has the price of some messages.
async fn node(affordable: i64) -> (TestNode, Client) {
    let node = TestNode::demo().await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], affordable * PRICE);
    let client = Client::open(node.diameter(), "smsc.example").await;
    (node, client)
}

// tests: C-130 G-10
#[tokio::test]
async fn an_event_is_debited_whole_or_not_at_all() {
    let (node, mut client) = node(5).await;
    let answer = ask(&mut client, sms("smsc.example;1", 0, "1001", DEBIT).with(messages(3))).await;
    assert_eq!((answer.result(), granted_messages(&answer), node.balance(20)), (2001, Some(3), (2 * PRICE, 0)));
    // Two could be paid, three are asked: nothing is granted and nothing taken.
    let answer = ask(&mut client, sms("smsc.example;2", 0, "1001", DEBIT).with(messages(3))).await;
    assert_eq!((answer.result(), answer.is_error(), granted_messages(&answer)), (4012, false, None));
    assert_eq!(node.balance(20), (2 * PRICE, 0));
    // What a session holds cannot be spent.
    let asked = mscc(&[messages(1)]);
    let held = ccr("smsc.example;3", INITIAL, 0)
        .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"));
    ask(&mut client, held.with(subscription(1, "1001")).with(asked)).await;
    assert_eq!(node.balance(20), (2 * PRICE, PRICE));
    let answer = ask(&mut client, sms("smsc.example;4", 0, "1001", DEBIT).with(messages(2))).await;
    assert_eq!((answer.result(), node.balance(20)), (4012, (2 * PRICE, PRICE)));
    let answer = ask(&mut client, sms("smsc.example;5", 0, "1001", DEBIT).with(messages(1))).await;
    assert_eq!((answer.result(), node.balance(20)), (2001, (PRICE, PRICE)));
    // Units that are not named are one.
    let answer = ask(&mut client, sms("smsc.example;6", 0, "1001", DEBIT)).await;
    assert_eq!((answer.result(), node.balance(20)), (4012, (PRICE, PRICE)));
    assert!(node.account(20).sessions.len() == 1, "an event leaves no session");
}

// tests: C-131 G-13
#[tokio::test]
async fn an_event_of_money_is_debited_as_it_is() {
    let (node, mut client) = node(10).await;
    let answer = ask(&mut client, sms("smsc.example;1", 0, "1001", DEBIT).with(money(37, -2, 156))).await;
    let granted = answer.part().money(&[code::GRANTED_SERVICE_UNIT, code::CC_MONEY]);
    assert_eq!((answer.result(), granted), (2001, Some((370_000, Some(156)))));
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((370_000, Some(156))));
    assert_eq!(node.balance(20), (10 * PRICE - 370_000, 0));
    let answer = ask(&mut client, sms("smsc.example;2", 0, "1001", DEBIT).with(money(1, 0, 156))).await;
    assert_eq!((answer.result(), node.balance(20)), (4012, (10 * PRICE - 370_000, 0)));
}

// tests: C-132 C-133 G-21
#[tokio::test]
async fn a_check_says_yes_or_no_and_an_enquiry_the_price_and_neither_leaves_a_trace() {
    let (node, mut client) = node(3).await;
    // One of the three is held by a session: available is what is not.
    let held = ccr("smsc.example;held", INITIAL, 0)
        .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"));
    ask(&mut client, held.with(subscription(1, "1001")).with(mscc(&[messages(1)]))).await;
    let before = node.node.store.last_position();
    for (n, (count, no_credit)) in (0..).zip([(1, 0), (2, 0), (3, 1), (1_000, 1)]) {
        let answer = ask(&mut client, sms(&format!("smsc.example;c{n}"), 0, "1001", CHECK).with(messages(count))).await;
        assert_eq!((answer.result(), answer.number(&[CHECK_BALANCE_RESULT])), (2001, Some(no_credit)), "{count}");
        assert!(!answer.has(code::GRANTED_SERVICE_UNIT));
        let answer =
            ask(&mut client, sms(&format!("smsc.example;p{n}"), 0, "1001", ENQUIRY).with(messages(count))).await;
        let cost = answer.part().money(&[code::COST_INFORMATION]);
        assert_eq!((answer.result(), cost), (2001, Some((count as i64 * PRICE, Some(156)))), "{count}");
        assert!(!answer.has(CHECK_BALANCE_RESULT) && !answer.has(code::GRANTED_SERVICE_UNIT));
    }
    assert_eq!((node.balance(20), node.node.store.last_position()), ((3 * PRICE, PRICE), before));
}

// tests: C-134
#[tokio::test]
async fn an_event_is_answered_where_its_units_were() {
    let (node, mut client) = node(10).await;
    let answer = ask(&mut client, sms("smsc.example;1", 0, "1001", DEBIT).with(messages(2))).await;
    assert_eq!((granted_messages(&answer), answer.services().len()), (Some(2), 0));
    let asked = mscc(&[number(code::RATING_GROUP, 700), messages(2)]);
    let answer = ask(&mut client, sms("smsc.example;2", 0, "1001", DEBIT).with(asked)).await;
    assert_eq!((granted_messages(&answer), codes_of(&answer)), (None, vec![(Some(700), Some(2001))]));
    let service = answer.services()[0];
    assert_eq!(service.long(&[code::GRANTED_SERVICE_UNIT, code::CC_SERVICE_SPECIFIC_UNITS]), Some(2));
    assert_eq!(node.balance(20), (6 * PRICE, 0));
}

// tests: C-135 C-140 C-142
#[tokio::test]
async fn an_event_is_known_again_and_one_name_may_serve_for_many() {
    let (node, mut client) = node(10).await;
    let request = sms("smsc.example;same", 0, "1001", DEBIT).with(messages(1));
    let answer = ask(&mut client, request.clone()).await;
    // With other identifiers, as after a failover.
    let again = ask(&mut client, request).await;
    assert_eq!((&again.0[20..], node.balance(20)), (&answer.0[20..], (9 * PRICE, 0)));
    // A client that uses one Session-Id for all its events counts them.
    for n in 1..4 {
        let answer = ask(&mut client, sms("smsc.example;same", n, "1001", DEBIT).with(messages(1))).await;
        assert_eq!((answer.result(), node.balance(20)), (2001, ((9 - i64::from(n)) * PRICE, 0)));
    }
}

// tests: C-137
#[tokio::test]
async fn a_free_event_debits_nothing() {
    let catalog = DEMO_CATALOG.replace("price = \"1.00\"\nper = \"1 event\"", "free = true\nslice = \"1 event\"");
    assert_ne!(catalog, DEMO_CATALOG);
    let node = TestNode::start(&catalog, |_| {}).await;
    node.provision(20, &[(IdentityKind::Imsi, "1001")], 0);
    let mut client = Client::open(node.diameter(), "content.example").await;
    let content = text(code::SERVICE_CONTEXT_ID, "Comverse.DCI");
    let request = sms("content.example;1", 0, "1001", DEBIT).replacing(code::SERVICE_CONTEXT_ID, content);
    let answer = ask(&mut client, request.with(messages(1))).await;
    assert_eq!((answer.result(), granted_messages(&answer), node.balance(20)), (2001, Some(1), (0, 0)));
}

// tests: C-144
#[tokio::test]
async fn a_refusal_that_changed_nothing_is_thought_over_and_one_for_lack_of_credit_is_not() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "smsc.example").await;
    // Unknown then, known now: the retry is served.
    let event = sms("smsc.example;1", 0, "1001", DEBIT).with(messages(1));
    let opened = ccr("pgw.example;1", INITIAL, 0).with(subscription(1, "1001")).with(wanted(1));
    assert_eq!(ask(&mut client, event.clone()).await.result(), 5030);
    assert_eq!(ask(&mut client, opened.clone()).await.result(), 5030);
    node.provision(20, &[(IdentityKind::Imsi, "1001")], BALANCE);
    assert_eq!(ask(&mut client, event).await.result(), 2001);
    assert_eq!(ask(&mut client, opened).await.result(), 2001);
    // No credit then, some now: the same request keeps its answer, another one gets another.
    node.provision(21, &[(IdentityKind::Imsi, "1002")], 0);
    let poor = sms("smsc.example;2", 0, "1002", DEBIT).with(messages(1));
    assert_eq!(ask(&mut client, poor.clone()).await.result(), 4012);
    node.top_up(21, PRICE, "some");
    assert_eq!(ask(&mut client, poor).await.result(), 4012);
    let next = sms("smsc.example;2", 1, "1002", DEBIT).with(messages(1));
    assert_eq!((ask(&mut client, next).await.result(), node.balance(21)), (2001, (0, 0)));
}

// tests: C-162
#[tokio::test]
async fn an_enquiry_need_not_say_who_asks() {
    let (node, mut client) = node(10).await;
    let nobody = |n, action| {
        ccr("smsc.example;nobody", EVENT, n)
            .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"))
            .with(number(code::REQUESTED_ACTION, action))
            .with(messages(3))
    };
    let before = node.node.store.last_position();
    let answer = ask(&mut client, nobody(0, ENQUIRY)).await;
    let cost = answer.part().money(&[code::COST_INFORMATION]);
    assert_eq!((answer.result(), cost), (2001, Some((3 * PRICE, Some(156)))));
    // What cannot be priced is not, and everything but a price is somebody's; so is the price for somebody unknown.
    let unknown = text(code::SERVICE_CONTEXT_ID, "unknown@example");
    let answer = ask(&mut client, nobody(1, ENQUIRY).replacing(code::SERVICE_CONTEXT_ID, unknown.clone())).await;
    assert_eq!(answer.result(), 5031);
    for (request, result) in [
        (nobody(2, DEBIT), 5030),
        (nobody(3, CHECK), 5030),
        (nobody(4, ENQUIRY).with(subscription(1, "999")), 5030),
        (nobody(5, ENQUIRY).with(text(code::USER_NAME, "nobody@example")), 5030),
    ] {
        let answer = ask(&mut client, request).await;
        assert_eq!((answer.result(), answer.has(code::COST_INFORMATION)), (result, false));
    }
    assert_eq!(node.node.store.last_position(), before, "no enquiry leaves a trace");
}
