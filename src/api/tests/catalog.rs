use tonic::Code;

use super::*;
use v1::{
    PublishCatalogRequest, RunningSessions, catalog_service_client::CatalogServiceClient, catalog_version::State,
};

async fn client(node: &Node) -> CatalogServiceClient<Channel> {
    CatalogServiceClient::new(node.channel().await)
}

/// The demo's catalog with another price of internet.
fn priced(price: &str) -> String {
    CATALOG.replace("price = \"0.01\"", &format!("price = \"{price}\""))
}

fn publish(toml: String, request_id: &str) -> PublishCatalogRequest {
    PublishCatalogRequest {
        toml,
        activate_at_ms: 0,
        running_sessions: RunningSessions::Change.into(),
        reason: "autumn".to_owned(),
        request_id: request_id.to_owned(),
    }
}

/// In an hour.
fn later() -> i64 {
    let now = crate::time::Clock::now(&SystemClock);
    i64::try_from(now.plus_secs(3_600).millis()).unwrap()
}

#[tokio::test]
async fn a_catalog_is_published_once_and_in_force_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut catalog = client(&node).await;
    let done = catalog.publish_catalog(publish(priced("0.02"), "p1")).await.unwrap().into_inner();
    let version = done.version.unwrap();
    assert_eq!((version.number, version.state(), done.repeated), (2, State::InForce, false));
    assert_eq!((version.reason.as_str(), version.request_id.as_str()), ("autumn", "p1"));
    let again = catalog.publish_catalog(publish(priced("0.02"), "p1")).await.unwrap().into_inner();
    assert_eq!((again.version.unwrap().number, again.repeated), (2, true));
    refused(catalog.publish_catalog(publish(priced("0.03"), "p1")).await, Code::FailedPrecondition, "request_id: ");

    let price = |version: u32, at: i64| v1::PriceRequest {
        service_context_id: "32251@3gpp.org".into(),
        rating_group: Some(1),
        units: 1_000_000,
        catalog_version: version,
        catalog_at_ms: at,
        ..Default::default()
    };
    for (request, amount, number) in
        [(price(0, 0), "0.02", 2), (price(1, 0), "0.01", 1), (price(0, later()), "0.02", 2)]
    {
        let told = catalog.price(request).await.unwrap().into_inner();
        assert_eq!((told.price, told.catalog_version), (Some(cny(amount)), number));
    }
    refused(catalog.price(price(9, 0)).await, Code::NotFound, "catalog_version: ");
    refused(catalog.price(price(1, 1)).await, Code::InvalidArgument, "catalog_at_ms: ");

    let list = catalog.list_catalogs(v1::ListCatalogsRequest::default()).await.unwrap().into_inner();
    let told: Vec<_> = list.versions.iter().map(|version| (version.number, version.state())).collect();
    assert_eq!(told, [(2, State::InForce), (1, State::Superseded)]);
    let first = v1::ListCatalogsRequest { page_size: 1, ..Default::default() };
    let page = catalog.list_catalogs(first.clone()).await.unwrap().into_inner();
    let rest = v1::ListCatalogsRequest { page_token: page.next_page_token, ..first };
    let last = catalog.list_catalogs(rest).await.unwrap().into_inner();
    assert_eq!((page.versions[0].number, last.versions[0].number, last.next_page_token.as_str()), (2, 1, ""));
    let wrong = v1::ListCatalogsRequest { page_token: "two".into(), ..Default::default() };
    refused(catalog.list_catalogs(wrong).await, Code::InvalidArgument, "page_token: ");

    let shown = catalog.get_catalog(v1::GetCatalogRequest { number: 1 }).await.unwrap().into_inner();
    assert_eq!(shown.toml, CATALOG);
    assert_eq!(shown.version.unwrap().published_by, "configuration");
    let shown = catalog.get_catalog(v1::GetCatalogRequest { number: 0 }).await.unwrap().into_inner();
    assert_eq!(shown.toml, priced("0.02"));
    refused(catalog.get_catalog(v1::GetCatalogRequest { number: 7 }).await, Code::NotFound, "number: ");

    let diff = catalog.diff_catalog(v1::DiffCatalogRequest { from: 1, to: 0 }).await.unwrap().into_inner();
    assert_eq!((diff.from, diff.to), (1, 2));
    assert!(diff.differences.contains(&"service internet: price \"0.01\" -> \"0.02\"".to_owned()), "{diff:?}");
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut catalog = client(&node).await;
    let mut wrong = publish("currency = \"CNY\"\nprize = 1\n[[service]]\n".into(), "p1");
    refused(
        catalog.publish_catalog(wrong.clone()).await,
        Code::InvalidArgument,
        "\nline 2, column 1: unknown key `prize`",
    );
    wrong.toml = CATALOG.replace("currency = \"CNY\"", "currency = \"EUR\"");
    refused(catalog.publish_catalog(wrong.clone()).await, Code::FailedPrecondition, "toml: the catalog is in EUR");
    wrong.toml = priced("0.02");
    let past = PublishCatalogRequest { activate_at_ms: 1, ..wrong.clone() };
    refused(catalog.publish_catalog(past).await, Code::InvalidArgument, "activate_at_ms: ");
    let past = PublishCatalogRequest { activate_at_ms: -1, ..wrong.clone() };
    refused(catalog.publish_catalog(past).await, Code::InvalidArgument, "activate_at_ms: ");
    let unsaid = PublishCatalogRequest { running_sessions: 0, ..wrong.clone() };
    refused(catalog.publish_catalog(unsaid).await, Code::InvalidArgument, "running_sessions: ");
    let unsaid = PublishCatalogRequest { reason: String::new(), ..wrong.clone() };
    refused(catalog.publish_catalog(unsaid).await, Code::InvalidArgument, "reason: ");
    let unsaid = PublishCatalogRequest { request_id: String::new(), ..wrong };
    refused(catalog.publish_catalog(unsaid).await, Code::InvalidArgument, "request_id: ");
    assert_eq!(node.store.catalogs().publications().len(), 1, "nothing was published");
    node.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_time_can_be_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let mut catalog = client(&node).await;
    let planned = PublishCatalogRequest { activate_at_ms: later(), ..publish(priced("0.02"), "p1") };
    let version = catalog.publish_catalog(planned.clone()).await.unwrap().into_inner().version.unwrap();
    assert_eq!((version.number, version.state()), (2, State::Pending));
    let number = |number| v1::WithdrawCatalogRequest { number, reason: "too dear".to_owned() };
    for _ in 0..2 {
        let version = catalog.withdraw_catalog(number(2)).await.unwrap().into_inner().version.unwrap();
        assert_eq!(version.state(), State::Withdrawn);
    }
    refused(catalog.withdraw_catalog(number(1)).await, Code::FailedPrecondition, "number: version 1 is in force");
    refused(catalog.withdraw_catalog(number(5)).await, Code::NotFound, "number: ");
    // A late copy of the publication brings it not back.
    let again = catalog.publish_catalog(planned.clone()).await.unwrap().into_inner();
    assert_eq!((again.version.unwrap().state(), again.repeated), (State::Withdrawn, true));
    for more in 0..crate::store::PENDING_MAX {
        let request = PublishCatalogRequest { request_id: format!("more-{more}"), ..planned.clone() };
        catalog.publish_catalog(request).await.unwrap();
    }
    let one_more = PublishCatalogRequest { request_id: "one-more".into(), ..planned };
    refused(catalog.publish_catalog(one_more.clone()).await, Code::ResourceExhausted, "activate_at_ms: ");
    let at_once = PublishCatalogRequest { activate_at_ms: 0, ..one_more };
    catalog.publish_catalog(at_once).await.unwrap();
    node.stop().await;
}
