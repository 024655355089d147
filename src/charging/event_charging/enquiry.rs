//! Balance check and price enquiry: they leave no trace (spec C-133).

use std::sync::Arc;

use super::{priced, tariff_of};
use crate::{
    charging::{
        Answer, Decided, EventRequest, Reply, RequestKind, ServiceRequest, Verdict,
        rate::{Rate, Side},
    },
    rating::Catalog,
    time::Timestamp,
    units::Money,
};

/// Makes the answer of a check (`enough` is its result) or an enquiry out of what was found for each service. Lack of credit
/// is a result of a check, not a failure of it (spec C-132). A service without a price is told where it stands, if others
/// have one; if none has, there is nothing to tell, and the request has failed.
pub(super) fn conclude(answer: &mut Answer, enough: Option<bool>) {
    let failed = answer.replies.iter().find(|reply| reply.verdict.is_unrated()).map(|reply| reply.verdict);
    let any = answer.replies.iter().any(|reply| !reply.verdict.is_unrated());
    match failed {
        Some(failed) if !any || answer.at_command_level => {
            answer.verdict = failed;
            answer.replies.clear();
        }
        _ => {
            answer.enough_credit = enough;
            // Units are not granted: only failures have something to say (spec I-2).
            answer.replies.retain(|reply| reply.verdict.is_unrated());
        }
    }
}

/// The price for somebody who is not named: by the price list alone (spec C-162).
pub(super) fn price(catalog: &Catalog, request: &EventRequest<'_>, now: Timestamp) -> Decided {
    let (moment, _) = catalog.moment(request.happened, now);
    let mut answer = Answer {
        at_command_level: request.at_command_level,
        ..Answer::bare(RequestKind::Event, request.number, Verdict::Success)
    };
    if request.context.is_none() {
        answer.verdict = Verdict::RatingFailed;
        return Decided::unchanged(Arc::new(answer));
    }
    let default = [ServiceRequest::default()];
    let services = if request.services.is_empty() { &default[..] } else { &request.services };
    for service in services {
        let cost = tariff_of(catalog, request, service, catalog.currency()).and_then(|(tariff, units)| {
            let rate = Rate::new(tariff, Side::new(priced(tariff, request, moment).price, 0));
            rate.charge(units).map_err(|_| Verdict::RatingFailed)
        });
        let verdict = match cost {
            Ok(cost) => {
                answer.cost = answer.cost.saturating_add(cost);
                Verdict::Success
            }
            Err(verdict) => verdict,
        };
        answer.replies.push(Reply { key: service.key, verdict, ..Reply::default() });
    }
    conclude(&mut answer, None);
    if answer.verdict != Verdict::Success {
        answer.cost = Money::ZERO;
    }
    Decided::unchanged(Arc::new(answer))
}
