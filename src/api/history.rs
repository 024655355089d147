//! History lines, each with a sentence that explains it.

mod charge;

use super::{
    convert::{millis, money_of, units_of},
    v1::{self, history_entry::Kind},
};
use crate::{
    charging::{Detail, FeeKind, HistoryKind, HistoryLine},
    rating::{Catalog, Catalogs, TierBasis, Version, units_text},
    time::Timestamp,
    units::{Currency, Money, UnitKind, Units},
};

/// A line as it is told; `open` = the session still runs.
pub(super) fn entry(
    line: &HistoryLine<'_>,
    open: bool,
    currency: Currency,
    (catalogs, now): (&Catalogs, Timestamp),
) -> v1::HistoryEntry {
    // What is no longer kept, or from before there were numbers, is explained by what is in force.
    let version = catalogs.get(line.catalog).unwrap_or_else(|| catalogs.at(now));
    let kind = match line.kind {
        HistoryKind::Usage => Kind::Usage,
        HistoryKind::TopUp => Kind::TopUp,
        HistoryKind::Adjustment => Kind::Adjustment,
        HistoryKind::Allowance => Kind::Allowance,
        HistoryKind::Opening => Kind::Opening,
        HistoryKind::Refund => Kind::Refund,
        HistoryKind::Fee => Kind::Fee,
        HistoryKind::Gift => Kind::Gift,
        HistoryKind::RollOver => Kind::RollOver,
        HistoryKind::Expired => Kind::Expired,
        HistoryKind::TransferOut => Kind::TransferOut,
        HistoryKind::TransferIn => Kind::TransferIn,
        HistoryKind::Voucher => Kind::Voucher,
        HistoryKind::Change => Kind::Change,
    };
    let is_adjustment = line.kind == HistoryKind::Adjustment;
    let (service, reason) = if is_adjustment { ("", &*line.service) } else { (&*line.service, "") };
    v1::HistoryEntry {
        at_ms: millis(line.at),
        kind: kind.into(),
        amount: Some(money_of(line.amount, currency)),
        units: line.unit_kind.map(|kind| units_of(Units { kind, amount: line.units })),
        units_from_allowance: line.units_from_allowance,
        service: service.to_owned(),
        rating_group: line.rating_group,
        session_id: line.session_id.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        open,
        explanation: explain(line, open, currency, (catalogs, version)),
        catalog_version: line.catalog,
        request_id: line.request_id.to_string(),
        reason: reason.to_owned(),
    }
}

/// One or two sentences: what happened, at what price, and the arithmetic.
fn explain(
    line: &HistoryLine<'_>,
    open: bool,
    currency: Currency,
    (catalogs, version): (&Catalogs, &Version),
) -> String {
    let money = Said(line.amount, currency);
    match line.kind {
        HistoryKind::Opening => format!("Opening balance of {money}."),
        HistoryKind::TopUp => format!("Top-up of {money}."),
        HistoryKind::Adjustment if line.amount.is_negative() => {
            format!("{} taken by an operator: {}.", Said(-line.amount, currency), line.service)
        }
        HistoryKind::Adjustment => format!("{money} given by an operator: {}.", line.service),
        HistoryKind::Allowance => {
            let units = line.unit_kind.map(|kind| units_text(kind, line.units));
            let units = units.unwrap_or_else(|| "units".to_owned());
            format!("Allowance {} of {units} given.", line.service)
        }
        HistoryKind::Refund => format!("{money} given back for {}.", line.service),
        HistoryKind::Fee => {
            let part = match line.read_detail() {
                Some(Detail::Fee(FeeKind::Setup, _)) => ", to set it up".to_owned(),
                Some(Detail::Fee(_, period)) if period.days < period.of => {
                    format!(", for {} of {} days", period.days, period.of)
                }
                _ => String::new(),
            };
            format!("Fee of {} for {}{part}.", Said(-line.amount, currency), line.service)
        }
        HistoryKind::Gift => format!("{} given: {}.", moved(line, currency), line.service),
        HistoryKind::RollOver => format!("{} of {} gone on into the next period.", moved(line, currency), line.service),
        HistoryKind::Expired => format!("{} of {} expired.", moved(line, currency), line.service),
        HistoryKind::TransferOut => format!("{} sent to {}.", moved(line, currency), line.service),
        HistoryKind::TransferIn => format!("{} came from {}.", moved(line, currency), line.service),
        HistoryKind::Voucher => format!("Voucher {} redeemed: {}.", line.service, moved(line, currency)),
        HistoryKind::Change => line.service.to_string(),
        HistoryKind::Usage => {
            let so_far = if open { " The session still runs: this is what it has used so far." } else { "" };
            let by = match line.catalog {
                0 => String::new(),
                number if number == version.number() => format!(" Catalog version {number}."),
                number => {
                    let shown = version.number();
                    format!(
                        " Catalog version {number}, which is no longer kept: the price shown is of version {shown}."
                    )
                }
            };
            let parts = match line.read_detail() {
                Some(Detail::Charge(parts)) => charge::sentence(&parts, -line.amount, currency, catalogs),
                _ => None,
            };
            let told = parts.map(|told| format!("{told}."));
            let told = told.unwrap_or_else(|| explain_usage(line, currency, &version.catalog));
            format!("{told}{by}{so_far}")
        }
    }
}

