//! The services of a request, with what they are rated by.

use super::Interrogator;
use crate::{
    charging::{Measure, Quota, ServiceRequest, SplitUsage, Used, Want, price_lists::PriceList, quota::Tariff},
    ids::QuotaKey,
    units::Money,
};

/// One service of the request, merged with its repetitions (spec C-38), and what becomes of it.
pub(super) struct Line<'a> {
    pub(super) key: QuotaKey,
    /// The quota that usage belongs to (spec G-30).
    pub(super) quota: QuotaKey,
    pub(super) used: Option<Used>,
    /// What the client set apart at a change of tariff.
    pub(super) split: Option<SplitUsage>,
    pub(super) want: Option<Want>,
    /// What the next grant is made by.
    pub(super) tariff: Option<Tariff<'a>>,
    /// What usage is charged by: the same, unless it was granted by another version of the catalog.
    pub(super) billed: Option<Tariff<'a>>,
    /// That version.
    pub(super) billed_by: PriceList<'a>,
    /// Money that cannot be charged was reported: another currency, or more than can be counted (spec C-54, C-55).
    pub(super) unusable: bool,
    /// It is about money that the client rated itself.
    pub(super) in_money: bool,
    /// More is reported of its quota than was granted, where a request has several lines.
    pub(super) exceeds_grant: bool,
    /// 3GPP-RAT-Type of this quota (spec G-35).
    pub(super) access: Option<u8>,
}

impl<'a> Interrogator<'a> {
    pub(super) fn lines(&self) -> Vec<Line<'a>> {
        let mut lines: Vec<Line<'a>> = Vec::with_capacity(self.request.services.len());
        for service in &self.request.services {
            let silent = service.used.is_none() && service.split.is_none() && service.want.is_none();
            if silent && !self.asks_silently(service.key) {
                continue;
            }
            if let Some(line) = lines.iter_mut().find(|line| line.key == service.key) {
                line.used = Used::both(line.used, service.used);
                line.split = match (line.split, &service.split) {
                    (Some(a), Some(b)) => Some(a.plus(**b)),
                    (a, b) => a.or(b.as_deref().copied()),
                };
                line.access = line.access.or(service.access);
                line.want = line.want.or(service.want);
                if line.want.is_some() {
                    // As if it had asked in its first MSCC.
                    line.quota = line.key;
                }
                if self.line(service).unusable {
                    (line.unusable, line.tariff, line.billed) = (true, None, None);
                }
            } else {
                lines.push(self.line(service));
            }
        }
        lines
    }

    fn line(&self, service: &ServiceRequest) -> Line<'a> {
        let ServiceRequest { key, used, want, currency, unusable, access, .. } = *service;
        let split = service.split.as_deref().copied();
        // A report may belong to the quota of the whole group (spec G-30); a grant is always for the very key that asks,
        // so that no two grants share one reservation.
        let quota = match (self.session, want) {
            (Some(session), None) => session.resolve(key),
            _ => key,
        };
        let in_money = unusable
            || matches!(want, Some(Want::Money(_)))
            || service.all_used().money != Money::ZERO
            || self.quota(quota).is_some_and(|quota| quota.measure == Measure::Money);
        let billed_by = self.grants_list(quota);
        let (tariff, billed) = if in_money {
            // Nothing is converted: money of another currency cannot be charged (spec C-55).
            let money = Some(Tariff::Money)
                .filter(|_| !unusable && currency.is_none_or(|currency| currency == self.account.currency));
            (money, money)
        } else {
            let found = |list: PriceList<'a>, context| {
                list.catalog.service(context, key.rating_group, key.service_identifier).map(Tariff::Service)
            };
            let own = PriceList { number: self.version, catalog: self.catalog };
            let tariff = self.context.and_then(|context| found(own, context));
            let billed = match self.session {
                Some(session) if billed_by.number != self.version => {
                    billed_by.catalog.context(&session.context).and_then(|context| found(billed_by, context))
                }
                _ => tariff,
            };
            (tariff, billed)
        };
        let unusable = unusable || (in_money && tariff.is_none() && (used.is_some() || split.is_some()));
        let exceeds_grant = false;
        Line { key, quota, used, split, want, tariff, billed, billed_by, unusable, in_money, exceeds_grant, access }
    }

    /// The price list that usage of a quota is charged by: that of its grant; without one, that of the session before this
    /// request. A version that came into force meanwhile counts for what is granted from now on.
    fn grants_list(&self, quota: QuotaKey) -> PriceList<'a> {
        let own = PriceList { number: self.version, catalog: self.catalog };
        let Some(session) = self.session else { return own };
        let granted = self.quota(quota).filter(|quota| quota.granted > 0);
        self.lists.get_or(granted.map_or(session.catalog, |quota| quota.catalog), own)
    }

    pub(super) fn quota(&self, key: QuotaKey) -> Option<&'a Quota> {
        self.session.and_then(|session| session.quota(key))
    }

    /// Tells lines that report more than was granted from those that leave something over.
    pub(super) fn mark_excess(&self, lines: &mut [Line<'a>]) {
        for place in 0..lines.len() {
            let (quota, measure) = (lines[place].quota, lines[place].measure());
            let of_quota = lines.iter().filter(|other| other.quota == quota);
            let used = of_quota.fold(0u64, |sum, other| sum.saturating_add(other.total().amount(measure)));
            lines[place].exceeds_grant = used > self.quota(quota).map_or(0, |quota| quota.granted);
        }
    }

    /// How many quotas the session will have with these lines.
    pub(super) fn quotas_with(&self, lines: &[Line<'_>]) -> usize {
        let known = self.session.map_or(0, |session| session.quotas.len());
        known + lines.iter().filter(|line| self.quota(line.quota).is_none()).count()
    }
}
