//! Keys of quotas in answers are those of the request, whole (spec C-31).

use super::request::identifiers;
use crate::{
    charging::Reply,
    diameter::{
        Avps, Frame,
        credit_control::{MultipleServices, ServiceAnswer},
        dictionary::{self as d, key},
    },
};

/// Lists all Service-Identifiers of a key that has several, in the order of the request: the core knows a digest of them.
pub(super) fn further_identifiers(replies: &[Reply], request: &Frame, services: &mut [ServiceAnswer]) {
    for (reply, service) in replies.iter().zip(services).filter(|(reply, _)| reply.key.further != 0) {
        let groups = Avps::new(request.body()).map_while(Result::ok);
        let mut keys = groups.filter(|avp| avp.is(&d::MULTIPLE_SERVICES_CREDIT_CONTROL)).map(|group| {
            let mut asked = MultipleServices::default();
            for avp in group.grouped().map_while(Result::ok) {
                match (avp.key(), avp.u32()) {
                    (key::RATING_GROUP, Ok(number)) => asked.rating_group = asked.rating_group.or(Some(number)),
                    (key::SERVICE_IDENTIFIER, Ok(number)) if asked.service_identifier.is_none() => {
                        asked.service_identifier = Some(number);
                    }
                    (key::SERVICE_IDENTIFIER, Ok(number)) => asked.more_service_identifiers.push(number),
                    _ => {}
                }
            }
            asked
        });
        let same = |asked: &MultipleServices<'_>| {
            asked.rating_group == reply.key.rating_group
                && identifiers(asked) == (reply.key.service_identifier, reply.key.further)
        };
        if let Some(asked) = keys.find(same) {
            service.service_identifier = asked.service_identifier;
            service.more_service_identifiers = asked.more_service_identifiers;
        }
    }
}
