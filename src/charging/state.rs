//! The state of one partition.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use super::{
    Account, Answer, Closed, ClosingCause, EventAction, HistoryKind, Record, RequestKind, Session, Step, Vouchers,
    accounts::{Accounts, AccountsCopy},
    kept::{Charged, Kept},
    memory::{Memory, Remembered},
};
use crate::{
    ids::{AccountId, BucketId, NumberMap, SessionKey, SessionNo, VoucherKey},
    time::Timestamp,
    units::Money,
};

/// How long things are remembered, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answers of ended sessions, in seconds (spec B-96: at least 240).
    pub session_secs: u64,
    /// One-time events, in seconds (spec C-143).
    pub event_secs: u64,
    /// Request ids of credits, in seconds.
    pub request_id_secs: u64,
    /// Ended sessions, one-time events and request ids that one partition may remember, of each so many. Nothing is forgotten
    /// early for that: whoever executes asks before ([`State::remembers_enough`]).
    pub remembered_max: usize,
    /// History lines per account.
    pub history_entries: usize,
    /// Supervision of sessions that hold no quota with a Validity-Time, in seconds (spec C-72).
    pub session_default_secs: u64,
    /// How long after a client's restart its old sessions are closed, in seconds: requests from before may still be under
    /// way (spec B-191).
    pub restart_grace_secs: u64,
    /// Usage that is reported after its session has ended is charged, once (late usage, spec C-90); else it is recorded.
    pub charge_late_usage: bool,
    /// What refund tokens are sealed with: the store's own.
    pub secret: [u64; 2],
    /// Running sessions of one account. A handset has a few; a shared account some dozens.
    pub account_sessions_max: usize,
    /// Quotas that may be granted in one session: gateways use up to a few dozen rating groups.
    pub session_quotas_max: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            session_secs: 300,
            event_secs: 86_400,
            request_id_secs: 30 * 86_400,
            remembered_max: 1_000_000,
            history_entries: 8,
            session_default_secs: 86_400,
            restart_grace_secs: 30,
            charge_late_usage: false,
            secret: [0; 2],
            account_sessions_max: 256,
            session_quotas_max: 256,
        }
    }
}

/// An answered one-time event, for its retransmissions. It is the account's: another account may use the same Session-Id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedEvent {
    /// The key of its Session-Id.
    pub key: SessionKey,
    /// The account that paid.
    pub account: AccountId,
    /// When it was answered.
    pub at: Timestamp,
    answer: Kept<Charged>,
}

impl RememberedEvent {
    /// Of an event that was answered. `steps` = what it took.
    pub(super) fn new(
        key: SessionKey,
        account: AccountId,
        at: Timestamp,
        answer: &Arc<Answer>,
        action: EventAction,
        steps: &[Step],
    ) -> Self {
        let ordinary =
            steps.len() <= 1 && steps.iter().flat_map(|step| &step.debits).all(|draw| draw.bucket == BucketId::MAIN);
        let mut kept = Kept::new(answer);
        if action == EventAction::Debit && !steps.is_empty() && !(ordinary && matches!(kept, Kept::Short(_))) {
            kept = Kept::itemised(answer, steps.to_vec());
        }
        Self { key, account, at, answer: kept }
    }

    /// As it was when it was written down.
    pub(crate) fn restored(
        key: SessionKey,
        account: AccountId,
        at: Timestamp,
        answer: &Arc<Answer>,
        is_refunded: bool,
        left: Vec<Step>,
    ) -> Self {
        let answer = match (is_refunded, left.is_empty()) {
            (true, _) => Kept::refunded(answer),
            (false, true) => Kept::new(answer),
            (false, false) => Kept::itemised(answer, left),
        };
        Self { key, account, at, answer }
    }

    /// What may still be given back: a step for each service that was charged.
    pub(super) fn left(&self) -> Vec<Step> {
        self.answer.left()
    }

    /// What may still be given back, where that does not follow from the answer.
    pub(crate) fn items(&self) -> &[Step] {
        self.answer.items()
    }

    /// Whether an ordinary debit has been given back.
    pub(crate) fn is_refunded(&self) -> bool {
        self.answer.is_refunded()
    }

