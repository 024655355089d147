//! Reading a credit-control request: one pass, in place (spec section 4 of diameter-base).

use crate::{
    diameter::{
        avp::{Avp, AvpError, Avps},
        dictionary::{self as d, key, requested_action, subscription_id_type},
        error::{RequestError, ResultCode},
        frame::{Frame, Header},
        limits::{Bound, Limits},
    },
    time::Timestamp,
};

use super::{
    equipment::{AocRequestType, ServiceParameter, UserEquipment},
    group::Place,
    problems::{Check, Problems, Strictness, too_many},
    request::{CreditControlRequest, RequestType, SubscriptionId},
    service_information::ServiceInformation,
    services::MultipleServices,
    units::{ServiceUnits, UsedUnits},
};

/// The longest Session-Id (spec B-102): it is kept with the session, and real ones have some 120 octets.
pub(super) const SESSION_ID_MAX: usize = 1024;

impl<'a> CreditControlRequest<'a> {
    /// Reads a CCR and checks it. Routing (spec B-64) and everything about accounts is left to the caller.
    ///
    /// # Errors
    /// What the answer must say; the first problem in the order of the checks (spec B-71).
    pub fn parse(frame: &'a Frame, strictness: Strictness) -> Result<Self, RequestError> {
        Self::parse_within(frame, strictness, &Limits::default())
    }

    /// Like [`parse`](Self::parse) within other bounds than the default ones.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_within(frame: &'a Frame, strictness: Strictness, limits: &Limits) -> Result<Self, RequestError> {
        let header = frame.header();
        if header.flags.is_error() || !header.flags.is_request() {
            return Err(RequestError::new(ResultCode::INVALID_HDR_BITS, "a request has R set and E clear"));
        }
        let mut problems = Problems::new(strictness, limits);
        let mut draft = Draft::default();
        problems.each(Avps::new(frame.body()), &mut |avp, problems| draft.take(avp, problems));
        draft.check(&header, frame.body(), &mut problems);
        problems.verdict()?;
        draft.finish(&header, frame.body())
    }
}

/// A request of which not everything has been seen yet.
#[derive(Default)]
struct Draft<'a> {
    session_id: Option<&'a [u8]>,
    origin_host: Option<&'a str>,
    origin_realm: Option<&'a str>,
    destination_realm: Option<&'a str>,
    destination_host: Option<&'a str>,
    application: Option<Avp<'a>>,
    vendor_application: Option<Avp<'a>>,
    service_context_id: Option<&'a str>,
    request_type: Option<RequestType>,
    request_number: Option<u32>,
    requested_action: Option<Avp<'a>>,
    event_timestamp: Option<Timestamp>,
    origin_state_id: Option<u32>,
    subscription_ids: Vec<SubscriptionId<'a>>,
    /// The first identity of a type that is not known.
    odd_identity: Option<AvpError>,
    user_name: Option<&'a str>,
    service_identifier: Option<u32>,
    requested: Option<ServiceUnits>,
    used: Vec<UsedUnits>,
    multiple_services_indicator: Option<u32>,
    services: Vec<MultipleServices<'a>>,
    termination_cause: Option<u32>,
    sub_session_id: Option<u64>,
    correlation_id: Option<&'a [u8]>,
    acct_multi_session_id: Option<&'a str>,
    user_equipment: Option<UserEquipment<'a>>,
    service_parameters: Vec<ServiceParameter<'a>>,
    aoc_request: Option<AocRequestType>,
    supported_features: Option<&'a [u8]>,
    service_information: Option<Avp<'a>>,
}

