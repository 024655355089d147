//! What is sold beside bare prices: `[[limit]]`, `[[discount]]`, `[[product]]`, `[[plan]]` and `[[gift]]`.

mod discounts;
mod gifts;
mod included;
mod limits;
mod plans;
mod products;
mod terms;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use super::{names::Names, section::Section, services::Services};
use crate::rating::{offer::Offers, problem::Problems, service::Allowance, settings::Settings};

/// What the sections before have, which these refer to.
pub(super) struct Known<'k, 'a> {
    pub(super) services: &'k Services<'a>,
    pub(super) settings: &'k Settings,
    pub(super) allowances: &'k BTreeMap<Arc<str>, Allowance>,
    /// Also of those that could not be read.
    pub(super) allowance_names: &'k Names<'a>,
}

/// Reads all of them.
pub(super) fn offers<'a>(root: &mut Section<'a>, known: &Known<'_, 'a>, problems: &mut Problems<'_>) -> Offers {
    // Products and gifts share the terms of an allowance.
    let allowances: BTreeMap<&str, Arc<Allowance>> =
        known.allowances.iter().map(|(name, allowance)| (&**name, Arc::new(allowance.clone()))).collect();
    let (limits, limit_names) = limits::limits(root, known.services, problems);
    let (discounts, discount_names) = discounts::discounts(root, known.services, known.settings, problems);
    let references = products::References {
        allowances: &allowances,
        allowance_names: known.allowance_names,
        discount_names: &discount_names,
        limit_names: &limit_names,
    };
    let (products, product_names) = products::products(root, &references, problems);
    let plans = plans::plans(root, &product_names, &limit_names, known.settings, problems);
    let gifts = gifts::gifts(root, &allowances, known.allowance_names, problems);
    Offers { limits, discounts, products, plans, gifts }
}
