//! Asks clients to re-authorise sessions (RAR, spec C-88, C-100..C-104), or to end them (ASR, spec C-106).
//!
//! Which sessions wait for that is state, so a crash between a top-up and its RAR loses nothing. One-time events are no
//! sessions: nothing is ever asked about them (spec C-107). How often a client has been asked is
//! kept here: after a restart it is asked anew.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    Shared, clients,
    registry::{Command, Errand, Outcome, Outcomes, Reachable, SessionRef, What},
};
use crate::{
    charging::{self, Session},
    diameter::ResultCode,
    ids::{PartitionId, SessionKey, SessionNo},
    journal::{Fatal, Pending},
    telemetry::names,
    time::Timestamp,
};

/// How often waiting sessions are looked for: well within the second that a top-up may take to reach them.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Sessions asked in one look; the others come with the next.
const AT_ONCE: usize = 1_000;
/// How long a look waits for the journal: a sync takes milliseconds, and the next look finds the same sessions again.
const DURABLE_WAIT: Duration = Duration::from_secs(1);
/// How long an RAR may stay without an answer before it is sent again.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// RARs without an answer before the session is left to Validity-Time and Tcc (spec C-101).
const TRIES: u32 = 3;
/// How often a client may say yes and then report nothing: it is asked once more, then no more (spec C-102).
const ACCEPTED_MAX: u32 = 2;
/// How long after its time a session is still known here: longer than a look takes to come round.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Outcomes that wait to be read.
const OUTCOMES_MAX: usize = 4_096;

/// How far the asking has come for one session.
struct Asked {
    key: SessionKey,
    /// To end the session; else to re-authorise it.
    abort: bool,
    /// What the session looked like when the asking began: a request since then has answered it, and what waits now is a
    /// new wish.
    heard: Heard,
    /// Outcomes of earlier rounds mean nothing.
    round: u64,
    tries: u32,
    /// An RAR is out: there is never more than one (spec C-104).
    outstanding: bool,
    /// When to ask again, or to give up.
    next: Instant,
    /// The client has answered that it will report.
    accepted: u32,
}

/// The last request of a session: when it came, and which updates came by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard(Timestamp, u32, u64);

impl Heard {
    fn of(session: &Session) -> Self {
        Self(session.last_request, session.highest_update, session.seen_updates)
    }
}

/// Asks until the server stops or the journal fails.
pub(super) async fn run(shared: Arc<Shared>) {
    let (sender, mut outcomes) = mpsc::channel(OUTCOMES_MAX);
    let mut stopping = shared.stopping.subscribe();
    let stopped = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    tokio::pin!(stopped);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut asking =
        Asking { shared, outcomes: sender, asked: HashMap::default(), reachable: Reachable::default(), rounds: 0 };
    loop {
        tokio::select! {
            () = &mut stopped => return,
            Some((session, round, outcome)) = outcomes.recv() => asking.became(session, round, outcome),
            _ = look.tick() => if let Err(fatal) = asking.look().await {
                return tracing::error!(%fatal, "sessions are re-authorised no more");
            },
        }
    }
}

struct Asking {
    shared: Arc<Shared>,
    outcomes: Outcomes,
    asked: HashMap<SessionRef, Asked, ahash::RandomState>,
    reachable: Reachable,
    /// Rounds begun so far.
    rounds: u64,
}

impl Asking {
    async fn look(&mut self) -> Result<(), Fatal> {
        let waiting = self.waiting();
        // The credit that makes it worth asking must be durable first.
        if let Some(last) = waiting.iter().map(|(_, session)| session.position()).max() {
            let durable = self.shared.store.mark().wait_for(last);
            if let Ok(failed @ Err(_)) = tokio::time::timeout(DURABLE_WAIT, durable).await {
                failed?;
            }
        }
        let now = Instant::now();
        for (partition, session) in waiting {
            // What is not durable by now is found again by the next look.
            if let Ok(session) = self.shared.store.mark().admit(session) {
                self.ask(partition, &session, now);
            }
        }
        // Those that have reported since, or ended, are forgotten when their time is up.
        self.asked.retain(|_, asked| asked.next + FORGET_AFTER > now);
        Ok(())
    }

    /// Sessions to be asked now.
    fn waiting(&mut self) -> Vec<(PartitionId, Pending<Session>)> {
        let Self { shared, asked, reachable, .. } = self;
        shared.registry.look(reachable);
        let now = Instant::now();
        shared.store.waiting_for_reauthorisation(AT_ONCE, |partition, session| {
            let due = asked.get(&(partition, session.no)).is_none_or(|asked| asked.is_due(session, now));
            due && reachable.has(&session.origin_host)
        })
    }

