//! What is done with accounts beside charging, as commands of the tables, and what is told of it.

use std::fmt::Write as _;

use tollgate::{
    charging::{AccountChanged, BucketKind, Command, Manage, ManageCommand, MemberNo, When},
    ids::{AccountId, BucketId},
    time::Timestamp,
    units::Money,
};

use super::Table;

/// `2026-02-01` or `2026-02-01T10:30`, in UTC.
fn moment(text: &str) -> Timestamp {
    let full = if text.contains('T') { format!("{text}:00Z") } else { format!("{text}T00:00:00Z") };
    let at: jiff::Timestamp = full.parse().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    Timestamp::from_millis(at.as_millisecond().try_into().unwrap())
}

/// `now` (also nothing), `next`, or a moment.
fn when(words: &[&str]) -> When {
    match words.first() {
        None | Some(&"now") => When::Now,
        Some(&"next") => When::Next,
        Some(at) => When::At(moment(at)),
    }
}

impl Table {
    /// Runs a command about an account's products and cycles; `None` = it is none.
    pub(super) fn run_change(&mut self, words: &[&str]) -> Option<String> {
        let (words, request_id) = match words {
            [rest @ .., id] if id.starts_with("id=") => (rest, id.trim_start_matches("id=")),
            _ => (words, ""),
        };
        let (account, what) = match words {
            ["date", at] => {
                let at = moment(at);
                assert!(self.now <= at, "the clock does not go back to {at}");
                self.now = at;
                return Some(String::new());
            }
            ["cycle-day", account, day] => (account, Manage::SetCycleDay(day.parse().unwrap())),
            ["buy", account, product, rest @ ..] => {
                let member = rest.iter().find_map(|word| word.strip_prefix("member="));
                let member = member.map_or(MemberNo::SHARED, |no| MemberNo(no.parse().unwrap()));
                let rest: Vec<_> = rest.iter().copied().filter(|word| !word.starts_with("member=")).collect();
                (account, Manage::Buy { product, member, start: when(&rest) })
            }
            ["change", account, subscription, to, rest @ ..] => {
                let subscription = subscription.parse().unwrap();
                (account, Manage::ChangeProduct { subscription, to, when: when(rest) })
            }
            ["cancel", account, subscription, rest @ ..] => {
                let subscription = subscription.parse().unwrap();
                (account, Manage::CancelProduct { subscription, when: when(rest) })
            }
            ["products", account] => return Some(self.products(AccountId(account.parse().unwrap()))),
            _ => return None,
        };
        let account = AccountId(account.parse().unwrap());
        let command = ManageCommand { account, request_id, reason: "table", what };
        Some(self.execute(&Command::Manage(command)))
    }

    /// What an account has of products, and its cycle.
    fn products(&self, account: AccountId) -> String {
        let mut out = String::new();
        let Some(profile) = self.state.account(account).unwrap().profile.as_deref() else { return out };
        for it in &profile.subscriptions {
            let _ = write!(out, "  {} {}", it.no, it.product);
            let state = match (it.paused, it.begun) {
                (true, _) => " pauses",
                (false, false) => " waits",
                (false, true) => "",
            };
            let _ = write!(out, "{state}");
            for (name, at) in
                [("renews", it.renews.filter(|_| !it.paused)), ("ends", it.ends), ("trial until", it.trial_until)]
            {
                let _ = at.map(|at| write!(out, ", {name} {}", short(at)));
            }
            let _ = it.becomes.as_ref().map(|becomes| write!(out, ", becomes {becomes}"));
            out.push('\n');
        }
        for (name, cycle) in [("cycle", &profile.cycle), ("before", &profile.previous)] {
            let Some(cycle) = cycle else { continue };
            let (starts, ends, closes) = (short(cycle.starts), short(cycle.ends), short(cycle.closes));
            let _ = write!(out, "  {name} {starts} to {ends}, closes {closes}: opening {}", cycle.opening);
            let _ = writeln!(out, " fees {} credits {}", cycle.fees, cycle.credits);
        }
        out
    }
}

fn short(at: Timestamp) -> String {
    let text = at.to_string();
    text.trim_end_matches(":00.000Z").trim_end_matches("T00:00").to_owned()
}

/// What a change moved, a line for each thing.
pub(super) fn told_change(change: &AccountChanged, known: &[(BucketId, BucketKind)]) -> String {
    let mut out = String::new();
    for entry in &change.entries {
        let is_money = known.contains(&(entry.bucket, BucketKind::Money));
        let amount = if is_money { Money::from_micros(entry.amount).to_string() } else { entry.amount.to_string() };
        let _ = writeln!(out, "  {:?} {}: {amount}", entry.kind, entry.name);
    }
    for bucket in change.buckets.iter().filter(|bucket| matches!(bucket.kind, BucketKind::Units(_))) {
        let until = bucket.expires.map_or("for ever".to_owned(), |at| format!("until {}", short(at)));
        if known.iter().any(|(id, _)| *id == bucket.id) {
            let _ = writeln!(out, "  keeps what is held of {} {until}", bucket.name);
            continue;
        }
        let rolled = if bucket.rolled > 0 { format!(" rolled {}", bucket.rolled) } else { String::new() };
        let _ = writeln!(out, "  gives {}{rolled}: {} {until}", bucket.name, bucket.amount);
    }
    if let Some(it) = &change.statement {
        let _ = write!(out, "  statement {} to {}: opening {}", short(it.starts), short(it.ends), it.opening);
        let _ = writeln!(out, " credits {} usage {} fees {} closing {}", it.credits, it.usage, it.fees, it.closing);
    }
    if !change.reauthorise.is_empty() {
        let _ = writeln!(out, "  rar: {} session(s)", change.reauthorise.len());
    }
    out
}
