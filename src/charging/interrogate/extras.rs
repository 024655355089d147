//! What few answers say beside grants: pools, how time counts, announcements; balances and advice of charge.

use super::{Interrogator, line::Line, tariffs::Offer};
use crate::{
    charging::{
        Account, Advice, AdviceWanted, AnswerExtras, ClientNeeds, ReplyExtras, TariffAdvice,
        quota::{self, Ledger},
    },
    rating::{Attributes, Catalog, Service, Tariff},
    time::Timestamp,
    units::Money,
};

/// How far ahead a change of tariff is told: every window of the day comes round in it.
const TARIFFS_TOLD_SECS: u64 = 86_400;

impl<'a> Interrogator<'a> {
    /// `None` for most grants: then nothing is allocated.
    pub(super) fn reply_extras(
        &self,
        line: &Line<'a>,
        service: &Service,
        pool: Option<u32>,
        offer: &Offer<'a>,
        is_final: bool,
    ) -> Option<Box<ReplyExtras>> {
        let pool = self.pool_share(service, pool);
        let announcement = service.announcement.filter(|_| is_final && self.request.client.announcements);
        // What to report is said once, with the first grant of a quota (spec G-71).
        let envelopes = service.envelopes.filter(|_| self.quota(line.quota).is_none());
        let Service { consumption_secs, time_mechanism, .. } = *service;
        let triggers = service.triggers();
        let any = pool.is_some()
            || offer.told.is_some()
            || !triggers.is_empty()
            || announcement.is_some()
            || envelopes.is_some()
            || consumption_secs.is_some()
            || time_mechanism.is_some();
        any.then(|| {
            let extras = ReplyExtras {
                tariff_change: offer.told,
                triggers: (!triggers.is_empty()).then(|| triggers.into()),
                pool,
                announcement,
                envelopes,
                consumption_secs,
                time_mechanism,
            };
            Box::new(extras)
        })
    }

    /// The announcement of the end, for a zero grant.
    pub(super) fn announced(&self, service: &Service) -> Option<Box<ReplyExtras>> {
        let announcement = service.announcement.filter(|_| self.request.client.announcements)?;
        Some(Box::new(ReplyExtras { announcement: Some(announcement), ..Default::default() }))
    }

    /// What the answer says of the balance and of costs.
    pub(super) fn answer_extras(&self, lines: &[Line<'a>]) -> Option<Box<AnswerExtras>> {
        let priced = lines.iter().find_map(|line| match line.tariff {
            Some(quota::Tariff::Service(service)) => Some(service),
            _ => None,
        });
        let charged = || self.steps.iter().fold(Money::ZERO, |sum, step| sum.saturating_add(step.charged));
        // An emergency costs nothing, and nobody has to be told (spec G-104).
        let priced = priced.filter(|_| !self.emergency);
        let priced = priced.map(|service| (service, self.attributes.as_deref(), self.moment));
        answer_extras(self.request.client, self.account, &self.ledger, self.catalog, charged, priced)
    }
}

/// What an answer says beside its result, as far as the client wants to be told. `priced` is the service that advice is
/// about, under which conditions and when; `charged` tells what the request cost.
pub(in crate::charging) fn answer_extras(
    client: ClientNeeds,
    account: &Account,
    ledger: &Ledger<'_>,
    catalog: &Catalog,
    charged: impl FnOnce() -> Money,
    priced: Option<(&Service, Option<&Attributes>, Timestamp)>,
) -> Option<Box<AnswerExtras>> {
    let remaining = client.remaining_balance.then(|| ledger.remaining());
    // Absent means no (spec G-80).
    let is_low = |limit| !account.never_stop && ledger.usable_balance() <= limit;
    let low_balance = catalog.low_balance().filter(|limit| client.low_balance && is_low(*limit)).map(|_| true);
    let advice = advice(client.advice, charged, priced);
    let cost_unit = priced.and_then(|(service, ..)| service.cost_unit.clone());
    let any = remaining.is_some() || low_balance.is_some() || advice.is_some() || cost_unit.is_some();
    any.then(|| Box::new(AnswerExtras { remaining, low_balance, advice, cost_unit }))
}

/// Advice of charge, by what was asked for (spec G-85, G-86).
fn advice(
    wanted: AdviceWanted,
    charged: impl FnOnce() -> Money,
    priced: Option<(&Service, Option<&Attributes>, Timestamp)>,
) -> Option<Advice> {
    let (cost, tariff) = match wanted {
        AdviceWanted::Nothing => return None,
        AdviceWanted::Full => (true, true),
        AdviceWanted::Cost => (true, false),
        AdviceWanted::Tariff => (false, true),
    };
    let (current, next) = priced.filter(|_| tariff).map(tariffs_told).unzip();
    Some(Advice { incremental: cost.then(charged), tariff: current, next: next.flatten() })
}

/// The tariff in force, and the one that follows.
fn tariffs_told(
    (service, attributes, at): (&Service, Option<&Attributes>, Timestamp),
) -> (TariffAdvice, Option<(Timestamp, TariffAdvice)>) {
    let told = |tariff: Option<&Tariff>| {
        let price = tariff.map_or(&service.price, |tariff| &tariff.price);
        let (digits, scale, units) = price.as_written();
        TariffAdvice { kind: service.kind, units, digits, scale, setup: price.setup() }
    };
    if service.tariffs().is_empty() {
        return (told(None), None);
    }
    let nothing = Attributes::default();
    let attributes = attributes.unwrap_or(&nothing);
    let next = service.next_change(attributes, at, TARIFFS_TOLD_SECS);
    (told(service.tariff_at(attributes, at)), next.map(|(then, tariff)| (then, told(tariff))))
}
