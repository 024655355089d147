//! `AccountService`.

use super::*;

#[tokio::test]
async fn creating_the_same_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut accounts = node.accounts().await;

    let request = v1::CreateAccountRequest { allowances: vec!["data-1gb".into()], ..new_account(7, "12.5") };
    let first = accounts.create_account(request.clone()).await.unwrap().into_inner().account.unwrap();
    assert_eq!(first.balance, Some(cny("12.50")));
    assert_eq!((first.state(), first.buckets.len()), (v1::AccountState::Active, 2));
    let position = node.store.last_position();
    let again = accounts.create_account(request).await.unwrap().into_inner().account.unwrap();
    assert_eq!((again, node.store.last_position()), (first, position));
    refused(accounts.create_account(new_account(7, "12.6")).await, Code::AlreadyExists, "account 7");
    // What was given later does not count; what it was opened with does.
    let given = v1::GrantAllowanceRequest {
        account: Some(by_id(7)),
        allowance: "sms-100".into(),
        request_id: "gift".into(),
        ..Default::default()
    };
    node.balances().await.grant_allowance(given).await.unwrap();
    let with = |allowances: &[&str]| v1::CreateAccountRequest {
        allowances: allowances.iter().map(|name| (*name).to_owned()).collect(),
        ..new_account(7, "12.5")
    };
    accounts.create_account(with(&["data-1gb"])).await.unwrap();
    for other in [&[][..], &["sms-100"], &["data-1gb", "sms-100"], &["data-1gb", "data-1gb"]] {
        refused(accounts.create_account(with(other)).await, Code::AlreadyExists, "account 7");
    }

    let line = new_subscriber(7, "line", &["+8613900000001", "8613900000002"]);
    let first = accounts.create_subscriber(line).await.unwrap().into_inner().account.unwrap();
    let other_order = new_subscriber(7, "line", &["8613900000002", "8613900000001"]);
    let again = accounts.create_subscriber(other_order).await.unwrap().into_inner().account.unwrap();
    assert_eq!(again, first);
    let other_content = new_subscriber(7, "line", &["8613900000002"]);
    refused(accounts.create_subscriber(other_content).await, Code::AlreadyExists, "`line`");

    accounts.create_account(new_account(8, "0")).await.unwrap();
    let taken = new_subscriber(8, "line", &["8613900000003", "8613900000002"]);
    let refusal = accounts.create_subscriber(taken).await;
    // A message may end up in a log: it does not tell the number in full.
    assert!(!refusal.as_ref().unwrap_err().message().contains("8613900000002"));
    refused(refusal, Code::AlreadyExists, "8613*******02");
    // The number that came before the taken one is free again.
    accounts.create_subscriber(new_subscriber(8, "line", &["8613900000003"])).await.unwrap();

    let found = accounts.get_account(v1::GetAccountRequest { account: Some(by_msisdn("8613900000003")) }).await;
    assert_eq!(found.unwrap().into_inner().account.unwrap().account_id, 8);
    node.stop().await;
}

