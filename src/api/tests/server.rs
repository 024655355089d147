//! Reflection, health, and what happens when the journal has ended.

use tokio_stream::StreamExt;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::*;

#[tokio::test]
async fn reflection_lists_all_services() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(node.channel().await);
    let mut stream = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let response = soon(stream.next()).await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = response else { panic!("{response:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["Account", "Balance", "Catalog", "Session", "Event", "Record", "Audit"] {
        assert!(names.contains(&format!("tollgate.v1.{name}Service")), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()));
    node.stop().await;
}

#[tokio::test]
async fn health_follows_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut client = HealthClient::new(node.channel().await);
    for service in ["", "tollgate.v1.AccountService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let mut watch = client.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(soon(watch.next()).await.unwrap().unwrap().status(), ServingStatus::Serving);
    node.health.set(HealthState::Draining);
    // What is told again on the way does not matter.
    while soon(watch.next()).await.unwrap().unwrap().status() != ServingStatus::NotServing {}
    // A watch and a subscription that stay open do not hold the end up.
    let _events = node.events().await.subscribe(v1::SubscribeRequest::default()).await.unwrap();
    node.stop().await;
    soon(async { while let Some(Ok(_)) = watch.next().await {} }).await;
}

#[tokio::test]
async fn a_journal_that_has_ended_promises_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    let mut stream = node.events().await.subscribe(v1::SubscribeRequest::default()).await.unwrap().into_inner();
    let mut balances = node.balances().await;
    let mut accounts = node.accounts().await;
    node.store.shutdown().unwrap();
    refused(balances.top_up(top_up(by_id(1), "1", "a")).await, Code::Unavailable, "the journal is shut down");
    refused(accounts.create_account(new_account(2, "1")).await, Code::Unavailable, "the journal is shut down");
    assert_eq!(soon(stream.message()).await.unwrap_err().code(), Code::Unavailable);
    // What was durable may still be read.
    let read = accounts.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await.unwrap().into_inner();
    assert_eq!(read.account.unwrap().balance, Some(cny("1.00")));
}
