//! Reading a credit-control answer, as a client does.

use crate::diameter::{
    error::{RequestError, ResultCode},
    frame::Frame,
};

use super::{answer::CreditControlAnswer, request::RequestType};

/// A CCA as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedAnswer<'a> {
    /// Session-Id; missing in some answers with the E bit.
    pub session_id: Option<&'a [u8]>,
    /// Origin-Host: where the session lives from now on (spec G-114).
    pub origin_host: Option<&'a str>,
    /// Origin-Realm.
    pub origin_realm: Option<&'a str>,
    /// CC-Request-Type.
    pub request_type: Option<RequestType>,
    /// CC-Request-Number.
    pub request_number: Option<u32>,
    /// The rest.
    pub answer: CreditControlAnswer,
}

impl CreditControlAnswer {
    /// Reads a CCA, or an answer with the E bit to a CCR.
    ///
    /// # Errors
    /// An AVP that cannot be read; an answer is never answered (spec B-89).
    pub fn parse(frame: &Frame) -> Result<ReceivedAnswer<'_>, RequestError> {
        let _ = frame;
        Err(RequestError::new(ResultCode::UNABLE_TO_COMPLY, "not yet"))
    }
}
