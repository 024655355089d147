//! The verbs against a real server.

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::tests::{CATALOG, Node, open, soon},
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
async fn plans_and_terms_are_set_and_accounts_listed() {
    let directory = tempfile::tempdir().unwrap();
    let plans = include_str!("../../tests/it/charging_tables/plans.toml");
    let node = Node::with(open(directory.path(), plans, 100)).await;
    let made = json_of(&node, "account create 5 --currency CNY --balance 1.5 --plan starter --cycle-day 9").await;
    assert_eq!((&made["plan"], &made["activated_at"]), (&json!("starter"), &json!(0)));
    tollgate(&node, "subscriber add --account 5 line 8613900000005").await.unwrap();
    let shown = tollgate(&node, "account get --account 5").await.unwrap();
    assert!(shown.contains("plan          starter, waits for its first use\n"), "{shown}");

    assert_eq!(json_of(&node, "account plan 8613900000005 none --reason test").await["plan"], json!(""));
    let planned = json_of(&node, "account plan --account 5 prepaid --reason test").await;
    let until = planned["valid_until"].as_i64().unwrap();
    let longer = json_of(&node, "account extend --account 5 --by 2d --reason test --request-id e1").await;
    assert_eq!(longer["valid_until"], json!(until + 2 * 86_400));
    let day = json_of(&node, "account extend 8613900000005 --until 2099-12-31 --reason test").await;
    assert_eq!(day["valid_until"], json!(4_102_358_400u64));
    let shown = tollgate(&node, "account get --account 5").await.unwrap();
    assert!(shown.contains("plan          prepaid, valid until 2099-12-31T00:00:00.000Z\n"), "{shown}");
    let limited = json_of(&node, "account limit 8613900000005 2.50 --reason test").await;
    assert_eq!(limited["credit_limit"]["amount"], json!("2.50"));
    assert_eq!(json_of(&node, "account red-list --account 5 on --reason vip").await["never_stop"], json!(true));

    json_of(&node, "account create 6 --currency CNY --balance 9").await;
    let listed = tollgate(&node, "account list").await.unwrap();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let listed = tollgate(&node, "account list --plan prepaid --valid --balance-below 2 --currency CNY --json").await;
    let listed = listed.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()["account_id"], json!(5), "{listed}");
    assert_eq!(tollgate(&node, "account list --state stopped --json").await.unwrap(), "");
    assert!(tollgate(&node, "account list --state gone").await.unwrap_err().contains("is no state"));
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
async fn products_are_sold_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "20").await;
    let listed = tollgate(&node, "product list").await.unwrap();
    assert!(listed.contains("family-10gb") && listed.contains("30.00 CNY  cycle"), "{listed}");
    let bought = json_of(&node, "product buy 8613900000001 no-surprises --request-id b-1").await;
    assert_eq!((&bought["balance"]["amount"], &bought["duplicate"]), (&json!("19.00"), &json!(false)));
    assert_eq!(bought["subscriptions"][0]["state"], json!("active"));
    let again = tollgate(&node, "product buy 8613900000001 no-surprises --request-id b-1").await.unwrap();
    assert!(again.starts_with("balance  19.00 CNY (this request id was answered before"), "{again}");
    let poor = tollgate(&node, "product buy --account 1 family-10gb --at 2001-01-01T00:00:00Z").await.unwrap_err();
    assert!(poor.contains("2001-01-01T00:00:00.000Z is not in the future"), "{poor}");
    let wrong = tollgate(&node, "product buy --account 1 family-10gb --at tomorrow").await.unwrap_err();
    assert!(wrong.contains("--at: `tomorrow` is no moment: write 2026-01-31"), "{wrong}");
    let changed = json_of(&node, "product change --account 1 1 --to night-saver --next --reason asked").await;
    assert_eq!(changed["subscriptions"][0]["becomes"], json!("night-saver"));
    let cycle = tollgate(&node, "account cycle --account 1 5 --request-id d-1").await.unwrap();
    assert!(cycle.contains("\ncycle    ") && cycle.contains("usage 0.00 CNY, fees 0.00 CNY, day 5\n"), "{cycle}");
    let shown = tollgate(&node, "account get --account 1").await.unwrap();
    assert!(shown.contains("\nproduct       1 no-surprises (active), renews "), "{shown}");
    assert_eq!(json_of(&node, "account get --account 1").await["cycle_day"], json!(5));
    let has = tollgate(&node, "product list --account 1").await.unwrap();
    assert!(has.starts_with("NUMBER  PRODUCT       STATE   STARTS"), "{has}");
    let ended = json_of(&node, "product cancel --account 1 1").await;
    assert_eq!(ended["subscriptions"], json!([]));
    node.stop().await;
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
    assert!(
        tollgate(&node, &publish)
            .await
            .unwrap()
            .ends_with("(this request id was answered before: nothing was done this time)\n")
    );
    let later = format!("catalog publish {dearer} --running finish --reason winter --at 2099-12-01T00:00:00+08:00");
    assert_eq!(tollgate(&node, &later).await.unwrap(), "version 3, in force from 2099-11-30T16:00:00.000Z\n");
    assert_eq!(tollgate(&node, "catalog withdraw 3").await.unwrap(), "version 3 is withdrawn\n");

    node.store.mark().wait_for(node.store.last_position()).await.unwrap();
    node.store.write_trails().unwrap();
    let trail = tollgate(&node, "audit list --target catalog_version_2").await.unwrap();
    assert!(trail.contains("PublishCatalog") && trail.contains("autumn"), "{trail}");
    let trail = tollgate(&node, "audit list --target catalog_version_3").await.unwrap();
    assert!(trail.contains("PublishCatalog") && trail.contains("WithdrawCatalog"), "{trail}");
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

