//! What was used once, as it is asked for and reported again.

use std::sync::Arc;

use crate::{
    charging::{ClientNeeds, Measure, ServiceRequest, Used, Verdict, Want, WantedUnits},
    ids::QuotaKey,
    rating::{Allowance, Catalog, Service},
    store::what_if::usage::{Given, Usage, Use},
    units::{Money, UnitKind, Units},
};

/// What is not granted by a catalog that has no service for it.
const NO_SERVICE: &str = "";

/// One of its services.
pub(super) struct Line<'u> {
    pub(super) used: &'u Use,
    pub(super) request: ServiceRequest,
    /// The service that it is charged as.
    pub(super) service: Arc<str>,
    /// Not reported yet.
    pub(super) left: u64,
    pub(super) granted: u64,
    /// Why there is no price for it.
    pub(super) unrated: Option<String>,
}

/// The services of a use that used anything.
pub(super) fn lines<'u>(catalog: &Catalog, usage: &'u Usage) -> Vec<Line<'u>> {
    let used = usage.uses.iter().filter(|used| used.used > 0);
    let line = |(further, used): (u32, &'u Use)| Line {
        used,
        // Keys that differ in what a record does not have are told apart all the same.
        request: ServiceRequest { key: QuotaKey { further, ..used.key }, ..ServiceRequest::default() },
        service: match used.measure {
            Measure::Money => "money".into(),
            Measure::Units(_) => {
                service_of(catalog, usage, used).map_or_else(|| NO_SERVICE.into(), |it| Arc::clone(&it.name))
            }
        },
        left: used.used,
        granted: 0,
        unrated: None,
    };
    (0..).zip(used).map(line).collect()
}

/// A client that gets what it asks for.
pub(super) fn exact() -> ClientNeeds {
    ClientNeeds { exact: true, ..ClientNeeds::default() }
}

pub(super) fn want_of(measure: Measure, amount: u64) -> Want {
    match measure {
        Measure::Units(kind) => Want::Units(WantedUnits::from(Units { kind, amount })),
        Measure::Money => Want::Money(money_of(amount)),
    }
}

/// A report of an amount, of `left` that were not reported yet: octets from the user come first.
pub(super) fn used_of(used: &Use, left: u64, amount: u64) -> Used {
    let mut report = Used::default();
    match used.measure {
        Measure::Units(UnitKind::Octets) => {
            let reported = used.used - left;
            report.octets = amount;
            report.input = used.uplink.saturating_sub(reported).min(amount);
        }
        Measure::Units(UnitKind::Seconds) => report.seconds = amount,
        Measure::Units(UnitKind::Events) => report.events = amount,
        Measure::Money => report.money = money_of(amount),
    }
    report
}

fn money_of(micros: u64) -> Money {
    Money::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The terms of an allowance are the catalog's, if it has one of this name; how much it was is as recorded.
pub(super) fn allowance_of(catalog: &Catalog, given: &Given, kind: UnitKind) -> Allowance {
    let known = catalog.allowance(&given.name).filter(|known| known.kind == kind).cloned();
    let plain = || Allowance {
        name: Arc::clone(&given.name),
        kind,
        amount: 1,
        validity_secs: None,
        priority: 0,
        rating_groups: Vec::new(),
        services: Vec::new(),
    };
    Allowance { amount: u64::try_from(given.amount).unwrap_or(0), ..known.unwrap_or_else(plain) }
}

/// Why something has no price.
pub(super) fn why(usage: &Usage, line: Option<&Line<'_>>, verdict: Verdict) -> String {
    let key = |line: &Line<'_>| {
        let part =
            |name: &str, number: Option<u32>| number.map(|number| format!(" {name} {number}")).unwrap_or_default();
        let key = line.request.key;
        part("rating group", key.rating_group) + &part("service identifier", key.service_identifier)
    };
    match (line, verdict) {
        _ if usage.context.is_empty() => "the record is older than Service-Context-Ids in records of events".into(),
        (None, _) => format!("no context {}", usage.context),
        (Some(line), Verdict::UnitNotRated) => {
            let Measure::Units(kind) = line.used.measure else { return format!("money, in context {}", usage.context) };
            format!("service {} does not count {}", line.service, kind.name())
        }
        (Some(_), Verdict::MoneyNotRated) => format!("money, in context {}", usage.context),
        (Some(line), _) if line.service.is_empty() => {
            format!("no service for{} in context {}", key(line), usage.context)
        }
        (Some(line), _) => format!("service {} cannot price so many units", line.service),
    }
}

pub(super) fn service_of<'c>(catalog: &'c Catalog, usage: &Usage, used: &Use) -> Option<&'c Service> {
    let context = catalog.context(&usage.context)?;
    catalog.service(context, used.key.rating_group, used.key.service_identifier)
}
