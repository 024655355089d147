//! `bulk`: many changes under one reason, with a second person's approval where one is needed.

mod file;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use self::file::Planned;
use super::{
    balance::RequestId,
    client::{Client, answer, refusal},
    json,
    output::{Output, moment, money},
    trail::pages,
};
use crate::api::v1::{self, bulk::Stage};

/// What can be done with bulk changes.
#[derive(Debug, Subcommand)]
pub enum BulkVerb {
    /// Submit the changes of a file; above the limits of [approval] they wait for somebody else's approval
    Submit(Submit),
    /// Approve one that somebody else has submitted: it is executed from then on
    Approve(Decide),
    /// Reject one, also one's own: nothing of it is done
    Reject(Decide),
    /// How one stands
    Get(Get),
    /// What has become of its changes
    Items(Items),
    /// List them, the newest first
    List(List),
}

/// Which changes.
#[derive(Debug, Args)]
pub struct Submit {
    /// One change a line: ACCOUNT,CHANGE,VALUE[,START] or {"account": .., "change": .., "value": .., "start": ..}.
    /// ACCOUNT is a subscriber or account:ID; CHANGE is adjust, topup, allowance, plan, buy, cancel, state, or
    /// unblock-vouchers (without account); START of buy and cancel is now, next, or a time such as 2026-02-01T00:00:00Z
    #[arg(verbatim_doc_comment)]
    file: PathBuf,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// ISO 4217 code of amounts without one ("5.00 CNY" has one)
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    #[command(flatten)]
    request: RequestId,
}

/// About which one.
#[derive(Debug, Args)]
pub struct Decide {
    /// Its number
    bulk: u64,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Get {
    /// Its number
    bulk: u64,
}

/// Of which one.
#[derive(Debug, Args)]
pub struct Items {
    /// Its number
    bulk: u64,
    /// Only changes that were refused; of a bulk change that has ended there are no others
    #[arg(long)]
    refused: bool,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only those that stand so
    #[arg(long, value_name = "STAGE")]
    stage: Option<StageName>,
}

/// How far a bulk change is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StageName {
    Pending,
    Running,
    Done,
    Rejected,
    Expired,
}

pub(super) async fn run(client: &Client, verb: BulkVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        BulkVerb::Submit(verb) => submit(client, verb, out).await,
        BulkVerb::Approve(Decide { bulk, reason }) => {
            let request = v1::ApproveBulkRequest { bulk_id: bulk, reason };
            tell(answer(client.bulks().approve_bulk(request).await)?.bulk, false, out)
        }
        BulkVerb::Reject(Decide { bulk, reason }) => {
            let request = v1::RejectBulkRequest { bulk_id: bulk, reason };
            tell(answer(client.bulks().reject_bulk(request).await)?.bulk, false, out)
        }
        BulkVerb::Get(Get { bulk }) => {
            let request = v1::GetBulkRequest { bulk_id: bulk, page_size: 1, ..Default::default() };
            tell(answer(client.bulks().get_bulk(request).await)?.bulk, false, out)
        }
        BulkVerb::Items(Items { bulk, refused }) => {
            let items = items(client, bulk, refused).await?;
            Ok(out.list(&items, item_json, &["NUMBER", "ACCOUNT", "STATE", "CHANGE", "WHY NOT"], item_row)?)
        }
        BulkVerb::List(List { stage }) => {
            let bulks = list(client, stage).await?;
            let head = ["NUMBER", "STAGE", "CHANGES", "MONEY", "EXECUTED", "REFUSED", "BY", "DECIDED BY", "REASON"];
            Ok(out.list(&bulks, bulk_json, &head, bulk_row)?)
        }
    }
}

async fn submit(client: &Client, verb: Submit, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Submit { file, reason, currency, request } = verb;
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let name = file.display().to_string();
    let Planned { changes, lines } = file::read(&name, &text, currency.as_deref())?;
    let request_id = request.take();
    let request = v1::SubmitBulkRequest { changes, reason, request_id };
    let submitted = client.bulks().submit_bulk(request).await;
    let done = submitted.map_err(|status| file::located(&name, &lines, &status).unwrap_or_else(|| refusal(&status)))?;
    let done = done.into_inner();
    tell(done.bulk, done.duplicate, out)
}

