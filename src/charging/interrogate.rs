//! Decides requests of sessions: debit what was used, reserve what is wanted, as one atomic step (spec C-16, C-44, I-7).

mod beside;
mod debit;
pub(super) mod extras;
mod final_units;
mod grant;
mod limits;
mod line;
mod pool;
mod slice;
mod tariffs;

use std::sync::Arc;

use super::{
    Account, AccountState, Answer, AnswerExtras, Closed, ClosingCause, Counter, Decided, Event, Interrogated,
    Interrogation, LifeStep, MemberNo, Notice, NoticeKind, Opening, Origin, OrphanUsage, Pool, Quota, Reheld, Reply,
    RequestKind, Session, State, Step, Verdict,
    contract::Contract,
    ledger::Place,
    lifecycle,
    price_lists::{PriceList, PriceLists},
    quota::Ledger,
    session::{Novelty, SESSION_QUOTAS_USED_MAX},
    state::report_key,
};
use crate::{
    ids::{SessionId, SessionNo},
    rating::{Attributes, Catalog, ContextId},
    time::Timestamp,
    units::Money,
};

pub(super) fn decide(state: &State, lists: PriceLists<'_>, request: &Interrogation<'_>, now: Timestamp) -> Decided {
    let bare = |verdict| Arc::new(Answer::bare(request.kind, request.number, verdict));
    let session = state.session_by_id(request.key, request.session_id);
    let catalog = lists.for_request(session, request.kind, now).catalog;
    if let Some(session) = session {
        match session.novelty(request.kind, request.number) {
            Novelty::New if request.kind == RequestKind::Initial => {
                return Decided::unchanged(bare(Verdict::UnableToComply));
            }
            Novelty::New => {}
            Novelty::Answered(answer) => {
                let altered = is_altered(state, lists, request, now, session, &answer);
                return Decided::repeated(answer).paid_by(session.account).altered(altered);
            }
            Novelty::Forgotten => {
                return Decided { repeated: true, ..Decided::unchanged(bare(Verdict::UnableToComply)) };
            }
            // It may be a copy, so it is not charged; it may be none, so it is recorded.
            Novelty::TooOld => return orphan(state, request, now, Verdict::UnableToComply, None),
        }
        if request.account.is_some_and(|account| account != session.account) {
            return orphan(state, request, now, Verdict::InvalidValue, None);
        }
        if !same_context(session, catalog, request) {
            return orphan(state, request, now, Verdict::OtherContext, None);
        }
    } else if let Some(closed) = state.closed_session(request.key) {
        if let Some(answer) = closed.answer().filter(|a| a.kind == request.kind && a.number == request.number) {
            return Decided::repeated(answer).paid_by(closed.account);
        }
        if request.kind == RequestKind::Initial {
            // A late copy of a request that was answered long ago, or a Session-Id used twice: neither may reserve.
            return Decided::unchanged(bare(Verdict::UnableToComply));
        }
        return match closed.novelty(request.kind, request.number) {
            // It was charged while the session ran; the answer is gone with it (spec C-93).
            Novelty::Answered(_) | Novelty::Forgotten => {
                Decided { repeated: true, ..Decided::unchanged(bare(Verdict::UnknownSession)) }
            }
            Novelty::TooOld => orphan(state, request, now, Verdict::UnknownSession, None),
            Novelty::New => orphan(state, request, now, Verdict::UnknownSession, Some((lists, closed))),
        };
    }
    if session.is_none() && request.kind != RequestKind::Initial {
        return orphan(state, request, now, Verdict::UnknownSession, None);
    }
    let Some(account) = session.map(|s| s.account).or(request.account).and_then(|id| state.account(id)) else {
        return Decided::unchanged(bare(Verdict::UserUnknown));
    };
    let context = request.context.or_else(|| session.and_then(|s| catalog.context(&s.context)));
    if session.is_none() {
        if context.is_none() {
            return Decided::unchanged(bare(Verdict::RatingFailed));
        }
        if account.sessions.len() >= state.retention.account_sessions_max {
            return Decided::unchanged(bare(Verdict::ResourcesExceeded));
        }
        if barred(account) && !is_emergency(session, request) {
            return Decided::unchanged(bare(Verdict::ServiceDenied));
        }
    }
    Interrogator::new(state, lists, request, now, account, session, context).run()
}

