//! An account's life: its plan, when it begins, what extends it, and its terms of credit.
//!
//! A life begins at once or with the first use that costs, as the plan says, and is valid for the plan's time. Top-ups and
//! operators extend that. What comes when it ends is due by itself: see `turn/life.rs`. Accounts without a plan live for
//! ever, and so does a red-listed one whatever its plan says.

use super::{
    Account, AccountChanged, AccountState, Command, EventAction, Life, LifeStep, Notice, NoticeKind, Refusal,
    ServiceRequest, State, Want, draft::Draft, lifecycle, products, quota::Ledger,
};
use crate::{
    rating::{Catalog, ContextId, Plan, Service},
    time::Timestamp,
    units::Money,
};

/// How far ahead the end of a validity may be: a slip of the pen is not kept for a thousand years.
const VALIDITY_SECS_MAX: u64 = 100 * 366 * 86_400;

/// How far a validity goes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// To this moment.
    Until(Timestamp),
    /// By so many seconds: from its end, or from now if it has ended.
    By(u64),
}

/// Whether a command asks for something that costs: that begins the life of an account that waits for its first use.
/// Enquiries, emergencies and services that are always free do not, nor does a line that is stopped or suspended.
pub fn begins_use(state: &State, catalog: &Catalog, account: &Account, command: &Command<'_>) -> bool {
    if account.state != AccountState::Active {
        return false;
    }
    match command {
        Command::Interrogate(request) => {
            let session = state.session_by_id(request.key, request.session_id);
            let known = session.and_then(|session| session.attributes.as_deref());
            let told = [known, request.attributes.as_deref()];
            let context = request.context.or_else(|| catalog.context(&session?.context));
            !told.into_iter().flatten().any(|told| told.emergency)
                && request.services.iter().any(|service| costs(catalog, context, service))
        }
        Command::ChargeEvent(request) => {
            let default = [ServiceRequest::default()];
            let services = if request.services.is_empty() { &default[..] } else { &request.services };
            request.action == EventAction::Debit
                && !request.attributes.as_ref().is_some_and(|told| told.emergency)
                && services.iter().any(|service| costs(catalog, request.context, service))
        }
        _ => false,
    }
}

fn costs(catalog: &Catalog, context: Option<ContextId>, service: &ServiceRequest) -> bool {
    if let Some(Want::Money(_)) = service.want {
        return true;
    }
    let key = service.key;
    let found = context.and_then(|context| catalog.service(context, key.rating_group, key.service_identifier));
    found.is_some_and(|service: &Service| !service.is_free())
}

/// Gives an account a plan, or takes its plan away. A life that has begun goes on: it is valid as long as it was, or as long
/// as the new plan says from now on, whichever is later. The plan that it has changes nothing.
pub(super) fn set_plan(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    name: Option<&str>,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    if account.plan().map(|plan| &**plan) == name {
        return Ok(AccountChanged::default());
    }
    let plan = match name {
        None => None,
        Some(name) => Some(
            catalog
                .plan(name)
                .ok_or_else(|| Refusal::NotThere(format!("the catalog has no plan `{}`", shortened(name))))?,
        ),
    };
    let known = account.life().cloned().unwrap_or_default();
    let changed = match plan {
        Some(plan) if known.activated.is_none() && plan.activate_on_use => {
            AccountChanged { life: Some(Box::default()), ..AccountChanged::default() }
        }
        Some(plan) if known.activated.is_none() => begun(account, Some(plan), now),
        plan => {
            let validity = plan.and_then(|plan| plan.validity_secs).map(|secs| now.plus_secs(secs));
            let until = validity.map(|until| known.valid_until.map_or(until, |known| known.max(until)));
            goes_on(state, account, &known, plan, until, now)
        }
    };
    let waits = known.activated.is_none() && plan.is_some_and(|plan| plan.activate_on_use);
    let mut draft = Draft::new(account, catalog, now);
    products::end_of_plan(&mut draft, plan);
    if let Some(plan) = plan {
        // Those of a life that waits for its first use come with it: whether it may have them is known now.
        let mut tried = Draft::new(account, catalog, now);
        products::end_of_plan(&mut tried, Some(plan));
        products::add_of_plan(if waits { &mut tried } else { &mut draft }, plan)?;
    }
    let changed = joined(changed, draft.finish(state));
    Ok(AccountChanged { plan: Some(plan.map(|plan| plan.name.clone())), ..changed })
}

/// What changes when an account's life begins, with the products of its plan that it may have.
pub(super) fn begin(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    plan: Option<&Plan>,
    now: Timestamp,
) -> AccountChanged {
    let mut draft = Draft::new(account, catalog, now);
    if let Some(plan) = plan {
        // One that the account may not have was refused when it got the plan; the first use is not refused for it.
        let _ = products::add_of_plan(&mut draft, plan);
    }
    joined(begun(account, plan, now), draft.finish(state))
}

fn begun(account: &Account, plan: Option<&Plan>, now: Timestamp) -> AccountChanged {
    let until = plan.and_then(|plan| plan.validity_secs).map(|secs| now.plus_secs(secs));
    let life = valid_until(&Life { activated: Some(now), ..Life::default() }, plan, until, now);
    let notices = vec![told(account, LifeStep::Activated, until, now)];
    AccountChanged { life: Some(Box::new(life)), notices, ..AccountChanged::default() }
}

