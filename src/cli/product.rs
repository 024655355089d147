//! `product`: what is sold, and what accounts have of it.

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    balance::{RequestId, before},
    client::{Client, answer},
    json,
    output::{self, Output, moment, money, units},
    who::Who,
};
use crate::api::v1;

/// What can be done with products.
#[derive(Debug, Subcommand)]
pub enum ProductVerb {
    /// Show what is sold; of an account what it has
    List(Who),
    /// Buy a product for an account
    #[command(allow_missing_positional = true)]
    Buy(Buy),
    /// Change a product of an account for another
    #[command(allow_missing_positional = true)]
    Change(ChangeProduct),
    /// End a product of an account; what was paid for its period stays paid
    #[command(allow_missing_positional = true)]
    Cancel(Cancel),
}

/// A purchase.
#[derive(Debug, Args)]
pub struct Buy {
    #[command(flatten)]
    who: Who,
    /// Name of the product in the catalog
    product: String,
    /// Only for this member of a shared account
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    member: u32,
    #[command(flatten)]
    order: Order,
}

/// A change.
#[derive(Debug, Args)]
pub struct ChangeProduct {
    #[command(flatten)]
    who: Who,
    /// Its number in the account
    subscription: u32,
    /// Name of the other product
    #[arg(long = "to", value_name = "PRODUCT")]
    product: String,
    #[command(flatten)]
    order: Order,
}

/// An end.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    who: Who,
    /// Its number in the account
    subscription: u32,
    #[command(flatten)]
    order: Order,
}

/// What all of them say.
#[derive(Debug, Args)]
struct Order {
    /// When: a day or a moment in the future, such as 2026-02-01 (UTC) or 2026-02-01T00:00:00+08:00; now if not given
    #[arg(long, value_name = "TIME", conflicts_with = "next")]
    at: Option<String>,
    /// When the next period begins; for a purchase the next billing cycle
    #[arg(long)]
    next: bool,
    #[command(flatten)]
    request: RequestId,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
}

impl Order {
    fn start(&self) -> anyhow::Result<Option<v1::Start>> {
        use v1::start::At;
        let at = match &self.at {
            Some(text) => At::AtMs(super::catalog::moment_given(text).map_err(|error| anyhow!("--at: {error}"))?),
            None if self.next => At::NextPeriod(true),
            None => return Ok(None),
        };
        Ok(Some(v1::Start { at: Some(at) }))
    }
}

pub(super) async fn run(client: &Client, verb: ProductVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        ProductVerb::List(who) => match who.find()? {
            None => list(client, out).await,
            account => {
                let request = v1::ListSubscriptionsRequest { account };
                let has = answer(client.products().list_subscriptions(request).await)?.account.unwrap_or_default();
                let head = ["NUMBER", "PRODUCT", "STATE", "STARTS", "RENEWS", "ENDS", "BECOMES"];
                Ok(out.list(&has.subscriptions, json::subscription, &head, row)?)
            }
        },
        ProductVerb::Buy(Buy { who, product, member, order }) => {
            let (account, start) = (who.account()?, order.start()?);
            let Order { request, reason, .. } = order;
            let request_id = request.take();
            let request =
                v1::BuyProductRequest { account, product, member, start, request_id: request_id.clone(), reason };
            let done = answer(client.products().buy_product(request).await)?;
            tell(out, &request_id, done.account.unwrap_or_default(), done.duplicate)
        }
        ProductVerb::Change(ChangeProduct { who, subscription, product, order }) => {
            let (account, start) = (who.account()?, order.start()?);
            let Order { request, reason, .. } = order;
            let request_id = request.take();
            let request = v1::ChangeProductRequest {
                account,
                subscription,
                product,
                start,
                request_id: request_id.clone(),
                reason,
            };
            let done = answer(client.products().change_product(request).await)?;
            tell(out, &request_id, done.account.unwrap_or_default(), done.duplicate)
        }
        ProductVerb::Cancel(Cancel { who, subscription, order }) => {
            let (account, start) = (who.account()?, order.start()?);
            let Order { request, reason, .. } = order;
            let request_id = request.take();
            let request =
                v1::CancelProductRequest { account, subscription, start, request_id: request_id.clone(), reason };
            let done = answer(client.products().cancel_product(request).await)?;
            tell(out, &request_id, done.account.unwrap_or_default(), done.duplicate)
        }
    }
}

