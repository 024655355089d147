//! Plans, validity, terms of credit, and lists of accounts.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

const PLANS: &str = include_str!("../../../tests/it/charging_tables/plans.toml");
const DAY: i64 = 86_400;

async fn node(directory: &Path) -> Node {
    Node::with(open(directory, PLANS, 1_000)).await
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn with_plan(id: u64, plan: &str) -> v1::CreateAccountRequest {
    v1::CreateAccountRequest { plan: plan.into(), ..new_account(id, "8") }
}

fn set_plan(id: u64, plan: &str) -> v1::SetPlanRequest {
    v1::SetPlanRequest { account: Some(by_id(id)), plan: plan.into(), reason: "test".into(), request_id: String::new() }
}

#[tokio::test]
async fn an_account_is_created_with_its_plan_and_its_cycle_day() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(directory.path()).await;
    let mut accounts = node.accounts().await;

    let request = v1::CreateAccountRequest { cycle_day: 15, ..with_plan(7, "prepaid") };
    let made = accounts.create_account(request.clone()).await.unwrap().into_inner().account.unwrap();
    assert_eq!((&*made.plan, made.lapsed, made.ends_at), ("prepaid", false, 0));
    assert!((now() - made.activated_at).abs() < 60, "{made:?}");
    assert_eq!(made.valid_until, made.activated_at + 30 * DAY);
    let position = node.store.last_position();
    let again = accounts.create_account(request.clone()).await.unwrap().into_inner().account.unwrap();
    assert_eq!((again, node.store.last_position()), (made, position));
    for other in [
        v1::CreateAccountRequest { plan: "starter".into(), ..request.clone() },
        v1::CreateAccountRequest { plan: String::new(), ..request.clone() },
        v1::CreateAccountRequest { cycle_day: 14, ..request.clone() },
    ] {
        refused(accounts.create_account(other).await, Code::AlreadyExists, "account 7");
    }
    // What an operator changes since is not changed back by a repetition.
    accounts.set_plan(set_plan(7, "")).await.unwrap();
    let again = accounts.create_account(request.clone()).await.unwrap().into_inner().account.unwrap();
    assert_eq!(again.plan, "");
    // A creation that was interrupted before the plan is finished by its repetition.
    accounts.create_account(new_account(8, "8")).await.unwrap();
    let made = accounts.create_account(with_plan(8, "starter")).await.unwrap().into_inner().account.unwrap();
    assert_eq!((&*made.plan, made.activated_at, made.valid_until), ("starter", 0, 0));

    let bad = v1::CreateAccountRequest { cycle_day: 29, ..with_plan(9, "") };
    refused(accounts.create_account(bad).await, Code::InvalidArgument, "cycle_day: must be");
    refused(
        accounts.create_account(with_plan(9, "gold")).await,
        Code::NotFound,
        "plan: the catalog has no plan `gold`",
    );
    let get = v1::GetAccountRequest { account: Some(by_id(9)) };
    refused(accounts.get_account(get).await, Code::NotFound, "9 does not exist");
    node.stop().await;
}

#[tokio::test]
async fn terms_are_changed_and_refusals_name_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(directory.path()).await;
    let mut accounts = node.accounts().await;
    accounts.create_account(new_account(1, "8")).await.unwrap();

    let account = accounts.set_plan(set_plan(1, "prepaid")).await.unwrap().into_inner().account.unwrap();
    let until = account.valid_until;
    let extend = |extension, request_id: &str| v1::ExtendValidityRequest {
        account: Some(by_id(1)),
        extension,
        reason: "gesture".into(),
        request_id: request_id.into(),
    };
    use v1::extend_validity_request::Extension;
    for _ in 0..2 {
        let request = extend(Some(Extension::BySecs(86_400)), "one-day");
        let account = accounts.extend_validity(request).await.unwrap().into_inner().account.unwrap();
        assert_eq!(account.valid_until, until + DAY);
    }
    let request = extend(Some(Extension::Until(until + 9 * DAY)), "nine");
    let account = accounts.extend_validity(request).await.unwrap().into_inner().account.unwrap();
    assert_eq!(account.valid_until, until + 9 * DAY);
    for (request, code, message) in [
        (extend(None, "x"), Code::InvalidArgument, "extension: is required"),
        (extend(Some(Extension::BySecs(0)), "x"), Code::InvalidArgument, "by_secs: must be"),
        (extend(Some(Extension::Until(-1)), "x"), Code::InvalidArgument, "until: must be"),
        (extend(Some(Extension::Until(until)), "x"), Code::FailedPrecondition, "is no extension"),
        (extend(Some(Extension::BySecs(u64::MAX)), "x"), Code::InvalidArgument, "hundred years"),
        (extend(Some(Extension::BySecs(1)), ""), Code::InvalidArgument, "request_id: is required"),
        (extend(Some(Extension::BySecs(1)), "one-day"), Code::FailedPrecondition, "request id `one-day`"),
    ] {
        refused(accounts.extend_validity(request).await, code, message);
    }

    let limit = |amount: &str| v1::SetCreditLimitRequest {
        account: Some(by_id(1)),
        credit_limit: Some(cny(amount)),
        reason: "test".into(),
        request_id: String::new(),
    };
    let account = accounts.set_credit_limit(limit("5")).await.unwrap().into_inner().account.unwrap();
    assert_eq!(account.credit_limit, Some(cny("5.00")));
    refused(accounts.set_credit_limit(limit("-1")).await, Code::InvalidArgument, "credit_limit.amount: must not");
    let none = v1::SetCreditLimitRequest { credit_limit: None, ..limit("0") };
    refused(accounts.set_credit_limit(none).await, Code::InvalidArgument, "credit_limit: is required");

    let red_list = |never_stop, reason: &str| v1::SetNeverStopRequest {
        account: Some(by_id(1)),
        never_stop,
        reason: reason.into(),
        request_id: String::new(),
    };
    assert!(accounts.set_never_stop(red_list(true, "vip")).await.unwrap().into_inner().account.unwrap().never_stop);
    refused(accounts.set_never_stop(red_list(true, "")).await, Code::InvalidArgument, "reason: is required");
    assert!(!accounts.set_never_stop(red_list(false, "over")).await.unwrap().into_inner().account.unwrap().never_stop);

    let account = accounts.set_plan(set_plan(1, "")).await.unwrap().into_inner().account.unwrap();
    assert_eq!((&*account.plan, account.valid_until), ("", 0));
    refused(accounts.set_plan(set_plan(1, "gold")).await, Code::NotFound, "plan: the catalog has no plan `gold`");
    refused(accounts.set_plan(set_plan(5, "prepaid")).await, Code::NotFound, "account 5 does not exist");
    let request = extend(Some(Extension::BySecs(1)), "y");
    refused(accounts.extend_validity(request).await, Code::FailedPrecondition, "has no end");
    node.stop().await;
}

