//! `[[product]]`: what can be bought for an account.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        names::Names,
        section::{self, Field, Section},
    },
    included,
    terms::{self, Least},
};
use crate::{
    rating::{
        offer::{Period, Product, Unpaid},
        problem::Problems,
        service::Allowance,
    },
    units::Money,
};

/// They are found by name, one by one; a shop shows tens.
const PRODUCTS_MAX: usize = 1_000;

/// Every rating of a request walks those of all products of its account.
const PRODUCT_NAMES_MAX: usize = 10;

/// An account's state grows with each.
const MOST_MAX: u32 = 100;

const DAY_SECS: u32 = 86_400;

/// What products refer to.
pub(super) struct References<'k, 'a> {
    pub(super) allowances: &'k BTreeMap<&'k str, Arc<Allowance>>,
    pub(super) allowance_names: &'k Names<'a>,
    pub(super) discount_names: &'k Names<'a>,
    pub(super) limit_names: &'k Names<'a>,
}

/// Reads all products, and all names, also of those that could not be read.
pub(super) fn products<'a>(
    root: &mut Section<'a>,
    references: &References<'_, 'a>,
    problems: &mut Problems<'_>,
) -> (Vec<Product>, Names<'a>) {
    let mut names = Names::new("a product", PRODUCTS_MAX);
    let mut products = Vec::new();
    for mut section in root.sections("product", "[[product]]", problems) {
        let name = section.require("name", "name = \"family-10gb\"", problems, section::name);
        let name = name.filter(|name| names.add(name, problems));
        let product = product(&mut section, references, problems);
        check(&section, &product, problems);
        section.finish(problems);
        if let Some(name) = name {
            products.push(Product { name: name.value.into(), ..product });
        }
    }
    (products, names)
}

/// All but the name.
fn product<'a>(section: &mut Section<'a>, references: &References<'_, 'a>, problems: &mut Problems<'_>) -> Product {
    let fee = |field: Option<Field<Money>>| field.map_or(Money::default(), |field| field.value);
    let secs = |field: Option<Field<u32>>| field.map(|field| u64::from(field.value));
    let owned = |fields: Vec<Field<&str>>| fields.iter().map(|field| field.value.into()).collect();
    let setup_fee = section.get("setup_fee", problems, terms::amount(Least::Zero));
    let each_fee = section.get("fee", problems, terms::amount(Least::Zero));
    let period = section.get("period", problems, terms::period);
    let prorate = section.get("prorate", problems, section::truth);
    let renews = section.has("period");
    let allowances = included::allowances(section, references.allowances, references.allowance_names, renews, problems);
    let discounts = references.discount_names.list(section, "discounts", PRODUCT_NAMES_MAX, problems);
    let limits = references.limit_names.list(section, "limits", PRODUCT_NAMES_MAX, problems);
    let floor = section.get("floor", problems, terms::amount(Least::AboveZero));
    let trial = section.get("trial", problems, section::duration(1));
    let lasts = section.get("lasts", problems, section::duration(1));
    let unpaid = section.get("unpaid", problems, |value| match section::text(value)? {
        "charge" => Ok(Unpaid::Charge),
        "pause" => Ok(Unpaid::Pause),
        "cancel" => Ok(Unpaid::Cancel),
        _ => Err("write \"charge\", \"pause\" or \"cancel\": what comes when a fee cannot be paid".into()),
    });
    let most = section.get("most", problems, section::number(1, MOST_MAX));
    Product {
        name: Arc::from(""),
        setup_fee: fee(setup_fee),
        fee: fee(each_fee),
        period: period.map(|field| field.value),
        prorate: prorate.is_some_and(|field| field.value),
        allowances,
        discounts: owned(discounts),
        limits: owned(limits),
        floor: fee(floor),
        trial_secs: secs(trial).unwrap_or(0),
        lasts_secs: secs(lasts),
        unpaid: unpaid.map_or(Unpaid::Pause, |field| field.value),
        most: most.map_or(1, |field| field.value),
    }
}

/// What makes no sense together. A key that is there and wrong has been told of already.
fn check(section: &Section<'_>, product: &Product, problems: &mut Problems<'_>) {
    let renews = section.has("period");
    let free = section.value("fee").and_then(|fee| section::money(fee).ok()).is_some_and(|fee| fee == Money::default());
    let pays = section.has("fee") && !free;
    let mut at = |key: &str, wrong: bool, message: &str| {
        if wrong {
            problems.add(&section.key_span(key), message);
        }
    };
    at("floor", section.has("floor") && !renews, "a `floor` is the least that is spent in a period: add `period`");
    let right = "`prorate` is for a first and last period that are not whole: add `period`";
    at("prorate", product.prorate && !renews, right);
    let short = match product.period {
        Some(Period::Day) => true,
        Some(Period::Seconds(secs)) => secs < 2 * DAY_SECS,
        Some(Period::Week | Period::Cycle) | None => false,
    };
    let right = "parts of a period are counted in days: `prorate` needs a `period` of more than one";
    at("prorate", product.prorate && short, right);
    let right = "a `floor` is settled with the billing cycle: it needs `period = \"cycle\"`";
    at("floor", section.has("floor") && product.period.is_some_and(|period| period != Period::Cycle), right);
    let right = "there is nothing to prorate: `prorate` needs a `fee`, a `floor` or `allowances`";
    let charges_or_gives = pays || section.has("allowances") || section.has("floor");
    at("prorate", product.prorate && renews && !charges_or_gives, right);
    let right = "a `trial` waives the fees of its time: add a `fee`";
    at("trial", section.has("trial") && !pays, right);
    let right = "a `trial` would waive a fee that is paid once altogether: add a `period`, or leave it out";
    at("trial", section.has("trial") && pays && !renews, right);
    let right = "the `trial` ends after the product does: nothing is ever charged";
    at("trial", product.lasts_secs.is_some_and(|lasts| product.trial_secs >= lasts), right);
    let charges = pays || section.has("floor") || product.setup_fee.is_positive();
    at("unpaid", section.has("unpaid") && !charges, "`unpaid` is about fees, and this product has none: add a `fee`");
    let gives = ["allowances", "discounts", "limits", "setup_fee", "fee", "floor"].iter().any(|key| section.has(key));
    if !gives {
        let right = "give it `allowances`, `discounts` or `limits`, or a `fee`";
        problems.add(&section.span, format!("this product gives nothing and costs nothing: {right}"));
    }
}
