//! `AccountService`.

mod life;
mod list;

use tonic::{Request, Response, Status};

use super::{
    Api,
    by::{Caller, noted},
    convert::{REASON_CHARS_MAX, currency, identity, identity_of, kind_of, money_in, money_of, name, text},
    products::products_of,
    status::{answered, invalid, not_found, refused, subscriber_refused},
    v1::{self, account_service_server::AccountService},
};
use crate::{
    charging::{Account, AccountSpec, AccountState, Bucket, BucketKind, Command, Subscriber, SubscriberSpec},
    ids::AccountId,
    rating::{Allowance, Catalog},
    time::Timestamp,
    units::Money,
};

/// Identities of one subscriber: an MSISDN, an IMSI, some SIP URIs.
const SUBSCRIBER_IDENTITIES_MAX: usize = 16;
/// Subscribers of one account: a company's lines. Every event of the account carries all their identities.
const ACCOUNT_SUBSCRIBERS_MAX: usize = 1_024;
/// Allowances that an account starts with; as many again may be given later.
const ACCOUNT_ALLOWANCES_MAX: usize = 32;

#[tonic::async_trait]
impl AccountService for Api {
    async fn create_account(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::CreateAccountResponse>, Status> {
        answered("CreateAccount", async {
            let account = self.create(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::CreateAccountResponse { account: Some(account) })
        })
        .await
    }

    async fn create_subscriber(
        &self,
        request: Request<v1::CreateSubscriberRequest>,
    ) -> Result<Response<v1::CreateSubscriberResponse>, Status> {
        answered("CreateSubscriber", async {
            let account = self.add_subscriber(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::CreateSubscriberResponse { account: Some(account) })
        })
        .await
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::GetAccountResponse>, Status> {
        answered("GetAccount", async {
            let id = self.resolve("account", request.get_ref().account.as_ref())?;
            let account = self.shown(id).await?;
            Ok(v1::GetAccountResponse { account: Some(account) })
        })
        .await
    }

    async fn set_account_state(
        &self,
        request: Request<v1::SetAccountStateRequest>,
    ) -> Result<Response<v1::SetAccountStateResponse>, Status> {
        answered("SetAccountState", async {
            let account = self.set_state(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::SetAccountStateResponse { account: Some(account) })
        })
        .await
    }

    async fn set_plan(&self, request: Request<v1::SetPlanRequest>) -> Result<Response<v1::SetPlanResponse>, Status> {
        answered("SetPlan", async {
            let account = self.give_plan(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::SetPlanResponse { account: Some(account) })
        })
        .await
    }

    async fn set_credit_limit(
        &self,
        request: Request<v1::SetCreditLimitRequest>,
    ) -> Result<Response<v1::SetCreditLimitResponse>, Status> {
        answered("SetCreditLimit", async {
            let account = self.limit_credit(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::SetCreditLimitResponse { account: Some(account) })
        })
        .await
    }

    async fn set_never_stop(
        &self,
        request: Request<v1::SetNeverStopRequest>,
    ) -> Result<Response<v1::SetNeverStopResponse>, Status> {
        answered("SetNeverStop", async {
            let account = self.red_list(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::SetNeverStopResponse { account: Some(account) })
        })
        .await
    }

    async fn extend_validity(
        &self,
        request: Request<v1::ExtendValidityRequest>,
    ) -> Result<Response<v1::ExtendValidityResponse>, Status> {
        answered("ExtendValidity", async {
            let account = self.extend(&Caller::of(&request), request.get_ref()).await?;
            Ok(v1::ExtendValidityResponse { account: Some(account) })
        })
        .await
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        answered("ListAccounts", self.page_of_accounts(request.get_ref())).await
    }

    async fn set_member(
        &self,
        request: Request<v1::SetMemberRequest>,
    ) -> Result<Response<v1::SetMemberResponse>, Status> {
        answered("SetMember", self.member_set(&Caller::of(&request), request.get_ref())).await
    }

    async fn remove_member(
        &self,
        request: Request<v1::RemoveMemberRequest>,
    ) -> Result<Response<v1::RemoveMemberResponse>, Status> {
        answered("RemoveMember", self.member_removed(&Caller::of(&request), request.get_ref())).await
    }

    async fn remove_subscriber(
        &self,
        request: Request<v1::RemoveSubscriberRequest>,
    ) -> Result<Response<v1::RemoveSubscriberResponse>, Status> {
        answered("RemoveSubscriber", self.subscriber_removed(&Caller::of(&request), request.get_ref())).await
    }

    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Result<Response<v1::ListMembersResponse>, Status> {
        answered("ListMembers", self.members(request.get_ref())).await
    }
}

impl Api {
    async fn create(&self, caller: &Caller, request: &v1::CreateAccountRequest) -> Result<v1::Account, Status> {
        self.check_journal()?;
        if request.account_id == 0 {
            return Err(invalid("account_id", "must be above 0"));
        }
        let id = AccountId(request.account_id);
        let currency = currency("currency", &request.currency)?;
        let catalog = self.store.catalog();
        if currency != catalog.currency() {
            let prices = catalog.currency();
            return Err(Status::failed_precondition(format!("currency: is {currency}, all prices are in {prices}")));
        }
        if request.allowances.len() > ACCOUNT_ALLOWANCES_MAX {
            return Err(invalid("allowances", format_args!("are more than {ACCOUNT_ALLOWANCES_MAX}")));
        }
        let allowances = (0..)
            .zip(&request.allowances)
            .map(|(index, name)| Self::allowance(&catalog, &format!("allowances[{index}]"), name));
        self.check_terms(request)?;
        let balance = money_in("initial_balance", request.initial_balance.as_ref(), currency)?;
        // A repetition is answered as the first one, whatever the limit was then.
        if !self.store.has_account(id) {
            let instead = "create the account with less, and adjust it by a bulk change";
            let may = self.check_alone(caller, "initial_balance: an opening amount of", balance, instead);
            let by = self.by(caller, "CreateAccount", "");
            may.map_err(|refusal| noted(&by, &format!("account {id}"), refusal))?;
        }
        let spec = AccountSpec {
            id,
            currency,
            balance,
            credit_limit: money_in("credit_limit", request.credit_limit.as_ref(), currency)?,
            never_stop: request.never_stop,
            allowances: allowances.collect::<Result<_, _>>()?,
        };
        let done = self.by(caller, "CreateAccount", "").account_command(id, &Command::CreateAccount(spec));
        self.durable(done).await?.map_err(|refusal| refused(&refusal))?;
        self.first_terms(caller, id, request).await?;
        self.shown(id).await
    }

    async fn add_subscriber(
        &self,
        caller: &Caller,
        request: &v1::CreateSubscriberRequest,
    ) -> Result<v1::Account, Status> {
        self.check_journal()?;
        if request.account_id == 0 {
            return Err(invalid("account_id", "must be above 0"));
        }
        let account = AccountId(request.account_id);
        let subscriber = subscriber(request.subscriber.as_ref())?;
        let known = self.read_account(account).await?;
        // Two additions at once may both pass: the bound is there to keep events small, not to be met to the last.
        if known.subscribers.len() >= ACCOUNT_SUBSCRIBERS_MAX
            && known.subscribers.iter().all(|known| known.id != subscriber.id)
        {
            let why = format!("account {account} has {ACCOUNT_SUBSCRIBERS_MAX} subscribers, more is not possible");
            return Err(Status::failed_precondition(why));
        }
        let done = self.by(caller, "CreateSubscriber", "").create_subscriber(SubscriberSpec { account, subscriber });
        self.durable(done).await?.map_err(|error| subscriber_refused(&error))?;
        self.shown(account).await
    }

    async fn set_state(&self, caller: &Caller, request: &v1::SetAccountStateRequest) -> Result<v1::Account, Status> {
        self.check_journal()?;
        let account = self.resolve("account", request.account.as_ref())?;
        let state = match request.state() {
            v1::AccountState::Active => AccountState::Active,
            v1::AccountState::Suspended => AccountState::Suspended,
            v1::AccountState::Terminated => AccountState::Terminated,
            v1::AccountState::Unspecified | v1::AccountState::Stopped => {
                return Err(invalid("state", "must be ACTIVE, SUSPENDED or TERMINATED"));
            }
        };
        let reason = text("reason", &request.reason, REASON_CHARS_MAX)?;
        let command = Command::SetState { account, state, reason };
        let done = self.by(caller, "SetAccountState", reason).account_command(account, &command);
        let done = self.durable(done).await?.map_err(|refusal| refused(&refusal))?;
        if !done.repeated {
            tracing::info!(account = account.0, ?state, reason, "account state set");
        }
        self.shown(account).await
    }

    /// An account as it is durable, as a message.
    async fn shown(&self, id: AccountId) -> Result<v1::Account, Status> {
        let account = self.read_account(id).await?;
        let members = self.members_of(&account).await?;
        Ok(v1::Account { members, ..account_of(&account) })
    }

    /// An account as it is durable.
    pub(super) async fn read_account(&self, id: AccountId) -> Result<Account, Status> {
        let account =
            self.store.account(id).ok_or_else(|| not_found("account", format_args!("{id} does not exist")))?;
        self.durable(account).await
    }

    /// An allowance of the catalog.
    pub(super) fn allowance<'c>(catalog: &'c Catalog, field: &str, name: &str) -> Result<&'c Allowance, Status> {
        if name.is_empty() {
            return Err(invalid(field, "is required"));
        }
        let unknown = || {
            let shown: String = name.chars().take(40).collect();
            not_found(field, format_args!("the catalog has no allowance `{shown}`"))
        };
        catalog.allowance(name).ok_or_else(unknown)
    }
}

