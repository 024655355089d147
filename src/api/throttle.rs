//! Against guessing: who was wrong too often within a window of time has to wait until it ends. Time is passed in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong codes of one account in one window: a person who mistypes has enough (and the check digit tells most slips).
const WRONG_OF_ACCOUNT_MAX: u32 = 5;
/// Wrong codes of one caller, who speaks for many accounts, in one window: a millionth of the chance to guess one of a million
/// vouchers.
const WRONG_OF_CALLER_MAX: u32 = 1_000;
/// How long a window is; it begins with the first wrong code.
const WINDOW: Duration = Duration::from_secs(3_600);
/// Accounts and callers that are remembered. Beyond it those whose windows began first are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Who may be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Guesser {
    /// An account, by its id.
    Account(u64),
    /// A caller of the API, by its name.
    Caller(String),
}

impl Guesser {
    fn most(&self) -> u32 {
        match self {
            Self::Account(_) => WRONG_OF_ACCOUNT_MAX,
            Self::Caller(_) => WRONG_OF_CALLER_MAX,
        }
    }
}

/// Counts wrong codes. What it knows is gone with the process: a restart gives a guesser a handful of further tries.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Guesser, (Instant, u32)>>);

impl Throttle {
    /// For how long somebody has to wait, if he was wrong too often.
    pub(super) fn blocked(&self, who: &Guesser, now: Instant) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, wrong) = known.get(who)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(*began))?;
        (*wrong >= who.most()).then_some(left)
    }

    /// Somebody was wrong.
    pub(super) fn wrong(&self, who: Guesser, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX && !known.contains_key(&who) {
            known.retain(|_, (began, _)| now.saturating_duration_since(*began) < WINDOW);
            if known.len() >= REMEMBERED_MAX {
                let oldest = known.iter().min_by_key(|(_, (began, _))| *began).map(|(who, _)| who.clone());
                oldest.and_then(|oldest| known.remove(&oldest));
            }
        }
        let window = known.entry(who).or_insert((now, 0));
        if now.saturating_duration_since(window.0) >= WINDOW {
            *window = (now, 0);
        }
        window.1 = window.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_nobody_else() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let account = Guesser::Account(1);
        for _ in 0..WRONG_OF_ACCOUNT_MAX {
            assert_eq!(throttle.blocked(&account, start), None);
            throttle.wrong(account.clone(), start);
        }
        let later = start + Duration::from_secs(600);
        assert_eq!(throttle.blocked(&account, later), Some(WINDOW - Duration::from_secs(600)));
        assert_eq!(throttle.blocked(&Guesser::Account(2), later), None);
        let after = start + WINDOW + Duration::from_secs(1);
        assert_eq!(throttle.blocked(&account, after), None);
        throttle.wrong(account.clone(), after);
        assert_eq!(throttle.blocked(&account, after), None);
    }
}
