//! The credit-control request (RFC 8506 3.1, TS 32.299 6.4.2): what a client asks.

use crate::{
    diameter::{
        avp::Avps,
        base::Identity,
        dictionary::{self as d, application, command, requested_action},
        frame::{Flags, Header},
        writer::Writer,
    },
    time::Timestamp,
};

use super::{
    equipment::{AocRequestType, ServiceParameter, UserEquipment},
    group::Place,
    services::MultipleServices,
    units::{ServiceUnits, UsedUnits, write_group},
};

/// A CCR, borrowed from its frame or made to be written. Fields are named after the AVPs; groups have types of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditControlRequest<'a> {
    /// T of the header (spec B-94): a hint only.
    pub retransmitted: bool,
    /// Hop-by-hop id.
    pub hop_by_hop: u32,
    /// End-to-end id: with Origin-Host and Session-Id it names the request (spec C-140).
    pub end_to_end: u32,
    /// Session-Id, opaque (spec B-100).
    pub session_id: &'a [u8],
    /// Origin-Host: the client, not the relay.
    pub origin_host: &'a str,
    /// Origin-Realm.
    pub origin_realm: &'a str,
    /// Destination-Realm.
    pub destination_realm: &'a str,
    /// Destination-Host.
    pub destination_host: Option<&'a str>,
    /// Service-Context-Id.
    pub service_context_id: &'a str,
    /// CC-Request-Type.
    pub request_type: RequestType,
    /// CC-Request-Number.
    pub request_number: u32,
    /// Requested-Action: present in every EVENT request, to be ignored in others (spec C-95, C-96); see
    /// [`requested_action`].
    pub requested_action: Option<u32>,
    /// Event-Timestamp.
    pub event_timestamp: Option<Timestamp>,
    /// Origin-State-Id.
    pub origin_state_id: Option<u32>,
    /// Subscription-Id and Subscription-Id-Extension of the command; when it has none, those in Service-Information
    /// (spec C-162). User-Name, the last resort, is apart.
    pub subscription_ids: Vec<SubscriptionId<'a>>,
    /// User-Name.
    pub user_name: Option<&'a str>,
    /// Service-Identifier of the command.
    pub service_identifier: Option<u32>,
    /// Requested-Service-Unit of the command.
    pub requested: Option<ServiceUnits>,
    /// Used-Service-Unit of the command.
    pub used: Vec<UsedUnits>,
    /// Multiple-Services-Indicator is 1. A client may say no and send services all the same (spec C-39).
    pub multiple_services_indicator: bool,
    /// Multiple-Services-Credit-Control.
    pub services: Vec<MultipleServices<'a>>,
    /// Termination-Cause.
    pub termination_cause: Option<u32>,
    /// CC-Sub-Session-Id.
    pub sub_session_id: Option<u64>,
    /// CC-Correlation-Id.
    pub correlation_id: Option<&'a [u8]>,
    /// Acct-Multi-Session-Id: ties sessions together, for the record.
    pub acct_multi_session_id: Option<&'a str>,
    /// User-Equipment-Info, or User-Equipment-Info-Extension (spec C-166).
    pub user_equipment: Option<UserEquipment<'a>>,
    /// Service-Parameter-Info.
    pub service_parameters: Vec<ServiceParameter<'a>>,
    /// AoC-Request-Type (3GPP, spec G-85). One SMF sends it in every CCR (spec section 17 of gy-ro-3gpp).
    pub aoc_request: Option<AocRequestType>,
    /// The members of OC-Supported-Features (RFC 7683): the client understands overload reports.
    pub supported_features: Option<&'a [u8]>,
    /// The members of Service-Information, not looked into; their framing is right.
    pub service_information: Option<&'a [u8]>,
    /// All AVPs as received: for what is not a field. Their framing is right. Empty in a request made here.
    pub body: &'a [u8],
}

impl<'a> CreditControlRequest<'a> {
    /// A request to be completed and written. Services, subscriber and units are yet to be set.
    pub fn new(session_id: &'a [u8], origin: &'a Identity, destination_realm: &'a str, kind: RequestType) -> Self {
        Self {
            retransmitted: false,
            hop_by_hop: 0,
            end_to_end: 0,
            session_id,
            origin_host: &origin.host,
            origin_realm: &origin.realm,
            destination_realm,
            destination_host: None,
            service_context_id: "32251@3gpp.org",
            request_type: kind,
            request_number: 0,
            requested_action: (kind == RequestType::Event).then_some(requested_action::DIRECT_DEBITING),
            event_timestamp: None,
            origin_state_id: None,
            subscription_ids: Vec::new(),
            user_name: None,
            service_identifier: None,
            requested: None,
            used: Vec::new(),
            multiple_services_indicator: kind == RequestType::Initial,
            services: Vec::new(),
            termination_cause: None,
            sub_session_id: None,
            correlation_id: None,
            acct_multi_session_id: None,
            user_equipment: None,
            service_parameters: Vec::new(),
            aoc_request: None,
            supported_features: None,
            service_information: None,
            body: &[],
        }
    }

