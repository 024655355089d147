//! `VoucherService`.

use std::time::Instant;

use ring::rand::{SecureRandom as _, SystemRandom};
use tonic::{Request, Response, Status};

use super::{
    Api, access,
    bulk::{self, worth},
    by::{Caller, noted},
    convert::{REASON_CHARS_MAX, millis, money, money_of, name, page_size, text},
    status::{answered, invalid, not_found, refused},
    throttle::Guesser,
    v1::{self, list_voucher_batches_response as listed, voucher_batch::Value, voucher_service_server::VoucherService},
};
use crate::{
    charging::{Refusal, VoucherBatch, VoucherMark, VoucherValue},
    ids::VoucherCode,
    store::{BatchStatus, Submit},
    time::Timestamp,
    units::{Currency, Money},
};

/// Vouchers of one batch: an answer of some hundred kilobytes. A larger print is several batches.
const BATCH_MAX: u32 = 10_000;
/// Batches of one page, and of one whose size is not said.
const PAGE_SIZE_MAX: usize = 1_000;
const PAGE_SIZE_DEFAULT: usize = 100;
/// A year far enough, in seconds since 1970: some 34,000 years.
const VALID_UNTIL_MAX: u64 = 1 << 40;

#[tonic::async_trait]
impl VoucherService for Api {
    async fn create_voucher_batch(
        &self,
        request: Request<v1::CreateVoucherBatchRequest>,
    ) -> Result<Response<v1::CreateVoucherBatchResponse>, Status> {
        answered("CreateVoucherBatch", async {
            let (caller, known, request) = (Caller::of(&request), access::caller(&request)?, request.get_ref());
            let batch = self.batch(request.batch.as_ref())?;
            if !(1..=BATCH_MAX).contains(&request.count) {
                return Err(invalid("count", format_args!("is from 1 to {BATCH_MAX}")));
            }
            let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
            self.check_journal()?;
            let (weight, money) = worth(&batch.value, request.count.into());
            let waits = self.approval.is_needed(weight, money);
            let by = self.by(&caller, "CreateVoucherBatch", reason);
            let can = self.can_be_approved(known, waits, weight.max(1), money);
            can.map_err(|refusal| noted(&by, &format!("voucher batch {}", batch.name), refusal))?;
            let codes = new_codes(request.count)?;
            let created = {
                let _alone = self.batches_alone();
                by.create_vouchers(&batch, waits, &codes)
            };
            self.durable(created).await?.map_err(|refusal| Status::already_exists(refusal.to_string()))?;
            let bulk_id = if waits { self.wait_for_approval(&caller, &batch.name, reason, money).await? } else { 0 };
            let codes = codes.iter().map(VoucherCode::written).collect();
            Ok(v1::CreateVoucherBatchResponse { codes, blocked: waits, bulk_id })
        })
        .await
    }

    async fn redeem_voucher(
        &self,
        request: Request<v1::RedeemVoucherRequest>,
    ) -> Result<Response<v1::RedeemVoucherResponse>, Status> {
        answered("RedeemVoucher", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let request_id = name("request_id", &request.request_id)?;
            let code = code(&request.code)?;
            let currency = self.read_account(account).await?.currency;
            let guessers = [Guesser::Account(account.0), Guesser::Caller(caller.name().to_owned())];
            self.check_journal()?;
            self.guesses.take(&guessers, Instant::now()).map_err(|wait| {
                let secs = wait.as_secs() + 1;
                Status::resource_exhausted(format!("too many codes that do not exist: try again in {secs} seconds"))
            })?;
            let redeemed = self.by(&caller, "RedeemVoucher", "").redeem_voucher(code, account, request_id);
            let redeemed = redeemed.map(|redeemed| {
                if redeemed != Err(Refusal::NoSuchVoucher) {
                    self.guesses.give_back(&guessers);
                }
                redeemed
            });
            let redeemed = self.durable(redeemed).await?.map_err(|refusal| match refusal {
                Refusal::RequestIdReused(_) => Status::already_exists(refusal.to_string()),
                _ => refused(&refusal),
            })?;
            let value = Some(value_of(&redeemed.value, currency));
            Ok(v1::RedeemVoucherResponse {
                value: Some(v1::VoucherBatch { value, ..v1::VoucherBatch::default() }),
                balance: Some(money_of(redeemed.balance, currency)),
                bucket_id: redeemed.bucket.0,
                duplicate: redeemed.repeated,
            })
        })
        .await
    }

    async fn block_voucher_batch(
        &self,
        request: Request<v1::BlockVoucherBatchRequest>,
    ) -> Result<Response<v1::BlockVoucherBatchResponse>, Status> {
        answered("BlockVoucherBatch", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let batch = name("name", &request.name)?;
            let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
            self.check_journal()?;
            let by = self.by(&caller, "BlockVoucherBatch", reason);
            let blocked = {
                let _alone = self.batches_alone();
                let may = if request.blocked { Ok(()) } else { self.may_unblock(batch) };
                may.map_err(|refusal| noted(&by, &format!("voucher batch {batch}"), refusal))?;
                by.block_vouchers(batch, request.blocked)
            };
            self.durable(blocked).await?.map_err(|refusal| refused(&refusal))?;
            Ok(v1::BlockVoucherBatchResponse {})
        })
        .await
    }

    async fn list_voucher_batches(
        &self,
        request: Request<v1::ListVoucherBatchesRequest>,
    ) -> Result<Response<v1::ListVoucherBatchesResponse>, Status> {
        answered("ListVoucherBatches", async {
            let request = request.get_ref();
            let size = page_size(request.page_size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
            let currency = self.store.catalog().currency();
            let after = |status: &BatchStatus| *status.batch.name > *request.page_token;
            let mut batches: Vec<_> = self.store.voucher_batches().into_iter().filter(after).collect();
            let more = batches.len() > size;
            batches.truncate(size);
            let next = batches.last().filter(|_| more).map(|status| status.batch.name.to_string());
            let status = |status: BatchStatus| listed::Status {
                batch: Some(batch_of(&status.batch, currency)),
                count: status.count,
                open: status.open,
                blocked: status.blocked,
            };
            Ok(v1::ListVoucherBatchesResponse {
                batches: batches.into_iter().map(status).collect(),
                next_page_token: next.unwrap_or_default(),
            })
        })
        .await
    }

    async fn get_voucher(
        &self,
        request: Request<v1::GetVoucherRequest>,
    ) -> Result<Response<v1::GetVoucherResponse>, Status> {
        answered("GetVoucher", async {
            let found = self.store.voucher(code(&request.get_ref().code)?);
            let (batch, number, blocked, mark) =
                found.ok_or_else(|| not_found("code", "there is no voucher with this code"))?;
            let by = match &mark {
                VoucherMark::Open => None,
                VoucherMark::OnTheWay(by) | VoucherMark::Redeemed(by) => Some(by),
            };
            Ok(v1::GetVoucherResponse {
                batch: Some(batch_of(&batch, self.store.catalog().currency())),
                number,
                blocked,
                redeemed: by.is_some(),
                account_id: by.map_or(0, |by| by.account.0),
                redeemed_at_ms: by.map_or(0, |by| millis(by.at)),
            })
        })
        .await
    }
}

