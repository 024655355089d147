//! What is to be done for the acts of an account, in the order of time.

use super::request::service_of;
use crate::{
    rating::{Attributes, Catalogs, Period},
    store::what_if::usage::{Act, Usage, What},
    time::Timestamp,
};

/// Changes of tariff and ends of days within one session that are told apart; what was used after them goes by the last. A
/// session that is open for longer than some weeks is none that a price list was made for.
const CHANGES_MAX: usize = 64;

/// A moment at which something is to be done for an act.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) at: Timestamp,
    /// The place of the act among all of the account.
    pub(super) act: usize,
    pub(super) what: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Begin,
    /// So much of the whole has been used by then: milliseconds of all milliseconds.
    Part((u64, u64)),
    End,
}

/// All that is to be done, in the order of time; at one moment in the order in which it was recorded.
pub(super) fn turns(acts: &[Act], catalogs: &Catalogs) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(2 * acts.len());
    for (index, Act { at, what, .. }) in acts.iter().enumerate() {
        let turn = |at: Timestamp, what: Phase| Turn { at, act: index, what };
        match what {
            What::Session(usage) => {
                turns.push(turn(usage.opened, Phase::Begin));
                turns.extend(
                    changes(usage, *at, catalogs).into_iter().map(|(then, part)| turn(then, Phase::Part(part))),
                );
                turns.push(turn(*at, Phase::End));
            }
            What::Event(_) | What::Refund(_) | What::Given(_) => turns.push(turn(*at, Phase::Begin)),
        }
    }
    // A stable sort: what belongs to one act stays in its order.
    turns.sort_by_key(|turn| (turn.at, turn.act));
    turns
}

/// The last moments of the tariffs, and of the days, of a session that is open from one moment to another. For a tariff
/// continuous time needs none: it is counted back from its end.
fn changes(usage: &Usage, ends: Timestamp, catalogs: &Catalogs) -> Vec<(Timestamp, (u64, u64))> {
    let catalog = &catalogs.at(usage.opened).catalog;
    let none = Attributes::default();
    let attributes = usage.attributes.as_deref().unwrap_or(&none);
    let mut moments = Vec::new();
    for used in &usage.uses {
        let Some(service) = service_of(catalog, usage, used).filter(|it| it.is_timed() && !it.continuous) else {
            continue;
        };
        let mut at = usage.opened;
        while moments.len() < CHANGES_MAX
            && let Some((then, _)) = service.next_change(attributes, at, ends.since(at).as_secs())
            && then < ends
        {
            moments.push(then);
            at = then;
        }
    }
    let day_ends = |at: Timestamp| Some(catalog.span(Period::Day, 1, at).1).filter(|midnight| *midnight < ends);
    moments.extend(std::iter::successors(day_ends(usage.opened), |at| day_ends(*at)).take(CHANGES_MAX));
    moments.sort_unstable();
    moments.dedup();
    let whole = ends.millis() - usage.opened.millis();
    let part =
        |then: Timestamp| (Timestamp::from_millis(then.millis() - 1), (then.millis() - usage.opened.millis(), whole));
    moments.into_iter().map(part).filter(|(at, _)| *at > usage.opened).collect()
}
