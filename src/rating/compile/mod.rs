//! From the text of a catalog to its tables. All of the text is read before anything is said about it, so that one pass
//! finds every problem.

mod allowances;
mod contexts;
mod granting;
mod hours;
mod names;
mod offers;
mod pools;
mod prices;
mod section;
mod services;
mod settings;
pub(super) mod tariffs;
mod zones;

use std::sync::Arc;

use toml::de::DeTable;

use self::{contexts::Contexts, offers::Known, section::Section, services::Services, zones::Zones};
use super::{
    catalog::Catalog,
    problem::{Problem, Problems},
};
use crate::units::Currency;

/// The longest catalog: hundreds of times the demo's, and still read in a blink.
pub const CATALOG_OCTETS_MAX: usize = 1 << 20;

/// Compiles `text`, or says all that is wrong with it.
pub(super) fn compile(text: &str) -> Result<Catalog, Vec<Problem>> {
    let mut problems = Problems::new(text);
    if text.len() > CATALOG_OCTETS_MAX {
        problems.add(&(0..0), format!("the catalog is longer than {CATALOG_OCTETS_MAX} octets"));
        return Err(problems.finish());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What was recovered has holes: problems found in it would be about the holes.
        for error in errors {
            let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            problems.add(&error.span().unwrap_or(0..0), message);
        }
        return Err(problems.finish());
    }
    let catalog = build(text, Section::new("the catalog", root.get_ref(), 0..0), &mut problems);
    match catalog {
        Some(catalog) if problems.is_empty() => Ok(catalog),
        _ => Err(problems.finish()),
    }
}

/// Reads every section. `None` only with a problem noted.
fn build(text: &str, mut root: Section<'_>, problems: &mut Problems<'_>) -> Option<Catalog> {
    let currency = root.require("currency", "currency = \"EUR\"", problems, |value| {
        section::text(value)?.parse::<Currency>().map_err(|error| error.to_string())
    });
    let contexts = Contexts::read(&mut root, problems);
    let mut services = Services::read(&mut root, &contexts, problems);
    let settings = settings::settings(&mut root, problems);
    let zones = Zones::read(&mut root, problems);
    tariffs::tariffs(&mut root, &mut services, &zones, &settings, problems);
    let (allowances, allowance_names) = allowances::allowances(&mut root, &services, problems);
    let thresholds = allowances::thresholds(&mut root, problems);
    let known =
        Known { services: &services, settings: &settings, allowances: &allowances, allowance_names: &allowance_names };
    let offers = offers::offers(&mut root, &known, problems);
    root.finish(problems);
    let of_contexts = contexts.settings(&services.list);
    Some(Catalog {
        text: text.into(),
        currency: currency?.value,
        contexts: contexts.table,
        defaults: services.of_contexts,
        services_by_name: services.list.iter().map(|service| (Arc::clone(&service.name), service.id)).collect(),
        services: services.list,
        keys: services.keys,
        allowances,
        low_balance: thresholds.iter().filter_map(|threshold| threshold.kind.money()).max(),
        thresholds,
        failure: contexts.list.iter().map(|context| context.failure).collect(),
        settings,
        of_contexts,
        offers,
    })
}
