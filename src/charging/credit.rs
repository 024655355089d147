//! Decides credits: top-ups, adjustments, allowances. Idempotent by the caller's request id.

use std::sync::Arc;

use super::{
    Account, AccountState, Bucket, BucketKind, CreditCommand, CreditKind, Credited, Decided, Draw, Event, HistoryKind,
    LifeStep, MemberNo, Notice, NoticeKind, Outcome, Refusal, RememberedCredit, State,
    bonus::{self, Bonus},
    life, lifecycle, members,
    quota::{Allocation, BALANCE_MAX, Ledger},
};
use crate::{
    ids::{AccountId, BucketId},
    rating::{Allowance, Catalog},
    time::Timestamp,
    units::Money,
};

/// Buckets in one account that are everybody's, or that are one member's. The order of consumption is walked for every
/// request.
pub(super) const ACCOUNT_BUCKETS_MAX: usize = 64;
/// Buckets of everybody and of all members: some for each of a thousand.
const SHARED_ACCOUNT_BUCKETS_MAX: usize = 4_096;

pub(super) fn decide(state: &State, catalog: &Catalog, command: &CreditCommand<'_>, now: Timestamp) -> Decided {
    let Some(account) = state.account(command.account) else {
        return Decided::refused(Refusal::UnknownAccount(command.account));
    };
    if let Some(given) = command.currency.filter(|currency| *currency != account.currency) {
        return Decided::refused(Refusal::WrongCurrency { account: account.currency, given });
    }
    if let Some(repeated) = repetition(state, command) {
        return repeated;
    }
    if account.state == AccountState::Terminated {
        return Decided::refused(Refusal::Terminated(account.id));
    }
    match command.kind {
        CreditKind::TopUp(amount)
        | CreditKind::Transfer { amount, .. }
        | CreditKind::Voucher { amount, .. }
        | CreditKind::MemberTopUp { amount, .. }
            if !amount.is_positive() || amount > Money::MAX_INPUT =>
        {
            Decided::refused(Refusal::BadAmount(amount))
        }
        CreditKind::Adjustment(amount, _)
            if amount == Money::ZERO || amount > Money::MAX_INPUT || -amount > Money::MAX_INPUT =>
        {
            Decided::refused(Refusal::BadAmount(amount))
        }
        CreditKind::TopUp(amount) => money(state, catalog, account, command, HistoryKind::TopUp, amount, "", now),
        CreditKind::Adjustment(amount, reason) => {
            money(state, catalog, account, command, HistoryKind::Adjustment, amount, reason, now)
        }
        CreditKind::Voucher { amount, batch } => {
            money(state, catalog, account, command, HistoryKind::Voucher, amount, batch, now)
        }
        CreditKind::Transfer { amount, from } => {
            let reason = format!("account {from}");
            money(state, catalog, account, command, HistoryKind::TransferIn, amount, &reason, now)
        }
        CreditKind::Allowance(name) => granted(catalog, name, |allowance| {
            grant_allowance(state, account, command, allowance, MemberNo::SHARED, now)
        }),
        CreditKind::MemberTopUp { subscriber, amount } => {
            let whose = name_of_own(subscriber);
            money(state, catalog, account, command, HistoryKind::TopUp, amount, &whose, now)
        }
        CreditKind::MemberAllowance { subscriber, allowance } => match members::find(account, subscriber) {
            Ok(member) => granted(catalog, allowance, |allowance| {
                grant_allowance(state, account, command, allowance, member.no, now)
            }),
            Err(refusal) => Decided::refused(refusal),
        },
    }
}

/// What giving an allowance comes to that need not be as the catalog has it; `None` = it is refused.
pub fn give_allowance(
    state: &State,
    account: AccountId,
    allowance: &Allowance,
    request_id: &str,
    now: Timestamp,
) -> Option<Event> {
    let kind = CreditKind::Allowance(&allowance.name);
    let command = CreditCommand { account, kind, currency: None, request_id };
    grant_allowance(state, state.account(account)?, &command, allowance, MemberNo::SHARED, now).event
}

/// Grants what the catalog has under a name.
fn granted(catalog: &Catalog, name: &str, grant: impl FnOnce(&Allowance) -> Decided) -> Decided {
    let missing =
        || Decided::refused(Refusal::NotThere(format!("the catalog has no allowance `{}`", life::shortened(name))));
    catalog.allowance(name).map_or_else(missing, grant)
}

