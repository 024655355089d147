//! Reading: accounts, sessions and totals as they are now.

use std::borrow::Cow;

use super::Store;
use crate::{
    charging::{Account, HistoryLine, Session, State, Violation},
    ids::{AccountId, Identity, PartitionId, SessionKey, SessionNo},
    journal::{Disk, Pending, Position},
    time::Timestamp,
};

/// Sums over all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts.
    pub accounts: usize,
    /// Accounts of the largest partition.
    pub largest_partition: usize,
    /// Running sessions.
    pub sessions: usize,
    /// Ended sessions that are remembered.
    pub remembered: usize,
    /// Money in all buckets, micro-units of whatever currency.
    pub balance_micros: i128,
    /// Money that running sessions hold.
    pub reserved_micros: i128,
    /// Credits less debits less balances: anything but 0 is a defect.
    pub discrepancy_micros: i128,
}

impl<D: Disk> Store<D> {
    /// The account that an identity belongs to.
    pub fn account_of(&self, identity: &Identity) -> Option<AccountId> {
        self.identities.get(identity)
    }

    /// How many identities are known.
    pub fn identities(&self) -> usize {
        self.identities.len()
    }

    /// What the store's clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An account as it is.
    pub fn account(&self, id: AccountId) -> Option<Pending<Account>> {
        let cell = self.lock(self.partition_of(id));
        let account = cell.state.peek_account(id)?.into_owned();
        Some(Pending::new(account, cell.last))
    }

    /// Whether there is such an account.
    pub fn has_account(&self, id: AccountId) -> bool {
        self.lock(self.partition_of(id)).state.has_account(id)
    }

    /// The identities of an account; empty if there is no such account.
    pub fn identities_of(&self, id: AccountId) -> Vec<Identity> {
        let cell = self.lock(self.partition_of(id));
        cell.state.peek_account(id).map_or_else(Vec::new, |account| account.identities().cloned().collect())
    }

    /// Accounts of one partition with an id above `after` that pass a filter, of the next `count` in order; and the last id
    /// that was looked at, `None` if there are no more. `None` = there is no such partition.
    ///
    /// The filter is called under the partition's lock, for a few accounts at a time: requests come in between.
    pub fn accounts_page(
        &self,
        partition: u16,
        after: AccountId,
        count: usize,
        filter: impl Fn(&Account) -> bool,
    ) -> Option<(Pending<Vec<Account>>, Option<AccountId>)> {
        /// Accounts under one hold of a lock.
        const AT_ONCE: usize = 64;
        let id = self.partition_ids().nth(usize::from(partition))?;
        let (mut found, mut last, mut looked) = (Vec::new(), after, 0);
        let mut position = None;
        while looked < count {
            let wanted = AT_ONCE.min(count - looked);
            let mut cell = self.lock(id);
            let ids = cell.state.accounts_after(last, wanted);
            position = Some(cell.last);
            let accounts = ids.iter().filter_map(|id| cell.state.peek_account(*id));
            found.extend(accounts.filter(|account| filter(account)).map(Cow::into_owned));
            looked += ids.len();
            last = ids.last().copied().unwrap_or(last);
            if ids.len() < wanted {
                return Some((Pending::new(found, cell.last), None));
            }
        }
        Some((Pending::new(found, position.unwrap_or(Position::ZERO)), Some(last)))
    }

    /// The history of an account, oldest first: what is settled, then running sessions as they stand.
    pub fn history(&self, id: AccountId) -> Option<Pending<Vec<(HistoryLine<'static>, bool)>>> {
        let cell = self.lock(self.partition_of(id));
        let account = cell.state.account(id)?;
        let settled = account.history.iter().map(|line| (line.into_owned(), false));
        let running = sessions_of(&cell.state, account).flat_map(|session| {
            let used = session.quotas.iter().filter(|quota| quota.is_untold());
            used.map(|quota| (HistoryLine::usage(session, quota, session.last_request).into_owned(), true))
        });
        Some(Pending::new(settled.chain(running).collect(), cell.last))
    }

    /// Running sessions of an account, in the order in which they opened.
    pub fn sessions_of(&self, id: AccountId) -> Option<Pending<Vec<Session>>> {
        let cell = self.lock(self.partition_of(id));
        let account = cell.state.account(id)?;
        Some(Pending::new(sessions_of(&cell.state, account).cloned().collect(), cell.last))
    }

    /// Running sessions of one partition with a number above `after`, in order, at most `limit`.
    pub fn sessions_page(&self, partition: u16, after: SessionNo, limit: usize) -> Option<Pending<Vec<Session>>> {
        let id = self.partition_ids().nth(usize::from(partition))?;
        let cell = self.lock(id);
        let mut numbers: Vec<_> = cell.state.sessions().map(|session| session.no).filter(|no| *no > after).collect();
        numbers.sort_unstable();
        let page = numbers.iter().take(limit).filter_map(|no| cell.state.session(*no).cloned()).collect();
        Some(Pending::new(page, cell.last))
    }

    /// The running session with this Session-Id.
    pub fn session(&self, session_id: &[u8]) -> Option<Pending<Session>> {
        let key = SessionKey::of(session_id);
        let cell = self.lock(self.sessions.get(key)?);
        let session = cell.state.session_by_id(key, session_id)?.clone();
        Some(Pending::new(session, cell.last))
    }

    /// Running sessions that wait for a re-authorisation and pass a filter, at most `limit`, with their partitions. The
    /// filter is called under a partition's lock: it must be quick.
    pub fn waiting_for_reauthorisation(
        &self,
        limit: usize,
        mut filter: impl FnMut(PartitionId, &Session) -> bool,
    ) -> Vec<(PartitionId, Pending<Session>)> {
        let mut found = Vec::new();
        for partition in self.partition_ids() {
            let room = limit.saturating_sub(found.len());
            if room == 0 {
                break;
            }
            let cell = self.lock(partition);
            let waiting = cell.state.waiting_for_reauthorisation().filter(|session| filter(partition, session));
            found.extend(waiting.take(room).map(|session| (partition, Pending::new(session.clone(), cell.last))));
        }
        found
    }

    /// Sums over all partitions, each taken by itself.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for partition in self.partition_ids() {
            let state = &self.lock(partition).state;
            let (accounts, sessions, remembered) = state.sizes();
            totals.accounts += accounts;
            totals.largest_partition = totals.largest_partition.max(accounts);
            totals.sessions += sessions;
            totals.remembered += remembered;
            totals.balance_micros += state.balance_money();
            totals.reserved_micros += state.reserved_money();
            totals.discrepancy_micros += state.discrepancy();
        }
        totals
    }

    /// Checks the invariants of every partition from scratch, each under its lock.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self) -> Result<(), Violation> {
        self.partition_ids().try_for_each(|partition| self.lock(partition).state.check())
    }

    /// Looks at every partition's state in turn, for tests and offline checks.
    pub fn for_each_state(&self, mut look: impl FnMut(&State)) {
        self.partition_ids().for_each(|partition| look(&self.lock(partition).state));
    }
}

fn sessions_of<'s>(state: &'s State, account: &'s Account) -> impl Iterator<Item = &'s Session> {
    account.sessions.iter().filter_map(|no| state.session(*no))
}