fn subscriber(subscriber: Option<&v1::Subscriber>) -> Result<Subscriber, Status> {
    let subscriber = subscriber.ok_or_else(|| invalid("subscriber", "is required"))?;
    let id = name("subscriber.subscriber_id", &subscriber.subscriber_id)?;
    let field = "subscriber.identities";
    if !(1..=SUBSCRIBER_IDENTITIES_MAX).contains(&subscriber.identities.len()) {
        return Err(invalid(field, format_args!("must be 1 to {SUBSCRIBER_IDENTITIES_MAX}")));
    }
    let identities = (0..).zip(&subscriber.identities).map(|(index, one)| identity(&format!("{field}[{index}]"), one));
    let mut identities = identities.collect::<Result<Vec<_>, _>>()?;
    // One order, so that a repetition in another order is seen as one.
    identities.sort_unstable();
    if identities.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid(field, "has the same identity twice"));
    }
    Ok(Subscriber { id: id.into(), identities: identities.into() })
}

fn account_of(account: &Account) -> v1::Account {
    let money = |amount| Some(money_of(amount, account.currency));
    let moment = |at: Option<Timestamp>| at.map_or(0, |at| i64::try_from(at.secs()).unwrap_or(i64::MAX));
    let life = account.life().cloned().unwrap_or_default();
    let state = match account.state {
        AccountState::Active => v1::AccountState::Active,
        AccountState::Stopped => v1::AccountState::Stopped,
        AccountState::Suspended => v1::AccountState::Suspended,
        AccountState::Terminated => v1::AccountState::Terminated,
    };
    let v1::AccountProducts { subscriptions, cycle_day, cycle, .. } = products_of(account);
    let plan = account.profile.as_deref().and_then(|profile| profile.plan.as_deref());
    v1::Account {
        plan: plan.unwrap_or_default().to_owned(),
        subscriptions,
        cycle_day,
        cycle,
        account_id: account.id.0,
        currency: account.currency.code().to_owned(),
        state: state.into(),
        never_stop: account.never_stop,
        credit_limit: money(account.credit_limit),
        subscribers: account.subscribers.iter().map(subscriber_of).collect(),
        buckets: account.buckets.iter().map(|bucket| bucket_of(bucket, account)).collect(),
        balance: money(account.balance()),
        available: money(account.balance().saturating_sub(account.reserved())),
        reserved: money(account.reserved()),
        live_sessions: u32::try_from(account.sessions.len()).unwrap_or(u32::MAX),
        activated_at: moment(life.activated),
        valid_until: moment(life.valid_until),
        lapsed: life.lapsed,
        ends_at: moment(life.ends),
        members: Vec::new(),
    }
}

