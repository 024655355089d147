//! `BulkService`.

mod changes;

use prost::Message as _;
use tonic::{Request, Response, Status};

use self::changes::Planned;
pub(super) use self::changes::{without_sign, worth};
use super::{
    Api, access,
    by::{Caller, noted},
    convert::{REASON_CHARS_MAX, millis, money_of, name, page_size, text},
    status::{answered, bulk_refused, invalid},
    v1::{self, bulk_item::State, bulk_service_server::BulkService},
};
use crate::{
    charging::{Bulk, BulkStage, BulkVerdict, Change, PlannedChange, RefusedChange},
    journal::Pending,
    store::{BulkError, Submit},
    units::Currency,
};

/// Changes of one page, and of one whose size is not said.
const ITEMS_MAX: usize = 1_000;
const ITEMS_DEFAULT: usize = 100;
/// Bulk changes of one page, and of one whose size is not said.
const BULKS_MAX: usize = 500;
const BULKS_DEFAULT: usize = 50;

/// The number of a bulk change, and whether it had been submitted before.
type Submitted = Pending<Result<(u64, bool), BulkError>>;

#[tonic::async_trait]
impl BulkService for Api {
    async fn submit_bulk(
        &self,
        request: Request<v1::SubmitBulkRequest>,
    ) -> Result<Response<v1::SubmitBulkResponse>, Status> {
        answered("SubmitBulk", async {
            let (by, caller) = (Caller::of(&request), access::caller(&request)?.clone());
            let api = self.clone();
            // Reading very many changes takes a while: not on a thread that serves others.
            let work = tokio::task::spawn_blocking(move || api.submit(&caller, &by, request.get_ref()));
            let pending = work.await.map_err(|_| Status::internal("the changes could not be read"))??;
            let (id, duplicate) = self.durable(pending).await?.map_err(|error| bulk_refused(&error))?;
            let bulk = Some(self.bulk_message(id).await?);
            Ok(v1::SubmitBulkResponse { bulk, duplicate })
        })
        .await
    }

    async fn approve_bulk(
        &self,
        request: Request<v1::ApproveBulkRequest>,
    ) -> Result<Response<v1::ApproveBulkResponse>, Status> {
        answered("ApproveBulk", async {
            let v1::ApproveBulkRequest { bulk_id, reason } = request.get_ref();
            let bulk = Some(self.decide(&request, "ApproveBulk", *bulk_id, reason, true).await?);
            Ok(v1::ApproveBulkResponse { bulk })
        })
        .await
    }

    async fn reject_bulk(
        &self,
        request: Request<v1::RejectBulkRequest>,
    ) -> Result<Response<v1::RejectBulkResponse>, Status> {
        answered("RejectBulk", async {
            let v1::RejectBulkRequest { bulk_id, reason } = request.get_ref();
            let bulk = Some(self.decide(&request, "RejectBulk", *bulk_id, reason, false).await?);
            Ok(v1::RejectBulkResponse { bulk })
        })
        .await
    }

    async fn get_bulk(&self, request: Request<v1::GetBulkRequest>) -> Result<Response<v1::GetBulkResponse>, Status> {
        answered("GetBulk", self.bulk_and_items(request.get_ref())).await
    }

    async fn list_bulks(
        &self,
        request: Request<v1::ListBulksRequest>,
    ) -> Result<Response<v1::ListBulksResponse>, Status> {
        answered("ListBulks", self.page_of_bulks(request.get_ref())).await
    }
}

impl Api {
    fn submit(
        &self,
        caller: &access::Caller,
        by: &Caller,
        request: &v1::SubmitBulkRequest,
    ) -> Result<Submitted, Status> {
        self.check_journal()?;
        let request_id = name("request_id", &request.request_id)?;
        let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
        let by = self.by(by, "SubmitBulk", reason);
        let asked = request.encode_to_vec();
        // A repetition is answered as the first one, whatever accounts, the catalog and the limits are by now.
        if let Some(answer) = by.repeated_bulk(request_id, &asked) {
            return Ok(answer);
        }
        let Planned { changes, weight, money } = self.planned(&request.changes)?;
        let needed = self.approval.is_needed(weight, money);
        let may = changes::allowed(caller, &changes);
        let may = may.and_then(|()| self.can_be_approved(caller, needed, weight, money));
        may.map_err(|refusal| noted(&by, "bulk", refusal))?;
        let expires = needed.then(|| self.approval_ends());
        Ok(by.submit_bulk(Submit { request_id, asked: &asked, changes, money, expires }))
    }

