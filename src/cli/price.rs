//! `price`.

use clap::Args;
use serde_json::json;

use super::{
    client::{Client, answer},
    json::money,
    output::{Output, unit_name},
};
use crate::api::v1;

/// Usage to be priced.
#[derive(Debug, Args)]
pub struct Price {
    /// Service-Context-Id, such as 32251@3gpp.org
    context: String,
    /// How many octets, seconds or events, as the service counts
    units: u64,
    /// Rating-Group
    #[arg(long, value_name = "N")]
    rating_group: Option<u32>,
    /// Service-Identifier
    #[arg(long, value_name = "N")]
    service_identifier: Option<u32>,
    /// Units already charged in the same session
    #[arg(long, default_value_t = 0, value_name = "UNITS")]
    before: u64,
    /// A tariff of the service, in place of its own price
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    tariff: String,
    /// By this version of the catalog, in place of the one in force
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", conflicts_with = "at")]
    catalog: u32,
    /// By the version that is in force at this moment, such as 2026-12-01T00:00:00+08:00
    #[arg(long, value_parser = super::catalog::moment_given, value_name = "TIME")]
    at: Option<i64>,
}

pub(super) async fn run(client: &Client, verb: Price, out: &mut Output<'_>) -> anyhow::Result<()> {
    let request = v1::PriceRequest {
        service_context_id: verb.context,
        rating_group: verb.rating_group,
        service_identifier: verb.service_identifier,
        units: verb.units,
        units_before: verb.before,
        tariff: verb.tariff,
        catalog_version: verb.catalog,
        catalog_at_ms: verb.at.unwrap_or(0),
    };
    let price = answer(client.catalog().price(request).await)?;
    let json = || {
        json!({
            "price": money(price.price.as_ref()),
            "kind": unit_name(price.kind()),
            "service": price.service,
            "explanation": price.explanation,
            "catalog_version": price.catalog_version,
        })
    };
    let text = || format!("{}: {} (catalog version {})", price.service, price.explanation, price.catalog_version);
    Ok(out.object(json, text)?)
}
