//! What was used is charged.

use std::sync::Arc;

use super::{Interrogator, grant::name_of, line::Line};
use crate::{
    charging::{
        Measure, Step,
        quota::{Demand, Tariff},
        rate::{Priced, Rate},
    },
    ids::QuotaKey,
    units::UnitKind,
};

impl<'a> Interrogator<'a> {
    /// Debits what a line reports. Every line gets a step here, in order; one whose usage lies on both sides of a change of
    /// tariff gets one for each price.
    pub(super) fn debit(&mut self, line: &Line<'a>) {
        match line.billed {
            Some(Tariff::Service(service)) if self.was_emergency || !service.tariffs().is_empty() => {
                self.debit_by_tariff(line, service);
            }
            Some(Tariff::Service(service)) => self.charge(line, line.amount(), Priced::by(service, None)),
            Some(Tariff::Money) | None => self.charge(line, line.amount(), Priced::free()),
        }
    }

    /// After all debits: what is granted by another version of the catalog than usage was charged by has a step of its own.
    pub(super) fn change_version(&mut self, line: &Line<'a>) {
        if line.billed_by.number != self.version && (line.want.is_some() || self.asks_silently(line.key)) {
            let (service, measure) = (name_of(line.tariff), measure_of(line.tariff));
            self.steps.push(Step { key: line.quota, service, measure, ..Step::default() });
        }
    }

    /// Charges a number of units by a price.
    pub(super) fn charge(&mut self, line: &Line<'a>, used: u64, priced: Priced<'a>) {
        let measure = line.measure();
        let mut step = Step {
            key: line.quota,
            service: name_of(line.billed),
            measure,
            used,
            tariff: priced.name.filter(|_| used > 0).cloned(),
            catalog: if line.billed_by.number == self.version { 0 } else { line.billed_by.number },
            ..Step::default()
        };
        if let (Some(tariff), true) = (line.billed, used > 0) {
            let rate = Rate::new(tariff, priced.price, self.rated(line.quota, priced.name, measure));
            self.take_from_pool(line, rate, used);
            match self.ledger.allocate(rate, used, Demand::All) {
                Ok(allocation) => {
                    self.ledger.debit(&allocation);
                    step.rated = allocation.rated;
                    step.charged = allocation.cost;
                    step.debits = allocation.draws;
                }
                // More than money can count: no meter reads that. It is recorded, with the service left empty as a mark.
                Err(_) => step.service = "".into(),
            }
        }
        self.steps.push(step);
    }

    /// Units of a quota charged to money so far by a tariff (`None` = the service's own price), this request's included.
    /// What was counted in another measure is no part of the price.
    pub(super) fn rated(&self, key: QuotaKey, tariff: Option<&Arc<str>>, measure: Measure) -> u64 {
        let before = self.quota(key).filter(|quota| quota.measure == measure).map_or(0, |quota| quota.rated_as(tariff));
        let same = |step: &&Step| step.key == key && step.measure == measure && step.tariff.as_ref() == tariff;
        self.steps.iter().filter(same).fold(before, |sum, step| sum.saturating_add(step.rated))
    }
}

impl Line<'_> {
    /// What its usage counts.
    fn measure(&self) -> Measure {
        measure_of(self.billed)
    }

    /// All that is reported, in what the quota counts.
    fn amount(&self) -> u64 {
        let split = self.split.unwrap_or_default();
        let parts = [self.used, split.before, split.after, split.either];
        let measure = self.measure();
        parts.iter().flatten().fold(0u64, |sum, used| sum.saturating_add(used.amount(measure)))
    }
}

fn measure_of(tariff: Option<Tariff<'_>>) -> Measure {
    tariff.map_or(Measure::Units(UnitKind::Octets), |tariff| tariff.measure())
}
