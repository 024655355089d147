//! Credit-control sessions and what is remembered of ended ones.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Answer, Draw, MemberNo, Pool, Quota, RequestKind,
    kept::{Final, Kept},
    memory::Remembered,
};
use crate::{
    few::Few,
    ids::{AccountId, QuotaKey, SessionId, SessionKey, SessionNo},
    rating::Attributes,
    time::Timestamp,
    units::Money,
};

/// Answers that a running session keeps at least for retransmissions; with more quotas than that, one for each, since a
/// client may have one update for each rating group in flight (spec C-48).
pub const SESSION_ANSWERS_MIN: usize = 8;
/// Quotas that usage may be charged to in one session. Usage is not refused before that: what it costs is memory.
pub(super) const SESSION_QUOTAS_USED_MAX: usize = 4_096;
/// How far below the highest number an update is still known to be seen or not seen.
const SEEN_WINDOW: u32 = 64;
/// The same, when the session has ended.
const CLOSED_WINDOW: u32 = 32;

/// A running session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number in the partition.
    pub no: SessionNo,
    /// Session-Id.
    pub id: SessionId,
    /// CC-Sub-Session-Id; 0 = none (spec C-23).
    pub sub_session: u64,
    /// Who pays.
    pub account: AccountId,
    /// Service-Context-Id as received.
    pub context: Arc<str>,
    /// Origin-Host of the last request: where a RAR goes (spec B-135).
    pub origin_host: Arc<str>,
    /// Origin-Realm of the client.
    pub origin_realm: Arc<str>,
    /// When it opened.
    pub opened: Timestamp,
    /// When the last request came.
    pub last_request: Timestamp,
    /// When supervision ends it (Tcc, spec C-72).
    pub expires: Timestamp,
    /// Its place in the queue of supervision: not later than `expires`.
    pub(super) queued: Timestamp,
    /// In the order in which they appeared.
    pub quotas: Vec<Quota>,
    /// The latest answers, oldest first.
    pub answers: VecDeque<Arc<Answer>>,
    /// Highest CC-Request-Number of an update so far, and bit n set = number `highest - n` was seen.
    pub highest_update: u32,
    /// See `highest_update`; 0 = no update yet.
    pub seen_updates: u64,
    /// A re-authorisation is wanted and no update has come since.
    pub reauthorise: bool,
    /// The conditions of the service, as the last request told them; only where a price depends on them.
    pub attributes: Option<Arc<Attributes>>,
    /// What quotas hold together.
    pub pools: Vec<Pool>,
    /// The client's incarnation by its last request (Origin-State-Id, spec B-191); 0 = it has never said.
    pub incarnation: u32,
    /// The client is to end it (ASR, spec C-106).
    pub abort: bool,
    /// The re-authorisation is about this Rating-Group only (spec C-100).
    pub reauthorise_group: Option<u32>,
    /// All usage in its last request, in whatever unit each service counts: to tell a copy of it from another request.
    pub reported: u64,
    /// When it was last asked to come again because another session had released something (spec C-104).
    pub woken: Timestamp,
    /// The member of a shared account that uses it.
    pub member: MemberNo,
    /// The version of the catalog that it goes by; 0 = from before versions had numbers.
    pub catalog: u32,
}

/// Whether a request of a session is new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// Not seen before.
    New,
    /// Answered before; this was the answer.
    Answered(Arc<Answer>),
    /// Seen before, but the answer is gone.
    Forgotten,
    /// So far behind the others that nobody can tell.
    TooOld,
}

impl Session {
    /// The quota with this very key.
    pub fn quota(&self, key: QuotaKey) -> Option<&Quota> {
        self.quotas.iter().find(|quota| quota.key == key)
    }

    /// The key of its Session-Id and sub-session.
    pub fn key(&self) -> SessionKey {
        SessionKey::of_sub_session(self.id.as_bytes(), self.sub_session)
    }