fn subscriber_of(subscriber: &Subscriber) -> v1::Subscriber {
    v1::Subscriber {
        subscriber_id: subscriber.id.to_string(),
        identities: subscriber.identities.iter().map(identity_of).collect(),
    }
}

fn bucket_of(bucket: &Bucket, account: &Account) -> v1::Bucket {
    use v1::bucket::{Kind, ReservedKind};
    let currency = account.currency;
    let owner = account.profile.as_deref().and_then(|profile| profile.member(bucket.owner));
    let (kind, reserved) = match bucket.kind {
        BucketKind::Money => {
            let money = |micros| money_of(Money::from_micros(micros), currency);
            (Kind::Money(money(bucket.amount)), ReservedKind::ReservedMoney(money(bucket.reserved)))
        }
        BucketKind::Units(kind) => {
            // Only money is ever below zero.
            let units = |amount: i64| v1::Units { kind: kind_of(kind).into(), amount: amount.max(0).unsigned_abs() };
            (Kind::Units(units(bucket.amount)), ReservedKind::ReservedUnits(units(bucket.reserved)))
        }
    };
    v1::Bucket {
        bucket_id: bucket.id.0,
        kind: Some(kind),
        reserved_kind: Some(reserved),
        priority: bucket.priority,
        expires_at: bucket.expires.map_or(0, |at| i64::try_from(at.secs()).unwrap_or(i64::MAX)),
        services: bucket.services.iter().map(|name| name.to_string()).collect(),
        name: bucket.name.to_string(),
        member: owner.map_or_else(String::new, |owner| owner.subscriber.to_string()),
    }
}
