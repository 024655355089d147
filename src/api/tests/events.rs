//! `EventService`.

use tonic::Streaming;

use super::*;

fn after(cursor: u64) -> v1::SubscribeRequest {
    v1::SubscribeRequest { after_cursor: Some(cursor), ..Default::default() }
}

fn consumer(name: &str) -> v1::SubscribeRequest {
    v1::SubscribeRequest { consumer: name.to_owned(), ..Default::default() }
}

async fn next(stream: &mut Streaming<v1::SubscribeResponse>) -> (u64, u64, String) {
    let event = soon(stream.message()).await.unwrap().unwrap().event.unwrap();
    match event.kind.unwrap() {
        v1::event::Kind::TopUp(top_up) => (event.cursor, event.account_id, top_up.request_id),
        other => panic!("{other:?}"),
    }
}

async fn next_ids(stream: &mut Streaming<v1::SubscribeResponse>, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(next(stream).await.2);
    }
    ids
}

#[tokio::test]
async fn consumers_resume_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    for id in ["a", "b", "c"] {
        node.top_up(1, "1", id).await;
    }
    let mut events = node.events().await;
    // Never acknowledged: from the beginning.
    let mut stream = events.subscribe(consumer("hlr")).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.2, "a");
    let (cursor, account, id) = next(&mut stream).await;
    assert_eq!((account, id.as_str()), (1, "b"));
    events.acknowledge(v1::AcknowledgeRequest { consumer: "hlr".into(), cursor }).await.unwrap();
    node.stop().await;

    // Its end was told.
    assert_eq!(next(&mut stream).await.2, "c");
    assert_eq!(soon(stream.message()).await.unwrap_err().code(), Code::Unavailable);

    let node = Node::start(directory.path()).await;
    let mut events = node.events().await;
    let mut stream = events.subscribe(consumer("hlr")).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.2, "c");
    let mut all = events.subscribe(after(0)).await.unwrap().into_inner();
    assert_eq!(next_ids(&mut all, 3).await, ["a", "b", "c"]);
    let mut new = events.subscribe(v1::SubscribeRequest::default()).await.unwrap().into_inner();
    node.top_up(1, "1", "d").await;
    assert_eq!(next(&mut stream).await.2, "d");
    assert_eq!(next(&mut new).await.2, "d");
    // An acknowledgement does not go back.
    events.acknowledge(v1::AcknowledgeRequest { consumer: "hlr".into(), cursor: 1 }).await.unwrap();
    let mut stream = events.subscribe(consumer("hlr")).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.2, "c");
    node.stop().await;
}

#[tokio::test]
async fn an_account_can_be_followed_alone() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.create(2, "1").await;
    let request = v1::SubscribeRequest { account: Some(by_msisdn(&msisdn(2))), ..after(0) };
    let mut stream = node.events().await.subscribe(request).await.unwrap().into_inner();
    for number in 0..600 {
        node.store_top_up(1 + number % 2, &format!("r{number}")).await;
    }
    for number in (1..600).step_by(2) {
        let (_, account, id) = next(&mut stream).await;
        assert_eq!((account, id), (2, format!("r{number}")));
    }
    node.stop().await;
}

#[tokio::test]
async fn an_event_tells_whom_it_is_about() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "0.05").await;
    let mut stream = node.events().await.subscribe(v1::SubscribeRequest::default()).await.unwrap().into_inner();
    node.interrogate(1, "s1", RequestKind::Initial, 0, 0).await;
    // Five MB were granted, six are reported.
    node.interrogate(1, "s1", RequestKind::Termination, 1, 6_000_000).await;
    node.top_up(1, "1", "pay-1").await;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        let event = soon(stream.message()).await.unwrap().unwrap().event.unwrap();
        assert_eq!(event.identities, [e164(&msisdn(1))]);
        kinds.push((event.kind.unwrap(), event.balance.unwrap().amount));
    }
    use v1::event::Kind::{CreditStop, Overdraft, Reconnect, TopUp};
    assert!(matches!(&kinds[0], (Overdraft(v1::OverdraftEvent { excess }), balance)
        if *excess == Some(cny("0.01")) && balance == "-0.01"));
    assert!(matches!(&kinds[1], (CreditStop(_), _)));
    assert!(matches!(&kinds[2], (TopUp(_), balance) if balance == "0.99"));
    assert!(matches!(&kinds[3], (Reconnect(_), _)));
    node.stop().await;
}

