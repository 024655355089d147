//! `account` and `subscriber`.

mod import;
mod terms;

use clap::{Args, Subcommand};

use super::{
    balance::RequestId,
    client::{Client, answer},
    json, member,
    output::{self, Output, money, units},
    product,
    who::{self, Who},
};
use crate::api::v1;

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Show an account
    Get(Who),
    /// Create an account; the same again changes nothing
    Create(Create),
    /// Suspend an account: nothing is granted
    Suspend(Change),
    /// Take a suspension back
    Activate(Change),
    /// End an account for good
    Terminate(Change),
    /// Give an account a plan of the catalog
    #[command(allow_missing_positional = true)]
    Plan(terms::Plan),
    /// Set how far below zero an account may go
    #[command(allow_missing_positional = true)]
    Limit(terms::Limit),
    /// Put an account on the red list, or take it off
    #[command(allow_missing_positional = true)]
    RedList(terms::RedList),
    /// Extend the validity of an account
    Extend(terms::Extend),
    /// List accounts
    List(terms::List),
    /// Take in the accounts and subscribers of a file; the same again changes nothing
    Import(import::Import),
    /// Set the day of the month on which billing cycles begin; the first one begins at once
    #[command(allow_missing_positional = true)]
    Cycle(SetCycle),
}

/// A new account.
#[derive(Debug, Args)]
pub struct Create {
    /// Account id, above 0
    pub id: u64,
    /// ISO 4217 code
    #[arg(long)]
    pub currency: String,
    /// Opening balance
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub balance: String,
    /// How far below zero it may go
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub credit_limit: String,
    /// Red list: never stopped for want of credit
    #[arg(long)]
    pub never_stop: bool,
    /// Allowance of the catalog to start with; may be repeated
    #[arg(long = "allowance", value_name = "NAME")]
    pub allowances: Vec<String>,
    /// Plan of the catalog
    #[arg(long, value_name = "NAME")]
    pub plan: Option<String>,
    /// Day of the month on which its cycles begin, 1 to 28
    #[arg(long, value_name = "DAY")]
    pub cycle_day: Option<u32>,
}

/// A change of state.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub(super) who: Who,
    /// Why, for the record
    #[arg(long)]
    pub reason: String,
}

/// When billing cycles begin.
#[derive(Debug, Args)]
pub struct SetCycle {
    #[command(flatten)]
    who: Who,
    /// Day of the month, 1 to 28
    day: u32,
    #[command(flatten)]
    request: RequestId,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
}

/// What can be done with subscribers.
#[derive(Debug, Subcommand)]
pub enum SubscriberVerb {
    /// Add a subscriber to an account; the same again changes nothing
    Add(AddSubscriber),
    /// Take a subscriber out of its account: its identities are free
    Remove(member::Remove),
}

/// A new subscriber.
#[derive(Debug, Args)]
pub struct AddSubscriber {
    /// Account id
    #[arg(long, value_name = "ID")]
    pub account: u64,
    /// Name of the subscriber, unique in the account
    pub subscriber: String,
    /// MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI; one or more
    #[arg(required = true, value_name = "IDENTITY")]
    pub identities: Vec<String>,
}

pub(super) async fn run(client: &Client, verb: AccountVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    use v1::AccountState::{Active, Suspended, Terminated};
    let account = match verb {
        AccountVerb::Get(who) => get(client, who.account()?).await?,
        AccountVerb::Create(create) => {
            let money = |amount: String| Some(v1::Money { currency: create.currency.clone(), amount });
            let request = v1::CreateAccountRequest {
                account_id: create.id,
                currency: create.currency.clone(),
                initial_balance: money(create.balance),
                credit_limit: money(create.credit_limit),
                never_stop: create.never_stop,
                allowances: create.allowances,
                plan: create.plan.unwrap_or_default(),
                cycle_day: create.cycle_day.unwrap_or(0),
            };
            answer(client.accounts().create_account(request).await)?.account.unwrap_or_default()
        }
        AccountVerb::Suspend(change) => set(client, change, Suspended).await?,
        AccountVerb::Activate(change) => set(client, change, Active).await?,
        AccountVerb::Terminate(change) => set(client, change, Terminated).await?,
        AccountVerb::Plan(verb) => terms::plan(client, verb).await?,
        AccountVerb::Limit(verb) => terms::limit(client, verb).await?,
        AccountVerb::RedList(verb) => terms::red_list(client, verb).await?,
        AccountVerb::Extend(verb) => terms::extend(client, verb).await?,
        AccountVerb::List(verb) => return terms::list(client, verb, out).await,
        AccountVerb::Import(verb) => return import::import(client, verb, out).await,
        AccountVerb::Cycle(cycle) => return set_cycle(client, cycle, out).await,
    };
    Ok(out.object(|| json::account(&account), || text(&account))?)
}

