//! This node's identity, and the base commands that keep a connection alive or end it: DWR and DPR (RFC 6733 5.4, 5.5,
//! spec sections 12 and 13).

use std::net::IpAddr;

use super::{
    avp::Avps,
    dictionary::{self as d, application, command, key},
    error::{RequestError, ResultCode},
    frame::{Frame, Header},
    writer::Writer,
};

/// Origin-Host and Origin-Realm of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// DiameterIdentity, such as `ocs1.tollgate.example`.
    pub host: String,
    /// Realm, such as `tollgate.example`.
    pub realm: String,
}

/// What this node says of itself in CER and CEA, and what it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    /// Origin-Host and Origin-Realm.
    pub identity: Identity,
    /// Host-IP-Address; at least one (spec B-148).
    pub host_ips: Vec<IpAddr>,
    /// Vendor-Id; 0 is allowed (spec B-140).
    pub vendor_id: u32,
    /// Product-Name.
    pub product_name: String,
    /// Origin-State-Id; 0 leaves it out (spec B-190, B-192).
    pub origin_state_id: u32,
    /// Applications for Auth-Application-Id.
    pub auth_applications: Vec<u32>,
    /// Vendor and application for Vendor-Specific-Application-Id, such as (10415, Sy).
    pub vendor_auth_applications: Vec<(u32, u32)>,
    /// Application and command of the requests that the application takes; others are answered with 3007 or 3001 (spec
    /// B-63).
    pub served_commands: Vec<(u32, u32)>,
    /// Supported-Vendor-Id.
    pub supported_vendors: Vec<u32>,
    /// Realms served besides the identity's own.
    pub more_realms: Vec<String>,
    /// Hosts whose sessions are ours as well: siblings of a cluster (spec B-133).
    pub sibling_hosts: Vec<String>,
}

impl LocalNode {
    /// A credit-control server of 3GPP's kind: application 4, supported vendor 10415; takes CCRs.
    pub fn credit_control(identity: Identity, host_ips: Vec<IpAddr>) -> Self {
        Self {
            identity,
            host_ips,
            vendor_id: 0,
            product_name: "Tollgate".to_owned(),
            origin_state_id: 0,
            auth_applications: vec![application::CREDIT_CONTROL],
            vendor_auth_applications: Vec::new(),
            served_commands: vec![(application::CREDIT_CONTROL, command::CREDIT_CONTROL)],
            supported_vendors: vec![d::vendor::TGPP],
            more_realms: Vec::new(),
            sibling_hosts: Vec::new(),
        }
    }

    /// A credit-control client, such as a gateway: the same, but takes RARs and ASRs.
    pub fn gateway(identity: Identity, host_ips: Vec<IpAddr>) -> Self {
        let served = [command::RE_AUTH, command::ABORT_SESSION].map(|command| (application::CREDIT_CONTROL, command));
        Self { served_commands: served.to_vec(), ..Self::credit_control(identity, host_ips) }
    }

    /// Whether a request with this destination is for this node (spec B-130..B-133). `any_realm` serves a peer that puts
    /// a realm of its own into Destination-Realm, as long as no other host is named (spec B-132, I-10).
    ///
    /// # Errors
    /// 3002 when another host is named, 3003 when another realm is.
    pub fn check_destination(
        &self,
        host: Option<&str>,
        realm: Option<&str>,
        any_realm: bool,
    ) -> Result<(), RequestError> {
        let ours = |name: &str, own: &str, more: &[String]| {
            name.eq_ignore_ascii_case(own) || more.iter().any(|other| name.eq_ignore_ascii_case(other))
        };
        match (host, realm) {
            (Some(host), _) if ours(host, &self.identity.host, &self.sibling_hosts) => Ok(()),
            (Some(_), _) => Err(RequestError::new(ResultCode::UNABLE_TO_DELIVER, "another host is named")),
            (None, Some(realm)) if !any_realm && !ours(realm, &self.identity.realm, &self.more_realms) => {
                Err(RequestError::new(ResultCode::REALM_NOT_SERVED, "another realm is named"))
            }
            (None, _) => Ok(()),
        }
    }

    /// Whether the node speaks an application (spec B-63, B-144).
    pub fn supports(&self, application: u32) -> bool {
        let vendor_specific = self.vendor_auth_applications.iter().map(|(_, id)| *id);
        let mut all = self.auth_applications.iter().copied().chain(vendor_specific);
        all.any(|own| own == application || own == application::RELAY)
    }

    /// Whether a request is for the application, or what its answer says (spec B-63): 3007 before 3001.
    ///
    /// # Errors
    /// 3007 or 3001.
    pub fn check_command(&self, header: &Header) -> Result<(), RequestError> {
        if self.served_commands.contains(&(header.application, header.command)) {
            Ok(())
        } else if header.application != application::COMMON && !self.supports(header.application) {
            Err(RequestError::new(ResultCode::APPLICATION_UNSUPPORTED, ""))
        } else {
            Err(RequestError::new(ResultCode::COMMAND_UNSUPPORTED, ""))
        }
    }
}

/// Disconnect-Cause (RFC 6733 5.4.3, spec B-171).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DisconnectCause {
    /// Coming back soon.
    Rebooting = 0,
    /// Out of resources.
    Busy = 1,
    /// No reason to talk; do not come back by yourself.
    DoNotWantToTalkToYou = 2,
}

