//! What a request's usage and grants ask of other open quotas, whose price goes by a counter that they move. See
//! [`crate::charging::beside`].

use super::Interrogator;
use crate::{
    charging::{
        Draw, RequestKind,
        beside::{self, Beside, OpenQuota},
        price_lists::PriceList,
        quota::{Allocation, Demand, Ledger},
        rate::Rate,
    },
    rating::PriceOverflow,
};

/// What a balance is with a reservation, and what other quotas hold then.
type Secured<'a> = (Ledger<'a>, Vec<OpenQuota<'a>>);

impl<'a> Interrogator<'a> {
    /// After all debits: usage beyond what was granted has moved counters further than others could know.
    pub(super) fn secure_others(&mut self) {
        let debits = || self.steps.iter().flat_map(|step| &step.debits);
        if !debits().any(|draw| self.ledger.moves_others(draw)) {
            return;
        }
        let moved: Vec<Draw> = debits().copied().collect();
        let mut open = self.open_quotas();
        self.beside().secure(&mut self.ledger, &mut open, &moved);
        self.note_raised(open);
    }

    /// Reserves at most `units`: as many as can be paid, together with what they may make dearer for others. Fewer than
    /// `least` are none, and nobody holds more for them.
    pub(super) fn reserve_beside_others(
        &mut self,
        rate: &Rate<'a>,
        units: u64,
        least: u64,
    ) -> Result<Allocation, PriceOverflow> {
        let allocation = self.ledger.allocate(rate, units, Demand::Grant)?;
        if allocation.units < least {
            return Ok(Allocation { limited: allocation.limited, ..Allocation::default() });
        }
        if !allocation.draws.iter().any(|draw| self.ledger.moves_others(draw)) {
            self.ledger.hold(&allocation.draws);
            return Ok(allocation);
        }
        if let Some(secured) = self.with_others_secured(&allocation) {
            self.settle_beside(secured);
            return Ok(allocation);
        }
        // Fewer units move the others' price less: always payable below, never at `above`.
        let (mut best, mut payable, mut above) = (None, 0, allocation.units);
        while above - payable > 1 {
            let middle = payable + (above - payable) / 2;
            let fewer = self.ledger.allocate(rate, middle, Demand::Grant)?;
            match self.with_others_secured(&fewer).filter(|_| fewer.units == middle) {
                Some(secured) => (best, payable) = (Some((fewer, secured)), middle),
                None => above = middle,
            }
        }
        let Some((fewer, secured)) = best.filter(|(fewer, _)| fewer.units >= least) else {
            return Ok(Allocation::default());
        };
        self.settle_beside(secured);
        Ok(fewer)
    }

    /// Tries a reservation; `None` = it cannot be paid together with what others must hold then.
    fn with_others_secured(&self, allocation: &Allocation) -> Option<Secured<'a>> {
        let mut ledger = self.ledger.clone();
        ledger.hold(&allocation.draws);
        let mut open = self.open_quotas();
        self.beside().secure(&mut ledger, &mut open, &allocation.draws).then_some((ledger, open))
    }

    fn settle_beside(&mut self, (ledger, open): Secured<'a>) {
        self.ledger = ledger;
        self.note_raised(open);
    }

    fn note_raised(&mut self, mut open: Vec<OpenQuota<'a>>) {
        for raised in open.iter_mut().filter(|one| one.raised && one.session.is_none()) {
            if let Some(step) = self.step(raised.quota.key) {
                step.holds = std::mem::take(&mut raised.quota.holds);
            }
        }
        beside::note(&mut self.reheld, open);
    }

    fn beside(&self) -> Beside<'a> {
        let own = PriceList { number: self.version, catalog: self.catalog };
        Beside { state: self.state, lists: self.lists, own, account: self.account, moment: self.moment }
    }

    /// All quotas of the account that hold something, as this request has left them so far.
    fn open_quotas(&self) -> Vec<OpenQuota<'a>> {
        let mut open = self.beside().open(&self.reheld);
        let own = self.session.map(|session| session.no);
        // What a session holds is released as it ends.
        let ends = self.request.kind == RequestKind::Termination;
        let is_changed = |key| ends || self.steps.iter().any(|step| step.key == key);
        open.retain(|one| one.session != own || !is_changed(one.quota.key));
        for step in self.steps.iter().filter(|step| step.granted > 0 && step.pool.is_none()) {
            let mut quota = self.quota(step.key).cloned().unwrap_or_default();
            for other in self.steps.iter().filter(|other| other.key == step.key && other.measure == step.measure) {
                quota.add_rated(other.tariff.as_ref(), other.rated);
            }
            (quota.key, quota.measure, quota.granted) = (step.key, step.measure, step.granted);
            quota.holds.clone_from(&step.holds);
            quota.terms.clone_from(&step.terms);
            (quota.validity_secs, quota.catalog) = (step.validity_secs, self.version);
            open.push(OpenQuota {
                session: None,
                context: self.request.context_name,
                member: self.ledger.member(),
                attributes: self.attributes.clone(),
                quota,
                raised: false,
            });
        }
        open
    }
}
