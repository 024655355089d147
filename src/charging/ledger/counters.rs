//! What is counted beside what is paid: spans of counters, found by the moment of usage, or begun.

use super::Ledger;
use crate::{
    charging::{Account, CYCLE_COUNTER, Counter, Cycle, Draw, Measure, MemberNo},
    ids::BucketId,
    rating::{Catalog, Period},
    time::Timestamp,
};

/// What the names of counters for tiers begin with: those for limits have the limit's name. No name in a catalog has a
/// slash.
pub(in crate::charging) const TIERS: &str = "tiers/";

/// A counter for the length of one decision.
#[derive(Clone)]
pub(super) struct Tally {
    /// As it is in the account, or as it begins.
    pub(super) counter: Counter,
    pub(super) used: i64,
    pub(super) reserved: i64,
    /// Its span begins with this decision, if anything comes to be counted in it.
    is_new: bool,
}

/// Where a counter stands in a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::charging) struct Place(usize);

/// What is to be counted: a name, for whom, over which spans.
#[derive(Debug, Clone, Copy)]
pub(in crate::charging) struct Counting<'n> {
    /// What kinds of names begin with, so that names of different kinds are different.
    pub(in crate::charging) prefix: &'static str,
    pub(in crate::charging) name: &'n str,
    pub(in crate::charging) member: MemberNo,
    pub(in crate::charging) measure: Measure,
    pub(in crate::charging) period: Period,
    /// The day on which the account's cycles begin.
    pub(in crate::charging) cycle_day: u8,
    /// How long usage may still arrive after the end of a span, in seconds.
    pub(in crate::charging) late_secs: u64,
}

impl Counting<'_> {
    fn is_in(&self, counter: &Counter) -> bool {
        counter.member == self.member
            && counter.measure == self.measure
            && counter.name.strip_prefix(self.prefix) == Some(self.name)
    }
}

/// The counters of an account, or of a member of it, as they are.
pub(super) fn of(account: &Account, member: MemberNo) -> Vec<Tally> {
    let counters = account.profile.as_deref().map_or(&[][..], |profile| &profile.counters);
    let tally = |counter: &Counter| Tally {
        counter: counter.clone(),
        used: counter.used,
        reserved: counter.reserved,
        is_new: false,
    };
    counters.iter().filter(|counter| counter.member == member).map(tally).collect()
}

