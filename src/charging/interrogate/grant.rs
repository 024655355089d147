//! What is wanted is reserved, as far as it can be paid.

use std::sync::Arc;

use super::{Interrogator, line::Line};
use crate::{
    charging::{
        Draw, FinalUnits, Grant, Measure, Reply, Step, Verdict, Want,
        quota::{Demand, Tariff},
    },
    ids::QuotaKey,
    rating::{FinalAction, Service},
    units::UnitKind,
};

impl<'a> Interrogator<'a> {
    pub(super) fn grant(&mut self, line: &Line<'a>, stopped: bool) {
        if line.unusable {
            return self.reply(line, Verdict::RatingFailed);
        }
        // For the key itself only: a report of a service that counts for the group's quota asks for nothing.
        let silent = Some(Want::Any).filter(|_| self.asks_silently(line.key));
        let Some(want) = line.want.or(silent) else {
            self.repeat_final_action(line);
            return;
        };
        let new = self.quota(line.quota).is_none();
        let quotas_max = self.state.retention.session_quotas_max;
        if new && self.session.is_some_and(|session| session.quotas.len() >= quotas_max) {
            return self.reply(line, Verdict::ResourcesExceeded);
        }
        let (slice, service) = match (line.tariff, want) {
            (None, _) | (_, Want::Unusable) => return self.reply(line, Verdict::RatingFailed),
            (Some(Tariff::Money), Want::Money(money)) if money.is_positive() => (money.micros().unsigned_abs(), None),
            (Some(Tariff::Money), _) => return self.reply(line, Verdict::RatingFailed),
            (Some(Tariff::Service(service)), want) => match wanted(service, want) {
                Some(slice) => (slice, Some(service)),
                None => return self.reply(line, Verdict::RatingFailed),
            },
        };
        let Some(tariff) = line.tariff else { return };
        let allocation = if stopped && !tariff.is_free() {
            Default::default()
        } else {
            let rated = self.rated(line.quota, tariff.measure());
            match self.ledger.allocate(tariff, rated, slice, Demand::Affordable) {
                Ok(allocation) => allocation,
                Err(_) => return self.reply(line, Verdict::RatingFailed),
            }
        };
        let cut = allocation.units < slice;
        // Money that others hold may come back: then these are not the last units (spec C-81).
        let is_final = cut && !self.ledger.anything_reserved(tariff);
        self.ledger.hold(&allocation);
        if allocation.units == 0 && slice > 0 {
            return self.refuse(line, service);
        }
        let validity_secs = self.validity(service, &allocation.draws, cut, is_final);
        let threshold = match service {
            Some(service) if !is_final => service.threshold_for(allocation.units).unwrap_or(0),
            _ => 0,
        };
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure: tariff.measure(), amount: allocation.units }),
            validity_secs,
            threshold,
            holding_secs: service.and_then(|service| service.quota_holding_secs),
            final_action: is_final.then(|| final_units(service)),
            extras: None,
        });
        if let Some(step) = self.step(line.quota) {
            step.granted = allocation.units;
            step.holds = allocation.draws;
            step.validity_secs = validity_secs;
            step.final_units = is_final;
        }
    }

    /// The last step of a quota: a quota has several if a request names it by several keys; the grant goes to one.
    pub(super) fn step(&mut self, quota: QuotaKey) -> Option<&mut Step> {
        self.steps.iter_mut().rev().find(|step| step.key == quota)
    }

    pub(super) fn reply(&mut self, line: &Line<'a>, verdict: Verdict) {
        self.replies.push(Reply { key: line.key, verdict, ..Reply::default() });
    }

    /// No credit at all: refuse, or send the user to where credit can be had (spec C-83).
    pub(super) fn refuse(&mut self, line: &Line<'a>, service: Option<&Service>) {
        if let Some(step) = self.step(line.quota) {
            step.refused = true;
        }
        match service.map(|service| (&service.final_action, service)) {
            Some((FinalAction::Redirect { .. }, service)) => self.reply_restricted(line, service),
            _ => self.reply(line, Verdict::CreditLimitReached),
        }
    }

    /// After the final units, a report without a request: the final action is said again, so that the answer cannot be
    /// read as a free pass (spec C-85). Ending the service needs no answer for it (spec C-43).
    pub(super) fn repeat_final_action(&mut self, line: &Line<'a>) {
        let was_final = self.quota(line.quota).is_some_and(|quota| quota.final_units);
        if let (true, Some(Tariff::Service(service))) = (was_final, line.tariff)
            && matches!(service.final_action, FinalAction::Redirect { .. })
        {
            if let Some(step) = self.step(line.quota) {
                step.refused = true;
            }
            self.reply_restricted(line, service);
        }
    }

    /// A zero grant with the final action and the time for which the restriction may last (spec C-83).
    pub(super) fn reply_restricted(&mut self, line: &Line<'a>, service: &Service) {
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure: Measure::Units(service.kind), amount: 0 }),
            validity_secs: service.restricted_validity_secs,
            threshold: 0,
            holding_secs: None,
            final_action: Some(final_units(Some(service))),
            extras: None,
        });
    }

    /// Validity-Time: short when more may be had soon, and never beyond the life of a bucket that is drawn from (spec
    /// C-75, C-81, I-15).
    pub(super) fn validity(&self, service: Option<&Service>, draws: &[Draw], cut: bool, is_final: bool) -> u32 {
        let Some(service) = service else { return 0 };
        let short = (cut && !is_final) || (is_final && self.request.short_validity);
        let wanted = if short { service.short_validity_secs } else { service.validity_secs };
        draws
            .iter()
            .filter_map(|draw| self.account.bucket(draw.bucket)?.expires)
            .map(|expires| u32::try_from(expires.since(self.now).as_secs()).unwrap_or(u32::MAX).max(1))
            .fold(wanted, u32::min)
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
        quota.refused && quota.granted == 0 && self.redirects(key)
    }

    pub(super) fn redirects(&self, key: QuotaKey) -> bool {
        self.context
            .and_then(|context| self.catalog.service(context, key.rating_group, key.service_identifier))
            .is_some_and(|service| matches!(service.final_action, FinalAction::Redirect { .. }))
    }
}

/// How many units to grant at best; `None` if the service does not count in what was asked for (spec C-35).
fn wanted(service: &Service, want: Want) -> Option<u64> {
    match want {
        Want::Any => Some(service.slice),
        Want::Units(units) => match (units.of(service.kind)?, service.kind) {
            // For volume the client's number is a hint that many clients never change (spec I-8).
            (_, UnitKind::Octets) | (0, _) => Some(service.slice),
            (amount, _) => Some(amount.min(service.slice)),
        },
        Want::Money(_) | Want::Unusable => None,
    }
}

fn final_units(service: Option<&Service>) -> FinalUnits {
    match service.map(|service| &service.final_action) {
        Some(FinalAction::Redirect { address }) => FinalUnits::Redirect(Arc::clone(address)),
        _ => FinalUnits::Terminate,
    }
}