async fn items(client: &Client, bulk_id: u64, refused: bool) -> anyhow::Result<Vec<v1::BulkItem>> {
    let page = async |page_size, page_token| {
        let request = v1::GetBulkRequest { bulk_id, page_size, page_token, refused };
        let page = answer(client.bulks().get_bulk(request).await)?;
        Ok((page.items, page.next_page_token))
    };
    pages(usize::MAX, String::new(), page).await
}

async fn list(client: &Client, stage: Option<StageName>) -> anyhow::Result<Vec<v1::Bulk>> {
    let stage = match stage {
        None => Stage::Unspecified,
        Some(StageName::Pending) => Stage::Pending,
        Some(StageName::Running) => Stage::Running,
        Some(StageName::Done) => Stage::Done,
        Some(StageName::Rejected) => Stage::Rejected,
        Some(StageName::Expired) => Stage::Expired,
    };
    let page = async |page_size, page_token| {
        let request = v1::ListBulksRequest { stage: stage.into(), page_size, page_token };
        let page = answer(client.bulks().list_bulks(request).await)?;
        Ok((page.bulks, page.next_page_token))
    };
    pages(usize::MAX, String::new(), page).await
}

fn tell(bulk: Option<v1::Bulk>, duplicate: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    let bulk = bulk.context("an answer without a bulk change")?;
    let json = || {
        let mut told = bulk_json(&bulk);
        told["duplicate"] = json!(duplicate);
        told
    };
    let text = || {
        let v1::Bulk { bulk_id, changes, executed, refused, .. } = &bulk;
        let next = match bulk.stage() {
            Stage::Pending => format!(": somebody else must approve it until {}", moment(bulk.expires_at_ms)),
            Stage::Running | Stage::Done => format!(": {executed} executed, {refused} of them refused"),
            _ => String::new(),
        };
        let again = if duplicate { " (submitted before by this request id)" } else { "" };
        format!("bulk {bulk_id}, {changes} changes, {}, {}{next}{again}", money(bulk.money.as_ref()), stage(&bulk))
    };
    Ok(out.object(json, text)?)
}

fn stage(bulk: &v1::Bulk) -> String {
    json::short(bulk.stage().as_str_name(), "STAGE_")
}

fn bulk_row(bulk: &v1::Bulk) -> Vec<String> {
    vec![
        bulk.bulk_id.to_string(),
        stage(bulk),
        bulk.changes.to_string(),
        money(bulk.money.as_ref()),
        bulk.executed.to_string(),
        bulk.refused.to_string(),
        bulk.submitted_by.clone(),
        bulk.decided_by.clone(),
        bulk.reason.clone(),
    ]
}

fn bulk_json(bulk: &v1::Bulk) -> Value {
    json!({
        "bulk_id": bulk.bulk_id,
        "stage": stage(bulk),
        "request_id": bulk.request_id,
        "reason": bulk.reason,
        "submitted_by": bulk.submitted_by,
        "submitted_at_ms": bulk.submitted_at_ms,
        "expires_at_ms": bulk.expires_at_ms,
        "changes": bulk.changes,
        "money": json::money(bulk.money.as_ref()),
        "executed": bulk.executed,
        "refused": bulk.refused,
        "decided_by": bulk.decided_by,
        "decision_reason": bulk.decision_reason,
        "decided_at_ms": bulk.decided_at_ms,
        "ended_at_ms": bulk.ended_at_ms,
    })
}

fn item_row(item: &v1::BulkItem) -> Vec<String> {
    let account = if item.account_id == 0 { String::new() } else { item.account_id.to_string() };
    let state = json::short(item.state().as_str_name(), "STATE_");
    vec![item.number.to_string(), account, state, item.what.clone(), item.refusal.clone()]
}

fn item_json(item: &v1::BulkItem) -> Value {
    json!({
        "number": item.number,
        "account_id": item.account_id,
        "state": json::short(item.state().as_str_name(), "STATE_"),
        "what": item.what,
        "refusal": item.refusal,
    })
}
