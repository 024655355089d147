//! IMS calls and events (TS 32.260, TS 32.275): who calls whom, and who pays.

use crate::{
    diameter::{
        Avps, CreditControlRequest,
        credit_control::service_information::{ImsInformation, RoleOfNode},
        dictionary::key,
    },
    rating::{Attributes, Catalog, Role},
};

/// From IMS-Information (spec G-100..G-106). A diverted call is paid by the one who diverts it: the client says FORWARDING
/// and charges that subscriber (spec G-105).
pub(super) fn attributes(request: &CreditControlRequest<'_>, catalog: &Catalog) -> Option<Attributes> {
    Some(of(&request.information().ims()?, catalog))
}

/// Whether it is an emergency, where nothing else is wanted of the group (spec G-104).
pub(super) fn is_emergency(request: &CreditControlRequest<'_>) -> bool {
    let members = Avps::new(request.service_information.unwrap_or_default()).map_while(Result::ok);
    let mut groups = members.filter(|avp| avp.key() == key::IMS_INFORMATION);
    groups.any(|group| {
        let indicator = group.grouped().map_while(Result::ok).find(|avp| avp.key() == key::IMS_EMERGENCY_INDICATOR);
        indicator.is_some_and(|avp| avp.u32() == Ok(1))
    })
}

/// The part that circuit-switched calls have too (spec G-140).
pub(super) fn of(ims: &ImsInformation<'_>, catalog: &Catalog) -> Attributes {
    let role = ims.role.map(|role| match role {
        RoleOfNode::Originating => Role::Originating,
        RoleOfNode::Terminating => Role::Terminating,
        RoleOfNode::Forwarding => Role::Forwarding,
    });
    // To the called party the other one is the caller.
    let other = match role {
        Some(Role::Terminating) => number(&ims.calling.iter().collect::<Vec<_>>()),
        _ => number(&ims.called.iter().collect::<Vec<_>>()),
    };
    Attributes {
        other_party: other.and_then(|number| catalog.international(number)).map(Into::into),
        role,
        emergency: ims.is_emergency(),
        ..Attributes::default()
    }
}

/// The number among the addresses of a party (spec G-103): of the first `tel:` URI, else of the first `sip:` URI that stands
/// for a telephone. A plain number is one too: some clients send no URI.
fn number<'a>(addresses: &[&'a str]) -> Option<&'a str> {
    let addresses = || addresses.iter().copied();
    let tel = addresses().find_map(|address| Some(before(strip(address, "tel:")?, &[';'])));
    let sip = || {
        addresses().find_map(|address| {
            let rest = strip(address, "sip:").or_else(|| strip(address, "sips:"))?;
            let telephone = rest.split(';').skip(1).any(|parameter| parameter.eq_ignore_ascii_case("user=phone"));
            let (user, _) = rest.split_once('@').filter(|_| telephone)?;
            Some(before(user, &[';', ':']))
        })
    };
    let plain = || addresses().find(|address| is_number(address));
    tel.or_else(sip).or_else(plain)
}

fn is_number(address: &str) -> bool {
    let digits = address.strip_prefix('+').unwrap_or(address);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Schemes are compared in any case (RFC 3986 3.1).
fn strip<'a>(address: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = address.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn before<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: G-103
    #[test]
    fn numbers_of_parties() {
        for (addresses, found) in [
            (&["sip:alice@example.org", "tel:+49-170-1;phone-context=x"][..], Some("+49-170-1")),
            (&["TEL:+491701"], Some("+491701")),
            (&["sip:+491701@example.org;user=phone"], Some("+491701")),
            (&["sips:+491701;npdi:x@example.org;transport=tcp;USER=PHONE"], Some("+491701")),
            (&["sip:+491701@example.org"], None),
            (&["sip:491701"], None),
            (&["unknown"], None),
            (&["491701"], Some("491701")),
            (&[], None),
            (&["te", "é"], None),
        ] {
            assert_eq!(number(addresses), found, "{addresses:?}");
        }
    }
}
