//! Usage records and the audit trail, asked for by callers.

use super::*;

fn list(page_size: u32, page_token: &str) -> v1::ListRecordsRequest {
    v1::ListRecordsRequest { page_size, page_token: page_token.to_owned(), ..Default::default() }
}

async fn settled(node: &Node) {
    node.store.mark().wait_for(node.store.last_position()).await.unwrap();
    node.store.write_trails().unwrap();
}

#[tokio::test]
async fn records_are_listed_by_pages_and_filters_and_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.create(2, "2").await;
    for account in [1, 2] {
        let session = format!("gw;{account}");
        node.interrogate(account, &session, RequestKind::Initial, 0, 0).await;
        node.interrogate(account, &session, RequestKind::Termination, 1, 2_500_000).await;
    }
    node.interrogate(1, "gw;runs", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;runs", RequestKind::Update, 1, 1_000_000).await;
    node.top_up(2, "5", "pay-1").await;
    settled(&node).await;

    let mut records = node.records().await;
    let all = records.list_records(list(0, "")).await.unwrap().into_inner();
    let kinds: Vec<_> = all.records.iter().map(|record| (&*record.kind, record.account_id.unwrap())).collect();
    let expected = [("opening", 1), ("opening", 2), ("session", 1), ("session", 2), ("top_up", 2)];
    assert_eq!((kinds.as_slice(), &*all.next_page_token), (expected.as_slice(), ""));
    let usage = &all.records[2];
    assert_eq!(
        (&*usage.session_id, usage.units, &*usage.unit, &*usage.cause, usage.rating_group),
        ("gw;1", 2_500_000, "octets", "terminated", Some(1))
    );
    assert_eq!((usage.debited.clone(), usage.balance.clone()), (Some(cny("0.03")), Some(cny("0.97"))));
    assert_eq!((&*all.records[4].request_id, all.records[4].credited.clone()), ("pay-1", Some(cny("5.00"))));

    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = records.list_records(list(2, &token)).await.unwrap().into_inner();
        assert!(page.records.len() <= 2);
        paged.extend(page.records);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all.records);
    let of_two = v1::ListRecordsRequest { account: Some(by_msisdn(&msisdn(2))), ..list(0, "") };
    assert_eq!(records.list_records(of_two).await.unwrap().into_inner().records.len(), 3);
    let of_service = v1::ListRecordsRequest { service: usage.service.clone(), ..list(0, "") };
    assert_eq!(records.list_records(of_service).await.unwrap().into_inner().records.len(), 2);
    let long_ago = v1::ListRecordsRequest { to_ms: 1_000, ..list(0, "") };
    assert_eq!(records.list_records(long_ago).await.unwrap().into_inner().records.len(), 0);
    refused(records.list_records(list(1_001, "")).await, Code::InvalidArgument, "page_size: must be at most 1000");
    refused(records.list_records(list(0, "x")).await, Code::InvalidArgument, "page_token: a cursor is written like");

    let done = records.reconcile_records(v1::ReconcileRecordsRequest {}).await.unwrap().into_inner();
    let total = done.total.unwrap();
    assert!(done.exact && done.differing.is_empty());
    assert_eq!((total.debited, total.running, total.records), (Some(cny("0.06")), Some(cny("0.01")), 5));
    assert_eq!(total.credited, Some(cny("8.00")));
    node.stop().await;
}

