//! `history`.

use clap::Args;

use super::{
    client::{Client, answer},
    json,
    output::{Output, moment, money},
    who::Who,
};
use crate::api::v1;

/// Whose history.
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    who: Who,
}

pub(super) async fn run(client: &Client, verb: History, out: &mut Output<'_>) -> anyhow::Result<()> {
    let request = v1::ListHistoryRequest { account: verb.who.account()? };
    let entries = answer(client.balances().list_history(request).await)?.entries;
    Ok(out.list(&entries, json::history, &["AT", "KIND", "AMOUNT", "WHY"], row)?)
}

fn row(entry: &v1::HistoryEntry) -> Vec<String> {
    let kind = json::short(entry.kind().as_str_name(), "KIND_");
    vec![moment(entry.at_ms), kind, money(entry.amount.as_ref()), entry.explanation.clone()]
}
