//! `catalog what-if`: what recorded usage would have earned by another catalog.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{
    client::{Client, answer},
    json,
    output::{Output, money, table},
    trail::Span,
};
use crate::api::v1::{self, what_if_response::Said, what_if_row::Item};

/// Which catalogs, by which usage.
#[derive(Debug, Args)]
pub struct WhatIf {
    /// Catalogs (TOML): each is tried by itself
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    span: Span,
    /// Only of this account
    #[arg(long, value_name = "ID")]
    account: Option<u64>,
    /// Name at most so many of the accounts that would have been refused something
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    accounts: u32,
}

/// Asks for one catalog.
pub(super) async fn run(client: &Client, ask: &WhatIf, toml: String) -> anyhow::Result<v1::WhatIfResult> {
    let [from_ms, to_ms] = ask.span.millis();
    let account = ask.account.map(|id| v1::AccountRef { by: Some(v1::account_ref::By::AccountId(id)) });
    let request = v1::WhatIfRequest { toml, from_ms, to_ms, account, accounts_max: ask.accounts };
    let mut said = answer(client.catalog().what_if(request).await)?;
    let shows = stderr().is_terminal();
    loop {
        let message = answer(said.message().await.map(tonic::Response::new))?.and_then(|message| message.said);
        match message.context("the server said nothing of the result")? {
            Said::Progress(progress) if shows => show(&progress),
            Said::Progress(_) => {}
            Said::Result(result) => {
                if shows {
                    let _ = write!(stderr().lock(), "\r\x1b[K");
                }
                return Ok(result);
            }
        }
    }
}

fn show(progress: &v1::WhatIfProgress) {
    let v1::WhatIfProgress { pass, passes, records, accounts } = progress;
    let _ = write!(
        stderr().lock(),
        "\r\x1b[K{records} records read (pass {pass} of {passes}), {accounts} accounts charged once more"
    );
}

pub(super) fn tell(file: &str, result: &v1::WhatIfResult, out: &mut Output<'_>) -> anyhow::Result<()> {
    Ok(out.object(|| result_json(file, result), || text(file, result))?)
}

fn text(file: &str, result: &v1::WhatIfResult) -> String {
    let head = ["", "RECORDED", "BASELINE", "NEW", "DIFFERENCE", "CHARGES", "REFUSED", "UNITS REFUSED"];
    let rows: Vec<_> = result.rows.iter().chain(&result.total).map(row).collect();
    let mut lines = vec![
        format!("{file}: {} accounts, {} sessions, events and credits done again", result.accounts_read, result.acts),
        table(&head, &rows).trim_end().to_owned(),
        "RECORDED was charged. BASELINE is the same usage by the catalogs that were in force: what lies between them is the \
         error of this reckoning."
            .to_owned(),
        format!(
            "accounts that would have been refused something: {} ({} in the baseline)",
            result.refused_accounts, result.refused_accounts_baseline
        ),
    ];
    if !result.accounts.is_empty() {
        let head = ["ACCOUNT", "IDENTITY", "CHARGES REFUSED", "IN THE BASELINE", "EARNED AS RECORDED"];
        let rows: Vec<_> = result.accounts.iter().map(account_row).collect();
        lines.push(table(&head, &rows).trim_end().to_owned());
    }
    let unrated = |whose: &str, unrated: &v1::WhatIfUnrated| {
        let v1::WhatIfUnrated { reason, charges, recorded } = unrated;
        format!("no price {whose}: {charges} charges of {} as recorded: {reason}", money(recorded.as_ref()))
    };
    lines.extend(result.unrated.iter().map(|one| unrated("in the new catalog", one)));
    lines.extend(result.unrated_baseline.iter().map(|one| unrated("in the baseline", one)));
    if result.left_out > 0 {
        lines.push(format!("left out: {} records that are about no known account", result.left_out));
    }
    lines.join("\n")
}

fn name(row: &v1::WhatIfRow) -> String {
    match &row.item {
        None => "total".to_owned(),
        Some(Item::Service(name)) if name.is_empty() => "(no price)".to_owned(),
        Some(Item::Service(name)) => name.clone(),
        Some(Item::Product(name)) => format!("fees: {name}"),
    }
}

fn row(row: &v1::WhatIfRow) -> Vec<String> {
    let earned = |sums: &Option<v1::WhatIfSums>| money(sums.as_ref().and_then(|sums| sums.earned.as_ref()));
    let new = row.new.clone().unwrap_or_default();
    let units = if new.refused_units > 0 { format!("{} {}", new.refused_units, row.unit) } else { String::new() };
    vec![
        name(row),
        earned(&row.recorded),
        earned(&row.baseline),
        earned(&row.new),
        money(row.difference.as_ref()),
        new.charges.to_string(),
        new.refused_charges.to_string(),
        units,
    ]
}

fn account_row(account: &v1::WhatIfAccount) -> Vec<String> {
    vec![
        account.account_id.to_string(),
        account.identity.as_ref().map_or_else(String::new, |identity| identity.value.clone()),
        account.refused_charges.to_string(),
        account.refused_charges_baseline.to_string(),
        money(account.recorded.as_ref()),
    ]
}

fn result_json(file: &str, result: &v1::WhatIfResult) -> Value {
    json!({
        "file": file,
        "rows": result.rows.iter().map(row_json).collect::<Vec<_>>(),
        "total": result.total.as_ref().map(row_json),
        "refused_accounts": result.refused_accounts,
        "refused_accounts_baseline": result.refused_accounts_baseline,
        "accounts": result.accounts.iter().map(account_json).collect::<Vec<_>>(),
        "unrated": result.unrated.iter().map(unrated_json).collect::<Vec<_>>(),
        "unrated_baseline": result.unrated_baseline.iter().map(unrated_json).collect::<Vec<_>>(),
        "accounts_read": result.accounts_read,
        "acts": result.acts,
        "left_out": result.left_out,
    })
}

fn row_json(row: &v1::WhatIfRow) -> Value {
    let (service, product) = match &row.item {
        None => (None, None),
        Some(Item::Service(name)) => (Some(name), None),
        Some(Item::Product(name)) => (None, Some(name)),
    };
    json!({
        "service": service,
        "product": product,
        "unit": row.unit,
        "recorded": row.recorded.as_ref().map(sums_json),
        "baseline": row.baseline.as_ref().map(sums_json),
        "new": row.new.as_ref().map(sums_json),
        "difference": json::money(row.difference.as_ref()),
    })
}

fn sums_json(sums: &v1::WhatIfSums) -> Value {
    json!({
        "charges": sums.charges,
        "units": sums.units,
        "earned": json::money(sums.earned.as_ref()),
        "refused_charges": sums.refused_charges,
        "refused_units": sums.refused_units,
    })
}

fn account_json(account: &v1::WhatIfAccount) -> Value {
    json!({
        "account_id": account.account_id,
        "identity": account.identity.as_ref().map(|identity| &identity.value),
        "refused_charges": account.refused_charges,
        "refused_charges_baseline": account.refused_charges_baseline,
        "recorded": json::money(account.recorded.as_ref()),
    })
}

fn unrated_json(unrated: &v1::WhatIfUnrated) -> Value {
    json!({
        "reason": unrated.reason,
        "charges": unrated.charges,
        "recorded": json::money(unrated.recorded.as_ref()),
    })
}