impl Api {
    /// Has a new batch, which is blocked, wait for a second person. Returns the number of the bulk change that unblocks it;
    /// 0 = it could not be submitted now, and must be by hand: the codes are told in any case.
    async fn wait_for_approval(&self, caller: &Caller, batch: &str, reason: &str, money: Money) -> Result<u64, Status> {
        // No caller's request id has a control character.
        let request_id = format!("\u{1}voucher batch {batch}");
        let changes = vec![bulk::unblock(batch)];
        let expires = Some(self.approval_ends());
        let submit = Submit { request_id: &request_id, asked: batch.as_bytes(), changes, money, expires };
        let submitted = self.by(caller, "SubmitBulk", reason).submit_bulk(submit);
        Ok(self.durable(submitted).await?.map_or(0, |(id, _)| id))
    }

    /// A batch that is worth more than the limits is only unblocked by a bulk change: else whoever made it could do that.
    fn may_unblock(&self, batch: &str) -> Result<(), Status> {
        let status = self.store.voucher_batches().into_iter().find(|status| *status.batch.name == *batch);
        let missing = || refused(&Refusal::NotThere(format!("there is no batch `{batch}`")));
        let status = status.ok_or_else(missing)?;
        let (weight, money) = worth(&status.batch.value, status.count);
        if !self.approval.is_needed(weight, money) {
            return Ok(());
        }
        let why = format!(
            "name: unblocking batch `{batch}` needs a second person's approval: submit it as a bulk change \
             (unblock_vouchers), or approve the one that waits"
        );
        Err(Status::failed_precondition(why))
    }

    fn batch(&self, batch: Option<&v1::VoucherBatch>) -> Result<VoucherBatch, Status> {
        let batch = batch.ok_or_else(|| invalid("batch", "is required"))?;
        let catalog = self.store.catalog();
        let value = match &batch.value {
            None => return Err(invalid("batch.value", "is required: money or an allowance")),
            Some(Value::Money(wire)) => {
                let (amount, currency) = money("batch.money", Some(wire))?;
                if currency != catalog.currency() {
                    return Err(invalid("batch.money.currency", format_args!("is not {}", catalog.currency())));
                }
                if !amount.is_positive() {
                    return Err(invalid("batch.money.amount", "must be above zero"));
                }
                VoucherValue::Money(amount)
            }
            Some(Value::Allowance(allowance)) => {
                let known = catalog.allowance(allowance);
                let missing = || not_found("batch.allowance", format_args!("the catalog has no `{allowance}`"));
                VoucherValue::Allowance(known.ok_or_else(missing)?.name.clone())
            }
        };
        let secs = u64::try_from(batch.valid_until).ok().filter(|secs| *secs < VALID_UNTIL_MAX);
        let valid_until = secs.map(Timestamp::from_secs).filter(|until| *until > self.store.clock().now());
        Ok(VoucherBatch {
            name: name("batch.name", &batch.name)?.into(),
            value,
            valid_until: valid_until.ok_or_else(|| invalid("batch.valid_until", "must be in the future"))?,
        })
    }
}

fn code(text: &str) -> Result<VoucherCode, Status> {
    VoucherCode::read(text).map_err(|error| invalid("code", error))
}

/// Codes that nobody can guess: from the system's own source of chance.
fn new_codes(count: u32) -> Result<Vec<VoucherCode>, Status> {
    let random = SystemRandom::new();
    let code = |_| {
        let mut octets = [0; 8];
        random.fill(&mut octets).map_err(|_| Status::internal("the system gives no random numbers"))?;
        Ok(VoucherCode::new(u64::from_be_bytes(octets)))
    };
    (0..count).map(code).collect()
}

fn value_of(value: &VoucherValue, currency: Currency) -> Value {
    match value {
        VoucherValue::Money(amount) => Value::Money(money_of(*amount, currency)),
        VoucherValue::Allowance(name) => Value::Allowance(name.to_string()),
    }
}

fn batch_of(batch: &VoucherBatch, currency: Currency) -> v1::VoucherBatch {
    v1::VoucherBatch {
        name: batch.name.to_string(),
        value: Some(value_of(&batch.value, currency)),
        valid_until: i64::try_from(batch.valid_until.secs()).unwrap_or(i64::MAX),
    }
}
