//! `voucher`: batches of codes that are worth money or an allowance, once.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::{
    balance::RequestId,
    client::{Client, answer},
    json,
    output::{Output, moment, money},
    who::Who,
};
use crate::api::v1::{self, voucher_batch::Value};

/// Batches asked for at a time.
const PAGE_SIZE: u32 = 500;

/// What can be done with vouchers.
#[derive(Debug, Subcommand)]
pub enum VoucherVerb {
    /// Make a batch; its codes are told once, here
    Create(Create),
    /// Redeem a code for an account
    #[command(allow_missing_positional = true)]
    Redeem(Redeem),
    /// Block a batch, or let its vouchers be redeemed again
    Block(Block),
    /// List batches
    List,
    /// Show what has become of a code
    Show(Show),
}

/// A new batch.
#[derive(Debug, Args)]
pub struct Create {
    /// Name of the batch, unique
    name: String,
    /// How many vouchers
    count: u32,
    /// What each is worth, such as 10.00, in the catalog's currency
    #[arg(long, value_name = "AMOUNT", required_unless_present = "allowance", conflicts_with = "allowance")]
    money: Option<String>,
    /// ISO 4217 code of --money
    #[arg(long, value_name = "CODE", required_unless_present = "allowance")]
    currency: Option<String>,
    /// What each is worth: an allowance of the catalog
    #[arg(long, value_name = "NAME")]
    allowance: Option<String>,
    /// For how many days they can be redeemed
    #[arg(long, value_name = "N")]
    days: u32,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Write the codes to this file, one a line, instead of telling them; it must not be there yet
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A code for an account.
#[derive(Debug, Args)]
pub struct Redeem {
    #[command(flatten)]
    who: Who,
    /// The code; blanks and hyphens do not matter
    code: String,
    #[command(flatten)]
    request: RequestId,
}

/// Which batch.
#[derive(Debug, Args)]
pub struct Block {
    /// Name of the batch
    name: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Let its vouchers be redeemed again
    #[arg(long)]
    lift: bool,
}

/// Which voucher.
#[derive(Debug, Args)]
pub struct Show {
    /// The code
    code: String,
}

pub(super) async fn run(client: &Client, verb: VoucherVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        VoucherVerb::Create(verb) => create(client, verb, out).await,
        VoucherVerb::Redeem(verb) => redeem(client, verb, out).await,
        VoucherVerb::Block(Block { name, reason, lift }) => {
            let request = v1::BlockVoucherBatchRequest { name: name.clone(), blocked: !lift, reason };
            answer(client.vouchers().block_voucher_batch(request).await)?;
            let now = if lift { "can be redeemed again" } else { "is blocked" };
            Ok(out.object(|| json!({ "name": name, "blocked": !lift }), || format!("{name} {now}"))?)
        }
        VoucherVerb::List => list(client, out).await,
        VoucherVerb::Show(Show { code }) => {
            let found = answer(client.vouchers().get_voucher(v1::GetVoucherRequest { code }).await)?;
            Ok(out.object(|| shown(&found), || told(&found))?)
        }
    }
}

async fn create(client: &Client, verb: Create, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Create { name, count, money, currency, allowance, days, reason, to } = verb;
    let value = match (money, allowance) {
        (Some(amount), _) => Value::Money(v1::Money { currency: currency.unwrap_or_default(), amount }),
        (None, Some(allowance)) => Value::Allowance(allowance),
        (None, None) => bail!("--money or --allowance says what a voucher is worth"),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let valid_until = i64::try_from(now + u64::from(days) * 86_400).unwrap_or(i64::MAX);
    let batch = Some(v1::VoucherBatch { name: name.clone(), value: Some(value), valid_until });
    let request = v1::CreateVoucherBatchRequest { batch, count, reason };
    // Before there are codes: afterwards they would have nowhere to go.
    let opened = to.as_deref().map(new_file).transpose()?;
    let made = answer(client.vouchers().create_voucher_batch(request).await).inspect_err(|_| {
        // It is empty, and nobody's but ours.
        let _ = to.as_deref().map(std::fs::remove_file);
    })?;
    if made.blocked {
        super::complain(format_args!("{}", waits(&name, made.bulk_id)));
    }
    if let Some((file, mut opened)) = to.zip(opened) {
        let lines: String = made.codes.iter().map(|code| format!("{code}\n")).collect();
        // They are nowhere else: if the file cannot be written, they are told after all.
        if opened.write_all(lines.as_bytes()).and_then(|()| opened.sync_all()).is_ok() {
            let json = || {
                let file = file.display().to_string();
                json!({ "name": name, "count": made.codes.len(), "file": file, "blocked": made.blocked, "bulk_id": made.bulk_id })
            };
            return Ok(out.object(json, || format!("{} codes in {}", made.codes.len(), file.display()))?);
        }
        super::complain(format_args!("{} cannot be written: the codes follow", file.display()));
    }
    let json = || json!({ "name": name, "codes": made.codes, "blocked": made.blocked, "bulk_id": made.bulk_id });
    Ok(out.object(json, || made.codes.join("\n"))?)
}

/// A file that was not there, for nobody else to read: whoever reads codes has their money.
fn new_file(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} is there already", path.display()),
        _ => anyhow::Error::new(error).context(format!("{} cannot be written", path.display())),
    })
}