/// The same request id again: the first answer, and nothing else.
fn repetition(state: &State, command: &CreditCommand<'_>) -> Option<Decided> {
    let known = state.credit(command.account, command.request_id)?;
    let account = state.account(command.account);
    let bucket = account.and_then(|account| account.bucket(known.bucket));
    // Of an allowance that is used up and gone, nobody knows any more whose it was.
    let is_allowance = |known: &RememberedCredit, allowance: &str, owner| {
        known.kind == HistoryKind::Allowance
            && *known.allowance == *allowance
            && bucket.is_none_or(|bucket| bucket.owner == owner)
    };
    let same = match command.kind {
        CreditKind::TopUp(amount) => {
            known.kind == HistoryKind::TopUp && known.amount == amount.micros() && known.bucket == BucketId::MAIN
        }
        CreditKind::MemberTopUp { subscriber, amount } => {
            known.kind == HistoryKind::TopUp
                && known.amount == amount.micros()
                // Of money that is used up and gone, nobody knows any more whose it was.
                && bucket.is_none_or(|bucket| *bucket.name == *name_of_own(subscriber))
        }
        CreditKind::Transfer { amount, .. } => known.kind == HistoryKind::TransferIn && known.amount == amount.micros(),
        CreditKind::Voucher { amount, .. } => known.kind == HistoryKind::Voucher && known.amount == amount.micros(),
        CreditKind::Adjustment(amount, _) => known.kind == HistoryKind::Adjustment && known.amount == amount.micros(),
        CreditKind::Allowance(allowance) => is_allowance(known, allowance, MemberNo::SHARED),
        CreditKind::MemberAllowance { subscriber, allowance } => {
            // Who has left has nothing any more: what was given is everybody's.
            let member = account.and_then(|account| members::find(account, subscriber).ok());
            is_allowance(known, allowance, member.map_or(MemberNo::SHARED, |member| member.no))
        }
    };
    Some(if same {
        let outcome = Outcome::Credited { balance: known.balance, bucket: known.bucket };
        Decided { event: None, outcome, repeated: true, altered: false, account: None }
    } else {
        Decided::refused(Refusal::RequestIdReused(command.request_id.into()))
    })
}

/// A bucket for an allowance that is given now.
pub(super) fn bucket_of(allowance: &Allowance, id: BucketId, now: Timestamp) -> Bucket {
    let amount = i64::try_from(allowance.amount).unwrap_or(i64::MAX);
    Bucket {
        id,
        kind: BucketKind::Units(allowance.kind),
        amount,
        reserved: 0,
        initial: amount,
        priority: allowance.priority,
        expires: allowance.validity_secs.map(|secs| now.plus_secs(secs)),
        services: allowance.services.as_slice().into(),
        name: Arc::clone(&allowance.name),
        owner: MemberNo::SHARED,
        subscription: 0,
        rolled: 0,
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "one call each for two kinds of money; a struct would only name them again"
)]
fn money(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    command: &CreditCommand<'_>,
    kind: HistoryKind,
    amount: Money,
    reason: &str,
    now: Timestamp,
) -> Decided {
    let bonus = match kind {
        HistoryKind::TopUp | HistoryKind::Voucher => {
            // A member's first own money takes an id before what is given beside it.
            let own = u32::from(matches!(command.kind, CreditKind::MemberTopUp { .. }));
            bonus::of_top_up(catalog, account, account.next_bucket.saturating_add(own), amount, now)
        }
        _ => Bonus::default(),
    };
    let in_range = |money: Option<Money>| money.filter(|m| m.micros().unsigned_abs() <= BALANCE_MAX.unsigned_abs());
    let main = account.bucket(BucketId::MAIN).map_or(0, |bucket| bucket.amount);
    let (Some(balance), Some(_), Some(_)) = (
        in_range(account.balance().checked_add(amount).and_then(|money| money.checked_add(bonus.money()))),
        in_range(Money::from_micros(main).checked_add(amount)),
        in_range(if amount.is_negative() {
            account.debited.checked_sub(amount)
        } else {
            account.credited.checked_add(amount).and_then(|money| money.checked_add(bonus.money()))
        }),
    ) else {
        return Decided::refused(Refusal::OutOfRange);
    };
    let mut ledger = Ledger::new(account, now);
    let change = Allocation {
        draws: vec![Draw { bucket: BucketId::MAIN, amount: -amount.micros() }].into(),
        ..Allocation::default()
    };
    ledger.debit(&change);
    let mut notices = Vec::new();
    if matches!(kind, HistoryKind::TopUp | HistoryKind::Voucher) {
        let told = NoticeKind::TopUp { amount, request_id: command.request_id.into() };
        notices.push(Notice { account: account.id, at: now, balance, kind: told });
    }
    if amount.is_negative() {
        notices.extend(lifecycle::notices_of_debit(account, &ledger, catalog, now));
    }
    let lapsed = account.is_lapsed() && bonus.life.is_none();
    if let (true, Some(life)) = (account.is_lapsed(), &bonus.life) {
        notices.push(Notice { balance, ..life::told(account, LifeStep::Revived, life.valid_until, now) });
    }
    let own = match command.kind {
        CreditKind::MemberTopUp { subscriber, .. } => match own_money(account, subscriber, amount, now) {
            Ok(own) => Some(own),
            Err(refusal) => return Decided::refused(refusal),
        },
        _ => None,
    };
    // What is a member's own helps that member, whatever the others owe.
    let served = !lapsed && (own.is_some() || !lifecycle::has_nothing_left(account, &ledger, &bonus));
    let (owner, bucket, new_bucket) = own.unwrap_or((MemberNo::SHARED, BucketId::MAIN, None));
    finish(
        state,
        account,
        command,
        now,
        Finish {
            kind,
            owner,
            bucket,
            amount: amount.micros(),
            new_bucket,
            reason,
            balance,
            back: account.credit_stopped && served,
            helps: amount.is_positive() && served,
            notices,
            bonus,
        },
    )
}

