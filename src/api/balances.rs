//! `BalanceService`.

use tonic::{Request, Response, Status};

use super::{
    Api,
    bulk::without_sign,
    by::{Caller, noted},
    convert::{REASON_CHARS_MAX, money, money_of, name, text},
    history,
    status::{answered, invalid, not_found, refused, transfer_failed},
    v1::{self, balance_service_server::BalanceService},
};
use crate::{
    charging::{CreditCommand, CreditKind, Outcome, Refusal},
    ids::BucketId,
    store::{TransferFailed, TransferOrder},
    units::{Currency, Money},
};

#[tonic::async_trait]
impl BalanceService for Api {
    async fn top_up(&self, request: Request<v1::TopUpRequest>) -> Result<Response<v1::TopUpResponse>, Status> {
        answered("TopUp", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let (amount, currency) = money("amount", request.amount.as_ref())?;
            if !amount.is_positive() {
                return Err(invalid("amount.amount", "must be above zero"));
            }
            let request_id = name("request_id", &request.request_id)?;
            let kind = match request.member.as_str() {
                "" => CreditKind::TopUp(amount),
                subscriber => CreditKind::MemberTopUp { subscriber: name("member", subscriber)?, amount },
            };
            let command = CreditCommand { account, kind, currency: Some(currency), request_id };
            let (balance, duplicate) = self.credit_money(&caller, "TopUp", command, currency).await?;
            Ok(v1::TopUpResponse { balance: Some(balance), duplicate })
        })
        .await
    }

    async fn grant_allowance(
        &self,
        request: Request<v1::GrantAllowanceRequest>,
    ) -> Result<Response<v1::GrantAllowanceResponse>, Status> {
        answered("GrantAllowance", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let (allowance, catalog) = (&*request.allowance, self.store.catalog());
            // A repetition is answered as the first one, whatever the catalog has by now.
            if !self.store.remembers_request(account, &request.request_id) {
                Self::allowance(&catalog, "allowance", allowance)?;
            }
            let kind = match request.member.as_str() {
                "" => CreditKind::Allowance(allowance),
                subscriber => CreditKind::MemberAllowance { subscriber: name("member", subscriber)?, allowance },
            };
            let request_id = name("request_id", &request.request_id)?;
            let command = CreditCommand { account, kind, currency: None, request_id };
            let (_, bucket, duplicate) = self.credit(&caller, "GrantAllowance", command).await?;
            Ok(v1::GrantAllowanceResponse { bucket_id: bucket.0, duplicate })
        })
        .await
    }

    async fn adjust(&self, request: Request<v1::AdjustRequest>) -> Result<Response<v1::AdjustResponse>, Status> {
        answered("Adjust", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let (amount, currency) = money("amount", request.amount.as_ref())?;
            if amount == Money::ZERO {
                return Err(invalid("amount.amount", "must not be zero"));
            }
            let request_id = name("request_id", &request.request_id)?;
            let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
            // A repetition is answered as the first one, whatever the limit was then.
            if !self.store.remembers_request(account, request_id) {
                let (what, instead) = ("amount: an adjustment by", "submit it as a bulk change");
                let may = self.check_alone(&caller, what, without_sign(amount), instead);
                let by = self.by(&caller, "Adjust", reason);
                may.map_err(|refusal| noted(&by, &format!("account {account}"), refusal))?;
            }
            let kind = CreditKind::Adjustment(amount, reason);
            let command = CreditCommand { account, kind, currency: Some(currency), request_id };
            let (balance, duplicate) = self.credit_money(&caller, "Adjust", command, currency).await?;
            if !duplicate {
                tracing::info!(account = account.0, %amount, request_id, reason, "balance adjusted");
            }
            Ok(v1::AdjustResponse { balance: Some(balance), duplicate })
        })
        .await
    }

    async fn transfer(&self, request: Request<v1::TransferRequest>) -> Result<Response<v1::TransferResponse>, Status> {
        answered("Transfer", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let from = self.resolve("from", request.from.as_ref())?;
            let to = self.resolve("to", request.to.as_ref())?;
            let (amount, currency) = money("amount", request.amount.as_ref())?;
            let request_id = name("request_id", &request.request_id)?;
            let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
            self.check_journal()?;
            if !self.store.remembers_request(from, request_id) {
                let (what, instead) = ("amount: a transfer of", "adjust both accounts by a bulk change instead");
                let may = self.check_alone(&caller, what, amount, instead);
                let by = self.by(&caller, "Transfer", reason);
                may.map_err(|refusal| noted(&by, &format!("account {from}"), refusal))?;
            }
            let order = TransferOrder { from, to, amount, currency, request_id, reason };
            let sent = self.by(&caller, "Transfer", reason).send_transfer(order);
            let (balance, duplicate) = self.durable(sent).await?.map_err(|failed| transfer_failed(&failed))?;
            let returned = self.store.deliver_transfers(from);
            let returned = self.durable(returned).await?;
            if let Some((_, refusal)) = returned.into_iter().find(|(id, _)| **id == *request_id) {
                return Err(transfer_failed(&TransferFailed::Receiver(refusal)));
            }
            // The background may have delivered it, and have had it come back: then it says so.
            let again = self.store.send_transfer(order);
            self.durable(again).await?.map_err(|failed| transfer_failed(&failed))?;
            Ok(v1::TransferResponse { balance: Some(money_of(balance, currency)), duplicate })
        })
        .await
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Result<Response<v1::ListHistoryResponse>, Status> {
        answered("ListHistory", async {
            let id = self.resolve("account", request.get_ref().account.as_ref())?;
            let lines = self.store.history(id);
            let currency = self.read_account(id).await?.currency;
            let unknown = || not_found("account", format_args!("{id} does not exist"));
            let lines = self.durable(lines.ok_or_else(unknown)?).await?;
            let catalogs = self.store.catalogs();
            let now = self.store.clock().now();
            let entry = |(line, open): &(_, bool)| history::entry(line, *open, currency, (&catalogs, now));
            Ok(v1::ListHistoryResponse { entries: lines.iter().map(entry).collect() })
        })
        .await
    }

    async fn explain_charges(
        &self,
        request: Request<v1::ExplainChargesRequest>,
    ) -> Result<Response<v1::ExplainChargesResponse>, Status> {
        answered("ExplainCharges", self.explained(request.get_ref())).await
    }
}

