//! What a new catalog would have earned by recorded usage, and whom it would have refused.
//!
//! The usage records of a span of time are charged once more, account by account, by the real core on a copy of each account
//! that nobody else sees: once by the catalogs that were in force, which shows how near this way of reckoning comes to what
//! was recorded, and once by the new one. No lock is held but to copy one account; nothing of it is in the journal.

mod opening;
mod report;
mod run;
mod shadow;
mod usage;

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

pub use self::report::{Comparison, Item, RefusedAccount, Sums, Unrated};
use self::{report::side_by_side, run::Run};
use super::Store;
use crate::{
    ids::AccountId,
    journal::{Disk, Fatal, JournalError},
    rating::{Catalog, Catalogs, Publication, RunningSessions, Version},
    time::Timestamp,
    units::Currency,
};

/// Sessions, events and credits that are in memory at a time, about half a kilobyte each. When there are more, the records
/// are read several times, for some of the accounts each time.
pub const ACTS_AT_ONCE: usize = 400_000;

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
