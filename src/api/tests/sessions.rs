//! `SessionService`.

use super::*;

#[tokio::test]
async fn sessions_are_told_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    for account in 1..=7 {
        node.create(account, "1").await;
        node.interrogate(account, &format!("s{account}"), RequestKind::Initial, 0, 0).await;
    }
    node.interrogate(7, "s7b", RequestKind::Initial, 0, 0).await;
    node.interrogate(7, "s7", RequestKind::Update, 1, 400_000).await;
    let mut sessions = node.sessions().await;

    let mut request = v1::ListSessionsRequest { page_size: 3, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = sessions.list_sessions(request.clone()).await.unwrap().into_inner();
        assert!(page.sessions.len() <= 3);
        found.extend(page.sessions.into_iter().map(|session| session.session_id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s7b"]);

    let mut request =
        v1::ListSessionsRequest { account: Some(by_msisdn(&msisdn(7))), page_size: 1, ..Default::default() };
    let first = sessions.list_sessions(request.clone()).await.unwrap().into_inner();
    let session = &first.sessions[0];
    assert_eq!((session.session_id.as_str(), session.account_id, session.last_request_number), ("s7", 7, 1));
    let quota = &session.quotas[0];
    assert_eq!((quota.service.as_str(), quota.rating_group), ("internet", Some(1)));
    assert_eq!(quota.used, Some(v1::Units { kind: v1::UnitKind::Octets.into(), amount: 400_000 }));
    assert_eq!(quota.charged, Some(cny("0.01")));
    assert_eq!(quota.reserved, Some(cny("0.10")));
    request.page_token = first.next_page_token;
    let second = sessions.list_sessions(request.clone()).await.unwrap().into_inner();
    assert_eq!((second.sessions[0].session_id.as_str(), second.next_page_token.as_str()), ("s7b", ""));

    let account = node.accounts().await.get_account(v1::GetAccountRequest { account: Some(by_id(7)) }).await;
    let account = account.unwrap().into_inner().account.unwrap();
    assert_eq!((account.live_sessions, account.balance), (2, Some(cny("0.99"))));
    assert_eq!((account.reserved, account.available), (Some(cny("0.20")), Some(cny("0.79"))));

    let odd = v1::ListSessionsRequest { page_token: "odd".into(), ..Default::default() };
    refused(sessions.list_sessions(odd).await, Code::InvalidArgument, "page_token: ");
    let large = v1::ListSessionsRequest { page_size: 1_001, ..Default::default() };
    refused(sessions.list_sessions(large).await, Code::InvalidArgument, "page_size: must be at most 1000");
    node.stop().await;
}

// tests: C-106
#[tokio::test]
async fn sessions_are_marked_to_be_ended() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "s1", RequestKind::Initial, 0, 0).await;
    let mut sessions = node.sessions().await;
    let end = |id: &str| v1::TerminateSessionRequest { session_id: id.to_owned(), ..Default::default() };
    sessions.terminate_session(end("s1")).await.unwrap();
    sessions.terminate_session(end("s1")).await.unwrap();
    let all = sessions.list_sessions(v1::ListSessionsRequest::default()).await.unwrap().into_inner();
    assert!(all.sessions[0].abort_pending && !all.sessions[0].reauthorisation_pending);
    let other = v1::TerminateSessionRequest { sub_session_id: 1, ..end("s1") };
    refused(sessions.terminate_session(other).await, Code::NotFound, "session_id: there is no such session");
    refused(sessions.terminate_session(end("")).await, Code::InvalidArgument, "session_id: ");
    node.stop().await;
}

#[tokio::test]
async fn sessions_are_marked_for_reauthorisation() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "s1", RequestKind::Initial, 0, 0).await;
    let mut sessions = node.sessions().await;
    let ask = |id: &str| v1::ReAuthoriseRequest { session_id: id.to_owned(), ..Default::default() };
    sessions.re_authorise(ask("s1")).await.unwrap();
    let all = sessions.list_sessions(v1::ListSessionsRequest::default()).await.unwrap().into_inner();
    assert!(all.sessions[0].reauthorisation_pending);
    refused(sessions.re_authorise(ask("s2")).await, Code::NotFound, "session_id: there is no such session");
    refused(sessions.re_authorise(ask("")).await, Code::InvalidArgument, "session_id: ");
    // Remembered, but not running any more.
    node.interrogate(1, "s1", RequestKind::Termination, 1, 0).await;
    refused(sessions.re_authorise(ask("s1")).await, Code::NotFound, "no such session");
    node.stop().await;
}
