//! The state of one partition.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use super::{Account, Answer, Closed, HistoryKind, Session};
use crate::{
    ids::{AccountId, NumberMap, SessionId, SessionKey, SessionNo},
    time::Timestamp,
    units::Money,
};

/// The most running sessions of one account. A handset has a few; a shared account some dozens.
pub const ACCOUNT_SESSIONS_MAX: usize = 256;

/// How long things are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answers of ended sessions, in seconds (spec B-96: at least 240).
    pub session_secs: u64,
    /// One-time events, in seconds (spec C-143).
    pub event_secs: u64,
    /// Request ids of credits, in seconds.
    pub request_id_secs: u64,
    /// History lines per account.
    pub history_entries: usize,
    /// Supervision of sessions that hold no quota with a Validity-Time, in seconds (spec C-72).
    pub session_default_secs: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            session_secs: 300,
            event_secs: 86_400,
            request_id_secs: 30 * 86_400,
            history_entries: 8,
            session_default_secs: 86_400,
        }
    }
}

/// An answered one-time event, for its retransmissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedEvent {
    /// Its Session-Id: the key alone could be another's.
    pub session_id: SessionId,
    /// When it was answered.
    pub at: Timestamp,
    /// The answer.
    pub answer: Arc<Answer>,
}

/// An answered credit, for its repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedCredit {
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

/// All that one partition knows. Changed by [`State::apply`] alone.
#[derive(Debug, Default)]
pub struct State {
    pub(super) retention: Retention,
    pub(super) accounts: NumberMap<AccountId, Account>,
    pub(super) sessions: NumberMap<SessionNo, Session>,
    pub(super) session_keys: NumberMap<SessionKey, SessionNo>,
    pub(super) next_session: u64,
    /// Sessions by the moment when to look whether supervision has run out: not later than their `expires`.
    pub(super) supervision: BTreeSet<(Timestamp, SessionNo)>,
    /// Sessions that wait for a re-authorisation.
    pub(super) reauthorise: BTreeSet<SessionNo>,
    pub(super) closed: NumberMap<SessionKey, Closed>,
    pub(super) closed_order: VecDeque<(Timestamp, SessionKey)>,
    pub(super) events: NumberMap<SessionKey, BTreeMap<u32, RememberedEvent>>,
    pub(super) events_order: VecDeque<(Timestamp, SessionKey, u32)>,
    pub(super) credits: HashMap<(AccountId, Box<str>), RememberedCredit>,
    pub(super) credits_order: VecDeque<(Timestamp, AccountId, Box<str>)>,
    /// Keys of sessions that have ended since someone last asked.
    pub(super) ended: Vec<SessionKey>,
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

    /// All accounts, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
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

    /// All running sessions, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// Ended sessions that are remembered, oldest first.
    pub fn closed(&self) -> impl Iterator<Item = &Closed> {
        self.closed_order.iter().filter_map(|(at, key)| self.closed.get(key).filter(|closed| closed.at == *at))
    }

    /// One-time events that are remembered, oldest first, with their Session-Id's key and number.
    pub fn events(&self) -> impl Iterator<Item = (SessionKey, u32, &RememberedEvent)> {
        self.events_order
            .iter()
            .filter_map(|(_, key, number)| self.events.get(key)?.get(number).map(|event| (*key, *number, event)))
    }

    /// Credits that are remembered, oldest first.
    pub fn credits(&self) -> impl Iterator<Item = (AccountId, &str, &RememberedCredit)> {
        self.credits_order.iter().filter_map(|(_, account, id)| {
            self.credits.get(&(*account, id.clone())).map(|credit| (*account, id.as_ref(), credit))
        })
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

    /// Keys of sessions that have ended since the last call: for whoever keeps an index of running sessions.
    pub fn take_ended(&mut self) -> Vec<SessionKey> {
        std::mem::take(&mut self.ended)
    }

    /// Whether a Session-Id is that of an ended session that is remembered.
    pub fn remembers(&self, key: SessionKey) -> bool {
        self.closed.contains_key(&key)
    }

    /// Keys of all running sessions, in no order.
    pub fn session_keys(&self) -> impl Iterator<Item = SessionKey> {
        self.session_keys.keys().copied()
    }

    /// Sessions that wait for a re-authorisation, oldest first.
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
