//! `member`: who uses a shared account, and on what terms.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    account,
    balance::{RequestId, before},
    client::{Client, answer},
    json::{self, short},
    output::{self, Output, money, units},
};
use crate::api::v1::{self, account_ref::By, member_limit};

/// Members asked for at once.
const PAGE_SIZE: u32 = 1_000;
/// Columns of the list.
const HEAD: [&str; 6] = ["MEMBER", "ORDER", "OWN MONEY", "OWN UNITS", "TOOK OF SHARED", "SESSIONS"];

/// What can be done with members of a shared account.
#[derive(Debug, Subcommand)]
pub enum MemberVerb {
    /// Make a subscriber a member, or give a member other terms
    Set(Set),
    /// Take a member out of the account: its sessions end, its own balance is everybody's, its identities are free
    Remove(Remove),
    /// List the members with their own balances and what they took of what is shared
    List(List),
}

/// Terms of a member.
#[derive(Debug, Args)]
pub struct Set {
    /// Account id
    #[arg(long, value_name = "ID")]
    account: u64,
    /// Name of the subscriber in the account
    subscriber: String,
    /// Whose balance pays first
    #[arg(long, value_enum, default_value_t = Order::OwnFirst)]
    order: Order,
    /// What it may take of what is shared: day:money=5.00, week:octets=1000000000, cycle:events=100; may be repeated
    #[arg(long = "limit", value_name = "PERIOD:UNIT=AMOUNT")]
    limits: Vec<String>,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    request: RequestId,
}

/// Whose balance pays first.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Order {
    /// Its own, then what is shared
    OwnFirst,
    /// What is shared, then its own
    SharedFirst,
    /// Its own only
    OwnOnly,
    /// What is shared only
    SharedOnly,
}

/// Who goes.
#[derive(Debug, Args)]
pub struct Remove {
    /// Account id
    #[arg(long, value_name = "ID")]
    pub(super) account: u64,
    /// Name of the subscriber in the account
    pub(super) subscriber: String,
    /// Why, for the record
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) request: RequestId,
}

/// Whose members.
#[derive(Debug, Args)]
pub struct List {
    /// Account id
    #[arg(long, value_name = "ID")]
    account: u64,
}

pub(super) async fn run(client: &Client, verb: MemberVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        MemberVerb::Set(verb) => set(client, verb, out).await,
        MemberVerb::Remove(Remove { account, subscriber, reason, request }) => {
            let request_id = request.take();
            let asked = v1::RemoveMemberRequest {
                account: by_id(account),
                subscriber_id: subscriber,
                request_id: request_id.clone(),
                reason,
            };
            let done = answer(client.accounts().remove_member(asked).await)?;
            removed(out, &request_id, done.duplicate)
        }
        MemberVerb::List(List { account }) => {
            let members = all(client, account).await?;
            Ok(out.list(&members, json_of, &HEAD, row)?)
        }
    }
}

/// `subscriber remove`.
pub(super) async fn remove_subscriber(client: &Client, verb: Remove, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Remove { account, subscriber, reason, request } = verb;
    let request_id = request.take();
    let asked = v1::RemoveSubscriberRequest {
        account: by_id(account),
        subscriber_id: subscriber,
        request_id: request_id.clone(),
        reason,
    };
    let done = answer(client.accounts().remove_subscriber(asked).await)?;
    removed(out, &request_id, done.duplicate)
}

async fn set(client: &Client, verb: Set, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Set { account, subscriber, order, limits, reason, request } = verb;
    let in_money = limits.iter().any(|limit| limit.contains(":money="));
    let currency = if in_money { account::get(client, by_id(account)).await?.currency } else { String::new() };
    let limits = limits.iter().map(|text| limit(text, &currency)).collect::<Result<_, _>>()?;
    let order = match order {
        Order::OwnFirst => v1::PayOrder::OwnFirst,
        Order::SharedFirst => v1::PayOrder::SharedFirst,
        Order::OwnOnly => v1::PayOrder::OwnOnly,
        Order::SharedOnly => v1::PayOrder::SharedOnly,
    };
    let request_id = request.take();
    let asked = v1::SetMemberRequest {
        account: by_id(account),
        subscriber_id: subscriber,
        order: order.into(),
        limits,
        request_id: request_id.clone(),
        reason,
    };
    let done = answer(client.accounts().set_member(asked).await)?;
    let member = done.member.unwrap_or_default();
    let json = || json!({ "request_id": request_id, "member": json_of(&member), "duplicate": done.duplicate });
    let text = || format!("{}{}", table(std::slice::from_ref(&member)).trim_end(), before(done.duplicate));
    Ok(out.object(json, text)?)
}

