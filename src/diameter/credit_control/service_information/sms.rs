//! SMS-Information (TS 32.299 7.2.183, TS 32.274, spec G-121): short messages.

use crate::{diameter::avp::Address, time::Timestamp};

use super::{
    super::group::{enumerated, group},
    addresses::{Interface, MessageAddress},
};

group! {
    /// SMS-Information.
    pub struct SmsInformation<'a> {
        /// SMS-Node: 0 router, 1 IP-SM-GW, 2 both, 3 SMS-SC.
        node: Option<u32> = SMS_NODE,
        /// Client-Address.
        client: Option<Address<'a>> = CLIENT_ADDRESS,
        /// Originator-SCCP-Address.
        originator_sccp: Option<Address<'a>> = ORIGINATOR_SCCP_ADDRESS,
        /// SMSC-Address: often a telephone number.
        center: Option<Address<'a>> = SMSC_ADDRESS,
        /// Data-Coding-Scheme.
        coding: Option<i32> = DATA_CODING_SCHEME,
        /// SM-Discharge-Time: when it was delivered.
        discharge: Option<Timestamp> = SM_DISCHARGE_TIME,
        /// SM-Message-Type.
        message_type: Option<SmMessageType> = SM_MESSAGE_TYPE,
        /// Originator-Interface.
        originator_interface: Option<Interface<'a>> = ORIGINATOR_INTERFACE,
        /// SM-Protocol-ID.
        protocol: Option<&'a [u8]> = SM_PROTOCOL_ID,
        /// Reply-Path-Requested.
        reply_path: Option<bool> = REPLY_PATH_REQUESTED,
        /// SM-Status: one octet of TS 23.040.
        status: Option<u8> = SM_STATUS,
        /// SM-User-Data-Header: says which part of a long message it is.
        user_data_header: Option<&'a [u8]> = SM_USER_DATA_HEADER,
        /// Number-Of-Messages-Sent (spec G-124).
        messages: Option<u32> = NUMBER_OF_MESSAGES_SENT,
        /// SM-Sequence-Number.
        sequence: Option<u32> = SM_SEQUENCE_NUMBER,
        /// Message-Size, octets.
        size: Option<u32> = MESSAGE_SIZE,
        /// Recipient-Info: one for each recipient.
        recipients: Vec<Recipient<'a>> = RECIPIENT_INFO,
        /// Originator-Received-Address: as the client received it (spec G-122).
        originator: Option<MessageAddress<'a>> = ORIGINATOR_RECEIVED_ADDRESS,
        /// SM-Service-Type: 0 content processing, 1 forwarding ...
        service_type: Option<u32> = SM_SERVICE_TYPE,
        /// SMS-Result.
        result: Option<u32> = SMS_RESULT,
        /// External-Identifier.
        external_id: Option<&'a str> = EXTERNAL_IDENTIFIER,
    }
}

enumerated! {
    /// SM-Message-Type (TS 32.299 7.2.176).
    pub enum SmMessageType {
        /// A message.
        Submission = 0,
        /// A report of delivery, normally free (spec G-125).
        DeliveryReport = 1,
        /// SM Service Request.
        ServiceRequest = 2,
        /// T4 device trigger.
        T4DeviceTrigger = 3,
        /// SM device trigger.
        SmDeviceTrigger = 4,
        /// MO-SMS T4 submission.
        T4Submission = 5,
    }
}

group! {
    /// Recipient-Info.
    pub struct Recipient<'a> {
        /// Destination-Interface.
        interface: Option<Interface<'a>> = DESTINATION_INTERFACE,
        /// Recipient-Address: several forms of one recipient.
        addresses: Vec<MessageAddress<'a>> = RECIPIENT_ADDRESS,
        /// Recipient-Received-Address: as the client received it.
        received: Vec<MessageAddress<'a>> = RECIPIENT_RECEIVED_ADDRESS,
        /// Recipient-SCCP-Address: the serving node.
        sccp: Option<Address<'a>> = RECIPIENT_SCCP_ADDRESS,
        /// SM-Protocol-ID.
        protocol: Option<&'a [u8]> = SM_PROTOCOL_ID,
    }
}

impl<'a> Recipient<'a> {
    /// The number or short code to price by: a telephone number if there is one, else the first address (spec G-123).
    pub fn address(&self) -> Option<&MessageAddress<'a>> {
        let all = || self.addresses.iter().chain(&self.received).filter(|address| address.data.is_some());
        all().find(|address| address.kind == Some(super::AddressType::Msisdn)).or_else(|| all().next())
    }
}
