//! Requests that the server sends: RAR and ASR, and their answers (RFC 6733 8.3 and 8.5, RFC 8506 5.5, spec B-135,
//! C-100..C-107).

use super::{
    avp::Avps,
    base::Identity,
    copied::Copied,
    dictionary::{self as d, application, command, key},
    error::{RequestError, ResultCode},
    frame::{Frame, Header},
    writer::Writer,
};

/// An RAR or ASR of credit control, to write or as read. An RAR that names none of the last four asks for the whole
/// session; several gateways ignore them or refuse them, so they are sent only to clients that are known to act on them
/// (spec C-100).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionRequest<'a> {
    /// Session-Id.
    pub session_id: &'a [u8],
    /// Destination-Host: Origin-Host of the session's last CCR.
    pub destination_host: &'a str,
    /// Destination-Realm: Origin-Realm of the session's last CCR.
    pub destination_realm: &'a str,
    /// Origin-State-Id of the server; 0 is left out (spec B-190).
    pub origin_state_id: u32,
    /// Only this CC-Sub-Session-Id (RAR).
    pub sub_session_id: Option<u64>,
    /// Only this Rating-Group (RAR).
    pub rating_group: Option<u32>,
    /// Only this Service-Identifier (RAR).
    pub service_identifier: Option<u32>,
    /// Only this G-S-U-Pool-Identifier (RAR).
    pub pool: Option<u32>,
}

impl<'a> SessionRequest<'a> {
    /// Reads an RAR or ASR, as a gateway does.
    ///
    /// # Errors
    /// The code for the answer.
    pub fn parse(frame: &'a Frame) -> Result<Self, RequestError> {
        let (mut session_id, mut destination_host, mut destination_realm) = (None, None, None);
        let mut request = Self::default();
        for avp in Avps::new(frame.body()) {
            let avp = avp?;
            match avp.key() {
                key::SESSION_ID => session_id = Some(avp.data),
                key::DESTINATION_HOST => destination_host = Some(avp.utf8()?),
                key::DESTINATION_REALM => destination_realm = Some(avp.utf8()?),
                key::ORIGIN_STATE_ID => request.origin_state_id = avp.u32()?,
                key::CC_SUB_SESSION_ID => request.sub_session_id = Some(avp.u64()?),
                key::RATING_GROUP => request.rating_group = Some(avp.u32()?),
                key::SERVICE_IDENTIFIER => request.service_identifier = Some(avp.u32()?),
                key::G_S_U_POOL_IDENTIFIER => request.pool = Some(avp.u32()?),
                _ => {}
            }
        }
        Ok(Self {
            session_id: session_id.ok_or_else(|| RequestError::missing(&d::SESSION_ID))?,
            destination_host: destination_host.ok_or_else(|| RequestError::missing(&d::DESTINATION_HOST))?,
            destination_realm: destination_realm.ok_or_else(|| RequestError::missing(&d::DESTINATION_REALM))?,
            ..request
        })
    }

    /// Whether the whole session is meant.
    pub const fn is_whole_session(&self) -> bool {
        self.sub_session_id.is_none()
            && self.rating_group.is_none()
            && self.service_identifier.is_none()
            && self.pool.is_none()
    }

    /// Writes an RAR with Re-Auth-Request-Type AUTHORIZE_ONLY (spec C-100).
    pub fn write_rar(&self, out: &mut Vec<u8>, local: &Identity, hop_by_hop: u32, end_to_end: u32) {
        self.write(out, local, command::RE_AUTH, hop_by_hop, end_to_end);
    }

    /// Writes an ASR (spec C-106).
    pub fn write_asr(&self, out: &mut Vec<u8>, local: &Identity, hop_by_hop: u32, end_to_end: u32) {
        self.write(out, local, command::ABORT_SESSION, hop_by_hop, end_to_end);
    }

    fn write(&self, out: &mut Vec<u8>, local: &Identity, command: u32, hop_by_hop: u32, end_to_end: u32) {
        let header = Header::request(command, application::CREDIT_CONTROL, true, hop_by_hop, end_to_end);
        let mut w = Writer::start(out, header);
        w.octets(&d::SESSION_ID, self.session_id);
        w.utf8(&d::ORIGIN_HOST, &local.host);
        w.utf8(&d::ORIGIN_REALM, &local.realm);
        w.utf8(&d::DESTINATION_REALM, self.destination_realm);
        w.utf8(&d::DESTINATION_HOST, self.destination_host);
        w.u32(&d::AUTH_APPLICATION_ID, application::CREDIT_CONTROL);
        if command == command::RE_AUTH {
            w.u32(&d::RE_AUTH_REQUEST_TYPE, RE_AUTH_AUTHORIZE_ONLY);
        }
        if self.origin_state_id != 0 {
            w.u32(&d::ORIGIN_STATE_ID, self.origin_state_id);
        }
        if command == command::RE_AUTH {
            self.write_scope(&mut w);
        }
        w.finish();
    }

    /// An ASR is always about the whole session (spec section 17 of credit-control).
    fn write_scope(&self, w: &mut Writer<'_>) {
        if let Some(id) = self.sub_session_id {
            w.u64(&d::CC_SUB_SESSION_ID, id);
        }
        for (def, value) in [
            (&d::G_S_U_POOL_IDENTIFIER, self.pool),
            (&d::SERVICE_IDENTIFIER, self.service_identifier),
            (&d::RATING_GROUP, self.rating_group),
        ] {
            if let Some(value) = value {
                w.u32(def, value);
            }
        }
    }
}

