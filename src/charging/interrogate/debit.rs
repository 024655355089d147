//! What was used is charged.

use super::{Interrogator, grant::name_of, line::Line};
use crate::{
    charging::{Measure, Step, quota::Demand},
    ids::QuotaKey,
    units::UnitKind,
};

impl<'a> Interrogator<'a> {
    /// Debits what a line reports. Every line gets a step here, in order.
    pub(super) fn debit(&mut self, line: &Line<'a>) {
        let measure = line.tariff.map_or(Measure::Units(UnitKind::Octets), |tariff| tariff.measure());
        let mut step = Step {
            key: line.quota,
            service: name_of(line.tariff),
            measure,
            used: line.used.map_or(0, |used| used.amount(measure)),
            ..Step::default()
        };
        if let (Some(tariff), true) = (line.tariff, step.used > 0) {
            let rated = self.rated(line.quota, measure);
            self.take_from_pool(line, tariff, rated, step.used);
            match self.ledger.allocate(tariff, rated, step.used, Demand::All) {
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

    /// Units of a quota charged to money so far, this request's included. What was counted in another measure is no part
    /// of the price.
    pub(super) fn rated(&self, key: QuotaKey, measure: Measure) -> u64 {
        let before = self.quota(key).filter(|quota| quota.measure == measure).map_or(0, |quota| quota.rated);
        let steps = self.steps.iter().filter(|step| step.key == key && step.measure == measure);
        steps.fold(before, |sum, step| sum.saturating_add(step.rated))
    }
}