    /// The pool with this id.
    pub fn pool(&self, id: u32) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.id == id)
    }

    /// Sets what a pool holds, and returns what it held. A pool that holds nothing is none.
    pub(super) fn replace_pool(&mut self, id: u32, holds: &[Draw]) -> Few<Draw> {
        let place = self.pools.iter().position(|pool| pool.id == id);
        let held = place.map_or_else(Few::new, |place| self.pools.swap_remove(place).holds);
        if !holds.is_empty() {
            self.pools.push(Pool { id, holds: holds.iter().copied().collect() });
        }
        held
    }

    /// Whether anything is reserved for it.
    pub(super) fn holds_anything(&self) -> bool {
        let mut holds = self.quotas.iter().map(|quota| &quota.holds).chain(self.pools.iter().map(|pool| &pool.holds));
        holds.any(|holds| !holds.is_empty())
    }

    /// Money charged so far.
    pub fn charged(&self) -> Money {
        self.quotas.iter().fold(Money::ZERO, |sum, quota| sum.saturating_add(quota.charged))
    }

    /// The key of the quota that a report belongs to: the exact key, else the rating group alone (spec C-31, G-30).
    pub(super) fn resolve(&self, key: QuotaKey) -> QuotaKey {
        let group = QuotaKey { service_identifier: None, further: 0, ..key };
        if self.quota(key).is_none() && key.rating_group.is_some() && self.quota(group).is_some() { group } else { key }
    }

    pub(super) fn novelty(&self, kind: RequestKind, number: u32) -> Novelty {
        if let Some(answer) = self.answers.iter().find(|answer| answer.kind == kind && answer.number == number) {
            return Novelty::Answered(Arc::clone(answer));
        }
        if kind != RequestKind::Update || self.seen_updates == 0 || number > self.highest_update {
            return Novelty::New;
        }
        let age = self.highest_update - number;
        match age {
            SEEN_WINDOW.. => Novelty::TooOld,
            _ if self.seen_updates >> age & 1 == 1 => Novelty::Forgotten,
            _ => Novelty::New,
        }
    }

    pub(super) fn remember(&mut self, answer: Arc<Answer>) {
        if answer.kind == RequestKind::Update {
            if self.seen_updates == 0 || answer.number > self.highest_update {
                let shift = answer.number.wrapping_sub(self.highest_update);
                let kept = if self.seen_updates == 0 { 0 } else { self.seen_updates.checked_shl(shift).unwrap_or(0) };
                self.seen_updates = kept | 1;
                self.highest_update = answer.number;
            } else if self.highest_update - answer.number < SEEN_WINDOW {
                self.seen_updates |= 1 << (self.highest_update - answer.number);
            }
        }
        // A client with many rating groups may send an update for each again after a failover.
        let keep = self.quotas.len().clamp(SESSION_ANSWERS_MIN, SEEN_WINDOW as usize);
        while self.answers.len() >= keep {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }
}

/// What is remembered of an ended session: enough to answer a retransmission of the request that ended it (spec C-90).
/// There are as many as end in some minutes, so each is as small as can be; see [`SessionKey`] for why the key suffices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The key of its Session-Id and sub-session, in halves: whole, it would be aligned to its size.
    key: (u64, u64),
    /// The account that paid.
    pub account: AccountId,
    /// When it ended.
    pub at: Timestamp,
    answer: Option<Kept<Final>>,
    /// Highest CC-Request-Number of an update, and bit n set = number `highest - n` was seen.
    pub highest_update: u32,
    /// See `highest_update`; 0 = there was no update.
    pub seen_updates: u32,
}

impl Closed {
    /// Of a session that ended, with its last answer if a request ended it.
    pub fn new(key: SessionKey, account: AccountId, at: Timestamp, answer: Option<&Arc<Answer>>) -> Self {
        let answer = answer.map(Kept::new);
        Self { key: key.halves(), account, at, answer, highest_update: 0, seen_updates: 0 }
    }

    /// The key of its Session-Id and sub-session.
    pub fn key(&self) -> SessionKey {
        SessionKey::from_halves(self.key.0, self.key.1)
    }

    /// The same, with the numbers of its updates.
    pub(crate) fn with_updates(self, highest_update: u32, seen_updates: u32) -> Self {
        Self { highest_update, seen_updates, ..self }
    }

    /// Whether a request that was not the last one is new.
    pub(super) fn novelty(&self, kind: RequestKind, number: u32) -> Novelty {
        if kind != RequestKind::Update || self.seen_updates == 0 || number > self.highest_update {
            return Novelty::New;
        }
        match self.highest_update - number {
            CLOSED_WINDOW.. => Novelty::TooOld,
            age if self.seen_updates >> age & 1 == 1 => Novelty::Forgotten,
            _ => Novelty::New,
        }
    }

    /// The last answer, if a request ended it.
    pub fn answer(&self) -> Option<Arc<Answer>> {
        self.answer.as_ref().map(Kept::answer)
    }
}

impl Remembered for Closed {
    fn hash(&self) -> u64 {
        self.key.0
    }

    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_small() {
        assert_eq!(size_of::<Closed>(), 56);
    }
}