/// What moved, without its sign.
fn moved(line: &HistoryLine<'_>, currency: Currency) -> String {
    match line.unit_kind {
        Some(kind) => units_text(kind, line.units),
        None if line.amount.is_negative() => Said(-line.amount, currency).to_string(),
        None => Said(line.amount, currency).to_string(),
    }
}

fn explain_usage(line: &HistoryLine<'_>, currency: Currency, catalog: &Catalog) -> String {
    let service = &line.service;
    let charged = Said(-line.amount, currency);
    let Some(kind) = line.unit_kind else {
        return format!("The network element rated this itself: {charged}.");
    };
    let used = units_text(kind, line.units);
    if service.is_empty() {
        return format!("{used} of rating group {}, which has no price: recorded, not charged.", line.rating_group);
    }
    if line.amount.is_positive() {
        return format!("{} given back for {used} of {service}.", Said(line.amount, currency));
    }
    let rated = line.units.saturating_sub(line.units_from_allowance);
    let allowance = units_text(kind, line.units_from_allowance);
    let paid_ahead = match (line.units_from_allowance, rated) {
        (0, _) => String::new(),
        (_, 0) if line.amount == Money::ZERO => return format!("{service}: {allowance}, all paid by an allowance."),
        _ => format!("{allowance} paid by an allowance, and "),
    };
    format!("{service}: {paid_ahead}{}.", explain_rated(line, kind, rated, currency, catalog))
}

/// The part that was charged to money. The arithmetic is told only if it gives what was charged.
fn explain_rated(line: &HistoryLine<'_>, kind: UnitKind, rated: u64, currency: Currency, catalog: &Catalog) -> String {
    let units = units_text(kind, rated);
    let charged = Said(-line.amount, currency);
    let Some(service) = catalog.service_by_name(&line.service).filter(|service| service.kind == kind) else {
        return format!("{units} charged {charged} by a catalog that has been replaced: this one has no such service");
    };
    // Tiers that go on from session to session: where this one stood in them, the line does not say.
    if service.price.tier_basis() != &TierBasis::Session {
        return format!("{units} charged {charged}, by tiers that count more than this session");
    }
    match service.price.cost(rated) {
        Ok(cost) if cost == -line.amount => service.price.explain(0, rated, currency),
        _ if !service.tariffs().is_empty() => {
            // By one tariff alone, or by several: then each has counted its own part.
            let alone = service.tariffs().iter().find(|tariff| tariff.price.cost(rated) == Ok(-line.amount));
            match alone {
                Some(tariff) => format!("{}, by tariff {}", tariff.price.explain(0, rated, currency), tariff.name),
                None => format!("{units} charged {charged} by the tariffs that applied when they were used"),
            }
        }
        Ok(cost) => {
            let now = Said(cost, currency);
            format!(
                "{units} charged {charged} at the prices of that time; they have changed, by this one it would be {now}"
            )
        }
        Err(overflow) => format!("{units} charged {charged} at the price of that time; now {overflow}"),
    }
}

/// An amount with its currency.
struct Said(Money, Currency);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_charge_by_tariffs_is_explained_by_them() {
        let text = "currency = \"EUR\"\n[[context]]\nname = \"data\"\nservice_context_id = \"32251@3gpp.org\"\n\
                    [[service]]\nname = \"internet\"\ncontext = \"data\"\nrating_group = 1\nprice = \"0.01\"\nper = \"1 MB\"\n\
                    [[tariff]]\nservice = \"internet\"\nname = \"night\"\nfrom = \"22:00\"\nprice = \"0.005\"\nper = \"1 MB\"\n";
        let catalog = Catalog::from_toml(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let told = |charged: &str| {
            let line = HistoryLine {
                units: 2_000_000,
                unit_kind: Some(UnitKind::Octets),
                service: Cow::Borrowed("internet"),
                ..HistoryLine::money(Timestamp::EPOCH, HistoryKind::Usage, -charged.parse::<Money>().unwrap())
            };
            explain_usage(&line, catalog.currency(), &catalog)
        };
        assert_eq!(told("0.02"), "internet: 2,000,000 octets = 2 blocks of 1 MB at 0.01 EUR per MB: 0.02 EUR.");
        let night = "internet: 2,000,000 octets = 2 blocks of 1 MB at 0.005 EUR per MB: 0.01 EUR, by tariff night.";
        assert_eq!(told("0.01"), night);
        let both = "internet: 2,000,000 octets charged 0.015 EUR by the tariffs that applied when they were used.";
        assert_eq!(told("0.015"), both);
    }
}
