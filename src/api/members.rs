//! Members of shared accounts, for `AccountService`.

use std::collections::HashMap;

use tonic::Status;

use super::{
    Api,
    by::Caller,
    convert::{REASON_CHARS_MAX, kind_of, money_in, money_of, name, page_size, text},
    status::invalid,
    v1::{self, member_limit::Limit},
};
use crate::{
    charging::{Account, BucketKind, Manage, ManageCommand, Measure, Member, MemberLimit, MemberNo, PayOrder},
    ids::AccountId,
    rating::Period,
    time::Timestamp,
    units::{Currency, Money, UnitKind},
};

/// Members of one page.
const PAGE_SIZE_MAX: usize = 1_000;
/// Members of a page whose size is not said.
const PAGE_SIZE: usize = 100;

impl Api {
    pub(super) async fn member_set(
        &self,
        caller: &Caller,
        request: &v1::SetMemberRequest,
    ) -> Result<v1::SetMemberResponse, Status> {
        let id = self.resolve("account", request.account.as_ref())?;
        let subscriber = name("subscriber_id", &request.subscriber_id)?;
        let order = match request.order() {
            v1::PayOrder::Unspecified => return Err(invalid("order", "is required")),
            v1::PayOrder::OwnFirst => PayOrder::OwnFirst,
            v1::PayOrder::SharedFirst => PayOrder::SharedFirst,
            v1::PayOrder::OwnOnly => PayOrder::OwnOnly,
            v1::PayOrder::SharedOnly => PayOrder::SharedOnly,
        };
        let currency = self.read_account(id).await?.currency;
        let limits = (0..).zip(&request.limits).map(|(place, one)| limit(&format!("limits[{place}]"), one, currency));
        let what = Manage::SetMember { subscriber, order, limits: limits.collect::<Result<_, _>>()? };
        let command = ordered(id, &request.request_id, &request.reason, what)?;
        let duplicate = self.manage(caller, "SetMember", command).await?;
        let account = self.read_account(id).await?;
        // A repetition may come when the member has gone again.
        let member = self.members_of(&account).await?.into_iter().find(|member| member.subscriber_id == subscriber);
        Ok(v1::SetMemberResponse { member, duplicate })
    }

    pub(super) async fn member_removed(
        &self,
        caller: &Caller,
        request: &v1::RemoveMemberRequest,
    ) -> Result<v1::RemoveMemberResponse, Status> {
        let id = by_id(request.account.as_ref())?;
        let subscriber = name("subscriber_id", &request.subscriber_id)?;
        let what = Manage::RemoveMember { subscriber };
        let command = ordered(id, &request.request_id, &request.reason, what)?;
        let duplicate = self.manage(caller, "RemoveMember", command).await?;
        Ok(v1::RemoveMemberResponse { duplicate })
    }

    pub(super) async fn subscriber_removed(
        &self,
        caller: &Caller,
        request: &v1::RemoveSubscriberRequest,
    ) -> Result<v1::RemoveSubscriberResponse, Status> {
        let id = by_id(request.account.as_ref())?;
        let subscriber = name("subscriber_id", &request.subscriber_id)?;
        let what = Manage::RemoveSubscriber { subscriber };
        let command = ordered(id, &request.request_id, &request.reason, what)?;
        let duplicate = self.manage(caller, "RemoveSubscriber", command).await?;
        Ok(v1::RemoveSubscriberResponse { duplicate })
    }

    pub(super) async fn members(&self, request: &v1::ListMembersRequest) -> Result<v1::ListMembersResponse, Status> {
        let id = self.resolve("account", request.account.as_ref())?;
        let size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
        let after = match request.page_token.as_str() {
            "" => MemberNo::SHARED,
            token => {
                let no = token.parse().ok().filter(|no: &u32| no.to_string() == token);
                MemberNo(no.ok_or_else(|| invalid("page_token", "is not one that was given out"))?)
            }
        };
        let account = self.read_account(id).await?;
        let numbers = account.profile.iter().flat_map(|profile| &profile.members).map(|member| member.no);
        let all = numbers.zip(self.members_of(&account).await?);
        let mut rest: Vec<_> = all.filter(|(no, _)| *no > after).collect();
        let more = rest.len() > size;
        rest.truncate(size);
        let next_page_token = rest.last().filter(|_| more).map_or_else(String::new, |(no, _)| no.0.to_string());
        Ok(v1::ListMembersResponse { members: rest.into_iter().map(|(_, member)| member).collect(), next_page_token })
    }

    /// The members of an account as messages, in the order in which they came.
    pub(super) async fn members_of(&self, account: &Account) -> Result<Vec<v1::Member>, Status> {
        let members = account.profile.as_deref().map_or(&[][..], |profile| &profile.members);
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut sessions: HashMap<MemberNo, u32> = HashMap::new();
        if let Some(running) = self.store.sessions_of(account.id) {
            self.durable(running).await?.iter().for_each(|session| *sessions.entry(session.member).or_default() += 1);
        }
        let now = self.store.now();
        let told = |member: &Member| v1::Member {
            live_sessions: sessions.get(&member.no).copied().unwrap_or(0),
            ..member_of(account, member, now)
        };
        Ok(members.iter().map(told).collect())
    }
}

