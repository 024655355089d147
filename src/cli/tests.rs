//! The verbs against a real server.

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::tests::{Node, soon},
    charging::RequestKind,
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: AdminCommand,
}

/// Runs `tollgate` with these words against a node, and returns what it writes, or its error.
async fn tollgate(node: &Node, words: &str) -> Result<String, String> {
    let server = format!("--server=http://{}", node.address);
    // `_` stands for a space.
    let words = words.split(' ').map(|word| word.replace('_', " "));
    let arguments = Arguments::try_parse_from(["tollgate".to_owned()].into_iter().chain(words).chain([server]));
    let mut out = Vec::new();
    let command = arguments.map_err(|error| error.to_string())?.command;
    soon(run_to(command, &mut out)).await.map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

async fn json_of(node: &Node, words: &str) -> Value {
    serde_json::from_str(&tollgate(node, &format!("{words} --json")).await.unwrap()).unwrap()
}

#[test]
fn arguments_are_declared_well() {
    <Arguments as clap::CommandFactory>::command().debug_assert();
}

#[tokio::test]
async fn an_account_is_created_topped_up_and_explained() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let made = json_of(&node, "account create 5 --currency CNY --balance 1.5 --allowance sms-100").await;
    assert_eq!((&made["state"], &made["balance"]["amount"]), (&json!("active"), &json!("1.50")));
    tollgate(&node, "subscriber add --account 5 line 8613900000005 imsi:460000000000005").await.unwrap();

    let topped = json_of(&node, "topup 8613900000005 2 --request-id pay-1").await;
    assert_eq!(topped["balance"], json!({ "amount": "3.50", "currency": "CNY" }));
    let again = tollgate(&node, "topup --account 5 2 --request-id pay-1 --currency CNY").await.unwrap();
    assert_eq!(again, "balance 3.50 CNY (this request id was answered before: nothing was done this time)\n");
    let made_up = json_of(&node, "topup imsi:460000000000005 1").await;
    assert!(made_up["request_id"].as_str().unwrap().starts_with("cli-"), "{made_up}");
    let taken = tollgate(&node, "adjust --account 5 -0.5 --reason wrong_voucher").await.unwrap();
    assert_eq!(taken, "balance 4.00 CNY\n");
    assert_eq!(json_of(&node, "allowance grant --account 5 data-1gb").await["bucket_id"], json!(3));

    let shown = tollgate(&node, "account get imsi:460000000000005").await.unwrap();
    for line in [
        "account       5 (active)\n",
        "balance       4.00 CNY\n",
        "subscriber    line: 8613900000005, imsi:460000000000005\n",
        "BUCKET  NAME      HOLDS",
        "2       sms-100   100 events",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let history = tollgate(&node, "history 8613900000005").await.unwrap();
    assert!(history.contains("-0.50 CNY  0.50 CNY taken by an operator: wrong voucher.\n"), "{history}");
    let history = tollgate(&node, "history 8613900000005 --json").await.unwrap();
    assert_eq!(history.lines().count(), 5);
    assert!(history.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].is_string()), "{history}");

    assert_eq!(json_of(&node, "account suspend --account 5 --reason fraud").await["state"], json!("suspended"));
    assert_eq!(json_of(&node, "account activate --account 5 --reason cleared").await["state"], json!("active"));
    assert_eq!(json_of(&node, "account terminate --account 5 --reason left").await["state"], json!("terminated"));
    node.stop().await;
}

#[tokio::test]
async fn sessions_events_and_prices_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "gw;1;1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;1;1", RequestKind::Update, 1, 1_000_000).await;
    let sessions = tollgate(&node, "session list").await.unwrap();
    assert!(sessions.contains("internet: 0.01 CNY, 1000000 octets"), "{sessions}");
    tollgate(&node, "session reauthorise gw;1;1").await.unwrap();
    let session = json_of(&node, "session list --account 1 --limit 1").await;
    assert_eq!(session["reauthorisation_pending"], json!(true));

    for id in ["a", "b", "c"] {
        tollgate(&node, &format!("topup --account 1 1 --request-id {id}")).await.unwrap();
    }
    let tailed = tollgate(&node, "events tail --consumer hlr --ack --limit 2 --json").await.unwrap();
    let ids: Vec<Value> = tailed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids.iter().map(|event| &event["request_id"]).collect::<Vec<_>>(), ["a", "b"]);
    let third = tollgate(&node, "events tail --consumer hlr --limit 1").await.unwrap();
    assert!(third.contains("account 1 [8613900000001]  top_up of 1.00 CNY (c)  balance 3.99 CNY"), "{third}");
    let cursor = third.split(' ').next().unwrap();
    tollgate(&node, &format!("events ack --consumer hlr {cursor}")).await.unwrap();
    assert_eq!(node.store.outbox().acknowledged("hlr").unwrap().to_string(), cursor);
    let forgotten = json_of(&node, "events forget --consumer hlr").await;
    assert_eq!(forgotten, json!({ "consumer": "hlr", "forgotten": true }));
    assert_eq!(node.store.outbox().acknowledged("hlr"), None);

    let price = tollgate(&node, "price 32251@3gpp.org 3000000 --rating-group 1").await.unwrap();
    assert_eq!(
        price,
        "internet: 3,000,000 octets = 3 blocks of 1 MB at 0.01 CNY per MB: 0.03 CNY (catalog version 1)\n"
    );
    assert_eq!(json_of(&node, "price 32274@3gpp.org 2").await["price"]["amount"], json!("0.20"));
    node.stop().await;
}

