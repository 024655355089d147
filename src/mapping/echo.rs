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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        diameter::{CreditControlRequest, Identity, credit_control::RequestType},
        ids::QuotaKey,
    };

    // tests: C-31, G-112
    #[test]
    fn all_service_identifiers_come_back_as_they_were_sent() {
        let asked = |group, identifiers: [u32; 2]| MultipleServices {
            rating_group: Some(group),
            service_identifier: Some(identifiers[0]),
            more_service_identifiers: vec![identifiers[1]],
            ..MultipleServices::default()
        };
        let origin = Identity { host: "gw.example".into(), realm: "example".into() };
        let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", RequestType::Update);
        request.services = vec![asked(1, [3, 4]), asked(1, [9, 7]), asked(2, [7, 9])];
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let frame = Frame::from_bytes(Bytes::from(bytes)).unwrap();
        let reply = |group, further| Reply {
            key: QuotaKey { rating_group: Some(group), service_identifier: Some(7), further },
            ..Reply::default()
        };
        let replies = [reply(1, QuotaKey::digest(&[9])), reply(1, 0), reply(5, QuotaKey::digest(&[9]))];
        let mut services: Vec<_> = replies
            .iter()
            .map(|reply| ServiceAnswer { service_identifier: reply.key.service_identifier, ..Default::default() })
            .collect();
        further_identifiers(&replies, &frame, &mut services);
        let told: Vec<_> =
            services.iter().map(|it| (it.service_identifier, it.more_service_identifiers.clone())).collect();
        assert_eq!(told, [(Some(9), vec![7]), (Some(7), vec![]), (Some(7), vec![])]);
    }
}