impl<'a> Draft<'a> {
    #[inline]
    fn take(&mut self, avp: &Avp<'a>, problems: &mut Problems) {
        match avp.key() {
            key::SESSION_ID => problems.once(&mut self.session_id, avp, session_id),
            key::ORIGIN_HOST => problems.once(&mut self.origin_host, avp, Avp::utf8),
            key::ORIGIN_REALM => problems.once(&mut self.origin_realm, avp, Avp::utf8),
            key::DESTINATION_REALM => problems.once(&mut self.destination_realm, avp, Avp::utf8),
            key::DESTINATION_HOST => problems.once(&mut self.destination_host, avp, Avp::utf8),
            key::AUTH_APPLICATION_ID => problems.once(&mut self.application, avp, number),
            key::SERVICE_CONTEXT_ID => problems.once(&mut self.service_context_id, avp, Avp::utf8),
            key::CC_REQUEST_TYPE => problems.once(&mut self.request_type, avp, request_type),
            key::CC_REQUEST_NUMBER => problems.once(&mut self.request_number, avp, Avp::u32),
            key::EVENT_TIMESTAMP => problems.once(&mut self.event_timestamp, avp, Avp::time),
            key::ORIGIN_STATE_ID => problems.once(&mut self.origin_state_id, avp, Avp::u32),
            key::SUBSCRIPTION_ID => self.subscription_id(avp, problems),
            key::MULTIPLE_SERVICES_INDICATOR => {
                problems.once(&mut self.multiple_services_indicator, avp, Avp::u32);
            }
            key::MULTIPLE_SERVICES_CREDIT_CONTROL => self.service(avp, problems),
            key::SERVICE_INFORMATION => {
                problems.skip(avp);
                problems.once(&mut self.service_information, avp, |avp| Ok(*avp));
            }
            key::TERMINATION_CAUSE => problems.once(&mut self.termination_cause, avp, Avp::u32),
            key::REQUESTED_ACTION => problems.once(&mut self.requested_action, avp, number),
            key::USER_NAME => problems.once(&mut self.user_name, avp, Avp::utf8),
            _ => self.take_rare(avp, problems),
        }
    }

    fn take_rare(&mut self, avp: &Avp<'a>, problems: &mut Problems) {
        match avp.key() {
            key::SUBSCRIPTION_ID_EXTENSION => self.subscription_id_extension(avp, problems),
            key::SERVICE_IDENTIFIER => problems.once(&mut self.service_identifier, avp, Avp::u32),
            key::REQUESTED_SERVICE_UNIT => {
                let units = ServiceUnits::read(avp, problems);
                problems.once(&mut self.requested, avp, |_| Ok(units));
            }
            key::USED_SERVICE_UNIT => self.used.push(UsedUnits::read(avp, problems)),
            key::CC_SUB_SESSION_ID => problems.once(&mut self.sub_session_id, avp, Avp::u64),
            key::CC_CORRELATION_ID => problems.once(&mut self.correlation_id, avp, |avp| Ok(avp.data)),
            key::USER_EQUIPMENT_INFO => {
                problems.skip(avp);
                self.user_equipment = self.user_equipment.or_else(|| UserEquipment::parse(avp.data));
            }
            key::AOC_REQUEST_TYPE => problems.once(&mut self.aoc_request, avp, aoc_request_type),
            key::ACCT_MULTI_SESSION_ID => problems.once(&mut self.acct_multi_session_id, avp, Avp::utf8),
            key::USER_EQUIPMENT_INFO_EXTENSION => {
                problems.skip(avp);
                self.user_equipment = self.user_equipment.or_else(|| UserEquipment::parse_extension(avp.data));
            }
            key::SERVICE_PARAMETER_INFO => {
                problems.skip(avp);
                self.service_parameters.accept(avp);
            }
            key::OC_SUPPORTED_FEATURES => {
                problems.skip(avp);
                problems.once(&mut self.supported_features, avp, |avp| Ok(avp.data));
            }
            key::VENDOR_SPECIFIC_APPLICATION_ID => {
                problems.members(avp, |avp, problems| match avp.key() {
                    key::AUTH_APPLICATION_ID => problems.once(&mut self.vendor_application, avp, number),
                    _ => problems.skip(avp),
                });
            }
            _ => problems.skip(avp),
        }
    }

    #[inline]
    fn service(&mut self, avp: &Avp<'a>, problems: &mut Problems) {
        if self.services.len() >= problems.services_max() {
            problems.note(Check::Occurrence, RequestError::from(too_many(avp)).at_bound(Bound::Services));
            return;
        }
        if self.services.is_empty() {
            // Most requests have one, and room for four would be more than a kilobyte.
            self.services = Vec::with_capacity(1);
        }
        self.services.push(MultipleServices::read(avp, problems));
    }

