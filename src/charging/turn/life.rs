//! What is due in an account's life: the announcement of its end, its end, the end of its grace; and money that runs out.
//!
//! An account whose validity has ended is stopped like one without credit: free services still work, and a top-up that adds
//! validity brings it back. After its grace it is terminated; what money is left stays in it. One whose plan has gone from
//! the catalog stays stopped: nobody says how long its grace is.

use crate::{
    charging::{
        Account, AccountChanged, AccountState, Bucket, Draw, Entry, HistoryKind, Life, LifeStep, Notice, NoticeKind,
        Session, State,
        life::{plan_of, told},
        lifecycle,
        quota::{Allocation, Ledger},
    },
    rating::Catalog,
    time::Timestamp,
};

/// When the next of them is due.
pub(super) fn next_due(account: &Account) -> Option<Timestamp> {
    let life = account.life().filter(|_| !account.never_stop).and_then(Life::next_due);
    account.buckets.iter().filter_map(Bucket::runs_out).chain(life).min()
}

/// What is due at a moment: the reminder before the end, and money before life, if they fall together.
pub(super) fn decide(state: &State, catalog: &Catalog, account: &Account, at: Timestamp) -> AccountChanged {
    let known = account.life().cloned().unwrap_or_default();
    let is_due = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment <= at);
    if account.buckets.iter().any(|bucket| is_due(bucket.runs_out())) {
        return expire_money(catalog, account, at);
    }
    if is_due(known.remind_at) {
        let notices = vec![told(account, LifeStep::EndsSoon, known.valid_until, at)];
        let life = Some(Box::new(Life { remind_at: None, ..known }));
        return AccountChanged { life, notices, ..AccountChanged::default() };
    }
    if is_due(known.valid_until) && !known.lapsed {
        return lapse(state, catalog, account, known, at);
    }
    let life = Some(Box::new(Life { ends: None, ..known }));
    let notices = vec![told(account, LifeStep::Ended, None, at)];
    AccountChanged { state: Some(AccountState::Terminated), life, notices, ..AccountChanged::default() }
}

/// The validity has ended. Sessions that hold something are asked again: what they hold they may not use up.
fn lapse(state: &State, catalog: &Catalog, account: &Account, known: Life, at: Timestamp) -> AccountChanged {
    let ends = plan_of(catalog, account).map(|plan| at.plus_secs(plan.grace_secs));
    let mut notices = vec![told(account, LifeStep::Lapsed, ends, at)];
    if !account.credit_stopped {
        let balance = account.balance();
        notices.push(Notice { account: account.id, at, balance, kind: NoticeKind::CreditStop });
    }
    let holds = |no: &crate::ids::SessionNo| state.session(*no).is_some_and(Session::holds_anything);
    AccountChanged {
        life: Some(Box::new(Life { lapsed: true, remind_at: None, ends, ..known })),
        reauthorise: account.sessions.iter().copied().filter(holds).collect(),
        notices,
        ..AccountChanged::default()
    }
}

/// What is left of money that has run out leaves the account. What sessions hold of it is theirs until they give it back.
fn expire_money(catalog: &Catalog, account: &Account, at: Timestamp) -> AccountChanged {
    let gone = || account.buckets.iter().filter(|bucket| bucket.runs_out().is_some_and(|moment| moment <= at));
    let left = |bucket: &Bucket| bucket.amount.saturating_sub(bucket.reserved);
    let mut ledger = Ledger::new(account, at);
    let draws = gone().map(|bucket| Draw { bucket: bucket.id, amount: left(bucket) }).collect();
    ledger.debit(&Allocation { draws, ..Allocation::default() });
    let mut notices = lifecycle::notices_of_debit(account, &ledger, catalog, at);
    // An overdraft is of usage.
    notices.retain(|notice| !matches!(notice.kind, NoticeKind::Overdraft { .. }));
    let entry = |bucket: &Bucket| Entry {
        kind: HistoryKind::Expired,
        bucket: bucket.id,
        amount: -left(bucket),
        name: bucket.name.clone(),
    };
    AccountChanged {
        entries: gone().map(entry).collect(),
        removed_buckets: gone().filter(|bucket| bucket.reserved == 0).map(|bucket| bucket.id).collect(),
        notices,
        ..AccountChanged::default()
    }
}
