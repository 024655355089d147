//! Messages as JSON: the names of the `.proto` files, numbers as numbers, money and enums as text.

use serde_json::{Value, json};

use super::output::unit_name;
use crate::api::v1::{self, event::Kind};

pub(super) fn money(money: Option<&v1::Money>) -> Value {
    money.map_or(Value::Null, |money| json!({ "amount": money.amount, "currency": money.currency }))
}

pub(super) fn units(units: Option<&v1::Units>) -> Value {
    units.map_or(Value::Null, |units| json!({ "amount": units.amount, "kind": unit_name(units.kind()) }))
}

/// An enum's value without the enum's name: `ACCOUNT_STATE_ACTIVE` is `active`.
pub(super) fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

pub(super) fn state(account: &v1::Account) -> String {
    short(account.state().as_str_name(), "ACCOUNT_STATE_")
}

fn identity(identity: &v1::Identity) -> Value {
    json!({ "kind": short(identity.kind().as_str_name(), "KIND_"), "value": identity.value })
}

pub(super) fn account(account: &v1::Account) -> Value {
    let subscriber = |subscriber: &v1::Subscriber| {
        let identities: Vec<_> = subscriber.identities.iter().map(identity).collect();
        json!({ "subscriber_id": subscriber.subscriber_id, "identities": identities })
    };
    json!({
        "account_id": account.account_id,
        "currency": account.currency,
        "state": state(account),
        "never_stop": account.never_stop,
        "credit_limit": money(account.credit_limit.as_ref()),
        "subscribers": account.subscribers.iter().map(subscriber).collect::<Vec<_>>(),
        "buckets": account.buckets.iter().map(bucket).collect::<Vec<_>>(),
        "balance": money(account.balance.as_ref()),
        "available": money(account.available.as_ref()),
        "reserved": money(account.reserved.as_ref()),
        "live_sessions": account.live_sessions,
        "plan": account.plan,
        "activated_at": account.activated_at,
        "valid_until": account.valid_until,
        "lapsed": account.lapsed,
        "ends_at": account.ends_at,
        "subscriptions": account.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
        "cycle_day": account.cycle_day,
        "cycle": account.cycle.as_ref().map_or(Value::Null, cycle),
    })
}

pub(super) fn subscription(subscription: &v1::Subscription) -> Value {
    json!({
        "subscription": subscription.subscription,
        "product": subscription.product,
        "member": subscription.member,
        "state": short(subscription.state().as_str_name(), "STATE_"),
        "bought_at_ms": subscription.bought_at_ms,
        "starts_at_ms": subscription.starts_at_ms,
        "renews_at_ms": subscription.renews_at_ms,
        "ends_at_ms": subscription.ends_at_ms,
        "trial_until_ms": subscription.trial_until_ms,
        "becomes": subscription.becomes,
    })
}

pub(super) fn cycle(cycle: &v1::Cycle) -> Value {
    json!({
        "starts_at_ms": cycle.starts_at_ms,
        "ends_at_ms": cycle.ends_at_ms,
        "closes_at_ms": cycle.closes_at_ms,
        "opening": money(cycle.opening.as_ref()),
        "fees": money(cycle.fees.as_ref()),
        "credits": money(cycle.credits.as_ref()),
        "usage": money(cycle.usage.as_ref()),
    })
}

pub(super) fn product(product: &v1::Product) -> Value {
    let allowance = |it: &v1::IncludedAllowance| {
        json!({
            "allowance": it.allowance,
            "units": units(it.units.as_ref()),
            "roll_over": it.roll_over,
            "roll_over_periods": it.roll_over_periods,
        })
    };
    json!({
        "name": product.name,
        "setup_fee": money(product.setup_fee.as_ref()),
        "fee": money(product.fee.as_ref()),
        "period": product.period,
        "prorate": product.prorate,
        "allowances": product.allowances.iter().map(allowance).collect::<Vec<_>>(),
        "discounts": product.discounts,
        "limits": product.limits,
        "floor": money(product.floor.as_ref()),
        "trial_seconds": product.trial_seconds,
        "lasts_seconds": product.lasts_seconds,
        "unpaid": product.unpaid,
        "most": product.most,
    })
}

fn bucket(bucket: &v1::Bucket) -> Value {
    use v1::bucket::{Kind, ReservedKind};
    let holds = match &bucket.kind {
        Some(Kind::Money(amount)) => money(Some(amount)),
        Some(Kind::Units(amount)) => units(Some(amount)),
        None => Value::Null,
    };
    let reserved = match &bucket.reserved_kind {
        Some(ReservedKind::ReservedMoney(amount)) => money(Some(amount)),
        Some(ReservedKind::ReservedUnits(amount)) => units(Some(amount)),
        None => Value::Null,
    };
    json!({
        "bucket_id": bucket.bucket_id,
        "name": bucket.name,
        "holds": holds,
        "reserved": reserved,
        "priority": bucket.priority,
        "expires_at": bucket.expires_at,
        "services": bucket.services,
    })
}

