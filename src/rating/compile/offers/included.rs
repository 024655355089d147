//! The allowances in a product: names, or tables that say what rolls over.

use std::{collections::BTreeMap, sync::Arc};

use toml::de::DeValue;

use super::super::{
    names::Names,
    section::{self, Field, Section},
};
use crate::rating::{
    offer::{Included, RollOver},
    problem::{Problems, quoted},
    quantity,
    service::Allowance,
};

/// A period's start gives all of them in one event.
const INCLUDED_MAX: usize = 20;

/// Every period leaves an allowance of its own in the account until it has rolled out: two years of months.
const ROLL_OVER_PERIODS_MAX: u32 = 24;

/// Reads the `allowances` of a product, which `renews` or is bought once.
pub(super) fn allowances<'a>(
    section: &mut Section<'a>,
    allowances: &BTreeMap<&str, Arc<Allowance>>,
    names: &Names<'a>,
    renews: bool,
    problems: &mut Problems<'_>,
) -> Vec<Included> {
    let items = section.items("allowances", problems);
    if let Some((_, span)) = items.get(INCLUDED_MAX) {
        problems.add(span, format!("a product has at most {INCLUDED_MAX} allowances"));
        return Vec::new();
    }
    let mut included: Vec<Included> = Vec::new();
    for (value, span) in items {
        let (name, roll_over) = match value {
            DeValue::Table(table) => {
                let mut item = Section::new("`allowances`", table, span);
                let name = item.require("allowance", "allowance = \"data-1gb\"", problems, section::name);
                let roll_over = RollOverText::read(&mut item, renews, problems);
                item.finish(problems);
                (name, roll_over)
            }
            _ => match section::name(value) {
                Ok(name) => (Some(Field { value: name, span }), None),
                Err(right) => {
                    let right =
                        format!("{right}; or a table such as {{ allowance = \"data-1gb\", roll_over = \"1 GB\" }}");
                    problems.add(&span, format!("in `allowances`: {right}"));
                    (None, None)
                }
            },
        };
        let Some(name) = name.filter(|name| names.find(name, problems)) else { continue };
        let Some(allowance) = allowances.get(name.value) else { continue };
        if included.iter().any(|other| *other.allowance.name == *name.value) {
            problems.add(&name.span, format!("allowance {} is named twice", quoted(name.value)));
        }
        let roll_over = roll_over.and_then(|text| text.of(allowance, problems));
        included.push(Included { allowance: Arc::clone(allowance), roll_over });
    }
    included
}

/// What a table says of rolling over.
struct RollOverText {
    most: Field<(crate::units::UnitKind, u64)>,
    periods: u8,
}

impl RollOverText {
    fn read(item: &mut Section<'_>, renews: bool, problems: &mut Problems<'_>) -> Option<Self> {
        let most = item.get("roll_over", problems, section::quantity);
        let periods = item.get("roll_over_periods", problems, section::number(1, ROLL_OVER_PERIODS_MAX));
        if item.has("roll_over") && !renews {
            let right = "give the product a `period`, at whose end something is left";
            problems.add(
                &item.key_span("roll_over"),
                format!("nothing rolls over in a product that is bought once: {right}"),
            );
        }
        if item.has("roll_over_periods") && !item.has("roll_over") {
            let right = "say how much does, such as `roll_over = \"5 GB\"`";
            problems.add(&item.key_span("roll_over_periods"), format!("nothing rolls over: {right}"));
        }
        // At most ROLL_OVER_PERIODS_MAX.
        Some(Self { most: most?, periods: periods.map_or(1, |field| field.value as u8) })
    }

    fn of(self, allowance: &Allowance, problems: &mut Problems<'_>) -> Option<RollOver> {
        let (name, (kind, most)) = (quoted(&allowance.name), self.most.value);
        if kind != allowance.kind {
            let message = format!("allowance {name} has {}, and `roll_over` counts {kind}", allowance.kind);
            problems.add(&self.most.span, message);
            return None;
        }
        if let Some(secs) = allowance.validity_secs {
            let validity = quantity::write(crate::units::UnitKind::Seconds, secs);
            let right = "only what ends with the period rolls over: name an allowance without `validity`";
            problems.add(&self.most.span, format!("allowance {name} has a validity of its own, {validity}: {right}"));
        }
        Some(RollOver { most, periods: self.periods })
    }
}
