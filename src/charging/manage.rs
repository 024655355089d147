//! Whatever is done with an account beside charging and plain credits. Idempotent by the caller's request id: what was asked
//! for is remembered in short, and the same id with something else is refused.

use std::fmt;

use super::{
    Account, AccountChanged, AccountState, Asked, Decided, Event, Extension, HistoryKind, MemberLimit, MemberNo,
    Outcome, PayOrder, Refusal, State, cycles, draft::Draft, life, members, products, transfer,
};
use crate::{
    ids::{AccountId, BucketId, VoucherKey},
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
    /// Its cycles begin on this day of the month, 1 to 28. The first one begins now.
    SetCycleDay(u8),
    /// It has this plan of the catalog; `None` = none any more.
    SetPlan(Option<&'a str>),
    /// How far below zero its money may go.
    SetCreditLimit(Money),
    /// It is on the red list, or not any more.
    SetNeverStop(bool),
    /// It is valid for longer.
    ExtendValidity(Extension),
    /// It buys a product of the catalog.
    Buy {
        /// Its name.
        product: &'a str,
        /// For this member of a shared account, or for all.
        member: MemberNo,
        /// From when on; [`When::Next`] = with the next billing cycle, or month if it has none.
        start: When,
    },
    /// One of its products becomes another.
    ChangeProduct {
        /// Its number in the account.
        subscription: u32,
        /// The name of the other.
        to: &'a str,
        /// When; [`When::Next`] = when its period ends.
        when: When,
    },
    /// One of its products ends.
    CancelProduct {
        /// Its number in the account.
        subscription: u32,
        /// When; [`When::Next`] = when its period ends.
        when: When,
    },
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
    /// It redeems this voucher: from now on the request id stands for that one, and for no other. The voucher itself is
    /// somewhere else.
    Redeem(VoucherKey),
    /// A subscriber becomes a member of the shared account, or gets other terms as one.
    SetMember {
        /// The subscriber's id.
        subscriber: &'a str,
        /// Whose balance pays first.
        order: PayOrder,
        /// What it may take of what is shared; one for each period and measure.
        limits: Vec<MemberLimit>,
    },
    /// A member leaves the account, with the subscriber that it is: its sessions end, its own balance is everybody's from
    /// then on, its identities are free.
    RemoveMember {
        /// The subscriber's id.
        subscriber: &'a str,
    },
    /// A subscriber leaves the account, whether it is a member or not.
    RemoveSubscriber {
        /// Its id.
        subscriber: &'a str,
    },
}

/// When something is to take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// At a moment in the future.
    At(Timestamp),
    /// When the next cycle or period begins.
    Next,
}

/// As it is remembered: never change it.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => write!(f, "now"),
            Self::At(at) => write!(f, "at {}", at.millis()),
            Self::Next => write!(f, "next"),
        }
    }
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
            Self::Buy { product, member, start } => format!("buy {product} for {} {start}", member.0),
            Self::ChangeProduct { subscription, to, when } => format!("change {subscription} to {to} {when}"),
            Self::CancelProduct { subscription, when } => format!("cancel {subscription} {when}"),
            Self::SendTransfer { to, amount } => transfer::in_short(*to, *amount),
            Self::SetMember { subscriber, order, limits } => members::in_short(subscriber, *order, limits),
            Self::RemoveMember { subscriber } => format!("remove member {subscriber}"),
            Self::RemoveSubscriber { subscriber } => format!("remove subscriber {subscriber}"),
            Self::Redeem(VoucherKey(high, low)) => format!("redeem {high:016x}{low:016x}"),
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
    // What was on its way arrives, and whoever is left in an account that has ended may leave it.
    let after_the_end = matches!(
        command.what,
        Manage::SettleTransfer(_)
            | Manage::ReturnTransfer { .. }
            | Manage::RemoveMember { .. }
            | Manage::RemoveSubscriber { .. }
    );
    if account.state == AccountState::Terminated && !after_the_end {
        return Decided::refused(Refusal::Terminated(account.id));
    }
    let drafted = |change: &dyn Fn(&mut Draft<'_>) -> Result<(), Refusal>| {
        let mut draft = Draft::new(account, catalog, now);
        change(&mut draft)?;
        Ok(draft.finish(state))
    };
    let changed = match &command.what {
        Manage::SetPlan(plan) => life::set_plan(state, catalog, account, *plan, now),
        Manage::SetCreditLimit(limit) => life::set_credit_limit(state, account, *limit, now),
        Manage::SetNeverStop(never_stop) => Ok(life::set_never_stop(state, catalog, account, *never_stop, now)),
        Manage::ExtendValidity(extension) => life::extend(state, catalog, account, *extension, now),
        Manage::SetCycleDay(day) => drafted(&|draft| cycles::set_day(draft, *day)),
        Manage::Buy { product, member, start } => drafted(&|draft| products::buy(draft, product, *member, *start)),
        Manage::ChangeProduct { subscription, to, when } => {
            drafted(&|draft| products::change(draft, *subscription, to, *when))
        }
        Manage::CancelProduct { subscription, when } => drafted(&|draft| products::cancel(draft, *subscription, *when)),
        Manage::SendTransfer { to, amount } => transfer::send(account, catalog, command.request_id, *to, *amount, now),
        Manage::SettleTransfer(request_id) => match transfer::settle(account, request_id) {
            Some(settled) => Ok(settled),
            None => return Decided::done(None),
        },
        Manage::ReturnTransfer { request_id, why } => match transfer::give_back(state, account, request_id, why, now) {
            Some(returned) => Ok(returned),
            None => return Decided::done(None),
        },
        Manage::Redeem(_) => Ok(AccountChanged::default()),
        Manage::SetMember { subscriber, order, limits } => members::set(account, subscriber, *order, limits),
        Manage::RemoveMember { subscriber } => members::remove(state, catalog, account, subscriber, now),
        Manage::RemoveSubscriber { subscriber } => members::remove_subscriber(state, catalog, account, subscriber, now),
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
