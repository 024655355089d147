//! What is due for an account by itself: the next period of a product, the end of a cycle, of its validity. One thing at a
//! time, the earliest first, so that each happens as of its own moment whenever it is looked at: in the background, or right
//! before the account is used.

use super::{Account, AccountState, Decided, Event, State, cycles, draft::Draft, products};
use crate::{ids::AccountId, rating::Catalog, time::Timestamp};

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// For the billing cycles.
    Cycle(cycles::Step),
    /// For the subscription with this number.
    Product(u32),
}

/// What is due next, and when. Of several things at the same moment the first in this order comes first: a cycle is settled
/// before the fees of the next one are charged.
fn next(account: &Account) -> Option<(Timestamp, Due)> {
    let cycle = cycles::next(account).map(|(at, step)| (at, Due::Cycle(step)));
    let product = products::next(account).map(|(at, no)| (at, Due::Product(no)));
    [cycle, product].into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// Decides the next thing that is due; nothing if nothing is.
pub(super) fn decide(
    state: &State,
    catalog: &Catalog,
    account: AccountId,
    _use_begins: bool,
    now: Timestamp,
) -> Decided {
    let account = state.account(account).filter(|account| account.state != AccountState::Terminated);
    let Some(account) = account.filter(|account| account.profile.is_some()) else { return Decided::done(None) };
    let mut draft = Draft::new(account, catalog, now);
    match next(account).filter(|(at, _)| *at <= now) {
        Some((_, Due::Cycle(step))) => {
            draft.changed.reason = "billing cycle".into();
            cycles::turn(&mut draft, step);
        }
        Some((at, Due::Product(no))) => {
            draft.changed.reason = "product is due".into();
            products::turn(&mut draft, no, at);
        }
        None => return Decided::done(None),
    }
    Decided::done(Some(Event::AccountChanged(Box::new(draft.finish(state)))))
}
