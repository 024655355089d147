//! Accounts do not depend on each other: in whatever order their requests come, each gets the same.

use crate::{
    client::Client,
    interop_rules::{MB, ccr_of, mscc, used_and_wanted, used_only, wanted},
    support::TestNode,
    wire::{Message, Request, code, number},
};

const ACCOUNTS: u64 = 5;
const STEPS: u32 = 12;

/// What one account's clients ask, in order: two sessions, their updates and ends, and a resend now and then. All of it
/// follows from the account's number.
fn script(account: u64) -> Vec<Request> {
    let session = |n: u32| format!("pgw.example;{account};{n}");
    let request = |n, kind, number| ccr_of(account, &session(n), kind, number);
    let groups = [1, 2, 3, 99];
    let mut requests = vec![request(1, 1, 0).with(wanted(1)), request(2, 1, 0).with(wanted(2)).with(wanted(3))];
    for step in 1..=STEPS {
        let group = groups[(account as usize + step as usize) % groups.len()];
        let octets = MB * (account + u64::from(step));
        let service = if step % 3 == 0 { used_only(group, octets) } else { used_and_wanted(group, octets) };
        requests.push(request(1 + step % 2, 2, step).with(service));
        if step % 4 == 0 {
            requests.push(requests[requests.len() - 2].clone());
        }
    }
    let last = mscc(&[number(code::RATING_GROUP, 1)]);
    requests.push(request(1, 3, STEPS + 1).with(last));
    requests.push(request(2, 3, STEPS + 1).with(used_only(2, MB * account)));
    (1..).zip(requests).map(|(n, request)| request.numbered(account as u32 * 1_000 + n)).collect()
}

/// Plays all scripts in an order of accounts; the answers and the balances of each account.
async fn played(order: impl Iterator<Item = u64>) -> Vec<(Vec<Message>, (i64, i64))> {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let mut scripts: Vec<_> = (1..=ACCOUNTS).map(|account| script(account).into_iter()).collect();
    let mut answers = vec![Vec::new(); scripts.len()];
    for account in order {
        let at = account as usize - 1;
        if let Some(request) = scripts[at].next() {
            answers[at].push(client.ask(&request).await);
        }
    }
    assert!(scripts.iter().all(|script| script.len() == 0), "all is asked");
    node.node.store.check().unwrap();
    (1..).zip(answers).map(|(account, answers)| (answers, node.balance(account))).collect()
}

// tests: C-186
#[tokio::test]
async fn accounts_do_not_depend_on_each_others_order() {
    let length = script(1).len() as u64;
    let one_by_one = played((1..=ACCOUNTS).flat_map(|account| std::iter::repeat_n(account, length as usize))).await;
    assert!(one_by_one.iter().any(|(_, balance)| *balance != one_by_one[0].1), "the accounts differ");
    let in_turn = played((0..length * ACCOUNTS).map(|n| n % ACCOUNTS + 1)).await;
    let backwards =
        played((1..=ACCOUNTS).rev().flat_map(|account| std::iter::repeat_n(account, length as usize))).await;
    assert_eq!(one_by_one, in_turn);
    assert_eq!(one_by_one, backwards);
}