#[tokio::test]
async fn refusals_name_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut accounts = node.accounts().await;
    let bad = |change: fn(&mut v1::CreateAccountRequest)| {
        let mut request = new_account(1, "1");
        change(&mut request);
        request
    };
    for (request, code, message) in [
        (bad(|r| r.account_id = 0), Code::InvalidArgument, "account_id: must be above 0"),
        (bad(|r| r.currency.clear()), Code::InvalidArgument, "currency: is required"),
        (bad(|r| r.currency = "cny".into()), Code::InvalidArgument, "currency: `cny` is not a known ISO 4217"),
        (bad(|r| r.currency = "EUR".into()), Code::FailedPrecondition, "all prices are in CNY"),
        (bad(|r| r.initial_balance = Some(cny("1e3"))), Code::InvalidArgument, "initial_balance.amount: `1e3`"),
        (bad(|r| r.initial_balance = Some(cny("-1"))), Code::InvalidArgument, "initial_balance.amount: must not be"),
        (
            bad(|r| r.credit_limit = Some(v1::Money { currency: "EUR".into(), amount: "1".into() })),
            Code::InvalidArgument,
            "credit_limit.currency: is EUR, the account is in CNY",
        ),
        (bad(|r| r.allowances = vec!["no".into()]), Code::NotFound, "allowances[0]: the catalog has no allowance `no`"),
        (bad(|r| r.allowances = vec!["sms-100".into(); 33]), Code::InvalidArgument, "allowances: are more than 32"),
    ] {
        refused(accounts.create_account(request).await, code, message);
    }

    accounts.create_account(new_account(1, "1")).await.unwrap();
    let many: Vec<String> = (0..17).map(msisdn).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (request, code, message) in [
        (new_subscriber(9, "a", &["49"]), Code::NotFound, "account: 9 does not exist"),
        (new_subscriber(1, "", &["49"]), Code::InvalidArgument, "subscriber.subscriber_id: is required"),
        (new_subscriber(1, &"a".repeat(65), &["49"]), Code::InvalidArgument, "more than 64 characters"),
        (new_subscriber(1, "a\n", &["49"]), Code::InvalidArgument, "control character"),
        (new_subscriber(1, "a", &[]), Code::InvalidArgument, "subscriber.identities: must be 1 to 16"),
        (new_subscriber(1, "a", &many), Code::InvalidArgument, "subscriber.identities: must be 1 to 16"),
        (new_subscriber(1, "a", &["49", "x"]), Code::InvalidArgument, "subscriber.identities[1].value: "),
        (new_subscriber(1, "a", &["49", "+49"]), Code::InvalidArgument, "the same identity twice"),
    ] {
        refused(accounts.create_subscriber(request).await, code, message);
    }

    for (account, code, message) in [
        (None, Code::InvalidArgument, "account: is required"),
        (Some(by_id(0)), Code::InvalidArgument, "account.account_id: must be above 0"),
        (Some(by_id(5)), Code::NotFound, "account: 5 does not exist"),
        (Some(by_msisdn("4912345678901")), Code::NotFound, "account.identity: no subscriber has 4912*******01"),
        (Some(by_msisdn("")), Code::InvalidArgument, "account.identity.value: "),
    ] {
        refused(accounts.get_account(v1::GetAccountRequest { account }).await, code, message);
    }
    node.stop().await;
}

#[tokio::test]
async fn operators_suspend_activate_and_terminate() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut accounts = node.accounts().await;
    let request = |state: v1::AccountState, reason: &str| v1::SetAccountStateRequest {
        account: Some(by_id(1)),
        state: state.into(),
        reason: reason.to_owned(),
    };
    for state in [v1::AccountState::Suspended, v1::AccountState::Active, v1::AccountState::Terminated] {
        let account = accounts.set_account_state(request(state, "because")).await.unwrap().into_inner().account;
        assert_eq!(account.unwrap().state(), state);
    }
    let active = v1::AccountState::Active;
    refused(accounts.set_account_state(request(active, "again")).await, Code::FailedPrecondition, "is terminated");
    refused(accounts.set_account_state(request(active, "")).await, Code::InvalidArgument, "reason: is required");
    let stopped = v1::AccountState::Stopped;
    refused(accounts.set_account_state(request(stopped, "x")).await, Code::InvalidArgument, "state: must be");
    node.stop().await;
}