/// What has to be done before the vouchers of a batch can be redeemed.
fn waits(name: &str, bulk: u64) -> String {
    match bulk {
        0 => format!(
            "{name} is blocked, and too many bulk changes wait: submit one with `,unblock-vouchers,{name}` later"
        ),
        _ => format!("{name} is blocked until somebody else approves it: tollgate bulk approve {bulk} --reason WHY"),
    }
}

async fn redeem(client: &Client, verb: Redeem, out: &mut Output<'_>) -> anyhow::Result<()> {
    let account = verb.who.account()?;
    let request_id = verb.request.take();
    let request = v1::RedeemVoucherRequest { account, code: verb.code, request_id: request_id.clone() };
    let done = answer(client.vouchers().redeem_voucher(request).await)?;
    let value = done.value.as_ref().and_then(|batch| batch.value.as_ref());
    let json = || {
        json!({
            "request_id": request_id,
            "value": value.map(worth_json),
            "balance": json::money(done.balance.as_ref()),
            "bucket_id": done.bucket_id,
            "duplicate": done.duplicate,
        })
    };
    let again = if done.duplicate { " (redeemed before by this request id)" } else { "" };
    let text = || format!("{}, balance {}{again}", value.map_or_else(String::new, worth), money(done.balance.as_ref()));
    Ok(out.object(json, text)?)
}

async fn list(client: &Client, out: &mut Output<'_>) -> anyhow::Result<()> {
    let mut page_token = String::new();
    loop {
        let request = v1::ListVoucherBatchesRequest { page_size: PAGE_SIZE, page_token };
        let page = answer(client.vouchers().list_voucher_batches(request).await)?;
        for status in &page.batches {
            let batch = status.batch.as_ref().context("a batch without terms")?;
            let value = batch.value.as_ref();
            let json = || {
                json!({
                    "name": batch.name,
                    "value": value.map(worth_json),
                    "valid_until": batch.valid_until,
                    "count": status.count,
                    "open": status.open,
                    "blocked": status.blocked,
                })
            };
            let blocked = if status.blocked { "  BLOCKED" } else { "" };
            let text = || {
                let until = moment(batch.valid_until.saturating_mul(1_000));
                let worth = value.map_or_else(String::new, worth);
                format!("{}  {worth}  {} of {} open  until {until}{blocked}", batch.name, status.open, status.count)
            };
            out.object(json, text)?;
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}

fn worth(value: &Value) -> String {
    match value {
        Value::Money(amount) => money(Some(amount)),
        Value::Allowance(name) => format!("allowance {name}"),
    }
}

fn worth_json(value: &Value) -> Json {
    match value {
        Value::Money(amount) => json!({ "money": json::money(Some(amount)) }),
        Value::Allowance(name) => json!({ "allowance": name }),
    }
}

fn shown(found: &v1::GetVoucherResponse) -> Json {
    json!({
        "batch": found.batch.as_ref().map(|batch| batch.name.clone()),
        "number": found.number,
        "blocked": found.blocked,
        "redeemed": found.redeemed,
        "account_id": found.account_id,
        "redeemed_at_ms": found.redeemed_at_ms,
    })
}

fn told(found: &v1::GetVoucherResponse) -> String {
    let batch = found.batch.as_ref().map_or("", |batch| &batch.name);
    let state = if found.redeemed {
        format!("redeemed by account {} at {}", found.account_id, moment(found.redeemed_at_ms))
    } else if found.blocked {
        "blocked".to_owned()
    } else {
        "open".to_owned()
    };
    format!("number {} of {batch}: {state}", found.number)
}