/// A change of life, and what becomes of products with it.
fn joined(life: AccountChanged, products: AccountChanged) -> AccountChanged {
    let mut reauthorise = life.reauthorise;
    reauthorise.extend(products.reauthorise.iter().filter(|no| !reauthorise.contains(no)).copied().collect::<Vec<_>>());
    let mut notices = life.notices;
    notices.extend(products.notices.into_iter().filter(|told| !notices.contains(told)).collect::<Vec<_>>());
    AccountChanged { life: life.life, reauthorise, notices, ..products }
}

/// Extends the validity of an account. One that has lapsed is brought back.
pub(super) fn extend(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    extension: Extension,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    let impossible = |why: String| Err(Refusal::NotPossible(why));
    if account.waits_for_use() {
        return impossible("the account waits for its first use: its validity begins with it".into());
    }
    let known = account.life().cloned().unwrap_or_default();
    let Some(end) = known.valid_until else {
        return impossible("the account's validity has no end".into());
    };
    let until = match extension {
        Extension::Until(until) => until,
        Extension::By(secs) => end.max(now).plus_secs(secs),
    };
    if until <= end.max(now) {
        return impossible(format!("{until} is no extension: the account is valid until {end}, and it is {now}"));
    }
    if until > now.plus_secs(VALIDITY_SECS_MAX) {
        return Err(Refusal::Invalid(format!("{until} is more than a hundred years from now")));
    }
    Ok(goes_on(state, account, &known, plan_of(catalog, account), Some(until), now))
}

/// How far below zero the money may go from now on. More of it may bring a stopped account back, less may stop it.
pub(super) fn set_credit_limit(
    state: &State,
    account: &Account,
    limit: Money,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    if limit.is_negative() || limit > Money::MAX_INPUT {
        return Err(Refusal::BadAmount(limit));
    }
    if limit == account.credit_limit {
        return Ok(AccountChanged::default());
    }
    let after = Account { credit_limit: limit, ..account.clone() };
    let mut changed = AccountChanged { credit_limit: Some(limit), ..AccountChanged::default() };
    let was_exhausted = lifecycle::is_exhausted(account, &Ledger::new(account, now));
    settle(state, &after, !was_exhausted, &mut changed, now);
    Ok(changed)
}

/// Puts an account on the red list, or takes it off. On it an account is never stopped and does not lapse; taken off, it is
/// stopped if it has nothing left, and one whose validity ended meanwhile lapses now and has all its grace before it.
pub(super) fn set_never_stop(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    never_stop: bool,
    now: Timestamp,
) -> AccountChanged {
    if never_stop == account.never_stop {
        return AccountChanged::default();
    }
    let mut changed = AccountChanged { never_stop: Some(never_stop), ..AccountChanged::default() };
    let mut after = Account { never_stop, ..account.clone() };
    if let Some(known) = account.life().filter(|life| life.valid_until.is_some()) {
        let until = known.valid_until.filter(|_| never_stop).or(known.valid_until.map(|until| until.max(now)));
        let life = valid_until(known, plan_of(catalog, account), until, now);
        if known.lapsed {
            changed.notices.push(told(account, LifeStep::Revived, None, now));
        }
        after.profile.get_or_insert_default().life = life.clone();
        changed.life = Some(Box::new(life));
    }
    settle(state, &after, true, &mut changed, now);
    changed
}

/// A life that goes on until a moment. It is announced once more before that, if the plan says so.
pub(super) fn valid_until(life: &Life, plan: Option<&Plan>, until: Option<Timestamp>, now: Timestamp) -> Life {
    let before = plan.map_or(0, |plan| plan.remind_before_secs);
    let remind_at = until
        .filter(|_| before > 0)
        .map(|until| Timestamp::from_millis(until.millis().saturating_sub(before.saturating_mul(1_000))));
    Life {
        activated: life.activated,
        valid_until: until,
        remind_at: remind_at.filter(|at| *at > now),
        lapsed: false,
        ends: None,
    }
}

/// The plan of an account, if the catalog still has it.
pub(super) fn plan_of<'c>(catalog: &'c Catalog, account: &Account) -> Option<&'c Plan> {
    catalog.plan(account.plan()?)
}

pub(super) fn told(account: &Account, step: LifeStep, until: Option<Timestamp>, at: Timestamp) -> Notice {
    Notice { account: account.id, at, balance: account.balance(), kind: NoticeKind::Life { step, until } }
}

/// A life that has begun is valid until another moment from now on.
fn goes_on(
    state: &State,
    account: &Account,
    known: &Life,
    plan: Option<&Plan>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> AccountChanged {
    let life = valid_until(known, plan, until, now);
    let mut changed = AccountChanged { life: Some(Box::new(life.clone())), ..AccountChanged::default() };
    if known.lapsed {
        changed.notices.push(told(account, LifeStep::Revived, until, now));
        let mut after = account.clone();
        after.profile.get_or_insert_default().life = life;
        settle(state, &after, false, &mut changed, now);
    }
    changed
}

/// Whether an account is stopped, or comes back, as it is from now on. `may_stop` = something was taken from it.
fn settle(state: &State, after: &Account, may_stop: bool, changed: &mut AccountChanged, now: Timestamp) {
    let exhausted = !after.never_stop && lifecycle::is_exhausted(after, &Ledger::new(after, now));
    let tell = |kind| Notice { account: after.id, at: now, balance: after.balance(), kind };
    match (after.credit_stopped, exhausted) {
        (true, false) => {
            changed.notices.push(tell(NoticeKind::Reconnect));
            changed.reauthorise = lifecycle::waiting(state, after);
        }
        (false, true) if may_stop => changed.notices.push(tell(NoticeKind::CreditStop)),
        (false, false) => changed.reauthorise = lifecycle::waiting(state, after),
        _ => {}
    }
}

/// A name from outside, as far as it is worth showing.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}
