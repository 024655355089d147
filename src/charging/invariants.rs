//! What must hold at every moment, checked from scratch. Tests call it after each step, `tollgate` on demand.

use std::collections::BTreeSet;

use super::{Account, BucketKind, State};
use crate::ids::{AccountId, BucketId, NumberMap};

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Money in buckets is not what came in less what went out.
    #[error("account {account}: buckets hold {buckets} micro-units, credits less debits are {expected}")]
    Balance {
        /// The account; `None` = the partition's total.
        account: AccountId,
        /// Sum of its money buckets.
        buckets: i128,
        /// Credits less debits.
        expected: i128,
    },
    /// A bucket's reservation is not the sum of what running sessions hold.
    #[error("account {account}, bucket {bucket:?}: {reserved} reserved, sessions hold {held}")]
    Reservation {
        /// The account.
        account: AccountId,
        /// The bucket.
        bucket: BucketId,
        /// As the bucket says.
        reserved: i64,
        /// As its sessions say.
        held: i64,
    },
    /// A bucket other than the main one is below zero.
    #[error("account {account}, bucket {bucket:?} is below zero: {amount}")]
    Negative {
        /// The account.
        account: AccountId,
        /// The bucket.
        bucket: BucketId,
        /// Its amount.
        amount: i64,
    },
    /// Running totals differ from a fresh count.
    #[error("{what}: {running} in running totals, {counted} counted")]
    Total {
        /// Which total.
        what: &'static str,
        /// The total kept up to date.
        running: i128,
        /// The total counted now.
        counted: i128,
    },
    /// A session is missing from an index, or is in it without being there.
    #[error("indexes of sessions disagree: {0}")]
    Index(&'static str),
}

impl State {
    /// Checks everything and returns the first violation found. Takes time in proportion to the whole state.
    ///
    /// # Errors
    /// A violation: a defect of this program, or of the data it was given.
    pub fn check(&self) -> Result<(), Violation> {
        self.check_with(|_| {})
    }

    /// As [`check`](Self::check); `look` sees every account on the way.
    ///
    /// # Errors
    /// See there.
    pub fn check_with(&self, mut look: impl FnMut(&Account)) -> Result<(), Violation> {
        let (mut balances, mut reserved, mut credited, mut debited) = (0i128, 0i128, 0i128, 0i128);
        let mut held: NumberMap<AccountId, Vec<(BucketId, i64)>> = NumberMap::default();
        for session in self.sessions.values() {
            let pooled = session.pools.iter().flat_map(|pool| &pool.holds);
            for draw in session.quotas.iter().flat_map(|quota| &quota.holds).chain(pooled) {
                held.entry(session.account).or_default().push((draw.bucket, draw.amount));
            }
        }
        let (mut listed, mut due, mut senders) = (0, BTreeSet::new(), BTreeSet::new());
        self.accounts.try_for_each(|account| {
            look(account);
            listed += account.sessions.len();
            due.extend(account.next_due().map(|at| (at, account.id)));
            senders.extend(account.profile.iter().filter(|it| !it.transfers.is_empty()).map(|_| account.id));
            let mut money = 0i128;
            let holds = held.remove(&account.id).unwrap_or_default();
            for bucket in &account.buckets {
                let held = holds.iter().filter(|(id, _)| *id == bucket.id).map(|(_, amount)| amount).sum();
                if bucket.reserved != held || held < 0 {
                    let (account, bucket, reserved) = (account.id, bucket.id, bucket.reserved);
                    return Err(Violation::Reservation { account, bucket, reserved, held });
                }
                if bucket.id != BucketId::MAIN && bucket.amount < 0 {
                    let (account, bucket, amount) = (account.id, bucket.id, bucket.amount);
                    return Err(Violation::Negative { account, bucket, amount });
                }
                if bucket.kind == BucketKind::Money {
                    money += i128::from(bucket.amount);
                    reserved += i128::from(bucket.reserved);
                }
            }
            for counter in account.profile.iter().flat_map(|profile| &profile.counters) {
                let held = holds.iter().filter(|(id, _)| *id == counter.id).map(|(_, amount)| amount).sum();
                if counter.reserved != held || held < 0 {
                    let (account, bucket, reserved) = (account.id, counter.id, counter.reserved);
                    return Err(Violation::Reservation { account, bucket, reserved, held });
                }
            }
            let expected = i128::from(account.credited.micros()) - i128::from(account.debited.micros());
            if money != expected {
                return Err(Violation::Balance { account: account.id, buckets: money, expected });
            }
            balances += money;
            credited += i128::from(account.credited.micros());
            debited += i128::from(account.debited.micros());
            if account.sessions.iter().any(|no| self.sessions.get(no).is_none_or(|s| s.account != account.id)) {
                return Err(Violation::Index("an account lists a session that does not run"));
            }
            Ok(())
        })?;
        if !held.is_empty() {
            return Err(Violation::Index("a session holds funds of an account that does not exist"));
        }
        for (what, running, counted) in [
            ("balances", self.balances, balances),
            ("reservations", self.reserved, reserved),
            ("credits", self.credited, credited),
            ("debits", self.debited, debited),
        ] {
            if running != counted {
                return Err(Violation::Total { what, running, counted });
            }
        }
        if listed != self.sessions.len() || self.session_keys.len() != self.sessions.len() {
            return Err(Violation::Index("numbers of sessions differ"));
        }
        if due != self.due_accounts {
            return Err(Violation::Index("an account is not queued for what is due, or at another moment"));
        }
        if senders != self.senders {
            return Err(Violation::Index("a transfer is on its way that nobody looks after, or the reverse"));
        }
        if self.supervision.len() != self.sessions.len() {
            return Err(Violation::Index("a session is not supervised, or twice"));
        }
        Ok(())
    }

    /// Credits less debits less balances over all accounts, from the running totals: anything but 0 is a defect.
    pub fn discrepancy(&self) -> i128 {
        self.credited - self.debited - self.balances
    }
}