    fn subscription_id(&mut self, group: &Avp<'a>, problems: &mut Problems) {
        let (mut kind, mut data) = (None, None);
        problems.members(group, |avp, problems| match avp.key() {
            key::SUBSCRIPTION_ID_TYPE => problems.once(&mut kind, avp, number),
            key::SUBSCRIPTION_ID_DATA => problems.once(&mut data, avp, Avp::utf8),
            _ => problems.skip(avp),
        });
        match (kind.map(|avp| (avp, avp.u32())), data) {
            (Some((avp, Ok(kind))), _) if kind > subscription_id_type::PRIVATE => {
                let error = || avp.bad_value("is not known").inside(&d::SUBSCRIPTION_ID);
                self.odd_identity.get_or_insert_with(error);
            }
            (Some((_, Ok(kind))), Some(data)) => {
                if self.subscription_ids.is_empty() {
                    // MSISDN and IMSI, mostly.
                    self.subscription_ids = Vec::with_capacity(2);
                }
                self.subscription_ids.push(SubscriptionId { kind, data });
            }
            _ => incomplete_subscription_id(group, problems),
        }
    }

    /// One identity in a group of its own type (RFC 8506 8.58, spec C-161).
    fn subscription_id_extension(&mut self, group: &Avp<'a>, problems: &mut Problems) {
        problems.members(group, |avp, problems| {
            let kind = match avp.key() {
                key::SUBSCRIPTION_ID_E164 => subscription_id_type::E164,
                key::SUBSCRIPTION_ID_IMSI => subscription_id_type::IMSI,
                key::SUBSCRIPTION_ID_SIP_URI => subscription_id_type::SIP_URI,
                key::SUBSCRIPTION_ID_NAI => subscription_id_type::NAI,
                key::SUBSCRIPTION_ID_PRIVATE => subscription_id_type::PRIVATE,
                _ => return problems.skip(avp),
            };
            let mut data = None;
            problems.once(&mut data, avp, Avp::utf8);
            self.subscription_ids.extend(data.map(|data| SubscriptionId { kind, data }));
        });
    }

    /// The checks that look at several AVPs.
    #[inline]
    fn check(&mut self, header: &Header, body: &'a [u8], problems: &mut Problems) {
        self.application = self.application.or(self.vendor_application);
        if self.destination_realm.is_none() && self.destination_host.is_some() {
            let error = RequestError::new(ResultCode::UNABLE_TO_DELIVER, "Destination-Host without Destination-Realm");
            // Present and unreadable is another matter.
            if !Avps::new(body).map_while(Result::ok).any(|avp| avp.is(&d::DESTINATION_REALM)) {
                problems.note(Check::Routing, error);
            }
        }
        problems.require(self.session_id.as_ref(), &d::SESSION_ID, body);
        problems.require(self.origin_host.as_ref(), &d::ORIGIN_HOST, body);
        problems.require(self.origin_realm.as_ref(), &d::ORIGIN_REALM, body);
        problems.require(self.destination_realm.as_ref(), &d::DESTINATION_REALM, body);
        problems.require(self.application.as_ref(), &d::AUTH_APPLICATION_ID, body);
        problems.require(self.service_context_id.as_ref(), &d::SERVICE_CONTEXT_ID, body);
        problems.require(self.request_type.as_ref(), &d::CC_REQUEST_TYPE, body);
        problems.require(self.request_number.as_ref(), &d::CC_REQUEST_NUMBER, body);
        if let Some(avp) = self.application.filter(|avp| avp.u32() != Ok(header.application)) {
            problems.note(Check::Value, avp.bad_value("differs from the header's application"));
        }
        if self.request_type == Some(RequestType::Event) {
            problems.require(self.requested_action.as_ref(), &d::REQUESTED_ACTION, body);
            let known = |avp: &Avp<'_>| avp.u32().is_ok_and(|action| action <= requested_action::PRICE_ENQUIRY);
            if let Some(avp) = self.requested_action.filter(|avp| !known(avp)) {
                problems.note(Check::Value, avp.bad_value("is not known"));
            }
        }
        if self.subscription_ids.is_empty() {
            self.check_subscription_ids(problems);
        }
    }

