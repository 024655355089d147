//! Billing cycles: when they end and close, and what they came to. Closing one stops nothing: usage goes on in the next.

use std::sync::Arc;

use super::{Account, Counter, Cycle, FeeKind, NoticeKind, Refusal, Statement, draft::Draft, products};
use crate::{
    rating::{Catalog, Period},
    time::Timestamp,
    units::Money,
};

/// The name of the counter of all money that usage costs in a cycle, whoever used it.
pub const CYCLE_COUNTER: &str = "cycle/usage";
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
        return Err(Refusal::Invalid(format!("a cycle begins on a day from 1 to 28, not on {day}")));
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
        draft.enter_fee(FeeKind::Floor, missing, &Arc::from(FLOOR));
        cycle.fees.saturating_add(missing)
    } else {
        cycle.fees
    };
    let Cycle { starts, ends, opening, credits, .. } = cycle;
    let closing = opening.saturating_add(credits).saturating_sub(usage).saturating_sub(fees);
    draft.change_cycles(|cycles| cycles.0 = running.map(|running| Cycle { opening: closing, ..running }));
    let floor = cycle.floor;
    draft.changed.statement = Some(Box::new(Statement { starts, ends, opening, usage, fees, credits, closing, floor }));
    draft.tell(NoticeKind::CycleClosed { starts, ends, usage, fees });
}

impl Cycle {
    /// Money that usage which happened in it has cost so far.
    pub fn usage(&self, account: &Account) -> Money {
        let counters = account.profile.iter().flat_map(|profile| &profile.counters);
        let of_cycle = counters.filter(|counter| self.counts(counter));
        Money::from_micros(of_cycle.fold(0i64, |sum, counter| sum.saturating_add(counter.used)))
    }

    /// Whether a counter is of its usage.
    pub(super) fn counts(&self, counter: &Counter) -> bool {
        *counter.name == *CYCLE_COUNTER && self.starts < counter.ends && counter.ends <= self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        charging::{
            AccountChanged, AccountSpec, Command, Event, Manage, ManageCommand, Measure, MemberNo, Retention, State,
            When, decide,
        },
        ids::{AccountId, BucketId},
    };

    const CATALOG: &str = include_str!("../../tests/it/charging_tables/products.toml");
    const ACCOUNT: AccountId = AccountId(1);
    /// 2026-03-01T00:00:00Z.
    const MARCH: Timestamp = Timestamp::from_secs(1_772_323_200);
    const DAY: u64 = 86_400;

    struct World {
        catalog: Catalog,
        state: State,
    }

    impl World {
        fn execute(&mut self, command: &Command<'_>, now: Timestamp) -> Option<Event> {
            let event = decide(&self.state, &self.catalog, command, now).event?;
            self.state.apply(&event);
            self.state.check().unwrap();
            Some(event)
        }

        fn manage(&mut self, what: Manage<'_>) {
            let command = ManageCommand { account: ACCOUNT, request_id: "", reason: "", what };
            self.execute(&Command::Manage(command), MARCH).unwrap();
        }

        fn catch_up(&mut self, now: Timestamp) -> Option<Statement> {
            let command = Command::CatchUp { account: ACCOUNT, use_begins: false };
            match self.execute(&command, now) {
                Some(Event::AccountChanged(change)) => change.statement.map(|statement| *statement),
                other => panic!("{other:?}"),
            }
        }

        fn profile(&self) -> &crate::charging::Profile {
            self.state.account(ACCOUNT).unwrap().profile.as_deref().unwrap()
        }
    }

    /// An account with 100.00 and a plan that waits two days for late usage, in its first cycle.
    fn world() -> World {
        let catalog = Catalog::from_toml(CATALOG).unwrap();
        let mut world = World { state: State::new(Retention::default()), catalog };
        let spec = AccountSpec {
            id: ACCOUNT,
            currency: world.catalog.currency(),
            balance: Money::from_micros(100_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        world.execute(&Command::CreateAccount(spec), MARCH).unwrap();
        let plan = AccountChanged { account: ACCOUNT, plan: Some(Some("late".into())), ..AccountChanged::default() };
        world.state.apply(&Event::AccountChanged(Box::new(plan)));
        world.manage(Manage::SetCycleDay(1));
        world
    }

    /// Usage that was charged in the cycle: counted, and taken from the balance.
    fn use_money(world: &mut World, micros: i64) {
        let cycle = world.profile().cycle.clone().unwrap();
        let counter = Counter {
            id: BucketId(7),
            name: CYCLE_COUNTER.into(),
            member: MemberNo::SHARED,
            measure: Measure::Money,
            starts: cycle.starts,
            ends: cycle.ends,
            closes: cycle.closes,
            used: micros,
            reserved: 0,
            refused: false,
        };
        let begun = AccountChanged { account: ACCOUNT, begun: vec![counter], ..AccountChanged::default() };
        world.state.apply(&Event::AccountChanged(Box::new(begun)));
    }

    #[test]
    fn a_cycle_waits_for_late_usage_and_charges_what_is_missing_to_its_floor() {
        let mut world = world();
        world.manage(Manage::Buy { product: "floor", member: MemberNo::SHARED, start: When::Now });
        use_money(&mut world, 12_000_000);
        let april = MARCH.plus_secs(31 * DAY);
        assert_eq!(world.profile().next_due(), Some(april));
        // The cycle ends, and the product renews with it; its statement waits.
        assert_eq!(world.catch_up(april), None);
        assert_eq!(world.catch_up(april), None);
        let before = world.profile().previous.clone().unwrap();
        assert_eq!((before.ends, before.closes), (april, april.plus_secs(2 * DAY)));
        assert_eq!(before.floor, Money::from_micros(20_000_000));
        assert_eq!(world.profile().next_due(), Some(before.closes));

        let statement = world.catch_up(april.plus_secs(2 * DAY)).unwrap();
        let money = Money::from_micros;
        assert_eq!((statement.opening, statement.usage), (money(100_000_000), money(12_000_000)));
        assert_eq!(
            (statement.fees, statement.closing),
            (money(8_000_000), money(80_000_000)),
            "20.00 were to be spent"
        );
        let running = world.profile().cycle.clone().unwrap();
        assert_eq!((running.opening, running.fees), (statement.closing, Money::ZERO), "the fee was that of March");
        assert_eq!(world.profile().previous, None);
    }

    #[test]
    fn usage_above_the_floor_pays_for_it() {
        let mut world = world();
        world.manage(Manage::Buy { product: "floor", member: MemberNo::SHARED, start: When::Now });
        use_money(&mut world, 20_000_000);
        let late = MARCH.plus_secs(40 * DAY);
        let mut statements = std::iter::from_fn(|| Some(world.catch_up(late)));
        let statement = statements.find_map(|statement| statement).unwrap();
        assert_eq!((statement.usage, statement.fees), (Money::from_micros(20_000_000), Money::ZERO));
    }

    #[test]
    fn usage_belongs_to_the_cycle_in_which_it_happened() {
        let mut world = world();
        let april = MARCH.plus_secs(31 * DAY);
        world.catch_up(april);
        let profile = world.profile();
        let starts = |at| profile.cycle_at(at).unwrap().starts;
        assert_eq!(starts(april.plus_secs(1)), april);
        assert_eq!(starts(Timestamp::from_millis(april.millis() - 1)), MARCH);
    }
}