#[tokio::test]
async fn errors_are_readable() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    for (words, message) in [
        ("account get --account 7", "NOT_FOUND: account: 7 does not exist"),
        ("account get", "name a subscriber (such as 8613900000001"),
        ("account get abc", "`abc` is no identity"),
        ("topup --account 7 x --currency CNY", "INVALID_ARGUMENT: amount.amount: `x` is not an amount"),
        ("history 4912345678901", "NOT_FOUND: account.identity: no subscriber has 4912*******01"),
        ("account get 1 --account 1", "cannot be used with"),
    ] {
        let error = tollgate(&node, words).await.unwrap_err();
        assert!(error.contains(message), "{words}: {error}");
    }
    let address = node.address;
    node.stop().await;
    let words = ["tollgate", "history", "1", "--server", &format!("http://{address}")].map(str::to_owned);
    let command = Arguments::try_parse_from(words).unwrap().command;
    let error = soon(run_to(command, &mut Vec::new())).await.unwrap_err();
    assert!(error.to_string().contains("is the server running?"), "{error}");
}

#[tokio::test]
async fn versions_of_the_catalog_are_published_listed_and_compared() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let dearer = crate::api::tests::CATALOG.replace("price = \"0.01\"", "price = \"0.02\"");
    let (dearer, wrong) = (file("dearer.toml", &dearer), file("wrong.toml", "currency = \"CNY\"\nprize = 1\n"));

    assert_eq!(tollgate(&node, &format!("catalog validate {dearer}")).await.unwrap(), format!("{dearer}: valid\n"));
    let refused = tollgate(&node, &format!("catalog validate {wrong} --json")).await.unwrap_err();
    assert!(refused.ends_with("wrong.toml is no catalog"), "{refused}");

    let publish = format!("catalog publish {dearer} --running change --reason autumn --request-id p1");
    let published = json_of(&node, &publish).await;
    assert_eq!((&published["number"], &published["state"]), (&json!(2), &json!("in_force")));
    assert!(tollgate(&node, &publish).await.unwrap().starts_with("version 2 (again), in force from 20"));
    let later = format!("catalog publish {dearer} --running finish --reason winter --at 2099-12-01T00:00:00+08:00");
    assert_eq!(tollgate(&node, &later).await.unwrap(), "version 3, in force from 2099-11-30T16:00:00.000Z\n");
    assert_eq!(tollgate(&node, "catalog withdraw 3").await.unwrap(), "version 3 is withdrawn\n");

    let listed = tollgate(&node, "catalog list").await.unwrap();
    let states: Vec<&str> = listed.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(states, ["withdrawn", "in_force", "superseded"], "{listed}");
    let shown = tollgate(&node, "catalog show 1").await.unwrap();
    assert_eq!(shown.trim_end(), crate::api::tests::CATALOG.trim_end());
    let shown = json_of(&node, "catalog show").await;
    assert!(shown["number"] == 2 && shown["toml"].as_str().unwrap().contains("0.02"), "{shown}");
    let diff = tollgate(&node, "catalog diff 1").await.unwrap();
    assert!(diff.contains("service internet: price \"0.01\" -> \"0.02\"\n"), "{diff}");
    assert_eq!(tollgate(&node, "catalog diff 2 3").await.unwrap(), "versions 2 and 3 say the same\n");

    let price = "price 32251@3gpp.org 1000000 --rating-group 1";
    for (more, amount, version) in [("", "0.02", 2), (" --catalog 1", "0.01", 1)] {
        let told = json_of(&node, &format!("{price}{more}")).await;
        assert_eq!((&told["price"]["amount"], &told["catalog_version"]), (&json!(amount), &json!(version)));
    }
    node.stop().await;
}
