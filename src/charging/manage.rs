//! Whatever is done with an account beside charging and plain credits. Idempotent by the caller's request id: what was asked
//! for is remembered in short, and the same id with something else is refused.

use super::{
    Account, AccountChanged, AccountState, Asked, Decided, Event, Extension, HistoryKind, Outcome, Refusal, State, life,
};
use crate::{
    ids::{AccountId, BucketId},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

/// Something that is to be done with an account.
#[derive(Debug)]
pub struct ManageCommand<'a> {
    /// The account.
    pub account: AccountId,
    /// The caller's idempotency key, unique for the account; empty = none, for what is idempotent by itself.
    pub request_id: &'a str,
    /// Why, for the record.
    pub reason: &'a str,
    /// What.
    pub what: Manage<'a>,
}

/// What can be done with an account.
#[derive(Debug)]
pub enum Manage<'a> {
    /// Its cycles begin on this day of the month, 1 to 28.
    SetCycleDay(u8),
    /// It has this plan of the catalog; `None` = none any more.
    SetPlan(Option<&'a str>),
    /// How far below zero its money may go.
    SetCreditLimit(Money),
    /// It is on the red list, or not any more.
    SetNeverStop(bool),
    /// It is valid for longer.
    ExtendValidity(Extension),
}

impl Manage<'_> {
    /// What is asked for, in short: the same words for the same thing, and only for it.
    fn in_short(&self) -> String {
        match self {
            Self::SetCycleDay(day) => format!("cycle-day {day}"),
            Self::SetPlan(plan) => format!("plan {}", plan.unwrap_or_default()),
            Self::SetCreditLimit(limit) => format!("credit-limit {limit}"),
            Self::SetNeverStop(never_stop) => format!("never-stop {never_stop}"),
            Self::ExtendValidity(Extension::Until(until)) => format!("valid-until {}", until.millis()),
            Self::ExtendValidity(Extension::By(secs)) => format!("valid-by {secs}"),
        }
    }
}

pub(super) fn decide(state: &State, catalog: &Catalog, command: &ManageCommand<'_>, now: Timestamp) -> Decided {
    let Some(account) = state.account(command.account) else {
        return Decided::refused(Refusal::UnknownAccount(command.account));
    };
    let what = command.what.in_short();
    if let Some(known) = state.credit(command.account, command.request_id).filter(|_| !command.request_id.is_empty()) {
        if known.kind != HistoryKind::Change || *known.allowance != *what {
            return Decided::refused(Refusal::RequestIdReused(command.request_id.into()));
        }
        let outcome = Outcome::Credited { balance: known.balance, bucket: known.bucket };
        return Decided { repeated: true, outcome, ..Decided::done(None) };
    }
    if account.state == AccountState::Terminated {
        return Decided::refused(Refusal::Terminated(account.id));
    }
    let changed = match &command.what {
        Manage::SetCycleDay(day) => set_cycle_day(catalog, *day),
        Manage::SetPlan(plan) => life::set_plan(state, catalog, account, *plan, now),
        Manage::SetCreditLimit(limit) => life::set_credit_limit(state, account, *limit, now),
        Manage::SetNeverStop(never_stop) => Ok(life::set_never_stop(state, catalog, account, *never_stop, now)),
        Manage::ExtendValidity(extension) => life::extend(state, catalog, account, *extension, now),
    };
    match changed {
        Err(refusal) => Decided::refused(refusal),
        // It is so already, and no request id is to be remembered.
        Ok(changed) if command.request_id.is_empty() && changed == AccountChanged::default() => {
            let outcome = Outcome::Credited { balance: account.balance(), bucket: BucketId::MAIN };
            Decided { outcome, ..Decided::done(None) }
        }
        Ok(changed) => finish(account, command, &what, changed, now),
    }
}

fn finish(
    account: &Account,
    command: &ManageCommand<'_>,
    what: &str,
    changed: AccountChanged,
    now: Timestamp,
) -> Decided {
    let balance = account.balance().saturating_add(changed.money_moved(account));
    let asked = Asked { request_id: command.request_id.into(), what: what.into(), balance };
    let changed = AccountChanged {
        at: now,
        account: command.account,
        asked: (!command.request_id.is_empty()).then(|| Box::new(asked)),
        reason: command.reason.into(),
        ..changed
    };
    let outcome = Outcome::Credited { balance, bucket: BucketId::MAIN };
    Decided { outcome, ..Decided::done(Some(Event::AccountChanged(Box::new(changed)))) }
}

fn set_cycle_day(_: &Catalog, day: u8) -> Result<AccountChanged, Refusal> {
    if !(1..=28).contains(&day) {
        return Err(Refusal::NotPossible(format!("a cycle begins on a day from 1 to 28, not on {day}")));
    }
    Ok(AccountChanged { cycle_day: Some(day), ..AccountChanged::default() })
}