    /// Route-Record: the nodes that it came through (spec B-134).
    pub fn route_records(&self) -> impl Iterator<Item = &'a str> {
        let avps = Avps::new(self.body).map_while(Result::ok);
        avps.filter(|avp| avp.is(&d::ROUTE_RECORD)).filter_map(|avp| avp.utf8().ok())
    }

    /// Whether units are named outside of Multiple-Services-Credit-Control and there is none of that: the answer then
    /// has its grant at command level too (spec C-39, G-20).
    pub fn is_command_level(&self) -> bool {
        self.services.is_empty() && (self.requested.is_some() || !self.used.is_empty())
    }

    /// Writes the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut header = Header::request(
            command::CREDIT_CONTROL,
            application::CREDIT_CONTROL,
            true,
            self.hop_by_hop,
            self.end_to_end,
        );
        if self.retransmitted {
            header.flags.0 |= Flags::RETRANSMITTED;
        }
        let mut w = Writer::start(out, header);
        self.write_head(&mut w);
        self.write_subscriber(&mut w);
        self.write_services(&mut w);
        w.finish();
    }

    fn write_head(&self, w: &mut Writer<'_>) {
        w.octets(&d::SESSION_ID, self.session_id);
        w.utf8(&d::ORIGIN_HOST, self.origin_host);
        w.utf8(&d::ORIGIN_REALM, self.origin_realm);
        w.utf8(&d::DESTINATION_REALM, self.destination_realm);
        if let Some(host) = self.destination_host {
            w.utf8(&d::DESTINATION_HOST, host);
        }
        w.u32(&d::AUTH_APPLICATION_ID, application::CREDIT_CONTROL);
        w.utf8(&d::SERVICE_CONTEXT_ID, self.service_context_id);
        w.u32(&d::CC_REQUEST_TYPE, self.request_type as u32);
        w.u32(&d::CC_REQUEST_NUMBER, self.request_number);
        if let Some(id) = self.sub_session_id {
            w.u64(&d::CC_SUB_SESSION_ID, id);
        }
        if let Some(id) = self.acct_multi_session_id {
            w.utf8(&d::ACCT_MULTI_SESSION_ID, id);
        }
        if let Some(id) = self.origin_state_id {
            w.u32(&d::ORIGIN_STATE_ID, id);
        }
        if let Some(time) = self.event_timestamp {
            w.time(&d::EVENT_TIMESTAMP, time);
        }
    }

    fn write_subscriber(&self, w: &mut Writer<'_>) {
        if let Some(name) = self.user_name {
            w.utf8(&d::USER_NAME, name);
        }
        for id in &self.subscription_ids {
            w.group(&d::SUBSCRIPTION_ID, |w| {
                w.u32(&d::SUBSCRIPTION_ID_TYPE, id.kind);
                w.utf8(&d::SUBSCRIPTION_ID_DATA, id.data);
            });
        }
        if let Some(cause) = self.termination_cause {
            w.u32(&d::TERMINATION_CAUSE, cause);
        }
        if let Some(action) = self.requested_action {
            w.u32(&d::REQUESTED_ACTION, action);
        }
        if let Some(kind) = self.aoc_request {
            w.u32(&d::AOC_REQUEST_TYPE, kind as u32);
        }
    }

    fn write_services(&self, w: &mut Writer<'_>) {
        if let Some(id) = self.service_identifier {
            w.u32(&d::SERVICE_IDENTIFIER, id);
        }
        if let Some(units) = &self.requested {
            write_group(w, &d::REQUESTED_SERVICE_UNIT, units);
        }
        for used in &self.used {
            used.write(w);
        }
        if self.multiple_services_indicator {
            w.u32(&d::MULTIPLE_SERVICES_INDICATOR, 1);
        }
        for service in &self.services {
            service.write(w);
        }
        self.service_parameters.write_all(&d::SERVICE_PARAMETER_INFO, w);
        if let Some(id) = self.correlation_id {
            w.octets(&d::CC_CORRELATION_ID, id);
        }
        if let Some(equipment) = &self.user_equipment {
            equipment.write(w);
        }
        if let Some(members) = self.supported_features {
            w.octets(&d::OC_SUPPORTED_FEATURES, members);
        }
        if let Some(members) = self.service_information {
            w.octets(&d::SERVICE_INFORMATION, members);
        }
    }
}

/// CC-Request-Type (RFC 8506 8.3, spec C-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RequestType {
    /// Opens a session.
    Initial = 1,
    /// Goes on with it.
    Update = 2,
    /// Ends it.
    Termination = 3,
    /// One request, one answer, no session.
    Event = 4,
}

impl RequestType {
    /// From the wire.
    pub const fn from_value(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Initial),
            2 => Some(Self::Update),
            3 => Some(Self::Termination),
            4 => Some(Self::Event),
            _ => None,
        }
    }
}

/// Subscription-Id, or one of the identities of Subscription-Id-Extension (RFC 8506 8.46, 8.58, spec C-160, C-161).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionId<'a> {
    /// Subscription-Id-Type, see [`d::subscription_id_type`].
    pub kind: u32,
    /// Subscription-Id-Data, as received: a number may have a leading `+` (spec C-163).
    pub data: &'a str,
}