#[tokio::test]
async fn records_and_audit_are_listed_added_up_and_verified() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let at = |name: &str| directory.path().join(name).display().to_string();
    node.create(1, "1").await;
    tollgate(&node, "topup --account 1 2 --request-id pay-1 --currency CNY").await.unwrap();
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;1", RequestKind::Termination, 1, 2_500_000).await;
    node.store.mark().wait_for(node.store.last_position()).await.unwrap();
    node.store.write_trails().unwrap();

    let listed = tollgate(&node, "records list").await.unwrap();
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("0.03 CNY") && listed.contains("2500000 octets  terminated  gw;1"), "{listed}");
    let files = format!("records list --directory {}", at("records").replace('_', " "));
    if !at("records").contains('_') {
        assert_eq!(tollgate(&node, &files).await.unwrap(), listed);
        let as_json = tollgate(&node, &format!("{files} --account 1 --from 2020-01-01 --json")).await.unwrap();
        assert_eq!(as_json, tollgate(&node, "records list --json").await.unwrap());
    }
    assert_eq!(tollgate(&node, "records list --to 2020-01-31").await.unwrap().lines().count(), 1);
    assert!(tollgate(&node, "records list --from yesterday").await.unwrap_err().contains("write 2026-01-31"));
    let cursor = listed.lines().last().unwrap().split_whitespace().next().unwrap();
    let shown = json_of(&node, &format!("records show {cursor}")).await;
    assert_eq!((&shown["kind"], &shown["units"]), (&json!("session"), &json!(2_500_000)));
    assert_eq!(tollgate(&node, "records show 1.7").await.unwrap_err(), "there is no record 1.7");
    let reconciled = tollgate(&node, "records reconcile").await.unwrap();
    assert!(reconciled.contains("debited   0.03 CNY by the accounts, 0.03 CNY by the records\n"), "{reconciled}");
    assert!(reconciled.ends_with("exact to the micro-unit\n"), "{reconciled}");

    let listed = tollgate(&node, "audit list --target account_1").await.unwrap();
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("local (operator) 127.0.0.1:"), "{listed}");
    let trail = at("audit");
    if !trail.contains('_') {
        let verify = format!("audit verify --directory {trail} --against-server");
        assert_eq!(json_of(&node, &verify).await["lines"], json!(3));
        let wrong = tollgate(&node, &format!("audit verify --directory {}", at("records"))).await.unwrap_err();
        assert!(wrong.ends_with("there are no files of an audit trail"), "{wrong}");
        // Its end is cut off: only the server knows.
        let file = std::fs::read_dir(&trail)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        let file = file.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        assert!(tollgate(&node, &format!("audit verify --directory {trail}")).await.is_ok());
        let cut = tollgate(&node, &verify).await.unwrap_err();
        assert!(cut.contains("the trail does not have line 3"), "{cut}");
        std::fs::write(
            &file,
            text.replace("pay-1", "pay-2").replacen("\"2.00", "\"9.00", 1).replacen("\"1.00", "\"8.00", 1),
        )
        .unwrap();
        let changed = tollgate(&node, &format!("audit verify --directory {trail}")).await.unwrap_err();
        assert!(changed.contains("was changed: its hash is not that of its content"), "{changed}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_shared_account_has_members() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    tollgate(&node, "account create 5 --currency CNY --balance 10").await.unwrap();
    tollgate(&node, "subscriber add --account 5 anna 8613900000005").await.unwrap();
    tollgate(&node, "subscriber add --account 5 bob 8613900000006").await.unwrap();
    let limits = "--limit day:money=2.50 --limit cycle:octets=1000000";
    let set = format!("member set --account 5 anna --order shared-first {limits} --reason a_family --request-id m1");
    let made = json_of(&node, &set).await;
    assert_eq!((&made["member"]["order"], &made["duplicate"]), (&json!("shared_first"), &json!(false)));
    assert_eq!(made["member"]["limits"][0]["limit"], json!({ "amount": "2.50", "currency": "CNY" }));
    let again = tollgate(&node, &set).await.unwrap();
    assert!(again.ends_with("(this request id was answered before: nothing was done this time)\n"), "{again}");
    tollgate(&node, "topup --account 5 2 --member anna").await.unwrap();
    tollgate(&node, "allowance grant --account 5 sms-100 --member anna").await.unwrap();
    let listed = tollgate(&node, "member list --account 5").await.unwrap();
    let line = "anna    shared_first  2.00 CNY   100 events  0.00 CNY of 2.50 CNY a day";
    assert!(listed.contains(line), "{listed}");
    let shown = tollgate(&node, "account get --account 5").await.unwrap();
    assert!(shown.contains("money of anna") && shown.contains(line), "{shown}");
    for (words, why) in [
        ("member set --account 5 anna --limit hour:money=1 --reason x", "`hour` is no period"),
        ("member set --account 5 anna --limit day:trees=1 --reason x", "`trees` cannot be limited"),
        ("member set --account 5 anna --limit day --reason x", "`day` is no limit"),
        ("member remove --account 5 bob --reason x", "no member of account 5"),
    ] {
        let refusal = tollgate(&node, words).await.unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
    }
    let removed = tollgate(&node, "member remove --account 5 anna --reason gone --request-id r1").await.unwrap();
    assert_eq!(removed, "removed\n");
    tollgate(&node, "subscriber remove --account 5 bob --reason gone").await.unwrap();
    let left = json_of(&node, "account get --account 5").await;
    assert_eq!(
        (&left["subscribers"], &left["members"], &left["balance"]["amount"]),
        (&json!([]), &json!([]), &json!("12.00"))
    );
    node.stop().await;
}

#[tokio::test]
async fn a_charge_is_explained_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;1", RequestKind::Termination, 1, 2_500_000).await;
    let told = tollgate(&node, "explain --account 1 --session gw;1").await.unwrap();
    let lines: Vec<&str> = told.lines().map(str::trim_end).collect();
    assert!(lines[0].ends_with(" usage internet, session gw;1"), "{told}");
    assert!(lines[1].starts_with("  internet: 2,500,000 octets, by version 1 (since "), "{told}");
    let arithmetic = lines[2].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(arithmetic, "2,500,000 octets = 3 blocks of 1 MB at 0.01 CNY per MB 0.03 CNY");
    assert_eq!(lines[3..5], ["  from main balance: 0.03 CNY", "  total 0.03 CNY, as recorded"]);
    let json = json_of(&node, "explain --account 1 --last 1").await;
    assert_eq!((&json["exact"], &json["total"]["amount"]), (&json!(true), &json!("0.03")));
    assert_eq!(json["parts"][0]["lines"][0]["kind"], json!("tier"));
    let today = tollgate(&node, "explain --account 1 --at 1999-01-31").await.unwrap();
    assert_eq!(today, "", "nothing was settled then");
    let nothing = tollgate(&node, "explain --account 1 --session gw;2").await.unwrap_err();
    assert!(nothing.contains("no charge of session `gw;2`"), "{nothing}");
    let both = tollgate(&node, "explain --account 1 --record 4711.0").await.unwrap_err();
    assert!(both.contains("cannot be used with"), "{both}");
    let none = tollgate(&node, "explain").await.unwrap_err();
    assert!(none.contains("name a subscriber"), "{none}");
    node.stop().await;
}

