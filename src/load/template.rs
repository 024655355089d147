//! Encoded requests whose varying octets are patched: what a send costs is a copy and a few stores.

use crate::{
    diameter::{
        Avps, CreditControlRequest,
        credit_control::{MultipleServices, RequestType, ServiceUnits, SubscriptionId, UsedUnits},
        dictionary::{key, subscription_id_type, termination_cause},
        frame::HEADER_LEN,
    },
    time::Timestamp,
    units::Units,
};

use super::plan::Plan;

/// Digits of a session's number in its Session-Id: as many as a `u32` needs.
pub(super) const SESSION_DIGITS: usize = 10;

/// One kind of request of one connection.
#[derive(Debug)]
pub(super) struct Template {
    octets: Vec<u8>,
    session: usize,
    number: usize,
    time: usize,
    msisdn: usize,
    msisdn_len: usize,
    /// Absent in an initial request.
    used: Option<usize>,
}

/// The octets that vary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Varying<'a> {
    pub(super) hop_by_hop: u32,
    pub(super) end_to_end: u32,
    pub(super) session: &'a [u8; SESSION_DIGITS],
    pub(super) number: u32,
    pub(super) time: u32,
    pub(super) msisdn: &'a [u8],
    pub(super) used: u64,
}

impl Template {
    pub(super) fn new(plan: &Plan, kind: RequestType) -> Self {
        let session_id = format!("{}{:0SESSION_DIGITS$}{}", plan.session_prefix, 0, plan.session_suffix);
        let msisdn = plan.first_msisdn.to_string();
        let mut ccr = CreditControlRequest::new(session_id.as_bytes(), &plan.identity, &plan.destination_realm, kind);
        ccr.service_context_id = &plan.service_context;
        ccr.event_timestamp = Some(Timestamp::EPOCH);
        ccr.subscription_ids.push(SubscriptionId { kind: subscription_id_type::E164, data: &msisdn });
        let requested = plan.requested.map(|octets| ServiceUnits::of(Units::octets(octets))).unwrap_or_default();
        let used = UsedUnits { units: ServiceUnits::of(Units::octets(plan.used)), ..Default::default() };
        ccr.services.push(MultipleServices {
            rating_group: Some(plan.rating_group),
            requested: (kind != RequestType::Termination).then_some(requested),
            used: (kind != RequestType::Initial).then_some(used),
            ..Default::default()
        });
        if kind == RequestType::Termination {
            ccr.termination_cause = Some(termination_cause::LOGOUT);
        }
        let mut octets = Vec::new();
        ccr.encode(&mut octets);
        // The encoder has just written each of these AVPs; an offset of 0 would only spoil this generator's requests.
        let at = |path: &[u64]| place(&octets, path).unwrap_or(0);
        Self {
            session: at(&[key::SESSION_ID]) + plan.session_prefix.len(),
            number: at(&[key::CC_REQUEST_NUMBER]),
            time: at(&[key::EVENT_TIMESTAMP]),
            msisdn: at(&[key::SUBSCRIPTION_ID, key::SUBSCRIPTION_ID_DATA]),
            msisdn_len: msisdn.len(),
            used: place(
                &octets,
                &[key::MULTIPLE_SERVICES_CREDIT_CONTROL, key::USED_SERVICE_UNIT, key::CC_TOTAL_OCTETS],
            ),
            octets,
        }
    }

    /// Appends a request.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>, varying: &Varying<'_>) {
        let start = out.len();
        out.extend_from_slice(&self.octets);
        let Some(message) = out.get_mut(start..) else { return };
        put(message, 12, &varying.hop_by_hop.to_be_bytes());
        put(message, 16, &varying.end_to_end.to_be_bytes());
        put(message, self.session, varying.session);
        put(message, self.number, &varying.number.to_be_bytes());
        put(message, self.time, &varying.time.to_be_bytes());
        if varying.msisdn.len() == self.msisdn_len {
            put(message, self.msisdn, varying.msisdn);
        }
        if let Some(used) = self.used {
            put(message, used, &varying.used.to_be_bytes());
        }
    }
}

#[inline]
fn put(message: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = message.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

/// Where the data of an AVP begins, given the keys of the groups around it and its own.
fn place(message: &[u8], path: &[u64]) -> Option<usize> {
    let mut octets = message.get(HEADER_LEN..)?;
    for key in path {
        octets = Avps::new(octets).flatten().find(|avp| avp.key() == *key)?.data;
    }
    Some(octets.as_ptr() as usize - message.as_ptr() as usize)
}
