//! By which tariff a part of the usage is rated, and by which the next grant is made (spec C-60..C-68, G-42).
//!
//! What was used is rated by the terms under which it was granted; the next grant by the conditions that hold from now on.
//! Where nothing of a service's price depends on anything, none of this is looked at.

use std::sync::Arc;

use super::{Interrogator, grant::MONEY_VALIDITY_SECS, line::Line};
use crate::{
    charging::{
        Given, Measure, TariffChange, Terms, Used,
        contract::{Granted, Purpose},
        quota::Tariff,
        rate::{Priced, Rate, Side},
    },
    rating::{Attributes, BasisPoints, Indeterminate, Service},
    time::Timestamp,
};

/// Changes of tariff that are told apart within one report of continuous time; what was used after them goes by the last.
/// A report covers minutes, hours at most.
const CHANGES_MAX: usize = 64;

/// The price of the next grant, and what the client is told of its changes.
pub(super) struct Offer<'a> {
    pub(super) rate: Rate<'a>,
    /// `None` = the service's own price, and no change is near.
    pub(super) terms: Option<Arc<Terms>>,
    /// Tariff-Time-Change.
    pub(super) told: Option<Timestamp>,
    /// The grant must not be kept for longer, in seconds.
    pub(super) validity_max: u32,
}

impl<'a> Interrogator<'a> {
    /// The conditions before this request: of the grants that it reports of (spec G-42). Where there were none, its own.
    fn before(&self) -> Arc<Attributes> {
        let known = self.session.and_then(|session| session.attributes.as_ref()).or(self.attributes.as_ref());
        known.map_or_else(Default::default, Arc::clone)
    }

    /// The conditions from now on, for one quota (spec G-35).
    fn henceforth(&self, line: &Line<'a>) -> Arc<Attributes> {
        let known = self.attributes.as_ref().map_or_else(Default::default, Arc::clone);
        match line.access {
            Some(access) if known.access != Some(access) => {
                Arc::new(Attributes { access: Some(access), ..(*known).clone() })
            }
            _ => known,
        }
    }

    /// Charges usage of a service whose price depends on something.
    pub(super) fn debit_by_tariff(&mut self, line: &Line<'a>, service: &'a Service) {
        let steps = self.steps.len();
        let measure = Measure::Units(service.kind);
        let split = line.split.unwrap_or_default();
        if self.was_emergency {
            self.charge(line, line.total(), Priced::free());
        } else if service.continuous && service.is_timed() {
            self.charge_backwards(line, service, line.total().amount(measure));
        } else {
            let (old, change) = self.terms(line, service);
            let (at, new) = change.map_or((None, old), |(at, new)| (Some(at), new));
            // Without a side, no change took place in that period: it lies before it or behind it as a whole (spec C-62).
            let passed = at.is_some_and(|at| self.moment >= at);
            let sides = [(line.used, if passed { new } else { old }), (split.before, old), (split.after, new)];
            let any = |part: &Used| part.amount(measure) > 0;
            for (part, priced) in sides {
                if let Some(part) = part.filter(any) {
                    self.charge(line, part, priced);
                }
            }
            if let Some(either) = split.either.filter(any) {
                let priced = self.indeterminate(line, service, either.amount(measure), old, new);
                self.charge(line, either, priced);
            }
        }
        if self.steps.len() == steps {
            self.charge_units(line, 0, Priced::by(service, None));
        }
    }

    /// Continuous time ends with the report: what lies before a change of tariff is known without the client's help (spec
    /// C-60). A second that a change cuts belongs to where most of it lies.
    fn charge_backwards(&mut self, line: &Line<'a>, service: &'a Service, total: u64) {
        let attributes = self.before();
        let mut left = total;
        let mut at = Timestamp::from_millis(self.moment.millis().saturating_sub(total.saturating_mul(1_000)));
        for _ in 0..CHANGES_MAX {
            let Some((then, _)) = service.next_change(&attributes, at, left) else { break };
            let secs =
                (then.since(at).as_millis().saturating_add(500) / 1_000).try_into().unwrap_or(u64::MAX).min(left);
            if secs > 0 {
                self.charge_units(line, secs, Priced::by(service, service.tariff_at(&attributes, at)));
            }
            (at, left) = (then, left - secs);
        }
        if left > 0 {
            self.charge_units(line, left, Priced::by(service, service.tariff_at(&attributes, at)));
        }
    }

