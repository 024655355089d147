//! `RecordService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    Api,
    convert::page_size,
    status::{answered, invalid},
    v1::{self, record_service_server::RecordService},
};
use crate::{
    journal::FileDisk,
    store::{ConditionsLine, Cursor, PartitionSums, ReconcileError, RecordFiles, RecordFilter, RecordLine},
    time::Timestamp,
};

/// Lines of one page.
const PAGE_SIZE_MAX: usize = 1_000;
/// Lines of a page whose size is not said.
const PAGE_SIZE_DEFAULT: usize = 100;

#[tonic::async_trait]
impl RecordService for Api {
    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        answered("ListRecords", async {
            let request = request.into_inner();
            let files = self.store.record_files().ok_or_else(not_kept)?;
            let account = request.account.is_some().then(|| self.resolve("account", request.account.as_ref()));
            let filter = RecordFilter {
                account: account.transpose()?.map(|account| account.0),
                from: moment("from_ms", request.from_ms)?,
                to: moment("to_ms", request.to_ms)?,
                service: Some(request.service).filter(|service| !service.is_empty()),
            };
            let (after, limit) = page(&request.page_token, request.page_size)?;
            read_page(files, filter, after, limit).await
        })
        .await
    }

    async fn reconcile_records(
        &self,
        _: Request<v1::ReconcileRecordsRequest>,
    ) -> Result<Response<v1::ReconcileRecordsResponse>, Status> {
        answered("ReconcileRecords", async {
            let store = Arc::clone(&self.store);
            let reconciled = blocking(move || store.reconcile()).await?.map_err(|error| match error {
                ReconcileError::NotKept => not_kept(),
                ReconcileError::Journal(fatal) => Status::unavailable(fatal.to_string()),
                ReconcileError::Files(_) | ReconcileError::Line(_) => Status::data_loss(error.to_string()),
            })?;
            let currency = self.store.catalog().currency();
            let currency = currency.code();
            let differing = reconciled.partitions.iter().filter(|sums| !sums.is_exact());
            Ok(v1::ReconcileRecordsResponse {
                exact: reconciled.is_exact(),
                total: Some(totals(&reconciled.total(), currency)),
                differing: differing.map(|sums| totals(sums, currency)).collect(),
            })
        })
        .await
    }
}

async fn read_page(
    files: RecordFiles<FileDisk>,
    filter: RecordFilter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<v1::ListRecordsResponse, Status> {
    let read = blocking(move || files.page(&filter, after, limit)).await?;
    let (lines, more) = read.map_err(|error| Status::data_loss(error.to_string()))?;
    let next_page_token = lines.last().filter(|_| more).map_or_else(String::new, |last| last.cursor.clone());
    Ok(v1::ListRecordsResponse { records: lines.into_iter().map(record).collect(), next_page_token })
}

/// Reading files takes its time: this thread has other calls to serve.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Status::internal("the files could not be read"))
}

/// Where a page begins, and how long it may be.
pub(super) fn page(token: &str, size: u32) -> Result<(Option<Cursor>, usize), Status> {
    let limit = page_size(size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
    let after = (!token.is_empty()).then(|| token.parse()).transpose();
    Ok((after.map_err(|error| invalid("page_token", error))?, limit))
}

/// A moment of a filter; 0 = none.
pub(super) fn moment(field: &str, millis: i64) -> Result<Option<Timestamp>, Status> {
    let millis = u64::try_from(millis).map_err(|_| invalid(field, "must not be negative"))?;
    Ok((millis != 0).then_some(Timestamp::from_millis(millis)))
}

pub(super) fn not_kept() -> Status {
    Status::failed_precondition(ReconcileError::NotKept.to_string())
}

/// A line of the files as a message.
pub fn record(line: RecordLine) -> v1::UsageRecord {
    let currency = line.currency.unwrap_or_default();
    let money = |amount: String| v1::Money { currency: currency.clone(), amount };
    let tariff = |one: crate::store::TariffUnits| v1::TariffUsage { tariff: one.tariff, units: one.units };
    v1::UsageRecord {
        cursor: line.cursor,
        at: line.at,
        kind: line.kind,
        account_id: line.account,
        debited: Some(money(line.debited)),
        credited: Some(money(line.credited)),
        balance: line.balance.map(money),
        session_id: line.session_id.unwrap_or_default(),
        sub_session_id: line.sub_session.unwrap_or(0),
        service_context_id: line.context.unwrap_or_default(),
        origin_host: line.origin_host.unwrap_or_default(),
        request_number: line.request_number.unwrap_or(0),
        opened_at: line.opened.unwrap_or_default(),
        cause: line.cause.unwrap_or_default(),
        rating_group: line.rating_group,
        service_identifier: line.service_identifier,
        service: line.service.unwrap_or_default(),
        unit: line.unit.unwrap_or_default(),
        units: line.units.unwrap_or(0),
        from_allowance: line.from_allowance.unwrap_or(0),
        tariffs: line.tariffs.into_iter().map(tariff).collect(),
        bucket_id: line.bucket.unwrap_or(0),
        name: line.name.unwrap_or_default(),
        request_id: line.request_id.unwrap_or_default(),
        reason: line.reason.unwrap_or_default(),
        partition: line.partition.into(),
        catalog_version: line.catalog.unwrap_or(0),
        detail: line.detail.unwrap_or_default(),
        subscriber_id: line.subscriber.unwrap_or_default(),
        identity: line.identity.unwrap_or_default(),
        conditions: line.conditions.map(|told| conditions(*told)),
    }
}

fn conditions(line: ConditionsLine) -> v1::UsageConditions {
    v1::UsageConditions {
        access: line.access.map(u32::from),
        serving_network: line.serving_network.unwrap_or_default(),
        area: line.area,
        cell: line.cell,
        apn: line.apn.unwrap_or_default(),
        other_party: line.other_party.unwrap_or_default(),
        role: line.role.unwrap_or_default(),
        message_type: line.message_type,
        size: line.size,
        time_zone: line.time_zone.map(i32::from),
        emergency: line.emergency,
    }
}

/// Sums as a message.
pub fn totals(sums: &PartitionSums, currency: &str) -> v1::RecordTotals {
    let money =
        |micros: i128| Some(v1::Money { currency: currency.to_owned(), amount: PartitionSums::decimal(micros) });
    v1::RecordTotals {
        partition: sums.partition.0.into(),
        position: sums.position.0,
        debited: money(sums.accounts[0]),
        credited: money(sums.accounts[1]),
        recorded_debits: money(sums.records[0]),
        recorded_credits: money(sums.records[1]),
        running: money(sums.running),
        records: sums.lines,
    }
}
