//! Open quotas beside the one that a decision is about, whose price goes by a counter that both move.
//!
//! Tiers that are counted over a day or a cycle make the price of what one session was granted depend on what others use
//! meanwhile. The invariant that keeps them from spending more than there is: *every open quota holds the dearest that its
//! units can cost, wherever its counter may stand when they come to be used*. With the counter at `p`, and `g` units of other
//! open quotas that count in it, a quota of `u` units is charged from some `s` in `p..=p + g` on, in one piece, as a report
//! ends its grant; so it holds at least `max cost(s -> s + u)` over these `s`, see [`crate::rating::Price::dearest_charge`].
//!
//! What keeps it true:
//! - A report of no more than was granted moves `p` and takes as much from `g`, so that the range of `s` of all others only
//!   shrinks. A quota that ends without a report takes from `g` alone. Neither needs anything to be held anew, and nothing
//!   is asked of the order of the tiers, nor whether the prices that share a counter are alike.
//! - A new grant adds to the `g` of all others, and a one-time event to their `p`: what they hold is raised in the same event,
//!   and if that cannot be paid, or would exceed a limit of whoever holds it, the newcomer gets fewer units, or none until the
//!   other has reported.
//! - Usage that nobody was granted, late usage, and a refund, which takes from `p`, cannot be refused. What others hold is
//!   raised as far as it can be paid, before anything is granted.
//!
//! Units that an allowance *behind* money was to pay for are paid with money instead where some has come in by the time they
//! are reported: they are held in the counters as if money was to pay for them, and hold no money.
//!
//! Blocks, set-up fees and minimums are within `dearest_charge`. Quotas of a credit pool are left out: no catalog gives
//! their services tiers or tariffs.

use std::sync::Arc;

use super::{
    Account, Draw, Given, MemberNo, Quota, State, Terms,
    contract::{Contract, Purpose},
    price_lists::{PriceList, PriceLists},
    quota::{Demand, Ledger, Tariff},
    rate::{Priced, Rate},
};
use crate::{
    few::Few,
    ids::{QuotaKey, SessionNo},
    rating::{Attributes, Service},
    time::Timestamp,
};

/// What another quota holds from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reheld {
    /// The session.
    pub session: SessionNo,
    /// The quota in it; not of a pool.
    pub key: QuotaKey,
    /// Instead of what it held.
    pub holds: Few<Draw>,
}

/// An open quota, and what its price depends on.
#[derive(Clone)]
pub(super) struct OpenQuota<'a> {
    /// `None` = granted by the decision in the making.
    pub(super) session: Option<SessionNo>,
    pub(super) context: &'a str,
    pub(super) member: MemberNo,
    pub(super) attributes: Option<Arc<Attributes>>,
    pub(super) quota: Quota,
    /// It holds more than before.
    pub(super) raised: bool,
}

/// What is needed to price the quotas of an account anew.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) state: &'a State,
    pub(super) lists: PriceLists<'a>,
    /// The version of the catalog for quotas from before versions had numbers.
    pub(super) own: PriceList<'a>,
    pub(super) account: &'a Account,
    /// By the client's clock.
    pub(super) moment: Timestamp,
}

