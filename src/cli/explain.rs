//! `explain`.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{
    client::{Client, answer},
    json,
    output::{Output, moment},
    trail::day_or_second,
    who::Who,
};
use crate::{
    api::v1::{self, charge_amount::Amount},
    store::Cursor,
};

/// Which charges.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    who: Who,
    /// Only of the session, event or report with this Session-Id
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    session: String,
    /// Only what was settled at this second, or on this day: 2026-01-31T12:00:00Z or 2026-01-31 (UTC)
    #[arg(long, value_name = "TIME", value_parser = day_or_second)]
    at: Option<(u64, u64)>,
    /// Only the latest so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// Instead: the usage record with this cursor, such as 4711.0
    #[arg(long, value_name = "CURSOR", conflicts_with_all = ["identity", "account", "session", "at", "last"])]
    record: Option<Cursor>,
}

pub(super) async fn run(client: &Client, verb: Explain, out: &mut Output<'_>) -> anyhow::Result<()> {
    let millis = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    let (from, to) = verb.at.unwrap_or_default();
    let request = v1::ExplainChargesRequest {
        account: if verb.record.is_some() { None } else { verb.who.account()? },
        session_id: verb.session,
        from_ms: millis(from),
        to_ms: millis(to),
        last: verb.last.unwrap_or(0),
        record: verb.record.map_or_else(String::new, |cursor| cursor.to_string()),
    };
    let charges = answer(client.balances().explain_charges(request).await)?.charges;
    for charge in &charges {
        out.object(|| in_json(charge), || text(charge))?;
    }
    let differing = charges.iter().filter(|charge| !charge.exact).count();
    // Whoever runs it by a script wants to know, too.
    if differing > 0 {
        bail!("{differing} of {} charges could not be confirmed", charges.len());
    }
    Ok(())
}

fn text(charge: &v1::ExplainedCharge) -> String {
    let entry = charge.entry.clone().unwrap_or_default();
    let kind = json::short(entry.kind().as_str_name(), "KIND_");
    let session = if entry.session_id.is_empty() { String::new() } else { format!(", session {}", entry.session_id) };
    let open = if entry.open { ", still running" } else { "" };
    let what = if entry.service.is_empty() { String::new() } else { format!(" {}", entry.service) };
    let mut lines = vec![format!("{} {kind}{what}{session}{open}", moment(entry.at_ms))];
    lines.extend(charge.text.iter().map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.join("\n")
}

fn in_json(charge: &v1::ExplainedCharge) -> Value {
    json!({
        "entry": charge.entry.as_ref().map(json::history),
        "parts": charge.parts.iter().map(part).collect::<Vec<_>>(),
        "paid": charge.paid.iter().map(paid).collect::<Vec<_>>(),
        "total": amount(charge.total.as_ref()),
        "recorded": amount(charge.recorded.as_ref()),
        "exact": charge.exact,
        "doubts": charge.doubts,
        "used_by": charge.used_by,
        "text": charge.text,
    })
}

fn part(part: &v1::ChargePart) -> Value {
    let line = |line: &v1::ChargeLine| {
        json!({
            "kind": json::short(line.kind().as_str_name(), "KIND_"),
            "text": line.text,
            "amount": amount(line.amount.as_ref()),
        })
    };
    json!({
        "catalog_version": part.catalog_version,
        "catalog_since_ms": part.catalog_since_ms,
        "service": part.service,
        "tariff": part.tariff,
        "tariff_applies": part.tariff_applies,
        "uplink": part.uplink,
        "used": json::units(part.used.as_ref()),
        "units_from_allowance": part.units_from_allowance,
        "units_charged": part.units_charged,
        "discount": part.discount,
        "reports": part.reports,
        "first_ms": part.first_ms,
        "last_ms": part.last_ms,
        "lines": part.lines.iter().map(line).collect::<Vec<_>>(),
        "charged": amount(part.charged.as_ref()),
    })
}

fn paid(paid: &v1::PaidFrom) -> Value {
    json!({
        "bucket_id": paid.bucket_id,
        "name": paid.name,
        "owner": paid.owner,
        "amount": amount(paid.amount.as_ref()),
    })
}

fn amount(amount: Option<&v1::ChargeAmount>) -> Value {
    match amount.and_then(|amount| amount.amount.as_ref()) {
        Some(Amount::Money(it)) => json::money(Some(it)),
        Some(Amount::Units(it)) => json::units(Some(it)),
        None => Value::Null,
    }
}
