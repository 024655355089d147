//! `records`: usage records.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{Client, Connection, answer},
    json,
    output::{Output, money},
    trail::Part,
    who::Who,
};
use crate::{
    api::{record_message, record_totals, v1},
    app,
    config::{Config, SystemEnvironment},
    store::{Cursor, RecordFiles, RecordFilter},
};

/// What can be done with usage records.
#[derive(Debug, Subcommand)]
pub enum RecordsVerb {
    /// List records in the order in which they were settled
    List(List),
    /// Show one record
    Show(Show),
    /// Add up all records and compare them with the accounts, to the micro-unit
    Reconcile(Reconcile),
}

/// Which records.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    part: Part,
    /// Only about this service of the catalog
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    service: String,
}

/// Which record.
#[derive(Debug, Args)]
pub struct Show {
    /// Its cursor, such as 4711.0
    cursor: Cursor,
    /// Read the files in this directory instead of asking the server
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Of which store.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Open the store of this configuration, whose server is stopped, instead of asking the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(connection: &Connection, verb: RecordsVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        RecordsVerb::List(list) => {
            let records = match &list.part.directory {
                Some(directory) => read(directory, &list)?,
                None => ask(connection, &list).await?,
            };
            let head = ["CURSOR", "AT", "KIND", "ACCOUNT", "DEBITED", "CREDITED", "BALANCE", "ABOUT"];
            Ok(out.list(&records, record_json, &head, row)?)
        }
        RecordsVerb::Show(show) => {
            let record = one(connection, &show).await?;
            let lines = |value: Value| match value {
                Value::Object(members) => {
                    let line = |(name, value): (&String, &Value)| {
                        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                        format!("{name:20}{text}")
                    };
                    members.iter().map(line).collect::<Vec<_>>().join("\n")
                }
                other => other.to_string(),
            };
            Ok(out.object(|| record_json(&record), || lines(record_json(&record)))?)
        }
        RecordsVerb::Reconcile(Reconcile { config }) => {
            let (exact, total, differing) = match config {
                Some(path) => offline(path).await?,
                None => {
                    let client = Client::connect(connection).await?;
                    let done = answer(client.records().reconcile_records(v1::ReconcileRecordsRequest {}).await)?;
                    (done.exact, done.total.unwrap_or_default(), done.differing)
                }
            };
            tell(exact, &total, &differing, out)
        }
    }
}

fn tell(
    exact: bool,
    total: &v1::RecordTotals,
    differing: &[v1::RecordTotals],
    out: &mut Output<'_>,
) -> anyhow::Result<()> {
    let json = || {
        let differing: Vec<_> = differing.iter().map(totals_json).collect();
        json!({ "exact": exact, "total": totals_json(total), "differing": differing })
    };
    let text = || {
        let side = |what: &str, by_accounts: &Option<v1::Money>, by_records: &Option<v1::Money>| {
            format!(
                "{what:10}{} by the accounts, {} by the records",
                money(by_accounts.as_ref()),
                money(by_records.as_ref())
            )
        };
        let mut lines = vec![
            side("debited", &total.debited, &total.recorded_debits),
            side("credited", &total.credited, &total.recorded_credits),
            format!("running   {} charged in sessions that run, in no record yet", money(total.running.as_ref())),
            format!("records   {}, up to journal position {}", total.records, total.position),
        ];
        lines.extend(differing.iter().map(|one| {
            let debits = side("debited", &one.debited, &one.recorded_debits);
            format!("partition {}: {debits}; {}", one.partition, side("credited", &one.credited, &one.recorded_credits))
        }));
        lines.push(if exact { "exact to the micro-unit" } else { "NOT EXACT" }.to_owned());
        lines.join("\n")
    };
    out.object(json, text)?;
    if exact { Ok(()) } else { bail!("records and accounts differ in {} partitions", differing.len()) }
}

async fn offline(path: PathBuf) -> anyhow::Result<(bool, v1::RecordTotals, Vec<v1::RecordTotals>)> {
    let config = Config::load(Some(&path), &SystemEnvironment)?;
    let store = app::open_offline(&config).await?;
    let compared = tokio::task::spawn_blocking(move || {
        let compared = store.reconcile();
        let currency = store.catalog().currency();
        store.shutdown().map(|_| (compared, currency))
    });
    let (compared, currency) = compared.await.context("reading")??;
    let compared = compared?;
    let differing = compared.partitions.iter().filter(|sums| !sums.is_exact());
    let differing = differing.map(|sums| record_totals(sums, currency.code())).collect();
    Ok((compared.is_exact(), record_totals(&compared.total(), currency.code()), differing))
}

