//! Through the records, account by account.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use super::{
    Item, Progress, RefusedAccount, Tell, WhatIf, WhatIfError,
    opening::Now,
    report::Tally,
    shadow,
    usage::{Act, BadLine, Gathered, GivenKind, Recorded, What},
};
use crate::{
    ids::{AccountId, Identity, PartitionId},
    journal::{Disk, Position},
    rating::Catalogs,
    store::{Cursor, RecordLine, Store},
    time::Timestamp,
};

/// How often progress is told, in records.
const TOLD_EVERY: u64 = 20_000;
/// Times through the records: with more, reading takes longer than anyone waits, and a few accounts have them all.
const PASSES_MAX: u64 = 1 << 12;
/// How often progress is told, in accounts.
const ACCOUNTS_TOLD_EVERY: u64 = 500;

/// A reckoning under way.
pub(super) struct Run<'r, D: Disk> {
    pub(super) store: &'r Store<D>,
    pub(super) ask: &'r WhatIf,
    pub(super) tell: Tell<'r>,
    /// Those that were in force, and the new one.
    pub(super) catalogs: [Arc<Catalogs>; 2],
    pub(super) progress: Progress,
    /// As recorded, by the catalogs that were in force, by the new one.
    pub(super) tallies: [Tally; 3],
    pub(super) refused: [u64; 2],
    pub(super) refused_accounts: BTreeMap<AccountId, RefusedAccount>,
    pub(super) acts: u64,
    pub(super) left_out: u64,
}

