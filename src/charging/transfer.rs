//! Money between accounts, in steps that each touch one account: it is sent, and is on its way from then on; it is credited
//! to the receiver under a request id made of the sender and its own (`credit.rs`); it is settled at the sender, or comes
//! back. Each step may be taken again and changes nothing then, so whatever a crash interrupts is finished later.

use super::{
    Account, AccountChanged, AccountState, Asked, Draw, Entry, FeeKind, HistoryKind, NoticeKind, Refusal, State,
    Transfer, lifecycle,
    quota::{Allocation, Ledger},
};
use crate::{
    few::Few,
    ids::{AccountId, BucketId},
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

/// Transfers of one account that are on their way at once: they arrive within moments.
const ON_THE_WAY_MAX: usize = 64;
/// How the memory of a transfer that came back begins.
pub(super) const RETURNED: &str = "transfer returned: ";

/// The request id under which a transfer is credited to its receiver. No caller's id has a control character, so none is
/// ever the same; and the moment of its sending tells it from one with the same id that both have forgotten, or one of them.
pub fn receipt_id(from: AccountId, transfer: &Transfer) -> String {
    format!("\u{1}transfer {from} {} {}", transfer.at.millis(), transfer.request_id)
}

pub(super) fn in_short(to: AccountId, amount: Money) -> String {
    format!("transfer {amount} to {to}")
}

pub(super) fn send(
    account: &Account,
    catalog: &Catalog,
    request_id: &str,
    to: AccountId,
    amount: Money,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    if !amount.is_positive() || amount > Money::MAX_INPUT {
        return Err(Refusal::BadAmount(amount));
    }
    if to == account.id {
        return Err(Refusal::Invalid("an account cannot send money to itself".into()));
    }
    if account.state != AccountState::Active {
        return Err(Refusal::NotPossible(format!("account {} is not active", account.id)));
    }
    let profile = account.profile.as_deref();
    if profile.is_some_and(|profile| profile.transfers.len() >= ON_THE_WAY_MAX) {
        return Err(Refusal::NotPossible(format!("{ON_THE_WAY_MAX} transfers of the account are on their way")));
    }
    let free = account.bucket(BucketId::MAIN).map_or(0, |bucket| bucket.amount.saturating_sub(bucket.reserved));
    // Other buckets may owe nothing, but a debt of the account as a whole is no money to give away.
    let free = Money::from_micros(free.min(account.balance().saturating_sub(account.reserved()).micros()));
    if amount > free {
        let free = free.max(Money::ZERO);
        return Err(Refusal::NotPossible(format!("{amount} cannot be sent: {free} is there and not reserved")));
    }
    let mut ledger = Ledger::new(account, now);
    let draws = Few::from(vec![Draw { bucket: BucketId::MAIN, amount: amount.micros() }]);
    ledger.debit(&Allocation { draws, ..Allocation::default() });
    Ok(AccountChanged {
        entries: vec![entry(-amount, to)],
        sent: vec![Transfer { request_id: request_id.into(), to, amount, at: now }],
        notices: lifecycle::notices_of_debit(account, &ledger, catalog, now),
        ..AccountChanged::default()
    })
}

/// `None` = it is not on its way any more.
pub(super) fn settle(account: &Account, request_id: &str) -> Option<AccountChanged> {
    pending(account, request_id)
        .map(|transfer| AccountChanged { settled: vec![transfer.request_id.clone()], ..AccountChanged::default() })
}

/// `None` = it is not on its way any more.
pub(super) fn give_back(
    state: &State,
    account: &Account,
    request_id: &str,
    why: &str,
    now: Timestamp,
) -> Option<AccountChanged> {
    let transfer = pending(account, request_id)?;
    let balance = account.balance().saturating_add(transfer.amount);
    let mut ledger = Ledger::new(account, now);
    let draws = Few::from(vec![Draw { bucket: BucketId::MAIN, amount: -transfer.amount.micros() }]);
    ledger.debit(&Allocation { draws, ..Allocation::default() });
    let helps = !lifecycle::is_exhausted(account, &ledger);
    let back = account.credit_stopped && helps;
    let notice = super::Notice { account: account.id, at: now, balance, kind: NoticeKind::Reconnect };
    Some(AccountChanged {
        asked: Some(Box::new(Asked {
            request_id: transfer.request_id.clone(),
            what: format!("{RETURNED}{why}").into(),
            balance,
        })),
        entries: vec![entry(transfer.amount, transfer.to)],
        settled: vec![transfer.request_id.clone()],
        notices: Vec::from_iter(back.then_some(notice)),
        reauthorise: if helps { lifecycle::waiting(state, account) } else { Vec::new() },
        ..AccountChanged::default()
    })
}

fn pending<'a>(account: &'a Account, request_id: &str) -> Option<&'a Transfer> {
    let transfers = &account.profile.as_deref()?.transfers;
    transfers.iter().find(|transfer| *transfer.request_id == *request_id)
}

fn entry(amount: Money, to: AccountId) -> Entry {
    let name = format!("account {to}").into();
    Entry {
        kind: HistoryKind::TransferOut,
        bucket: BucketId::MAIN,
        amount: amount.micros(),
        name,
        fee: FeeKind::Untold,
    }
}