impl DisconnectCause {
    /// From the wire; an unknown cause is the one that promises least.
    pub const fn from_value(value: u32) -> Self {
        match value {
            0 => Self::Rebooting,
            1 => Self::Busy,
            _ => Self::DoNotWantToTalkToYou,
        }
    }
}

/// Origin-Host and the like of any base message, and its Result-Code when it is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BaseMessage<'a> {
    /// Origin-Host.
    pub origin_host: Option<&'a str>,
    /// Origin-Realm.
    pub origin_realm: Option<&'a str>,
    /// Origin-State-Id.
    pub origin_state_id: Option<u32>,
    /// Result-Code.
    pub result_code: Option<ResultCode>,
    /// Disconnect-Cause.
    pub disconnect_cause: Option<u32>,
}

impl<'a> BaseMessage<'a> {
    /// Reads what there is: DWR, DWA, DPR, DPA, CEA, RAA or ASA.
    ///
    /// # Errors
    /// 5014 or 5004 for an AVP that cannot be read.
    pub fn parse(frame: &'a Frame) -> Result<Self, RequestError> {
        let mut message = Self::default();
        for avp in Avps::new(frame.body()) {
            let avp = avp?;
            match avp.key() {
                key::ORIGIN_HOST => message.origin_host = Some(avp.utf8()?),
                key::ORIGIN_REALM => message.origin_realm = Some(avp.utf8()?),
                key::ORIGIN_STATE_ID => message.origin_state_id = Some(avp.u32()?),
                key::RESULT_CODE => message.result_code = Some(ResultCode(avp.u32()?)),
                key::DISCONNECT_CAUSE => message.disconnect_cause = Some(avp.u32()?),
                _ => {}
            }
        }
        Ok(message)
    }
}

/// DWR (RFC 6733 5.5.1).
pub fn write_dwr(out: &mut Vec<u8>, local: &LocalNode, hop_by_hop: u32, end_to_end: u32) {
    let mut w = request(out, local, command::DEVICE_WATCHDOG, hop_by_hop, end_to_end);
    origin_state(&mut w, local);
    w.finish();
}

/// DWA with 2001 (RFC 6733 5.5.2, spec B-169).
pub fn write_dwa(out: &mut Vec<u8>, local: &LocalNode, request: &Header) {
    let mut w = success(out, local, request);
    origin_state(&mut w, local);
    w.finish();
}

/// DPR (RFC 6733 5.4.1, spec B-171).
pub fn write_dpr(out: &mut Vec<u8>, local: &LocalNode, cause: DisconnectCause, hop_by_hop: u32, end_to_end: u32) {
    let mut w = request(out, local, command::DISCONNECT_PEER, hop_by_hop, end_to_end);
    w.u32(&d::DISCONNECT_CAUSE, cause as u32);
    w.finish();
}

/// DPA with 2001 (RFC 6733 5.4.2, spec B-172).
pub fn write_dpa(out: &mut Vec<u8>, local: &LocalNode, request: &Header) {
    success(out, local, request).finish();
}

fn request<'b>(out: &'b mut Vec<u8>, local: &LocalNode, command: u32, hop_by_hop: u32, end_to_end: u32) -> Writer<'b> {
    let header = Header::request(command, application::COMMON, false, hop_by_hop, end_to_end);
    let mut w = Writer::start(out, header);
    w.utf8(&d::ORIGIN_HOST, &local.identity.host);
    w.utf8(&d::ORIGIN_REALM, &local.identity.realm);
    w
}

fn success<'b>(out: &'b mut Vec<u8>, local: &LocalNode, request: &Header) -> Writer<'b> {
    let mut w = Writer::start(out, request.answer());
    w.u32(&d::RESULT_CODE, ResultCode::SUCCESS.0);
    w.utf8(&d::ORIGIN_HOST, &local.identity.host);
    w.utf8(&d::ORIGIN_REALM, &local.identity.realm);
    w
}

pub(super) fn origin_state(w: &mut Writer<'_>, local: &LocalNode) {
    if local.origin_state_id != 0 {
        w.u32(&d::ORIGIN_STATE_ID, local.origin_state_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: B-130 B-131 B-132 B-133 I-10
    #[test]
    fn a_destination_decides_whether_a_request_is_for_us() {
        let identity = Identity { host: "ocs1.example.com".into(), realm: "example.com".into() };
        let mut node = LocalNode::credit_control(identity, vec![]);
        node.more_realms.push("old.example".into());
        node.sibling_hosts.push("ocs2.example.com".into());
        for (host, realm, any_realm, code) in [
            (None, None, false, None),
            (None, Some("EXAMPLE.com"), false, None),
            (None, Some("old.example"), false, None),
            (None, Some("smf.example"), false, Some(3003)),
            (None, Some("smf.example"), true, None),
            (Some("OCS1.example.com"), Some("smf.example"), false, None),
            (Some("ocs2.example.com"), Some("example.com"), false, None),
            (Some("ocs3.example.com"), Some("example.com"), true, Some(3002)),
        ] {
            let verdict = node.check_destination(host, realm, any_realm).err().map(|error| error.result_code.0);
            assert_eq!(verdict, code, "{host:?} {realm:?} {any_realm}");
        }
    }
}
