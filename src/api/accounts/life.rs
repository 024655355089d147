//! Plans, validity and terms of credit.

use tonic::{Code, Status};

use super::{
    super::{
        Api,
        by::Caller,
        convert::{REASON_CHARS_MAX, money_in, name, text},
        status::{invalid, not_found, refused},
        v1,
    },
    account_of,
};
use crate::{
    charging::{Extension, Manage, ManageCommand, Refusal},
    ids::AccountId,
    time::Timestamp,
};

/// Request ids of what a creation does after it: no caller's has a control character.
const CREATION_DAY: &str = "\u{1}creation cycle-day";
const CREATION_PLAN: &str = "\u{1}creation plan";

impl Api {
    pub(super) async fn give_plan(&self, caller: &Caller, request: &v1::SetPlanRequest) -> Result<v1::Account, Status> {
        let account = self.resolve("account", request.account.as_ref())?;
        self.check_plan(account, &request.request_id, &request.plan)?;
        let plan = Some(&*request.plan).filter(|plan| !plan.is_empty());
        self.changed(
            (caller, "SetPlan"),
            account,
            &request.reason,
            optional_id(&request.request_id)?,
            Manage::SetPlan(plan),
        )
        .await
    }

    pub(super) async fn limit_credit(
        &self,
        caller: &Caller,
        request: &v1::SetCreditLimitRequest,
    ) -> Result<v1::Account, Status> {
        let account = self.resolve("account", request.account.as_ref())?;
        if request.credit_limit.is_none() {
            return Err(invalid("credit_limit", "is required"));
        }
        let currency = self.read_account(account).await?.currency;
        let limit = money_in("credit_limit", request.credit_limit.as_ref(), currency)?;
        self.changed(
            (caller, "SetCreditLimit"),
            account,
            &request.reason,
            optional_id(&request.request_id)?,
            Manage::SetCreditLimit(limit),
        )
        .await
    }

    pub(super) async fn red_list(
        &self,
        caller: &Caller,
        request: &v1::SetNeverStopRequest,
    ) -> Result<v1::Account, Status> {
        let account = self.resolve("account", request.account.as_ref())?;
        let what = Manage::SetNeverStop(request.never_stop);
        self.changed((caller, "SetNeverStop"), account, &request.reason, optional_id(&request.request_id)?, what).await
    }

    pub(super) async fn extend(
        &self,
        caller: &Caller,
        request: &v1::ExtendValidityRequest,
    ) -> Result<v1::Account, Status> {
        use v1::extend_validity_request::Extension as Asked;
        let account = self.resolve("account", request.account.as_ref())?;
        let extension = match request.extension {
            None => return Err(invalid("extension", "is required: `until` or `by_secs`")),
            Some(Asked::BySecs(0)) => return Err(invalid("by_secs", "must be above 0")),
            Some(Asked::BySecs(secs)) => Extension::By(secs),
            Some(Asked::Until(secs)) => match u64::try_from(secs) {
                Ok(secs) if secs > 0 => Extension::Until(Timestamp::from_secs(secs)),
                _ => return Err(invalid("until", "must be above 0")),
            },
        };
        let request_id = name("request_id", &request.request_id)?;
        self.changed(
            (caller, "ExtendValidity"),
            account,
            &request.reason,
            request_id,
            Manage::ExtendValidity(extension),
        )
        .await
    }

    /// Checks what a new account's life goes by, before it is created.
    pub(super) fn check_terms(&self, request: &v1::CreateAccountRequest) -> Result<(), Status> {
        if request.cycle_day > 28 {
            return Err(invalid("cycle_day", "must be a day from 1 to 28, or 0"));
        }
        self.check_plan(AccountId(request.account_id), CREATION_PLAN, &request.plan)
    }

    /// Gives a new account its plan and its cycle day. A creation that was interrupted before that, and is repeated, does it
    /// then; one with another plan than the account's is refused.
    pub(super) async fn first_terms(
        &self,
        caller: &Caller,
        id: AccountId,
        request: &v1::CreateAccountRequest,
    ) -> Result<(), Status> {
        let reason = "creation";
        let cycle_day = u8::try_from(request.cycle_day).unwrap_or(0);
        // By what the creation said, not by what the account has become since.
        let call = (caller, "CreateAccount");
        let exists = |status: Status| match status.code() {
            Code::FailedPrecondition => refused(&Refusal::AccountExists(id)),
            _ => status,
        };
        // The day first: the products of a plan go by it.
        if cycle_day != 0 {
            let day = Manage::SetCycleDay(cycle_day);
            self.changed(call, id, reason, CREATION_DAY, day).await.map_err(exists)?;
        } else if self.store.remembers_request(id, CREATION_DAY) {
            return Err(refused(&Refusal::AccountExists(id)));
        }
        if !request.plan.is_empty() {
            let plan = Manage::SetPlan(Some(&request.plan));
            self.changed(call, id, reason, CREATION_PLAN, plan).await.map_err(exists)?;
        } else if self.store.remembers_request(id, CREATION_PLAN) {
            return Err(refused(&Refusal::AccountExists(id)));
        }
        Ok(())
    }

    fn check_plan(&self, account: AccountId, request_id: &str, plan: &str) -> Result<(), Status> {
        // A repetition is answered as the first one, whatever the catalog has by now.
        if plan.is_empty()
            || self.store.remembers_request(account, request_id)
            || self.store.catalog().plan(plan).is_some()
        {
            return Ok(());
        }
        let shown: String = plan.chars().take(40).collect();
        Err(not_found("plan", format_args!("the catalog has no plan `{shown}`")))
    }

    /// Does something with an account for a reason, and tells how it is then.
    async fn changed(
        &self,
        (caller, call): (&Caller, &'static str),
        account: AccountId,
        reason: &str,
        request_id: &str,
        what: Manage<'_>,
    ) -> Result<v1::Account, Status> {
        let reason = text("reason", reason, REASON_CHARS_MAX)?;
        self.manage(caller, call, ManageCommand { account, request_id, reason, what }).await?;
        Ok(account_of(&self.read_account(account).await?))
    }
}

/// A request id that may be left out.
fn optional_id(id: &str) -> Result<&str, Status> {
    if id.is_empty() { Ok(id) } else { name("request_id", id) }
}
