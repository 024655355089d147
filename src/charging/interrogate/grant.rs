//! What is wanted is reserved, as far as it can be paid.

use std::sync::Arc;

use super::{Interrogator, line::Line, tariffs::Offer};
use crate::{
    charging::{
        Draw, Grant, Reply, Step, Verdict, Want, lifecycle,
        quota::{Allocation, Tariff},
        rate::Rate,
    },
    few::Few,
    ids::QuotaKey,
    rating::{PriceOverflow, Service},
};

/// Validity-Time of money that the client rates itself, for which no service says another: whole, and short (spec G-115).
pub(super) const MONEY_VALIDITY_SECS: (u32, u32) = (3_600, 60);

/// What is reserved for a grant.
#[derive(Default)]
pub(super) struct Reserved {
    pub(super) units: u64,
    /// What the quota itself holds, or its pool as a whole.
    pub(super) holds: Few<Draw>,
    /// The pool that it draws from.
    pub(super) pool: Option<u32>,
    /// It is less than was wanted because of a limit.
    pub(super) limited: bool,
}

/// How far a grant goes.
#[derive(Clone, Copy)]
struct Extent {
    /// The slice that it was made by, where slices grow; else 0.
    grown: u64,
    /// It is less than the slice.
    cut: bool,
    /// Nothing can follow.
    is_final: bool,
}

