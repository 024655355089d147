//! `[[allowance]]` and `[[threshold]]`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    names::Names,
    section::{self, Field, Section},
    services::Services,
};
use crate::{
    rating::{
        problem::{Problems, quoted},
        service::{Allowance, Threshold, ThresholdKind},
    },
    units::UnitKind,
};

/// More kinds of packages than any shop shows, and a bound on every walk over them.
const ALLOWANCES_MAX: usize = 10_000;

/// An allowance that pays for more services than this is one for all of its unit; each rating of a request walks them.
const ALLOWANCE_SERVICES_MAX: usize = 100;

/// Every change of a balance is compared with all of them.
const THRESHOLDS_MAX: usize = 100;

/// Where allowances that say nothing stand in the order of use.
const PRIORITY_DEFAULT: u32 = 100;

/// Reads all allowances, by name; and all names, also of those that could not be read.
pub(super) fn allowances<'a>(
    root: &mut Section<'a>,
    services: &Services<'_>,
    problems: &mut Problems<'_>,
) -> (BTreeMap<Arc<str>, Allowance>, Names<'a>) {
    let mut names = Names::new("an allowance", ALLOWANCES_MAX);
    let mut allowances = BTreeMap::new();
    for mut section in root.sections("allowance", "[[allowance]]", problems) {
        let name = section.require("name", "name = \"data-1gb\"", problems, section::name);
        let amount = section.require("amount", "amount = \"1 GB\"", problems, section::quantity);
        let listed = section.texts("services", problems);
        let (services, rating_groups) =
            covered(&listed, amount.as_ref().map(|field| field.value.0), services, problems);
        let validity = section.get("validity", problems, section::duration(1));
        let priority = section.get("priority", problems, section::number(0, u32::MAX));
        section.finish(problems);
        let (Some(name), Some(amount)) = (name.filter(|name| names.add(name, problems)), amount) else { continue };
        let name: Arc<str> = name.value.into();
        let allowance = Allowance {
            name: Arc::clone(&name),
            kind: amount.value.0,
            amount: amount.value.1,
            validity_secs: validity.map(|field| u64::from(field.value)),
            priority: priority.map_or(PRIORITY_DEFAULT, |field| field.value),
            rating_groups,
            services,
        };
        allowances.insert(name, allowance);
    }
    (allowances, names)
}

/// The names and rating groups of the services that an allowance lists.
fn covered(
    listed: &[Field<&str>],
    kind: Option<UnitKind>,
    services: &Services<'_>,
    problems: &mut Problems<'_>,
) -> (Vec<Arc<str>>, Vec<u32>) {
    let (mut names, mut rating_groups) = (Vec::<Arc<str>>::new(), Vec::new());
    if let Some(first) = listed.get(ALLOWANCE_SERVICES_MAX) {
        problems.add(&first.span, format!("an allowance names at most {ALLOWANCE_SERVICES_MAX} services"));
        return (names, rating_groups);
    }
    for field in listed {
        let Some(service) = services.find(field, problems).and_then(|declared| services.service(declared)) else {
            continue;
        };
        let name = quoted(field.value);
        if kind.is_some_and(|kind| kind != service.kind) {
            let message = format!("service {name} counts {}, which `amount` does not", service.kind);
            problems.add(&field.span, message);
        }
        if service.is_free() {
            problems.add(&field.span, format!("service {name} is free: no allowance is needed for it"));
        }
        if service.pool.is_some() {
            let message =
                format!("service {name} draws from a credit pool, which counts money: no allowance pays for it");
            problems.add(&field.span, message);
        }
        let Some(rating_group) = service.rating_group else {
            let message = format!("service {name} has no `rating_group`, by which an allowance knows what it pays for");
            problems.add(&field.span, format!("{message}: give it one"));
            continue;
        };
        if names.contains(&service.name) {
            problems.add(&field.span, format!("service {name} is named twice"));
        }
        names.push(Arc::clone(&service.name));
        rating_groups.push(rating_group);
    }
    rating_groups.sort_unstable();
    rating_groups.dedup();
    (names, rating_groups)
}

/// Reads all thresholds.
pub(super) fn thresholds(root: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<Threshold> {
    let mut names = Names::new("a threshold", THRESHOLDS_MAX);
    let mut thresholds = Vec::new();
    for mut section in root.sections("threshold", "[[threshold]]", problems) {
        let name = section.require("name", "name = \"low-balance\"", problems, section::name);
        let money = section.get("money", problems, section::money);
        let percent = section.get("allowance_percent", problems, section::number(1, 100));
        if section.has("money") == section.has("allowance_percent") {
            let right = "[[threshold]] needs one of `money = \"5.00\"` and `allowance_percent = 80`";
            problems.add(&section.span, right);
        }
        section.finish(problems);
        let kind = match (money, percent) {
            (Some(money), _) => ThresholdKind::Money(money.value),
            // At most 100.
            (None, Some(percent)) => ThresholdKind::AllowancePercent(percent.value as u8),
            (None, None) => continue,
        };
        if let Some(name) = name.filter(|name| names.add(name, problems)) {
            thresholds.push(Threshold { name: name.value.into(), kind });
        }
    }
    thresholds
}
