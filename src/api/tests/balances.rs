//! `BalanceService`.

use super::*;

#[tokio::test]
async fn a_request_id_credits_once() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut balances = node.balances().await;

    let request = top_up(by_msisdn(&msisdn(1)), "2.50", "pay-1");
    let first = balances.top_up(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, v1::TopUpResponse { balance: Some(cny("3.50")), duplicate: false });
    balances.top_up(top_up(by_id(1), "1", "pay-2")).await.unwrap();
    // The first answer, not the balance of now.
    let again = balances.top_up(request).await.unwrap().into_inner();
    assert_eq!(again, v1::TopUpResponse { balance: Some(cny("3.50")), duplicate: true });
    refused(balances.top_up(top_up(by_id(1), "2.51", "pay-1")).await, Code::FailedPrecondition, "`pay-1` was used");
    let mut euros = top_up(by_id(1), "2.50", "pay-1");
    euros.amount.as_mut().unwrap().currency = "EUR".into();
    refused(balances.top_up(euros.clone()).await, Code::FailedPrecondition, "in CNY, not EUR");
    euros.request_id = "pay-3".into();
    refused(balances.top_up(euros).await, Code::FailedPrecondition, "in CNY, not EUR");
    let account = node.accounts().await.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await;
    assert_eq!(account.unwrap().into_inner().account.unwrap().balance, Some(cny("4.50")));

    let grant = v1::GrantAllowanceRequest {
        account: Some(by_id(1)),
        allowance: "data-1gb".into(),
        request_id: "bundle-1".into(),
        ..Default::default()
    };
    let first = balances.grant_allowance(grant.clone()).await.unwrap().into_inner();
    let again = balances.grant_allowance(grant.clone()).await.unwrap().into_inner();
    assert_eq!((first.duplicate, again.duplicate, first.bucket_id), (false, true, again.bucket_id));
    let other = v1::GrantAllowanceRequest { allowance: "sms-100".into(), ..grant };
    refused(balances.grant_allowance(other).await, Code::FailedPrecondition, "`bundle-1` was used");
    node.stop().await;
}

/// The price list has changed between a request and its repetition.
#[tokio::test]
async fn a_repetition_is_answered_as_before_whatever_the_catalog_has_by_now() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::with(open(directory.path(), CATALOG, 1_000)).await;
    let (mut balances, mut accounts) = (node.balances().await, node.accounts().await);
    let created = v1::CreateAccountRequest { plan: "prepaid".into(), ..new_account(1, "8") };
    accounts.create_account(created.clone()).await.unwrap();
    let grant = |request_id: &str| v1::GrantAllowanceRequest {
        account: Some(by_id(1)),
        allowance: "data-1gb".into(),
        request_id: request_id.into(),
        ..Default::default()
    };
    let plan = |request_id: &str| v1::SetPlanRequest {
        account: Some(by_id(1)),
        plan: "prepaid".into(),
        reason: "new".into(),
        request_id: request_id.into(),
    };
    let first = balances.grant_allowance(grant("a-1")).await.unwrap().into_inner();
    accounts.set_plan(plan("p-1")).await.unwrap();
    let bare = &CATALOG[..CATALOG.find("[[allowance]]").unwrap()];
    let request = v1::PublishCatalogRequest {
        toml: bare.into(),
        running_sessions: v1::RunningSessions::Finish.into(),
        reason: "bare".into(),
        request_id: "c-1".into(),
        ..Default::default()
    };
    let mut catalog = v1::catalog_service_client::CatalogServiceClient::new(node.channel().await);
    catalog.publish_catalog(request).await.unwrap();
    let again = balances.grant_allowance(grant("a-1")).await.unwrap().into_inner();
    assert_eq!((again.bucket_id, again.duplicate), (first.bucket_id, true));
    accounts.set_plan(plan("p-1")).await.unwrap();
    accounts.create_account(created).await.unwrap();
    let gone = "allowance: the catalog has no allowance `data-1gb`";
    refused(balances.grant_allowance(grant("a-2")).await, Code::NotFound, gone);
    refused(accounts.set_plan(plan("p-2")).await, Code::NotFound, "plan: the catalog has no plan `prepaid`");
    node.stop().await;
}

#[tokio::test]
async fn refusals_name_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut balances = node.balances().await;
    refused(balances.top_up(top_up(by_id(9), "1", "a")).await, Code::NotFound, "account 9 does not exist");
    for (amount, message) in [
        ("", "amount.amount: `` is not an amount"),
        ("1,5", "amount.amount: `1,5` is not an amount"),
        ("0.0000001", "more than six fractional digits"),
        ("99999999999999", "out of range"),
        ("0", "amount.amount: must be above zero"),
        ("-1", "amount.amount: must be above zero"),
    ] {
        refused(balances.top_up(top_up(by_id(1), amount, "a")).await, Code::InvalidArgument, message);
    }
    for (request_id, message) in [("", "request_id: is required"), (&*"ä".repeat(65), "request_id: has more than 64")]
    {
        refused(balances.top_up(top_up(by_id(1), "1", request_id)).await, Code::InvalidArgument, message);
    }
    balances.top_up(top_up(by_id(1), "1", &"ä".repeat(64))).await.unwrap();
    let without = v1::TopUpRequest { amount: None, ..top_up(by_id(1), "1", "a") };
    refused(balances.top_up(without).await, Code::InvalidArgument, "amount: is required");
    let adjust = |amount: &str, reason: &str| v1::AdjustRequest {
        account: Some(by_id(1)),
        amount: Some(cny(amount)),
        request_id: "adjust-1".into(),
        reason: reason.into(),
    };
    refused(balances.adjust(adjust("0", "x")).await, Code::InvalidArgument, "amount.amount: must not be zero");
    refused(balances.adjust(adjust("1", "")).await, Code::InvalidArgument, "reason: is required");
    let adjusted = balances.adjust(adjust("-0.5", "wrong voucher")).await.unwrap().into_inner();
    assert_eq!(adjusted.balance, Some(cny("1.50")));
    node.stop().await;
}