fn removed(out: &mut Output<'_>, request_id: &str, duplicate: bool) -> anyhow::Result<()> {
    let json = || json!({ "request_id": request_id, "duplicate": duplicate });
    Ok(out.object(json, || format!("removed{}", before(duplicate)))?)
}

async fn all(client: &Client, account: u64) -> anyhow::Result<Vec<v1::Member>> {
    let (mut members, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = v1::ListMembersRequest { account: by_id(account), page_size: PAGE_SIZE, page_token };
        let page = answer(client.accounts().list_members(asked).await)?;
        members.extend(page.members);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(members);
        }
    }
}

fn by_id(account: u64) -> Option<v1::AccountRef> {
    Some(v1::AccountRef { by: Some(By::AccountId(account)) })
}

/// `day:money=5.00`.
fn limit(text: &str, currency: &str) -> anyhow::Result<v1::MemberLimit> {
    let parts = text.split_once('=').and_then(|(what, amount)| Some((what.split_once(':')?, amount)));
    let Some(((period, unit), amount)) = parts else {
        bail!("`{text}` is no limit: write PERIOD:UNIT=AMOUNT, such as day:money=5.00")
    };
    let period = match period {
        "day" => member_limit::Period::Day,
        "week" => member_limit::Period::Week,
        "cycle" => member_limit::Period::Cycle,
        _ => bail!("`{period}` is no period of a limit: it is day, week or cycle"),
    };
    let units = |kind: v1::UnitKind| {
        let amount = amount.parse().with_context(|| format!("`{amount}` is no number of units"))?;
        anyhow::Ok(member_limit::Limit::Units(v1::Units { kind: kind.into(), amount }))
    };
    let limit = match unit {
        "money" => member_limit::Limit::Money(v1::Money { currency: currency.to_owned(), amount: amount.to_owned() }),
        "octets" => units(v1::UnitKind::Octets)?,
        "seconds" => units(v1::UnitKind::Seconds)?,
        "events" => units(v1::UnitKind::Events)?,
        _ => bail!("`{unit}` cannot be limited: it is money, octets, seconds or events"),
    };
    Ok(v1::MemberLimit { period: period.into(), limit: Some(limit), used_kind: None })
}

pub(super) fn json_of(member: &v1::Member) -> Value {
    let limit = |limit: &v1::MemberLimit| {
        let (amount, used) = match (&limit.limit, &limit.used_kind) {
            (Some(member_limit::Limit::Money(amount)), Some(member_limit::UsedKind::UsedMoney(used))) => {
                (json::money(Some(amount)), json::money(Some(used)))
            }
            (Some(member_limit::Limit::Units(amount)), Some(member_limit::UsedKind::UsedUnits(used))) => {
                (json::units(Some(amount)), json::units(Some(used)))
            }
            _ => (Value::Null, Value::Null),
        };
        json!({ "period": period_of(limit), "limit": amount, "used": used })
    };
    json!({
        "subscriber_id": member.subscriber_id,
        "order": order_of(member),
        "limits": member.limits.iter().map(limit).collect::<Vec<_>>(),
        "balance": json::money(member.balance.as_ref()),
        "reserved": json::money(member.reserved.as_ref()),
        "units": member.units.iter().map(|one| json::units(Some(one))).collect::<Vec<_>>(),
        "live_sessions": member.live_sessions,
    })
}

fn order_of(member: &v1::Member) -> String {
    short(member.order().as_str_name(), "PAY_ORDER_")
}

fn period_of(limit: &v1::MemberLimit) -> String {
    short(limit.period().as_str_name(), "PERIOD_")
}

pub(super) fn table(members: &[v1::Member]) -> String {
    output::table(&HEAD, &members.iter().map(row).collect::<Vec<_>>())
}

fn row(member: &v1::Member) -> Vec<String> {
    let limit = |limit: &v1::MemberLimit| {
        let told = match (&limit.limit, &limit.used_kind) {
            (Some(member_limit::Limit::Money(amount)), Some(member_limit::UsedKind::UsedMoney(used))) => {
                format!("{} of {}", money(Some(used)), money(Some(amount)))
            }
            (Some(member_limit::Limit::Units(amount)), Some(member_limit::UsedKind::UsedUnits(used))) => {
                format!("{} of {}", units(Some(used)), units(Some(amount)))
            }
            _ => String::new(),
        };
        format!("{told} a {}", period_of(limit))
    };
    vec![
        member.subscriber_id.clone(),
        order_of(member),
        money(member.balance.as_ref()),
        member.units.iter().map(|one| units(Some(one))).collect::<Vec<_>>().join(", "),
        member.limits.iter().map(limit).collect::<Vec<_>>().join(", "),
        member.live_sessions.to_string(),
    ]
}
