//! `[[plan]]`: how an account lives.

use super::{
    super::{
        names::Names,
        section::{self, Section},
    },
    terms::{self, Least},
};
use crate::{
    rating::{
        offer::Plan,
        problem::{Problems, Span, quoted},
        quantity,
        settings::Settings,
    },
    units::{Money, UnitKind},
};

/// They are found by name, one by one; an operator has a handful.
const PLANS_MAX: usize = 100;

/// An account gets them all at once, in one event.
const PLAN_PRODUCTS_MAX: usize = 20;

/// Every request walks them.
const PLAN_LIMITS_MAX: usize = 20;

/// Every top-up walks them.
const TOP_UP_VALIDITIES_MAX: usize = 20;

/// Until then a cycle's counters are kept beside those of the next one, whose own end must not come first.
const LATE_USAGE_SECS_MAX: u32 = 7 * 86_400;

/// Reads all plans.
pub(super) fn plans<'a>(
    root: &mut Section<'a>,
    products: &Names<'a>,
    limits: &Names<'a>,
    settings: &Settings,
    problems: &mut Problems<'_>,
) -> Vec<Plan> {
    let mut names = Names::new("a plan", PLANS_MAX);
    let mut plans = Vec::new();
    for mut section in root.sections("plan", "[[plan]]", problems) {
        let name = section.require("name", "name = \"prepaid\"", problems, section::name);
        let name = name.filter(|name| names.add(name, problems));
        let products = products.list(&mut section, "products", PLAN_PRODUCTS_MAX, problems);
        let limits = limits.list(&mut section, "limits", PLAN_LIMITS_MAX, problems);
        let activate_on_use = section.get("activate", problems, |value| match section::text(value)? {
            "at-once" => Ok(false),
            "on-use" => Ok(true),
            _ => Err("write \"at-once\" or \"on-use\": when the account's life begins".into()),
        });
        let mut secs =
            |key, least| section.get(key, problems, section::duration(least)).map(|field| u64::from(field.value));
        let (validity_secs, grace_secs, remind_before_secs) =
            (secs("validity", 1), secs("grace", 0), secs("remind_before", 0));
        let top_up_validity = top_up_validity(&mut section, problems);
        let late_usage_secs = late_usage(&mut section, settings, problems);
        check(&section, validity_secs, remind_before_secs, problems);
        section.finish(problems);
        let Some(name) = name else { continue };
        plans.push(Plan {
            name: name.value.into(),
            products: products.iter().map(|field| field.value.into()).collect(),
            limits: limits.iter().map(|field| field.value.into()).collect(),
            activate_on_use: activate_on_use.is_some_and(|field| field.value),
            validity_secs,
            top_up_validity,
            grace_secs: grace_secs.unwrap_or(0),
            remind_before_secs: remind_before_secs.unwrap_or(0),
            late_usage_secs,
        });
    }
    plans
}

/// What is about an end needs one.
fn check(section: &Section<'_>, validity: Option<u64>, remind_before: Option<u64>, problems: &mut Problems<'_>) {
    for key in ["top_up_validity", "grace", "remind_before"] {
        if section.has(key) && !section.has("validity") {
            let message = format!("accounts of this plan live for ever, so `{key}` has no meaning: add `validity`");
            problems.add(&section.key_span(key), message);
        }
    }
    if let (Some(validity), Some(before)) =
        (validity, remind_before.filter(|secs| validity.is_some_and(|it| *secs >= it)))
    {
        let (before, validity) =
            (quantity::write(UnitKind::Seconds, before), quantity::write(UnitKind::Seconds, validity));
        let message =
            format!("{before} before the end of {validity} the life has not begun: write less than `validity`");
        problems.add(&section.key_span("remind_before"), message);
    }
}

/// `{ from = "10.00", adds = "30 d" }`: ascending by amount, whatever their order in the text.
fn top_up_validity(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<(Money, u64)> {
    let items = section.tables("top_up_validity", "{ from = \"10.00\", adds = \"30 d\" }", problems);
    if let Some(item) = items.get(TOP_UP_VALIDITIES_MAX) {
        problems.add(&item.span, format!("`top_up_validity` has at most {TOP_UP_VALIDITIES_MAX} steps"));
        return Vec::new();
    }
    let mut steps: Vec<(Money, u64, Span)> = Vec::new();
    for mut item in items {
        let from = item.require("from", "from = \"10.00\"", problems, terms::amount(Least::AboveZero));
        let adds = item.require("adds", "adds = \"30 d\"", problems, section::duration(1));
        item.finish(problems);
        let (Some(from), Some(adds)) = (from, adds) else { continue };
        if let Some((_, _, first)) = steps.iter().find(|step| step.0 == from.value) {
            let line = problems.line(first);
            problems.add(&from.span, format!("line {line} says what top-ups from {} add already", from.value));
        }
        steps.push((from.value, adds.value.into(), from.span));
    }
    steps.sort_by_key(|step| step.0);
    for pair in steps.windows(2) {
        if let [less, more] = pair
            && more.1 < less.1
        {
            let message =
                format!("top-ups from {} add less than those from {}: write more, or leave it out", more.0, less.0);
            problems.add(&more.2, message);
        }
    }
    steps.into_iter().map(|(from, adds, _)| (from, adds)).collect()
}

/// Usage is of the cycle in which it happened only as long as a client is believed about that.
fn late_usage(section: &mut Section<'_>, settings: &Settings, problems: &mut Problems<'_>) -> u64 {
    let late = section.get("late_usage", problems, |value| {
        section::duration(0)(value).ok().filter(|secs| *secs <= LATE_USAGE_SECS_MAX).ok_or_else(|| {
            "write a time from \"0 s\" to \"7 d\": how long after a cycle's end usage may arrive for it".into()
        })
    });
    let Some(late) = late else { return 0 };
    let secs = u64::from(late.value);
    if secs > settings.event_past_secs {
        let believed = quantity::write(UnitKind::Seconds, settings.event_past_secs);
        let message = format!(
            "no client is believed about what happened more than {believed} ago: write at most that, or raise {}",
            quoted("event_time_past")
        );
        problems.add(&late.span, message);
    }
    secs
}