/// The name of a member's own money.
fn name_of_own(subscriber: &str) -> String {
    format!("money of {subscriber}")
}

/// Where a member's own money goes: its owner, the bucket, and what that is to be if it has none yet.
fn own_money(
    account: &Account,
    subscriber: &str,
    amount: Money,
    now: Timestamp,
) -> Result<(MemberNo, BucketId, Option<Box<Bucket>>), Refusal> {
    let owner = members::find(account, subscriber)?.no;
    let name = name_of_own(subscriber);
    let is_it = |bucket: &&Bucket| bucket.owner == owner && *bucket.name == *name;
    if let Some(bucket) = account.buckets.iter().find(is_it) {
        let after = bucket.amount.checked_add(amount.micros()).filter(|after| *after <= BALANCE_MAX);
        return after.map(|_| (owner, bucket.id, None)).ok_or(Refusal::OutOfRange);
    }
    has_room(account, owner, now)?;
    let bucket = Bucket {
        id: BucketId(account.next_bucket),
        kind: BucketKind::Money,
        amount: amount.micros(),
        reserved: 0,
        initial: amount.micros(),
        priority: Bucket::MEMBER_PRIORITY,
        expires: None,
        services: Arc::new([]),
        name: name.into(),
        owner,
        subscription: 0,
        rolled: 0,
    };
    Ok((owner, bucket.id, Some(Box::new(bucket))))
}

/// Whether one more bucket may be given to everybody, or to a member.
fn has_room(account: &Account, owner: MemberNo, now: Timestamp) -> Result<(), Refusal> {
    let live = account.buckets.iter().filter(|bucket| !bucket.is_spent(now));
    let (all, its) = live.fold((0, 0), |(all, its), bucket| (all + 1, its + usize::from(bucket.owner == owner)));
    if its >= ACCOUNT_BUCKETS_MAX || all >= SHARED_ACCOUNT_BUCKETS_MAX {
        return Err(Refusal::TooManyBuckets(account.buckets.len()));
    }
    Ok(())
}

fn grant_allowance(
    state: &State,
    account: &Account,
    command: &CreditCommand<'_>,
    allowance: &Allowance,
    owner: MemberNo,
    now: Timestamp,
) -> Decided {
    if let Err(refusal) = has_room(account, owner, now) {
        return Decided::refused(refusal);
    }
    let bucket = Bucket { owner, ..bucket_of(allowance, BucketId(account.next_bucket), now) };
    finish(
        state,
        account,
        command,
        now,
        Finish {
            kind: HistoryKind::Allowance,
            owner,
            bucket: bucket.id,
            amount: bucket.amount,
            new_bucket: Some(Box::new(bucket)),
            reason: "",
            balance: account.balance(),
            back: account.credit_stopped && !account.is_lapsed(),
            helps: !account.is_lapsed(),
            notices: Vec::new(),
            bonus: Bonus::default(),
        },
    )
}

struct Finish<'a> {
    kind: HistoryKind,
    /// Whose it is.
    owner: MemberNo,
    bucket: BucketId,
    amount: i64,
    new_bucket: Option<Box<Bucket>>,
    reason: &'a str,
    balance: Money,
    /// A stopped account comes back.
    back: bool,
    /// Sessions that wait for credit may get some.
    helps: bool,
    notices: Vec<Notice>,
    bonus: Bonus,
}

fn finish(state: &State, account: &Account, command: &CreditCommand<'_>, now: Timestamp, parts: Finish<'_>) -> Decided {
    let Finish { kind, owner, bucket, amount, new_bucket, reason, balance, back, helps, mut notices, bonus } = parts;
    if back {
        notices.push(Notice { account: account.id, at: now, balance, kind: NoticeKind::Reconnect });
    }
    // A gift, and validity, are everybody's, whoever paid for them.
    let for_all = bonus.life.is_some() || !bonus.gifts.is_empty();
    let owners: Vec<_> = std::iter::once(owner).chain(for_all.then_some(MemberNo::SHARED)).collect();
    let reauthorise = if helps { lifecycle::waiting_for(state, account, &owners) } else { Vec::new() };
    let event = Event::Credited(Box::new(Credited {
        at: now,
        account: account.id,
        kind,
        bucket,
        amount,
        new_bucket,
        request_id: command.request_id.into(),
        reason: reason.into(),
        balance,
        reauthorise,
        notices,
        life: bonus.life.map(Box::new),
        gifts: bonus.gifts,
        catalog: 0,
    }));
    let outcome = Outcome::Credited { balance, bucket };
    Decided { event: Some(event), outcome, repeated: false, altered: false, account: None }
}
