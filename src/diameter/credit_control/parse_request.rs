//! Reading a credit-control request: one pass, in place (spec section 4 of diameter-base).

use crate::diameter::{
    error::{RequestError, ResultCode},
    frame::Frame,
};

use super::{problems::Strictness, request::CreditControlRequest};

impl<'a> CreditControlRequest<'a> {
    /// Reads a CCR and checks it. Routing (spec B-64) and everything about accounts is left to the caller.
    ///
    /// # Errors
    /// What the answer must say; the first problem in the order of the checks (spec B-71).
    pub fn parse(frame: &'a Frame, strictness: Strictness) -> Result<Self, RequestError> {
        let _ = (frame, strictness);
        Err(RequestError::new(ResultCode::UNABLE_TO_COMPLY, "not yet"))
    }
}
