//! `[[limit]]`: an amount per period, and what comes when it is reached.

use super::{
    super::{
        names::Names,
        section::{self, Section},
        services::Services,
    },
    terms::{self, Least},
};
use crate::rating::{
    offer::{AfterLimit, Limit},
    problem::Problems,
};

/// Every request walks those that apply to its account.
const LIMITS_MAX: usize = 100;

/// Reads all limits, and all names, also of those that could not be read.
pub(super) fn limits<'a>(
    root: &mut Section<'a>,
    services: &Services<'a>,
    problems: &mut Problems<'_>,
) -> (Vec<Limit>, Names<'a>) {
    let mut names = Names::new("a limit", LIMITS_MAX);
    let mut limits = Vec::new();
    for mut section in root.sections("limit", "[[limit]]", problems) {
        let name = section.require("name", "name = \"daily-cap\"", problems, section::name);
        let name = name.filter(|name| names.add(name, problems));
        let period = section.require("period", "period = \"day\"", problems, terms::period);
        let amount = section.require("amount", "amount = \"20.00\"", problems, terms::amount(Least::AboveZero));
        let then = then(&mut section, problems);
        let repriced = matches!(then, Some(AfterLimit::Charge(_))).then_some("other price after a limit");
        let scope = terms::scope(&mut section, services, repriced, problems);
        let by_member = section.get("by", problems, |value| match section::text(value)? {
            "account" => Ok(false),
            "member" => Ok(true),
            _ => Err("write \"account\" (all its members together) or \"member\" (each by itself)".into()),
        });
        let reminders = reminders(&mut section, problems);
        section.finish(problems);
        let (Some(name), Some(period), Some(amount), Some(then)) = (name, period, amount, then) else { continue };
        limits.push(Limit {
            name: name.value.into(),
            period: period.value,
            amount: amount.value,
            scope,
            by_member: by_member.is_some_and(|field| field.value),
            then,
            reminders,
        });
    }
    (limits, names)
}

fn then(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<AfterLimit> {
    /// What `then` says; the reduced price is beside it.
    #[derive(Clone, Copy)]
    enum Then {
        Is(AfterLimit),
        Reduced,
    }
    let then = section.require("then", "then = \"refuse\"", problems, |value| match section::text(value)? {
        "notify" => Ok(Then::Is(AfterLimit::Notify)),
        "refuse" => Ok(Then::Is(AfterLimit::Refuse)),
        "stop" => Ok(Then::Is(AfterLimit::Stop)),
        "free" => Ok(Then::Is(AfterLimit::Charge(0))),
        "reduced" => Ok(Then::Reduced),
        _ => Err("write \"notify\", \"refuse\", \"stop\", \"free\" or \"reduced\": what comes after the limit".into()),
    });
    let part = section.get("reduced_percent", problems, terms::percent(1, 9_999));
    match then?.value {
        Then::Is(then) => {
            if section.has("reduced_percent") {
                let right = "it says what is still charged with `then = \"reduced\"`, and only there";
                problems.add(
                    &section.key_span("reduced_percent"),
                    format!("`reduced_percent` has no meaning here: {right}"),
                );
            }
            Some(then)
        }
        Then::Reduced => {
            if let (false, Some(span)) = (section.has("reduced_percent"), section.value_span("then")) {
                let right = "say what is still charged, such as `reduced_percent = \"50\"`";
                problems.add(&span, format!("`then = \"reduced\"` needs a part: {right}"));
            }
            Some(AfterLimit::Charge(part?.value))
        }
    }
}

/// Ascending, each once.
fn reminders(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<u8> {
    let mut reminders = section.list("remind_percent", problems, |value| section::number(1, 99)(value));
    let count = reminders.len();
    reminders.sort_unstable();
    reminders.dedup();
    if reminders.len() < count {
        problems.add(&section.key_span("remind_percent"), "`remind_percent` has a percentage twice: once is enough");
    }
    // At most 99.
    reminders.into_iter().map(|percent| percent as u8).collect()
}