#[tokio::test]
async fn history_explains_every_line() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "5").await;
    let mut balances = node.balances().await;
    node.top_up(1, "2", "pay-1").await;
    let adjust = v1::AdjustRequest {
        account: Some(by_id(1)),
        amount: Some(cny("-1")),
        request_id: "adjust-1".into(),
        reason: "wrong voucher".into(),
    };
    balances.adjust(adjust).await.unwrap();
    node.interrogate(1, "s1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "s1", RequestKind::Update, 1, 2_500_000).await;
    node.interrogate(1, "s1", RequestKind::Termination, 2, 500_000).await;
    let grant = v1::GrantAllowanceRequest {
        account: Some(by_id(1)),
        allowance: "data-1gb".into(),
        request_id: "bundle-1".into(),
        ..Default::default()
    };
    balances.grant_allowance(grant).await.unwrap();
    node.interrogate(1, "s2", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "s2", RequestKind::Update, 1, 1_000_000).await;

    let list = v1::ListHistoryRequest { account: Some(by_id(1)) };
    let entries = balances.list_history(list.clone()).await.unwrap().into_inner().entries;
    let told: Vec<&str> = entries.iter().map(|entry| entry.explanation.as_str()).collect();
    let expected = [
        "Opening balance of 5.00 CNY.",
        "Top-up of 2.00 CNY.",
        "1.00 CNY taken by an operator: wrong voucher.",
        "internet: 3,000,000 octets = 3 blocks of 1 MB at 0.01 CNY per MB: 0.03 CNY. Catalog version 1.",
        "Allowance data-1gb of 1,000,000,000 octets given.",
        "internet: 1,000,000 octets, all paid by an allowance. Catalog version 1. The session still runs: this is \
         what it has used so far.",
    ];
    assert_eq!(told, expected);
    assert_eq!((entries[2].service.as_str(), entries[2].reason.as_str()), ("", "wrong voucher"));
    assert_eq!((entries[3].amount.clone(), entries[3].session_id.as_str()), (Some(cny("-0.03")), "s1"));
    assert_eq!((entries[5].open, entries[5].units_from_allowance), (true, 1_000_000));
    node.stop().await;

    // The price has doubled since: what was charged is explained by the version that it was charged by.
    let dearer = CATALOG.replace("price = \"0.01\"", "price = \"0.02\"");
    let node = Node::with(open(directory.path(), &dearer, 1_000)).await;
    let entries = node.balances().await.list_history(list).await.unwrap().into_inner().entries;
    assert_eq!((entries[3].explanation.as_str(), entries[3].catalog_version), (expected[3], 1));
    // The open session goes by the new one from its next request on.
    node.interrogate(1, "s2", RequestKind::Update, 2, 0).await;
    let running = v1::ListSessionsRequest { account: Some(by_id(1)), ..Default::default() };
    let running = node.sessions().await.list_sessions(running).await.unwrap().into_inner().sessions;
    assert_eq!(running[0].catalog_version, 2);
    node.stop().await;
}

#[tokio::test]
async fn prices_are_explained_and_touch_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let night =
        "[[tariff]]\nservice = \"internet\"\nname = \"night\"\nfrom = \"22:00\"\nprice = \"0.005\"\nper = \"1 MB\"\n";
    let node = Node::with(open(directory.path(), &[CATALOG, night].concat(), 1_000)).await;
    let mut catalog = v1::catalog_service_client::CatalogServiceClient::new(node.channel().await);
    let request = v1::PriceRequest {
        service_context_id: "32251@3gpp.org".into(),
        rating_group: Some(1),
        units: 1_000_000,
        units_before: 500_000,
        ..Default::default()
    };
    let price = catalog.price(request.clone()).await.unwrap().into_inner();
    assert_eq!((price.price.clone(), price.kind()), (Some(cny("0.01")), v1::UnitKind::Octets));
    assert!(price.explanation.contains("at 0.01 CNY per MB"), "{}", price.explanation);
    let tariff = |name: &str| v1::PriceRequest { tariff: name.into(), ..request.clone() };
    let price = catalog.price(tariff("night")).await.unwrap().into_inner();
    assert_eq!(price.price, Some(cny("0.005")));
    assert!(price.explanation.contains("at 0.005 CNY per MB"), "{}", price.explanation);
    refused(catalog.price(tariff("day")).await, Code::NotFound, "tariff: ");
    let unknown = v1::PriceRequest { service_context_id: "x".into(), ..request.clone() };
    refused(catalog.price(unknown).await, Code::NotFound, "service_context_id: ");
    let beyond = v1::PriceRequest { units: u64::MAX, ..request };
    refused(catalog.price(beyond).await, Code::InvalidArgument, "units: ");

    let check = |toml: &str| v1::ValidateCatalogRequest { toml: toml.to_owned() };
    assert!(catalog.validate_catalog(check(CATALOG)).await.unwrap().into_inner().problems.is_empty());
    let problems = catalog.validate_catalog(check("currency = \"CNY\"\nprize = 1\n")).await.unwrap().into_inner();
    assert!(problems.problems.iter().any(|problem| (problem.line, problem.column) == (2, 1)), "{problems:?}");
    assert_eq!(node.store.last_position(), crate::journal::Position(1), "the catalog alone");
    node.stop().await;
}