impl<'a> Interrogator<'a> {
    /// Grants what a line asks for, or says why not.
    pub(super) fn grant(&mut self, line: &Line<'a>, lines: &[Line<'a>], stopped: bool) {
        if line.unusable {
            return self.reply(line, Verdict::MoneyNotRated);
        }
        // For the key itself only: a report of a service that counts for the group's quota asks for nothing.
        let silent = Some(Want::Any).filter(|_| self.asks_silently(line.key));
        let Some(want) = line.want.or(silent) else {
            return self.repeat_final_action(line, lines);
        };
        let new = self.quota(line.quota).is_none();
        let quotas_max = self.state.retention.session_quotas_max;
        if new && self.session.is_some_and(|session| session.quotas.len() >= quotas_max) {
            return self.reply(line, Verdict::ResourcesExceeded);
        }
        let service = match line.tariff {
            Some(Tariff::Service(service)) => Some(service),
            Some(Tariff::Money) | None => None,
        };
        let offer = match service {
            Some(service) => self.offer(line, service),
            None => self.offer_money(),
        };
        let mut slice = match self.wanted(line, want, &offer.rate) {
            Ok(slice) => slice,
            Err(verdict) => return self.reply(line, verdict),
        };
        // Nothing would be reported any more: not where another hour, or another place, has its price (spec C-114).
        let stays_free = offer.rate.is_free() && (self.emergency || service.is_some_and(Service::is_free));
        if stays_free && self.request.client.free_of_charge_4011 {
            return self.reply(line, Verdict::NotApplicable);
        }
        slice.units = self.room_in_pool(line, &offer.rate, slice.units);
        let barred = lifecycle::is_lapsed(self.account) || stopped && !offer.rate.is_capped_to_nothing();
        let reserved = if barred && !offer.rate.is_free() {
            Reserved::default()
        } else {
            match self.reserve(line, &offer.rate, slice.units) {
                Ok(reserved) => reserved,
                Err(_) => return self.reply(line, Verdict::RatingFailed),
            }
        };
        if reserved.units == 0 && slice.units > 0 {
            if reserved.limited {
                self.note_reached(&offer.rate, service.map_or(1, |service| service.minimum_grant.max(1)));
            }
            return self.refuse(line, service);
        }
        let cut = reserved.units < slice.units;
        // What others hold, of the money or of the limit, may come back: then these are not the last units (spec C-81).
        let others_hold = if reserved.limited {
            self.ledger.limits_are_held_beside(&offer.rate, &reserved.holds)
        } else {
            self.ledger.anything_reserved_beside(offer.rate.tariff, &reserved.holds)
                || self.ledger.tiers_are_held_beside(&offer.rate, &reserved.holds)
        };
        let is_final = cut && !others_hold;
        self.confirm(line, service, reserved, offer, Extent { grown: slice.grown, cut, is_final });
    }

    fn confirm(
        &mut self,
        line: &Line<'a>,
        service: Option<&'a Service>,
        reserved: Reserved,
        offer: Offer<'a>,
        extent: Extent,
    ) {
        let Reserved { units, holds, pool, .. } = reserved;
        let Extent { grown, cut, is_final } = extent;
        let validity_secs = self.validity(service, &holds, cut, is_final).min(offer.validity_max);
        // In a pool the units left of one quota say nothing.
        let threshold = match service {
            Some(service) if !is_final && pool.is_none() && self.request.client.thresholds => {
                service.threshold_for(units).unwrap_or(0)
            }
            _ => 0,
        };
        let measure = line.tariff.map(|tariff| tariff.measure()).unwrap_or_default();
        self.replies.push(Reply {
            key: line.key,
            verdict: Verdict::Success,
            grant: Some(Grant { measure, amount: units }),
            validity_secs,
            threshold,
            holding_secs: service.and_then(|service| service.quota_holding_secs),
            final_action: is_final.then(|| self.final_units(service)),
            extras: service.and_then(|service| self.reply_extras(line, service, pool, &offer, is_final)),
        });
        if let Some(step) = self.step(line.quota) {
            step.granted = units;
            step.holds = holds;
            step.validity_secs = validity_secs;
            step.final_units = is_final;
            step.pool = pool;
            step.slice = grown;
            step.terms = offer.terms;
        }
    }

    /// Reserves at most `units`, in a pool or alone. Nothing is reserved if nothing, or less than the service's least grant,
    /// can be paid (spec G-117).
    fn reserve(&mut self, line: &Line<'a>, rate: &Rate<'a>, units: u64) -> Result<Reserved, PriceOverflow> {
        let least = match rate.tariff {
            Tariff::Service(service) => service.minimum_grant.min(units),
            Tariff::Money => 0,
        };
        if let Some(pool) = self.pool_of(line, rate) {
            return self.reserve_in_pool(pool, &rate.at_zero(), units, least);
        }
        let Allocation { units, draws, limited, .. } = self.reserve_beside_others(rate, units, least)?;
        Ok(Reserved { units, holds: draws, pool: None, limited })
    }

    /// The last step of a quota: a quota has several if a request names it by several keys; the grant goes to one.
    pub(super) fn step(&mut self, quota: QuotaKey) -> Option<&mut Step> {
        self.steps.iter_mut().rev().find(|step| step.key == quota)
    }

    pub(super) fn reply(&mut self, line: &Line<'a>, verdict: Verdict) {
        self.replies.push(Reply { key: line.key, verdict, ..Reply::default() });
    }

    /// Validity-Time: short when more may be had soon, and never beyond the life of a bucket that is drawn from (spec
    /// C-75, C-81, I-15).
    fn validity(&self, service: Option<&Service>, draws: &[Draw], cut: bool, is_final: bool) -> u32 {
        let short = (cut && !is_final) || (is_final && self.request.short_validity);
        let (whole, cut_short) = service.map_or(MONEY_VALIDITY_SECS, |it| (it.validity_secs, it.short_validity_secs));
        let wanted = if short { cut_short } else { whole };
        draws
            .iter()
            .filter_map(|draw| self.account.bucket(draw.bucket)?.expires)
            .map(|expires| u32::try_from(expires.since(self.now).as_secs()).unwrap_or(u32::MAX).max(1))
            .fold(wanted, u32::min)
    }
}

/// The name by which a tariff stands in a step.
pub(super) fn name_of(tariff: Option<Tariff<'_>>) -> Arc<str> {
    match tariff {
        Some(Tariff::Service(service)) => Arc::clone(&service.name),
        Some(Tariff::Money) => "money".into(),
        None => "".into(),
    }
}
