//! Plans, validity and terms of credit; lists of accounts.

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::super::{
    balance::RequestId,
    client::{Client, answer},
    json,
    output::{self, Output, money},
    who::Who,
};
use crate::api::v1;

/// Accounts asked for at a time.
const PAGE_SIZE: u32 = 500;

/// A plan for an account.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    who: Who,
    /// Name in the catalog; `none` takes the plan away
    plan: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

/// A credit limit for an account.
#[derive(Debug, Args)]
pub struct Limit {
    #[command(flatten)]
    who: Who,
    /// How far below zero it may go; 0 = prepaid
    amount: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

/// On the red list, or off it.
#[derive(Debug, Args)]
pub struct RedList {
    #[command(flatten)]
    who: Who,
    /// On: never stopped for want of credit, and valid for ever
    #[arg(value_enum)]
    to: OnOff,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnOff {
    /// Yes.
    On,
    /// No.
    Off,
}

/// A longer validity.
#[derive(Debug, Args)]
pub struct Extend {
    #[command(flatten)]
    who: Who,
    /// By so much: 30d, 12h, 90m, 45s
    #[arg(long, value_name = "TIME", required_unless_present = "until", conflicts_with = "until")]
    by: Option<String>,
    /// To the start of this day (UTC), such as 2027-01-31, or to a Unix time in seconds
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    request: RequestId,
}

/// Which accounts.
#[derive(Debug, Args)]
pub struct List {
    /// Only in this state: active, stopped, suspended, terminated
    #[arg(long)]
    state: Option<String>,
    /// Only with this plan
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Only those whose validity has ended
    #[arg(long, conflicts_with = "valid")]
    lapsed: bool,
    /// Only those whose validity has not ended
    #[arg(long)]
    valid: bool,
    /// Only with less money than this
    #[arg(long, value_name = "AMOUNT", requires = "currency", allow_negative_numbers = true)]
    balance_below: Option<String>,
    /// Currency of that amount, ISO 4217
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Only with this product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
}

pub(super) async fn plan(client: &Client, verb: Plan) -> anyhow::Result<v1::Account> {
    let plan = if verb.plan == "none" { String::new() } else { verb.plan };
    let request =
        v1::SetPlanRequest { account: verb.who.account()?, plan, reason: verb.reason, request_id: String::new() };
    Ok(answer(client.accounts().set_plan(request).await)?.account.unwrap_or_default())
}

pub(super) async fn limit(client: &Client, verb: Limit) -> anyhow::Result<v1::Account> {
    let account = verb.who.account()?;
    let currency = super::get(client, account.clone()).await?.currency;
    let credit_limit = Some(v1::Money { currency, amount: verb.amount });
    let request = v1::SetCreditLimitRequest { account, credit_limit, reason: verb.reason, request_id: String::new() };
    Ok(answer(client.accounts().set_credit_limit(request).await)?.account.unwrap_or_default())
}

pub(super) async fn red_list(client: &Client, verb: RedList) -> anyhow::Result<v1::Account> {
    let request = v1::SetNeverStopRequest {
        account: verb.who.account()?,
        never_stop: verb.to == OnOff::On,
        reason: verb.reason,
        request_id: String::new(),
    };
    Ok(answer(client.accounts().set_never_stop(request).await)?.account.unwrap_or_default())
}

pub(super) async fn extend(client: &Client, verb: Extend) -> anyhow::Result<v1::Account> {
    use v1::extend_validity_request::Extension;
    let account = verb.who.account()?;
    let extension = match (verb.by, verb.until) {
        (Some(by), _) => Extension::BySecs(duration(&by)?),
        (None, until) => Extension::Until(day(until.as_deref().unwrap_or_default())?),
    };
    let request_id = verb.request.take();
    let request = v1::ExtendValidityRequest { account, extension: Some(extension), reason: verb.reason, request_id };
    Ok(answer(client.accounts().extend_validity(request).await)?.account.unwrap_or_default())
}

pub(super) async fn list(client: &Client, verb: List, out: &mut Output<'_>) -> anyhow::Result<()> {
    let accounts = all(client, verb).await?;
    let head = ["ACCOUNT", "STATE", "BALANCE", "RESERVED", "PLAN", "LIFE", "SUBSCRIBERS", "SESSIONS"];
    Ok(out.list(&accounts, json::account, &head, row)?)
}

async fn all(client: &Client, verb: List) -> anyhow::Result<Vec<v1::Account>> {
    let state = match verb.state.as_deref() {
        None => v1::AccountState::Unspecified,
        Some(name) => v1::AccountState::from_str_name(&format!("ACCOUNT_STATE_{}", name.to_ascii_uppercase()))
            .with_context(|| format!("`{name}` is no state: write active, stopped, suspended or terminated"))?,
    };
    let currency = verb.currency.unwrap_or_default();
    let mut request = v1::ListAccountsRequest {
        state: state.into(),
        plan: verb.plan.unwrap_or_default(),
        lapsed: (verb.lapsed || verb.valid).then_some(verb.lapsed),
        balance_below: verb.balance_below.map(|amount| v1::Money { currency, amount }),
        product: verb.product.unwrap_or_default(),
        ..v1::ListAccountsRequest::default()
    };
    let mut accounts = Vec::new();
    loop {
        request.page_size = u32::try_from(verb.limit - accounts.len()).unwrap_or(u32::MAX).min(PAGE_SIZE);
        if request.page_size == 0 {
            return Ok(accounts);
        }
        let page = answer(client.accounts().list_accounts(request.clone()).await)?;
        accounts.extend(page.accounts);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(accounts);
        }
    }
}

fn row(account: &v1::Account) -> Vec<String> {
    vec![
        account.account_id.to_string(),
        json::state(account),
        money(account.balance.as_ref()),
        money(account.reserved.as_ref()),
        account.plan.clone(),
        if account.plan.is_empty() { String::new() } else { life(account) },
        account.subscribers.len().to_string(),
        account.live_sessions.to_string(),
    ]
}

/// Where an account's life has come to, in words.
pub(super) fn life(account: &v1::Account) -> String {
    let moment = |secs: i64| output::moment(secs.saturating_mul(1_000));
    match account {
        v1::Account { activated_at: 0, .. } => "waits for its first use".into(),
        v1::Account { lapsed: true, ends_at: 0, .. } => "lapsed".into(),
        v1::Account { lapsed: true, ends_at, .. } => format!("lapsed, ends at {}", moment(*ends_at)),
        v1::Account { valid_until: 0, .. } => "without an end".into(),
        v1::Account { valid_until, .. } => format!("valid until {}", moment(*valid_until)),
    }
}

/// `30d`, `12h`, `90m`, `45s` in seconds.
fn duration(text: &str) -> anyhow::Result<u64> {
    let units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let split = units.iter().find_map(|(unit, secs)| Some((text.strip_suffix(*unit)?, *secs)));
    let parsed = split.and_then(|(number, secs)| number.parse::<u64>().ok()?.checked_mul(secs));
    parsed.with_context(|| format!("`{text}` is no time: write a number and d, h, m or s, such as 30d"))
}

/// The start of a day in UTC, in seconds since 1970; or such a number itself.
fn day(text: &str) -> anyhow::Result<i64> {
    if let Ok(secs) = text.parse::<u32>() {
        return Ok(secs.into());
    }
    let parts: Vec<Option<i64>> = text.splitn(3, '-').map(|part| part.parse::<u16>().ok().map(i64::from)).collect();
    let &[Some(year), Some(month @ 1..=12), Some(day @ 1..=31)] = parts.as_slice() else {
        bail!("`{text}` is no day: write it as 2027-01-31");
    };
    // Days from 1970 to a civil date by the usual era arithmetic; the year begins in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Ok(days * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(["30d", "12h", "90m", "45s"].map(|text| duration(text).unwrap()), [2_592_000, 43_200, 5_400, 45]);
        for bad in ["", "d", "30", "3w", "-1d", "99999999999999999999d", "999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_begin_at_midnight() {
        for (text, shown) in [("1970-01-01", "1970-01-01"), ("2000-02-29", "2000-02-29"), ("2027-12-31", "2027-12-31")]
        {
            assert_eq!(output::moment(day(text).unwrap() * 1_000), format!("{shown}T00:00:00.000Z"));
        }
        assert_eq!(day("1800000000").unwrap(), 1_800_000_000);
        for bad in ["", "x", "2027-13-01", "2027-01-32", "2027-01", "-5"] {
            assert!(day(bad).is_err(), "{bad}");
        }
    }
}
