//! The worked flows of the credit-control reference, played by python-diameter over the wire, number for number (see
//! `tests/interop/worked_flows.py`; `tests/it/charging_tables` has the same flows for the core alone).
//!
//! A flow that waits for a feature is ignored with the feature's name: this file is the one place to switch it on.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use tollgate::config::Peer;

use crate::{
    external::run,
    recorder::Recorder,
    support::TestNode,
    tools::{available, interop_file, judged_file},
};

const CURRENCY: &str = r#"currency = "EUR"
"#;

const DATA_CONTEXT: &str = r#"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
"#;

const SMS: &str = r#"
[[context]]
name = "sms"
service_context_id = "32274@3gpp.org"
default_service = "sms"

[[service]]
name = "sms"
context = "sms"
price = "0.09"
per = "1 event"
"#;

/// 0.10 for a MiB; it comes last, so that more can be said of it.
const DATA: &str = r#"
[[service]]
name = "internet"
context = "data"
rating_group = 10
price = "0.10"
per = "1 MiB"
block = "512 KiB"
slice = "10 MiB"
"#;

const PIECE: &str = r#"
[[service]]
name = "piece"
context = "data"
rating_group = 20
price = "1.00"
per = "1 event"
slice = "1 event"
"#;

const VOICE: &str = r#"
[[service]]
name = "voice"
context = "data"
rating_group = 50
price = "0.12"
per = "1 min"
slice = "60 s"
"#;

const REDIRECT: &str = r#"redirect_to = "http://topup.example""#;

pub(crate) const VOLUME: &[&str] = &[DATA_CONTEXT, DATA];
pub(crate) const TWO_SERVICES: &[&str] = &[DATA_CONTEXT, PIECE, DATA];
pub(crate) const REDIRECTED: &[&str] = &[DATA_CONTEXT, DATA, REDIRECT];

/// Plays one flow against a node that has these services, and lets tshark judge what the node said.
async fn play(flow: &str, services: &[&str]) {
    play_with(flow, services, &[]).await;
}

async fn play_with(flow: &str, services: &[&str], options: &[&str]) {
    if !available("python3", &["-c", "import diameter, grpc, grpc_tools"]) {
        return;
    }
    let node = node(services).await;
    let output = played(&node, node.diameter(), flow, options).await;
    let messages = node.directory.path().join("messages.jsonl");
    std::fs::write(&messages, &output.stdout).unwrap();
    judged_file(&messages, &["--received-only"]);
}

/// The same through relays. What went to and fro between them and the node is in the recorder.
pub(crate) async fn relayed(flow: &str, services: &[&str]) -> Recorder {
    let node = node(services).await;
    let recorder = Recorder::before(node.diameter()).await;
    played(&node, recorder.address, flow, &["--relay"]).await;
    recorder
}

async fn node(services: &[&str]) -> TestNode {
    let mut client = Peer::generic("flows.client.example");
    client.overrides.cost_information_in_updates = Some(true);
    client.overrides.unlinked_refunds = Some(true);
    TestNode::start(&[&[CURRENCY], services].concat().concat(), |config| {
        config.seed.subscribers = 0;
        config.diameter.peers = vec![client];
    })
    .await
}

async fn played(node: &TestNode, diameter: SocketAddr, flow: &str, options: &[&str]) -> Output {
    let mut client = Command::new("python3");
    client.arg(interop_file("worked_flows.py")).arg(diameter.to_string());
    client.arg("--grpc").arg(node.node.grpc.to_string()).args(options).arg(flow);
    let output = run(client).await;
    node.node.store.check().unwrap();
    output
}

// tests: C-F1 C-2 C-15 C-16 C-18 C-42 C-43 C-56 I-2 I-5
#[tokio::test]
async fn a_volume_session() {
    play("C-F1", VOLUME).await;
}

// tests: C-F2 C-44 C-81 C-112 C-113
#[tokio::test]
async fn one_of_two_rating_groups_is_refused() {
    play("C-F2", TWO_SERVICES).await;
}

// tests: C-F3 C-80 C-83 C-85 C-86 C-88 C-100 C-101
#[tokio::test]
async fn final_units_redirect_and_top_up() {
    play("C-F3", REDIRECTED).await;
}

// tests: C-F3 C-86
#[tokio::test]
async fn final_units_redirect_and_no_top_up() {
    play("C-F3-without-top-up", REDIRECTED).await;
}

