//! `CatalogService.WhatIf`: recorded usage by another catalog, on a thread of its own.

use std::{ops::ControlFlow, sync::Arc};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Api,
    catalog::{compiled, no_catalog},
    convert::identity_of,
    records::{moment, not_kept},
    status::invalid,
    v1::{self, what_if_response::Said},
};
use crate::{
    rating::Catalog,
    store::{
        ACTS_AT_ONCE, Comparison, Item, PartitionSums, Progress, RefusedAccount, Sums, Unrated, WhatIf, WhatIfError,
    },
};

/// Refused accounts that are named.
const ACCOUNTS_MAX: u32 = 10_000;
/// The same, if nothing is said.
const ACCOUNTS: u32 = 100;
/// Messages that wait for a slow caller. Progress that finds no place is not told.
const BUFFER: usize = 16;

/// Progress, then the result.
pub(super) type WhatIfStream = ReceiverStream<Result<v1::WhatIfResponse, Status>>;

impl Api {
    pub(super) async fn begin_what_if(&self, request: v1::WhatIfRequest) -> Result<WhatIfStream, Status> {
        let account = request.account.is_some().then(|| self.resolve("account", request.account.as_ref()));
        let accounts_max = match request.accounts_max {
            0 => ACCOUNTS,
            max if max <= ACCOUNTS_MAX => max,
            _ => return Err(invalid("accounts_max", format_args!("must be at most {ACCOUNTS_MAX}"))),
        };
        let (from, to) = (moment("from_ms", request.from_ms)?, moment("to_ms", request.to_ms)?);
        let account = account.transpose()?;
        // Said at once, not first on the stream: then it is the answer to the call.
        if !self.store.keeps_records() {
            return Err(not_kept());
        }
        let catalog = compiled(request.toml).await?.map_err(|problems| no_catalog(&problems))?;
        let (store, given) = (self.store.catalog().currency(), catalog.currency());
        if store != given {
            return Err(failed(&WhatIfError::Currency { store, given }));
        }
        let permit = Arc::clone(&self.what_ifs).try_acquire_owned();
        let permit = permit.map_err(|_| Status::resource_exhausted("another what-if runs: one at a time"))?;
        let ask = WhatIf {
            catalog: Arc::new(catalog),
            from,
            to,
            account,
            accounts_max: accounts_max as usize,
            acts_at_once: ACTS_AT_ONCE,
        };
        let (sender, receiver) = mpsc::channel(BUFFER);
        let api = self.clone();
        let run = move || {
            let _permit = permit;
            let said = api.what_if_result(&ask, &sender).map(|result| response(Said::Result(result)));
            // Whoever has left does not hear it.
            let _ = sender.blocking_send(said);
        };
        let thread = std::thread::Builder::new().name("what-if".into()).spawn(run);
        thread.map_err(|error| Status::resource_exhausted(format!("no thread for it: {error}")))?;
        Ok(ReceiverStream::new(receiver))
    }

    fn what_if_result(
        &self,
        ask: &WhatIf,
        sender: &mpsc::Sender<Result<v1::WhatIfResponse, Status>>,
    ) -> Result<v1::WhatIfResult, Status> {
        let tell = &mut |Progress { passes, pass, records, accounts }| {
            let said = response(Said::Progress(v1::WhatIfProgress { pass, passes, records, accounts }));
            let _ = sender.try_send(Ok(said));
            if sender.is_closed() || self.closing.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let comparison = self.store.what_if(ask, tell).map_err(|error| failed(&error))?;
        Ok(told(comparison, &[&ask.catalog, &self.store.catalog()]))
    }
}

fn response(said: Said) -> v1::WhatIfResponse {
    v1::WhatIfResponse { said: Some(said) }
}

fn failed(error: &WhatIfError) -> Status {
    match error {
        WhatIfError::NotKept => not_kept(),
        WhatIfError::Currency { .. } => Status::failed_precondition(format!("toml: {error}")),
        WhatIfError::Files(_) | WhatIfError::Line(_) => Status::data_loss(error.to_string()),
        WhatIfError::Journal(fatal) => Status::unavailable(fatal.to_string()),
        WhatIfError::GivenUp => Status::unavailable("the server is shutting down: ask again"),
    }
}

fn told(comparison: Comparison, catalogs: &[&Catalog]) -> v1::WhatIfResult {
    let code = comparison.currency.code();
    let money = |micros: i128| Some(v1::Money { currency: code.to_owned(), amount: PartitionSums::decimal(micros) });
    let sums = |sums: &Sums| v1::WhatIfSums {
        charges: sums.charges,
        units: sums.units,
        earned: money(sums.earned),
        refused_charges: sums.refused,
        refused_units: sums.refused_units,
    };
    let row = |item: Option<Item>, [recorded, baseline, new]: &[Sums; 3]| v1::WhatIfRow {
        unit: item.as_ref().map_or_else(String::new, |item| unit(item, catalogs)),
        item: item.map(|item| match item {
            Item::Service(name) => v1::what_if_row::Item::Service(name.to_string()),
            Item::Fees(name) => v1::what_if_row::Item::Product(name.to_string()),
        }),
        recorded: Some(sums(recorded)),
        baseline: Some(sums(baseline)),
        new: Some(sums(new)),
        difference: money(new.earned - recorded.earned),
    };
    let unrated = |(reason, unrated): (String, Unrated)| v1::WhatIfUnrated {
        reason,
        charges: unrated.charges,
        recorded: money(unrated.recorded),
    };
    let account = |refused: RefusedAccount| v1::WhatIfAccount {
        account_id: refused.account.0,
        identity: refused.identity.as_ref().map(identity_of),
        refused_charges: refused.charges[1],
        refused_charges_baseline: refused.charges[0],
        recorded: money(refused.recorded),
    };
    let [baseline, new] = comparison.unrated;
    v1::WhatIfResult {
        total: Some(row(None, &comparison.total)),
        rows: comparison.rows.into_iter().map(|(item, sums)| row(Some(item), &sums)).collect(),
        refused_accounts: comparison.refused[1],
        refused_accounts_baseline: comparison.refused[0],
        accounts: comparison.refused_accounts.into_iter().map(account).collect(),
        unrated: new.into_iter().map(unrated).collect(),
        unrated_baseline: baseline.into_iter().map(unrated).collect(),
        accounts_read: comparison.accounts,
        acts: comparison.acts,
        left_out: comparison.left_out,
    }
}

/// What the units of a row are of, as far as a catalog still says so.
fn unit(item: &Item, catalogs: &[&Catalog]) -> String {
    let Item::Service(name) = item else { return String::new() };
    let found = catalogs.iter().find_map(|catalog| catalog.service_by_name(name));
    let other = if **name == *"money" { "money" } else { "" };
    found.map_or(other, |service| service.kind.name()).to_owned()
}