    /// The same when no more than this is left.
    pub(super) fn with_left(&self, left: Vec<Step>) -> Self {
        Self::restored(self.key, self.account, self.at, &self.answer(), left.is_empty(), left)
    }

    /// The answer.
    pub fn answer(&self) -> Arc<Answer> {
        self.answer.answer()
    }

    fn hash_of(key: SessionKey, account: AccountId, number: u32) -> u64 {
        key.halves().0 ^ scattered(account.0 ^ u64::from(number).rotate_left(32))
    }
}

impl Remembered for RememberedEvent {
    fn hash(&self) -> u64 {
        Self::hash_of(self.key, self.account, self.answer.number())
    }

    fn same_key(&self, other: &Self) -> bool {
        (self.key, self.account, self.answer.number()) == (other.key, other.account, other.answer.number())
    }
}

/// The key that a one-time event is remembered by. A refund may have the Session-Id and the number of its debit: another
/// Requested-Action is no copy (spec C-136, C-140).
pub(super) fn event_key(key: SessionKey, action: EventAction) -> SessionKey {
    if action == EventAction::Refund { key.derived(1) } else { key }
}

/// The key that a report without a session is remembered by.
pub(super) fn report_key(key: SessionKey, kind: RequestKind, number: u32) -> SessionKey {
    key.derived((kind as u64 + 2) << 32 | u64::from(number))
}

/// Neighbours become numbers that have little in common.
fn scattered(number: u64) -> u64 {
    let product = u128::from(number) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

/// An answered credit, for its repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedCredit {
    /// The account.
    pub account: AccountId,
    /// The caller's idempotency key, unique for the account.
    pub request_id: Box<str>,
    /// When it was answered.
    pub at: Timestamp,
    /// Top-up, adjustment or allowance.
    pub kind: HistoryKind,
    /// What was asked for: micro-units of money, or 0 with the allowance's name.
    pub amount: i64,
    /// Name of the allowance; empty for money.
    pub allowance: Box<str>,
    /// Balance in the answer.
    pub balance: Money,
    /// Bucket in the answer.
    pub bucket: crate::ids::BucketId,
}

impl RememberedCredit {
    fn hash_of(account: AccountId, request_id: &str) -> u64 {
        SessionKey::of(request_id.as_bytes()).halves().0 ^ scattered(account.0)
    }
}

impl Remembered for RememberedCredit {
    fn hash(&self) -> u64 {
        Self::hash_of(self.account, &self.request_id)
    }

    fn same_key(&self, other: &Self) -> bool {
        (self.account, &self.request_id) == (other.account, &other.request_id)
    }
}

/// What is known of a client (a node that sends requests).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The highest Origin-State-Id that it told (spec B-190).
    pub state_id: u32,
    /// When that last grew.
    pub restarted: Option<Timestamp>,
}

/// All that one partition knows. Changed by [`State::apply`] alone.
#[derive(Debug, Default)]
pub struct State {
    pub(super) retention: Retention,
    pub(super) accounts: Accounts,
    pub(super) sessions: NumberMap<SessionNo, Session>,
    pub(super) session_keys: NumberMap<SessionKey, SessionNo>,
    pub(super) next_session: u64,
    /// Sessions by the moment when to look whether supervision has run out: not later than their `expires`.
    pub(super) supervision: BTreeSet<(Timestamp, SessionNo)>,
    /// Sessions that a request of ours is to be sent about: re-authorisation or abort.
    pub(super) reauthorise: BTreeSet<SessionNo>,
    /// Accounts by the moment when something is to be done about them.
    pub(super) due_accounts: BTreeSet<(Timestamp, AccountId)>,
    /// Accounts with money on its way to others.
    pub(super) senders: BTreeSet<AccountId>,
    pub(super) vouchers: Vouchers,
    /// Vouchers that are on their way to an account.
    pub(super) redeeming: BTreeSet<VoucherKey>,
    pub(super) closed: Memory<Closed>,
    pub(super) events: Memory<RememberedEvent>,
    pub(super) credits: Memory<RememberedCredit>,
    /// How many of the running sessions are sub-sessions.
    pub(super) sub_sessions: usize,
    /// By Origin-Host in lower case.
    pub(super) clients: BTreeMap<Arc<str>, Client>,
    /// Keys of sessions that have ended since someone last asked, and why.
    pub(super) ended: Vec<(SessionKey, ClosingCause)>,
    /// Usage records since someone last asked, if anyone does.
    pub(super) records: Vec<Record>,
    pub(super) keeps_records: bool,
    /// One copy of names that many sessions share.
    pub(super) names: BTreeSet<Arc<str>>,
    /// All money that ever came in and went out: the other side of the balance identity.
    pub(super) credited: i128,
    pub(super) debited: i128,
    /// Sum of all buckets and of their reservations, kept up to date: the first side of the identity, in money.
    pub(super) balances: i128,
    pub(super) reserved: i128,
}

