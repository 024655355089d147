//! What a new catalog would have earned by recorded usage, and whom it would have refused.
//!
//! The usage records of a span of time are charged once more, account by account, by the real core on a copy of each account
//! that nobody else sees: once by the catalogs that were in force, which shows how near this way of reckoning comes to what
//! was recorded, and once by the new one. No lock is held but to copy one account; nothing of it is in the journal.

mod opening;
mod report;
mod shadow;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

pub use self::report::{Comparison, Item, RefusedAccount, Sums, Unrated};
use self::{
    opening::Now,
    report::{Tally, side_by_side},
    usage::{Act, BadLine, Gathered, Recorded, What},
};
use super::{Cursor, RecordLine, Store};
use crate::{
    ids::{AccountId, Identity, PartitionId},
    journal::{Disk, Fatal, JournalError, Position},
    rating::{Catalog, Catalogs, Publication, RunningSessions, Version},
    time::Timestamp,
    units::Currency,
};

/// Sessions, events and credits that are in memory at a time, about half a kilobyte each. When there are more, the records
/// are read several times, for some of the accounts each time.
pub const ACTS_AT_ONCE: usize = 400_000;
/// How often progress is told, in records.
const TOLD_EVERY: u64 = 20_000;
/// The same, in accounts.
const ACCOUNTS_TOLD_EVERY: u64 = 500;

/// What is asked.
#[derive(Debug, Clone)]
pub struct WhatIf {
    /// The new catalog.
    pub catalog: Arc<Catalog>,
    /// Records settled at this moment or later; `None` = all.
    pub from: Option<Timestamp>,
    /// Records settled before this moment; `None` = all.
    pub to: Option<Timestamp>,
    /// Only this account.
    pub account: Option<AccountId>,
    /// Accounts that were refused something, to be named at most.
    pub accounts_max: usize,
    /// See [`ACTS_AT_ONCE`]; at least 1.
    pub acts_at_once: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Of how many times through the records, as far as is known.
    pub passes: u64,
    /// Which one it is, from 1.
    pub pass: u64,
    /// Records read in it.
    pub records: u64,
    /// Accounts charged once more, in all.
    pub accounts: u64,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// The store keeps no usage records.
    #[error("no usage records are kept: see [records] in the configuration")]
    NotKept,
    /// All accounts are in another currency.
    #[error("the catalog is in {given}, but this store is in {store}")]
    Currency {
        /// Of the store.
        store: Currency,
        /// Of the catalog.
        given: Currency,
    },
    /// The files cannot be written or read.
    #[error(transparent)]
    Files(#[from] JournalError),
    /// A line is not what it should be.
    #[error("line {0} is no usage record that can be charged again")]
    Line(String),
    /// The journal has failed.
    #[error(transparent)]
    Journal(#[from] Fatal),
    /// Nobody waits for it any more.
    #[error("given up")]
    GivenUp,
}

/// Hears of progress; may give up.
type Tell<'t> = &'t mut dyn FnMut(Progress) -> ControlFlow<()>;

impl<D: Disk> Store<D> {
    /// Charges recorded usage once more, by another catalog. Takes its time: at least that of reading all records.
    ///
    /// # Errors
    /// Nothing came of it; nothing has changed in any case.
    pub fn what_if(&self, ask: &WhatIf, tell: Tell<'_>) -> Result<Comparison, WhatIfError> {
        let catalogs = self.catalogs();
        let (store, given) = (catalogs.at(self.now()).catalog.currency(), ask.catalog.currency());
        if store != given {
            return Err(WhatIfError::Currency { store, given });
        }
        if !self.keeps_records() {
            return Err(WhatIfError::NotKept);
        }
        let publication = Publication {
            number: 1,
            text: Arc::clone(ask.catalog.text()),
            published: Timestamp::EPOCH,
            activates: Timestamp::EPOCH,
            sessions: RunningSessions::Change,
            by: "".into(),
            reason: "".into(),
            request_id: "".into(),
            withdrawn: None,
        };
        let new = Catalogs::new(Version::new(publication, Arc::clone(&ask.catalog)));
        let mut run = Run {
            store: self,
            ask,
            tell,
            catalogs: [catalogs, Arc::new(new)],
            progress: Progress { passes: 1, ..Progress::default() },
            tallies: Default::default(),
            refused: [0; 2],
            refused_accounts: BTreeMap::new(),
            acts: 0,
            left_out: 0,
        };
        run.run()?;
        let Run { tallies: [recorded, current, new], refused, refused_accounts, progress, acts, left_out, .. } = run;
        let (rows, total) = side_by_side([&recorded, &current, &new]);
        Ok(Comparison {
            currency: store,
            rows,
            total,
            unrated: [current.unrated, new.unrated],
            refused,
            refused_accounts: refused_accounts.into_values().collect(),
            accounts: progress.accounts,
            acts,
            left_out,
        })
    }
}

struct Run<'r, D: Disk> {
    store: &'r Store<D>,
    ask: &'r WhatIf,
    tell: Tell<'r>,
    /// Those that were in force, and the new one.
    catalogs: [Arc<Catalogs>; 2],
    progress: Progress,
    /// As recorded, by the catalogs that were in force, by the new one.
    tallies: [Tally; 3],
    refused: [u64; 2],
    refused_accounts: BTreeMap<AccountId, RefusedAccount>,
    acts: u64,
    left_out: u64,
}

impl<D: Disk> Run<'_, D> {
    fn run(&mut self) -> Result<(), WhatIfError> {
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
            while run.progress.pass == 1 && gathered.acts > run.ask.acts_at_once.max(1) && gathered.accounts.len() > 1 {
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
            if self.progress.records % TOLD_EVERY == 0
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
        if self.progress.accounts % ACCOUNTS_TOLD_EVERY == 0 { self.told() } else { Ok(()) }
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
                if given.kind == usage::GivenKind::Fee {
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