impl Ledger<'_> {
    /// The counter for usage that happened, or will happen, at a moment. A span that does not accept any more gives way to
    /// the one that runs now.
    pub(in crate::charging) fn counter(&mut self, what: Counting<'_>, catalog: &Catalog, at: Timestamp) -> Place {
        let open = |tally: &Tally, at: Timestamp| {
            what.is_in(&tally.counter) && tally.counter.starts <= at && at < tally.counter.ends
        };
        for at in [at, self.now] {
            let known = self.tallies.iter().position(|tally| open(tally, at));
            if let Some(known) = known.filter(|known| self.tallies[*known].counter.closes > self.now) {
                return Place(known);
            }
            let (starts, ends) = catalog.span(what.period, what.cycle_day, at);
            let closes = ends.plus_secs(what.late_secs);
            if known.is_none() && closes > self.now {
                return self.begin(what, (starts, ends, closes));
            }
        }
        // A span of now is open now: only a counter with wrong dates comes here, and a span of its own does no harm.
        let (starts, ends) = catalog.span(what.period, what.cycle_day, self.now);
        self.begin(what, (starts, ends, ends.plus_secs(what.late_secs)))
    }

    /// The counter for what usage costs in a billing cycle.
    pub(in crate::charging) fn cycle_counter(&mut self, cycle: &Cycle) -> Place {
        let what = Counting {
            prefix: "",
            name: CYCLE_COUNTER,
            member: MemberNo::SHARED,
            measure: Measure::Money,
            period: Period::Cycle,
            cycle_day: 0,
            late_secs: 0,
        };
        let is_it = |tally: &Tally| {
            what.is_in(&tally.counter) && (tally.counter.starts, tally.counter.ends) == (cycle.starts, cycle.ends)
        };
        match self.tallies.iter().position(is_it) {
            Some(known) => Place(known),
            None => self.begin(what, (cycle.starts, cycle.ends, cycle.closes)),
        }
    }

    fn begin(&mut self, what: Counting<'_>, (starts, ends, closes): (Timestamp, Timestamp, Timestamp)) -> Place {
        let begun = self.tallies.iter().filter(|tally| tally.is_new).count();
        // An account never has four thousand million buckets and counters.
        let id = BucketId(self.account.next_bucket.saturating_add(u32::try_from(begun).unwrap_or(u32::MAX)));
        let name =
            if what.prefix.is_empty() { what.name.into() } else { format!("{}{}", what.prefix, what.name).into() };
        let Counting { member, measure, .. } = what;
        let counter = Counter { id, name, member, measure, starts, ends, closes, used: 0, reserved: 0, refused: false };
        self.tallies.push(Tally { counter, used: 0, reserved: 0, is_new: true });
        Place(self.tallies.len() - 1)
    }

    pub(super) fn tally_mut(&mut self, id: BucketId) -> Option<&mut Tally> {
        self.tallies.iter_mut().find(|tally| tally.counter.id == id)
    }

    pub(super) fn tally(&self, place: Place) -> &Tally {
        // Tallies are never taken out, so a place that was given out is there.
        &self.tallies[place.0]
    }

    /// What is counted there.
    pub(in crate::charging) fn counter_at(&self, place: Place) -> &Counter {
        &self.tally(place).counter
    }

    /// Micro-units or units so far, and what others hold.
    pub(in crate::charging) fn counted(&self, place: Place) -> (i64, i64) {
        let tally = self.tally(place);
        (tally.used, tally.reserved)
    }

    /// When a counter's span ends, and until when it counts what happened in it.
    pub(in crate::charging) fn span(&self, place: Place) -> (Timestamp, Timestamp) {
        let counter = &self.tally(place).counter;
        (counter.ends, counter.closes)
    }

    pub(in crate::charging) fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether tiers go by a counter.
    pub(in crate::charging) fn is_tier_counter(&self, id: BucketId) -> bool {
        self.tallies.iter().any(|tally| tally.counter.id == id && tally.counter.name.starts_with(TIERS))
    }

    /// Whether more in a counter may make dearer what others hold in it.
    pub(in crate::charging) fn moves_others(&self, draw: &Draw) -> bool {
        self.tallies
            .iter()
            .any(|tally| tally.counter.id == draw.bucket && tally.reserved > 0 && tally.counter.name.starts_with(TIERS))
    }

    /// The counters of a kind that a reservation counts in, each with how much others hold in it.
    pub(in crate::charging) fn held_in<'l>(
        &'l self,
        what: Counting<'l>,
        holds: &'l [Draw],
    ) -> impl Iterator<Item = (Place, i64)> + 'l {
        self.tallies.iter().enumerate().filter(move |(_, tally)| what.is_in(&tally.counter)).filter_map(
            move |(place, tally)| {
                let own = holds.iter().find(|hold| hold.bucket == tally.counter.id)?.amount;
                Some((Place(place), tally.reserved.saturating_sub(own)))
            },
        )
    }

    /// Whether more than `own` is held in a counter.
    pub(in crate::charging) fn is_held_beside(&self, place: Place, own: &[Draw]) -> bool {
        let tally = self.tally(place);
        let own: i64 = own.iter().filter(|draw| draw.bucket == tally.counter.id).map(|draw| draw.amount).sum();
        tally.reserved > own
    }

    /// Counters with a name that have counted more in this decision: each as it was, and to what.
    pub(in crate::charging) fn risen<'l>(
        &'l self,
        name: &'l str,
        measure: Measure,
    ) -> impl Iterator<Item = (&'l Counter, i64)> + 'l {
        let is_it = move |tally: &&Tally| *tally.counter.name == *name && tally.counter.measure == measure;
        let risen = self.tallies.iter().filter(is_it).filter(|tally| tally.used > tally.counter.used);
        risen.map(|tally| (&tally.counter, tally.used))
    }

    /// Counters that begin with this decision.
    pub(in crate::charging) fn begun(&self) -> Vec<Counter> {
        let begins = |tally: &&Tally| tally.is_new && (tally.used != 0 || tally.reserved != 0);
        self.tallies.iter().filter(begins).map(|tally| tally.counter.clone()).collect()
    }
}
