//! Capabilities exchange: CER and CEA (RFC 6733 5.3, spec section 10).

use super::{
    avp::{Avp, Avps},
    base::{LocalNode, origin_state},
    dictionary::{self as d, AvpDef, application, command, key},
    error::{RequestError, ResultCode},
    frame::{Frame, Header},
    writer::{self, Writer},
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
    /// Reads a CER or CEA. What this product does not need may be missing from a CEA; from a CER nothing may that its
    /// grammar demands.
    ///
    /// # Errors
    /// The code for the CEA (spec B-24, B-67, B-143).
    pub fn parse(frame: &Frame) -> Result<Self, RequestError> {
        let mut peer = Self::default();
        let mut seen = Seen::default();
        for avp in Avps::new(frame.body()) {
            let avp = avp?;
            match avp.key() {
                key::ORIGIN_HOST => seen.host = Some(avp.utf8()?),
                key::ORIGIN_REALM => seen.realm = Some(avp.utf8()?),
                key::HOST_IP_ADDRESS => seen.address = Some(avp.address()?),
                key::VENDOR_ID => seen.vendor = Some(avp.u32()?),
                key::PRODUCT_NAME => seen.product = Some(avp.utf8()?),
                key::ORIGIN_STATE_ID => peer.origin_state_id = avp.u32()?,
                key::AUTH_APPLICATION_ID | key::ACCT_APPLICATION_ID => peer.applications.push(avp.u32()?),
                key::VENDOR_SPECIFIC_APPLICATION_ID => peer.applications.push(vendor_specific_application(&avp)?),
                key::INBAND_SECURITY_ID => peer.inband_security.push(avp.u32()?),
                key::RESULT_CODE => peer.result_code = Some(ResultCode(avp.u32()?)),
                _ => {}
            }
        }
        let is_request = frame.header().flags.is_request();
        seen.check(is_request)?;
        peer.origin_host = seen.host.unwrap_or_default().to_owned();
        peer.origin_realm = seen.realm.unwrap_or_default().to_owned();
        peer.product_name = seen.product.unwrap_or_default().to_owned();
        peer.vendor_id = seen.vendor.unwrap_or_default();
        Ok(peer)
    }

    /// Whether this peer and a node have an application in common; a relay has all (spec B-141, B-144).
    pub fn has_in_common(&self, local: &LocalNode) -> bool {
        self.applications.iter().any(|theirs| *theirs == application::RELAY || local.supports(*theirs))
    }

    /// Whether the peer can do without security inside the connection, the only way that is spoken here (spec B-149).
    pub fn accepts_no_inband_security(&self) -> bool {
        self.inband_security.is_empty() || self.inband_security.contains(&NO_INBAND_SECURITY)
    }
}

/// CER.
pub fn write_cer(out: &mut Vec<u8>, local: &LocalNode, hop_by_hop: u32, end_to_end: u32) {
    let header = Header::request(command::CAPABILITIES_EXCHANGE, application::COMMON, false, hop_by_hop, end_to_end);
    let mut w = Writer::start(out, header);
    write_capabilities(&mut w, local);
    w.finish();
}

/// CEA: 2001, or an error. 3xxx sets E and follows the grammar of error answers (spec B-82, B-146); with any other the
/// peer learns all our applications (spec B-145).
pub fn write_cea(out: &mut Vec<u8>, local: &LocalNode, request: &Header, error: Option<&RequestError>) {
    let result_code = error.map_or(ResultCode::SUCCESS, |error| error.result_code);
    if result_code.is_protocol_error() {
        super::error::write_frame_error_answer(out, request, &local.identity, result_code);
        return;
    }
    let mut w = Writer::start(out, request.answer());
    w.u32(&d::RESULT_CODE, result_code.0);
    write_capabilities(&mut w, local);
    if let Some(error) = error {
        w.utf8(&d::ERROR_MESSAGE, &error.message);
        if let Some(failed) = &error.failed_avp {
            w.octets(&d::FAILED_AVP, failed);
        }
    }
    w.finish();
}

fn write_capabilities(w: &mut Writer<'_>, local: &LocalNode) {
    w.utf8(&d::ORIGIN_HOST, &local.identity.host);
    w.utf8(&d::ORIGIN_REALM, &local.identity.realm);
    for ip in &local.host_ips {
        w.address(&d::HOST_IP_ADDRESS, *ip);
    }
    w.u32(&d::VENDOR_ID, local.vendor_id);
    w.utf8(&d::PRODUCT_NAME, &local.product_name);
    origin_state(w, local);
    for vendor in &local.supported_vendors {
        w.u32(&d::SUPPORTED_VENDOR_ID, *vendor);
    }
    for id in &local.auth_applications {
        w.u32(&d::AUTH_APPLICATION_ID, *id);
    }
    for (vendor, id) in &local.vendor_auth_applications {
        w.group(&d::VENDOR_SPECIFIC_APPLICATION_ID, |w| {
            w.u32(&d::VENDOR_ID, *vendor);
            w.u32(&d::AUTH_APPLICATION_ID, *id);
        });
    }
}

/// Inband-Security-Id: none.
const NO_INBAND_SECURITY: u32 = 0;

/// What the grammar of CER demands.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a str>,
    realm: Option<&'a str>,
    address: Option<super::avp::Address<'a>>,
    vendor: Option<u32>,
    product: Option<&'a str>,
}

impl Seen<'_> {
    fn check(&self, is_request: bool) -> Result<(), RequestError> {
        let demanded: [(bool, &AvpDef); 5] = [
            (self.host.is_some(), &d::ORIGIN_HOST),
            (self.realm.is_some(), &d::ORIGIN_REALM),
            (self.address.is_some() || !is_request, &d::HOST_IP_ADDRESS),
            (self.vendor.is_some() || !is_request, &d::VENDOR_ID),
            (self.product.is_some() || !is_request, &d::PRODUCT_NAME),
        ];
        match demanded.iter().find(|(there, _)| !there) {
            Some((_, def)) => Err(RequestError::missing(def)),
            None => Ok(()),
        }
    }
}

/// The one application of a Vendor-Specific-Application-Id; several Vendor-Ids do no harm (spec B-143).
fn vendor_specific_application(group: &Avp<'_>) -> Result<u32, RequestError> {
    let (mut auth, mut acct) = (None, None);
    for avp in group.grouped() {
        let avp = avp.map_err(|error| error.inside(&d::VENDOR_SPECIFIC_APPLICATION_ID))?;
        match avp.key() {
            key::AUTH_APPLICATION_ID => auth = Some(avp),
            key::ACCT_APPLICATION_ID => acct = Some(avp),
            _ => {}
        }
    }
    match (auth, acct) {
        (Some(one), None) | (None, Some(one)) => {
            Ok(one.u32().map_err(|error| error.inside(&d::VENDOR_SPECIFIC_APPLICATION_ID))?)
        }
        (None, None) => {
            let mut examples = writer::example_of(&d::AUTH_APPLICATION_ID);
            examples.extend(writer::example_of(&d::ACCT_APPLICATION_ID));
            let message = "Vendor-Specific-Application-Id names no application";
            Err(RequestError::new(ResultCode::MISSING_AVP, message).with_failed_avp(examples))
        }
        (Some(auth), Some(acct)) => {
            let mut both = writer::padded(auth.raw);
            both.extend(writer::padded(acct.raw));
            let message = "Vendor-Specific-Application-Id names two applications";
            Err(RequestError::new(ResultCode::AVP_OCCURS_TOO_MANY_TIMES, message).with_failed_avp(both))
        }
    }
}