#[tokio::test]
async fn a_file_of_changes_is_submitted_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "10.00").await;
    let file = directory.path().join("changes");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let submit = format!("bulk submit {} --reason wrong_bill --request-id b1", file.display());

    write("account:1,adjust,5\naccount:1,state,off\n");
    let wrong = tollgate(&node, &submit).await.unwrap_err();
    let path = file.display();
    let expected = format!(
        "{path}:1: `5` has no currency: write `5 CNY`, or --currency CNY for all\n\
         {path}:2: `off` is no state: write active, suspended or terminated"
    );
    assert_eq!(wrong, expected);
    write("# who has left\naccount:1,adjust,5 CNY\naccount:2,adjust,5 CNY\n");
    let gone = tollgate(&node, &submit).await.unwrap_err();
    assert_eq!(gone, format!("{path}:3: NOT_FOUND: account: 2 does not exist"));

    write(
        "{\"account\": \"account:1\", \"change\": \"adjust\", \"value\": \"-10.00 CNY\"}\naccount:1,buy,family-10gb\n",
    );
    let submitted = json_of(&node, &submit).await;
    let told = (&submitted["bulk_id"], &submitted["stage"], &submitted["money"]["amount"], &submitted["duplicate"]);
    assert_eq!(told, (&json!(1), &json!("running"), &json!("10.00"), &json!(false)));
    let items = tollgate(&node, "bulk items 1").await.unwrap();
    assert!(items.contains("1       1        waiting  adjust -10.00\n"), "{items}");
    assert_eq!(node.store.run_bulks(10), 2);
    let got = tollgate(&node, "bulk get 1").await.unwrap();
    assert_eq!(got, "bulk 1, 2 changes, 10.00 CNY, done: 2 executed, 1 of them refused\n");
    let refused: Value = serde_json::from_str(&tollgate(&node, "bulk items 1 --json").await.unwrap()).unwrap();
    assert_eq!((&refused["number"], &refused["state"]), (&json!(2), &json!("refused")));
    assert_eq!(json_of(&node, &submit).await["duplicate"], json!(true));
    assert_eq!(json_of(&node, "bulk list --stage done").await["submitted_by"], json!("local"));
    assert_eq!(tollgate(&node, "bulk list --stage pending --json").await.unwrap(), "");
    let unknown = tollgate(&node, "bulk reject 9 --reason none").await.unwrap_err();
    assert_eq!(unknown, "NOT_FOUND: bulk_id: there is no bulk change 9, or it is no longer kept");
    let alone = tollgate(&node, "bulk approve 1 --reason me").await.unwrap_err();
    assert_eq!(alone, "FAILED_PRECONDITION: without callers nobody is told apart: name them in `caller` of [grpc]");
    node.stop().await;
}

