//! The one entry to all decisions. Reads the state, changes nothing.

use std::sync::Arc;

use super::{
    Account, AccountSpec, AccountState, Answer, Bucket, BucketKind, ClosingCause, Command, Event, MemberNo,
    RequestKind, Session, State, Subscriber, SubscriberSpec, Verdict, credit, event_charging, interrogate, lifecycle,
    manage, price_lists::PriceLists, turn, voucher,
};
use crate::{
    ids::{AccountId, BucketId, SessionNo},
    rating::{Catalog, Catalogs},
    time::Timestamp,
    units::{Currency, Money},
};

/// Clients whose Origin-State-Id is known: an operator has some hundreds of gateways. Of more, nothing is concluded.
const CLIENTS_MAX: usize = 10_000;

/// What is decided: the event that would make it true, if anything changes, and what to answer.
#[derive(Debug)]
pub struct Decided {
    /// To be applied and journaled; `None` = nothing changes.
    pub event: Option<Event>,
    /// What to answer.
    pub outcome: Outcome,
    /// The request was seen before: this is the answer that it got then.
    pub repeated: bool,
    /// It was seen before with other content: it is answered as before, and somebody should know (spec C-140).
    pub altered: bool,
    /// Who pays, for charging requests of a known account.
    pub account: Option<AccountId>,
}

/// What is answered to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// To a charging request.
    Answer(Arc<Answer>),
    /// To a credit: balance afterwards and the bucket that changed.
    Credited {
        /// Money of the account afterwards.
        balance: Money,
        /// The bucket that changed.
        bucket: BucketId,
    },
    /// Done, with nothing to tell.
    Done,
    /// Not done, and nothing has changed.
    Refused(Refusal),
}

/// Why a command that is not a charging request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such account.
    #[error("account {0} does not exist")]
    UnknownAccount(AccountId),
    /// The account exists with other content.
    #[error("account {0} exists with other content")]
    AccountExists(AccountId),
    /// Another subscriber of the account has one of the identities.
    #[error("subscriber `{0}` of the account has one of these identities")]
    IdentityTaken(Box<str>),
    /// The subscriber exists with other content.
    #[error("subscriber `{0}` exists with other content")]
    SubscriberExists(Box<str>),
    /// The account has been terminated.
    #[error("account {0} is terminated")]
    Terminated(AccountId),
    /// A credit stop comes from the balance alone.
    #[error("an account is stopped by its balance, not by an operator: suspend it instead")]
    NotByOperator,
    /// No such session.
    #[error("there is no such session")]
    UnknownSession,
    /// The request id was used for another amount or kind.
    #[error("request id `{0}` was used before for something else")]
    RequestIdReused(Box<str>),
    /// The money is of another currency than the account's.
    #[error("the account is in {account}, not {given}")]
    WrongCurrency {
        /// Of the account.
        account: Currency,
        /// In the request.
        given: Currency,
    },
    /// Zero, negative where that makes no sense, or more than may be moved at once.
    #[error("{0} is not an amount that can be moved here")]
    BadAmount(Money),
    /// No voucher has this code.
    #[error("there is no voucher with this code")]
    NoSuchVoucher,
    /// Something that the command names is not there.
    #[error("{0}")]
    NotThere(String),
    /// Something that the command says can never be.
    #[error("{0}")]
    Invalid(String),
    /// What the command wants does not fit what is there.
    #[error("{0}")]
    NotPossible(String),
    /// What would be done would have to be remembered, and there is no room.
    #[error("as much is remembered as may be (`store.remembered_max`): try again later")]
    RemembersEnough,
    /// The balance would be more than can be counted.
    #[error("the balance would be out of range")]
    OutOfRange,
    /// The account has as many buckets as it may have.
    #[error("the account has {0} buckets, more is not possible")]
    TooManyBuckets(usize),
}