    async fn decide<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
        id: u64,
        reason: &str,
        approved: bool,
    ) -> Result<v1::Bulk, Status> {
        self.check_journal()?;
        if id == 0 {
            return Err(invalid("bulk_id", "is required"));
        }
        let reason = text("reason", reason, REASON_CHARS_MAX)?;
        let (caller, by) = (access::caller(request)?, Caller::of(request));
        let by = self.by(&by, method, reason);
        let changes = self.store.look_at_bulks(|bulks| bulks.get(id).map(|bulk| bulk.changes.clone()));
        let changes = self.durable(changes).await?;
        let may = changes.map_or(Ok(()), |changes| changes::allowed(caller, &changes));
        let may = may.and_then(|()| {
            let why = "without callers nobody is told apart: name them in `caller` of [grpc]";
            if caller.is_known || !approved { Ok(()) } else { Err(Status::failed_precondition(why)) }
        });
        may.map_err(|refusal| noted(&by, &format!("bulk {id}"), refusal))?;
        let decided = by.decide_on_bulk(id, approved);
        self.durable(decided).await?.map_err(|error| bulk_refused(&error))?;
        self.bulk_message(id).await
    }

    pub(super) async fn bulk_message(&self, id: u64) -> Result<v1::Bulk, Status> {
        let currency = self.store.catalog().currency();
        let told = self.store.look_at_bulks(|bulks| bulks.get(id).map(|bulk| message_of(bulk, currency)));
        self.durable(told).await?.ok_or_else(|| bulk_refused(&BulkError::Unknown(id)))
    }

    async fn bulk_and_items(&self, request: &v1::GetBulkRequest) -> Result<v1::GetBulkResponse, Status> {
        let size = page_size(request.page_size, ITEMS_DEFAULT, ITEMS_MAX)?;
        let after: u32 = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| invalid("page_token", "is not one that was given out"))?,
        };
        let (id, currency) = (request.bulk_id, self.store.catalog().currency());
        let seen = self.store.look_at_bulks(|bulks| {
            let bulk = bulks.get(id)?;
            let place = bulk.refusals.partition_point(|refusal| refusal.item <= after);
            // One more than the page has tells whether another follows.
            let refusals: Vec<_> = bulk.refusals.iter().skip(place).take(size + 1).cloned().collect();
            let told = if bulk.refused as usize > bulk.refusals.len() { bulk.refusals.last() } else { None };
            let told_to = told.map_or(u32::MAX, |last| last.item);
            Some((message_of(bulk, currency), bulk.is_open(), bulk.changes.clone(), refusals, told_to))
        });
        let seen = self.durable(seen).await?.ok_or_else(|| bulk_refused(&BulkError::Unknown(id)))?;
        let (bulk, is_open, changes, refusals, told_to) = seen;
        let mut items: Vec<v1::BulkItem> = if is_open && !request.refused {
            let item = |(number, planned)| item_of(number, planned, (bulk.executed, told_to), &refusals);
            (1..).zip(changes.iter()).skip(after as usize).take(size + 1).map(item).collect()
        } else {
            refusals.iter().map(|refusal| refused_item(refusal, &changes)).collect()
        };
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(|item| item.number.to_string());
        Ok(v1::GetBulkResponse { bulk: Some(bulk), items, next_page_token: next.unwrap_or_default() })
    }

    async fn page_of_bulks(&self, request: &v1::ListBulksRequest) -> Result<v1::ListBulksResponse, Status> {
        use v1::bulk::Stage;
        let size = page_size(request.page_size, BULKS_DEFAULT, BULKS_MAX)?;
        let before: u64 = match request.page_token.as_str() {
            "" => u64::MAX,
            token => token.parse().map_err(|_| invalid("page_token", "is not one that was given out"))?,
        };
        let stage =
            Stage::try_from(request.stage).map_err(|_| invalid("stage", "is none that a bulk change can have"))?;
        let currency = self.store.catalog().currency();
        let page = self.store.look_at_bulks(|bulks| {
            let fits =
                |bulk: &&Bulk| bulk.id < before && (stage == Stage::Unspecified || stage_of(bulk.stage) == stage);
            let newest = bulks.iter().rev().filter(fits).take(size + 1);
            newest.map(|bulk| message_of(bulk, currency)).collect::<Vec<_>>()
        });
        let mut bulks = self.durable(page).await?;
        let more = bulks.len() > size;
        bulks.truncate(size);
        let next = bulks.last().filter(|_| more).map(|bulk| bulk.bulk_id.to_string());
        Ok(v1::ListBulksResponse { bulks, next_page_token: next.unwrap_or_default() })
    }
}