impl State {
    /// An empty partition.
    pub fn new(retention: Retention) -> Self {
        Self { retention, next_session: 1, ..Self::default() }
    }

    /// The account with this id.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The account with this id, for those who only look: if it rests, it goes on doing so.
    pub fn peek_account(&self, id: AccountId) -> Option<Cow<'_, Account>> {
        self.accounts.peek(id)
    }

    /// Whether there is an account with this id.
    pub fn has_account(&self, id: AccountId) -> bool {
        self.accounts.contains(id)
    }

    /// All accounts, in the order in which they came; those that rest go on doing so.
    pub fn accounts(&self) -> impl Iterator<Item = Cow<'_, Account>> {
        self.accounts.iter()
    }

    /// All accounts as they are now, for those who look at them later, without the lock.
    pub fn copy_accounts(&self) -> AccountsCopy {
        self.accounts.copy()
    }

    /// Ids of accounts above `after`, in order, at most `limit`.
    pub fn accounts_after(&mut self, after: AccountId, limit: usize) -> Vec<AccountId> {
        self.accounts.after(after, limit)
    }

    /// Puts accounts to rest that are not used any more, a few at a time. That changes nothing that anyone can see. To be
    /// called now and then by those who look at accounts and change none.
    pub fn rest(&mut self) {
        self.accounts.rest();
    }

    /// The session with this number.
    pub fn session(&self, no: SessionNo) -> Option<&Session> {
        self.sessions.get(&no)
    }

    /// The running session with this Session-Id.
    pub fn session_by_id(&self, key: SessionKey, id: &[u8]) -> Option<&Session> {
        let session = self.sessions.get(self.session_keys.get(&key)?)?;
        (session.id.as_bytes() == id).then_some(session)
    }

    /// The running session with this key.
    pub fn session_by_key(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(self.session_keys.get(&key)?)
    }

    /// All running sessions, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// Ended sessions that are remembered, oldest first.
    pub fn closed(&self) -> impl Iterator<Item = &Closed> {
        self.closed.iter()
    }

    /// One-time events that are remembered, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &RememberedEvent> {
        self.events.iter()
    }

    /// Credits that are remembered, oldest first.
    pub fn credits(&self) -> impl Iterator<Item = &RememberedCredit> {
        self.credits.iter()
    }

    /// How many ended sessions, one-time events and credits are remembered.
    pub fn remembered(&self) -> [usize; 3] {
        [self.closed.len(), self.events.len(), self.credits.len()]
    }

    /// How much of each may be remembered.
    pub fn remembered_max(&self) -> usize {
        self.retention.remembered_max
    }

    /// Whether so much is remembered that nothing should be done that would have to be remembered as well. What can be
    /// forgotten is forgotten with whatever is done: so in an hour without anything there may seem to be too much, but never
    /// where the oldest is old enough.
    pub fn remembers_enough(&self, now: Timestamp) -> bool {
        let Retention { session_secs, event_secs, request_id_secs, remembered_max, .. } = self.retention;
        let is_full = |count: usize, oldest: Option<Timestamp>, secs| {
            count >= remembered_max && oldest.is_some_and(|at: Timestamp| at.plus_secs(secs) >= now)
        };
        is_full(self.closed.len(), self.closed.oldest().map(|it| it.at), session_secs)
            || is_full(self.events.len(), self.events.oldest().map(|it| it.at), event_secs)
            || is_full(self.credits.len(), self.credits.oldest().map(|it| it.at), request_id_secs)
    }

    /// Of the sessions after a place in the queue of supervision, at most `limit`: when that one was last heard of which holds
    /// something and was silent for longest. And where to go on; `None` = all have been seen.
    pub fn silent_since(
        &self,
        after: Option<(Timestamp, SessionNo)>,
        limit: usize,
    ) -> (Option<Timestamp>, Option<(Timestamp, SessionNo)>) {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut oldest, mut seen, mut last) = (None::<Timestamp>, 0, None);
        for place in self.supervision.range((begin, Bound::Unbounded)).take(limit) {
            (seen, last) = (seen + 1, Some(*place));
            if let Some(session) = self.sessions.get(&place.1).filter(|session| session.holds_anything()) {
                oldest = Some(oldest.map_or(session.last_request, |at| at.min(session.last_request)));
            }
        }
        (oldest, last.filter(|_| seen == limit))
    }

    /// The ended session with this Session-Id, if it is remembered.
    pub(super) fn closed_session(&self, key: SessionKey) -> Option<&Closed> {
        self.closed.get(key.halves().0, |closed| closed.key() == key)
    }

    /// The one-time event with this Session-Id and CC-Request-Number that this account paid, if it is remembered.
    pub(super) fn charged_event(&self, key: SessionKey, account: AccountId, number: u32) -> Option<&RememberedEvent> {
        let is_it =
            |event: &RememberedEvent| event.key == key && event.account == account && event.answer.number() == number;
        self.events.get(RememberedEvent::hash_of(key, account, number), is_it)
    }

    /// The credit of an account with this request id, if it is remembered.
    pub(super) fn credit(&self, account: AccountId, request_id: &str) -> Option<&RememberedCredit> {
        let is_it = |credit: &RememberedCredit| credit.account == account && *credit.request_id == *request_id;
        self.credits.get(RememberedCredit::hash_of(account, request_id), is_it)
    }

    /// How many accounts, running sessions and remembered ended sessions there are.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.accounts.len(), self.sessions.len(), self.closed.len())
    }

    /// Money of all accounts that running sessions hold.
    pub fn reserved_money(&self) -> i128 {
        self.reserved
    }

    /// Money of all accounts, reservations not subtracted.
    pub fn balance_money(&self) -> i128 {
        self.balances
    }

    /// Sessions whose supervision has run out by `now`, at most `limit`. Those that were extended since they were queued
    /// get a new place in the queue, which changes nothing that anyone can see.
    pub fn due(&mut self, now: Timestamp, limit: usize) -> Vec<SessionNo> {
        let early: Vec<_> = self.supervision.iter().take_while(|(at, _)| *at <= now).take(limit).copied().collect();
        let mut due = Vec::new();
        for (at, no) in early {
            self.supervision.remove(&(at, no));
            let Some(session) = self.sessions.get_mut(&no) else { continue };
            session.queued = session.expires;
            self.supervision.insert((session.queued, no));
            if session.expires <= now {
                due.push(no);
            }
        }
        due
    }

    /// When the next session is due, if any runs.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.supervision.first().map(|(at, _)| *at)
    }

    /// Accounts for which something is to be done at `now`, at most `limit`.
    pub fn due_accounts(&self, now: Timestamp, limit: usize) -> Vec<AccountId> {
        self.due_accounts.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, account)| *account).collect()
    }

    /// Whether an account has answered a request with this id, as far as is remembered.
    pub fn remembers_request(&self, account: AccountId, request_id: &str) -> bool {
        self.credit(account, request_id).is_some()
    }

    /// Accounts with money on its way to others, at most `limit`.
    pub fn senders(&self, limit: usize) -> Vec<AccountId> {
        self.senders.iter().take(limit).copied().collect()
    }

    /// Whether something is to be done for an account before it is used at `now`; `use_begins` = something that costs is
    /// asked for, which begins the life of an account that waits for it.
    pub fn must_catch_up(&self, account: AccountId, use_begins: bool, now: Timestamp) -> bool {
        let nothing_is_due = self.due_accounts.first().is_none_or(|(first, _)| *first > now);
        if nothing_is_due && !use_begins {
            // The account need not be looked at: it may not be in the processor's cache yet.
            return false;
        }
        let Some(account) = self.accounts.get(&account) else { return false };
        account.next_due().is_some_and(|due| due <= now) || use_begins && account.waits_for_use()
    }

    /// The account that a running session belongs to.
    pub fn payer_of(&self, key: SessionKey) -> Option<AccountId> {
        self.session_by_key(key).map(|session| session.account)
    }

    /// Puts an account at its place in the queue of those that something is due for.
    pub(super) fn queue_account(&mut self, account: AccountId, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.due_accounts.remove(&(at, account));
        }
        if let Some(at) = after {
            self.due_accounts.insert((at, account));
        }
    }

    /// Keys of sessions that have ended since the last call, and why: for whoever keeps an index of running sessions.
    pub fn take_ended(&mut self) -> Vec<(SessionKey, ClosingCause)> {
        std::mem::take(&mut self.ended)
    }

    /// Whether a Session-Id is that of an ended session that is remembered.
    pub fn remembers(&self, key: SessionKey) -> bool {
        self.closed_session(key).is_some()
    }

    /// Keys of all running sessions, in no order.
    pub fn session_keys(&self) -> impl Iterator<Item = SessionKey> {
        self.session_keys.keys().copied()
    }

    /// What is known of clients, by Origin-Host in lower case.
    pub fn clients(&self) -> impl Iterator<Item = (&str, &Client)> {
        self.clients.iter().map(|(host, client)| (&**host, client))
    }

    /// What is known of one client.
    pub fn client(&self, host: &str) -> Option<&Client> {
        // Nearly all names are written in lower case: only others need a copy.
        let lower = host.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| host.to_ascii_lowercase());
        self.clients.get(lower.as_deref().unwrap_or(host))
    }

    /// Whether the grace time of some client's restart ended after one moment and not after another.
    pub fn has_restart_between(&self, after: Timestamp, until: Timestamp) -> bool {
        let ends = self.clients.values().filter_map(|client| client.restarted);
        ends.map(|at| at.plus_secs(self.retention.restart_grace_secs)).any(|end| after < end && end <= until)
    }

    /// Whether a session's client has restarted without it, and the grace time is over (spec B-191).
    pub fn is_left_behind(&self, session: &Session, now: Timestamp) -> bool {
        self.client(&session.origin_host).is_some_and(|client| {
            session.incarnation < client.state_id
                && client.restarted.is_some_and(|at| at.plus_secs(self.retention.restart_grace_secs) <= now)
        })
    }

    /// Looks at `count` sessions after a place in the queue of supervision for those that their client has left behind.
    /// Returns them and the place to go on from; `None` = that were all.
    pub fn left_behind(
        &self,
        after: (Timestamp, SessionNo),
        count: usize,
        now: Timestamp,
    ) -> (Vec<SessionNo>, Option<(Timestamp, SessionNo)>) {
        let mut last = None;
        let (mut found, mut looked) = (Vec::new(), 0);
        for place in self.supervision.range((Bound::Excluded(after), Bound::Unbounded)).take(count) {
            (last, looked) = (Some(*place), looked + 1);
            if self.session(place.1).is_some_and(|session| self.is_left_behind(session, now)) {
                found.push(place.1);
            }
        }
        (found, last.filter(|_| looked == count))
    }

    /// Sessions that a request of ours is to be sent about, oldest first.
    pub fn waiting_for_reauthorisation(&self) -> impl Iterator<Item = &Session> {
        self.reauthorise.iter().filter_map(|no| self.sessions.get(no))
    }

    /// The shared copy of a name.
    pub(super) fn intern(&mut self, name: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        // A client chooses the names: stop sharing, not storing, when there are implausibly many or long ones.
        if self.names.len() < NAMES_MAX && name.len() <= NAME_OCTETS_MAX {
            self.names.insert(Arc::clone(name));
        }
        Arc::clone(name)
    }
}

/// Host, realm, context and service names that are shared. An operator has some hundreds of gateways.
const NAMES_MAX: usize = 10_000;
/// A DiameterIdentity is a domain name: 255 octets (RFC 1035).
const NAME_OCTETS_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_small() {
        assert_eq!((size_of::<RememberedEvent>(), size_of::<RememberedCredit>()), (64, 72));
    }
}
