//! Refunds as network elements ask for them: what a debit's answer names, a refund gives back, across restarts.

use tollgate::{
    cli::gateway::Gateway,
    config::{Config, Peer},
    diameter::{
        CreditControlAnswer, ResultCode,
        credit_control::{MultipleServices, RequestType, ServiceUnits},
        dictionary::requested_action,
    },
    units::{Money, Units},
};

use crate::support::{DEMO_CATALOG, TestNode, config};

/// The prices of the worked flows.
const CATALOG: &str = include_str!("charging_tables/catalog.toml");
const SMS: &str = "32274@3gpp.org";
const EVENT: u32 = requested_action::DIRECT_DEBITING;
const REFUND: u32 = requested_action::REFUND_ACCOUNT;

/// An event of the first subscriber, with its units in an MSCC, or at command level.
async fn event(
    gateway: &mut Gateway,
    (session, number): (&str, u32),
    action: u32,
    units: u64,
    token: Option<&[u8]>,
    in_service: bool,
) -> CreditControlAnswer {
    let client = gateway.identity().clone();
    let mut request = gateway.request(session, &client, RequestType::Event, number, SMS, "8613900000000");
    request.requested_action = Some(action);
    let units = Some(ServiceUnits::of(Units::events(units)));
    if in_service {
        let service = MultipleServices { rating_group: Some(90), requested: units, ..MultipleServices::default() };
        request.services = vec![MultipleServices { refund_information: token, ..service }];
    } else {
        request.requested = units;
    }
    let frame = gateway.ask(&mut request).await.unwrap();
    CreditControlAnswer::parse(&frame).unwrap().answer
}

fn token(answer: &CreditControlAnswer) -> Vec<u8> {
    answer.services[0].refund_information.clone().expect("the debit has a name")
}

fn euros(config: &mut Config, cents: i64) {
    config.seed.balance = Money::from_micros(cents * 10_000);
    let mut free = Peer::generic("free.example");
    free.overrides.unlinked_refunds = Some(true);
    config.diameter.peers = vec![free];
}

/// The worked flow, to the cent.
// tests: C-F6 G-12 G-83 C-131 C-132 C-133
#[tokio::test(flavor = "multi_thread")]
async fn debit_refund_check_and_price() {
    let node = TestNode::start(CATALOG, |config| euros(config, 20)).await;
    let mut gateway = node.gateway("smsc.example").await;
    let first = event(&mut gateway, ("e1", 0), EVENT, 1, None, true).await;
    assert_eq!(first.result_code, ResultCode::SUCCESS);
    assert_eq!(
        first.cost.as_ref().map(|cost| (cost.cost.to_money(), cost.cost.currency)),
        Some((Some(Money::from_micros(90_000)), Some(978)))
    );
    assert_eq!(node.balance(1).0, 110_000);
    let second = event(&mut gateway, ("e2", 0), EVENT, 1, None, true).await;
    assert_eq!(node.balance(1).0, 20_000);
    let third = event(&mut gateway, ("e3", 0), EVENT, 1, None, true).await;
    assert_eq!(third.services[0].result_code, Some(ResultCode::CREDIT_LIMIT_REACHED));
    assert_eq!(third.services[0].refund_information, None, "nothing was taken");
    assert_ne!(token(&first), token(&second));
    let back = event(&mut gateway, ("r1", 0), REFUND, 1, Some(&token(&second)), true).await;
    assert_eq!(back.services[0].granted.as_ref().unwrap().units, ServiceUnits::of(Units::events(1)));
    assert_eq!(back.services[0].refund_information, None, "a refund is not given back");
    assert_eq!(node.balance(1).0, 110_000);
    let check = event(&mut gateway, ("e4", 0), requested_action::CHECK_BALANCE, 2, None, true).await;
    assert_eq!((check.result_code, check.check_balance.map(|it| it as u32)), (ResultCode::SUCCESS, Some(1)));
    let price = event(&mut gateway, ("e5", 0), requested_action::PRICE_ENQUIRY, 3, None, true).await;
    assert_eq!(price.cost.unwrap().cost.to_money(), Some(Money::from_micros(270_000)));
    assert_eq!(node.balance(1).0, 110_000);
}