    fn ask(&mut self, partition: PartitionId, session: &Session, now: Instant) {
        let reference = (partition, session.no);
        let heard = Heard::of(session);
        self.rounds += 1;
        let fresh = || {
            let key = session.key();
            let abort = session.abort;
            Asked { key, abort, heard, round: self.rounds, tries: 0, outstanding: false, next: now, accepted: 0 }
        };
        let state = match self.asked.entry(reference) {
            Entry::Vacant(entry) => entry.insert(fresh()),
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                if known.is_past(session) {
                    *known = fresh();
                }
                known
            }
        };
        let client = clients::traits_of(&self.shared.config, &session.origin_host);
        let by_validity = !session.abort && client.is_some_and(|client| client.ignores_reauthorisation);
        if by_validity || state.tries >= TRIES || state.accepted >= ACCEPTED_MAX {
            if state.tries >= TRIES {
                count(state.abort, "timeout".into());
            }
            let (key, done) = (state.key, state.done(session.no));
            self.asked.remove(&reference);
            self.shared.store.session_command(key, &done);
            return;
        }
        let narrow = client.is_some_and(|client| client.narrow_reauthorisation);
        let command = Command {
            what: if session.abort {
                What::Abort
            } else {
                What::ReAuthorise { group: if narrow { group_of(session) } else { None } }
            },
            session: session.id.clone(),
            sub_session: session.sub_session,
            host: Arc::clone(&session.origin_host),
            realm: Arc::clone(&session.origin_realm),
            errand: Errand { session: reference, round: state.round, outcomes: self.outcomes.clone() },
        };
        if self.shared.registry.send(&session.origin_host, command) {
            state.tries += 1;
            state.outstanding = true;
            state.next = now + ANSWER_WAIT;
        } else {
            // Tried again with the next look.
            state.next = now;
            count(state.abort, "unreachable".into());
        }
    }

    /// Hears what became of an RAR or ASR.
    fn became(&mut self, session: SessionRef, round: u64, outcome: Outcome) {
        let Some(state) = self.asked.get_mut(&session).filter(|state| state.round == round) else { return };
        let result = match outcome {
            // The client chooses the number: unknown ones must not make series.
            Outcome::Answered(code) if code.name().is_empty() => "other".into(),
            Outcome::Answered(code) => code.0.to_string(),
            Outcome::NotSent | Outcome::Lost => "unreachable".into(),
        };
        count(state.abort, result);
        let now = Instant::now();
        state.outstanding = false;
        match outcome {
            Outcome::Answered(ResultCode::UNKNOWN_SESSION_ID) => {
                let key = state.key;
                self.asked.remove(&session);
                // The client does not have it: what it holds is released (spec C-101).
                self.shared.store.session_command(key, &charging::Command::SessionLost(key));
            }
            Outcome::Answered(ResultCode::UNABLE_TO_COMPLY) if state.abort => {
                // The client refuses: the session stays open (spec C-106).
                let (key, done) = (state.key, state.done(session.1));
                self.asked.remove(&session);
                self.shared.store.session_command(key, &done);
            }
            Outcome::Answered(code) if code.is_success() => {
                // The CCR-U is on its way, or comes soon; it clears the wish (spec C-101). Or the CCR-T, which ends the
                // session; if it never comes, Tcc does (spec C-106).
                self.rounds += 1;
                state.round = self.rounds;
                state.tries = 0;
                state.accepted += 1;
                state.next = now + Duration::from_secs(self.shared.config.reauthorise_wait_secs);
            }
            // Not delivered, or not understood: tried again with the time-out, and not for ever.
            Outcome::Answered(_) => {}
            Outcome::NotSent => {
                state.tries = state.tries.saturating_sub(1);
                state.next = now;
            }
            // It may have arrived: that was a try. Another way may be open by now.
            Outcome::Lost => state.next = now,
        }
    }
}

impl Asked {
    fn is_due(&self, session: &Session, now: Instant) -> bool {
        self.next <= now || (!self.outstanding && self.is_past(session))
    }

    /// What is wanted now is another wish. Only a final request answers an abort.
    fn is_past(&self, session: &Session) -> bool {
        self.abort != session.abort || !self.abort && self.heard != Heard::of(session)
    }

    /// The client is not asked any more.
    fn done(&self, session: SessionNo) -> charging::Command<'static> {
        if self.abort { charging::Command::AbortDone(session) } else { charging::Command::ReAuthorisationDone(session) }
    }
}

/// The one Rating-Group that it is about, if there is one only (spec C-100): as an operator said, or the one that waits for
/// credit.
fn group_of(session: &Session) -> Option<u32> {
    if session.reauthorise_group.is_some() {
        return session.reauthorise_group;
    }
    let mut waiting = session.quotas.iter().filter(|quota| quota.wants_credit());
    let first = waiting.next()?;
    first.key.rating_group.filter(|group| waiting.all(|quota| quota.key.rating_group == Some(*group)))
}

fn count(abort: bool, result: String) {
    let name = if abort { names::ABORTS } else { names::REAUTHORISATIONS };
    metrics::counter!(name, "result" => result).increment(1);
}
