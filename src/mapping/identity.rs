//! Who is meant: Subscription-Id and its substitutes as identities (spec C-160..C-165).

use crate::{
    diameter::{CreditControlRequest, credit_control::SubscriptionId},
    ids::{Identity, IdentityKind},
};

/// The identities that a request names, in the order in which they are looked up (spec C-162): E.164, IMSI, SIP URI, NAI,
/// private. What is not an identity of its kind is passed over.
pub(super) fn identities(request: &CreditControlRequest<'_>) -> Vec<Identity> {
    let mut found = Vec::with_capacity(request.subscription_ids.len());
    found.extend(known(&request.subscription_ids));
    if found.is_empty()
        && let Some(name) = request.user_name
    {
        found.extend(from_user_name(name));
    }
    found.sort_by_key(|identity| identity.kind().subscription_id_type());
    found
}

/// The identities that these are, in the order in which they are looked up.
pub(super) fn of(ids: &[SubscriptionId<'_>]) -> Vec<Identity> {
    let mut found: Vec<_> = known(ids).collect();
    found.sort_by_key(|identity| identity.kind().subscription_id_type());
    found
}

/// Those of a known type; others are passed over (spec C-165).
fn known(ids: &[SubscriptionId<'_>]) -> impl Iterator<Item = Identity> {
    ids.iter().filter_map(|id| identity(IdentityKind::from_subscription_id_type(id.kind)?, id.data))
}

fn identity(kind: IdentityKind, text: &str) -> Option<Identity> {
    if kind == IdentityKind::SipUri
        && let Some(number) = telephone_number(text)
    {
        return Some(number);
    }
    Identity::new(kind, text).ok()
}

/// `tel:+49-170-1234` is the E.164 number 491701234 (spec C-163).
fn telephone_number(uri: &str) -> Option<Identity> {
    let number = uri.strip_prefix("tel:")?;
    let number = number.split(';').next().unwrap_or(number);
    let digits: String = number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    Identity::new(IdentityKind::E164, digits.strip_prefix('+')?).ok()
}

/// The last resort: a name as such, or a number that someone put there.
fn from_user_name(name: &str) -> Vec<Identity> {
    let number = name.split('@').next().unwrap_or(name);
    [(IdentityKind::E164, number), (IdentityKind::Imsi, number), (IdentityKind::Nai, name)]
        .into_iter()
        .filter_map(|(kind, text)| Identity::new(kind, text).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: C-163
    #[test]
    fn a_telephone_uri_is_a_number() {
        let number = Identity::new(IdentityKind::E164, "491701234").unwrap();
        assert_eq!(identity(IdentityKind::SipUri, "tel:+49-170-1234;phone-context=x"), Some(number));
        let uri = identity(IdentityKind::SipUri, "sip:alice@example.com").unwrap();
        assert_eq!(uri.kind(), IdentityKind::SipUri);
    }

    #[test]
    fn what_is_no_identity_of_its_kind_is_passed_over() {
        assert_eq!(identity(IdentityKind::Imsi, "not digits"), None);
        assert_eq!(from_user_name("alice@example.com").len(), 1);
        assert_eq!(from_user_name("491701234@apn").len(), 3);
    }
}