impl Decided {
    pub(super) fn unchanged(answer: Arc<Answer>) -> Self {
        Self { event: None, outcome: Outcome::Answer(answer), repeated: false, altered: false, account: None }
    }

    pub(super) fn repeated(answer: Arc<Answer>) -> Self {
        Self { repeated: true, ..Self::unchanged(answer) }
    }

    /// Says whether the repetition has other content.
    pub(super) fn altered(self, altered: bool) -> Self {
        Self { altered, ..self }
    }

    /// Says who pays.
    pub(super) fn paid_by(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { event: None, outcome: Outcome::Refused(refusal), repeated: false, altered: false, account: None }
    }

    pub(super) fn done(event: Option<Event>) -> Self {
        Self { repeated: event.is_none(), event, outcome: Outcome::Done, altered: false, account: None }
    }
}

/// Decides a command at a moment, by the one price list that there is. Deterministic in all its arguments.
pub fn decide(state: &State, catalog: &Catalog, command: &Command<'_>, now: Timestamp) -> Decided {
    decided(state, PriceLists::One(catalog), command, now)
}

/// As [`decide`], by the version that the command's session goes by, or else the one in force: [`super::version_for`].
pub fn decide_by(state: &State, catalogs: &Catalogs, command: &Command<'_>, now: Timestamp) -> Decided {
    decided(state, PriceLists::Versions(catalogs), command, now)
}

fn decided(state: &State, lists: PriceLists<'_>, command: &Command<'_>, now: Timestamp) -> Decided {
    let in_force = lists.in_force(now);
    let mut decided = of_command(state, lists, in_force.catalog, command, now);
    if decided.event.is_some() && state.remembers_enough(now) {
        // Rather refused than forgotten early: a repetition of what is forgotten is charged again. What runs, and what people
        // do one by one, goes on.
        let bare = |kind, number| Decided::unchanged(Arc::new(Answer::bare(kind, number, Verdict::TooBusy)));
        match command {
            Command::Interrogate(it) if it.kind == RequestKind::Initial => return bare(it.kind, it.number),
            Command::ChargeEvent(it) => return bare(RequestKind::Event, it.number),
            Command::Credit(_) => return Decided::refused(Refusal::RemembersEnough),
            _ => {}
        }
    }
    // A request of a session says for itself by what it was rated.
    match &mut decided.event {
        Some(Event::EventCharged(event)) => event.catalog = in_force.number,
        Some(Event::OrphanUsage(event)) if !event.steps.is_empty() => event.catalog = in_force.number,
        Some(Event::Credited(event)) if !event.gifts.is_empty() => event.catalog = in_force.number,
        Some(Event::AccountChanged(event)) if event.period.is_some() => {
            let due = if let Command::CatchUp { account, .. } = command { due(state, *account, now) } else { now };
            event.catalog = lists.in_force(due).number;
        }
        _ => {}
    }
    decided
}