/// Whether a repetition of the last request reports other usage (spec C-140). Of earlier ones that is not known.
fn is_altered(
    state: &State,
    lists: PriceLists<'_>,
    request: &Interrogation<'_>,
    now: Timestamp,
    session: &Session,
    answer: &Arc<Answer>,
) -> bool {
    if session.answers.back() != Some(answer) {
        return false;
    }
    let Some(account) = state.account(session.account) else { return false };
    let catalog = lists.for_request(Some(session), request.kind, now).catalog;
    let context = request.context.or_else(|| catalog.context(&session.context));
    Interrogator::new(state, lists, request, now, account, Some(session), context).used() != session.reported
}

/// Usage in a request that was refused before it could be decided (spec C-90).
pub(super) fn record(state: &State, request: &Interrogation<'_>, now: Timestamp) -> Decided {
    orphan(state, request, now, Verdict::InvalidValue, None)
}

/// Usage of a session that is not there is recorded, once, never dropped silently (spec C-90, I-13). If it is that of a
/// session that has ended, it can be charged as well.
fn orphan(
    state: &State,
    request: &Interrogation<'_>,
    now: Timestamp,
    verdict: Verdict,
    ended: Option<(PriceLists<'_>, &Closed)>,
) -> Decided {
    let answer = Arc::new(Answer::bare(request.kind, request.number, verdict));
    let usage: Vec<_> = request
        .services
        .iter()
        .map(|service| (service.key, service.all_used()))
        .filter(|(_, used)| !used.is_zero())
        .collect();
    if usage.is_empty() {
        return Decided::unchanged(answer);
    }
    let reported = state.closed_session(report_key(request.key, request.kind, request.number));
    if reported.is_some() {
        return Decided::repeated(answer);
    }
    let (mut account, mut charged) = (request.account, Late::default());
    if let Some((lists, closed)) = ended
        && request.account.is_none_or(|account| account == closed.account)
        && let Some(payer) = state.account(closed.account)
    {
        account = Some(closed.account);
        if state.retention.charge_late_usage {
            let late = Interrogator::new(state, lists, request, now, payer, None, request.context);
            charged = late.charge_late();
        }
    }
    let Late { steps, notices, begun, reheld } = charged;
    let event = Event::OrphanUsage(Box::new(OrphanUsage {
        at: now,
        account,
        session_id: SessionId::new(request.session_id),
        sub_session: request.sub_session,
        context: request.context_name.into(),
        kind: request.kind,
        number: request.number,
        usage,
        steps,
        verdict,
        notices,
        begun,
        reheld,
        catalog: 0,
    }));
    Decided { event: Some(event), ..Decided::unchanged(answer) }
}

/// What is charged for usage that came too late.
#[derive(Default)]
struct Late {
    steps: Vec<Step>,
    notices: Vec<Notice>,
    begun: Vec<Counter>,
    reheld: Vec<Reheld>,
}

fn barred(account: &Account) -> bool {
    matches!(account.state, AccountState::Suspended | AccountState::Terminated)
}

/// An emergency is never refused, whoever calls and whatever is left (spec G-104).
fn is_emergency(session: Option<&Session>, request: &Interrogation<'_>) -> bool {
    let known = session.and_then(|session| session.attributes.as_deref());
    known.is_some_and(|known| known.emergency) || request.attributes.as_ref().is_some_and(|told| told.emergency)
}

fn same_context(session: &Session, catalog: &Catalog, request: &Interrogation<'_>) -> bool {
    *session.context == *request.context_name
        || request.context.is_some_and(|context| catalog.context(&session.context) == Some(context))
}

/// The decision on one request: a working copy of the balance and the steps so far.
struct Interrogator<'a> {
    state: &'a State,
    lists: PriceLists<'a>,
    /// The version of the catalog that counts from now on; 0 = it has no number.
    version: u32,
    catalog: &'a Catalog,
    request: &'a Interrogation<'a>,
    now: Timestamp,
    account: &'a Account,
    session: Option<&'a Session>,
    context: Option<ContextId>,
    /// When what is reported happened (spec C-24).
    moment: Timestamp,
    /// The client's own time was too far off.
    untimely: bool,
    /// The conditions from now on, if any are known.
    attributes: Option<Arc<Attributes>>,
    emergency: bool,
    /// It was one before this request: what is reported is free (spec G-42).
    was_emergency: bool,
    /// Who pays at the moment.
    member: MemberNo,
    contract: Contract<'a>,
    ledger: Ledger<'a>,
    /// What pools hold.
    pools: Vec<Pool>,
    steps: Vec<Step>,
    /// What other quotas hold from now on.
    reheld: Vec<Reheld>,
    /// Limits on account of which something is refused.
    reached: Vec<Place>,
    replies: Vec<Reply>,
}

