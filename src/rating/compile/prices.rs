//! The keys of a price, in `[[service]]` and `[[tariff]]` alike.

use std::{collections::BTreeMap, sync::Arc};

use rust_decimal::Decimal;
use toml::de::{DeArray, DeValue};

use super::section::{self, Field, Section};
use crate::{
    rating::{
        offer::Period,
        price::{PRICE_MAX, PRICE_SCALE_MAX, Price, PriceError, TIERS_MAX, TierBasis},
        problem::{Problems, Span, quoted},
    },
    units::{Money, UnitKind},
};

/// All keys of a price.
const KEYS: &[&str] =
    &["price", "per", "block", "setup", "minimum", "free_units", "tiers", "tier_period", "tier_counter", "price_up"];

/// What is needed to write a tier.
const TIERS_EXPECTED: &str =
    "write a list such as `tiers = [{ from = \"1 GB\", price = \"0.005\" }, { from = \"10 GB\", price = \"0.002\" }]`";

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
    same_kind("block", &own.block, kind, problems);
    same_kind("free_units", &shape.free_units, kind, problems);
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

/// What a price has beside its own figures.
struct ShapeText {
    minimum: Option<Field<Money>>,
    free_units: Option<Field<(UnitKind, u64)>>,
    tiers: Vec<TierText>,
    /// All of them could be read.
    whole: bool,
    period: Option<Field<Option<Period>>>,
    counter: Option<Field<Arc<str>>>,
}

/// One tier; `per` and `block` are the price's own where they are not said.
struct TierText {
    from: Field<(UnitKind, u64)>,
    amount: Field<Decimal>,
    per: Option<Field<(UnitKind, u64)>>,
    block: Option<Field<(UnitKind, u64)>>,
}

