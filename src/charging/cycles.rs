//! Billing cycles: when they end and close, and what they came to. Closing one stops nothing: usage goes on in the next.

use std::sync::Arc;

use super::{Account, Cycle, HistoryKind, NoticeKind, Refusal, Statement, draft::Draft, products};
use crate::{
    ids::BucketId,
    rating::{Catalog, Period},
    time::Timestamp,
    units::Money,
};

/// The name of the counter of all money that usage costs in a cycle, whoever used it.
pub const CYCLE_COUNTER: &str = "cycle";
/// What is missing to the least that products want spent is charged under this name.
const FLOOR: &str = "floor";

/// What is due for the cycles of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// No more usage can arrive for the one before.
    Close,
    /// The one that runs ends.
    End,
}

/// The next step, and when.
pub(super) fn next(account: &Account) -> Option<(Timestamp, Step)> {
    let profile = account.profile.as_deref()?;
    let ends = profile.cycle.as_ref().map(|cycle| cycle.ends);
    // There is room for one before: it closes when the next one ends, at the latest.
    let closes = profile.previous.as_ref().map(|cycle| ends.map_or(cycle.closes, |ends| ends.min(cycle.closes)));
    let steps = [closes.map(|at| (at, Step::Close)), ends.map(|at| (at, Step::End))];
    steps.into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// Takes a step that is due.
pub(super) fn turn(draft: &mut Draft<'_>, step: Step) {
    match step {
        Step::Close => close(draft),
        Step::End => end(draft),
    }
}

/// Cycles begin on this day of the month. The first one begins now; one that runs ends as it would have.
pub(super) fn set_day(draft: &mut Draft<'_>, day: u8) -> Result<(), Refusal> {
    if !(1..=28).contains(&day) {
        return Err(Refusal::NotPossible(format!("a cycle begins on a day from 1 to 28, not on {day}")));
    }
    draft.profile().cycle_day = day;
    draft.changed.cycle_day = Some(day);
    if draft.profile().cycle.is_none() {
        let first = begin(draft, draft.now);
        draft.change_cycles(|cycles| cycles.0 = Some(first));
    }
    Ok(())
}

fn begin(draft: &mut Draft<'_>, at: Timestamp) -> Cycle {
    let (catalog, profile) = (draft.catalog, draft.profile());
    let ends = next_start(catalog, profile.cycle_day(), at);
    let plan = profile.plan.as_ref().and_then(|plan| catalog.plan(plan));
    let closes = ends.plus_secs(plan.map_or(0, |plan| plan.late_usage_secs));
    Cycle { starts: at, ends, closes, opening: draft.account.balance(), ..Cycle::default() }
}

/// When the next cycle begins, for an account whose cycles begin on a day of the month.
pub(super) fn next_start(catalog: &Catalog, day: u8, now: Timestamp) -> Timestamp {
    catalog.span(Period::Cycle, day, now).1
}

fn end(draft: &mut Draft<'_>) {
    let Some(mut ended) = draft.profile().cycle.clone() else { return };
    let subscriptions = draft.profile().subscriptions.clone();
    for subscription in &subscriptions {
        ended.floor = ended.floor.saturating_add(products::floor(draft, subscription, ended.ends));
    }
    let next = begin(draft, ended.ends);
    let waits = ended.closes > ended.ends;
    draft.change_cycles(|cycles| *cycles = (Some(next), Some(ended)));
    if !waits {
        close(draft);
    }
}

/// Makes the statement of the cycle before: what is missing to its floor is charged with it. The next cycle goes on from
/// where this one has come to, with the usage that arrived late.
fn close(draft: &mut Draft<'_>) {
    let Some(cycle) = draft.profile().previous.take() else { return };
    let running = draft.profile().cycle.take();
    let usage = cycle.usage(&draft.account);
    let missing = cycle.floor.saturating_sub(usage).max(Money::ZERO);
    let fees = if missing.is_positive() && draft.can_count(missing) {
        draft.enter(HistoryKind::Fee, BucketId::MAIN, -missing.micros(), &Arc::from(FLOOR));
        cycle.fees.saturating_add(missing)
    } else {
        cycle.fees
    };
    let Cycle { starts, ends, opening, credits, .. } = cycle;
    let closing = opening.saturating_add(credits).saturating_sub(usage).saturating_sub(fees);
    draft.change_cycles(|cycles| cycles.0 = running.map(|running| Cycle { opening: closing, ..running }));
    draft.changed.statement = Some(Box::new(Statement { starts, ends, opening, usage, fees, credits, closing }));
    draft.tell(NoticeKind::CycleClosed { starts, ends, usage, fees });
}

impl Cycle {
    /// Money that usage which happened in it has cost so far.
    pub fn usage(&self, account: &Account) -> Money {
        let counters = account.profile.iter().flat_map(|profile| &profile.counters);
        let of_cycle = counters.filter(|counter| {
            *counter.name == *CYCLE_COUNTER && self.starts < counter.ends && counter.ends <= self.ends
        });
        Money::from_micros(of_cycle.fold(0i64, |sum, counter| sum.saturating_add(counter.used)))
    }
}
