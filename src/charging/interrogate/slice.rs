//! How many units a grant is to have at best.

use super::{Interrogator, line::Line};
use crate::{
    charging::{
        Quota, Verdict, Want,
        quota::{Demand, Tariff},
        rate::Rate,
    },
    rating::Service,
    units::UnitKind,
};

/// A slice that was used up sooner than this makes the next one twice as large (spec G-116), in seconds.
const USED_UP_FAST_SECS: u64 = 60;
/// A grown slice takes at most one part in so many of what the account could pay for (spec G-116).
const SHARE_OF_BALANCE: u64 = 4;

/// What to grant at best.
pub(super) struct Slice {
    pub(super) units: u64,
    /// The slice that it was made by, where slices grow; else 0.
    pub(super) grown: u64,
}

impl<'a> Interrogator<'a> {
    /// How many units a line that wants something is to get at best, at this rate.
    pub(super) fn wanted(&self, line: &Line<'a>, want: Want, rate: &Rate<'a>) -> Result<Slice, Verdict> {
        match (line.tariff, want) {
            (_, Want::Unusable) => Err(Verdict::MoneyNotRated),
            (None, _) if line.in_money => Err(Verdict::MoneyNotRated),
            (None, _) => Err(Verdict::RatingFailed),
            (Some(Tariff::Money), Want::Money(money)) if money.is_positive() => {
                Ok(Slice { units: money.micros().unsigned_abs(), grown: 0 })
            }
            // The quota was in money so far; its unit does not change within a session (spec C-46).
            (Some(Tariff::Money), Want::Units(_)) => Err(Verdict::UnitNotRated),
            (Some(Tariff::Money), _) => Err(Verdict::MoneyNotRated),
            (Some(Tariff::Service(service)), want) => {
                let slice = self.slice(line, service, rate);
                let exact = self.request.client.exact;
                let units = wanted_of(service, want, slice, exact).ok_or(Verdict::UnitNotRated)?;
                Ok(Slice { units, grown: service.slice_max.map_or(0, |_| slice) })
            }
        }
    }

    /// The service's slice, grown if the client uses slices up fast. A large grant is for a large balance only: towards its
    /// end, slices fall back to the service's own (spec G-116).
    fn slice(&self, line: &Line<'a>, service: &'a Service, rate: &Rate<'a>) -> u64 {
        let Some(most) = service.slice_max else { return service.slice };
        let last = self.quota(line.quota).and_then(|quota| Some((quota, quota.grown.as_deref()?)));
        let mut slice = last.map_or(service.slice, |(_, grown)| grown.slice).clamp(service.slice, most);
        if let Some((quota, grown)) = last
            && self.used_up(quota, service)
            && self.now.since(grown.at).as_secs() < USED_UP_FAST_SECS
        {
            slice = slice.saturating_mul(2).min(most);
        }
        if slice > service.slice {
            let whole = slice.saturating_mul(SHARE_OF_BALANCE);
            let payable = self.ledger.allocate(rate, whole, Demand::Grant).map_or(0, |found| found.units);
            slice = slice.min(payable / SHARE_OF_BALANCE).max(service.slice);
        }
        slice
    }

    /// Whether this request reports that a grant is used up, or down to where the client asks for more.
    fn used_up(&self, quota: &Quota, service: &Service) -> bool {
        let used = self
            .steps
            .iter()
            .filter(|step| step.key == quota.key)
            .fold(0u64, |sum, step| sum.saturating_add(step.used));
        let left = service.threshold_for(quota.granted).unwrap_or(0);
        quota.granted > 0 && used >= quota.granted.saturating_sub(u64::from(left))
    }
}

/// How many units to grant at best; `None` if the service does not count in what was asked for (spec C-35). `exact` = as many
/// as are asked for.
fn wanted_of(service: &Service, want: Want, slice: u64, exact: bool) -> Option<u64> {
    match want {
        Want::Any => Some(slice),
        Want::Units(units) if exact => units.of(service.kind),
        Want::Units(units) => match (units.of(service.kind)?, service.kind) {
            // For volume the client's number is a hint that many clients never change (spec I-8).
            (_, UnitKind::Octets) | (0, _) => Some(slice),
            (amount, _) => Some(amount.min(slice)),
        },
        Want::Money(_) | Want::Unusable => None,
    }
}