pub(super) fn session(session: &v1::Session) -> Value {
    let quota = |quota: &v1::SessionQuota| {
        json!({
            "rating_group": quota.rating_group,
            "service_identifier": quota.service_identifier,
            "service": quota.service,
            "granted": units(quota.granted.as_ref()),
            "used": units(quota.used.as_ref()),
            "charged": money(quota.charged.as_ref()),
            "reserved": money(quota.reserved.as_ref()),
            "final_units": quota.final_units,
        })
    };
    json!({
        "session_id": session.session_id,
        "account_id": session.account_id,
        "service_context_id": session.service_context_id,
        "origin_host": session.origin_host,
        "origin_realm": session.origin_realm,
        "opened_at_ms": session.opened_at_ms,
        "last_request_at_ms": session.last_request_at_ms,
        "expires_at_ms": session.expires_at_ms,
        "last_request_number": session.last_request_number,
        "quotas": session.quotas.iter().map(quota).collect::<Vec<_>>(),
        "reauthorisation_pending": session.reauthorisation_pending,
        "sub_session_id": session.sub_session_id,
        "abort_pending": session.abort_pending,
        "catalog_version": session.catalog_version,
    })
}

pub(super) fn history(entry: &v1::HistoryEntry) -> Value {
    json!({
        "at_ms": entry.at_ms,
        "kind": short(entry.kind().as_str_name(), "KIND_"),
        "amount": money(entry.amount.as_ref()),
        "units": units(entry.units.as_ref()),
        "units_from_allowance": entry.units_from_allowance,
        "service": entry.service,
        "rating_group": entry.rating_group,
        "session_id": entry.session_id,
        "open": entry.open,
        "explanation": entry.explanation,
        "request_id": entry.request_id,
        "reason": entry.reason,
        "catalog_version": entry.catalog_version,
    })
}

pub(super) fn event(event: &v1::Event) -> Value {
    let mut value = json!({
        "cursor": event.cursor,
        "at_ms": event.at_ms,
        "account_id": event.account_id,
        "identities": event.identities.iter().map(identity).collect::<Vec<_>>(),
        "balance": money(event.balance.as_ref()),
        "kind": kind(event),
    });
    match &event.kind {
        Some(Kind::TopUp(top_up)) => {
            value["amount"] = money(top_up.amount.as_ref());
            value["request_id"] = top_up.request_id.as_str().into();
        }
        Some(Kind::Threshold(threshold)) => {
            value["threshold"] = threshold.name.as_str().into();
            value["bucket_id"] = threshold.bucket_id.into();
        }
        Some(Kind::Overdraft(overdraft)) => value["excess"] = money(overdraft.excess.as_ref()),
        Some(Kind::Limit(limit)) => {
            value["limit"] = limit.name.as_str().into();
            value["percent"] = limit.percent.into();
            value["member"] = limit.member.into();
            value["step"] = step(limit.step().as_str_name()).into();
        }
        Some(Kind::Product(product)) => {
            value["product"] = product.product.as_str().into();
            value["subscription"] = product.subscription.into();
            value["step"] = step(product.step().as_str_name()).into();
        }
        Some(Kind::Life(life)) => {
            value["step"] = step(life.step().as_str_name()).into();
            value["until_ms"] = life.until_ms.into();
        }
        Some(Kind::CycleClosed(cycle)) => {
            value["starts_ms"] = cycle.starts_ms.into();
            value["ends_ms"] = cycle.ends_ms.into();
            value["usage"] = money(cycle.usage.as_ref());
            value["fees"] = money(cycle.fees.as_ref());
        }
        Some(Kind::CreditStop(_) | Kind::Reconnect(_)) | None => {}
    }
    value
}

/// The word for a step of something, such as `renewed`.
pub(super) fn step(name: &str) -> String {
    short(name, "STEP_")
}

/// The name of an event's kind.
pub(super) fn kind(event: &v1::Event) -> &'static str {
    match &event.kind {
        Some(Kind::TopUp(_)) => "top_up",
        Some(Kind::CreditStop(_)) => "credit_stop",
        Some(Kind::Reconnect(_)) => "reconnect",
        Some(Kind::Threshold(_)) => "threshold",
        Some(Kind::Overdraft(_)) => "overdraft",
        Some(Kind::Limit(_)) => "limit",
        Some(Kind::Product(_)) => "product",
        Some(Kind::Life(_)) => "life",
        Some(Kind::CycleClosed(_)) => "cycle_closed",
        None => "unknown",
    }
}