async fn ask(connection: &Connection, list: &List) -> anyhow::Result<Vec<v1::UsageRecord>> {
    let client = Client::connect(connection).await?;
    let [from_ms, to_ms] = list.part.millis();
    let page = async |page_size, page_token| {
        let (account, service) = (list.who.find()?, list.service.clone());
        let request = v1::ListRecordsRequest { account, from_ms, to_ms, service, page_size, page_token };
        let page = answer(client.records().list_records(request).await)?;
        Ok((page.records, page.next_page_token))
    };
    list.part.ask(page).await
}

fn read(directory: &Path, list: &List) -> anyhow::Result<Vec<v1::UsageRecord>> {
    if list.who.identity.is_some() {
        bail!("files know accounts, not subscribers: write --account ID");
    }
    let [from, to] = list.part.ends();
    let service = Some(list.service.clone()).filter(|service| !service.is_empty());
    let filter = RecordFilter { account: list.who.account, from, to, service };
    let read = RecordFiles::look(directory).page(&filter, list.part.cursor()?, list.part.limit);
    let (lines, _) = read.with_context(|| directory.display().to_string())?;
    Ok(lines.into_iter().map(record_message).collect())
}

async fn one(connection: &Connection, show: &Show) -> anyhow::Result<v1::UsageRecord> {
    let before = show.cursor.before();
    let found = match &show.directory {
        Some(directory) => {
            let read = RecordFiles::look(directory).page(&RecordFilter::default(), before, 1);
            let (lines, _) = read.with_context(|| directory.display().to_string())?;
            lines.into_iter().map(record_message).next()
        }
        None => {
            let page_token = before.map_or_else(String::new, |before| before.to_string());
            let request = v1::ListRecordsRequest { page_size: 1, page_token, ..Default::default() };
            let client = Client::connect(connection).await?;
            answer(client.records().list_records(request).await)?.records.pop()
        }
    };
    let cursor = show.cursor.to_string();
    found.filter(|record| record.cursor == cursor).with_context(|| format!("there is no record {cursor}"))
}

fn row(record: &v1::UsageRecord) -> Vec<String> {
    let service = if record.service.is_empty() { &record.name } else { &record.service };
    let about = [
        service.clone(),
        if record.unit.is_empty() { String::new() } else { format!("{} {}", record.units, record.unit) },
        record.cause.clone(),
        record.session_id.clone(),
        record.request_id.clone(),
        record.reason.clone(),
    ];
    vec![
        record.cursor.clone(),
        record.at.clone(),
        record.kind.clone(),
        record.account_id.map_or_else(String::new, |account| account.to_string()),
        money(record.debited.as_ref()),
        money(record.credited.as_ref()),
        money(record.balance.as_ref()),
        about.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  "),
    ]
}

fn record_json(record: &v1::UsageRecord) -> Value {
    let tariff = |one: &v1::TariffUsage| json!({ "tariff": one.tariff, "units": one.units });
    json!({
        "cursor": record.cursor,
        "at": record.at,
        "kind": record.kind,
        "account_id": record.account_id,
        "debited": json::money(record.debited.as_ref()),
        "credited": json::money(record.credited.as_ref()),
        "balance": json::money(record.balance.as_ref()),
        "session_id": record.session_id,
        "sub_session_id": record.sub_session_id,
        "service_context_id": record.service_context_id,
        "origin_host": record.origin_host,
        "request_number": record.request_number,
        "opened_at": record.opened_at,
        "cause": record.cause,
        "rating_group": record.rating_group,
        "service_identifier": record.service_identifier,
        "service": record.service,
        "unit": record.unit,
        "units": record.units,
        "from_allowance": record.from_allowance,
        "tariffs": record.tariffs.iter().map(tariff).collect::<Vec<_>>(),
        "bucket_id": record.bucket_id,
        "name": record.name,
        "request_id": record.request_id,
        "reason": record.reason,
        "partition": record.partition,
        "catalog_version": record.catalog_version,
        "detail": record.detail,
        "subscriber_id": record.subscriber_id,
        "identity": record.identity,
        "conditions": record.conditions.as_ref().map(conditions_json),
    })
}

fn conditions_json(told: &v1::UsageConditions) -> Value {
    json!({
        "access": told.access,
        "serving_network": told.serving_network,
        "area": told.area,
        "cell": told.cell,
        "apn": told.apn,
        "other_party": told.other_party,
        "role": told.role,
        "message_type": told.message_type,
        "size": told.size,
        "time_zone": told.time_zone,
        "emergency": told.emergency,
    })
}

fn totals_json(totals: &v1::RecordTotals) -> Value {
    json!({
        "partition": totals.partition,
        "position": totals.position,
        "debited": json::money(totals.debited.as_ref()),
        "credited": json::money(totals.credited.as_ref()),
        "recorded_debits": json::money(totals.recorded_debits.as_ref()),
        "recorded_credits": json::money(totals.recorded_credits.as_ref()),
        "running": json::money(totals.running.as_ref()),
        "records": totals.records,
    })
}