impl Api {
    /// Executes a credit of money. Returns the balance afterwards, and whether it had been done before.
    async fn credit_money(
        &self,
        caller: &Caller,
        method: &'static str,
        command: CreditCommand<'_>,
        given: Currency,
    ) -> Result<(v1::Money, bool), Status> {
        let account = command.account;
        let (balance, _, repeated) = self.credit(caller, method, command).await?;
        // The core has compared the currency, unless it only repeated an answer.
        if repeated {
            let currency = self.read_account(account).await?.currency;
            if currency != given {
                return Err(refused(&Refusal::WrongCurrency { account: currency, given }));
            }
        }
        Ok((money_of(balance, given), repeated))
    }

    async fn credit(
        &self,
        caller: &Caller,
        method: &'static str,
        command: CreditCommand<'_>,
    ) -> Result<(Money, BucketId, bool), Status> {
        self.check_journal()?;
        let reason = match command.kind {
            CreditKind::Adjustment(_, reason) => reason,
            CreditKind::TopUp(_)
            | CreditKind::Allowance(_)
            | CreditKind::Transfer { .. }
            | CreditKind::Voucher { .. }
            | CreditKind::MemberTopUp { .. }
            | CreditKind::MemberAllowance { .. } => "",
        };
        let done = self.by(caller, method, reason).credit(command);
        let done = self.durable(done).await?.map_err(|refusal| refused(&refusal))?;
        match done.outcome {
            Outcome::Credited { balance, bucket } => Ok((balance, bucket, done.repeated)),
            _ => Err(Status::internal("a credit was answered with something else")),
        }
    }
}