// tests: C-F4 C-83
#[tokio::test]
async fn nothing_left_at_the_start_with_redirect() {
    play("C-F4", REDIRECTED).await;
}

// tests: C-F4 C-83 C-113
#[tokio::test]
async fn nothing_left_at_the_start_without_redirect() {
    play("C-F4-terminate", VOLUME).await;
}

// tests: C-F5 C-60 C-61 C-62
#[tokio::test]
async fn a_tariff_change_with_one_quota() {
    let (services, switch) = price_that_changed();
    play_with("C-F5", &[DATA_CONTEXT, &services], &["--switch", &switch]).await;
}

// tests: C-F5 C-62
#[tokio::test]
async fn a_tariff_change_within_a_report() {
    let (services, switch) = price_that_changed();
    play_with("C-F5-indeterminate", &[DATA_CONTEXT, &services], &["--switch", &switch]).await;
}

/// The data service whose price doubled some minutes ago, and when that was: in UTC, on the minute.
fn price_that_changed() -> (String, String) {
    const MINUTES_AGO: u64 = 8;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let minute = now / 60 - MINUTES_AGO;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let (from, to) = (time(minute), time(minute + 12 * 60).replace("00:00", "24:00"));
    let dearer = format!(
        "[[tariff]]\nservice = \"internet\"\nname = \"evening\"\nfrom = \"{from}\"\nto = \"{to}\"\n\
         price = \"0.20\"\nper = \"1 MiB\"\nblock = \"512 KiB\"\n"
    );
    ([DATA, &dearer].concat(), (minute * 60).to_string())
}

// tests: C-F6 C-130 C-131 C-132 C-133 C-136
#[tokio::test]
async fn events_of_all_four_actions() {
    play("C-F6", &[SMS]).await;
}

// tests: C-F6 C-130 C-132 C-133
#[tokio::test]
async fn events_debited_checked_and_priced() {
    play("C-F6-without-refund", &[SMS]).await;
}

// tests: C-F7 C-140 C-142 B-93 B-95 B-97
#[tokio::test]
async fn a_duplicate_after_the_answer_was_lost() {
    play("C-F7", VOLUME).await;
}

// tests: C-F7 C-140 C-142 B-93
#[tokio::test]
async fn a_duplicate_after_the_answer_came() {
    play("C-F7-original-answered", VOLUME).await;
}

// tests: C-F7 C-145 B-95
#[tokio::test]
async fn a_duplicate_before_its_original() {
    play("C-F7-copy-first", VOLUME).await;
}

// tests: C-F8 C-35 C-57
#[tokio::test]
async fn voice_by_the_started_minute() {
    play("C-F8", &[DATA_CONTEXT, VOICE]).await;
}

// tests: C-F9 C-170 C-171 C-172 C-175
#[tokio::test]
async fn pools_of_credit() {
    let service = |name: &str, key: &str, price: &str, (per, block): (&str, &str), slice: &str, pool: u32| {
        format!(
            "[[service]]\nname = \"{name}\"\ncontext = \"data\"\n{key}\nprice = \"{price}\"\nper = \"{per}\"\n\
             block = \"{block}\"\nslice = \"{slice}\"\npool = {pool}\n"
        )
    };
    let (octets, seconds) = (("1 MB", "1 B"), ("1 min", "1 s"));
    let services = [
        service("access", "rating_group = 100", "1.00", octets, "5 MB", 1),
        service("minutes", "rating_group = 1", "0.10", seconds, "50 min", 1),
        service("third", "service_identifier = 3", "0.20", octets, "12500 kB", 2),
        service("fourth", "service_identifier = 4", "0.50", octets, "5 MB", 2),
    ];
    play("C-F9", &[DATA_CONTEXT, &services.concat()]).await;
}

// tests: C-F10 C-20
#[tokio::test]
async fn more_is_used_than_was_granted() {
    play("C-F10", VOLUME).await;
}

// tests: C-F11 C-81 C-181 C-185
#[tokio::test]
async fn two_sessions_at_once() {
    play("C-F11", VOLUME).await;
}

// tests: C-F12 C-17 C-48 C-92
#[tokio::test]
async fn two_updates_at_once() {
    play("C-F12", TWO_SERVICES).await;
}
