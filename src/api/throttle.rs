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
    /// Counts a try of everybody who makes it as a wrong one, before it is known: however many are made side by side, no more
    /// than may be are wrong. One that was not is given [back](Self::give_back).
    ///
    /// # Errors
    /// For how long to wait: one of them was wrong too often. Nothing is counted.
    pub(super) fn take(&self, who: &[Guesser], now: Instant) -> Result<(), Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |who: &Guesser| {
            let (began, wrong) = known.get(who)?;
            let left = WINDOW.checked_sub(now.saturating_duration_since(*began))?;
            (*wrong >= who.most()).then_some(left)
        };
        if let Some(wait) = who.iter().filter_map(left).max() {
            return Err(wait);
        }
        who.iter().for_each(|who| count(&mut known, who.clone(), now));
        Ok(())
    }

    /// A try was not wrong.
    pub(super) fn give_back(&self, who: &[Guesser]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for who in who {
            if let Some((_, wrong)) = known.get_mut(who) {
                *wrong = wrong.saturating_sub(1);
            }
        }
    }
}

fn count(known: &mut HashMap<Guesser, (Instant, u32)>, who: Guesser, now: Instant) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_nobody_else() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let account = [Guesser::Account(1)];
        for _ in 0..WRONG_OF_ACCOUNT_MAX {
            assert_eq!(throttle.take(&account, start), Ok(()));
        }
        let later = start + Duration::from_secs(600);
        let left = Err(WINDOW - Duration::from_secs(600));
        assert_eq!(throttle.take(&account, later), left);
        assert_eq!(throttle.take(&[Guesser::Caller("shop".into()), Guesser::Account(1)], later), left);
        assert_eq!(throttle.take(&[Guesser::Account(2)], later), Ok(()));
        let after = start + WINDOW + Duration::from_secs(1);
        assert_eq!(throttle.take(&account, after), Ok(()));
    }

    #[test]
    fn tries_side_by_side_are_counted_before_they_are_known_and_right_ones_are_given_back() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let account = [Guesser::Account(1)];
        for _ in 0..3 * WRONG_OF_ACCOUNT_MAX {
            throttle.take(&account, now).unwrap();
            throttle.give_back(&account);
        }
        let taken = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..20).map(|_| scope.spawn(|| throttle.take(&account, now).is_ok())).collect();
            tries.into_iter().map(|it| it.join().unwrap()).filter(|taken| *taken).count()
        });
        assert_eq!(taken, WRONG_OF_ACCOUNT_MAX as usize);
        // Nobody gets below nothing.
        throttle.give_back(&[Guesser::Account(7)]);
        assert!(throttle.take(&account, now).is_err());
    }
}
