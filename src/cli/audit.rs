//! `audit`: who changed what.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{Client, Connection, answer},
    output::Output,
    trail::Part,
};
use crate::{
    api::{audit_message, v1},
    store::{AuditFilter, AuditTrail},
};

/// What can be done with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// List who changed what, when and why
    List(AuditList),
    /// Verify the chain of the trail's files: nothing changed, nothing missing
    Verify(Verify),
}

/// Which lines.
#[derive(Debug, Args)]
pub struct AuditList {
    /// Only by this caller
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    name: String,
    /// Only by this call, such as Adjust
    #[arg(long, default_value = "", hide_default_value = true, value_name = "METHOD")]
    method: String,
    /// Only about this, such as "account 5"
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    part: Part,
    /// Only calls that were refused
    #[arg(long)]
    refused: bool,
}

/// Which trail.
#[derive(Debug, Args)]
pub struct Verify {
    /// The directory of its files
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// Also ask the server for its last line: a trail whose end was cut off is whole but for that
    #[arg(long, conflicts_with_all = ["line", "hash"])]
    against_server: bool,
    /// A line that was noted elsewhere: its number
    #[arg(long, value_name = "N", requires = "hash")]
    line: Option<u64>,
    /// A line that was noted elsewhere: its hash
    #[arg(long, value_name = "SHA-256", requires = "line")]
    hash: Option<String>,
}

pub(super) async fn run(connection: &Connection, verb: AuditVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        AuditVerb::List(list) => {
            let lines = match &list.part.directory {
                Some(directory) => read(directory, &list)?,
                None => ask(connection, &list).await?,
            };
            let head = ["CURSOR", "AT", "WHO", "CALL", "ABOUT", "BEFORE", "AFTER", "WHY"];
            Ok(out.list(&lines, line_json, &head, row)?)
        }
        AuditVerb::Verify(Verify { directory, against_server, line, hash }) => {
            let known = if against_server {
                let client = Client::connect(connection).await?;
                let head = answer(client.audit().get_audit_head(v1::GetAuditHeadRequest {}).await)?;
                Some((head.line, head.hash))
            } else {
                line.zip(hash)
            };
            let known = known.as_ref().map(|(line, hash)| (*line, hash.as_str()));
            let verified = AuditTrail::look(&directory).verify(known);
            let verified = verified.with_context(|| directory.display().to_string())?;
            if verified.files == 0 && known.is_none() {
                // An empty directory is whole, and most likely the wrong one.
                bail!("{}: there are no files of an audit trail", directory.display());
            }
            let json = || {
                json!({
                    "ok": true,
                    "lines": verified.lines,
                    "files": verified.files,
                    "cursor": verified.cursor,
                    "hash": verified.hash,
                })
            };
            let text = || {
                let (lines, files) = (verified.lines, verified.files);
                format!("whole: {lines} lines in {files} files; the last has the hash {}", verified.hash)
            };
            Ok(out.object(json, text)?)
        }
    }
}

async fn ask(connection: &Connection, list: &AuditList) -> anyhow::Result<Vec<v1::AuditEntry>> {
    let client = Client::connect(connection).await?;
    let [from_ms, to_ms] = list.part.millis();
    let page = async |page_size, page_token| {
        let request = v1::ListAuditRequest {
            name: list.name.clone(),
            method: list.method.clone(),
            target: list.target.clone(),
            from_ms,
            to_ms,
            refused: list.refused,
            page_size,
            page_token,
        };
        let page = answer(client.audit().list_audit(request).await)?;
        Ok((page.entries, page.next_page_token))
    };
    list.part.ask(page).await
}

fn read(directory: &Path, list: &AuditList) -> anyhow::Result<Vec<v1::AuditEntry>> {
    let wanted = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let [from, to] = list.part.ends();
    let filter = AuditFilter {
        name: wanted(&list.name),
        method: wanted(&list.method),
        target: wanted(&list.target),
        from,
        to,
        refused: list.refused,
    };
    let read = AuditTrail::look(directory).page(&filter, list.part.cursor()?, list.part.limit);
    let (lines, _) = read.with_context(|| directory.display().to_string())?;
    Ok(lines.into_iter().map(audit_message).collect())
}

fn row(line: &v1::AuditEntry) -> Vec<String> {
    let why = if line.refusal.is_empty() { line.reason.clone() } else { format!("REFUSED: {}", line.refusal) };
    vec![
        line.cursor.clone(),
        line.at.clone(),
        format!("{} ({}) {}{}", line.name, line.role, line.address, approved(line)),
        line.method.clone(),
        line.target.clone(),
        line.before.clone(),
        line.after.clone(),
        why,
    ]
}

/// Who else was needed, and of which bulk change it is.
fn approved(line: &v1::AuditEntry) -> String {
    let by = if line.approved_by.is_empty() { String::new() } else { format!(", approved by {}", line.approved_by) };
    let bulk = if line.bulk.is_empty() { String::new() } else { format!(", bulk {}", line.bulk) };
    by + &bulk
}

fn line_json(line: &v1::AuditEntry) -> Value {
    let side = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    json!({
        "cursor": line.cursor,
        "line": line.line,
        "at": line.at,
        "name": line.name,
        "role": line.role,
        "address": line.address,
        "method": line.method,
        "target": line.target,
        "reason": line.reason,
        "refusal": line.refusal,
        "before": side(&line.before),
        "after": side(&line.after),
        "prev": line.prev,
        "hash": line.hash,
        "approved_by": line.approved_by,
        "bulk": line.bulk,
    })
}