#[tokio::test]
async fn every_change_by_a_caller_is_in_the_trail_with_its_refusals() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.top_up(1, "5", "pay-1").await;
    // A repetition changes nothing.
    node.top_up(1, "5", "pay-1").await;
    let mut balances = node.balances().await;
    let adjust = |id: &str, amount: &str| v1::AdjustRequest {
        account: Some(by_id(1)),
        amount: Some(cny(amount)),
        request_id: id.to_owned(),
        reason: "wrong voucher".to_owned(),
    };
    balances.adjust(adjust("a", "-0.5")).await.unwrap();
    refused(balances.adjust(adjust("a", "-0.7")).await, Code::FailedPrecondition, "");
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    let ask = v1::ReAuthoriseRequest { session_id: "gw;1".to_owned(), ..Default::default() };
    node.sessions().await.re_authorise(ask).await.unwrap();
    let taken = node.accounts().await.create_subscriber(new_subscriber(2, "line", &[&msisdn(1)])).await;
    refused(taken, Code::NotFound, "");
    node.create(3, "1").await;
    let taken = node.accounts().await.create_subscriber(new_subscriber(3, "other", &[&msisdn(1)])).await;
    refused(taken, Code::AlreadyExists, "belongs to another account");
    settled(&node).await;

    let mut audit = node.audit().await;
    let all = audit.list_audit(v1::ListAuditRequest::default()).await.unwrap().into_inner().entries;
    let told: Vec<_> = all.iter().map(|line| (&*line.method, &*line.target, &*line.reason)).collect();
    let expected = [
        ("CreateAccount", "account 1", ""),
        ("CreateSubscriber", "account 1", ""),
        ("TopUp", "account 1", ""),
        ("Adjust", "account 1", "wrong voucher"),
        ("Adjust", "account 1", "wrong voucher"),
        ("ReAuthorise", "session gw;1", ""),
        ("CreateAccount", "account 3", ""),
        ("CreateSubscriber", "account 3", ""),
        ("CreateSubscriber", "account 3", ""),
    ];
    assert_eq!(told, expected);
    let adjusted = &all[3];
    assert!(adjusted.before.contains("\"balance\":\"6.00\"") && adjusted.after.contains("\"balance\":\"5.50\""));
    assert!(!adjusted.after.contains("state"), "only what changed: {}", adjusted.after);
    assert_eq!((&*adjusted.name, &*adjusted.role), ("local", "operator"));
    assert!(adjusted.address.starts_with("127.0.0.1:"), "{}", adjusted.address);
    assert!(all[4].refusal.contains("request id") && all[4].after == "{}", "{:?}", all[4]);
    assert_eq!(all[5].after, "{\"reauthorisation_pending\":true}");

    let request = v1::ListAuditRequest { refused: true, ..Default::default() };
    assert_eq!(audit.list_audit(request).await.unwrap().into_inner().entries, [all[4].clone(), all[8].clone()]);
    let head = audit.get_audit_head(v1::GetAuditHeadRequest {}).await.unwrap().into_inner();
    assert!(all[8].refusal.contains("belongs to another account"), "{:?}", all[8]);
    assert_eq!((head.line, &head.hash), (9, &all[8].hash));
    node.stop().await;
}