#[tokio::test]
async fn codes_of_vouchers_go_to_a_file_that_was_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    let file = directory.path().join("codes.txt");
    let create = |name: &str, amount: &str| {
        let file = file.display();
        format!("voucher create {name} 3 --money {amount} --currency CNY --days 9 --reason shop --to {file}")
    };
    // What is refused leaves none behind.
    let wrong = tollgate(&node, &create("a", "0")).await.unwrap_err();
    assert_eq!(wrong, "INVALID_ARGUMENT: batch.money.amount: must be above zero");
    assert!(!file.exists());
    assert_eq!(tollgate(&node, &create("a", "5")).await.unwrap(), format!("3 codes in {}\n", file.display()));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 3);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = tollgate(&node, &create("b", "5")).await.unwrap_err();
    assert_eq!(again, format!("{} is there already", file.display()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    // Nor was a batch made whose codes would be nowhere.
    assert_eq!(json_of(&node, "voucher list").await["name"], json!("a"));
    node.stop().await;
}

#[tokio::test]
async fn what_another_catalog_would_have_earned_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.interrogate(1, "gw;1", RequestKind::Initial, 0, 0).await;
    node.interrogate(1, "gw;1", RequestKind::Termination, 1, 10_000_000).await;
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let dear = write("dear.toml", &CATALOG.replace("price = \"0.01\"", "price = \"0.15\""));
    let told = tollgate(&node, &format!("catalog what-if {dear}")).await.unwrap();
    for line in [
        &*format!("{dear}: 1 accounts, 2 sessions, events and credits done again\n"),
        "          RECORDED  BASELINE  NEW       DIFFERENCE  CHARGES  REFUSED  UNITS REFUSED\n",
        "internet  0.10 CNY  0.10 CNY  0.90 CNY  0.80 CNY    1        1        4000000 octets\n",
        "total     0.10 CNY  0.10 CNY  0.90 CNY  0.80 CNY    1        1\n",
        "accounts that would have been refused something: 1 (0 in the baseline)\n",
        "1        8613900000001  1                0                0.10 CNY",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let same = write("same.toml", CATALOG);
    let json =
        tollgate(&node, &format!("catalog what-if {dear} {same} --account 1 --to 2999-01-01 --json")).await.unwrap();
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&json[0]["file"], &json[1]["file"]), (&json!(dear), &json!(same)));
    assert_eq!(json[0]["total"]["new"]["earned"]["amount"], json!("0.90"));
    assert_eq!(json[1]["rows"][0]["difference"]["amount"], json!("0.00"));
    assert_eq!((&json[0]["refused_accounts"], &json[1]["accounts"]), (&json!(1), &json!([])));

    let bad = write("bad.toml", "currency = \"CNY\"\nprice = 1\n");
    let error = tollgate(&node, &format!("catalog what-if {bad}")).await.unwrap_err();
    assert!(error.contains(&format!("{bad}:2:1: ")), "{error}");
    assert!(error.ends_with(&format!("{bad} is no catalog")), "{error}");
    node.stop().await;
}
