//! Credit pools: the quotas of a pool reserve together, and each may use what another was granted (spec C-170..C-176).
//!
//! A pool holds the price of all that was granted in it less the price of what was reported used. A report takes its
//! consumed share out and leaves the rest, as the client does (spec C-172); what a quota did not use stays in the pool for
//! the others, until no quota is left in it. Each quota's usage is rounded up to the micro-unit by itself, so that usage spread
//! over several may come to a micro-unit more for each than the pool holds; that is usage above the grant (spec C-20).

use super::{Interrogator, grant::Reserved, line::Line};
use crate::{
    charging::{
        Draw, Pool, PoolShare,
        quota::{Demand, Tariff},
        rate::Rate,
    },
    few::Few,
    ids::QuotaKey,
    rating::{PoolTerms, PriceOverflow, Service},
    units::Money,
};

/// A pool that holds the price of so many slices of a service gets no further slice of it: a client that reports often and
/// uses little would else gather the whole balance in its pool, for what it does not use stays there.
const POOL_SLICES_MAX: i64 = 4;

impl<'a> Interrogator<'a> {
    /// The terms by which a service's grants are pooled in this request. A pool stands in MSCCs only.
    pub(super) fn pool_terms(&self, service: &Service) -> Option<PoolTerms> {
        service.pool.filter(|_| self.request.client.pools && !self.request.at_command_level)
    }

    /// The pool that a grant is to draw from. A quota that is in a pool already stays in its account of it until it ends,
    /// although the client may not be told, and a new price list may have its service in another one.
    pub(super) fn pool_of(&self, line: &Line<'a>, rate: &Rate<'_>) -> Option<u32> {
        let terms = match rate.tariff {
            Tariff::Service(service) if !rate.is_free() => self.pool_terms(service),
            Tariff::Service(_) | Tariff::Money => None,
        };
        self.left_in_pool(line.quota).or(terms.map(|terms| terms.id))
    }

    /// The pool that a grant for a line would draw from, as far as its service tells.
    fn pool_it_joins(&self, line: &Line<'a>) -> Option<u32> {
        let terms = match line.tariff {
            Some(Tariff::Service(service)) => self.pool_terms(service),
            Some(Tariff::Money) | None => None,
        };
        self.left_in_pool(line.quota).or(terms.map(|terms| terms.id))
    }

    /// The pool in which a quota has an outstanding grant.
    fn left_in_pool(&self, key: QuotaKey) -> Option<u32> {
        self.quota(key).filter(|quota| quota.granted > 0)?.pool
    }

    /// What the client is told of a pool.
    pub(super) fn pool_share(&self, service: &Service, pool: Option<u32>) -> Option<PoolShare> {
        let terms = self.pool_terms(service).filter(|terms| Some(terms.id) == pool)?;
        Some(PoolShare { id: terms.id, multiplier: terms.multiplier })
    }

    /// The consumed share of a quota leaves its pool: it pays for the usage (spec C-172). More than the pool holds is usage
    /// above the grant.
    pub(super) fn take_from_pool(&mut self, line: &Line<'a>, rate: &Rate<'a>, used: u64) {
        let Some(id) = self.left_in_pool(line.quota) else { return };
        let Ok(cost) = rate.charge(used) else { return };
        let Some(pool) = self.pools.iter_mut().find(|pool| pool.id == id) else { return };
        let mut due = cost.micros();
        for hold in &mut pool.holds {
            // What is held in buckets adds up to the money; of each limit all of it is held.
            let in_bucket = self.account.bucket(hold.bucket).is_some();
            let taken = hold.amount.min(if in_bucket { due } else { cost.micros() }).max(0);
            self.ledger.release(&[Draw { amount: taken, ..*hold }]);
            hold.amount -= taken;
            due -= if in_bucket { taken } else { 0 };
        }
        pool.holds.retain(|hold| hold.amount > 0);
    }

