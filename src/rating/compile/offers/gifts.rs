//! `[[gift]]`: what comes with a top-up.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        names::Names,
        section::{self, Section},
    },
    terms::{self, Least},
};
use crate::{
    rating::{
        offer::Gift,
        problem::{Problems, Span},
        service::Allowance,
    },
    units::Money,
};

/// Every top-up walks them.
const GIFTS_MAX: usize = 100;

/// As much again as was paid, in hundredths of a percent.
const ALL: u16 = 10_000;

/// Reads all gifts.
pub(super) fn gifts<'a>(
    root: &mut Section<'a>,
    allowances: &BTreeMap<&str, Arc<Allowance>>,
    allowance_names: &Names<'a>,
    problems: &mut Problems<'_>,
) -> Vec<Gift> {
    let mut names = Names::new("a gift", GIFTS_MAX);
    let mut amounts: BTreeMap<Money, Span> = BTreeMap::new();
    let mut gifts = Vec::new();
    for mut section in root.sections("gift", "[[gift]]", problems) {
        let name = section.require("name", "name = \"ten-for-fifty\"", problems, section::name);
        let name = name.filter(|name| names.add(name, problems));
        let top_up = section.require("top_up", "top_up = \"50.00\"", problems, terms::amount(Least::AboveZero));
        let percent = section.get("percent", problems, terms::percent(1, ALL));
        let validity = section.get("validity", problems, section::duration(1));
        let allowance = section.get("allowance", problems, section::name);
        let allowance = allowance.filter(|name| allowance_names.find(name, problems));
        if !section.has("percent") && !section.has("allowance") {
            let right = "it needs `percent` (money), such as `percent = \"10\"`, or an `allowance`";
            problems.add(&section.span, format!("this gift is nothing: {right}"));
        }
        if section.has("validity") && !section.has("percent") {
            let right = "`validity` is of the money, and an allowance has its own: add `percent`, or leave it out";
            problems.add(&section.key_span("validity"), right);
        }
        section.finish(problems);
        let Some(top_up) = top_up else { continue };
        if let Some(first) = amounts.get(&top_up.value) {
            let line = problems.line(first);
            let message = format!("line {line} has a gift for top-ups of {} already", top_up.value);
            problems.add(&top_up.span, format!("{message}: only one of them would ever be given"));
        }
        amounts.entry(top_up.value).or_insert(top_up.span);
        let Some(name) = name else { continue };
        gifts.push(Gift {
            name: name.value.into(),
            top_up: top_up.value,
            basis_points: percent.map_or(0, |field| field.value),
            validity_secs: validity.map(|field| u64::from(field.value)),
            allowance: allowance.and_then(|name| allowances.get(name.value).map(Arc::clone)),
        });
    }
    gifts
}
