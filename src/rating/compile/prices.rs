//! The keys of a price, in `[[service]]` and `[[tariff]]` alike.

mod shape;

use std::{collections::BTreeMap, sync::Arc};

use rust_decimal::Decimal;
use toml::de::DeValue;

use self::shape::ShapeText;
use super::section::{self, Field, Section};
use crate::{
    rating::{
        offer::Period,
        price::{PRICE_MAX, PRICE_SCALE_MAX, Price, PriceError, TierBasis},
        problem::{Problems, Span, quoted},
    },
    units::{Money, UnitKind},
};

/// All keys of a price.
const KEYS: &[&str] =
    &["price", "per", "block", "setup", "minimum", "free_units", "tiers", "tier_period", "tier_counter", "price_up"];

/// A price as read; missing if its figures are wrong.
pub(super) struct PriceText {
    /// What it counts.
    pub(super) kind: UnitKind,
    pub(super) price: Option<Price>,
    /// For uplink octets, if that is another one.
    pub(super) uplink: Option<Price>,
}

impl PriceText {
    pub(super) fn free(kind: UnitKind) -> Self {
        Self { kind, price: Some(Price::free_of(kind)), uplink: None }
    }
}

/// What tiers are counted by over more than a session, by name: what each counts, over which period, and where that is said
/// first.
#[derive(Default)]
pub(super) struct Counters(BTreeMap<Arc<str>, (UnitKind, Period, Span)>);

impl Counters {
    /// A counter counts one thing, over one period.
    fn note(&mut self, basis: &TierBasis, kind: UnitKind, span: &Span, problems: &mut Problems<'_>) {
        let TierBasis::Counter { name, period } = basis else { return };
        let first = self.0.entry(Arc::clone(name)).or_insert_with(|| (kind, *period, span.clone()));
        if (first.0, first.1) != (kind, *period) {
            let (line, name) = (problems.line(&first.2), quoted(name));
            let (counted, over) = (first.0, period_word(first.1));
            let right = "count the same, or give this one a `tier_counter` of its own";
            problems.add(span, format!("line {line} counts {counted} by the {over} as {name}: {right}"));
        }
    }
}

/// Whether the section says `free = true`; then it says nothing else of a price.
pub(super) fn is_free(section: &mut Section<'_>, problems: &mut Problems<'_>) -> bool {
    let free = section.get("free", problems, section::truth).is_some_and(|field| field.value);
    for key in KEYS.iter().filter(|_| free) {
        if section.get(key, problems, |_| Ok(())).is_some() {
            problems.add(&section.key_span(key), format!("`free = true` and `{key}` do not go together: take one out"));
        }
    }
    free
}

/// Reads a price and what it counts. Tiers that go on from session to session are counted by the name of the `service`,
/// unless they name a counter.
pub(super) fn price(
    section: &mut Section<'_>,
    service: &str,
    counters: &mut Counters,
    problems: &mut Problems<'_>,
) -> Option<PriceText> {
    let own = Own::read(section, problems);
    let shape = ShapeText::read(section, problems);
    let up = section.get("price_up", problems, decimal);
    let (kind, per) = own.per.as_ref()?.value;
    same_kind("block", &own.block, ("`per`", kind), problems);
    same_kind("free_units", &shape.free_units, ("`per`", kind), problems);
    if let Some(field) = up.as_ref().filter(|_| kind != UnitKind::Octets) {
        problems.add(&field.span, format!("only octets have an uplink: `price_up` is not for what counts {kind}"));
    }
    // In a pool every unit counts.
    let whole = if section.has("pool") { 1 } else { per };
    let block = own.block.as_ref().map_or(whole, |field| field.value.1);
    let plain = own.price(kind, block, problems);
    let basis = shape.basis(service, &own, problems);
    counters.note(&basis, kind, &shape.counter_span(section), problems);
    let tiers = shape.tiers(kind, (per, block), problems);
    let price = plain.zip(tiers).and_then(|(plain, tiers)| shape.price(plain, &tiers, basis, problems));
    let uplink = up.and_then(|up| {
        let made = Price::new(kind, up.value, per, block, Money::ZERO);
        made.map_err(|error| problems.add(&up.span, error.to_string())).ok()
    });
    Some(PriceText { kind, price, uplink })
}

/// The figures of the price itself.
struct Own {
    amount: Option<Field<Decimal>>,
    per: Option<Field<(UnitKind, u64)>>,
    block: Option<Field<(UnitKind, u64)>>,
    setup: Option<Field<Money>>,
}

impl Own {
    fn read(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Self {
        Self {
            amount: section.require("price", "price = \"0.01\"` or `free = true", problems, decimal),
            per: section.require("per", "per = \"1 MB\"", problems, section::quantity),
            block: section.get("block", problems, section::quantity),
            setup: section.get("setup", problems, section::money),
        }
    }

    fn price(&self, kind: UnitKind, block: u64, problems: &mut Problems<'_>) -> Option<Price> {
        let amount = self.amount.as_ref()?;
        let (_, per) = self.per.as_ref()?.value;
        let fee = self.setup.as_ref().map_or(Money::ZERO, |field| field.value);
        let made = Price::new(kind, amount.value, per, block, fee).map_err(|error| {
            let span = match (error, &self.setup, &self.block) {
                (PriceError::Setup, Some(setup), _) => &setup.span,
                (PriceError::Inexact, _, Some(block)) => &block.span,
                _ => &amount.span,
            };
            problems.add(span, error.to_string());
        });
        made.ok()
    }
}

/// A quantity of a price counts what the price counts, which something else says.
fn same_kind(
    key: &str,
    field: &Option<Field<(UnitKind, u64)>>,
    (says, kind): (&str, UnitKind),
    problems: &mut Problems<'_>,
) {
    if let Some(field) = field.as_ref().filter(|field| field.value.0 != kind) {
        let other = field.value.0;
        problems.add(&field.span, format!("`{key}` counts {other} and {says} counts {kind}: they must be the same"));
    }
}

fn period_word(period: Period) -> String {
    match period {
        Period::Day => "day".into(),
        Period::Week => "week".into(),
        Period::Cycle => "cycle".into(),
        Period::Seconds(secs) => format!("{secs} s"),
    }
}

/// A plain decimal number in quotes; its range is the price's matter.
fn decimal(value: &DeValue<'_>) -> Result<Decimal, String> {
    let expected = || format!("write a price from 0 to {PRICE_MAX} in quotes, such as \"0.01\"");
    let text = section::text(value)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(expected());
    }
    if fraction.len() > PRICE_SCALE_MAX as usize {
        return Err(PriceError::Scale.to_string());
    }
    Decimal::from_str_exact(text).ok().filter(|price| *price <= Decimal::from(PRICE_MAX)).ok_or_else(expected)
}

#[cfg(test)]
mod tests;
