//! What is due for an account by itself: the next period of a product, the end of a cycle, of its validity. One thing at a
//! time, the earliest first, so that each happens as of its own moment whenever it is looked at: in the background, or right
//! before the account is used.

mod life;

use super::{Account, AccountChanged, AccountState, Decided, Event, State, life::begin, life::plan_of};
use crate::{ids::AccountId, rating::Catalog, time::Timestamp};

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
    let sources: [Source; 1] = [(life::next_due(account), life::decide)];
    let due = sources.into_iter().filter_map(|(at, decide)| Some((at.filter(|at| *at <= now)?, decide)));
    let (at, changed) = match due.min_by_key(|(at, _)| *at) {
        Some((at, decide)) => (at, decide(state, catalog, account, at)),
        None if use_begins && account.waits_for_use() => (now, begin(account, plan_of(catalog, account), now)),
        None => return Decided::done(None),
    };
    let changed = AccountChanged { at, account: account.id, ..changed };
    Decided::done(Some(Event::AccountChanged(Box::new(changed))))
}

/// When something of one kind is due, and what it is then.
type Source = (Option<Timestamp>, fn(&State, &Catalog, &Account, Timestamp) -> AccountChanged);