// tests: C-136 G-83
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_needs_a_debit_or_a_permission() {
    let node = TestNode::start(CATALOG, |config| euros(config, 100)).await;
    let mut gateway = node.gateway("smsc.example").await;
    let debit = event(&mut gateway, ("e1", 0), EVENT, 2, None, true).await;
    let mut forged = token(&debit);
    *forged.last_mut().unwrap() ^= 1;
    let junk = vec![7; 300];
    for token in [None, Some(forged.as_slice()), Some(junk.as_slice()), Some(&[][..])] {
        let refused = event(&mut gateway, ("r1", 0), REFUND, 1, token, true).await;
        assert_eq!(refused.result_code, ResultCode::END_USER_SERVICE_DENIED);
    }
    let mut free = node.gateway("free.example").await;
    let forged = event(&mut free, ("r2", 0), REFUND, 1, Some(&forged), true).await;
    assert_eq!(forged.result_code, ResultCode::END_USER_SERVICE_DENIED, "a forgery is no refund without a link");
    let given = event(&mut free, ("r3", 0), REFUND, 1, None, true).await;
    assert_eq!(given.result_code, ResultCode::SUCCESS);
    assert_eq!(node.balance(1).0, 1_000_000 - 180_000 + 90_000);
}

/// At command level there is no place for a token: the Session-Id is the link.
// tests: C-136 C-134 C-140
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_with_the_session_of_its_debit() {
    let node = TestNode::start(CATALOG, |config| euros(config, 100)).await;
    let mut gateway = node.gateway("smsc.example").await;
    let debit = event(&mut gateway, ("e1", 0), EVENT, 2, None, false).await;
    assert_eq!((debit.result_code, node.balance(1).0), (ResultCode::SUCCESS, 820_000));
    for _ in 0..2 {
        let back = event(&mut gateway, ("e1", 0), REFUND, 2, None, false).await;
        assert_eq!(back.granted.unwrap().units, ServiceUnits::of(Units::events(2)));
        assert_eq!(node.balance(1).0, 1_000_000, "a copy gives nothing back");
    }
    let more = event(&mut gateway, ("e1", 1), REFUND, 2, None, false).await;
    assert_eq!((more.result_code, node.balance(1).0), (ResultCode::END_USER_SERVICE_DENIED, 1_000_000));
}

/// Whether it is read from the journal or from a checkpoint: what was taken, what was given back, and the store's secret.
// tests: C-143 C-136 C-146 B-192
#[tokio::test(flavor = "multi_thread")]
async fn debits_and_refunds_are_known_after_a_restart() {
    for checkpoint in [false, true] {
        let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let start = || async {
            let mut config = config(directory.path(), CATALOG, 10);
            euros(&mut config, 100);
            let node = tollgate::app::Node::start(config).await.unwrap();
            TestNode { node, directory: directory.clone() }
        };
        let node = start().await;
        let mut gateway = node.gateway("smsc.example").await;
        let state = gateway.peer.origin_state_id;
        let whole = event(&mut gateway, ("e1", 0), EVENT, 2, None, true).await;
        let part = event(&mut gateway, ("e2", 0), EVENT, 3, None, true).await;
        event(&mut gateway, ("r2", 0), REFUND, 1, Some(&token(&part)), true).await;
        assert_eq!(node.balance(1).0, 1_000_000 - 450_000 + 90_000);
        if checkpoint {
            node.node.store.checkpoint().unwrap();
        }
        node.node.stop().await.unwrap();

        let node = start().await;
        let mut gateway = node.gateway("smsc.example").await;
        assert_eq!(gateway.peer.origin_state_id, state, "no session was lost");
        assert_ne!(state, 0);
        let copy = event(&mut gateway, ("e1", 0), EVENT, 2, None, true).await;
        assert_eq!(token(&copy), token(&whole), "a copy gets the same answer");
        let copy = event(&mut gateway, ("r2", 0), REFUND, 1, Some(&token(&part)), true).await;
        assert_eq!(copy.services[0].granted.as_ref().unwrap().units, ServiceUnits::of(Units::events(1)));
        assert_eq!(node.balance(1).0, 640_000);
        event(&mut gateway, ("r3", 0), REFUND, 9, Some(&token(&part)), true).await;
        assert_eq!(node.balance(1).0, 820_000, "two of the three were left");
        event(&mut gateway, ("r1", 0), REFUND, 2, Some(&token(&whole)), true).await;
        assert_eq!(node.balance(1).0, 1_000_000);
        let again = event(&mut gateway, ("r4", 0), REFUND, 2, Some(&token(&whole)), true).await;
        assert_eq!(again.result_code, ResultCode::END_USER_SERVICE_DENIED);
        node.node.stop().await.unwrap();
    }
}

// tests: B-192
#[tokio::test(flavor = "multi_thread")]
async fn another_store_says_that_it_is_another() {
    let node = TestNode::start(DEMO_CATALOG, |_| {}).await;
    let gateway = node.gateway("gw.example").await;
    let now = node.node.store.clock().now().millis() / 1_000;
    let state = u64::from(gateway.peer.origin_state_id);
    assert!(state <= now && now - state < 600, "{state}: the time when it was created");
}
