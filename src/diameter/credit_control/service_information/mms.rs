//! MMS-Information (TS 32.299 7.2.111, TS 32.270, spec G-131): multimedia messages.

use crate::time::Timestamp;

use super::{super::group::group, addresses::MessageAddress};

group! {
    /// MMS-Information.
    pub struct MmsInformation<'a> {
        /// Originator-Address.
        originator: Option<MessageAddress<'a>> = ORIGINATOR_ADDRESS,
        /// Recipient-Address: one for each recipient (spec G-132).
        recipients: Vec<MessageAddress<'a>> = RECIPIENT_ADDRESS,
        /// Submission-Time.
        submitted: Option<Timestamp> = SUBMISSION_TIME,
        /// MM-Content-Type.
        content_type: Option<MmContentType<'a>> = MM_CONTENT_TYPE,
        /// Priority: 0 low, 1 normal, 2 high.
        priority: Option<u32> = PRIORITY,
        /// Message-ID.
        message_id: Option<&'a str> = MESSAGE_ID,
        /// Message-Type: tells the direction, see [`mms_message_type`].
        message_type: Option<u32> = MESSAGE_TYPE,
        /// Message-Size, octets.
        size: Option<u32> = MESSAGE_SIZE,
        /// Message-Class.
        class: Option<MessageClass<'a>> = MESSAGE_CLASS,
        /// Delivery-Report-Requested.
        delivery_report: Option<bool> = DELIVERY_REPORT_REQUESTED,
        /// Read-Reply-Report-Requested.
        read_report: Option<bool> = READ_REPLY_REPORT_REQUESTED,
        /// MMBox-Storage-Requested.
        storage: Option<bool> = MMBOX_STORAGE_REQUESTED,
        /// Applic-ID.
        application: Option<&'a str> = APPLIC_ID,
        /// Reply-Applic-ID.
        reply_application: Option<&'a str> = REPLY_APPLIC_ID,
        /// Aux-Applic-Info.
        application_info: Option<&'a str> = AUX_APPLIC_INFO,
        /// Content-Class: 0 text, 1 image-basic, 2 image-rich, 3 video-basic, 4 video-rich, 5 megapixel ...
        content_class: Option<u32> = CONTENT_CLASS,
        /// DRM-Content.
        drm: Option<bool> = DRM_CONTENT,
        /// Adaptations: 0 yes, 1 no.
        adaptations: Option<u32> = ADAPTATIONS,
        /// VASP-Id: whose content it is.
        vasp: Option<&'a str> = VASP_ID,
        /// VAS-Id.
        vas: Option<&'a str> = VAS_ID,
    }
}

/// Values of Message-Type (TS 32.299 7.2.103) that are priced.
pub mod mms_message_type {
    /// m-send-req: from a mobile.
    pub const SEND: u32 = 1;
    /// m-retrieve-conf: to a mobile.
    pub const RETRIEVE: u32 = 5;
    /// m-delivery-ind.
    pub const DELIVERY_REPORT: u32 = 7;
    /// m-forward-req.
    pub const FORWARD: u32 = 10;
}

group! {
    /// MM-Content-Type.
    pub struct MmContentType<'a> {
        /// Type-Number: a well-known type.
        number: Option<u32> = TYPE_NUMBER,
        /// Additional-Type-Information: the type as text when it has no number.
        text: Option<&'a str> = ADDITIONAL_TYPE_INFORMATION,
        /// Content-Size, octets.
        size: Option<u32> = CONTENT_SIZE,
        /// Additional-Content-Information: the parts.
        parts: Vec<MmContentPart<'a>> = ADDITIONAL_CONTENT_INFORMATION,
    }
}

group! {
    /// Additional-Content-Information.
    pub struct MmContentPart<'a> {
        /// Type-Number.
        number: Option<u32> = TYPE_NUMBER,
        /// Additional-Type-Information.
        text: Option<&'a str> = ADDITIONAL_TYPE_INFORMATION,
        /// Content-Size, octets.
        size: Option<u32> = CONTENT_SIZE,
    }
}

group! {
    /// Message-Class.
    pub struct MessageClass<'a> {
        /// Class-Identifier: 0 personal, 1 advertisement, 2 informational, 3 auto.
        id: Option<u32> = CLASS_IDENTIFIER,
        /// Token-Text.
        token: Option<&'a str> = TOKEN_TEXT,
    }
}
