//! Whatever is done with an account beside charging and plain credits. Idempotent by the caller's request id: what was asked
//! for is remembered in short, and the same id with something else is refused.

use super::{
    Account, AccountChanged, AccountState, Asked, Decided, Event, Extension, HistoryKind, Outcome, Refusal, State,
    life, transfer,
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
    /// Money is sent to another account. What is reserved stays, and credit is not lent on.
    SendTransfer {
        /// Who gets it.
        to: AccountId,
        /// Above zero.
        amount: Money,
    },
    /// A transfer has arrived.
    SettleTransfer(&'a str),
    /// A transfer could not be delivered: the money comes back.
    ReturnTransfer {
        /// Its request id.
        request_id: &'a str,
        /// Why.
        why: &'a str,
    },
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
            Self::SendTransfer { to, amount } => transfer::in_short(*to, *amount),
            // Of our own, and idempotent by what is on its way.
            Self::SettleTransfer(_) | Self::ReturnTransfer { .. } => String::new(),
        }
    }
}

pub(super) fn decide(state: &State, catalog: &Catalog, command: &ManageCommand<'_>, now: Timestamp) -> Decided {
    let Some(account) = state.account(command.account) else {
        return Decided::refused(Refusal::UnknownAccount(command.account));
    };
    let what = command.what.in_short();
    if let Some(known) = state.credit(command.account, command.request_id).filter(|_| !command.request_id.is_empty()) {
        if let Some(why) =
            known.allowance.strip_prefix(transfer::RETURNED).filter(|_| known.kind == HistoryKind::Change)
        {
            return Decided::refused(Refusal::NotPossible(format!("this transfer came back: {why}")));
        }
        if known.kind != HistoryKind::Change || *known.allowance != *what {
            return Decided::refused(Refusal::RequestIdReused(command.request_id.into()));
        }
        let outcome = Outcome::Credited { balance: known.balance, bucket: known.bucket };
        return Decided { repeated: true, outcome, ..Decided::done(None) };
    }
    let transfer = matches!(command.what, Manage::SettleTransfer(_) | Manage::ReturnTransfer { .. });
    if account.state == AccountState::Terminated && !transfer {
        return Decided::refused(Refusal::Terminated(account.id));
    }
    let changed = match &command.what {
        Manage::SetCycleDay(day) => set_cycle_day(catalog, *day),
        Manage::SetPlan(plan) => life::set_plan(state, catalog, account, *plan, now),
        Manage::SetCreditLimit(limit) => life::set_credit_limit(state, account, *limit, now),
        Manage::SetNeverStop(never_stop) => Ok(life::set_never_stop(state, catalog, account, *never_stop, now)),
        Manage::ExtendValidity(extension) => life::extend(state, catalog, account, *extension, now),
        Manage::SendTransfer { to, amount } => transfer::send(account, catalog, command.request_id, *to, *amount, now),
        Manage::SettleTransfer(request_id) => match transfer::settle(account, request_id) {
            Some(settled) => Ok(settled),
            None => return Decided::done(None),
        },
        Manage::ReturnTransfer { request_id, why } => match transfer::give_back(state, account, request_id, why, now) {
            Some(returned) => Ok(returned),
            None => return Decided::done(None),
        },
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
    // What comes back answers for the request that sent it.
    if changed.asked.is_some() {
        let changed = AccountChanged { at: now, account: command.account, reason: command.reason.into(), ..changed };
        return Decided::done(Some(Event::AccountChanged(Box::new(changed))));
    }
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
