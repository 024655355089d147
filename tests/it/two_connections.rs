//! One client on two connections: copies of a request by both ways, requests of one session by both ways, a request of the
//! server that crosses one of the client, and a client that comes back without its memory.

use crate::{
    client::{Client, PATIENCE, cer, expect_answer},
    interop_rules::{ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Message, RETRANSMITTED, Request, code, group, long, number, text},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;
const MB: u64 = 1_000_000;
/// The one client of these tests; requests name it as their origin.
const HOST: &str = "pgw.example";
/// Of the seeded accounts: 100.00. A MB of rating group 1 is 0.01, a grant of it 10 MB; of group 2 half of that and 50 MB.
const BALANCE: i64 = 100_000_000;
/// Enough for both orders of what is not ordered.
const ROUNDS: u32 = 40;

/// An MSCC that reports octets and asks for more.
fn used_and_wanted(rating_group: u32, octets: u64) -> Vec<u8> {
    let members = [
        number(code::RATING_GROUP, rating_group),
        group(code::REQUESTED_SERVICE_UNIT, &[]),
        group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, octets)]),
    ];
    group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &members)
}

fn used_only(rating_group: u32, octets: u64) -> Vec<u8> {
    let used = group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, octets)]);
    group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, &[number(code::RATING_GROUP, rating_group), used])
}

/// The copy of a request that goes another way: T, its own hop-by-hop id, the same end-to-end id (spec B-92, B-94).
fn copy_of(request: &Request) -> Request {
    let hop_by_hop = request.hop_by_hop + 0x0100_0000;
    Request { flags: request.flags | RETRANSMITTED, hop_by_hop, ..request.clone() }
}

/// Two answers to one request: each has the id of its own way, all else is the same.
fn expect_same(answers: [&Message; 2], requests: [&Request; 2]) {
    for (answer, request) in answers.into_iter().zip(requests) {
        expect_answer(&Message(request.octets()), answer);
    }
    assert_eq!(answers[0].result(), 2001);
    assert_eq!(answers[0].0[16..], answers[1].0[16..]);
}

/// A node, and both connections of the client, with its session 1 open: 10 MB are granted.
async fn opened(balance: i64) -> (TestNode, Client, Client) {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.seed.balance = tollgate::units::Money::from_micros(balance);
    })
    .await;
    let mut first = Client::open(node.diameter(), HOST).await;
    let second = Client::open(node.diameter(), HOST).await;
    let answer = first.ask_new(ccr_of(1, SESSION, INITIAL, 0).with(wanted(1))).await;
    assert_eq!(answer.result(), 2001);
    (node, first, second)
}

const SESSION: &str = "pgw.example;2;1";

// tests: C-142 C-F7 B-93 B-94 B-95
#[tokio::test]
async fn the_copy_comes_after_its_original() {
    let (node, mut first, mut second) = opened(BALANCE).await;
    let update = ccr_of(1, SESSION, UPDATE, 1).with(used_and_wanted(1, 10 * MB)).numbered(7);
    let answer = first.ask(&update).await;
    let repeated = second.ask(&copy_of(&update)).await;
    expect_same([&answer, &repeated], [&update, &copy_of(&update)]);
    assert_eq!(node.balance(1), (BALANCE - 100_000, 100_000));
    judged_by_tshark(first.received.iter().chain(&second.received));
}

// tests: C-142 C-145 C-F7 B-93 B-95
#[tokio::test]
async fn the_copy_comes_before_its_original() {
    let (node, mut first, mut second) = opened(BALANCE).await;
    let update = ccr_of(1, SESSION, UPDATE, 1).with(used_and_wanted(1, 10 * MB)).numbered(7);
    let answer = second.ask(&copy_of(&update)).await;
    let late = first.ask(&update).await;
    expect_same([&answer, &late], [&copy_of(&update), &update]);
    assert_eq!(node.balance(1), (BALANCE - 100_000, 100_000));
    // Also when the session is over meanwhile.
    let last = ccr_of(1, SESSION, TERMINATION, 2).with(used_only(1, MB)).numbered(8);
    let answer = second.ask(&copy_of(&last)).await;
    let late = first.ask(&last).await;
    expect_same([&answer, &late], [&copy_of(&last), &last]);
    assert_eq!(node.balance(1), (BALANCE - 110_000, 0));
    assert!(node.orphans().is_empty());
}

