//! Messages to values and back. Every check of a field names the field.

use tonic::Status;

use super::{
    Api,
    status::{invalid, not_found},
    v1,
};
use crate::{
    ids::{AccountId, Identity, IdentityKind},
    time::Timestamp,
    units::{Currency, Money, UnitKind, Units},
};

/// Characters of names that callers choose: request ids, consumers, subscribers.
pub(super) const NAME_CHARS_MAX: usize = 64;
/// Characters of an operator's reason.
pub(super) const REASON_CHARS_MAX: usize = 256;

/// A text of 1 to `max` printable characters.
pub(super) fn text<'t>(field: &str, text: &'t str, max: usize) -> Result<&'t str, Status> {
    let count = text.chars().take(max + 1).count();
    if count == 0 {
        Err(invalid(field, "is required"))
    } else if count > max {
        Err(invalid(field, format_args!("has more than {max} characters")))
    } else if text.chars().any(char::is_control) {
        Err(invalid(field, "has a control character"))
    } else {
        Ok(text)
    }
}

/// An operator's reason, which may be left out.
pub(super) fn optional_reason(reason: &str) -> Result<&str, Status> {
    if reason.is_empty() { Ok(reason) } else { text("reason", reason, REASON_CHARS_MAX) }
}

/// How many of something one page has: as many as are asked for, or as a page has whose size is not said.
pub(super) fn page_size(asked: u32, default: usize, most: usize) -> Result<usize, Status> {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => Ok(default),
        size if size <= most => Ok(size),
        _ => Err(invalid("page_size", format_args!("must be at most {most}"))),
    }
}

/// A name that the caller chooses.
pub(super) fn name<'t>(field: &str, value: &'t str) -> Result<&'t str, Status> {
    text(field, value, NAME_CHARS_MAX)
}

pub(super) fn currency(field: &str, code: &str) -> Result<Currency, Status> {
    if code.is_empty() {
        return Err(invalid(field, "is required"));
    }
    code.parse().map_err(|error| invalid(field, error))
}

/// An amount with its currency.
pub(super) fn money(field: &str, money: Option<&v1::Money>) -> Result<(Money, Currency), Status> {
    let money = money.ok_or_else(|| invalid(field, "is required"))?;
    let currency = currency(&format!("{field}.currency"), &money.currency)?;
    let amount = money.amount.parse().map_err(|error| invalid(&format!("{field}.amount"), error))?;
    Ok((amount, currency))
}

/// An amount, not below zero, in a currency that is known already; absent = 0.
pub(super) fn money_in(field: &str, value: Option<&v1::Money>, expected: Currency) -> Result<Money, Status> {
    if value.is_none() {
        return Ok(Money::ZERO);
    }
    let (amount, given) = money(field, value)?;
    if given != expected {
        return Err(invalid(&format!("{field}.currency"), format_args!("is {given}, the account is in {expected}")));
    }
    if amount.is_negative() {
        return Err(invalid(&format!("{field}.amount"), "must not be negative"));
    }
    Ok(amount)
}

pub(super) fn money_of(amount: Money, currency: Currency) -> v1::Money {
    v1::Money { currency: currency.code().to_owned(), amount: amount.to_string() }
}

pub(super) fn identity(field: &str, identity: &v1::Identity) -> Result<Identity, Status> {
    use v1::identity::Kind;
    let kind = match identity.kind() {
        Kind::Unspecified => return Err(invalid(&format!("{field}.kind"), "is required")),
        Kind::E164 => IdentityKind::E164,
        Kind::Imsi => IdentityKind::Imsi,
        Kind::SipUri => IdentityKind::SipUri,
        Kind::Nai => IdentityKind::Nai,
        Kind::Private => IdentityKind::Private,
    };
    Identity::new(kind, &identity.value).map_err(|error| invalid(&format!("{field}.value"), error))
}

pub(super) fn identity_of(identity: &Identity) -> v1::Identity {
    use v1::identity::Kind;
    let kind = match identity.kind() {
        IdentityKind::E164 => Kind::E164,
        IdentityKind::Imsi => Kind::Imsi,
        IdentityKind::SipUri => Kind::SipUri,
        IdentityKind::Nai => Kind::Nai,
        IdentityKind::Private => Kind::Private,
    };
    v1::Identity { kind: kind.into(), value: identity.text() }
}

pub(super) const fn kind_of(kind: UnitKind) -> v1::UnitKind {
    match kind {
        UnitKind::Octets => v1::UnitKind::Octets,
        UnitKind::Seconds => v1::UnitKind::Seconds,
        UnitKind::Events => v1::UnitKind::Events,
    }
}

pub(super) fn units_of(units: Units) -> v1::Units {
    v1::Units { kind: kind_of(units.kind).into(), amount: units.amount }
}

/// A moment as the messages have it; none is 292 million years away.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

impl Api {
    /// The account that a reference names. It may be named by id without existing.
    pub(super) fn resolve(&self, field: &str, account: Option<&v1::AccountRef>) -> Result<AccountId, Status> {
        use v1::account_ref::By;
        match account.and_then(|account| account.by.as_ref()) {
            None => Err(invalid(field, "is required: an account id or an identity")),
            Some(By::AccountId(0)) => Err(invalid(&format!("{field}.account_id"), "must be above 0")),
            Some(By::AccountId(id)) => Ok(AccountId(*id)),
            Some(By::Identity(by)) => {
                let field = format!("{field}.identity");
                let identity = identity(&field, by)?;
                let account = self.store.account_of(&identity);
                account.ok_or_else(|| not_found(&field, format_args!("no subscriber has {}", identity.masked())))
            }
        }
    }
}