#[tokio::test]
async fn cursors_out_of_range_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::with(open(directory.path(), CATALOG, 2)).await;
    node.create(1, "1").await;
    for id in ["a", "b", "c", "d"] {
        node.top_up(1, "1", id).await;
    }
    let mut events = node.events().await;
    refused(events.subscribe(after(0)).await, Code::OutOfRange, "no longer kept");
    refused(events.subscribe(after(u64::MAX)).await, Code::OutOfRange, "after_cursor: ");
    // A new consumer gets what there is.
    let mut stream = events.subscribe(consumer("new")).await.unwrap().into_inner();
    assert_eq!(next_ids(&mut stream, 2).await, ["c", "d"]);
    let ack = |consumer: &str, cursor| v1::AcknowledgeRequest { consumer: consumer.to_owned(), cursor };
    refused(events.acknowledge(ack("x", u64::MAX)).await, Code::OutOfRange, "cursor: ");
    refused(events.acknowledge(ack("", 1)).await, Code::InvalidArgument, "consumer: is required");
    refused(events.acknowledge(ack(&"x".repeat(65), 1)).await, Code::InvalidArgument, "consumer: has more than 64");
    for number in 0..64 {
        events.acknowledge(ack(&format!("c{number}"), 1)).await.unwrap();
    }
    refused(events.acknowledge(ack("one more", 1)).await, Code::ResourceExhausted, "consumer: 64 others");
    node.stop().await;
}

#[tokio::test]
async fn a_consumer_that_is_gone_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::with(open(directory.path(), CATALOG, 2)).await;
    node.create(1, "1").await;
    node.top_up(1, "1", "a").await;
    let first = node.store.outbox().newest();
    let mut events = node.events().await;
    for consumer in ["hlr", "gone"] {
        events.acknowledge(v1::AcknowledgeRequest { consumer: consumer.into(), cursor: first }).await.unwrap();
    }
    for id in ["b", "c", "d", "e"] {
        node.top_up(1, "1", id).await;
    }
    let cursor = node.store.outbox().newest();
    events.acknowledge(v1::AcknowledgeRequest { consumer: "hlr".into(), cursor }).await.unwrap();
    let behind = |node: &Node| -> Vec<_> {
        node.store.outbox().consumers().iter().map(|one| (one.name.to_string(), one.behind)).collect()
    };
    assert_eq!(behind(&node), [("gone".to_owned(), 4), ("hlr".to_owned(), 0)]);
    assert_eq!(node.store.outbox().len(), 4);
    let forget =
        |consumer: &str| v1::ForgetConsumerRequest { consumer: consumer.to_owned(), reason: "gone".to_owned() };
    refused(events.forget_consumer(forget("other")).await, Code::NotFound, "`other` has never acknowledged");
    refused(events.forget_consumer(forget("")).await, Code::InvalidArgument, "consumer: is required");
    events.forget_consumer(forget("gone")).await.unwrap();
    assert_eq!((behind(&node), node.store.outbox().len()), (vec![("hlr".to_owned(), 0)], 2));
    node.stop().await;

    let node = Node::with(open(directory.path(), CATALOG, 2)).await;
    assert_eq!((behind(&node), node.store.outbox().len()), (vec![("hlr".to_owned(), 0)], 2));
    node.stop().await;
}

#[tokio::test]
async fn a_slow_subscriber_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut stream = node.events().await.subscribe(after(0)).await.unwrap().into_inner();
    for number in 0..900 {
        node.store_top_up(1, &format!("r{number}")).await;
    }
    let expected: Vec<_> = (0..900).map(|number| format!("r{number}")).collect();
    assert_eq!(next_ids(&mut stream, 900).await, expected);
    node.stop().await;
}

impl Node {
    /// A top-up that is not waited for.
    async fn store_top_up(&self, account: u64, request_id: &str) {
        let kind = crate::charging::CreditKind::TopUp(crate::units::Money::from_micros(1));
        let account = crate::ids::AccountId(account);
        let command = crate::charging::CreditCommand { account, kind, currency: None, request_id };
        drop(self.store.credit(command));
        tokio::task::yield_now().await;
    }
}
