//! What was used is charged.

use std::sync::Arc;

use super::{Interrogator, grant::name_of, line::Line, member_of};
use crate::{
    charging::{
        Facts, Given, Measure, MemberNo, Step, Used,
        contract::{Contract, Purpose},
        quota::{Allocation, Demand, Tariff},
        rate::{Priced, Rate},
    },
    ids::QuotaKey,
    units::UnitKind,
};

impl<'a> Interrogator<'a> {
    /// Debits what a line reports. Every line gets a step here, in order; one whose usage lies on both sides of a change of
    /// tariff gets one for each price.
    pub(super) fn debit(&mut self, line: &Line<'a>) {
        self.act_for(self.granted_to(line.quota));
        match line.billed {
            Some(Tariff::Service(service)) if self.was_emergency || !service.tariffs().is_empty() => {
                self.debit_by_tariff(line, service);
            }
            Some(Tariff::Service(service)) => self.charge(line, line.total(), Priced::by(service, None)),
            Some(Tariff::Money) | None => self.charge(line, line.total(), Priced::free()),
        }
    }

    /// What a session was granted before it became a member's is charged without that member's terms: it was granted so.
    fn granted_to(&self, key: QuotaKey) -> MemberNo {
        match (self.session, self.quota(key).filter(|quota| quota.granted > 0)) {
            (Some(_), Some(quota)) if quota.without_terms => MemberNo::SHARED,
            (Some(session), Some(_)) => session.member,
            _ => member_of(self.session, self.request),
        }
    }

    /// From here on a member pays, by its terms.
    pub(super) fn act_for(&mut self, member: MemberNo) {
        if self.member != member {
            self.ledger.turn_to(member);
            self.contract = Contract::of(self.catalog, self.account, member, self.moment);
            self.member = member;
        }
    }

    /// Charges usage by a price; octets from the user by that for them, if there is one.
    pub(super) fn charge(&mut self, line: &Line<'a>, used: Used, priced: Priced<'a>) {
        let units = used.amount(line.measure());
        let mut rest = units;
        if let Some(uplink) = priced.uplink() {
            // A client may say more of one direction than of both.
            let up = used.input.min(units);
            rest -= up;
            if up > 0 {
                self.charge_units(line, up, uplink);
            }
        }
        if rest > 0 || units == 0 {
            self.charge_units(line, rest, priced);
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
    pub(super) fn charge_units(&mut self, line: &Line<'a>, used: u64, priced: Priced<'a>) {
        let measure = line.measure();
        let mut step = Step {
            key: line.quota,
            service: name_of(line.billed),
            measure,
            used,
            tariff: priced.position().filter(|_| used > 0),
            catalog: if line.billed_by.number == self.version { 0 } else { line.billed_by.number },
            ..Step::default()
        };
        if let (Some(tariff), true) = (line.billed, used > 0) {
            let discount = self.discount_of_usage(line, tariff);
            let rate = self.rate_of_usage(line, tariff, priced, discount.as_ref());
            step.discount = discount.filter(|_| !priced.price.is_free());
            self.take_from_pool(line, &rate, used);
            match self.ledger.allocate(&rate, used, Demand::All) {
                Ok(allocation) => {
                    step.facts = self.facts(line, &rate, &allocation);
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

    /// What the charge goes by beside its price.
    fn facts(&self, line: &Line<'a>, rate: &Rate<'a>, allocation: &Allocation) -> Option<Box<Facts>> {
        match line.billed {
            Some(Tariff::Service(service)) if self.was_emergency && !service.is_free() => {
                Facts { emergency: true, ..Facts::default() }.or_none()
            }
            _ => self.ledger.facts(rate, allocation),
        }
    }

    /// How usage that is reported now is paid for.
    pub(super) fn rate_of_usage(
        &mut self,
        line: &Line<'a>,
        tariff: Tariff<'a>,
        priced: Priced<'a>,
        discount: Option<&Given>,
    ) -> Rate<'a> {
        let rate = match tariff {
            Tariff::Money => Rate::money(),
            Tariff::Service(service) => {
                let rated = self.rated(line.quota, priced.position().as_ref(), tariff.measure());
                let keep = Given::keep(discount);
                Rate::new(tariff, self.contract.used_at(&mut self.ledger, priced, service.kind, keep, rated))
            }
        };
        if rate.is_free() {
            return rate;
        }
        rate.counted_in(self.contract.counted(&mut self.ledger, tariff, Purpose::Usage))
    }

    /// What is taken off the price of usage: what was when it was granted, or without a grant, what is now.
    pub(super) fn discount_of_usage(&self, line: &Line<'a>, tariff: Tariff<'a>) -> Option<Given> {
        let Tariff::Service(service) = tariff else { return None };
        match self.quota(line.quota).filter(|quota| quota.granted > 0) {
            Some(quota) => quota.terms.as_ref()?.discount.clone(),
            None => self.contract.discount(service).map(Given::of),
        }
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
    pub(super) fn measure(&self) -> Measure {
        measure_of(self.billed)
    }

    /// All that is reported.
    pub(super) fn total(&self) -> Used {
        self.used.unwrap_or_default().plus(self.split.unwrap_or_default().total())
    }
}

fn measure_of(tariff: Option<Tariff<'_>>) -> Measure {
    tariff.map_or(Measure::Units(UnitKind::Octets), |tariff| tariff.measure())
}
