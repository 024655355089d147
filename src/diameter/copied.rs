//! What an answer repeats of its request.

use super::{
    avp::Avps,
    credit_control::offers_loss,
    dictionary::{self as d, key},
    writer::Writer,
};

/// As much of a request as its answer needs and as can be read before the framing breaks.
#[derive(Debug)]
pub(super) struct Copied<'a> {
    pub(super) session_id: Option<&'a [u8]>,
    pub(super) request_type: Option<&'a [u8]>,
    pub(super) request_number: Option<&'a [u8]>,
    pub(super) sub_session_id: Option<&'a [u8]>,
    /// Its sender takes part in overload control (RFC 7683).
    pub(super) takes_reports: bool,
    body: &'a [u8],
    has_proxy_info: bool,
}

impl<'a> Copied<'a> {
    #[inline]
    pub(super) fn from(body: &'a [u8]) -> Self {
        let mut copied = Self {
            session_id: None,
            request_type: None,
            request_number: None,
            sub_session_id: None,
            takes_reports: false,
            body,
            has_proxy_info: false,
        };
        let mut avps = Avps::new(body);
        while let Some(avp) = avps.readable() {
            let place = match avp.key() {
                key::SESSION_ID => &mut copied.session_id,
                key::CC_REQUEST_TYPE if avp.data.len() == 4 => &mut copied.request_type,
                key::CC_REQUEST_NUMBER if avp.data.len() == 4 => &mut copied.request_number,
                key::CC_SUB_SESSION_ID if avp.data.len() == 8 => &mut copied.sub_session_id,
                key::PROXY_INFO => {
                    copied.has_proxy_info = true;
                    continue;
                }
                key::OC_SUPPORTED_FEATURES => {
                    copied.takes_reports |= offers_loss(avp.data);
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(avp.data);
        }
        copied
    }

    /// Whether the answer can have all that the grammar of CCA demands (spec B-84).
    pub(super) fn suffices_for_cca(&self) -> bool {
        self.session_id.is_some() && self.request_type.is_some() && self.request_number.is_some()
    }

    #[inline]
    pub(super) fn write_session_id(&self, w: &mut Writer<'_>) {
        if let Some(id) = self.session_id {
            w.octets(&d::SESSION_ID, id);
        }
    }

    #[inline]
    pub(super) fn write_request_type_and_number(&self, w: &mut Writer<'_>) {
        if let Some(value) = self.request_type {
            w.octets(&d::CC_REQUEST_TYPE, value);
        }
        if let Some(value) = self.request_number {
            w.octets(&d::CC_REQUEST_NUMBER, value);
        }
    }

    /// The same in an answer whose grammar does not have them.
    pub(super) fn write_request_type_and_number_beyond_grammar(&self, w: &mut Writer<'_>) {
        if let Some(value) = self.request_type {
            w.octets(&d::CC_REQUEST_TYPE.beyond_grammar(), value);
        }
        if let Some(value) = self.request_number {
            w.octets(&d::CC_REQUEST_NUMBER.beyond_grammar(), value);
        }
    }

    /// Every Proxy-Info untouched and in order (spec B-136).
    #[inline]
    pub(super) fn write_proxy_infos(&self, w: &mut Writer<'_>) {
        if self.has_proxy_info {
            for avp in Avps::new(self.body).map_while(Result::ok).filter(|avp| avp.is(&d::PROXY_INFO)) {
                w.raw(avp.raw);
            }
        }
    }
}