    /// How many of `units` to grant at best, for what the pool holds already.
    pub(super) fn room_in_pool(&self, line: &Line<'a>, rate: &Rate<'a>, units: u64) -> u64 {
        let Some(id) = self.pool_of(line, rate) else { return units };
        let Some(pool) = self.pools.iter().find(|pool| pool.id == id) else { return units };
        let money = pool.holds.iter().filter(|hold| self.account.bucket(hold.bucket).is_some());
        let held = money.fold(0i64, |sum, hold| sum.saturating_add(hold.amount));
        let slice = rate.at_zero().charge(units).map_or(i64::MAX, Money::micros);
        if held >= slice.saturating_mul(POOL_SLICES_MAX) { units.min(1) } else { units }
    }

    /// Adds the price of a grant to a pool.
    pub(super) fn reserve_in_pool(
        &mut self,
        id: u32,
        rate: &Rate<'a>,
        units: u64,
        least: u64,
    ) -> Result<Reserved, PriceOverflow> {
        // Each grant by itself: which quota will use the money, and after how much of its own, nobody knows.
        let allocation = self.ledger.allocate(rate, units, Demand::Grant)?;
        if allocation.units == 0 || allocation.units < least {
            return Ok(Reserved::default());
        }
        self.ledger.hold(&allocation.draws);
        let place = self.pools.iter().position(|pool| pool.id == id).unwrap_or_else(|| {
            self.pools.push(Pool { id, holds: Few::new() });
            self.pools.len() - 1
        });
        let holds = &mut self.pools[place].holds;
        allocation.draws.iter().for_each(|draw| add(holds, *draw));
        Ok(Reserved { units: allocation.units, holds: holds.clone(), pool: Some(id), limited: allocation.limited })
    }

    /// Before grants: gives back what pools hold that no quota is left in, and that none of the request's will join.
    pub(super) fn release_idle_pools(&mut self, lines: &[Line<'a>]) {
        self.release_pools_unless(|this, id| {
            let joins = |line: &Line<'a>| {
                let asks = line.want.is_some() || this.asks_silently(line.key);
                asks && this.pool_it_joins(line) == Some(id)
            };
            lines.iter().any(joins)
        });
    }

    fn release_pools_unless(&mut self, goes_on: impl Fn(&Self, u32) -> bool) {
        for place in 0..self.pools.len() {
            let id = self.pools[place].id;
            let quotas = self.session.map_or(&[][..], |session| &session.quotas);
            let named = |key| self.steps.iter().any(|step| step.key == key);
            let untouched = quotas.iter().any(|quota| quota.pool == Some(id) && quota.granted > 0 && !named(quota.key));
            if !untouched && !goes_on(self, id) {
                let holds = std::mem::take(&mut self.pools[place].holds);
                self.ledger.release(&holds);
            }
        }
    }

    /// Every step of a pool says what the pool holds in the end; a report says it too, for its share has left.
    pub(super) fn settle_pools(&mut self) {
        if self.pools.is_empty() {
            return;
        }
        self.release_pools_unless(|this, id| this.steps.iter().any(|step| step.pool == Some(id) && step.granted > 0));
        for place in 0..self.steps.len() {
            let key = self.steps[place].key;
            let left = self.left_in_pool(key);
            let step = &mut self.steps[place];
            // A grant that stands alone now cannot be noted in one step with a pool: `pool_of` never makes one.
            let Some(id) = step.pool.or(left) else { continue };
            step.pool = Some(id);
            step.holds = self.pools.iter().find(|pool| pool.id == id).map_or_else(Few::new, |pool| pool.holds.clone());
        }
    }
}

fn add(holds: &mut Few<Draw>, draw: Draw) {
    match holds.iter_mut().find(|hold| hold.bucket == draw.bucket) {
        // Both are held in one bucket, which counts their sum.
        Some(hold) => hold.amount = hold.amount.saturating_add(draw.amount),
        None => holds.push(draw),
    }
}
