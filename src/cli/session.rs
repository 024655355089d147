//! `session`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    client::{Client, answer},
    json,
    output::{Output, moment, money, units},
    trail::pages,
    who::Who,
};
use crate::api::v1;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// List running sessions, of an account or of all
    List(List),
    /// Have the network element ask again now (RAR)
    Reauthorise(Reauthorise),
    /// Have the network element end a session (ASR)
    Terminate(Terminate),
}

/// Which sessions.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    who: Who,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
}

/// Which session.
#[derive(Debug, Args)]
pub struct Reauthorise {
    /// Session-Id
    session_id: String,
    /// CC-Sub-Session-Id, where there is one
    #[arg(long, default_value_t = 0, value_name = "N")]
    sub_session: u64,
    /// Only this rating group, where the network element understands that
    #[arg(long, value_name = "N")]
    rating_group: Option<u32>,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

/// Which session.
#[derive(Debug, Args)]
pub struct Terminate {
    /// Session-Id
    session_id: String,
    /// CC-Sub-Session-Id, where there is one
    #[arg(long, default_value_t = 0, value_name = "N")]
    sub_session: u64,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(client: &Client, verb: SessionVerb, out: &mut Output<'_>) -> anyhow::Result<()> {
    match verb {
        SessionVerb::List(list) => {
            let sessions = all(client, list.who.find()?, list.limit).await?;
            let head = ["SESSION", "ACCOUNT", "CONTEXT", "OPENED", "LAST REQUEST", "CHARGED AND USED", "STATE"];
            Ok(out.list(&sessions, json::session, &head, row)?)
        }
        SessionVerb::Reauthorise(Reauthorise { session_id, sub_session, rating_group, reason }) => {
            let request = v1::ReAuthoriseRequest {
                session_id: session_id.clone(),
                sub_session_id: sub_session,
                rating_group,
                reason,
            };
            answer(client.sessions().re_authorise(request).await)?;
            let text = || format!("{session_id} will be re-authorised");
            Ok(out.object(|| json!({ "session_id": session_id, "reauthorisation_pending": true }), text)?)
        }
        SessionVerb::Terminate(Terminate { session_id, sub_session, reason }) => {
            let request =
                v1::TerminateSessionRequest { session_id: session_id.clone(), sub_session_id: sub_session, reason };
            answer(client.sessions().terminate_session(request).await)?;
            let text = || format!("{session_id} will be ended by the network element");
            Ok(out.object(|| json!({ "session_id": session_id, "abort_pending": true }), text)?)
        }
    }
}

async fn all(client: &Client, account: Option<v1::AccountRef>, limit: usize) -> anyhow::Result<Vec<v1::Session>> {
    let page = async |page_size, page_token| {
        let request = v1::ListSessionsRequest { account: account.clone(), page_size, page_token };
        let page = answer(client.sessions().list_sessions(request).await)?;
        Ok((page.sessions, page.next_page_token))
    };
    pages(limit, String::new(), page).await
}

fn row(session: &v1::Session) -> Vec<String> {
    let quota = |quota: &v1::SessionQuota| {
        let (charged, used) = (money(quota.charged.as_ref()), units(quota.used.as_ref()));
        format!("{}: {charged}, {used}", quota.service)
    };
    let quotas: Vec<_> = session.quotas.iter().map(quota).collect();
    vec![
        session.session_id.clone(),
        session.account_id.to_string(),
        session.service_context_id.clone(),
        moment(session.opened_at_ms),
        moment(session.last_request_at_ms),
        quotas.join("; "),
        match (session.abort_pending, session.reauthorisation_pending) {
            (true, _) => "abort pending",
            (false, true) => "re-authorisation pending",
            (false, false) => "",
        }
        .to_owned(),
    ]
}
