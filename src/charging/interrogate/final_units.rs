//! What comes when the credit ends: refusal, the last units, and the restricted state after them (spec C-80..C-88).

use std::sync::Arc;

use super::{Interrogator, line::Line};
use crate::{
    charging::{FinalUnits, Grant, Measure, Reply, Verdict, quota::Tariff},
    ids::QuotaKey,
    rating::{FinalAction, Service},
};

impl<'a> Interrogator<'a> {
    /// No credit at all: refuse, or put the user where credit can be had (spec C-83).
    pub(super) fn refuse(&mut self, line: &Line<'a>, service: Option<&'a Service>) {
        if let Some(step) = self.step(line.quota) {
            step.refused = true;
        }
        match service.filter(|service| self.restricts(service)) {
            Some(service) => self.reply_restricted(line, service),
            None => self.reply(line, Verdict::CreditLimitReached),
        }
    }

    /// After the final units, a report without a request: the final action is said again, so that the answer cannot be
    /// read as a free pass (spec C-85). Ending the service needs no answer for it (spec C-43). Where the same request asks
    /// for units of the quota by another key, the answer to that says how it goes on.
    pub(super) fn repeat_final_action(&mut self, line: &Line<'a>, lines: &[Line<'a>]) {
        let asks =
            |other: &Line<'a>| other.quota == line.quota && (other.want.is_some() || self.asks_silently(other.key));
        let was_final = self.quota(line.quota).is_some_and(|quota| quota.final_units);
        if let (true, Some(Tariff::Service(service))) = (was_final, line.tariff)
            && self.restricts(service)
            && !lines.iter().any(asks)
        {
            if let Some(step) = self.step(line.quota) {
                step.refused = true;
            }
            // Reported by several services of a group: said once.
            if !self.replies.iter().any(|reply| reply.key == line.quota) {
                self.reply_restricted(line, service);
            }
        }
    }

    /// A zero grant with the final action and the time for which the restriction may last (spec C-83).
    fn reply_restricted(&mut self, line: &Line<'a>, service: &'a Service) {
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure: Measure::Units(service.kind), amount: 0 }),
            validity_secs: service.restricted_validity_secs,
            threshold: 0,
            holding_secs: None,
            final_action: Some(self.final_units(Some(service))),
            extras: self.announced(service),
        });
    }

    /// Whether a client that names a quota and asks for nothing wants units all the same: after a re-authorisation, or
    /// from the restricted state, some leave Requested-Service-Unit out (spec C-88).
    pub(super) fn asks_silently(&self, key: QuotaKey) -> bool {
        let Some((session, quota)) = self.session.and_then(|s| s.quota(key).map(|quota| (s, quota))) else {
            return false;
        };
        if session.reauthorise {
            return quota.wants_credit();
        }
        let service = || self.context.and_then(|it| self.catalog.service(it, key.rating_group, key.service_identifier));
        quota.refused && quota.granted == 0 && service().is_some_and(|service| self.restricts(service))
    }

    /// Whether the client goes on in a restricted state when the units of a service end.
    fn restricts(&self, service: &Service) -> bool {
        self.request.client.redirects && service.final_action.restricts()
    }

    /// A client that cannot do what the catalog says ends the service (spec C-80).
    pub(super) fn final_units(&self, service: Option<&Service>) -> FinalUnits {
        match service.filter(|service| self.restricts(service)).map(|service| &service.final_action) {
            Some(FinalAction::Redirect { address }) => FinalUnits::Redirect(Arc::clone(address)),
            Some(FinalAction::Restrict { rules, filters }) => {
                FinalUnits::Restrict { rules: Arc::clone(rules), filters: Arc::clone(filters) }
            }
            Some(FinalAction::Terminate) | None => FinalUnits::Terminate,
        }
    }
}