async fn list(client: &Client, out: &mut Output<'_>) -> anyhow::Result<()> {
    let mut products = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = answer(client.products().list_products(v1::ListProductsRequest { page_size: 0, page_token }).await)?;
        products.extend(page.products);
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        if products.len() > 100_000 {
            bail!("the server tells of products without an end");
        }
    }
    let row = |product: &v1::Product| {
        let allowances = product.allowances.iter().map(|it| format!("{} ({})", it.allowance, units(it.units.as_ref())));
        let period = if product.period.is_empty() { "once" } else { &product.period };
        let (setup, fee) = (money(product.setup_fee.as_ref()), money(product.fee.as_ref()));
        vec![product.name.clone(), setup, fee, period.to_owned(), allowances.collect::<Vec<_>>().join(", ")]
    };
    Ok(out.list(&products, json::product, &["PRODUCT", "SETUP", "FEE", "PERIOD", "ALLOWANCES"], row)?)
}

/// What an account has after a request.
pub(super) fn tell(
    out: &mut Output<'_>,
    request_id: &str,
    has: v1::AccountProducts,
    duplicate: bool,
) -> anyhow::Result<()> {
    let json = || {
        json!({
            "request_id": request_id,
            "balance": json::money(has.balance.as_ref()),
            "subscriptions": has.subscriptions.iter().map(json::subscription).collect::<Vec<_>>(),
            "cycle_day": has.cycle_day,
            "cycle": has.cycle.as_ref().map_or(serde_json::Value::Null, json::cycle),
            "duplicate": duplicate,
        })
    };
    let text = || {
        let mut lines = vec![format!("balance  {}{}", money(has.balance.as_ref()), before(duplicate))];
        lines.extend(has.cycle.iter().map(|running| format!("cycle    {}, day {}", cycle(running), has.cycle_day)));
        lines.extend(has.subscriptions.iter().map(|subscription| format!("product  {}", line(subscription))));
        lines.join("\n")
    };
    Ok(out.object(json, text)?)
}

fn row(it: &v1::Subscription) -> Vec<String> {
    let at = |ms: i64| if ms == 0 { String::new() } else { moment(ms) };
    let state = json::short(it.state().as_str_name(), "STATE_");
    let (starts, renews, ends) = (at(it.starts_at_ms), at(it.renews_at_ms), at(it.ends_at_ms));
    vec![it.subscription.to_string(), it.product.clone(), state, starts, renews, ends, it.becomes.clone()]
}

/// A product that an account has, in a line.
pub(super) fn line(it: &v1::Subscription) -> String {
    let state = json::short(it.state().as_str_name(), "STATE_");
    let mut line = format!("{} {} ({state})", it.subscription, it.product);
    let moments = [("starts", it.starts_at_ms, state == "waiting"), ("renews", it.renews_at_ms, true)];
    for (name, at, told) in moments.into_iter().chain([("ends", it.ends_at_ms, true)]) {
        if told && at != 0 {
            line += &format!(", {name} {}", output::moment(at));
        }
    }
    if !it.becomes.is_empty() {
        line += &format!(", becomes {}", it.becomes);
    }
    line
}

/// A billing cycle, in a line.
pub(super) fn cycle(it: &v1::Cycle) -> String {
    let (starts, ends) = (moment(it.starts_at_ms), moment(it.ends_at_ms));
    let (usage, fees) = (money(it.usage.as_ref()), money(it.fees.as_ref()));
    format!("{starts} to {ends}: usage {usage}, fees {fees}")
}
