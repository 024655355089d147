//! Explanations of all that accounts were charged: worked out again from the facts and the price lists, and the same to the
//! micro-unit.

use std::fmt::Write as _;

use tollgate::{
    charging::{Account, Explanation, HistoryLine, MemberNo, State, explain},
    rating::Catalog,
};

/// The lines of an account's history, oldest first, and then those of its running sessions.
fn lines<'s>(state: &'s State, account: &'s Account) -> Vec<HistoryLine<'s>> {
    let running = state.sessions().filter(|session| session.account == account.id);
    let quotas = running.flat_map(|session| session.quotas.iter().map(move |quota| (session, quota)));
    let open = quotas.filter(|(_, quota)| quota.is_untold());
    let open = open.map(|(session, quota)| HistoryLine::usage(session, quota, session.last_request));
    account.history.iter().chain(open).collect()
}

/// Every line of every account is explained exactly.
pub(crate) fn all_exact<'c>(state: &State, versions: &(dyn Fn(u32) -> Option<&'c Catalog> + 'c)) {
    for account in state.accounts() {
        for line in lines(state, &account) {
            let explanation = explain(&line, account.currency, versions);
            assert!(explanation.is_exact(), "{line:?}\n{}", text(&account, &explanation).join("\n"));
        }
    }
}

/// The explanations of the latest lines of an account, as a table has them.
pub(crate) fn told<'c>(
    state: &State,
    account: &Account,
    latest: usize,
    versions: &(dyn Fn(u32) -> Option<&'c Catalog> + 'c),
) -> String {
    let lines = lines(state, account);
    let mut out = String::new();
    for line in &lines[lines.len().saturating_sub(latest)..] {
        let kind = format!("{:?}", line.kind).to_lowercase();
        let _ = writeln!(out, "  {kind} {}", line.service);
        for told in text(account, &explain(line, account.currency, versions)) {
            let _ = writeln!(out, "    {told}");
        }
    }
    out
}

fn text(account: &Account, explanation: &Explanation) -> Vec<String> {
    let whose = |no: MemberNo| {
        let known = account.profile.as_deref().and_then(|profile| profile.member(no));
        known.map_or_else(|| format!("member {}", no.0), |member| member.subscriber.to_string())
    };
    explanation.text(account.currency, &|_| None, &whose)
}
