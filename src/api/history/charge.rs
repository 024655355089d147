//! A charge that is made of parts, in a sentence or two: tariffs, discounts and caps by name. All of it, line by line, is
//! what `ExplainCharges` tells.

use crate::{
    charging::{Breakdown, Given, Measure, Part, Rest},
    rating::{BasisPoints, Catalog, Catalogs, units_text},
    units::{Currency, Money, UnitKind},
};

/// Parts that are told one after the other; of more, only what they come to.
const TOLD_MAX: usize = 3;

/// What a charge is made of; `None` = a part has nothing to be told by.
pub(super) fn sentence(
    breakdown: &Breakdown,
    charged: Money,
    currency: Currency,
    catalogs: &Catalogs,
) -> Option<String> {
    let parts = &breakdown.parts;
    if breakdown.rest != Rest::default() || parts.is_empty() {
        return None;
    }
    if parts.len() > TOLD_MAX {
        let names = names(parts);
        let by = if names.is_empty() { String::new() } else { format!(", with {}", names.join(", ")) };
        let (service, count) = (&parts.first()?.service, parts.len());
        return Some(format!("{service}: charged {charged} {currency} in {count} parts{by}"));
    }
    let clauses = parts.iter().map(|part| clause(part, currency, &catalogs.get(part.catalog)?.catalog));
    let clauses: Option<Vec<String>> = clauses.collect();
    Some(format!("{}: {}", parts.first()?.service, clauses?.join("; ")))
}

/// The names of what changed prices.
fn names(parts: &[Part]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for part in parts {
        part.tariff.iter().for_each(|tariff| add(format!("tariff {tariff}")));
        part.discount.iter().for_each(|given| add(format!("discount {}", given.name)));
        for limit in &part.limits {
            add(format!("{} {}", if limit.part.is_some() { "cap" } else { "limit" }, limit.name));
        }
    }
    names
}

fn clause(part: &Part, currency: Currency, catalog: &Catalog) -> Option<String> {
    let Measure::Units(kind) = part.measure else {
        return Some(format!("rated by the network element{}: {} {currency}", limits(part), part.charged));
    };
    let allowance = units_text(kind, part.from_allowance);
    let ahead = match (part.from_allowance, part.rated) {
        (0, _) => String::new(),
        (_, 0) => return Some(format!("{allowance}, all paid by an allowance")),
        _ => format!("{allowance} paid by an allowance, and "),
    };
    if part.rated == 0 {
        let why = if part.emergency { ", an emergency" } else { "" };
        let discount = part.discount.as_ref().map_or_else(String::new, |given| format!(", by discount {}", given.name));
        return Some(format!("{}, free of charge{why}{discount}", units_text(kind, part.used)));
    }
    let after = part.from.checked_add(part.rated)?;
    let keep = part.discount.as_ref().map_or(BasisPoints::WHOLE, |given: &Given| BasisPoints::less(given.basis_points));
    let price = priced(part, kind, catalog)?.explain_at(part.from, after, keep, currency);
    let tariff = part.tariff.as_ref().map_or_else(String::new, |tariff| format!(", by tariff {tariff}"));
    let discount = part.discount.as_ref().map_or_else(String::new, |given| format!(", with discount {}", given.name));
    let caps = part.limits.iter().any(|limit| limit.part.is_some());
    let left = if caps { format!(", charged {} {currency}", part.charged) } else { String::new() };
    Some(format!("{ahead}{price}{tariff}{discount}{}{left}", limits(part)))
}

/// Caps and limits by name.
fn limits(part: &Part) -> String {
    let text = part.limits.iter().map(|limit| match limit.part {
        Some(_) => format!(", under cap {}", limit.name),
        None => format!(", limit {} reached", limit.name),
    });
    text.collect()
}

fn priced<'c>(part: &Part, kind: UnitKind, catalog: &'c Catalog) -> Option<&'c crate::rating::Price> {
    let service = catalog.service_by_name(&part.service).filter(|service| service.kind == kind)?;
    let Some(position) = part.tariff.as_deref() else { return Some(&service.price) };
    let (name, uplink) = position.strip_suffix("/up").map_or((position, false), |name| (name, true));
    if name.is_empty() {
        return service.uplink_price();
    }
    let tariff = service.tariff_by_name(name)?;
    if uplink { tariff.uplink_price() } else { Some(&tariff.price) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        charging::{LimitFact, MemberNo},
        rating::{Publication, RunningSessions, Version},
        time::Timestamp,
    };

    const TEXT: &str = "currency = \"EUR\"\n[[context]]\nname = \"data\"\nservice_context_id = \"32251@3gpp.org\"\n\
         [[service]]\nname = \"internet\"\ncontext = \"data\"\nrating_group = 1\nprice = \"0.01\"\nper = \"1 MB\"\n";

    fn catalogs() -> Catalogs {
        let publication = Publication {
            number: 1,
            text: TEXT.into(),
            published: Timestamp::EPOCH,
            activates: Timestamp::EPOCH,
            sessions: RunningSessions::Finish,
            by: "test".into(),
            reason: "".into(),
            request_id: "".into(),
            withdrawn: None,
        };
        Catalogs::new(Version::compile(publication).unwrap_or_else(|problems| panic!("{problems:?}")))
    }

    fn told(parts: Vec<Part>) -> Option<String> {
        let catalogs = catalogs();
        let charged = parts.iter().fold(Money::ZERO, |sum, part| sum.saturating_add(part.charged));
        let currency = catalogs.at(Timestamp::EPOCH).catalog.currency();
        sentence(&Breakdown { parts, ..Breakdown::default() }, charged, currency, &catalogs)
    }

    fn part(from: u64, units: u64, micros: i64) -> Part {
        Part {
            catalog: 1,
            service: "internet".into(),
            from,
            used: units,
            rated: units,
            charged: Money::from_micros(micros),
            ..Part::default()
        }
    }

    #[test]
    fn discounts_and_caps_are_told_by_name() {
        let given = Given { name: "student".into(), basis_points: 2_000 };
        let cap = LimitFact {
            name: "daily".into(),
            member: MemberNo::SHARED,
            measure: Measure::Money,
            used: 0,
            added: 40_000,
            amount: 30_000,
            part: Some(0),
        };
        let discounted = Part { discount: Some(given), ..part(0, 5_000_000, 40_000) };
        let capped = Part { limits: vec![cap], charged: Money::from_micros(30_000), ..discounted.clone() };
        let price = "internet: 5,000,000 octets = 5 blocks of 1 MB at 0.01 EUR per MB, less 20 %: 0.04 EUR";
        assert_eq!(told(vec![discounted]), Some(format!("{price}, with discount student")));
        let under = format!("{price}, with discount student, under cap daily, charged 0.03 EUR");
        assert_eq!(told(vec![capped.clone()]), Some(under));
        let many = told(vec![capped, part(0, 1, 10_000), part(7, 1, 10_000), part(9, 1, 10_000)]);
        let all = "internet: charged 0.06 EUR in 4 parts, with discount student, cap daily";
        assert_eq!(many.as_deref(), Some(all));
    }

    #[test]
    fn what_no_kept_version_prices_is_not_told() {
        assert_eq!(told(vec![Part { catalog: 2, ..part(0, 1, 10_000) }]), None);
        assert_eq!(told(vec![Part { tariff: Some(Arc::from("night")), ..part(0, 1, 10_000) }]), None);
    }
}
