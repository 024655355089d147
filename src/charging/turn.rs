//! What is due for an account by itself: the next period of a product, the end of a cycle, of its validity. One thing at a
//! time, the earliest first, so that each happens as of its own moment whenever it is looked at: in the background, or right
//! before the account is used.

mod life;

use super::{
    Account, AccountChanged, AccountState, Decided, Event, State, cycles,
    draft::Draft,
    life::{begin, plan_of},
    lifecycle, products,
};
use crate::{ids::AccountId, rating::Catalog, time::Timestamp};

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// In the account's life, or for money that runs out.
    Life,
    /// For the billing cycles.
    Cycle(cycles::Step),
    /// For the subscription with this number.
    Product(u32),
    /// For a limit that has refused something: its span ends.
    Limit,
}

/// What is due next, and when. Of several things at the same moment the first in this order comes first: a life that ends
/// buys nothing more, and a cycle is settled before the fees of the next one are charged.
fn next(account: &Account) -> Option<(Timestamp, Due)> {
    let life = account.next_in_life().map(|at| (at, Due::Life));
    let cycle = cycles::next(account).map(|(at, step)| (at, Due::Cycle(step)));
    let product = products::next(account).map(|(at, no)| (at, Due::Product(no)));
    let counters = account.profile.iter().flat_map(|profile| &profile.counters);
    let limit =
        counters.filter(|counter| counter.refused).map(|counter| (counter.ends, Due::Limit)).min_by_key(|it| it.0);
    [life, cycle, product, limit].into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// Decides the next thing that is due; nothing if nothing is.
pub(super) fn decide(
    state: &State,
    catalog: &Catalog,
    account: AccountId,
    use_begins: bool,
    now: Timestamp,
) -> Decided {
    let Some(account) = state.account(account).filter(|account| account.state != AccountState::Terminated) else {
        return Decided::done(None);
    };
    let drafted = |reason: &str, change: &dyn Fn(&mut Draft<'_>)| {
        let mut draft = Draft::new(account, catalog, now);
        draft.changed.reason = reason.into();
        change(&mut draft);
        draft.finish(state)
    };
    let changed = match next(account).filter(|(at, _)| *at <= now) {
        Some((at, Due::Life)) => life::turn(state, catalog, account, at, now),
        Some((_, Due::Cycle(step))) => drafted("billing cycle", &|draft| cycles::turn(draft, step)),
        Some((at, Due::Product(no))) => drafted("product is due", &|draft| products::turn(draft, no, at)),
        Some((at, Due::Limit)) => limits_end(state, account, at),
        None if use_begins && account.waits_for_use() => {
            let begun = begin(state, catalog, account, plan_of(catalog, account), now);
            AccountChanged { reason: "first use".into(), ..begun }
        }
        None => return Decided::done(None),
    };
    let changed = AccountChanged { at: now, account: account.id, ..changed };
    Decided::done(Some(Event::AccountChanged(Box::new(changed))))
}

/// Spans of limits have ended: who was refused on account of them is asked again, as after a top-up.
fn limits_end(state: &State, account: &Account, at: Timestamp) -> AccountChanged {
    let counters = account.profile.iter().flat_map(|profile| &profile.counters);
    let ended = counters.filter(|counter| counter.refused && counter.ends <= at);
    let asked = account.state == AccountState::Active;
    AccountChanged {
        reason: "span of a limit has ended".into(),
        spans_ended: ended.map(|counter| counter.id).collect(),
        reauthorise: if asked { lifecycle::all_waiting(state, account) } else { Vec::new() },
        ..AccountChanged::default()
    }
}
