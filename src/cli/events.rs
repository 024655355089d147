//! `events`.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    client::{Client, answer, refusal},
    json,
    output::{Output, moment, money},
    who::{self, Who},
};
use crate::api::v1::{self, event::Kind};

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsVerb {
    /// Follow events as they come, until interrupted
    Tail(Tail),
    /// Remember that a consumer has processed all events up to a cursor
    Ack(Ack),
    /// Forget a consumer that will not come back, so that events are kept for it no more
    Forget(Forget),
}

/// Which events.
#[derive(Debug, Args)]
pub struct Tail {
    #[command(flatten)]
    who: Who,
    /// Resume after what this consumer has acknowledged
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    consumer: String,
    /// Events after this cursor; 0 = all that are kept from the beginning
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
    /// Acknowledge each event for the consumer once it is written
    #[arg(long, requires = "consumer")]
    ack: bool,
    /// End after so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// How far a consumer has come.
#[derive(Debug, Args)]
pub struct Ack {
    /// Name of the consumer
    #[arg(long, value_name = "NAME")]
    consumer: String,
    /// Cursor of the last event processed
    cursor: u64,
}

/// Who is to be forgotten.
#[derive(Debug, Args)]
pub struct Forget {
    /// Name of the consumer
    #[arg(long, value_name = "NAME")]
    consumer: String,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(client: &Client, verb: EventsVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        EventsVerb::Tail(verb) => tail(client, verb, out).await,
        EventsVerb::Ack(Ack { consumer, cursor }) => {
            acknowledge(client, &consumer, cursor).await?;
            let text = || format!("{consumer} has acknowledged all up to {cursor}");
            Ok(out.object(|| json!({ "consumer": consumer, "cursor": cursor }), text)?)
        }
        EventsVerb::Forget(Forget { consumer, reason }) => {
            let request = v1::ForgetConsumerRequest { consumer: consumer.clone(), reason };
            answer(client.events().forget_consumer(request).await)?;
            let text = || format!("{consumer} is forgotten: no events are kept for it");
            Ok(out.object(|| json!({ "consumer": consumer, "forgotten": true }), text)?)
        }
    }
}

async fn tail(client: &Client, verb: Tail, out: &mut Output<'_>) -> anyhow::Result<()> {
    let request =
        v1::SubscribeRequest { consumer: verb.consumer.clone(), after_cursor: verb.after, account: verb.who.find()? };
    let mut left = verb.limit.unwrap_or(usize::MAX);
    let mut events = answer(client.events().subscribe(request).await)?;
    while left > 0 {
        match events.message().await {
            Ok(Some(response)) => {
                let event = response.event.unwrap_or_default();
                out.object(|| json::event(&event), || text(&event))?;
                if verb.ack {
                    acknowledge(client, &verb.consumer, event.cursor).await?;
                }
                left -= 1;
            }
            Ok(None) => bail!("the server ended the stream"),
            Err(status) => return Err(refusal(&status)),
        }
    }
    Ok(())
}

async fn acknowledge(client: &Client, consumer: &str, cursor: u64) -> anyhow::Result<()> {
    let request = v1::AcknowledgeRequest { consumer: consumer.to_owned(), cursor };
    answer(client.events().acknowledge(request).await).map(drop)
}

fn text(event: &v1::Event) -> String {
    let detail = match &event.kind {
        Some(Kind::TopUp(top_up)) => format!(" of {} ({})", money(top_up.amount.as_ref()), top_up.request_id),
        Some(Kind::Threshold(threshold)) => format!(" {}", threshold.name),
        Some(Kind::Overdraft(overdraft)) => format!(" by {}", money(overdraft.excess.as_ref())),
        Some(Kind::Limit(limit)) => {
            format!(" {} {} %, {}", limit.name, limit.percent, json::step(limit.step().as_str_name()))
        }
        Some(Kind::Product(product)) => {
            format!(" {} #{} {}", product.product, product.subscription, json::step(product.step().as_str_name()))
        }
        Some(Kind::Life(life)) => format!(" {}", json::step(life.step().as_str_name())),
        Some(Kind::CycleClosed(cycle)) => {
            format!(" usage {}, fees {}", money(cycle.usage.as_ref()), money(cycle.fees.as_ref()))
        }
        Some(Kind::CreditStop(_) | Kind::Reconnect(_)) | None => String::new(),
    };
    let identities: Vec<_> = event.identities.iter().map(who::written).collect();
    format!(
        "{}  {}  account {} [{}]  {}{detail}  balance {}",
        event.cursor,
        moment(event.at_ms),
        event.account_id,
        identities.join(" "),
        json::kind(event),
        money(event.balance.as_ref()),
    )
}
