//! Failed-AVP: what of the request is the matter, where it stands (spec B-72, B-73, C-121).

use super::copy_of;
use crate::{
    charging::{Answer, Verdict},
    diameter::{Avp, Avps, Frame, Writer, dictionary as d},
    ids::QuotaKey,
    mapping::keys,
};

/// The content of Failed-AVP, where the result demands one. Of several faults the first is shown (spec B-71).
pub(super) fn failed_avp(answer: &Answer, request: &Frame) -> Option<Vec<u8>> {
    let body = request.body();
    match answer.verdict {
        Verdict::InvalidValue => Some(payer(body)),
        Verdict::OtherContext => Some(copy_of(body, &d::SERVICE_CONTEXT_ID)),
        verdict if verdict.is_unrated() => Some(unrated_as_a_whole(verdict, body)),
        _ => {
            let reply = answer.replies.iter().find(|reply| reply.verdict.is_unrated())?;
            Some(if answer.at_command_level {
                unrated_as_a_whole(reply.verdict, body)
            } else {
                unrated(reply.verdict, reply.key, body)
            })
        }
    }
}

/// What names the subscriber: User-Name does where there is no Subscription-Id (spec C-164).
fn payer(body: &[u8]) -> Vec<u8> {
    let subscription = copy_of(body, &d::SUBSCRIPTION_ID);
    if subscription.is_empty() { copy_of(body, &d::USER_NAME) } else { subscription }
}

/// The units of the request, if they were the matter; otherwise the service context, which is not known or has no price for
/// a request without a key.
fn unrated_as_a_whole(verdict: Verdict, body: &[u8]) -> Vec<u8> {
    let units = the_units(verdict, Avps::new(body));
    units.unwrap_or_else(|| copy_of(body, &d::SERVICE_CONTEXT_ID))
}

/// The units of a service, if they were the matter; otherwise its key, which has no price, or an example of one if the client
/// sent none (spec C-116).
fn unrated(verdict: Verdict, key: QuotaKey, body: &[u8]) -> Vec<u8> {
    let units = keys::services(body)
        .filter(|mscc| keys::key_of(mscc) == key)
        .find_map(|mscc| the_units(verdict, mscc.grouped()));
    let mut out = Vec::new();
    Writer::bare(&mut out).group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, |w| match (units, key) {
        (Some(units), _) => w.raw(&units),
        (None, QuotaKey { rating_group: None, service_identifier: Some(service), .. }) => {
            w.u32(&d::SERVICE_IDENTIFIER, service);
        }
        (None, QuotaKey { rating_group, .. }) => w.u32(&d::RATING_GROUP, rating_group.unwrap_or(0)),
    });
    out
}

/// The units that cannot be rated: money where money was the matter, in what was used first, as that is charged first; what
/// was asked for otherwise. With the group around them, and nothing else in it.
fn the_units(verdict: Verdict, members: Avps<'_>) -> Option<Vec<u8>> {
    let is_money = |avp: &Avp<'_>| avp.is(&d::CC_MONEY);
    let groups: &[_] = match verdict {
        Verdict::MoneyNotRated => &[&d::USED_SERVICE_UNIT, &d::REQUESTED_SERVICE_UNIT],
        Verdict::UnitNotRated => &[&d::REQUESTED_SERVICE_UNIT],
        _ => return None,
    };
    let members: Vec<_> = members.map_while(Result::ok).collect();
    for def in groups {
        for group in members.iter().filter(|avp| avp.is(def)) {
            let mut units = group.grouped().map_while(Result::ok);
            let found = if verdict == Verdict::MoneyNotRated { units.find(is_money) } else { units.next() };
            if let Some(unit) = found {
                let mut out = Vec::new();
                Writer::bare(&mut out).group(def, |w| w.raw(unit.raw));
                return Some(out);
            }
        }
    }
    None
}