impl ShapeText {
    fn read(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Self {
        let list = section.get("tiers", problems, |value| match value {
            DeValue::Array(items) if items.len() > TIERS_MAX => Err(PriceError::Tiers.to_string()),
            DeValue::Array(items) if !items.is_empty() => Ok(items),
            _ => Err(TIERS_EXPECTED.into()),
        });
        let tiers: Vec<Option<TierText>> = list.map(|list| TierText::list(list.value, problems)).unwrap_or_default();
        let whole = tiers.iter().all(Option::is_some);
        Self {
            minimum: section.get("minimum", problems, section::money),
            free_units: section.get("free_units", problems, section::quantity),
            tiers: tiers.into_iter().flatten().collect(),
            whole,
            period: section.get("tier_period", problems, period),
            counter: section.get("tier_counter", problems, |value| section::name(value).map(Arc::from)),
        }
    }

    /// What it is counted over, and whether the other keys go with that.
    fn basis(&self, service: &str, own: &Own, problems: &mut Problems<'_>) -> TierBasis {
        let Some((period, span)) = self.period.as_ref().and_then(|field| Some((field.value?, &field.span))) else {
            if let Some(field) = &self.counter {
                let right = "say when it begins anew, such as `tier_period = \"cycle\"`";
                problems.add(&field.span, format!("a `tier_counter` goes on from session to session: {right}"));
            }
            return TierBasis::Session;
        };
        if self.tiers.is_empty() && self.whole && self.free_units.is_none() && self.counter.is_none() {
            let right = "give it `tiers` or `free_units`, or a `tier_counter` of others to count for";
            problems.add(span, format!("there is nothing to count by the {}: {right}", period_word(period)));
        }
        let fees = [("setup", &own.setup), ("minimum", &self.minimum)];
        for (key, field) in fees.iter().filter_map(|(key, field)| Some((key, field.as_ref()?))) {
            let over = period_word(period);
            let right = format!("leave it out, or count by the session instead of by the {over}");
            problems.add(
                &field.span,
                format!("`{key}` falls due in every session, which this price does not count: {right}"),
            );
        }
        let name = self.counter.as_ref().map_or_else(|| service.into(), |field| Arc::clone(&field.value));
        TierBasis::Counter { name, period }
    }

    fn counter_span(&self, section: &Section<'_>) -> Span {
        let period = || self.period.as_ref().map(|field| field.span.clone());
        self.counter.as_ref().map(|field| field.span.clone()).or_else(period).unwrap_or(section.span.clone())
    }

    /// Where the tiers begin, and their prices; `None` only with a problem noted.
    fn tiers(&self, kind: UnitKind, own: (u64, u64), problems: &mut Problems<'_>) -> Option<Vec<(u64, Price)>> {
        let prices: Vec<_> = self.tiers.iter().map(|tier| tier.price(kind, own, problems)).collect();
        prices.into_iter().collect::<Option<_>>().filter(|_| self.whole)
    }

    fn price(
        &self,
        plain: Price,
        tiers: &[(u64, Price)],
        basis: TierBasis,
        problems: &mut Problems<'_>,
    ) -> Option<Price> {
        let minimum = self.minimum.as_ref().map_or(Money::ZERO, |field| field.value);
        let free = self.free_units.as_ref().map_or(0, |field| field.value.1);
        let made = plain.shaped(minimum, free, tiers, basis).map_err(|error| {
            let tier = |tier: usize| tier.checked_sub(1).and_then(|index| self.tiers.get(index));
            let span = match error {
                PriceError::Minimum => self.minimum.as_ref().map(|field| &field.span),
                PriceError::Boundary { tier: 0, .. } => self.free_units.as_ref().map(|field| &field.span),
                PriceError::Order { tier: at } | PriceError::Boundary { tier: at, .. } => {
                    tier(at).map(|tier| &tier.from.span)
                }
                PriceError::TierInexact { tier: at, .. } => tier(at).map(|tier| &tier.amount.span),
                _ => None,
            };
            problems.add(span.unwrap_or(&(0..0)), error.to_string());
        });
        made.ok()
    }
}

impl TierText {
    fn list(items: &DeArray<'_>, problems: &mut Problems<'_>) -> Vec<Option<Self>> {
        let mut tiers = Vec::new();
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                problems.add(&item.span(), format!("in `tiers`: {TIERS_EXPECTED}"));
                tiers.push(None);
                continue;
            };
            let mut section = Section::new("a tier", table, item.span());
            tiers.push(Self::read(&mut section, problems));
            section.finish(problems);
        }
        tiers
    }

    fn read(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        let from = section.require("from", "from = \"1 GB\"", problems, section::quantity);
        let amount = section.require("price", "price = \"0.005\"", problems, decimal);
        let per = section.get("per", problems, section::quantity);
        let block = section.get("block", problems, section::quantity);
        Some(Self { from: from?, amount: amount?, per, block })
    }

    fn price(&self, kind: UnitKind, own: (u64, u64), problems: &mut Problems<'_>) -> Option<(u64, Price)> {
        let from = Some(self.from.clone());
        for (key, field) in [("from", &from), ("per", &self.per), ("block", &self.block)] {
            same_kind(key, field, kind, problems);
        }
        let units = |field: &Option<Field<(UnitKind, u64)>>, own| field.as_ref().map_or(own, |field| field.value.1);
        let made = Price::new(kind, self.amount.value, units(&self.per, own.0), units(&self.block, own.1), Money::ZERO);
        let price = made.map_err(|error| problems.add(&self.amount.span, error.to_string())).ok()?;
        Some((self.from.value.1, price))
    }
}

/// A quantity of a price counts what `per` counts.
fn same_kind(key: &str, field: &Option<Field<(UnitKind, u64)>>, kind: UnitKind, problems: &mut Problems<'_>) {
    if let Some(field) = field.as_ref().filter(|field| field.value.0 != kind) {
        let other = field.value.0;
        problems.add(&field.span, format!("`{key}` counts {other} and `per` counts {kind}: they must be the same"));
    }
}

/// Over what tiers are counted; `None` is a session.
fn period(value: &DeValue<'_>) -> Result<Option<Period>, String> {
    match section::text(value)? {
        "session" => Ok(None),
        "day" => Ok(Some(Period::Day)),
        "week" => Ok(Some(Period::Week)),
        "cycle" => Ok(Some(Period::Cycle)),
        _ => Err("write \"session\", \"day\", \"week\" or \"cycle\"".into()),
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
