//! What a charge goes by beside its price: read off the counters before it is debited.

use std::sync::Arc;

use super::{Allocation, Ledger, Place};
use crate::{
    charging::{Facts, LimitFact, Measure, rate::Rate},
    units::Money,
};

impl Ledger<'_> {
    /// What an allocation goes by, before it is debited; `None` for a plain price.
    pub(in crate::charging) fn facts(&self, rate: &Rate<'_>, allocation: &Allocation) -> Option<Box<Facts>> {
        let side = rate.sides().next().filter(|side| side.counter.is_some() && allocation.rated > 0);
        if side.is_none() && rate.counted.is_empty() {
            return None;
        }
        let mut limits = self.caps_that_took(rate, allocation);
        for meter in rate.counted.limits.iter().filter(|meter| meter.amount != i64::MAX) {
            limits.extend(self.reached(meter.place, self.money_of(&allocation.draws), meter.amount));
        }
        if !rate.counted.shares.is_empty() {
            let (money, units) = self.drawn_from_shared(allocation);
            for share in &rate.counted.shares {
                let added = if share.measure == Measure::Money { money } else { units };
                limits.extend(self.reached(share.meter.place, added, share.meter.amount));
            }
        }
        let facts = Facts { counted: side.map(|side| side.rated), limits, ..Facts::default() };
        facts.or_none()
    }

    fn caps_that_took(&self, rate: &Rate<'_>, allocation: &Allocation) -> Vec<LimitFact> {
        let mut took = Vec::new();
        if rate.counted.caps.is_empty() {
            return took;
        }
        let mut reaching = rate.price(allocation.rated).unwrap_or(Money::ZERO);
        for cap in &rate.counted.caps {
            let charged = cap.charge(reaching);
            if let Some(place) = cap.place.filter(|_| charged != reaching) {
                took.push(LimitFact { part: Some(cap.part), ..self.limit(place, reaching.micros(), cap.amount) });
            }
            reaching = charged;
        }
        took
    }

    /// A limit that something was counted in, if it has come to its amount.
    fn reached(&self, place: Place, added: i64, amount: i64) -> Option<LimitFact> {
        let fact = self.limit(place, added, amount);
        (added > 0 && fact.used.saturating_add(added) >= amount).then_some(fact)
    }

    fn limit(&self, place: Place, added: i64, amount: i64) -> LimitFact {
        let (used, _) = self.counted(place);
        let counter = &self.tally(place).counter;
        let (name, member, measure) = (Arc::clone(&counter.name), counter.member, counter.measure);
        LimitFact { name, member, measure, used, added, amount, part: None }
    }
}
