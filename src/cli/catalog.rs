//! `catalog`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    balance::{RequestId, before},
    client::{Client, answer},
    json::short,
    output::{Output, moment},
    trail::{self, pages},
    what_if::{self, WhatIf},
};
use crate::api::v1::{self, validate_catalog_response::Problem};

/// What can be done with versions of the price list.
#[derive(Debug, Subcommand)]
pub enum CatalogVerb {
    /// Check a file without publishing it
    Validate(Validate),
    /// Publish a file as a new version
    Publish(Publish),
    /// List the versions that are kept, newest first
    List,
    /// Show a version's text; the one in force if none is named
    Show(Show),
    /// Take back a version that is not in force yet
    Withdraw(Withdraw),
    /// What two versions say differently
    Diff(Diff),
    /// What recorded usage would have earned by other catalogs, and whom they would have refused; touches no balance
    WhatIf(WhatIf),
}

/// Which file.
#[derive(Debug, Args)]
pub struct Validate {
    /// The catalog (TOML)
    file: PathBuf,
}

/// What to publish.
#[derive(Debug, Args)]
pub struct Publish {
    /// The catalog (TOML)
    file: PathBuf,
    /// What running sessions go by when it comes into force
    #[arg(long, value_enum, value_name = "WHAT")]
    running: Running,
    /// Why
    #[arg(long)]
    reason: String,
    /// When it comes into force, such as 2026-12-01T00:00:00+08:00; at once if not said
    #[arg(long, value_parser = moment_given, value_name = "TIME")]
    at: Option<i64>,
    #[command(flatten)]
    request: RequestId,
}

/// What running sessions go by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Running {
    /// The version that they have, to their end
    Finish,
    /// The new version, from their next request on
    Change,
}

/// Which version.
#[derive(Debug, Args)]
pub struct Show {
    /// Its number
    #[arg(default_value_t = 0, hide_default_value = true)]
    number: u32,
}

/// Which version.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// Its number
    number: u32,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

/// Which versions.
#[derive(Debug, Args)]
pub struct Diff {
    /// The older one
    from: u32,
    /// The newer one; the one in force if not named
    #[arg(default_value_t = 0, hide_default_value = true)]
    to: u32,
}

/// A moment in Unix milliseconds.
pub(super) fn moment_given(text: &str) -> Result<i64, String> {
    trail::moment(text).map(|at| i64::try_from(at.millis()).unwrap_or(i64::MAX))
}

pub(super) async fn run(client: &Client, verb: CatalogVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        CatalogVerb::Validate(Validate { file }) => validate(client, file, out).await,
        CatalogVerb::Publish(publish) => {
            let request = v1::PublishCatalogRequest {
                toml: read(&publish.file)?,
                activate_at_ms: publish.at.unwrap_or(0),
                running_sessions: match publish.running {
                    Running::Finish => v1::RunningSessions::Finish.into(),
                    Running::Change => v1::RunningSessions::Change.into(),
                },
                reason: publish.reason,
                request_id: publish.request.take(),
            };
            let done = answer(client.catalog().publish_catalog(request).await)?;
            let version = done.version.unwrap_or_default();
            let text = || {
                let (number, from) = (version.number, moment(version.activates_at_ms));
                format!("version {number}, in force from {from}{}", before(done.repeated))
            };
            let json = || {
                let mut value = told(&version);
                value["duplicate"] = done.repeated.into();
                value
            };
            Ok(out.object(json, text)?)
        }
        CatalogVerb::List => {
            let versions = all(client).await?;
            let head = ["VERSION", "STATE", "IN FORCE FROM", "RUNNING SESSIONS", "PUBLISHED", "BY", "REASON"];
            Ok(out.list(&versions, told, &head, row)?)
        }
        CatalogVerb::Show(Show { number }) => {
            let shown = answer(client.catalog().get_catalog(v1::GetCatalogRequest { number }).await)?;
            let json = || {
                let mut value = told(&shown.version.clone().unwrap_or_default());
                value["toml"] = shown.toml.as_str().into();
                value
            };
            Ok(out.object(json, || shown.toml.trim_end().to_owned())?)
        }
        CatalogVerb::Withdraw(Withdraw { number, reason }) => {
            let request = v1::WithdrawCatalogRequest { number, reason };
            let done = answer(client.catalog().withdraw_catalog(request).await)?;
            let version = done.version.unwrap_or_default();
            Ok(out.object(|| told(&version), || format!("version {number} is withdrawn"))?)
        }
        CatalogVerb::Diff(Diff { from, to }) => {
            let diff = answer(client.catalog().diff_catalog(v1::DiffCatalogRequest { from, to }).await)?;
            let json = || json!({ "from": diff.from, "to": diff.to, "differences": diff.differences });
            let text = || match diff.differences.as_slice() {
                [] => format!("versions {} and {} say the same", diff.from, diff.to),
                differences => differences.join("\n"),
            };
            Ok(out.object(json, text)?)
        }
        CatalogVerb::WhatIf(ask) => {
            for file in &ask.files {
                let toml = read(file)?;
                let problems = problems(client, &toml).await?;
                if !problems.is_empty() {
                    let lines: Vec<_> = problems.iter().map(|problem| line(file, problem)).collect();
                    anyhow::bail!("{}\n{} is no catalog", lines.join("\n"), file.display());
                }
                let result = what_if::run(client, &ask, toml).await?;
                what_if::tell(&file.display().to_string(), &result, out)?;
            }
            Ok(())
        }
    }
}

