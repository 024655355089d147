//! What is due in an account's life: the announcement of its end, its end, the end of its grace; and money that runs out.
//!
//! An account whose validity has ended is stopped like one without credit: free services still work, and a top-up that adds
//! validity brings it back. After its grace it is terminated; what money is left stays in it. One whose plan has gone from
//! the catalog stays stopped: nobody says how long its grace is.

use crate::{
    charging::{
        Account, AccountChanged, AccountState, Bucket, Draw, Entry, FeeKind, HistoryKind, Life, LifeStep, Notice,
        NoticeKind, Session, State,
        life::{plan_of, told},
        lifecycle,
        quota::{Allocation, Ledger},
    },
    ids::SessionNo,
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

/// What is due at a moment that has come: money before life, and the reminder before the end, if they fall together.
pub(super) fn turn(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    moment: Timestamp,
    now: Timestamp,
) -> AccountChanged {
    let known = account.life().cloned().unwrap_or_default();
    let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= moment);
    if account.buckets.iter().any(|bucket| is_due(bucket.runs_out())) {
        return expire_money(catalog, account, now);
    }
    if is_due(known.remind_at) {
        return AccountChanged {
            reason: "validity ends soon".into(),
            notices: vec![told(account, LifeStep::EndsSoon, known.valid_until, now)],
            life: Some(Box::new(Life { remind_at: None, ..known })),
            ..AccountChanged::default()
        };
    }
    if is_due(known.valid_until) && !known.lapsed {
        return lapse(state, catalog, account, known, now);
    }
    AccountChanged {
        reason: "grace has ended".into(),
        state: Some(AccountState::Terminated),
        notices: vec![told(account, LifeStep::Ended, None, now)],
        life: Some(Box::new(Life { ends: None, ..known })),
        ..AccountChanged::default()
    }
}

/// The validity has ended. Sessions that hold something are asked again: what they hold they may not use up.
fn lapse(state: &State, catalog: &Catalog, account: &Account, known: Life, now: Timestamp) -> AccountChanged {
    let grace = plan_of(catalog, account).map(|plan| plan.grace_secs);
    let ends = known.valid_until.zip(grace).map(|(end, grace)| end.plus_secs(grace));
    let mut notices = vec![told(account, LifeStep::Lapsed, ends, now)];
    if !account.credit_stopped {
        let balance = account.balance();
        notices.push(Notice { account: account.id, at: now, balance, kind: NoticeKind::CreditStop });
    }
    let holds = |no: &SessionNo| state.session(*no).is_some_and(Session::holds_anything);
    AccountChanged {
        reason: "validity has ended".into(),
        life: Some(Box::new(Life { lapsed: true, remind_at: None, ends, ..known })),
        reauthorise: account.sessions.iter().copied().filter(holds).collect(),
        notices,
        ..AccountChanged::default()
    }
}

/// What is left of money that has run out leaves the account. What sessions hold of it is theirs until they give it back.
fn expire_money(catalog: &Catalog, account: &Account, now: Timestamp) -> AccountChanged {
    let gone = || account.buckets.iter().filter(|bucket| bucket.runs_out().is_some_and(|at| at <= now));
    let left = |bucket: &Bucket| bucket.amount.saturating_sub(bucket.reserved);
    let mut ledger = Ledger::new(account, now);
    let cost = gone().fold(Money::ZERO, |sum, bucket| sum.saturating_add(Money::from_micros(left(bucket))));
    let draws = gone().map(|bucket| Draw { bucket: bucket.id, amount: left(bucket) }).collect();
    ledger.debit(&Allocation { draws, cost, ..Allocation::default() });
    let notices = lifecycle::notices_of_debit(account, &ledger, catalog, now);
    let entry = |bucket: &Bucket| Entry {
        kind: HistoryKind::Expired,
        bucket: bucket.id,
        amount: -left(bucket),
        name: bucket.name.clone(),
        fee: FeeKind::Untold,
    };
    AccountChanged {
        reason: "money has run out".into(),
        entries: gone().map(entry).collect(),
        removed_buckets: gone().filter(|bucket| bucket.reserved == 0).map(|bucket| bucket.id).collect(),
        notices,
        ..AccountChanged::default()
    }
}