/// `told_to` = up to which change refusals are told one by one.
fn item_of(
    number: u32,
    planned: &PlannedChange,
    (executed, told_to): (u32, u32),
    refusals: &[RefusedChange],
) -> v1::BulkItem {
    let refusal = refusals.iter().find(|refusal| refusal.item == number);
    let state = match refusal {
        Some(_) => State::Refused,
        None if number <= executed && number > told_to => State::Executed,
        None if number <= executed => State::Done,
        None => State::Waiting,
    };
    v1::BulkItem {
        number,
        account_id: planned.account.0,
        state: state.into(),
        what: changes::told(&planned.change),
        refusal: refusal.map_or_else(String::new, |refusal| refusal.why.to_string()),
    }
}

fn refused_item(refusal: &RefusedChange, changes: &[PlannedChange]) -> v1::BulkItem {
    let planned = changes.get((refusal.item as usize).saturating_sub(1));
    v1::BulkItem {
        number: refusal.item,
        account_id: refusal.account.0,
        state: State::Refused.into(),
        what: planned.map_or_else(String::new, |planned| changes::told(&planned.change)),
        refusal: refusal.why.to_string(),
    }
}

fn stage_of(stage: BulkStage) -> v1::bulk::Stage {
    use v1::bulk::Stage;
    match stage {
        BulkStage::Pending => Stage::Pending,
        BulkStage::Running => Stage::Running,
        BulkStage::Done => Stage::Done,
        BulkStage::Rejected => Stage::Rejected,
        BulkStage::Expired => Stage::Expired,
    }
}

fn message_of(bulk: &Bulk, currency: Currency) -> v1::Bulk {
    let decision = bulk.decision.as_ref().filter(|decision| decision.verdict != BulkVerdict::Expired);
    v1::Bulk {
        bulk_id: bulk.id,
        stage: stage_of(bulk.stage).into(),
        // That of a batch of vouchers is the node's own.
        request_id: bulk.request_id.trim_start_matches('\u{1}').to_owned(),
        reason: bulk.reason.to_string(),
        submitted_by: bulk.by.name.to_string(),
        submitted_at_ms: millis(bulk.submitted),
        expires_at_ms: bulk.expires.map_or(0, millis),
        changes: bulk.count,
        money: Some(money_of(bulk.money, currency)),
        executed: bulk.executed,
        refused: bulk.refused,
        decided_by: decision.map_or_else(String::new, |decision| decision.by.to_string()),
        decision_reason: decision.map_or_else(String::new, |decision| decision.reason.to_string()),
        decided_at_ms: decision.map_or(0, |decision| millis(decision.at)),
        ended_at_ms: bulk.ended.map_or(0, millis),
    }
}

/// The one change that lets the vouchers of a new batch be redeemed.
pub(super) fn unblock(batch: &str) -> PlannedChange {
    PlannedChange { account: crate::ids::AccountId(0), change: Change::UnblockVouchers(batch.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_only_said_to_be_done_where_that_is_known() {
        let planned = unblock("a");
        let refusals = [RefusedChange { item: 2, account: planned.account, why: "no".into() }];
        let state = |number, told_to| item_of(number, &planned, (4, told_to), &refusals).state();
        assert_eq!(
            [1, 2, 3, 4, 5].map(|number| state(number, u32::MAX)),
            [State::Done, State::Refused, State::Done, State::Done, State::Waiting]
        );
        assert_eq!(
            [1, 2, 3, 5].map(|number| state(number, 2)),
            [State::Done, State::Refused, State::Executed, State::Waiting]
        );
    }
}