#[tokio::test]
async fn charges_are_explained_from_the_history_and_from_their_records() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut balances = node.balances().await;
    let grant = v1::GrantAllowanceRequest {
        account: Some(by_id(1)),
        allowance: "data-1gb".into(),
        request_id: "bundle-1".into(),
        ..Default::default()
    };
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;1", RequestKind::Termination, 1, 2_500_000).await;
    balances.grant_allowance(grant).await.unwrap();
    node.interrogate(1, "gw;2", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;2", RequestKind::Update, 1, 4_000_000).await;
    node.interrogate(1, "gw;2", RequestKind::Termination, 2, 1_000_000).await;
    node.interrogate(1, "gw;3", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;3", RequestKind::Update, 1, 7).await;
    settled(&node).await;

    let ask = |session_id: &str, last: u32, record: &str| v1::ExplainChargesRequest {
        account: record.is_empty().then(|| by_id(1)),
        session_id: session_id.into(),
        last,
        record: record.into(),
        ..Default::default()
    };
    let all = balances.explain_charges(ask("", 0, "")).await.unwrap().into_inner().charges;
    assert!(all.len() == 5 && all.iter().all(|charge| charge.exact && charge.doubts.is_empty()), "{all:#?}");
    let (plain, bundled, running) = (&all[1], &all[3], &all[4]);
    let money = |amount: &str| Some(v1::ChargeAmount { amount: Some(v1::charge_amount::Amount::Money(cny(amount))) });
    assert_eq!((plain.total.clone(), plain.recorded.clone()), (money("0.03"), money("0.03")));
    let line = &plain.parts[0].lines[0];
    assert_eq!(&*line.text, "2,500,000 octets = 3 blocks of 1 MB at 0.01 CNY per MB");
    assert_eq!((line.kind(), line.amount.clone()), (v1::charge_line::Kind::Tier, money("0.03")));
    assert_eq!((plain.parts[0].catalog_version, plain.paid[0].name.as_str()), (1, "main"));
    assert_eq!((bundled.parts[0].reports, bundled.parts[0].units_from_allowance), (2, 5_000_000));
    assert_eq!((&*bundled.paid[0].name, bundled.total.clone()), ("data-1gb", money("0.00")));
    assert!(
        running.entry.as_ref().unwrap().open && running.text.iter().any(|line| line == "total 0.00 CNY, as recorded")
    );

    let one = balances.explain_charges(ask("gw;2", 0, "")).await.unwrap().into_inner().charges;
    assert_eq!(one, all[3..4]);
    let last = balances.explain_charges(ask("", 2, "")).await.unwrap().into_inner().charges;
    assert_eq!(last, all[3..]);
    let until = v1::ExplainChargesRequest { to_ms: 1_000, ..ask("", 0, "") };
    assert!(balances.explain_charges(until).await.unwrap().into_inner().charges.is_empty());
    refused(balances.explain_charges(ask("gw;9", 0, "")).await, Code::NotFound, "no charge of session `gw;9`");
    refused(balances.explain_charges(ask("", 0, "x")).await, Code::InvalidArgument, "record: a cursor is written like");
    refused(balances.explain_charges(ask("", 0, "4711.0")).await, Code::NotFound, "there is no record 4711.0");
    let nobody = v1::ExplainChargesRequest::default();
    refused(balances.explain_charges(nobody).await, Code::InvalidArgument, "account: is required");

    // The same from the records, whatever the history has by then.
    let records = node.records().await.list_records(list(0, "")).await.unwrap().into_inner().records;
    for (session, charge) in [("gw;1", plain), ("gw;2", bundled)] {
        let record = records.iter().find(|record| record.session_id == session).unwrap();
        let told = balances.explain_charges(ask("", 0, &record.cursor)).await.unwrap().into_inner().charges;
        assert_eq!(told, std::slice::from_ref(charge));
    }
    let opening = &records.iter().find(|record| record.kind == "opening").unwrap().cursor;
    let told = balances.explain_charges(ask("", 0, opening)).await.unwrap().into_inner().charges;
    assert!(told[0].exact && told[0].total == money("1.00"), "{told:?}");
    node.stop().await;

    // After a restart, out of journal and checkpoint, and with another price in force.
    let dearer = CATALOG.replace("price = \"0.01\"", "price = \"0.02\"");
    let node = Node::with(open(directory.path(), &dearer, 1_000)).await;
    let again = node.balances().await.explain_charges(ask("", 0, "")).await.unwrap().into_inner().charges;
    assert_eq!(again, all);
    node.stop().await;
}

/// Also of calls that need none.
#[tokio::test]
async fn reasons_are_in_the_trail_and_may_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    let (mut sessions, mut events) = (node.sessions().await, node.events().await);
    let mut catalog = v1::catalog_service_client::CatalogServiceClient::new(node.channel().await);
    let later = v1::PublishCatalogRequest {
        toml: CATALOG.into(),
        activate_at_ms: 4_000_000_000_000,
        running_sessions: v1::RunningSessions::Finish.into(),
        reason: "winter".into(),
        request_id: "p1".into(),
    };
    catalog.publish_catalog(later).await.unwrap();
    for reason in ["", "too early"] {
        let ask = v1::ReAuthoriseRequest {
            session_id: "gw;1".into(),
            rating_group: Some(reason.len() as u32),
            reason: reason.into(),
            ..Default::default()
        };
        sessions.re_authorise(ask).await.unwrap();
        events.acknowledge(v1::AcknowledgeRequest { consumer: "hlr".into(), cursor: 0 }).await.unwrap();
        let forget = v1::ForgetConsumerRequest { consumer: "hlr".into(), reason: reason.into() };
        events.forget_consumer(forget).await.unwrap();
    }
    let end = v1::TerminateSessionRequest { session_id: "gw;1".into(), reason: "fraud".into(), ..Default::default() };
    sessions.terminate_session(end).await.unwrap();
    let withdraw = |reason: &str| v1::WithdrawCatalogRequest { number: 2, reason: reason.into() };
    refused(catalog.withdraw_catalog(withdraw(&"x".repeat(257))).await, Code::InvalidArgument, "reason: has more");
    catalog.withdraw_catalog(withdraw("typo")).await.unwrap();
    settled(&node).await;
    let all = node.audit().await.list_audit(v1::ListAuditRequest::default()).await.unwrap().into_inner().entries;
    let told: Vec<_> = all[2..].iter().map(|line| (&*line.method, &*line.reason)).collect();
    let expected = [
        ("PublishCatalog", "winter"),
        ("ReAuthorise", ""),
        ("ForgetConsumer", ""),
        ("ReAuthorise", "too early"),
        ("ForgetConsumer", "too early"),
        ("TerminateSession", "fraud"),
        ("WithdrawCatalog", "typo"),
    ];
    assert_eq!(told, expected);
    node.stop().await;
}

/// All that is said, the result last.
async fn what_if(node: &Node, request: v1::WhatIfRequest) -> Result<(usize, v1::WhatIfResult), Status> {
    let mut client = v1::catalog_service_client::CatalogServiceClient::new(node.channel().await);
    let mut said = client.what_if(request).await?.into_inner();
    let mut told = 0;
    while let Some(message) = soon(said.message()).await? {
        match message.said.unwrap() {
            v1::what_if_response::Said::Progress(_) => told += 1,
            v1::what_if_response::Said::Result(result) => return Ok((told, result)),
        }
    }
    panic!("no result");
}