impl<'a> Interrogator<'a> {
    fn new(
        state: &'a State,
        lists: PriceLists<'a>,
        request: &'a Interrogation<'a>,
        now: Timestamp,
        account: &'a Account,
        session: Option<&'a Session>,
        context: Option<ContextId>,
    ) -> Self {
        let PriceList { number: version, catalog } = lists.for_request(session, request.kind, now);
        let member = member_of(session, request);
        let ledger = Ledger::new(account, now).used_by(member);
        let count = request.services.len();
        let (steps, replies) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let pools = session.map_or_else(Vec::new, |session| session.pools.clone());
        let (moment, untimely) = catalog.moment(request.happened, now);
        let contract = Contract::of(catalog, account, member, moment);
        let emergency = is_emergency(session, request);
        let was_emergency = match session {
            Some(session) => session.attributes.as_deref().is_some_and(|known| known.emergency),
            None => emergency,
        };
        Self {
            state,
            lists,
            version,
            catalog,
            request,
            now,
            account,
            session,
            context,
            moment,
            untimely,
            attributes: from_now_on(session, request),
            emergency,
            was_emergency,
            member,
            contract,
            ledger,
            pools,
            steps,
            reheld: Vec::new(),
            reached: Vec::new(),
            replies,
        }
    }

    /// All that is reported, in whatever unit each service counts.
    fn used(mut self) -> u64 {
        for line in &self.lines() {
            self.debit(line);
        }
        self.steps.iter().fold(0, |sum, step| sum.wrapping_add(step.used))
    }

    /// Debits what is reported and grants nothing: for a session that has ended.
    fn charge_late(mut self) -> Late {
        for line in &self.lines() {
            self.debit(line);
        }
        self.ledger.settle();
        self.secure_others();
        self.steps.retain(|step| step.used > 0);
        Late { notices: self.notices(), begun: self.ledger.begun(), steps: self.steps, reheld: self.reheld }
    }

    /// What must be told after the debits.
    fn notices(&self) -> Vec<Notice> {
        let mut notices = lifecycle::notices_of_debit(self.account, &self.ledger, self.catalog, self.now);
        notices.extend(self.contract.notices(&self.ledger, self.now));
        notices
    }

