//! IMS-Information (TS 32.299 7.2.77, TS 32.260, spec G-102): calls and other SIP services, and the party numbers of
//! circuit-switched calls (spec G-140).

use crate::{diameter::avp::Address, time::Timestamp};

use super::super::group::{Few, enumerated, group};

group! {
    /// IMS-Information, as far as it matters for rating and records.
    pub struct ImsInformation<'a> {
        /// Event-Type: what happened.
        event: Option<ImsEvent<'a>> = EVENT_TYPE,
        /// Role-Of-Node: whose side is charged.
        role: Option<RoleOfNode> = ROLE_OF_NODE,
        /// Node-Functionality: 0 S-CSCF, 1 P-CSCF, 2 I-CSCF, 3 MRFC, 4 MGCF, 5 BGCF, 6 AS, 7 IBCF, 8 S-GW, 9 P-GW ...
        node: Option<u32> = NODE_FUNCTIONALITY,
        /// User-Session-Id: the Call-ID.
        session_id: Option<&'a str> = USER_SESSION_ID,
        /// Outgoing-Session-Id.
        outgoing_session_id: Option<&'a str> = OUTGOING_SESSION_ID,
        /// Session-Priority: 0 is the highest.
        priority: Option<u32> = SESSION_PRIORITY,
        /// Calling-Party-Address: SIP and tel URIs.
        calling: Few<&'a str, 4> = CALLING_PARTY_ADDRESS,
        /// Called-Party-Address: SIP and tel URIs; where the call goes.
        called: Few<&'a str, 4> = CALLED_PARTY_ADDRESS,
        /// Called-Asserted-Identity: who answered.
        asserted: Few<&'a str, 4> = CALLED_ASSERTED_IDENTITY,
        /// Requested-Party-Address: as dialled, when that differs.
        requested: Few<&'a str, 4> = REQUESTED_PARTY_ADDRESS,
        /// Alternate-Charged-Party-Address: who pays instead.
        alternate_charged: Option<&'a str> = ALTERNATE_CHARGED_PARTY_ADDRESS,
        /// Associated-URI.
        associated: Few<&'a str, 4> = ASSOCIATED_URI,
        /// From-Address.
        from: Option<&'a str> = FROM_ADDRESS,
        /// Number-Portability-Routing-Information.
        portability: Option<&'a str> = NUMBER_PORTABILITY_ROUTING_INFORMATION,
        /// Carrier-Select-Routing-Information.
        carrier_select: Option<&'a str> = CARRIER_SELECT_ROUTING_INFORMATION,
        /// Time-Stamps.
        times: Option<ImsTimes> = TIME_STAMPS,
        /// Inter-Operator-Identifier.
        operators: Vec<InterOperator<'a>> = INTER_OPERATOR_IDENTIFIER,
        /// IMS-Charging-Identifier, the ICID: ties what belongs to one call together.
        charging_id: Option<&'a str> = IMS_CHARGING_IDENTIFIER,
        /// Related-IMS-Charging-Identifier.
        related_charging_id: Option<&'a str> = RELATED_IMS_CHARGING_IDENTIFIER,
        /// Application-Server-Information: the members of the first.
        application_server: Option<&'a [u8]> = APPLICATION_SERVER_INFORMATION,
        /// SDP-Media-Component: what the call is made of.
        media: Vec<MediaComponent<'a>> = SDP_MEDIA_COMPONENT,
        /// Served-Party-IP-Address.
        served_address: Option<Address<'a>> = SERVED_PARTY_IP_ADDRESS,
        /// Trunk-Group-Id.
        trunk: Option<TrunkGroup<'a>> = TRUNK_GROUP_ID,
        /// Service-Id.
        service_id: Option<&'a str> = SERVICE_ID,
        /// IMS-Communication-Service-Identifier.
        communication_service: Option<&'a str> = IMS_COMMUNICATION_SERVICE_IDENTIFIER,
        /// IMS-Application-Reference-Identifier.
        application_reference: Option<&'a str> = IMS_APPLICATION_REFERENCE_IDENTIFIER,
        /// Cause-Code: 0 and below are success; SIP's status codes are themselves.
        cause: Option<i32> = CAUSE_CODE,
        /// Reason-Header.
        reasons: Few<&'a str, 4> = REASON_HEADER,
        /// Access-Network-Information: the P-Access-Network-Info header, which may not be UTF-8.
        access_network: Option<&'a [u8]> = ACCESS_NETWORK_INFORMATION,
        /// IMS-Visited-Network-Identifier: a domain name such as `ims.mnc001.mcc262.3gppnetwork.org`.
        visited_network: Option<&'a str> = IMS_VISITED_NETWORK_IDENTIFIER,
        /// IMS-Emergency-Indicator: never to be refused (spec G-104).
        emergency: Option<bool> = IMS_EMERGENCY_INDICATOR,
        /// Online-Charging-Flag.
        online_charging: Option<bool> = ONLINE_CHARGING_FLAG,
    }
}