/// What is to be done with the members of an account, by an id and for a reason that both must be given.
fn ordered<'r>(
    account: AccountId,
    request_id: &'r str,
    reason: &'r str,
    what: Manage<'r>,
) -> Result<ManageCommand<'r>, Status> {
    let (request_id, reason) = (name("request_id", request_id)?, text("reason", reason, REASON_CHARS_MAX)?);
    Ok(ManageCommand { account, request_id, reason, what })
}

fn limit(field: &str, limit: &v1::MemberLimit, currency: Currency) -> Result<MemberLimit, Status> {
    let period = match limit.period() {
        v1::member_limit::Period::Unspecified => return Err(invalid(&format!("{field}.period"), "is required")),
        v1::member_limit::Period::Day => Period::Day,
        v1::member_limit::Period::Week => Period::Week,
        v1::member_limit::Period::Cycle => Period::Cycle,
    };
    if limit.used_kind.is_some() {
        return Err(invalid(&format!("{field}.used_kind"), "is told, and cannot be set"));
    }
    let (measure, amount) = match &limit.limit {
        None => return Err(invalid(&format!("{field}.limit"), "is required")),
        Some(Limit::Money(money)) => {
            (Measure::Money, money_in(&format!("{field}.money"), Some(money), currency)?.micros())
        }
        Some(Limit::Units(units)) => {
            let kind = match units.kind() {
                v1::UnitKind::Unspecified => return Err(invalid(&format!("{field}.units.kind"), "is required")),
                v1::UnitKind::Octets => UnitKind::Octets,
                v1::UnitKind::Seconds => UnitKind::Seconds,
                v1::UnitKind::Events => UnitKind::Events,
            };
            let amount = i64::try_from(units.amount);
            (Measure::Units(kind), amount.map_err(|_| invalid(&format!("{field}.units.amount"), "is out of range"))?)
        }
    };
    Ok(MemberLimit { period, measure, amount })
}

/// An account by its id alone: an identity of the line that leaves would name nobody when the request is repeated, or
/// somebody else.
fn by_id(account: Option<&v1::AccountRef>) -> Result<AccountId, Status> {
    match account.and_then(|account| account.by.as_ref()) {
        Some(v1::account_ref::By::AccountId(id)) if *id > 0 => Ok(AccountId(*id)),
        _ => Err(invalid("account.account_id", "is required: what leaves cannot name the account")),
    }
}

fn member_of(account: &Account, member: &Member, now: Timestamp) -> v1::Member {
    let money = |micros| Some(money_of(Money::from_micros(micros), account.currency));
    let own = || account.buckets.iter().filter(|bucket| bucket.owner == member.no && bucket.is_valid(now));
    let of_money = || own().filter(|bucket| bucket.kind == BucketKind::Money);
    let kinds = [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events];
    let units = kinds.into_iter().filter_map(|kind| {
        let mut of_kind = own().filter(|bucket| bucket.kind == BucketKind::Units(kind)).peekable();
        of_kind.peek()?;
        let amount = of_kind.fold(0u64, |sum, bucket| sum.saturating_add(bucket.amount.max(0).unsigned_abs()));
        Some(v1::Units { kind: kind_of(kind).into(), amount })
    });
    v1::Member {
        subscriber_id: member.subscriber.to_string(),
        number: member.no.0,
        order: match member.order {
            PayOrder::OwnFirst => v1::PayOrder::OwnFirst,
            PayOrder::SharedFirst => v1::PayOrder::SharedFirst,
            PayOrder::OwnOnly => v1::PayOrder::OwnOnly,
            PayOrder::SharedOnly => v1::PayOrder::SharedOnly,
        }
        .into(),
        limits: member.limits.iter().filter_map(|limit| limit_of(account, member, limit, now)).collect(),
        balance: money(of_money().fold(0i64, |sum, bucket| sum.saturating_add(bucket.amount))),
        reserved: money(of_money().fold(0i64, |sum, bucket| sum.saturating_add(bucket.reserved))),
        units: units.collect(),
        live_sessions: 0,
    }
}

/// `None` = a period that the messages do not have; none is ever set through them.
fn limit_of(account: &Account, member: &Member, limit: &MemberLimit, now: Timestamp) -> Option<v1::MemberLimit> {
    use v1::member_limit::{Period as Told, UsedKind};
    let period = match limit.period {
        Period::Day => Told::Day,
        Period::Week => Told::Week,
        Period::Cycle => Told::Cycle,
        Period::Seconds(_) => return None,
    };
    let used = account.profile.as_deref().map_or(0, |profile| profile.taken(member.no, limit, now));
    let (limit, used) = match limit.measure {
        Measure::Money => {
            let money = |micros| money_of(Money::from_micros(micros), account.currency);
            (Limit::Money(money(limit.amount)), UsedKind::UsedMoney(money(used)))
        }
        Measure::Units(kind) => {
            let units = |amount: i64| v1::Units { kind: kind_of(kind).into(), amount: amount.max(0).unsigned_abs() };
            (Limit::Units(units(limit.amount)), UsedKind::UsedUnits(units(used)))
        }
    };
    Some(v1::MemberLimit { period: period.into(), limit: Some(limit), used_kind: Some(used) })
}
