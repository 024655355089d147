//! Result codes, and errors that know their answer (RFC 6733 7, RFC 8506 9, spec sections 5 and 6 of diameter-base).

use std::{borrow::Cow, fmt};

use super::{
    base::Identity,
    copied::Copied,
    dictionary::{self as d, AvpDef, command},
    frame::{Frame, Header},
    limits::Bound,
    writer::{self, Writer},
};

/// A value of Result-Code (RFC 6733 7.1, RFC 8506 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(pub u32);

macro_rules! result_codes {
    ($($name:ident = $code:literal;)*) => {
        impl ResultCode {
            $(#[doc = concat!("`", stringify!($name), "`, ", stringify!($code), ".")]
            pub const $name: Self = Self($code);)*

            /// The standard's name, without its prefix; empty when it is not known here.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "",
                }
            }
        }
    };
}

result_codes! {
    SUCCESS = 2001;
    LIMITED_SUCCESS = 2002;
    COMMAND_UNSUPPORTED = 3001;
    UNABLE_TO_DELIVER = 3002;
    REALM_NOT_SERVED = 3003;
    TOO_BUSY = 3004;
    LOOP_DETECTED = 3005;
    REDIRECT_INDICATION = 3006;
    APPLICATION_UNSUPPORTED = 3007;
    INVALID_HDR_BITS = 3008;
    INVALID_AVP_BITS = 3009;
    UNKNOWN_PEER = 3010;
    AUTHENTICATION_REJECTED = 4001;
    OUT_OF_SPACE = 4002;
    ELECTION_LOST = 4003;
    END_USER_SERVICE_DENIED = 4010;
    CREDIT_CONTROL_NOT_APPLICABLE = 4011;
    CREDIT_LIMIT_REACHED = 4012;
    AVP_UNSUPPORTED = 5001;
    UNKNOWN_SESSION_ID = 5002;
    AUTHORIZATION_REJECTED = 5003;
    INVALID_AVP_VALUE = 5004;
    MISSING_AVP = 5005;
    RESOURCES_EXCEEDED = 5006;
    CONTRADICTING_AVPS = 5007;
    AVP_NOT_ALLOWED = 5008;
    AVP_OCCURS_TOO_MANY_TIMES = 5009;
    NO_COMMON_APPLICATION = 5010;
    UNSUPPORTED_VERSION = 5011;
    UNABLE_TO_COMPLY = 5012;
    INVALID_BIT_IN_HEADER = 5013;
    INVALID_AVP_LENGTH = 5014;
    INVALID_MESSAGE_LENGTH = 5015;
    INVALID_AVP_BIT_COMBO = 5016;
    NO_COMMON_SECURITY = 5017;
    USER_UNKNOWN = 5030;
    RATING_FAILED = 5031;
}

impl ResultCode {
    /// 2xxx.
    pub const fn is_success(self) -> bool {
        self.0 / 1000 == 2
    }

    /// 3xxx: the answer has the E bit set (spec B-82).
    pub const fn is_protocol_error(self) -> bool {
        self.0 / 1000 == 3
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "{}", self.0),
            name => write!(f, "{} {name}", self.0),
        }
    }
}

/// Why a request is refused, as its answer will say it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{result_code}: {message}")]
pub struct RequestError {
    /// Result-Code of the answer.
    pub result_code: ResultCode,
    /// The content of Failed-AVP: encoded AVPs, with the groups around the offending one (spec B-72, B-73).
    pub failed_avp: Option<Vec<u8>>,
    /// Error-Message: for logs, without personal data (spec B-86). Left out of the answer when empty.
    pub message: Cow<'static, str>,
    /// The bound that was hit, for whoever counts.
    pub bound: Option<Bound>,
}

impl RequestError {
    /// Without Failed-AVP.
    #[cold]
    pub fn new(result_code: ResultCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { result_code, failed_avp: None, message: message.into(), bound: None }
    }

    /// With the bound that was hit.
    #[must_use]
    #[cold]
    pub fn at_bound(self, bound: Bound) -> Self {
        Self { bound: Some(bound), ..self }
    }

    /// With the content of Failed-AVP.
    #[must_use]
    #[cold]
    pub fn with_failed_avp(self, avps: Vec<u8>) -> Self {
        Self { failed_avp: Some(avps), ..self }
    }

    /// 5005 with an example of the AVP that is missing (spec B-72).
    #[cold]
    pub fn missing(def: &AvpDef) -> Self {
        Self::new(ResultCode::MISSING_AVP, format!("{} is missing", def.name)).with_failed_avp(writer::example_of(def))
    }

    /// The error seen from outside of a group: Failed-AVP shows the place (spec B-73).
    #[must_use]
    #[cold]
    pub fn inside(mut self, group: &AvpDef) -> Self {
        self.failed_avp = self.failed_avp.map(|failed| writer::wrapped(group, &failed));
        self
    }
}