#[tokio::test]
async fn members_are_set_listed_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut accounts = node.accounts().await;
    accounts.create_account(new_account(1, "10")).await.unwrap();
    for number in 1..=3 {
        let line = new_subscriber(1, &format!("line-{number}"), &[&msisdn(number)]);
        accounts.create_subscriber(line).await.unwrap();
    }
    let limit = |limit| v1::MemberLimit {
        period: v1::member_limit::Period::Day.into(),
        limit: Some(v1::member_limit::Limit::Money(cny(limit))),
        used_kind: None,
    };
    let set = |name: &str, request_id: &str| v1::SetMemberRequest {
        account: Some(by_id(1)),
        subscriber_id: name.to_owned(),
        order: v1::PayOrder::OwnFirst.into(),
        limits: vec![limit("2.5")],
        request_id: request_id.to_owned(),
        reason: "a family".to_owned(),
    };
    for (name, request_id) in [("line-1", "m1"), ("line-2", "m2")] {
        let done = accounts.set_member(set(name, request_id)).await.unwrap().into_inner();
        let member = done.member.unwrap();
        assert_eq!(
            (member.subscriber_id.as_str(), member.order(), done.duplicate),
            (name, v1::PayOrder::OwnFirst, false)
        );
        assert_eq!(member.limits[0].limit, Some(v1::member_limit::Limit::Money(cny("2.50"))));
        assert_eq!(member.limits[0].used_kind, Some(v1::member_limit::UsedKind::UsedMoney(cny("0.00"))));
    }
    let position = node.store.last_position();
    assert!(accounts.set_member(set("line-1", "m1")).await.unwrap().into_inner().duplicate);
    assert_eq!(node.store.last_position(), position);
    let bad = |change: fn(&mut v1::SetMemberRequest)| {
        let mut request = set("line-1", "m3");
        change(&mut request);
        request
    };
    for (request, code, message) in [
        (bad(|r| r.order = 0), Code::InvalidArgument, "order: is required"),
        (bad(|r| r.reason.clear()), Code::InvalidArgument, "reason: is required"),
        (bad(|r| r.request_id.clear()), Code::InvalidArgument, "request_id: is required"),
        (bad(|r| r.limits[0].period = 0), Code::InvalidArgument, "limits[0].period: is required"),
        (bad(|r| r.limits[0].limit = None), Code::InvalidArgument, "limits[0].limit: is required"),
        (bad(|r| r.limits.push(r.limits[0].clone())), Code::InvalidArgument, "two limits of day:money"),
        (bad(|r| r.subscriber_id = "nobody".into()), Code::NotFound, "no subscriber `nobody`"),
        (bad(|r| r.request_id = "m1".into()), Code::Ok, ""),
        (bad(|r| (r.request_id, r.order) = ("m1".into(), 2)), Code::FailedPrecondition, "`m1` was used"),
    ] {
        match code {
            Code::Ok => assert!(accounts.set_member(request).await.unwrap().into_inner().duplicate),
            code => refused(accounts.set_member(request).await, code, message),
        }
    }

    let own = v1::TopUpRequest { member: "line-1".into(), ..top_up(by_id(1), "3", "t1") };
    node.balances().await.top_up(own).await.unwrap();
    let given = v1::GrantAllowanceRequest {
        account: Some(by_id(1)),
        allowance: "sms-100".into(),
        request_id: "g1".into(),
        member: "line-2".into(),
    };
    node.balances().await.grant_allowance(given).await.unwrap();
    node.interrogate(1, "s1", RequestKind::Initial, 0, 0).await;
    let shown = accounts.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await.unwrap().into_inner();
    let account = shown.account.unwrap();
    assert_eq!((account.balance, account.buckets.len(), account.members.len()), (Some(cny("13.00")), 3, 2));
    let [first, second] = &account.members[..] else { panic!("{:?}", account.members) };
    assert_eq!((first.balance.clone(), first.live_sessions), (Some(cny("3.00")), 1));
    assert_ne!(first.reserved, Some(cny("0.00")));
    assert_eq!((second.units[0].amount, second.live_sessions), (100, 0));
    assert_eq!(account.buckets.iter().filter(|bucket| bucket.member == "line-1").count(), 1);

    let page = |page_token: &str| v1::ListMembersRequest {
        account: Some(by_id(1)),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let one = accounts.list_members(page("")).await.unwrap().into_inner();
    let two = accounts.list_members(page(&one.next_page_token)).await.unwrap().into_inner();
    assert_eq!((&one.members[0], &two.members[0], two.next_page_token.as_str()), (first, second, ""));
    refused(accounts.list_members(page("+1")).await, Code::InvalidArgument, "page_token");

    let remove = |request_id: &str| v1::RemoveMemberRequest {
        account: Some(by_id(1)),
        subscriber_id: "line-1".into(),
        request_id: request_id.to_owned(),
        reason: "moved out".into(),
    };
    assert!(!accounts.remove_member(remove("r1")).await.unwrap().into_inner().duplicate);
    assert!(accounts.remove_member(remove("r1")).await.unwrap().into_inner().duplicate);
    refused(accounts.remove_member(remove("r2")).await, Code::NotFound, "`line-1` is no member");
    let third = v1::RemoveSubscriberRequest {
        account: Some(by_id(1)),
        subscriber_id: "line-3".into(),
        request_id: "r3".into(),
        reason: "moved out".into(),
    };
    accounts.remove_subscriber(third).await.unwrap();
    let shown = accounts.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await.unwrap().into_inner();
    let account = shown.account.unwrap();
    assert_eq!((account.balance, account.reserved), (Some(cny("13.00")), Some(cny("0.00"))));
    assert_eq!((account.subscribers.len(), account.live_sessions), (1, 0));
    let gone = v1::GetAccountRequest { account: Some(by_msisdn(&msisdn(1))) };
    refused(accounts.get_account(gone).await, Code::NotFound, "");
    node.stop().await;
}