// tests: B-97 B-93 B-95 C-142 C-183
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_copies_are_under_way_at_once() {
    let (node, mut first, mut second) = opened(BALANCE).await;
    for n in 1..=ROUNDS {
        let update = ccr_of(1, SESSION, UPDATE, n).with(used_and_wanted(1, MB)).numbered(n);
        let copy = copy_of(&update);
        let (answer, repeated) = tokio::join!(first.ask(&update), second.ask(&copy));
        expect_same([&answer, &repeated], [&update, &copy]);
        assert_eq!(node.balance(1), (BALANCE - i64::from(n) * 10_000, 100_000), "round {n}");
    }
}

// tests: C-F7 C-142 C-145 B-95 B-97
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_breaks_before_the_answer() {
    let (node, first, mut second) = opened(BALANCE).await;
    drop(first);
    for n in 1..=ROUNDS {
        let mut breaks = Client::open(node.diameter(), HOST).await;
        let update = ccr_of(1, SESSION, UPDATE, n).with(used_and_wanted(1, MB)).numbered(n);
        breaks.send(&update.octets()).await;
        drop(breaks);
        // It may be processed, lost, or still to come.
        let answer = second.ask(&copy_of(&update)).await;
        assert_eq!((answer.result(), answer.services()[0].octets()), (2001, Some(10 * MB)));
        assert_eq!(node.balance(1), (BALANCE - i64::from(n) * 10_000, 100_000), "round {n}");
    }
    // Once more, all of them: the answers of the latest are still known, those of the others may not be. Nothing is charged.
    for n in 1..=ROUNDS {
        let update = ccr_of(1, SESSION, UPDATE, n).with(used_and_wanted(1, MB)).numbered(n);
        let again = second.ask(&copy_of(&update)).await;
        assert!(n < ROUNDS || again.result() == 2001);
    }
    assert_eq!(node.balance(1), (BALANCE - i64::from(ROUNDS) * 10_000, 100_000));
}

// tests: C-17 C-48 C-92 C-F12 B-185
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_one_session_by_both_ways_at_once() {
    let (node, mut first, mut second) = opened(BALANCE).await;
    let joined = first.ask_new(ccr_of(1, SESSION, UPDATE, 1).with(wanted(2))).await;
    assert_eq!(joined.services()[0].octets(), Some(50 * MB));
    for round in 1..=ROUNDS {
        // The higher number may come first.
        let requests = [(2 * round + 1, 1), (2 * round, 2)]
            .map(|(n, group)| ccr_of(1, SESSION, UPDATE, n).with(used_and_wanted(group, MB)).numbered(n));
        let answers = tokio::join!(first.ask(&requests[0]), second.ask(&requests[1]));
        for (answer, (n, group, grant)) in
            [(answers.0, (2 * round + 1, 1, 10 * MB)), (answers.1, (2 * round, 2, 50 * MB))]
        {
            assert_eq!((answer.result(), answer.number(&[code::CC_REQUEST_NUMBER])), (2001, Some(n)));
            let [service] = answer.services()[..] else { panic!("{answer:?}") };
            let told = (service.number(&[code::RATING_GROUP]), service.number(&[code::RESULT_CODE]), service.octets());
            assert_eq!(told, (Some(group), Some(2001), Some(grant)), "round {round}");
        }
        // 10 MB and 50 MB are held, whatever the order was.
        assert_eq!(node.balance(1), (BALANCE - i64::from(round) * 15_000, 100_000 + 250_000), "round {round}");
    }
}

/// Answers a Re-Auth-Request.
fn raa(rar: &Message, result: u32) -> Request {
    let avps = vec![
        text(code::SESSION_ID, rar.text(code::SESSION_ID).unwrap()),
        number(code::RESULT_CODE, result),
        text(code::ORIGIN_HOST, HOST),
        text(code::ORIGIN_REALM, "gateways.example"),
    ];
    let mut answer = Request::new(258, 4, avps);
    (answer.flags, answer.hop_by_hop, answer.end_to_end) = (0x40, rar.hop_by_hop(), rar.end_to_end());
    answer
}