    /// No identity at command level: perhaps one inside (spec C-162), or one of an unknown type (spec C-165).
    #[cold]
    fn check_subscription_ids(&mut self, problems: &mut Problems) {
        if let Some(group) = self.service_information {
            // One that is ill-formed is passed over: an update does not need any, and its usage must not be lost.
            let inside = ServiceInformation::new(group.data).subscription_ids();
            self.subscription_ids.extend(inside.filter(|id| id.kind <= subscription_id_type::PRIVATE));
        }
        if self.subscription_ids.is_empty()
            && let Some(error) = self.odd_identity.take()
        {
            problems.note(Check::Value, error);
        }
    }

    #[inline]
    fn finish(self, header: &Header, body: &'a [u8]) -> Result<CreditControlRequest<'a>, RequestError> {
        let complete = || -> Option<CreditControlRequest<'a>> {
            Some(CreditControlRequest {
                retransmitted: header.flags.is_retransmitted(),
                hop_by_hop: header.hop_by_hop,
                end_to_end: header.end_to_end,
                session_id: self.session_id?,
                origin_host: self.origin_host?,
                origin_realm: self.origin_realm?,
                destination_realm: self.destination_realm?,
                destination_host: self.destination_host,
                service_context_id: self.service_context_id?,
                request_type: self.request_type?,
                request_number: self.request_number?,
                requested_action: self.requested_action.and_then(|avp| avp.u32().ok()),
                event_timestamp: self.event_timestamp,
                origin_state_id: self.origin_state_id,
                subscription_ids: self.subscription_ids,
                user_name: self.user_name,
                service_identifier: self.service_identifier,
                requested: self.requested,
                used: self.used,
                multiple_services_indicator: self.multiple_services_indicator == Some(1),
                services: self.services,
                termination_cause: self.termination_cause,
                sub_session_id: self.sub_session_id,
                correlation_id: self.correlation_id,
                acct_multi_session_id: self.acct_multi_session_id,
                user_equipment: self.user_equipment,
                service_parameters: self.service_parameters,
                aoc_request: self.aoc_request,
                supported_features: self.supported_features,
                service_information: self.service_information.map(|avp| avp.data),
                body,
            })
        };
        // `check` has noted every required AVP that is missing, so this is never seen.
        complete().ok_or_else(|| RequestError::new(ResultCode::UNABLE_TO_COMPLY, "incomplete"))
    }
}

/// An AVP that is kept because a later check may have to show it; its size is right.
#[inline]
fn number<'a>(avp: &Avp<'a>) -> Result<Avp<'a>, AvpError> {
    avp.u32().map(|_| *avp)
}

#[inline]
fn session_id<'a>(avp: &Avp<'a>) -> Result<&'a [u8], AvpError> {
    match avp.data.len() {
        1..=SESSION_ID_MAX => Ok(avp.data),
        _ => Err(avp.bad_value("is empty or too long")),
    }
}

#[inline]
fn request_type(avp: &Avp<'_>) -> Result<RequestType, AvpError> {
    RequestType::from_value(avp.u32()?).ok_or_else(|| avp.bad_value("is not 1 to 4"))
}

/// A value that is not known matters only when the client insists (spec B-43).
fn aoc_request_type(avp: &Avp<'_>) -> Result<AocRequestType, AvpError> {
    match AocRequestType::from_value(avp.u32()?) {
        Some(kind) => Ok(kind),
        None if avp.flags.is_mandatory() => Err(avp.bad_value("is not 0 to 3")),
        None => Ok(AocRequestType::NotRequested),
    }
}

/// The missing member of an incomplete identity; an unreadable one is noted already.
#[cold]
fn incomplete_subscription_id(group: &Avp<'_>, problems: &mut Problems) {
    for def in [&d::SUBSCRIPTION_ID_TYPE, &d::SUBSCRIPTION_ID_DATA] {
        if !group.grouped().map_while(Result::ok).any(|avp| avp.is(def)) {
            problems.note(Check::Missing, RequestError::missing(def).inside(&d::SUBSCRIPTION_ID));
        }
    }
}