enumerated! {
    /// Role-Of-Node (TS 32.299 7.2.186): decides who pays what.
    pub enum RoleOfNode {
        /// The caller's side.
        Originating = 0,
        /// The called side.
        Terminating = 1,
        /// The side that forwards: it pays the diverted part (spec G-105).
        Forwarding = 2,
    }
}

group! {
    /// Event-Type.
    pub struct ImsEvent<'a> {
        /// SIP-Method.
        method: Option<&'a str> = SIP_METHOD,
        /// Event: the header of SUBSCRIBE and PUBLISH.
        event: Option<&'a str> = EVENT,
        /// Expires, seconds.
        expires: Option<u32> = EXPIRES,
    }
}

group! {
    /// Time-Stamps.
    pub struct ImsTimes {
        /// SIP-Request-Timestamp.
        request: Option<Timestamp> = SIP_REQUEST_TIMESTAMP,
        /// SIP-Response-Timestamp.
        response: Option<Timestamp> = SIP_RESPONSE_TIMESTAMP,
        /// SIP-Request-Timestamp-Fraction, milliseconds.
        request_millis: Option<u32> = SIP_REQUEST_TIMESTAMP_FRACTION,
        /// SIP-Response-Timestamp-Fraction, milliseconds.
        response_millis: Option<u32> = SIP_RESPONSE_TIMESTAMP_FRACTION,
    }
}

group! {
    /// Inter-Operator-Identifier.
    pub struct InterOperator<'a> {
        /// Originating-IOI.
        originating: Option<&'a str> = ORIGINATING_IOI,
        /// Terminating-IOI.
        terminating: Option<&'a str> = TERMINATING_IOI,
    }
}

group! {
    /// SDP-Media-Component.
    pub struct MediaComponent<'a> {
        /// SDP-Media-Name: the text of the m= line, such as `audio 49170 RTP/AVP 0`.
        name: Option<&'a str> = SDP_MEDIA_NAME,
        /// SDP-Media-Description: the first of the other lines.
        descriptions: Few<&'a str, 4> = SDP_MEDIA_DESCRIPTION,
        /// SDP-Type: 0 offer, 1 answer.
        kind: Option<u32> = SDP_TYPE,
        /// Media-Initiator-Flag: 0 called party, 1 calling party, 2 not known.
        initiator: Option<u32> = MEDIA_INITIATOR_FLAG,
        /// Media-Initiator-Party.
        initiator_party: Option<&'a str> = MEDIA_INITIATOR_PARTY,
        /// 3GPP-Charging-Id of the bearer.
        charging_id: Option<u32> = TGPP_CHARGING_ID,
    }
}

group! {
    /// Trunk-Group-Id.
    pub struct TrunkGroup<'a> {
        /// Incoming-Trunk-Group-Id.
        incoming: Option<&'a str> = INCOMING_TRUNK_GROUP_ID,
        /// Outgoing-Trunk-Group-Id.
        outgoing: Option<&'a str> = OUTGOING_TRUNK_GROUP_ID,
    }
}

impl ImsInformation<'_> {
    /// Whether it is an emergency call, which is never refused (spec G-104).
    pub fn is_emergency(&self) -> bool {
        self.emergency == Some(true)
    }
}

impl<'a> MediaComponent<'a> {
    /// The first word of the m= line: `audio`, `video`, `message` ...
    pub fn medium(&self) -> Option<&'a str> {
        let name = self.name?.trim_start();
        // Some clients send the line as it is, others only what follows the `m=`.
        name.strip_prefix("m=").unwrap_or(name).split_ascii_whitespace().next()
    }
}