impl<'a> Beside<'a> {
    /// The quotas of running sessions that hold something, as they are but for what `reheld` says.
    pub(super) fn open(&self, reheld: &[Reheld]) -> Vec<OpenQuota<'a>> {
        let sessions = self.account.sessions.iter().filter_map(|no| self.state.session(*no));
        let quotas = sessions.flat_map(|session| session.quotas.iter().map(move |quota| (session, quota)));
        let open = quotas.filter(|(_, quota)| quota.granted > 0 && quota.pool.is_none() && !quota.holds.is_empty());
        open.map(|(session, quota)| {
            let mut quota = quota.clone();
            if let Some(reheld) = reheld.iter().find(|it| it.session == session.no && it.key == quota.key) {
                quota.holds.clone_from(&reheld.holds);
            }
            OpenQuota {
                session: Some(session.no),
                context: &session.context,
                member: if quota.without_terms { MemberNo::SHARED } else { session.member },
                attributes: session.attributes.clone(),
                quota,
                raised: false,
            }
        })
        .collect()
    }

    /// Has quotas hold what they may come to cost, as far as they count in a counter of tiers that one of these draws
    /// moves. Whether all of it could be paid: if not, the others are raised all the same.
    pub(super) fn secure(&self, ledger: &mut Ledger<'a>, open: &mut [OpenQuota<'a>], draws: &[Draw]) -> bool {
        let moved = |ledger: &Ledger<'_>, hold: &Draw| {
            ledger.is_tier_counter(hold.bucket) && draws.iter().any(|draw| draw.bucket == hold.bucket)
        };
        let payer = ledger.member();
        let mut all = true;
        for one in open.iter_mut() {
            if one.quota.holds.iter().any(|hold| moved(ledger, hold)) {
                ledger.turn_to(one.member);
                all &= self.raise(ledger, one).unwrap_or(true);
            }
        }
        ledger.turn_to(payer);
        all
    }

    /// Whether a quota holds what it may cost; `None` = nobody knows its price any more.
    fn raise(&self, ledger: &mut Ledger<'a>, one: &mut OpenQuota<'a>) -> Option<bool> {
        let rate = self.rate(ledger, one)?;
        let counted = one.quota.holds.iter().find(|hold| ledger.is_tier_counter(hold.bucket))?.amount.unsigned_abs();
        let by_money = counted.saturating_sub(ledger.behind_money(&one.quota.holds));
        let needed = rate.dearest_share(by_money).ok()?;
        if needed.micros() <= ledger.money_of(&one.quota.holds) {
            return Some(true);
        }
        ledger.release(&one.quota.holds);
        let found = ledger.allocate(&rate, one.quota.granted, Demand::Grant).ok();
        ledger.settle();
        match found.filter(|found| found.units == one.quota.granted) {
            Some(found) => {
                ledger.hold(&found.draws);
                one.quota.holds = found.draws;
                one.raised = true;
                Some(true)
            }
            None => {
                ledger.hold(&one.quota.holds);
                Some(false)
            }
        }
    }

    /// By what the units of an open quota may be charged.
    fn rate(&self, ledger: &mut Ledger<'a>, one: &OpenQuota<'a>) -> Option<Rate<'a>> {
        let list = self.lists.get_or(one.quota.catalog, self.own);
        let QuotaKey { rating_group, service_identifier, .. } = one.quota.key;
        let service = list.catalog.service(list.catalog.context(one.context)?, rating_group, service_identifier)?;
        let tariff = Tariff::Service(service);
        if tariff.measure() != one.quota.measure {
            return None;
        }
        let contract = Contract::of(list.catalog, self.account, one.member, self.moment);
        let keep = Given::keep(one.quota.terms.as_ref().and_then(|terms| terms.discount.as_ref()));
        let mut sides = Vec::new();
        for priced in self.prices(service, one)? {
            let rated = one.quota.rated_as(priced.position().as_ref());
            sides.extend(contract.held_at(ledger, priced, service.kind, keep, rated, &one.quota.holds));
        }
        let mut rate = Rate::new(tariff, *sides.first()?);
        rate.others.extend(sides.drain(1..));
        let counted = contract.counted(ledger, tariff, Purpose::Grant(one.quota.validity_secs));
        Some(rate.counted_in(counted))
    }

    /// All prices that a part of the units may be charged by.
    fn prices(&self, service: &'a Service, one: &OpenQuota<'a>) -> Option<Vec<Priced<'a>>> {
        let terms = one.quota.terms.as_deref();
        let named = |name: Option<&Arc<str>>| match name {
            None => Some(Priced::by(service, None)),
            Some(name) => service.tariff_by_name(name).map(|tariff| Priced::by(service, Some(tariff))),
        };
        let told = |terms: &Terms| terms.change.as_ref().map(|change| change.tariff.clone());
        let mut prices = vec![named(terms.and_then(|terms| terms.tariff.as_ref()))?];
        if let Some(later) = terms.and_then(told) {
            prices.push(named(later.as_ref())?);
        } else if service.continuous && !service.tariffs().is_empty() {
            let attributes = one.attributes.clone().unwrap_or_default();
            let validity = u64::from(one.quota.validity_secs);
            let next = service.next_change(&attributes, self.moment, validity);
            prices.extend(next.map(|(_, later)| Priced::by(service, later)));
        }
        Some(prices.into_iter().flat_map(|priced| [Some(priced), priced.uplink()]).flatten().collect())
    }
}

/// What has to be written down of quotas that hold more than before.
pub(super) fn note(reheld: &mut Vec<Reheld>, open: Vec<OpenQuota<'_>>) {
    for OpenQuota { session, quota, .. } in open.into_iter().filter(|one| one.raised) {
        let Some(session) = session else { continue };
        reheld.retain(|known| known.session != session || known.key != quota.key);
        reheld.push(Reheld { session, key: quota.key, holds: quota.holds });
    }
}
