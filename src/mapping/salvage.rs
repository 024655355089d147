//! Usage in a CCR that is refused: what can be read of it is recorded, for it has happened (spec C-90).

use super::{identity, keys};
use crate::{
    charging::{Command, Interrogation, RequestKind, ServiceRequest, Used},
    diameter::{
        Avp, Avps, Frame,
        credit_control::{RequestType, SubscriptionId},
        dictionary::key,
    },
    ids::{AccountId, Identity, SessionKey},
};

/// A report of usage, as far as it could be read.
#[derive(Debug)]
pub struct Salvage<'a> {
    /// Whom it names.
    pub identities: Vec<Identity>,
    /// The key of its session.
    pub key: SessionKey,
    /// Update or termination.
    pub kind: RequestKind,
    /// CC-Request-Number, 0 if that is what is wrong.
    pub number: u32,
    report: Interrogation<'a>,
}

impl<'a> Salvage<'a> {
    /// The command that records it.
    pub fn into_command(self, account: Option<AccountId>) -> Command<'a> {
        Command::RecordUsage(Interrogation { account, ..self.report })
    }
}

/// What a CCR reports, if it reports anything and names a session. Whatever is broken is passed over.
pub fn salvage(frame: &Frame) -> Option<Salvage<'_>> {
    let (mut session_id, mut sub_session, mut kind, mut number) = (None, 0, None, None);
    let mut report = Interrogation::default();
    let mut subscription_ids = Vec::new();
    let mut alone = ServiceRequest::default();
    for avp in readable(frame.body()) {
        match avp.key() {
            key::SESSION_ID => session_id = Some(avp.data),
            key::CC_SUB_SESSION_ID => sub_session = avp.u64().unwrap_or(0),
            key::CC_REQUEST_TYPE => kind = avp.u32().ok(),
            key::CC_REQUEST_NUMBER => number = number.or(avp.u32().ok()),
            key::SERVICE_CONTEXT_ID => report.context_name = avp.utf8().unwrap_or(""),
            key::SUBSCRIPTION_ID => subscription_ids.extend(subscription(&avp)),
            key::SERVICE_IDENTIFIER => alone.key.service_identifier = avp.u32().ok(),
            key::USED_SERVICE_UNIT => alone.used = Some(alone.used.unwrap_or_default().plus(used(&avp))),
            key::MULTIPLE_SERVICES_CREDIT_CONTROL => report.services.push(service(&avp)),
            _ => {}
        }
    }
    let number = number.unwrap_or(0);
    let kind = match RequestType::from_value(kind?)? {
        RequestType::Update => RequestKind::Update,
        RequestType::Termination => RequestKind::Termination,
        RequestType::Initial | RequestType::Event => return None,
    };
    if report.services.is_empty() {
        report.services.push(alone);
    }
    if report.services.iter().all(|service| service.used.is_none_or(|used| used.is_zero())) {
        return None;
    }
    let session_id = session_id?;
    let key = SessionKey::of_sub_session(session_id, sub_session);
    let report = Interrogation { session_id, sub_session, key, kind, number, ..report };
    Some(Salvage { identities: identity::of(&subscription_ids), key, kind, number, report })
}

/// AVPs up to where the framing breaks.
fn readable(avps: &[u8]) -> impl Iterator<Item = Avp<'_>> {
    Avps::new(avps).map_while(Result::ok)
}

fn subscription<'a>(group: &Avp<'a>) -> Option<SubscriptionId<'a>> {
    let (mut kind, mut data) = (None, None);
    for avp in readable(group.data) {
        match avp.key() {
            key::SUBSCRIPTION_ID_TYPE => kind = avp.u32().ok(),
            key::SUBSCRIPTION_ID_DATA => data = avp.utf8().ok(),
            _ => {}
        }
    }
    Some(SubscriptionId { kind: kind?, data: data? })
}

fn service(group: &Avp<'_>) -> ServiceRequest {
    let reports = readable(group.data).filter(|avp| avp.key() == key::USED_SERVICE_UNIT);
    let used = reports.map(|avp| used(&avp)).reduce(Used::plus);
    ServiceRequest { key: keys::key_of(group), used, ..ServiceRequest::default() }
}

fn used(group: &Avp<'_>) -> Used {
    let (mut used, mut total) = (Used::default(), None);
    for avp in readable(group.data) {
        match avp.key() {
            key::CC_TIME => used.seconds = avp.u32().map_or(0, u64::from),
            key::CC_TOTAL_OCTETS => total = avp.u64().ok(),
            key::CC_INPUT_OCTETS => used.input = used.input.saturating_add(avp.u64().unwrap_or(0)),
            key::CC_OUTPUT_OCTETS => used.output = used.output.saturating_add(avp.u64().unwrap_or(0)),
            key::CC_SERVICE_SPECIFIC_UNITS => used.events = avp.u64().unwrap_or(0),
            _ => {}
        }
    }
    used.octets = total.unwrap_or(used.input.saturating_add(used.output));
    used
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        diameter::{
            CreditControlRequest, Identity,
            credit_control::{MultipleServices, RequestType, ServiceUnits, UsedUnits},
        },
        ids::QuotaKey,
    };

    fn frame(kind: RequestType, change: impl FnOnce(&mut CreditControlRequest<'_>)) -> Frame {
        let origin = Identity { host: "gw.example".into(), realm: "example".into() };
        let mut request = CreditControlRequest::new(b"gw.example;1;1", &origin, "example", kind);
        request.request_number = 7;
        request.subscription_ids = vec![SubscriptionId { kind: 0, data: "8613900000001" }];
        change(&mut request);
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        Frame::from_bytes(Bytes::from(bytes)).unwrap()
    }

    fn reports(request: &mut CreditControlRequest<'_>) {
        let units = ServiceUnits { input_octets: Some(1), output_octets: Some(2), ..ServiceUnits::default() };
        let used = UsedUnits { units, ..UsedUnits::default() };
        request.services =
            vec![MultipleServices { rating_group: Some(10), used: Some(used), ..MultipleServices::default() }];
    }

    // tests: C-90
    #[test]
    fn a_report_is_read_as_far_as_it_can_be() {
        let whole = frame(RequestType::Update, reports);
        let found = salvage(&whole).unwrap();
        assert_eq!((found.kind, found.number, found.identities.len()), (RequestKind::Update, 7, 1));
        let Command::RecordUsage(report) = found.into_command(None) else { unreachable!() };
        assert_eq!(report.session_id, b"gw.example;1;1");
        assert_eq!(report.services[0].used, Some(Used { octets: 3, input: 1, output: 2, ..Used::default() }));
        // Cut anywhere, it is a report or none, and never a panic.
        let body = whole.body();
        for end in 0..body.len() {
            drop(readable(&body[..end]).map(|avp| service(&avp)).collect::<Vec<_>>());
        }
    }

    // tests: C-31, C-90
    #[test]
    fn a_service_is_known_by_all_its_identifiers() {
        let request = frame(RequestType::Update, |request| {
            reports(request);
            request.services[0].service_identifier = Some(7);
            request.services[0].more_service_identifiers = vec![3];
        });
        let Command::RecordUsage(report) = salvage(&request).unwrap().into_command(None) else { unreachable!() };
        assert_eq!(report.services[0].key, QuotaKey::of(Some(10), &[7, 3]));
    }

    // tests: C-90
    #[test]
    fn what_reports_nothing_is_no_report() {
        assert!(salvage(&frame(RequestType::Update, |_| {})).is_none());
        assert!(salvage(&frame(RequestType::Initial, reports)).is_none());
        assert!(salvage(&frame(RequestType::Event, reports)).is_none());
    }
}