#[tokio::test]
async fn what_if_tells_what_another_catalog_would_have_earned() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    for account in [1, 2] {
        node.create(account, &account.to_string()).await;
        let session = format!("gw;{account}");
        node.interrogate(account, &session, RequestKind::Initial, 0, 0).await;
        node.interrogate(account, &session, RequestKind::Termination, 1, 10_000_000).await;
    }
    // 0.15 a MB: 10 MB are 1.50, and account 1 has 1.00: that is 6 MB, in blocks of 1 MB, for 0.90.
    let toml = CATALOG.replace("price = \"0.01\"", "price = \"0.15\"");
    let ask = |toml: &str| v1::WhatIfRequest { toml: toml.to_owned(), ..Default::default() };
    let (told, result) = what_if(&node, ask(&toml)).await.unwrap();
    assert!(told > 0);
    let [row] = result.rows.as_slice() else { panic!("{result:#?}") };
    assert_eq!(row.item, Some(v1::what_if_row::Item::Service("internet".into())));
    let sums = |sums: &Option<v1::WhatIfSums>| {
        let sums = sums.clone().unwrap();
        (sums.charges, sums.units, sums.earned.unwrap().amount, sums.refused_charges, sums.refused_units)
    };
    assert_eq!(row.unit, "octets");
    assert_eq!(sums(&row.recorded), (2, 20_000_000, "0.20".to_owned(), 0, 0));
    assert_eq!(row.recorded, row.baseline);
    assert_eq!(sums(&row.new), (2, 16_000_000, "2.40".to_owned(), 1, 4_000_000));
    assert_eq!(row.difference, Some(cny("2.20")));
    let total = result.total.as_ref().unwrap();
    assert_eq!((total.new.clone().unwrap().earned, total.item.is_none()), (Some(cny("2.40")), true));
    let [account] = result.accounts.as_slice() else { panic!("{result:#?}") };
    assert_eq!((account.account_id, account.refused_charges, account.refused_charges_baseline), (1, 1, 0));
    assert_eq!(account.identity.as_ref().unwrap().value, msisdn(1));
    assert_eq!((result.refused_accounts, result.refused_accounts_baseline, result.accounts_read), (1, 0, 2));

    let of_two = v1::WhatIfRequest { account: Some(by_msisdn(&msisdn(2))), ..ask(&toml) };
    let (_, of_two) = what_if(&node, of_two).await.unwrap();
    assert_eq!((of_two.refused_accounts, of_two.total.unwrap().recorded.unwrap().earned), (0, Some(cny("0.10"))));
    let long_ago = v1::WhatIfRequest { to_ms: 1_000, ..ask(&toml) };
    assert_eq!(what_if(&node, long_ago).await.unwrap().1.acts, 0);

    // It is over when the caller has left: another one may run.
    let mut client = v1::catalog_service_client::CatalogServiceClient::new(node.channel().await);
    drop(client.what_if(ask(&toml)).await.unwrap());
    let again = async {
        loop {
            match what_if(&node, ask(&toml)).await {
                Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    soon(again).await.unwrap();

    let bad = client.what_if(ask("currency = \"CNY\"\nprice = 1\n")).await.map(|_| Response::new(()));
    refused(bad, Code::InvalidArgument, "toml: line 1, column 1: a catalog needs at least one");
    let euro = client.what_if(ask(&CATALOG.replace("\"CNY\"", "\"EUR\""))).await.map(|_| Response::new(()));
    refused(euro, Code::FailedPrecondition, "toml: the catalog is in EUR, but this store is in CNY");
    let many = v1::WhatIfRequest { accounts_max: 10_001, ..ask(&toml) };
    let many = client.what_if(many).await.map(|_| Response::new(()));
    refused(many, Code::InvalidArgument, "accounts_max: must be at most 10000");
    node.stop().await;
}

#[tokio::test]
async fn what_if_needs_records() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        partitions: 1,
        segment_bytes: 1 << 20,
        retention: Retention::default(),
        outbox_keep: 10,
        outbox_keep_max: 1_000_000,
    };
    let catalog = Arc::new(Catalog::from_toml(CATALOG).unwrap());
    let place = Place::from(FileDisk::open(directory.path()).unwrap());
    let store = Store::open(place, settings, catalog, Arc::new(SystemClock), Arc::new(SilentObserver), |_| {}, |_| {});
    let node = Node::with(Arc::new(store.unwrap().0)).await;
    let status =
        what_if(&node, v1::WhatIfRequest { toml: CATALOG.to_owned(), ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "no usage records are kept: see [records] in the configuration");
    node.stop().await;
}
