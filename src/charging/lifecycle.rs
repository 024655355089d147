//! What a change of balance means for the account's life: credit stop, reconnect, thresholds (design section 6).

use super::{
    Account, AccountChanged, AccountState, BucketKind, MemberNo, Notice, NoticeKind, Quota, Session, State,
    bonus::Bonus, payer::Payer, quota::Ledger,
};
use crate::{
    ids::{BucketId, SessionNo},
    rating::{Catalog, ThresholdKind},
    time::Timestamp,
    units::Money,
};

/// Whether nothing can be granted any more: nothing is left, or the account's validity has ended.
pub(super) fn is_exhausted(account: &Account, ledger: &Ledger<'_>) -> bool {
    is_lapsed(account) || has_nothing_left(account, ledger, &Bonus::default())
}

/// Whether the account's validity has ended: what costs something is not granted. The red list is never stopped.
pub(super) fn is_lapsed(account: &Account) -> bool {
    !account.never_stop && account.is_lapsed()
}

/// Whether nothing is left that could pay: money at or below zero (or the credit limit) and no units in any allowance. It
/// is the line of all members that is stopped, so that nothing may be left to any of them; and what a member has of its own
/// does not pay what the others owe.
pub(super) fn has_nothing_left(account: &Account, ledger: &Ledger<'_>, bonus: &Bonus) -> bool {
    let money = ledger.usable_shared().saturating_add(bonus.money());
    money.saturating_add(account.credit_limit) <= Money::ZERO
        && !ledger.has_units()
        && !bonus.has_units()
        && !ledger.has_own_money()
}

/// The sessions of an account that wait for credit: a credit to what is shared should make them ask again (spec C-104).
pub(super) fn waiting(state: &State, account: &Account) -> Vec<SessionNo> {
    waiting_for(state, account, &[MemberNo::SHARED])
}

/// The sessions of an account that wait for credit, whoever's.
pub(super) fn all_waiting(state: &State, account: &Account) -> Vec<SessionNo> {
    let waits = |session: &Session| session.quotas.iter().any(Quota::wants_credit);
    account.sessions.iter().copied().filter(|no| state.session(*no).is_some_and(waits)).collect()
}

/// The sessions of an account that have been granted something.
pub(super) fn granted(state: &State, account: &Account) -> Vec<SessionNo> {
    let has_grant = |session: &Session| session.quotas.iter().any(|quota| quota.granted > 0);
    account.sessions.iter().copied().filter(|no| state.session(*no).is_some_and(has_grant)).collect()
}

/// The sessions of an account that wait for credit, and may use what belongs to one of these.
pub(super) fn waiting_for(state: &State, account: &Account, owners: &[MemberNo]) -> Vec<SessionNo> {
    let waits = |no: &SessionNo| {
        state.session(*no).is_some_and(|session| {
            session.quotas.iter().any(Quota::wants_credit)
                && Payer::of(account, session.member).owners().iter().flatten().any(|owner| owners.contains(owner))
        })
    };
    account.sessions.iter().copied().filter(waits).collect()
}

/// The sessions of an account that wait for credit, and may get some by what has been given to it: they may use a bucket of it,
/// or a product holds for them.
pub(super) fn waiting_for_given(state: &State, account: &Account, given: &AccountChanged) -> Vec<SessionNo> {
    let owner = |id: BucketId| account.bucket(id).map(|bucket| bucket.owner);
    let filled = given.entries.iter().filter(|entry| entry.amount > 0).filter_map(|entry| owner(entry.bucket));
    let opened = given.buckets.iter().filter(|bucket| bucket.amount > 0).map(|bucket| bucket.owner);
    let owners: Vec<MemberNo> = filled.chain(opened).collect();
    let mut waiting = waiting_for(state, account, &owners);
    let begun: Vec<MemberNo> = given.subscriptions.iter().filter(|it| it.begun).map(|it| it.member).collect();
    let helped = |no: &SessionNo| {
        let session = state.session(*no).filter(|session| session.quotas.iter().any(Quota::wants_credit));
        session.is_some_and(|session| begun.contains(&MemberNo::SHARED) || begun.contains(&session.member))
    };
    if !begun.is_empty() {
        let others = account.sessions.iter().copied().filter(helped);
        waiting.extend(others.filter(|no| !waiting.contains(no)).collect::<Vec<_>>());
    }
    waiting
}

/// How long a session that waits for credit is not asked again on account of what other sessions release: what they release
/// may never be enough for it.
const WAKE_EVERY_SECS: u64 = 60;

/// The sessions of an account, other than one, that wait for credit and may get some of what that one has released (spec
/// C-104). Each is asked now and then only, so that sessions cannot keep each other asking.
pub(super) fn waiting_others(state: &State, account: &Account, releasing: SessionNo, now: Timestamp) -> Vec<SessionNo> {
    let waits = |no: &SessionNo| {
        *no != releasing
            && state.session(*no).is_some_and(|session| {
                !session.reauthorise
                    && session.woken.plus_secs(WAKE_EVERY_SECS) <= now
                    && session.quotas.iter().any(Quota::wants_credit)
            })
    };
    if account.sessions.len() < 2 || account.state != AccountState::Active {
        return Vec::new();
    }
    let payer = |no| Payer::of(account, state.session(no).map_or(MemberNo::SHARED, |session| session.member));
    let releases = payer(releasing);
    let waits = |no: &SessionNo| waits(no) && payer(*no).shares_with(releases);
    account.sessions.iter().copied().filter(waits).collect()
}

/// The notices that a debit causes. `before` is the account as it is, `ledger` as it will be.
pub(super) fn notices_of_debit(
    before: &Account,
    ledger: &Ledger<'_>,
    catalog: &Catalog,
    now: Timestamp,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (old, balance) = (before.balance(), ledger.balance());
    let mut tell = |kind| notices.push(Notice { account: before.id, at: now, balance, kind });
    for threshold in catalog.thresholds() {
        match threshold.kind {
            ThresholdKind::Money(limit) => {
                if old > limit && balance <= limit {
                    tell(NoticeKind::Threshold { name: threshold.name.clone(), bucket: None });
                }
            }
            ThresholdKind::AllowancePercent(percent) => {
                for bucket in before.buckets.iter().filter(|bucket| bucket.kind != BucketKind::Money) {
                    let reached = |left: i64| {
                        let used = i128::from(bucket.initial) - i128::from(left);
                        used * 100 >= i128::from(bucket.initial) * i128::from(percent)
                    };
                    let after = ledger.amount(bucket.id).unwrap_or(bucket.amount);
                    if !reached(bucket.amount) && reached(after) {
                        tell(NoticeKind::Threshold { name: threshold.name.clone(), bucket: Some(bucket.id) });
                    }
                }
            }
        }
    }
    if before.never_stop {
        return notices;
    }
    let floor = -before.credit_limit;
    // Only the main bucket is ever overdrawn: who owes may still use up what was given.
    let main = before.bucket(BucketId::MAIN).map(|bucket| bucket.amount);
    let (old, now_shared) = (before.shared_balance(), ledger.shared_balance());
    if now_shared < floor && now_shared < old && ledger.amount(BucketId::MAIN) < main {
        let excess = floor.min(old).saturating_sub(now_shared);
        tell(NoticeKind::Overdraft { excess });
    }
    if !before.credit_stopped
        && before.state != AccountState::Terminated
        && has_nothing_left(before, ledger, &Bonus::default())
    {
        tell(NoticeKind::CreditStop);
    }
    notices
}
