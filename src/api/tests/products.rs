//! `ProductService`. The catalog is the demo's; the system's clock runs, so that what is prorated is not told here.

use super::*;

async fn products(node: &Node) -> v1::product_service_client::ProductServiceClient<Channel> {
    v1::product_service_client::ProductServiceClient::new(node.channel().await)
}

fn buy(product: &str, request_id: &str) -> v1::BuyProductRequest {
    v1::BuyProductRequest {
        account: Some(by_id(1)),
        product: product.into(),
        request_id: request_id.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn products_are_listed_bought_changed_and_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "20").await;
    let mut client = products(&node).await;

    let first = v1::ListProductsRequest { page_size: 3, page_token: String::new() };
    let first = client.list_products(first).await.unwrap().into_inner();
    assert_eq!(first.products.len(), 3);
    assert_eq!(first.products[0].fee, Some(cny("30.00")));
    assert_eq!((&*first.products[0].period, first.products[0].prorate), ("cycle", true));
    let rest = v1::ListProductsRequest { page_size: 0, page_token: first.next_page_token };
    let rest = client.list_products(rest).await.unwrap().into_inner();
    let names: Vec<_> = first.products.iter().chain(&rest.products).map(|product| &*product.name).collect();
    assert_eq!(names, ["family-10gb", "sms-100", "night-saver", "no-surprises"]);
    assert_eq!(rest.next_page_token, "");
    let lost = v1::ListProductsRequest { page_size: 0, page_token: "gone".into() };
    refused(client.list_products(lost).await, Code::InvalidArgument, "page_token: is not one that was given out");

    let bought = client.buy_product(buy("no-surprises", "b-1")).await.unwrap().into_inner();
    let account = bought.account.unwrap();
    assert_eq!((account.balance, bought.duplicate), (Some(cny("19.00")), false));
    assert_eq!((account.subscriptions[0].subscription, &*account.subscriptions[0].product), (1, "no-surprises"));
    assert_eq!(account.subscriptions[0].state(), v1::subscription::State::Active);
    let again = client.buy_product(buy("no-surprises", "b-1")).await.unwrap().into_inner();
    assert_eq!((again.account.unwrap().subscriptions.len(), again.duplicate), (1, true));
    refused(client.buy_product(buy("sms-100", "b-1")).await, Code::FailedPrecondition, "`b-1` was used");
    refused(client.buy_product(buy("no-surprises", "b-2")).await, Code::FailedPrecondition, "may have it 1 at once");
    refused(client.buy_product(buy("gold", "b-3")).await, Code::NotFound, "there are: `family-10gb`, ");
    refused(client.buy_product(buy("sms-100", "")).await, Code::InvalidArgument, "request_id: is required");

    let next = Some(v1::Start { at: Some(v1::start::At::NextPeriod(true)) });
    let change = v1::ChangeProductRequest {
        account: Some(by_msisdn(&msisdn(1))),
        subscription: 1,
        product: "night-saver".into(),
        start: next,
        request_id: "c-1".into(),
        reason: "asked by phone".into(),
    };
    let changed = client.change_product(change).await.unwrap().into_inner().account.unwrap();
    assert_eq!(changed.subscriptions[0].becomes, "night-saver");
    let past = Some(v1::Start { at: Some(v1::start::At::AtMs(1)) });
    let cancel = |subscription, start, request_id: &str| v1::CancelProductRequest {
        account: Some(by_id(1)),
        subscription,
        start,
        request_id: request_id.into(),
        reason: String::new(),
    };
    refused(client.cancel_product(cancel(1, past, "x-1")).await, Code::FailedPrecondition, "is not in the future");
    refused(client.cancel_product(cancel(7, None, "x-2")).await, Code::NotFound, "it has: 1 (no-surprises)");
    refused(client.cancel_product(cancel(0, None, "x-3")).await, Code::InvalidArgument, "subscription: is required");
    let cancelled = client.cancel_product(cancel(1, None, "x-4")).await.unwrap().into_inner().account.unwrap();
    assert_eq!(cancelled.subscriptions, []);
    node.stop().await;
}

#[tokio::test]
async fn cycles_are_shown_with_the_account_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "20").await;
    let day = |day, request_id: &str| v1::SetCycleDayRequest {
        account: Some(by_id(1)),
        day,
        request_id: request_id.into(),
        reason: String::new(),
    };
    let mut client = products(&node).await;
    refused(client.set_cycle_day(day(29, "d-0")).await, Code::InvalidArgument, "day: must be 1 to 28, is 29");
    client.set_cycle_day(day(5, "d-1")).await.unwrap();
    client.buy_product(buy("sms-100", "b-1")).await.unwrap();
    node.top_up(1, "2", "t-1").await;
    node.stop().await;

    let node = Node::start(directory.path()).await;
    assert!(products(&node).await.set_cycle_day(day(5, "d-1")).await.unwrap().into_inner().duplicate);
    let account = node.accounts().await.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await;
    let account = account.unwrap().into_inner().account.unwrap();
    let cycle = account.cycle.unwrap();
    assert_eq!((cycle.opening, cycle.fees, cycle.credits), (Some(cny("20.00")), Some(cny("5.00")), Some(cny("2.00"))));
    assert_eq!((account.cycle_day, account.subscriptions.len()), (5, 1));
    let request = v1::ListSubscriptionsRequest { account: Some(by_id(1)) };
    let listed = products(&node).await.list_subscriptions(request).await.unwrap().into_inner().account.unwrap();
    assert_eq!((listed.balance, listed.subscriptions), (Some(cny("17.00")), account.subscriptions));
    node.stop().await;
}