pub(super) async fn run_subscriber(client: &Client, verb: SubscriberVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    let AddSubscriber { account, subscriber, identities } = match verb {
        SubscriberVerb::Add(add) => add,
        SubscriberVerb::Remove(remove) => return member::remove_subscriber(client, remove, out).await,
    };
    let identities = identities.iter().map(|text| who::identity(text)).collect::<Result<_, _>>()?;
    let subscriber = Some(v1::Subscriber { subscriber_id: subscriber, identities });
    let request = v1::CreateSubscriberRequest { account_id: account, subscriber };
    let account = answer(client.accounts().create_subscriber(request).await)?.account.unwrap_or_default();
    Ok(out.object(|| json::account(&account), || text(&account))?)
}

/// The account that is named.
pub(super) async fn get(client: &Client, account: Option<v1::AccountRef>) -> anyhow::Result<v1::Account> {
    let found = answer(client.accounts().get_account(v1::GetAccountRequest { account }).await)?;
    Ok(found.account.unwrap_or_default())
}

async fn set_cycle(client: &Client, cycle: SetCycle, out: &mut Output<'_>) -> anyhow::Result<()> {
    let SetCycle { who, day, request, reason } = cycle;
    let (account, request_id) = (who.account()?, request.take());
    let request = v1::SetCycleDayRequest { account, day, request_id: request_id.clone(), reason };
    let done = answer(client.products().set_cycle_day(request).await)?;
    product::tell(out, &request_id, done.account.unwrap_or_default(), done.duplicate)
}

async fn set(client: &Client, change: Change, state: v1::AccountState) -> anyhow::Result<v1::Account> {
    let account = change.who.account()?;
    let request = v1::SetAccountStateRequest { account, state: state.into(), reason: change.reason };
    Ok(answer(client.accounts().set_account_state(request).await)?.account.unwrap_or_default())
}

fn text(account: &v1::Account) -> String {
    let mut lines = vec![
        format!("account       {} ({})", account.account_id, json::state(account)),
        format!("balance       {}", money(account.balance.as_ref())),
        format!("available     {}", money(account.available.as_ref())),
        format!("reserved      {} in {} sessions", money(account.reserved.as_ref()), account.live_sessions),
        format!("credit limit  {}", money(account.credit_limit.as_ref())),
    ];
    if account.never_stop {
        lines.push("red list      never stopped".to_owned());
    }
    if !account.plan.is_empty() {
        lines.push(format!("plan          {}, {}", account.plan, terms::life(account)));
    }
    if let Some(cycle) = &account.cycle {
        lines.push(format!("cycle         {}, day {}", product::cycle(cycle), account.cycle_day));
    }
    for subscription in &account.subscriptions {
        lines.push(format!("product       {}", product::line(subscription)));
    }
    for subscriber in &account.subscribers {
        let identities: Vec<_> = subscriber.identities.iter().map(who::written).collect();
        lines.push(format!("subscriber    {}: {}", subscriber.subscriber_id, identities.join(", ")));
    }
    let rows: Vec<_> = account.buckets.iter().map(bucket).collect();
    let table = output::table(&["BUCKET", "NAME", "HOLDS", "RESERVED", "PRIORITY", "EXPIRES", "SERVICES", "OF"], &rows);
    let mut told = format!("{}\n\n{}", lines.join("\n"), table.trim_end());
    if !account.members.is_empty() {
        told = format!("{told}\n\n{}", member::table(&account.members).trim_end());
    }
    told
}

fn bucket(bucket: &v1::Bucket) -> Vec<String> {
    use v1::bucket::{Kind, ReservedKind};
    let holds = match &bucket.kind {
        Some(Kind::Money(amount)) => money(Some(amount)),
        Some(Kind::Units(amount)) => units(Some(amount)),
        None => String::new(),
    };
    let reserved = match &bucket.reserved_kind {
        Some(ReservedKind::ReservedMoney(amount)) => money(Some(amount)),
        Some(ReservedKind::ReservedUnits(amount)) => units(Some(amount)),
        None => String::new(),
    };
    let expires = match bucket.expires_at {
        0 => "never".to_owned(),
        secs => output::moment(secs.saturating_mul(1_000)),
    };
    let services = if bucket.services.is_empty() { "all".to_owned() } else { bucket.services.join(", ") };
    let (id, priority) = (bucket.bucket_id.to_string(), bucket.priority.to_string());
    let of = if bucket.member.is_empty() { "all".to_owned() } else { bucket.member.clone() };
    vec![id, bucket.name.clone(), holds, reserved, priority, expires, services, of]
}