#[tokio::test]
async fn accounts_are_listed_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let made = node(directory.path()).await;
    let mut accounts = made.accounts().await;
    // Created in no order.
    for id in (1..=40u64).map(|id| id * 17 % 41) {
        let plan = ["", "prepaid", "starter"][id as usize % 3];
        let request = v1::CreateAccountRequest { plan: plan.into(), ..new_account(id, &format!("{id}.5")) };
        accounts.create_account(request).await.unwrap();
    }
    drop(accounts);
    made.stop().await;
    // Also after a start, which finds the accounts in another order.
    let node = node(directory.path()).await;
    let all = list(&node, &v1::ListAccountsRequest { page_size: 7, ..Default::default() }).await;
    assert_eq!(all, (1..=40).collect::<Vec<_>>());
    let whole = list(&node, &v1::ListAccountsRequest::default()).await;
    assert_eq!(whole, all);
    let mut accounts = node.accounts().await;
    let change = v1::SetAccountStateRequest {
        account: Some(by_id(5)),
        state: v1::AccountState::Suspended.into(),
        reason: "test".into(),
    };
    accounts.set_account_state(change).await.unwrap();
    accounts.create_account(new_account(41, "0")).await.unwrap();

    let with = |change: fn(&mut v1::ListAccountsRequest)| {
        let mut request = v1::ListAccountsRequest { page_size: 3, ..Default::default() };
        change(&mut request);
        request
    };
    for (request, expected) in [
        (with(|it| it.plan = "prepaid".into()), (1..=40).filter(|id| id % 3 == 1).collect()),
        (with(|it| it.balance_below = Some(cny("3.5"))), vec![1, 2, 41]),
        (with(|it| it.state = v1::AccountState::Suspended.into()), vec![5]),
        (with(|it| it.lapsed = Some(true)), vec![]),
        (
            with(|it| (it.plan, it.lapsed) = ("starter".into(), Some(false))),
            (1..=40).filter(|id| id % 3 == 2).collect(),
        ),
        (with(|it| (it.plan, it.balance_below) = ("starter".into(), Some(cny("6")))), vec![2, 5]),
        (with(|it| it.product = "none".into()), vec![]),
    ] {
        assert_eq!(list(&node, &request).await, expected, "{request:?}");
    }
    for (request, message) in [
        (with(|it| it.page_size = 501), "page_size: must be at most 500"),
        (with(|it| it.page_token = "x".into()), "page_token: is not one"),
        (with(|it| it.state = 99), "state: is none"),
        (with(|it| it.balance_below = Some(v1::Money::default())), "balance_below.currency: is required"),
    ] {
        refused(accounts.list_accounts(request).await, Code::InvalidArgument, message);
    }
    node.stop().await;
}

/// The ids of all pages, in order; none of them twice, and no page larger than asked for.
async fn list(node: &Node, request: &v1::ListAccountsRequest) -> Vec<u64> {
    let mut accounts = node.accounts().await;
    let (mut ids, mut request) = (Vec::new(), request.clone());
    loop {
        let page = accounts.list_accounts(request.clone()).await.unwrap().into_inner();
        assert!(request.page_size == 0 || page.accounts.len() <= request.page_size as usize);
        ids.extend(page.accounts.iter().map(|account| account.account_id));
        if page.next_page_token.is_empty() {
            ids.sort_unstable();
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}
