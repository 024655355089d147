//! Capabilities exchange: CER and CEA (RFC 6733 5.3, spec section 10).

use super::{
    base::LocalNode,
    error::{RequestError, ResultCode},
    frame::{Frame, Header},
};

/// What a peer says of itself in CER or CEA.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Product-Name.
    pub product_name: String,
    /// Vendor-Id.
    pub vendor_id: u32,
    /// Origin-State-Id; 0 when absent (spec B-190).
    pub origin_state_id: u32,
    /// All application ids, wherever they stand (spec B-141, B-142).
    pub applications: Vec<u32>,
    /// Inband-Security-Id; none means no security (spec B-149).
    pub inband_security: Vec<u32>,
    /// Result-Code, in a CEA.
    pub result_code: Option<ResultCode>,
}

impl Capabilities {
    /// Reads a CER or CEA.
    ///
    /// # Errors
    /// The code for the CEA.
    pub fn parse(frame: &Frame) -> Result<Self, RequestError> {
        let _ = frame;
        Err(RequestError::new(ResultCode::UNABLE_TO_COMPLY, "not yet"))
    }
}

/// CER.
pub fn write_cer(out: &mut Vec<u8>, local: &LocalNode, hop_by_hop: u32, end_to_end: u32) {
    let _ = (out, local, hop_by_hop, end_to_end);
}

/// CEA with 2001 or an error of 5xxx.
pub fn write_cea(out: &mut Vec<u8>, local: &LocalNode, request: &Header, error: Option<&RequestError>) {
    let _ = (out, local, request, error);
}