    fn run(mut self) -> Decided {
        let mut lines = self.lines();
        if lines.len() > 1 {
            self.mark_excess(&mut lines);
        }
        let request = self.request;
        let place = |key| request.services.iter().position(|service| service.key == key);
        if self.quotas_with(&lines) > SESSION_QUOTAS_USED_MAX {
            return orphan(self.state, self.request, self.now, Verdict::ResourcesExceeded, None);
        }
        // All releases and debits come first, so that what one service gives back can go to another in the same request. But
        // each quota gives back its own right before it pays: what was held for one is not taken for another.
        if self.request.kind == RequestKind::Termination {
            let reported = |quota: &Quota| lines.iter().any(|line| line.quota == quota.key);
            let quotas = self.session.map_or(&[][..], |session| &session.quotas);
            for quota in quotas.iter().filter(|quota| !reported(quota)) {
                self.ledger.release(&quota.holds);
            }
            for pool in std::mem::take(&mut self.pools) {
                self.ledger.release(&pool.holds);
            }
        }
        // Who has used no more than was granted comes first: the excess of others may then be paid from what is left over.
        // What comes of a request does not depend on the order in which it names its services.
        lines.sort_by_key(|line| (line.exceeds_grant, line.key));
        for (index, line) in lines.iter().enumerate() {
            let is_first = lines.iter().take(index).all(|earlier| earlier.quota != line.quota);
            if let Some(quota) = self.quota(line.quota).filter(|_| is_first) {
                self.ledger.release(&quota.holds);
            }
            self.debit(line);
        }
        if self.request.kind != RequestKind::Termination {
            lines.iter().for_each(|line| self.change_version(line));
        }
        self.act_for(member_of(self.session, self.request));
        self.release_idle_pools(&lines);
        self.ledger.settle();
        self.secure_others();
        let debited = self.steps.iter().any(|step| !step.debits.is_empty());
        let mut notices = if debited { self.notices() } else { Vec::new() };
        let suspended = |notice: &Notice| matches!(notice.kind, NoticeKind::Life { step: LifeStep::Suspended, .. });
        let barred = (barred(self.account) || notices.iter().any(suspended)) && !self.emergency;
        let stopped = self.account.state == AccountState::Stopped
            || notices.iter().any(|notice| notice.kind == NoticeKind::CreditStop);
        if self.request.kind != RequestKind::Termination && !barred {
            lines.sort_by_key(|line| line.key);
            for line in &lines {
                self.grant(line, &lines, stopped);
            }
            self.replies.sort_by_key(|reply| place(reply.key));
            self.tell_reached(&mut notices);
        }
        lines.sort_by_key(|line| place(line.key));
        self.settle_pools();
        let extras = self.answer_extras(&lines);
        self.conclude(barred, notices, extras)
    }