fn of_command(
    state: &State,
    lists: PriceLists<'_>,
    catalog: &Catalog,
    command: &Command<'_>,
    now: Timestamp,
) -> Decided {
    match command {
        Command::Interrogate(request) => interrogate::decide(state, lists, request, now),
        Command::ChargeEvent(request) => event_charging::decide(state, lists, request, now),
        Command::Credit(request) => credit::decide(state, catalog, request, now),
        Command::Manage(request) => manage::decide(state, catalog, request, now),
        Command::CatchUp { account, use_begins } => {
            let due = due(state, *account, now);
            turn::decide(state, lists.in_force(due).catalog, *account, *use_begins, now)
        }
        Command::Voucher(request) => voucher::decide(state, request, now),
        Command::CreateAccount(spec) => create_account(state, spec, now),
        Command::CreateSubscriber(spec) => create_subscriber(state, spec, now),
        Command::SetState { account, state: target, reason } => set_state(state, *account, *target, reason, now),
        Command::ExpireSession(no) => expire(state, *no, now),
        Command::SessionLost(key) => close(state, state.session_keys.get(key).copied(), ClosingCause::Lost, now),
        Command::ReAuthorise(key, group) => match state.session_keys.get(key) {
            Some(no) => mark_reauthorise(state, *no, true, *group, now),
            None => Decided::refused(Refusal::UnknownSession),
        },
        Command::ReAuthorisationDone(no) => mark_reauthorise(state, *no, false, None, now),
        Command::Abort(key) => match state.session_keys.get(key) {
            Some(no) => mark_abort(state, *no, true, now),
            None => Decided::refused(Refusal::UnknownSession),
        },
        Command::AbortDone(no) => mark_abort(state, *no, false, now),
        Command::ClientState { host, state_id } => client_state(state, host, *state_id, now),
        Command::CloseLeftBehind(no) => {
            let left = state.session(*no).is_some_and(|session| state.is_left_behind(session, now));
            close(state, left.then_some(*no), ClosingCause::ClientRestarted, now)
        }
        Command::RecordUsage(request) => interrogate::record(state, request, now),
    }
}

/// A fee is that of the price list in force when it fell due, however late anyone looks.
fn due(state: &State, account: AccountId, now: Timestamp) -> Timestamp {
    state.account(account).and_then(Account::next_due).unwrap_or(now).min(now)
}

fn create_account(state: &State, spec: &AccountSpec<'_>, now: Timestamp) -> Decided {
    if spec.balance.is_negative() || spec.balance > Money::MAX_INPUT {
        return Decided::refused(Refusal::BadAmount(spec.balance));
    }
    if spec.credit_limit.is_negative() || spec.credit_limit > Money::MAX_INPUT {
        return Decided::refused(Refusal::BadAmount(spec.credit_limit));
    }
    if let Some(account) = state.account(spec.id) {
        return if same_account(account, spec) {
            Decided::done(None)
        } else {
            Decided::refused(Refusal::AccountExists(spec.id))
        };
    }
    let main = Bucket {
        id: BucketId::MAIN,
        kind: BucketKind::Money,
        amount: spec.balance.micros(),
        reserved: 0,
        initial: spec.balance.micros(),
        priority: Bucket::MAIN_PRIORITY,
        expires: None,
        services: Arc::new([]),
        name: "main".into(),
        owner: MemberNo::SHARED,
        subscription: 0,
        rolled: 0,
    };
    let allowances = spec.allowances.iter().zip(opening_buckets());
    let buckets =
        std::iter::once(main).chain(allowances.map(|(allowance, id)| credit::bucket_of(allowance, id, now))).collect();
    Decided::done(Some(Event::AccountCreated {
        account: spec.id,
        currency: spec.currency,
        credit_limit: spec.credit_limit,
        never_stop: spec.never_stop,
        buckets,
        at: now,
    }))
}

/// Whether an account is what this creation made. Its balance and allowances may have moved on since: what it was opened
/// with is compared. Of an allowance that was used up or ran out, and was cleared away since, only that there was one is
/// known; it counts as the one that the creation names.
fn same_account(account: &Account, spec: &AccountSpec<'_>) -> bool {
    let opening = account.bucket(BucketId::MAIN).map(|bucket| bucket.initial);
    account.currency == spec.currency
        && account.credit_limit == spec.credit_limit
        && account.never_stop == spec.never_stop
        && opening == Some(spec.balance.micros())
        && account.opening_allowances as usize == spec.allowances.len()
        && spec
            .allowances
            .iter()
            .zip(opening_buckets())
            .all(|(allowance, id)| account.bucket(id).is_none_or(|bucket| *bucket.name == *allowance.name))
}

/// The ids of the buckets that the allowances of a creation get, in their order.
fn opening_buckets() -> impl Iterator<Item = BucketId> {
    (BucketId::MAIN.0 + 1..).map(BucketId)
}

