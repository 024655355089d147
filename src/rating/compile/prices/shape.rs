//! What a price has beside its own figures: a minimum, free units, tiers, and what these are counted by.

use std::sync::Arc;

use rust_decimal::Decimal;
use toml::de::{DeArray, DeValue};

use super::{Own, decimal, period_word, same_kind};
use crate::{
    rating::{
        compile::section::{self, Field, Section},
        offer::Period,
        price::{Price, PriceError, TIERS_MAX, TierBasis},
        problem::{Problems, Span},
    },
    units::{Money, UnitKind},
};

/// What is needed to write a tier.
const TIERS_EXPECTED: &str =
    "write a list such as `tiers = [{ from = \"1 GB\", price = \"0.005\" }, { from = \"10 GB\", price = \"0.002\" }]`";

/// What a price has beside its own figures.
pub(super) struct ShapeText {
    minimum: Option<Field<Money>>,
    pub(super) free_units: Option<Field<(UnitKind, u64)>>,
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
    pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Self {
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
    pub(super) fn basis(&self, service: &str, own: &Own, problems: &mut Problems<'_>) -> TierBasis {
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

    pub(super) fn counter_span(&self, section: &Section<'_>) -> Span {
        let period = || self.period.as_ref().map(|field| field.span.clone());
        self.counter.as_ref().map(|field| field.span.clone()).or_else(period).unwrap_or(section.span.clone())
    }

    /// Where the tiers begin, and their prices; `None` only with a problem noted.
    pub(super) fn tiers(
        &self,
        kind: UnitKind,
        own: (u64, u64),
        problems: &mut Problems<'_>,
    ) -> Option<Vec<(u64, Price)>> {
        let prices: Vec<_> = self.tiers.iter().map(|tier| tier.price(kind, own, problems)).collect();
        prices.into_iter().collect::<Option<_>>().filter(|_| self.whole)
    }

    pub(super) fn price(
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
            same_kind(key, field, ("the service", kind), problems);
        }
        let units = |field: &Option<Field<(UnitKind, u64)>>, own| field.as_ref().map_or(own, |field| field.value.1);
        let made = Price::new(kind, self.amount.value, units(&self.per, own.0), units(&self.block, own.1), Money::ZERO);
        let price = made.map_err(|error| problems.add(&self.amount.span, error.to_string())).ok()?;
        Some((self.from.value.1, price))
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
