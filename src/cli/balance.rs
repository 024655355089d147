//! `topup`, `adjust` and `allowance`: what moves money and units.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    account,
    client::{Client, answer, new_request_id},
    json::money,
    output::{self, Output},
    who::Who,
};
use crate::api::v1;

/// A payment.
#[derive(Debug, Args)]
pub struct TopUp {
    #[command(flatten)]
    who: Who,
    /// How much, such as 12.34
    #[arg(allow_negative_numbers = true)]
    amount: String,
    #[command(flatten)]
    request: RequestId,
    /// ISO 4217 code; the account's if not given
    #[arg(long)]
    currency: Option<String>,
    /// The member of a shared account that it is for, by its subscriber's name; everybody if not given
    #[arg(long, value_name = "NAME", default_value = "")]
    member: String,
}

/// An operator's decision.
#[derive(Debug, Args)]
pub struct Adjust {
    #[command(flatten)]
    who: Who,
    /// How much: above zero gives, below zero takes
    #[arg(allow_negative_numbers = true)]
    amount: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    request: RequestId,
    /// ISO 4217 code; the account's if not given
    #[arg(long)]
    currency: Option<String>,
}

/// Money from one account to another.
#[derive(Debug, Args)]
pub struct Transfer {
    /// Account id of the sender
    from: u64,
    /// Account id of the receiver
    to: u64,
    /// How much, such as 12.34
    amount: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    request: RequestId,
}

/// What can be done with allowances.
#[derive(Debug, Subcommand)]
pub enum AllowanceVerb {
    /// Give an allowance of the catalog to an account
    #[command(allow_missing_positional = true)]
    Grant(Grant),
}

/// An allowance for an account.
#[derive(Debug, Args)]
pub struct Grant {
    #[command(flatten)]
    who: Who,
    /// Name of the allowance in the catalog
    allowance: String,
    #[command(flatten)]
    request: RequestId,
    /// The member of a shared account that it is for, by its subscriber's name; everybody if not given
    #[arg(long, value_name = "NAME", default_value = "")]
    member: String,
}

/// What makes a repetition safe.
#[derive(Debug, Args)]
pub(super) struct RequestId {
    /// Idempotency key: the same again changes nothing. One is made if not given
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl RequestId {
    /// The id. One that is made is told before it is used: should the answer get lost, it is what makes another try safe.
    pub(super) fn take(self) -> String {
        self.request_id.unwrap_or_else(|| {
            let id = new_request_id();
            output::complain(format_args!("request id {id} (with --request-id {id} another try is safe)"));
            id
        })
    }
}

pub(super) async fn top_up(client: &Client, verb: TopUp, out: &mut Output<'_>) -> anyhow::Result<()> {
    let account = verb.who.account()?;
    let amount = Some(amount(client, &account, verb.amount, verb.currency).await?);
    let request_id = verb.request.take();
    let request = v1::TopUpRequest { account, amount, request_id: request_id.clone(), member: verb.member };
    let done = answer(client.balances().top_up(request).await)?;
    tell(out, &request_id, done.balance.as_ref(), done.duplicate)
}

pub(super) async fn adjust(client: &Client, verb: Adjust, out: &mut Output<'_>) -> anyhow::Result<()> {
    let account = verb.who.account()?;
    let amount = Some(amount(client, &account, verb.amount, verb.currency).await?);
    let request_id = verb.request.take();
    let request = v1::AdjustRequest { account, amount, request_id: request_id.clone(), reason: verb.reason };
    let done = answer(client.balances().adjust(request).await)?;
    tell(out, &request_id, done.balance.as_ref(), done.duplicate)
}

pub(super) async fn transfer(client: &Client, verb: Transfer, out: &mut Output<'_>) -> anyhow::Result<()> {
    let by_id = |id| Some(v1::AccountRef { by: Some(v1::account_ref::By::AccountId(id)) });
    let (from, to) = (by_id(verb.from), by_id(verb.to));
    let amount = Some(amount(client, &from, verb.amount, None).await?);
    let request_id = verb.request.take();
    let request = v1::TransferRequest { from, to, amount, request_id: request_id.clone(), reason: verb.reason };
    let done = answer(client.balances().transfer(request).await)?;
    tell(out, &request_id, done.balance.as_ref(), done.duplicate)
}

pub(super) async fn allowance(client: &Client, verb: AllowanceVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    let AllowanceVerb::Grant(Grant { who, allowance, request, member }) = verb;
    let account = who.account()?;
    let request_id = request.take();
    let request = v1::GrantAllowanceRequest { account, allowance, request_id: request_id.clone(), member };
    let done = answer(client.balances().grant_allowance(request).await)?;
    let json = || json!({ "request_id": request_id, "bucket_id": done.bucket_id, "duplicate": done.duplicate });
    let text = || format!("bucket {}{}", done.bucket_id, before(done.duplicate));
    Ok(out.object(json, text)?)
}

/// An amount in the currency that was given, or in the account's.
async fn amount(
    client: &Client,
    account: &Option<v1::AccountRef>,
    amount: String,
    currency: Option<String>,
) -> anyhow::Result<v1::Money> {
    let currency = match currency {
        Some(currency) => currency,
        None => account::get(client, account.clone()).await.context("looking for the account's currency")?.currency,
    };
    Ok(v1::Money { currency, amount })
}

fn tell(out: &mut Output<'_>, request_id: &str, balance: Option<&v1::Money>, duplicate: bool) -> anyhow::Result<()> {
    let json = || json!({ "request_id": request_id, "balance": money(balance), "duplicate": duplicate });
    let text = || format!("balance {}{}", output::money(balance), before(duplicate));
    Ok(out.object(json, text)?)
}

pub(super) fn before(duplicate: bool) -> &'static str {
    if duplicate { " (this request id was answered before: nothing was done this time)" } else { "" }
}