async fn problems(client: &Client, toml: &str) -> anyhow::Result<Vec<Problem>> {
    let request = v1::ValidateCatalogRequest { toml: toml.to_owned() };
    Ok(answer(client.catalog().validate_catalog(request).await)?.problems)
}

/// A mistake, as compilers tell them.
fn line(file: &Path, problem: &Problem) -> String {
    format!("{}:{}:{}: {}", file.display(), problem.line, problem.column, problem.message)
}

async fn validate(client: &Client, file: PathBuf, out: &mut Output<'_>) -> anyhow::Result<()> {
    let problems = problems(client, &read(&file)?).await?;
    let line = |problem: &Problem| line(&file, problem);
    let list =
        |problem: &Problem| json!({ "line": problem.line, "column": problem.column, "message": problem.message });
    let text = || match problems.as_slice() {
        [] => format!("{}: valid", file.display()),
        problems => problems.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    let json = || json!({ "valid": problems.is_empty(), "problems": problems.iter().map(list).collect::<Vec<_>>() });
    out.object(json, text)?;
    anyhow::ensure!(problems.is_empty(), "{} is no catalog", file.display());
    Ok(())
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))
}

async fn all(client: &Client) -> anyhow::Result<Vec<v1::CatalogVersion>> {
    let page = async |page_size, page_token| {
        let request = v1::ListCatalogsRequest { page_size, page_token };
        let page = answer(client.catalog().list_catalogs(request).await)?;
        Ok((page.versions, page.next_page_token))
    };
    pages(usize::MAX, String::new(), page).await
}

fn state(version: &v1::CatalogVersion) -> String {
    short(version.state().as_str_name(), "STATE_")
}

fn running(version: &v1::CatalogVersion) -> String {
    short(version.running_sessions().as_str_name(), "RUNNING_SESSIONS_")
}

fn told(version: &v1::CatalogVersion) -> Value {
    json!({
        "number": version.number,
        "state": state(version),
        "published_at_ms": version.published_at_ms,
        "activates_at_ms": version.activates_at_ms,
        "running_sessions": running(version),
        "published_by": version.published_by,
        "reason": version.reason,
        "request_id": version.request_id,
        "withdrawn_at_ms": Some(version.withdrawn_at_ms).filter(|at| *at != 0),
    })
}

fn row(version: &v1::CatalogVersion) -> Vec<String> {
    vec![
        version.number.to_string(),
        state(version),
        moment(version.activates_at_ms),
        running(version),
        moment(version.published_at_ms),
        version.published_by.clone(),
        version.reason.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_their_zone() {
        assert_eq!(moment_given("1970-01-01T08:00:01+08:00"), Ok(1_000));
        assert!(moment_given("tomorrow").unwrap_err().contains("`tomorrow` is no moment"));
    }
}