fn create_subscriber(state: &State, spec: &SubscriberSpec, now: Timestamp) -> Decided {
    let Some(account) = state.account(spec.account) else {
        return Decided::refused(Refusal::UnknownAccount(spec.account));
    };
    if account.state == AccountState::Terminated {
        return Decided::refused(Refusal::Terminated(spec.account));
    }
    match account.subscribers.iter().find(|subscriber| subscriber.id == spec.subscriber.id) {
        Some(known) if *known == spec.subscriber => Decided::done(None),
        Some(known) => Decided::refused(Refusal::SubscriberExists(known.id.clone())),
        None if let Some(other) = account.subscribers.iter().find(|other| shares_identity(other, &spec.subscriber)) => {
            Decided::refused(Refusal::IdentityTaken(other.id.clone()))
        }
        None => Decided::done(Some(Event::SubscriberCreated {
            account: spec.account,
            subscriber: spec.subscriber.clone(),
            at: now,
        })),
    }
}

fn shares_identity(one: &Subscriber, other: &Subscriber) -> bool {
    one.identities.iter().any(|identity| other.identities.contains(identity))
}

fn set_state(state: &State, id: AccountId, target: AccountState, reason: &str, now: Timestamp) -> Decided {
    match state.account(id) {
        None => Decided::refused(Refusal::UnknownAccount(id)),
        Some(account) if account.state == AccountState::Terminated && target != AccountState::Terminated => {
            Decided::refused(Refusal::Terminated(id))
        }
        Some(_) if target == AccountState::Stopped => Decided::refused(Refusal::NotByOperator),
        Some(account) if account.state == target => Decided::done(None),
        // An operator's "active" does not lift a credit stop: only a credit does.
        Some(account) if account.state == AccountState::Stopped && target == AccountState::Active => {
            Decided::done(None)
        }
        Some(_) => {
            Decided::done(Some(Event::StateChanged { account: id, state: target, reason: reason.into(), at: now }))
        }
    }
}

fn expire(state: &State, no: SessionNo, now: Timestamp) -> Decided {
    let due = state.session(no).is_some_and(|session| session.expires <= now);
    close(state, due.then_some(no), ClosingCause::Expired, now)
}

fn close(state: &State, no: Option<SessionNo>, cause: ClosingCause, now: Timestamp) -> Decided {
    let event = no.and_then(|no| state.session(no)).map(|session| {
        let holds = state.releases_anything(session);
        let account = state.account(session.account).filter(|_| holds);
        let wake = account.map_or_else(Vec::new, |account| lifecycle::waiting_others(state, account, session.no, now));
        Event::SessionClosed { session: session.no, cause, wake, at: now }
    });
    Decided::done(event)
}

fn mark_reauthorise(state: &State, no: SessionNo, wanted: bool, group: Option<u32>, now: Timestamp) -> Decided {
    let is_new = |session: &&Session| session.reauthorise != wanted || wanted && session.reauthorise_group != group;
    let event = state.session(no).filter(is_new).map(|session| Event::ReAuthorise {
        session: session.no,
        wanted,
        group,
        at: now,
    });
    Decided::done(event)
}

fn mark_abort(state: &State, no: SessionNo, wanted: bool, now: Timestamp) -> Decided {
    let event = state.session(no).filter(|session| session.abort != wanted);
    Decided::done(event.map(|session| Event::Abort { session: session.no, wanted, at: now }))
}

/// Only a growth is news; a value that is lower than the known one means nothing (spec B-192).
fn client_state(state: &State, host: &str, state_id: u32, now: Timestamp) -> Decided {
    let known = state.client(host);
    let is_news = match known {
        Some(known) => state_id > known.state_id,
        None => state_id > 0 && state.clients.len() < CLIENTS_MAX,
    };
    let event = Event::ClientState { host: host.to_ascii_lowercase().into(), state_id, at: now };
    Decided::done(is_news.then_some(event))
}