/// AUTHORIZE_ONLY, the only Re-Auth-Request-Type of credit control (RFC 8506 5.5).
const RE_AUTH_AUTHORIZE_ONLY: u32 = 0;

/// RAA or ASA, as the server reads it (spec B-200, C-101).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAnswer<'a> {
    /// Session-Id, when the answer has one.
    pub session_id: Option<&'a [u8]>,
    /// Result-Code; an answer without one counts as 5012, also one with a vendor's Experimental-Result.
    pub result_code: ResultCode,
    /// Origin-Host: who answered, the client or an agent on the way.
    pub origin_host: Option<&'a str>,
    /// Error-Message, for logs.
    pub error_message: Option<&'a str>,
}

impl<'a> SessionAnswer<'a> {
    /// Reads an RAA or ASA.
    ///
    /// # Errors
    /// An AVP that cannot be read: never answered, the request counts as failed (spec B-89).
    pub fn parse(frame: &'a Frame) -> Result<Self, RequestError> {
        let mut answer = Self {
            session_id: None,
            result_code: ResultCode::UNABLE_TO_COMPLY,
            origin_host: None,
            error_message: None,
        };
        for avp in Avps::new(frame.body()) {
            let avp = avp?;
            match avp.key() {
                key::SESSION_ID => answer.session_id = Some(avp.data),
                key::RESULT_CODE => answer.result_code = ResultCode(avp.u32()?),
                key::ORIGIN_HOST => answer.origin_host = Some(avp.utf8()?),
                key::ERROR_MESSAGE => answer.error_message = avp.utf8().ok(),
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Writes an RAA or ASA to a request, as a gateway does, with its Proxy-Info (spec B-136).
    pub fn write(out: &mut Vec<u8>, request: &Frame, local: &Identity, result_code: ResultCode) {
        let copied = Copied::from(request.body());
        let mut w = Writer::start(out, request.header().answer());
        copied.write_session_id(&mut w);
        w.u32(&d::RESULT_CODE, result_code.0);
        w.utf8(&d::ORIGIN_HOST, &local.host);
        w.utf8(&d::ORIGIN_REALM, &local.realm);
        copied.write_proxy_infos(&mut w);
        w.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::vectors::ocs;

    const WHOLE: SessionRequest<'_> = SessionRequest {
        session_id: b"pgw.example.net;1;2",
        destination_host: "pgw.example.net",
        destination_realm: "example.net",
        origin_state_id: 0,
        sub_session_id: None,
        rating_group: None,
        service_identifier: None,
        pool: None,
    };

    fn codes(frame: &Frame) -> Vec<u32> {
        Avps::new(frame.body()).map(|avp| avp.unwrap().code).collect()
    }

    // tests: B-135, B-200, C-100, C-101
    #[test]
    fn re_authorisation_there_and_back() {
        for request in [
            WHOLE,
            SessionRequest { rating_group: Some(10), sub_session_id: Some(3), ..WHOLE },
            SessionRequest { service_identifier: Some(7), origin_state_id: 9, ..WHOLE },
            SessionRequest { pool: Some(2), ..WHOLE },
        ] {
            let mut out = Vec::new();
            request.write_rar(&mut out, &ocs(), 5, 6);
            let rar = Frame::from_bytes(out.into()).unwrap();
            assert_eq!((rar.header().command, rar.header().application), (command::RE_AUTH, 4));
            assert_eq!(codes(&rar)[..7], [263, 264, 296, 283, 293, 258, 285]);
            assert_eq!(SessionRequest::parse(&rar).unwrap(), request);
            assert_eq!(request.is_whole_session(), request == WHOLE);

            let mut out = Vec::new();
            SessionAnswer::write(&mut out, &rar, &ocs(), ResultCode::LIMITED_SUCCESS);
            let raa = Frame::from_bytes(out.into()).unwrap();
            let answer = SessionAnswer::parse(&raa).unwrap();
            assert_eq!((answer.session_id, answer.result_code.0), (Some(WHOLE.session_id), 2002));
            assert_eq!(answer.origin_host, Some("ocs.example.com"));
            assert_eq!((raa.header().hop_by_hop, raa.header().flags.is_request()), (5, false));
        }
    }

    #[test]
    fn an_abort_has_no_re_auth_type_and_no_scope() {
        let mut out = Vec::new();
        SessionRequest { rating_group: Some(1), sub_session_id: Some(1), ..WHOLE }.write_asr(&mut out, &ocs(), 5, 6);
        let asr = Frame::from_bytes(out.into()).unwrap();
        assert_eq!(asr.header().command, command::ABORT_SESSION);
        assert_eq!(codes(&asr), [263, 264, 296, 283, 293, 258]);
        assert_eq!(SessionRequest::parse(&asr).unwrap(), WHOLE);
    }

    // tests: B-89
    #[test]
    fn an_answer_without_a_code_is_a_failure() {
        let mut out = Vec::new();
        Writer::start(&mut out, Header::request(command::RE_AUTH, 4, true, 1, 1).answer()).finish();
        let frame = Frame::from_bytes(out.into()).unwrap();
        assert_eq!(SessionAnswer::parse(&frame).unwrap().result_code, ResultCode::UNABLE_TO_COMPLY);
        assert_eq!(SessionRequest::parse(&frame).unwrap_err().result_code, ResultCode::MISSING_AVP);
    }
}
