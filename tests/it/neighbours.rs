//! Neighbours that are idle, slow or broken do not disturb a client that does as it should, and get no more than their
//! share. How much they are felt is measured with `tollgate load --neighbours`, not tested here.

use clap::{Args, FromArgMatches};
use tokio::io::AsyncWriteExt;
use tollgate::load::{self, LoadOptions, NeighbourReport};

use crate::{
    client::{Client, PATIENCE},
    interop_rules::{BALANCE, ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    wire::{code, group, long, number, text},
};

fn options(node: &TestNode) -> LoadOptions {
    let matches = LoadOptions::augment_args(clap::Command::new("load")).get_matches_from(["load"]);
    LoadOptions {
        target: node.diameter().to_string(),
        connections: 1,
        in_flight: 8,
        subscribers: 10,
        duration: 1.0,
        warmup: 0.0,
        drain: PATIENCE.as_secs_f64(),
        rate: Some(200.0),
        json: true,
        ..LoadOptions::from_arg_matches(&matches).unwrap()
    }
}

async fn beside(node: &TestNode, idle: usize) -> NeighbourReport {
    let report = tokio::time::timeout(6 * PATIENCE, load::run_beside(options(node), idle)).await;
    report.expect("the load ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_client_is_served_beside_hundreds_of_others() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.connections_max = 500;
        config.diameter.in_flight_max = 64;
        config.diameter.handshake_secs = 1;
    })
    .await;
    let report = beside(&node, 400).await;
    assert!(report.is_clean(), "{report}");
    for load in [&report.alone, &report.beside] {
        assert!(load.answered > 0 && load.answered == load.sent, "{report}");
    }
    let neighbours = report.neighbours;
    assert_eq!((neighbours.idle, neighbours.slow_readers, neighbours.octet_writers), (400, 4, 4));
    assert!(neighbours.slow_readers_sent > 0, "{report}");
    // All gone, and nothing of them is left behind but what they were granted.
    node.node.store.check().unwrap();
    Client::open(node.diameter(), "next.example").await.is_served().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_that_find_no_room_say_what_is_missing() {
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.connections_max = 50).await;
    let error = load::run_beside(options(&node), 400).await.unwrap_err();
    assert!(format!("{error:#}").contains("connections_max must be above 413"), "{error:#}");
}

/// What the system holds of a connection on its way, at most: what the sender keeps and what the receiver does.
fn system_buffers() -> u64 {
    let most = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        text.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or(6 << 20)
    };
    most("tcp_wmem") + most("tcp_rmem")
}

// tests: B-186
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_worked_for_no_further_than_its_buffers_go() {
    const IN_FLIGHT: u64 = 50;
    /// Of one event in the demo's price list.
    const PRICE: i64 = 100_000;
    let node = TestNode::start(DEMO_CATALOG, |config| {
        config.diameter.in_flight_max = IN_FLIGHT as usize;
        config.seed.balance = tollgate::units::Money::from_micros(BALANCE * 100_000);
    })
    .await;
    let greedy = Client::open(node.diameter(), "greedy.example").await;
    let mut good = Client::open(node.diameter(), "good.example").await;
    let one = group(code::REQUESTED_SERVICE_UNIT, &[long(code::CC_SERVICE_SPECIFIC_UNITS, 1)]);
    let event = move |n: u32| {
        ccr_of(2, "greedy.example;1", 4, n)
            .replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, "32274@3gpp.org"))
            .with(number(code::REQUESTED_ACTION, 0))
            .with(one.clone())
            .numbered(n)
    };
    // Every event costs, so that the account tells how many were worked on; an answer is no shorter than this.
    let answer = good.ask(&event(0)).await;
    let bound = IN_FLIGHT + system_buffers() / answer.0.len() as u64;
    let charged = || {
        let store = &node.node.store;
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        let account = store.account(tollgate::ids::AccountId(2)).unwrap();
        // More may have happened meanwhile: it is waited for as well.
        let position = account.position();
        store.mark().wait_for_blocking(position).unwrap();
        let account = store.mark().admit(account).unwrap();
        (BALANCE * 100_000 - account.balance().micros()) / PRICE
    };
    let (mut reader, mut writer) = greedy.into_stream().into_split();
    let writing = tokio::spawn(async move {
        let mut n = 0;
        loop {
            let batch: Vec<u8> = (n + 1..=n + 100).flat_map(|n| event(n).octets()).collect();
            n += 100;
            if writer.write_all(&batch).await.is_err() {
                return;
            }
        }
    });
    // It is worked for until nothing moves any more, while a good client is served.
    let (mut rounds, mut before) = (0, -1);
    while charged() != before {
        before = charged();
        for _ in 0..50 {
            rounds += 1;
            let request = ccr_of(1, &format!("good.example;{rounds}"), 1, 0).with(wanted(1));
            assert!(matches!(good.ask_new(request).await.result(), 2001 | 5006));
        }
        assert!(charged() as u64 <= bound, "{} events, and at most {bound} answers find room", charged());
    }
    assert!(before > 0 && !writing.is_finished());
    writing.abort();
    let mut some = [0; 20];
    tokio::io::AsyncReadExt::read_exact(&mut reader, &mut some).await.unwrap();
    assert_eq!(some[0], 1, "what it was answered is there");
}