/// Answers a request with an error, however broken its body is (spec B-80..B-86).
///
/// Session-Id, CC-Request-Type, CC-Request-Number and every Proxy-Info are copied when they can be read. E is set for
/// 3xxx, and where a CCA would lack an AVP that its grammar demands (spec B-83, B-84).
///
/// Returns whether the sender is to be told of overload (RFC 7683); see
/// [`append_overload`](super::credit_control::append_overload).
pub fn write_error_answer(out: &mut Vec<u8>, request: &Frame, local: &Identity, error: &RequestError) -> bool {
    let header = request.header();
    let copied = Copied::from(request.body());
    let credit_control = header.command == command::CREDIT_CONTROL;
    let incomplete = credit_control && !copied.suffices_for_cca();
    if error.result_code.is_protocol_error() || incomplete {
        let mut w = Writer::start(out, header.error_answer());
        copied.write_session_id(&mut w);
        w.utf8(&d::ORIGIN_HOST, &local.host);
        w.utf8(&d::ORIGIN_REALM, &local.realm);
        w.u32(&d::RESULT_CODE, error.result_code.0);
        // Clients look these up in any answer to a CCR, whatever else was missing (spec B-85). The grammar of answers with E
        // does not have them: with M a strict client would have to refuse the answer.
        if credit_control {
            w.u32(&d::AUTH_APPLICATION_ID.beyond_grammar(), header.application);
            copied.write_request_type_and_number_beyond_grammar(&mut w);
        }
        finish(w, &copied, error);
    } else {
        let mut w = Writer::start(out, header.answer());
        copied.write_session_id(&mut w);
        w.u32(&d::RESULT_CODE, error.result_code.0);
        w.utf8(&d::ORIGIN_HOST, &local.host);
        w.utf8(&d::ORIGIN_REALM, &local.realm);
        if credit_control {
            w.u32(&d::AUTH_APPLICATION_ID, header.application);
            copied.write_request_type_and_number(&mut w);
        }
        finish(w, &copied, error);
    }
    copied.takes_reports
}

/// Answers a request of which only the header could be read, before the connection is closed (spec B-1, B-3).
pub fn write_frame_error_answer(out: &mut Vec<u8>, request: &Header, local: &Identity, result_code: ResultCode) {
    let mut w = Writer::start(out, request.error_answer());
    w.utf8(&d::ORIGIN_HOST, &local.host);
    w.utf8(&d::ORIGIN_REALM, &local.realm);
    w.u32(&d::RESULT_CODE, result_code.0);
    w.finish();
}

fn finish(mut w: Writer<'_>, copied: &Copied<'_>, error: &RequestError) {
    if !error.message.is_empty() {
        w.utf8(&d::ERROR_MESSAGE, &error.message);
    }
    if let Some(failed) = &error.failed_avp {
        w.octets(&d::FAILED_AVP, failed);
    }
    copied.write_proxy_infos(&mut w);
    w.finish();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::{
        avp::Avps,
        vectors::{CCR_I, hex, ocs},
    };

    fn answered(request: &Frame, error: &RequestError) -> Frame {
        let mut out = Vec::new();
        write_error_answer(&mut out, request, &ocs(), error);
        Frame::from_bytes(out.into()).unwrap()
    }

    fn codes(frame: &Frame) -> Vec<u32> {
        Avps::new(frame.body()).map(|avp| avp.unwrap().code).collect()
    }

    /// CCR-I with more AVPs behind, or cut.
    fn request(more: &str, cut: usize) -> Frame {
        let mut octets = [hex(CCR_I), hex(more)].concat();
        octets.truncate(octets.len() - cut);
        let [_, length @ ..] = (octets.len() as u32).to_be_bytes();
        octets[1..4].copy_from_slice(&length);
        Frame::from_bytes(octets.into()).unwrap()
    }

    // tests: B-80 B-81 B-83 B-84 B-86 B-136 I-1
    #[test]
    fn a_permanent_failure_follows_the_grammar_of_cca() {
        let proxy_infos = "0000011c40000020000001184000000b702e6100000000214000000901000000";
        let route_record = "0000011a4000000b702e6100";
        let request = request(&format!("{proxy_infos}{route_record}{proxy_infos}"), 0);
        let error = RequestError::missing(&d::SERVICE_CONTEXT_ID);
        let answer = answered(&request, &error);
        let header = answer.header();
        assert_eq!(header, Header { length: header.length, ..request.header().answer() });
        assert_eq!(codes(&answer), [263, 268, 264, 296, 258, 416, 415, 281, 279, 284, 284]);
        assert!(answer.as_bytes().ends_with(&hex(proxy_infos)));
    }

    // tests: B-82 B-85
    #[test]
    fn a_protocol_error_has_the_e_bit() {
        let answer = answered(&request("", 0), &RequestError::new(ResultCode::TOO_BUSY, ""));
        assert!(answer.header().flags.is_error() && answer.header().flags.is_proxiable());
        assert_eq!(codes(&answer), [263, 264, 296, 268, 258, 416, 415]);
        // The last three are beyond the grammar of answers with E.
        let marked: Vec<bool> = Avps::new(answer.body()).map(|avp| avp.unwrap().flags.is_mandatory()).collect();
        assert_eq!(marked, [true, true, true, true, false, false, false]);
    }

    // tests: B-80 B-84
    #[test]
    fn any_ruin_of_a_request_is_answered() {
        for cut in (0..=252).step_by(4) {
            let request = request("", cut);
            let answer = answered(&request, &RequestError::missing(&d::CC_REQUEST_TYPE));
            let complete = codes(&answer).contains(&415) && codes(&answer).contains(&416);
            assert_eq!(answer.header().flags.is_error(), !complete, "{cut}");
            assert!(codes(&answer).contains(&268));
        }
    }

    #[test]
    fn codes_have_names() {
        assert_eq!(ResultCode::CREDIT_LIMIT_REACHED.to_string(), "4012 CREDIT_LIMIT_REACHED");
        assert_eq!(ResultCode(1234).to_string(), "1234");
    }
}