    fn conclude(self, barred: bool, notices: Vec<Notice>, extras: Option<Box<AnswerExtras>>) -> Decided {
        let Self {
            state,
            version,
            request,
            now,
            account,
            session,
            attributes,
            untimely,
            steps,
            reheld,
            reached,
            mut replies,
            ref ledger,
            ..
        } = self;
        let charged = steps
            .iter()
            .fold(session.map_or(Money::ZERO, Session::charged), |sum, step| sum.saturating_add(step.charged));
        let verdict = if barred && request.kind != RequestKind::Termination {
            Verdict::ServiceDenied
        } else if request.at_command_level {
            // Without an MSCC the result of the one service is the result of the request (spec C-112).
            replies.first().map_or(Verdict::Success, |reply| reply.verdict)
        } else {
            Verdict::Success
        };
        if verdict != Verdict::Success {
            replies.clear();
        }
        let answer = Arc::new(Answer {
            kind: request.kind,
            number: request.number,
            verdict,
            replies,
            at_command_level: request.at_command_level,
            cost: charged,
            enough_credit: None,
            extras,
        });
        let closes = match (request.kind, verdict) {
            (RequestKind::Termination, _) => Some(ClosingCause::Terminated),
            (_, Verdict::Success) => None,
            _ => Some(ClosingCause::Refused),
        };
        let stopped = notices.iter().any(|notice| notice.kind == NoticeKind::CreditStop);
        let wake = match session {
            // Alone, as nearly all are.
            Some(session) if account.sessions.len() > 1 && !stopped && frees(state, ledger, session, closes) => {
                lifecycle::waiting_others(state, account, session.no, now)
            }
            _ => Vec::new(),
        };
        let expires = supervision_end(state, session, &steps, now);
        let opening = session.is_none().then(|| {
            Box::new(Opening {
                session_id: SessionId::new(request.session_id),
                sub_session: request.sub_session,
                context: request.context_name.into(),
                origin_host: request.origin_host.into(),
                origin_realm: request.origin_realm.into(),
                member: request.member,
                catalog: version,
            })
        });
        let moved = session.filter(|session| {
            *session.origin_host != *request.origin_host || *session.origin_realm != *request.origin_realm
        });
        // Another client counts for itself; the same one only ever grows (spec B-191).
        let incarnation = match session {
            Some(session) if moved.is_some() => session.incarnation != request.incarnation,
            known => request.incarnation > known.map_or(0, |session| session.incarnation),
        };
        let moved_to =
            moved.map(|_| Box::new(Origin { host: request.origin_host.into(), realm: request.origin_realm.into() }));
        let event = Event::Interrogated(Box::new(Interrogated {
            at: now,
            account: account.id,
            session: session.map_or(SessionNo(state.next_session), |session| session.no),
            opening,
            steps,
            answer: Arc::clone(&answer),
            expires,
            closes,
            notices,
            moved_to,
            attributes: attributes.filter(|new| known_attributes(session).is_none_or(|known| known != new)),
            incarnation: incarnation.then_some(request.incarnation),
            wake,
            untimely: request.happened.filter(|_| untimely),
            begun: ledger.begun(),
            member: Some(member_of(session, request)).filter(|member| session.is_some_and(|it| it.member != *member)),
            reached: reached.into_iter().map(|place| ledger.counter_at(place).id).collect(),
            reheld,
            catalog: Some(version).filter(|version| session.is_some_and(|session| session.catalog != *version)),
        }));
        Decided { event: Some(event), ..Decided::unchanged(answer).paid_by(account.id) }
    }
}

/// Whether a request of a session leaves more for the others of its account.
fn frees(state: &State, ledger: &Ledger<'_>, session: &Session, closes: Option<ClosingCause>) -> bool {
    ledger.has_freed() || closes.is_some() && state.releases_anything(session)
}

/// A session is its member's. One that nobody with terms had opened becomes that of whoever has got terms since.
fn member_of(session: Option<&Session>, request: &Interrogation<'_>) -> MemberNo {
    session.map(|session| session.member).filter(|member| *member != MemberNo::SHARED).unwrap_or(request.member)
}

fn known_attributes(session: Option<&Session>) -> Option<&Arc<Attributes>> {
    session.and_then(|session| session.attributes.as_ref())
}

/// The conditions that hold from this request on: it may tell only what has changed (spec G-96).
fn from_now_on(session: Option<&Session>, request: &Interrogation<'_>) -> Option<Arc<Attributes>> {
    match (known_attributes(session), request.attributes.as_deref()) {
        (known, None) => known.cloned(),
        (None, Some(told)) => Some(Arc::new(told.clone())),
        (Some(known), Some(told)) => Some(Arc::new(told.clone().merged_into(known))),
    }
}

/// Tcc: twice the largest Validity-Time that is open in the session, or the default (spec C-72).
fn supervision_end(state: &State, session: Option<&Session>, steps: &[Step], now: Timestamp) -> Timestamp {
    let untouched = session
        .into_iter()
        .flat_map(|session| &session.quotas)
        .filter(|quota| steps.iter().all(|step| step.key != quota.key))
        .map(|quota| quota.validity_secs);
    let longest = untouched.chain(steps.iter().map(|step| step.validity_secs)).max().unwrap_or(0);
    let secs = if longest == 0 { state.retention.session_default_secs } else { 2 * u64::from(longest) };
    now.plus_secs(secs)
}
