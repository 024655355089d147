//! Pauses between tries: they double up to a bound, and are not the same for all who wait.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first pause: a sink that restarts is soon back.
const FIRST: Duration = Duration::from_millis(100);

/// Pauses that grow.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
    random: RandomState,
    given: u64,
}

impl Backoff {
    /// Pauses of at most `max`.
    pub(super) fn new(max: Duration) -> Self {
        Self { next: FIRST.min(max), max, random: RandomState::new(), given: 0 }
    }

    /// The next pause: between half of it and all of it, by chance, so that many who lost the same sink do not come back
    /// at once.
    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        self.given = self.given.wrapping_add(1);
        // The standard hasher is seeded by chance, which is chance enough here.
        let chance = self.random.hash_one(self.given) % 1_000;
        whole / 2 + whole / 2 * (chance as u32) / 1_000
    }

    /// A try went well.
    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_start_again() {
        let max = Duration::from_secs(1);
        let mut backoff = Backoff::new(max);
        for whole in [100, 200, 400, 800, 1_000, 1_000].map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
        assert!(Backoff::new(Duration::ZERO).pause().is_zero());
    }
}