impl TestNode {
    /// Whether a session of account 1 is still to be re-authorised.
    async fn asks_again(&self) -> bool {
        let session = self.node.store.session(SESSION.as_bytes()).unwrap();
        self.node.store.mark().durable(session).await.unwrap().reauthorise
    }
}

// tests: C-104 C-105 C-101 B-135
#[tokio::test]
async fn a_re_authorisation_crosses_an_update() {
    // 5 MB: every grant is the last, so every top-up is followed by a RAR.
    let (node, mut first, mut second) = opened(50_000).await;
    let mut ways = [&mut first, &mut second];
    for (round, result) in (1..).zip([2001, 2002, 2001, 2002]) {
        node.top_up(1, 50_000, &round.to_string());
        // The last request came by the first of them, so the question goes there. It is on its way when the client sends.
        let rar = ways[0].receive().await;
        assert_eq!((rar.command(), rar.is_request(), rar.text(code::SESSION_ID)), (258, true, Some(SESSION)));
        assert!(node.asks_again().await);
        let update = ccr_of(1, SESSION, UPDATE, round).with(used_and_wanted(1, 5 * MB));
        let answer = ways[1].ask_new(update).await;
        assert_eq!((answer.result(), answer.services()[0].octets()), (2001, Some(5 * MB)), "processed as any");
        // That was the update that the server had asked for, though the client says so only now.
        assert!(!node.asks_again().await);
        ways[0].send(&raa(&rar, result).octets()).await;
        ways[0].is_served().await;
        assert!(!node.asks_again().await);
        ways.swap(0, 1);
    }
    assert_eq!(node.balance(1), (50_000, 50_000));
    judged_by_tshark(first.received.iter().chain(&second.received));
}

// tests: B-190 B-191 C-182
#[tokio::test]
async fn a_client_comes_back_without_its_memory() {
    const ORIGIN_STATE_ID: u32 = 278;
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.restart_grace_secs = 1).await;
    let introduced = async |host: &str, state: u32| {
        let mut client = Client::tcp(node.diameter()).await;
        let cea = client.ask(&cer(host, "gateways.example").with(number(ORIGIN_STATE_ID, state))).await;
        assert_eq!(cea.result(), 2001);
        client
    };
    let mut before = introduced(HOST, 100).await;
    let mut neighbour = introduced("other.example", 5).await;
    assert_eq!(before.ask_new(ccr_of(1, SESSION, INITIAL, 0).with(wanted(1))).await.result(), 2001);
    let theirs = ccr_of(2, "other.example;1", INITIAL, 0)
        .replacing(code::ORIGIN_HOST, text(code::ORIGIN_HOST, "other.example"))
        .with(wanted(1));
    assert_eq!(neighbour.ask_new(theirs).await.result(), 2001);

    // The same value, a lower one and none say nothing.
    for state in [100, 99, 0] {
        let mut same = introduced(HOST, state).await;
        same.is_served().await;
        assert_eq!(node.balance(1), (BALANCE, 100_000));
    }
    let mut after = introduced(HOST, 101).await;
    // What was sent before the restart may still be on its way: it is served.
    let update = ccr_of(1, SESSION, UPDATE, 1).with(used_and_wanted(1, MB)).with(number(ORIGIN_STATE_ID, 100));
    assert_eq!(before.ask_new(update).await.result(), 2001);
    assert_eq!(node.balance(1), (BALANCE - 10_000, 100_000));
    // Then the session is over: its reservation is released, and nothing more is charged.
    let released = async {
        while node.balance(1) != (BALANCE - 10_000, 0) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, released).await.expect("the reservation is released");
    let gone = after.ask_new(ccr_of(1, SESSION, UPDATE, 2).with(used_and_wanted(1, MB))).await;
    assert_eq!(gone.result(), 5002);
    // Others keep theirs, and new ones are opened.
    assert_eq!(node.balance(2), (BALANCE, 100_000));
    assert_eq!(after.ask_new(ccr_of(1, "pgw.example;2;2", INITIAL, 0).with(wanted(1))).await.result(), 2001);
}
