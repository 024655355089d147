//! What is to happen when the final units are used up (RFC 8506 8.34..8.38 and 8.64..8.68, spec section 7 of
//! credit-control).

use std::{net::IpAddr, sync::Arc};

use crate::diameter::{dictionary as d, writer::Writer};

/// Final-Unit-Action and what belongs to it (RFC 8506 8.34, 8.35, spec C-80).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalUnitAction {
    /// End the service.
    Terminate,
    /// Send the user there.
    Redirect {
        /// Redirect-Address-Type.
        kind: RedirectAddressType,
        /// Redirect-Server-Address.
        address: Arc<str>,
    },
    /// Let through only what the filters allow.
    RestrictAccess {
        /// Restriction-Filter-Rule.
        rules: Arc<[Arc<str>]>,
        /// Filter-Id.
        filter_ids: Arc<[Arc<str>]>,
    },
}

impl FinalUnitAction {
    /// Writes Final-Unit-Indication.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::FINAL_UNIT_INDICATION, |w| match self {
            Self::Terminate => w.u32(&d::FINAL_UNIT_ACTION, 0),
            Self::Redirect { kind, address } => {
                w.u32(&d::FINAL_UNIT_ACTION, 1);
                w.group(&d::REDIRECT_SERVER, |w| {
                    w.u32(&d::REDIRECT_ADDRESS_TYPE, *kind as u32);
                    w.utf8(&d::REDIRECT_SERVER_ADDRESS, address);
                });
            }
            Self::RestrictAccess { rules, filter_ids } => {
                w.u32(&d::FINAL_UNIT_ACTION, 2);
                rules.iter().for_each(|rule| w.utf8(&d::RESTRICTION_FILTER_RULE, rule));
                filter_ids.iter().for_each(|id| w.utf8(&d::FILTER_ID, id));
            }
        });
    }
}

/// Redirect-Address-Type (RFC 8506 8.38).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RedirectAddressType {
    /// Dotted.
    Ipv4 = 0,
    /// RFC 5952.
    Ipv6 = 1,
    /// URL.
    Url = 2,
    /// SIP URI.
    SipUri = 3,
}

impl FinalUnitAction {
    /// The same for QoS-Final-Unit-Indication, which stands beside this form for clients that know it (spec C-89). `None`
    /// when it would say less: it has no place for rules as text.
    pub fn to_qos_form(&self) -> Option<QosFinalUnit> {
        Some(match self {
            Self::Terminate => QosFinalUnit::Terminate,
            Self::Redirect { kind, address } => QosFinalUnit::Redirect(match kind {
                RedirectAddressType::Ipv4 | RedirectAddressType::Ipv6 => RedirectTarget::Ip(address.parse().ok()?),
                RedirectAddressType::Url => RedirectTarget::Url(Arc::clone(address)),
                RedirectAddressType::SipUri => RedirectTarget::SipUri(Arc::clone(address)),
            }),
            Self::RestrictAccess { rules, filter_ids } if rules.is_empty() => {
                QosFinalUnit::RestrictAccess { filter_rules: Arc::new([]), filter_ids: Arc::clone(filter_ids) }
            }
            Self::RestrictAccess { .. } => return None,
        })
    }
}

/// QoS-Final-Unit-Indication (RFC 8506 8.68): only for clients that are known to understand it (spec C-89). Sent with M
/// clear, so that others may ignore it (spec C-190).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QosFinalUnit {
    /// End the service.
    Terminate,
    /// Send the user there.
    Redirect(RedirectTarget),
    /// Let through only what the filters allow.
    RestrictAccess {
        /// Filter-Rule: the members of each (RFC 5777 3.1), ready encoded.
        filter_rules: Arc<[Arc<[u8]>]>,
        /// Filter-Id.
        filter_ids: Arc<[Arc<str>]>,
    },
}

/// Redirect-Server-Extension: exactly one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectTarget {
    /// Redirect-Address-IPAddress.
    Ip(IpAddr),
    /// Redirect-Address-URL.
    Url(Arc<str>),
    /// Redirect-Address-SIP-URI.
    SipUri(Arc<str>),
}

impl QosFinalUnit {
    /// Writes QoS-Final-Unit-Indication.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::QOS_FINAL_UNIT_INDICATION, |w| match self {
            Self::Terminate => w.u32(&d::FINAL_UNIT_ACTION, 0),
            Self::Redirect(target) => {
                w.u32(&d::FINAL_UNIT_ACTION, 1);
                w.group(&d::REDIRECT_SERVER_EXTENSION, |w| match target {
                    RedirectTarget::Ip(ip) => w.address(&d::REDIRECT_ADDRESS_IPADDRESS, *ip),
                    RedirectTarget::Url(url) => w.utf8(&d::REDIRECT_ADDRESS_URL, url),
                    RedirectTarget::SipUri(uri) => w.utf8(&d::REDIRECT_ADDRESS_SIP_URI, uri),
                });
            }
            Self::RestrictAccess { filter_rules, filter_ids } => {
                w.u32(&d::FINAL_UNIT_ACTION, 2);
                filter_rules.iter().for_each(|rule| w.octets(&d::FILTER_RULE, rule));
                filter_ids.iter().for_each(|id| w.utf8(&d::FILTER_ID, id));
            }
        });
    }
}
