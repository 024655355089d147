//! The diameter application of Erlang/OTP as a client. It encodes and decodes everything by a dictionary of its own, and an
//! error that it finds in a message of the server fails the scenario (see `tests/interop/gy_erlang.escript`).

use std::process::Command;

use crate::{
    external::run,
    recorder::Recorder,
    support::{DEMO_CATALOG, TestNode},
    tools::{available, interop_file},
};

/// Plays a scenario against a node whose subscribers have this balance in micro-units, and lets tshark judge what the node
/// said. `None`: there is no Erlang here.
async fn play(scenario: &str, balance: i64) -> Option<TestNode> {
    let diameter = "{module, diameter_make} = code:ensure_loaded(diameter_make), halt().";
    if !available("erl", &["-noshell", "-eval", diameter]) {
        return None;
    }
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.seed.balance = tollgate::units::Money::from_micros(balance);
    })
    .await;
    let recorder = Recorder::before(node.diameter()).await;
    let mut client = Command::new("escript");
    client.arg(interop_file("gy_erlang.escript")).arg(recorder.address.to_string());
    client.arg(env!("CARGO_BIN_EXE_tollgate")).arg(format!("http://{}", node.node.grpc)).arg(scenario);
    run(client).await;
    recorder.judged();
    node.node.store.check().unwrap();
    Some(node)
}

// tests: I-1 B-28 B-80 B-172 C-2 C-18 C-37 C-51 C-56 C-57 C-59
#[tokio::test]
async fn a_session_with_three_rating_groups() {
    let Some(node) = play("session", 100_000_000).await else { return };
    // Three blocks of 0.01 and three of 0.0005.
    assert_eq!(node.balance(4), (100_000_000 - 31_500, 0));
}

// tests: C-96 C-130 C-132 C-133 C-134
#[tokio::test]
async fn events() {
    let Some(node) = play("events", 100_000_000).await else { return };
    // Two messages and one.
    assert_eq!(node.balance(5), (100_000_000 - 300_000, 0));
}

// tests: C-136
#[tokio::test]
async fn an_event_is_refunded() {
    let Some(node) = play("refund", 100_000_000).await else { return };
    assert_eq!(node.balance(5), (100_000_000, 0));
}

// tests: B-82 B-85 B-132
#[tokio::test]
async fn a_protocol_error() {
    play("protocol_error", 100_000_000).await;
}

// tests: B-72 B-84 C-5 C-90 C-96 C-121 C-162
#[tokio::test]
async fn refusals() {
    play("refusals", 100_000_000).await;
}

// tests: B-135 C-88 C-100 C-101 C-103
#[tokio::test]
async fn a_session_is_re_authorised() {
    // 5 MB, and a top-up of 1.00 later.
    let Some(node) = play("reauthorise", 50_000).await else { return };
    assert_eq!(node.balance(6), (1_050_000 - 10_000, 0));
}

// tests: B-200 C-106
#[tokio::test]
async fn a_session_is_aborted() {
    let Some(node) = play("abort", 100_000_000).await else { return };
    assert_eq!(node.balance(7), (100_000_000 - 10_000, 0));
}