impl<D: Disk> Run<'_, D> {
    pub(super) fn run(&mut self) -> Result<(), WhatIfError> {
        while self.progress.pass < self.progress.passes {
            self.progress.pass += 1;
            self.progress.records = 0;
            self.pass()?;
        }
        Ok(())
    }

    /// One time through the records, for those accounts that it is about.
    fn pass(&mut self) -> Result<(), WhatIfError> {
        let last = self.all_written()?;
        self.told()?;
        let mut gathered = self.gather(last)?;
        let accounts: BTreeSet<u64> = gathered.accounts.keys().copied().collect();
        let mut copies = BTreeMap::new();
        for account in accounts {
            if let Some((now, position)) = self.copy(AccountId(account)) {
                copies.insert(account, (now, position));
            }
        }
        // What came between the records and a copy is in the copy: of that, only the money counts.
        self.all_written()?;
        self.read(Some(Cursor::new(last, u32::MAX)), &mut |_, position, line| {
            let copied = line.account.and_then(|account| Some((account, copies.get(&account)?.1)));
            match copied.filter(|(_, copied)| position <= *copied) {
                Some((account, _)) => gathered.money(account, line),
                None => Ok(()),
            }
        })?;
        for (account, recorded) in std::mem::take(&mut gathered.accounts) {
            if recorded.acts.is_empty() {
                continue;
            }
            match copies.remove(&account) {
                Some((now, _)) => self.charge(now, &recorded)?,
                None => self.left_out += recorded.acts.len() as u64,
            }
        }
        self.told()
    }

    /// Reads what the accounts of this pass did, up to a position.
    fn gather(&mut self, last: Position) -> Result<Gathered, WhatIfError> {
        let mut gathered = Gathered::default();
        let (from, to) = (self.ask.from.map(|at| at.to_string()), self.ask.to.map(|at| at.to_string()));
        self.read(None, &mut |run, position, line| {
            // As text, moments are in the order of time.
            let is_before_end = to.as_ref().is_none_or(|to| line.at < *to);
            if position > last || from.as_ref().is_some_and(|from| line.at < *from) || line.kind == "begin" {
                return Ok(());
            }
            let Some(account) = line.account else {
                run.left_out += u64::from(is_before_end && run.progress.pass == 1 && run.ask.account.is_none());
                return Ok(());
            };
            if !run.is_about(account) {
                return Ok(());
            }
            if is_before_end {
                gathered.act(account, position, line)?;
            }
            gathered.money(account, line)?;
            // Only the first pass finds out how many there must be.
            while run.progress.pass == 1
                && gathered.acts > run.ask.acts_at_once
                && gathered.accounts.len() > 1
                && run.progress.passes < PASSES_MAX
            {
                run.progress.passes *= 2;
                gathered.keep(|account| run.is_about(account));
            }
            Ok(())
        })?;
        Ok(gathered)
    }

    /// Whether an account belongs to this pass.
    fn is_about(&self, account: u64) -> bool {
        self.ask.account.is_none_or(|only| only.0 == account)
            && scattered(account) % self.progress.passes == self.progress.pass - 1
    }

    /// Visits all lines after a cursor.
    fn read(
        &mut self,
        after: Option<Cursor>,
        visit: &mut dyn FnMut(&mut Self, Position, &RecordLine) -> Result<(), BadLine>,
    ) -> Result<(), WhatIfError> {
        let files = self.store.record_files().ok_or(WhatIfError::NotKept)?;
        let mut failed = None;
        files.visit(after, &mut |cursor, line| {
            self.progress.records += 1;
            if self.progress.records.is_multiple_of(TOLD_EVERY)
                && let Err(error) = self.told()
            {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            if visit(self, cursor.position, &line).is_err() {
                failed = Some(WhatIfError::Line(line.cursor));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Everything that has happened by now is in the files; up to which position that is.
    fn all_written(&self) -> Result<Position, WhatIfError> {
        let last = self.store.last_position();
        self.store.mark().wait_for_blocking(last)?;
        self.store.write_trails()?;
        Ok(last)
    }

    /// An account as it is, and as of which position.
    fn copy(&self, account: AccountId) -> Option<(Now, Position)> {
        let partition: PartitionId = self.store.partition_of(account);
        let cell = self.store.lock(partition);
        let now = Now::of(&cell.state, cell.state.account(account)?);
        Some((now, cell.last))
    }

    fn charge(&mut self, now: Now, recorded: &Recorded) -> Result<(), WhatIfError> {
        let (account, identity) = (now.account.id, first_identity(&now));
        let [current, new] = &self.catalogs;
        let earliest = recorded.acts.iter().map(Act::begins).min().unwrap_or_default();
        let begins = self.ask.from.map_or(earliest, |from| from.min(earliest));
        let until = self.ask.to.unwrap_or_else(|| self.store.now());
        let opening = now.opening(recorded, current, begins);
        let [as_recorded, by_current, by_new] = &mut self.tallies;
        recorded.acts.iter().for_each(|act| act.count(as_recorded));
        shadow::charge(&opening, &recorded.acts, current, until, by_current);
        shadow::charge(&opening, &recorded.acts, new, until, by_new);
        let ((before, _), (after, recorded_money)) = (by_current.take_refused(), by_new.take_refused());
        self.refused[0] += u64::from(before > 0);
        self.refused[1] += u64::from(after > 0);
        if after > 0 {
            let charges = [before, after];
            let refused = RefusedAccount { account, identity, charges, recorded: recorded_money };
            self.refused_accounts.insert(account, refused);
            if self.refused_accounts.len() > self.ask.accounts_max {
                self.refused_accounts.pop_last();
            }
        }
        self.acts += recorded.acts.len() as u64;
        self.progress.accounts += 1;
        if self.progress.accounts.is_multiple_of(ACCOUNTS_TOLD_EVERY) { self.told() } else { Ok(()) }
    }

    fn told(&mut self) -> Result<(), WhatIfError> {
        match (self.tell)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(WhatIfError::GivenUp),
        }
    }
}

/// Account ids may have a pattern: what this makes of them has none.
fn scattered(account: u64) -> u64 {
    account.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn first_identity(now: &Now) -> Option<Identity> {
    now.account.identities().next().cloned()
}

impl Act {
    /// The first moment that it is about.
    fn begins(&self) -> Timestamp {
        match &self.what {
            What::Session(usage) => usage.opened,
            What::Event(_) | What::Refund(_) | What::Given(_) => self.at,
        }
    }

    /// Adds what was recorded.
    fn count(&self, tally: &mut Tally) {
        let (usage, sign) = match &self.what {
            What::Session(usage) | What::Event(usage) => (usage, 1),
            What::Refund(usage) => (usage, -1),
            What::Given(given) => {
                if given.kind == GivenKind::Fee {
                    let sums = tally.of(Item::Fees(Arc::clone(&given.name)));
                    (sums.charges, sums.earned) = (sums.charges + 1, sums.earned - i128::from(given.amount));
                }
                return;
            }
        };
        for used in usage.uses.iter().filter(|used| used.used > 0 || used.charged != 0) {
            let sums = tally.of(Item::Service(Arc::clone(&used.service)));
            sums.earned += sign * used.charged;
            if sign > 0 {
                sums.charges += 1;
                sums.units = sums.units.saturating_add(used.used);
            }
        }
    }
}