    /// The price of the outstanding grant, and the one after the change that the client was told of. Without a grant, or
    /// when the catalog has lost the tariff, the price that held before this request.
    fn terms(&self, line: &Line<'a>, service: &'a Service) -> (Priced<'a>, Option<(Timestamp, Priced<'a>)>) {
        let named = |name: &Option<Arc<str>>| match name {
            None => Some(Priced::by(service, None)),
            Some(name) => service.tariff_by_name(name).map(|tariff| Priced::by(service, Some(tariff))),
        };
        let granted = self.quota(line.quota).filter(|quota| quota.granted > 0);
        let terms = granted.map(|quota| quota.terms.as_deref());
        let old = terms.and_then(|terms| terms.map_or_else(|| named(&None), |terms| named(&terms.tariff)));
        let old = old.unwrap_or_else(|| Priced::by(service, service.tariff_at(&self.before(), self.moment)));
        let change = terms.flatten().and_then(|terms| terms.change.as_ref());
        (old, change.and_then(|change| Some((change.at, named(&change.tariff)?))))
    }

    /// Usage on an unknown side of a change (spec C-62).
    fn indeterminate(
        &mut self,
        line: &Line<'a>,
        service: &'a Service,
        units: u64,
        old: Priced<'a>,
        new: Priced<'a>,
    ) -> Priced<'a> {
        let indeterminate = line.billed_by.catalog.indeterminate_usage();
        let mut cost = |priced| self.rate_of_usage(line, Tariff::Service(service), priced, None).price(units);
        match indeterminate {
            Indeterminate::Before => old,
            Indeterminate::After => new,
            Indeterminate::Dearer => match (cost(old), cost(new)) {
                (Ok(before), Ok(after)) if before > after => old,
                _ => new,
            },
        }
    }

    /// The price of the next grant of a service.
    pub(super) fn offer(&mut self, line: &Line<'a>, service: &'a Service) -> Offer<'a> {
        let tariff = Tariff::Service(service);
        if self.emergency {
            return Offer::plain(Rate::new(tariff, Side::new(Priced::free().price, 0)));
        }
        let discount = self.contract.discount(service).filter(|_| !service.is_free()).map(Given::of);
        let keep = Given::keep(discount.as_ref());
        let mut terms = Terms { discount, ..Terms::default() };
        let mut offer = if service.tariffs().is_empty() {
            self.offer_at(line, service, Priced::by(service, None), keep)
        } else {
            self.offer_by_tariff(line, service, keep, &mut terms)
        };
        if let Some(at) = self.contract.discounts_change(service, service.validity_secs) {
            // What was granted is charged as it was granted: the quota ends here, as at a change of tariff that the client
            // is not told of.
            let ends = secs_until(self.moment, at).saturating_add(self.jitter());
            offer.validity_max = offer.validity_max.min(ends);
        }
        if !offer.rate.is_free() {
            let counted = self.contract.counted(&mut self.ledger, tariff, Purpose::Grant(service.validity_secs));
            offer.ends_within(counted.until_secs);
            offer.rate.counted = counted;
        }
        offer.terms = (terms != Terms::default()).then(|| Arc::new(terms));
        offer
    }

    /// The price of a grant of money that the client rates itself.
    pub(super) fn offer_money(&mut self) -> Offer<'a> {
        let counted = self.contract.counted(&mut self.ledger, Tariff::Money, Purpose::Grant(MONEY_VALIDITY_SECS.0));
        let mut offer = Offer::plain(Rate::money());
        offer.ends_within(counted.until_secs);
        offer.rate.counted = counted;
        offer
    }

    /// By the tariff in force, and by the one that follows if it may within the life of the grant.
    fn offer_by_tariff(
        &mut self,
        line: &Line<'a>,
        service: &'a Service,
        keep: BasisPoints,
        terms: &mut Terms,
    ) -> Offer<'a> {
        let attributes = self.henceforth(line);
        // By the client's clock, as its usage will be (spec C-24).
        let start = self.moment;
        let validity = u64::from(service.validity_secs);
        let now = Priced::by(service, service.tariff_at(&attributes, start));
        terms.tariff = now.name.cloned();
        let mut offer = self.offer_at(line, service, now, keep);
        if let Some((at, later)) = service.next_change(&attributes, start, validity) {
            let after_next = service.next_change(&attributes, at, validity).map(|(at, _)| secs_until(start, at));
            let later = Priced::by(service, later);
            if service.continuous || self.request.client.tariff_time_change {
                // Any part of the grant may be used behind the change: the dearer price is reserved (spec C-61). Only one
                // change can be told, so the grant ends with the one after it (spec C-67).
                self.add_to_offer(&mut offer, line, service, later, keep);
                offer.validity_max = offer.validity_max.min(after_next.unwrap_or(u32::MAX));
            } else {
                // The quota ends at the change, spread a little so that not all sessions ask at once (spec C-66, C-68).
                let ends = secs_until(start, at).saturating_add(self.jitter());
                offer.validity_max = offer.validity_max.min(ends);
            }
            if !service.continuous && self.request.client.tariff_time_change {
                terms.change = Some(TariffChange { at, tariff: later.name.cloned() });
                offer.told = Some(at);
            }
        }
        offer
    }

    fn offer_at(&mut self, line: &Line<'a>, service: &'a Service, priced: Priced<'a>, keep: BasisPoints) -> Offer<'a> {
        let Granted { now, next, until_secs } = self.granted_at(line, service, priced, keep);
        let mut offer = Offer::plain(Rate::new(Tariff::Service(service), now));
        offer.rate.others.extend(next);
        offer.ends_within(until_secs);
        if let Some(uplink) = priced.uplink() {
            self.add_to_offer(&mut offer, line, service, uplink, keep);
        }
        offer
    }

    /// Any part of a grant may be charged by this price too, or by that of its other direction.
    fn add_to_offer(
        &mut self,
        offer: &mut Offer<'a>,
        line: &Line<'a>,
        service: &'a Service,
        priced: Priced<'a>,
        keep: BasisPoints,
    ) {
        for priced in [Some(priced), priced.uplink()].into_iter().flatten() {
            let Granted { now, next, until_secs } = self.granted_at(line, service, priced, keep);
            offer.rate.others.extend([Some(now), next].into_iter().flatten());
            offer.ends_within(until_secs);
        }
    }

    fn granted_at(
        &mut self,
        line: &Line<'a>,
        service: &'a Service,
        priced: Priced<'a>,
        keep: BasisPoints,
    ) -> Granted<'a> {
        let rated = self.rated(line.quota, priced.position().as_ref(), Measure::Units(service.kind));
        self.contract.granted_at(&mut self.ledger, priced, service.kind, keep, rated, service.validity_secs)
    }

    /// The same for a session every time, and different from one session to the next.
    fn jitter(&self) -> u32 {
        let most = u64::from(self.catalog.validity_jitter_secs());
        // Less than a `u32`.
        (self.request.key.halves().1 % (most + 1)) as u32
    }
}

impl<'a> Offer<'a> {
    pub(super) fn plain(rate: Rate<'a>) -> Self {
        Self { rate, terms: None, told: None, validity_max: u32::MAX }
    }

    fn ends_within(&mut self, secs: Option<u32>) {
        self.validity_max = self.validity_max.min(secs.unwrap_or(u32::MAX));
    }
}

/// Whole seconds, at least one: a Validity-Time of 0 is never sent (spec C-74).
fn secs_until(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.since(from).as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}
