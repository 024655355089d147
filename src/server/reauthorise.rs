//! Asks clients to re-authorise sessions that wait for it (spec C-88, C-100..C-104).
//!
//! Which sessions wait is state, so a crash between a top-up and its RAR loses nothing. How often a client has been asked is
//! kept here: after a restart it is asked anew.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    Shared,
    registry::{Answers, Command},
};
use crate::{
    charging::{self, Session},
    config::ReauthoriseBy,
    diameter::ResultCode,
    ids::SessionKey,
    journal::Pending,
    telemetry::names,
};

/// How often waiting sessions are looked for: well within the second that a top-up may take to reach them.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Sessions asked in one look; the others come with the next.
const AT_ONCE: usize = 1_000;
/// How long an RAR may stay without an answer before it is sent again.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// RARs without an answer before the session is left to Validity-Time and Tcc (spec C-101).
const TRIES: u32 = 3;
/// How long after its time a session is still known here: longer than a look takes to come round.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Answers that wait to be read.
const ANSWERS_MAX: usize = 4_096;

/// How far the asking has come for one session.
struct Asked {
    tries: u32,
    /// When to ask again, or to give up.
    next: Instant,
    /// The client has answered that it will report.
    accepted: u32,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let (sender, mut answers) = mpsc::channel(ANSWERS_MAX);
    let mut asked: HashMap<SessionKey, Asked, ahash::RandomState> = HashMap::default();
    let mut stopping = shared.stopping.subscribe();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            Some((key, code)) = answers.recv() => answered(&shared, &mut asked, key, code),
            _ = look.tick() => ask(&shared, &mut asked, &sender),
        }
    }
}

fn ask(shared: &Shared, asked: &mut HashMap<SessionKey, Asked, ahash::RandomState>, sender: &Answers) {
    let now = Instant::now();
    let due = |session: &Session| {
        let key = SessionKey::of(session.id.as_bytes());
        asked.get(&key).is_none_or(|asked| asked.next <= now) && shared.registry.reaches(&session.origin_host)
    };
    let waiting = shared.store.waiting_for_reauthorisation(AT_ONCE, due);
    for session in waiting {
        ask_one(shared, asked, sender, session, now);
    }
    // Those that have reported since, or ended, are forgotten when their time is up.
    asked.retain(|_, asked| asked.next + FORGET_AFTER > now);
}

fn ask_one(
    shared: &Shared,
    asked: &mut HashMap<SessionKey, Asked, ahash::RandomState>,
    sender: &Answers,
    session: Pending<Session>,
    now: Instant,
) {
    // The credit that makes it worth asking must be durable first; the next look finds it again.
    let Ok(session) = shared.store.mark().admit(session) else { return };
    let session = session.into_inner();
    let key = SessionKey::of(session.id.as_bytes());
    let profile = shared.config.peer(&session.origin_host);
    let by_validity = profile.is_some_and(|peer| peer.reauthorise_by() == ReauthoriseBy::Validity);
    let state = asked.entry(key).or_insert(Asked { tries: 0, next: now, accepted: 0 });
    // A client that says yes and then reports nothing is asked once more, then no more (spec C-102).
    if by_validity || state.tries >= TRIES || state.accepted >= 2 {
        if state.tries >= TRIES {
            metrics::counter!(names::REAUTHORISATIONS, "result" => "timeout").increment(1);
        }
        asked.remove(&key);
        shared.store.session_command(key, &charging::Command::ReAuthorisationDone(session.no));
        return;
    }
    state.tries += 1;
    state.next = now + ANSWER_WAIT;
    let command = Command::ReAuthorise {
        session: session.id.clone(),
        key,
        host: Arc::clone(&session.origin_host),
        realm: Arc::clone(&session.origin_realm),
        answer: sender.clone(),
    };
    if !shared.registry.send(&session.origin_host, command) {
        metrics::counter!(names::REAUTHORISATIONS, "result" => "unreachable").increment(1);
    }
}

fn answered(shared: &Shared, asked: &mut HashMap<SessionKey, Asked, ahash::RandomState>, key: SessionKey, code: u32) {
    metrics::counter!(names::REAUTHORISATIONS, "result" => code.to_string()).increment(1);
    let Some(state) = asked.get_mut(&key) else { return };
    match ResultCode(code) {
        ResultCode::UNKNOWN_SESSION_ID => {
            asked.remove(&key);
            // The client does not have it: what it holds is released (spec C-101).
            shared.store.session_command(key, &charging::Command::SessionLost(key));
        }
        code if code.is_success() => {
            // The CCR-U is on its way, or comes soon; it clears the wish (spec C-101).
            state.tries = 0;
            state.accepted += 1;
            state.next = Instant::now() + Duration::from_secs(shared.config.reauthorise_wait_secs);
        }
        // Not delivered, or not understood: tried again with the time-out, and not for ever.
        _ => {}
    }
}
