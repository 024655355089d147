//! The credit-control answer (RFC 8506 3.2, TS 32.299 6.4.3): what the server grants.

use std::{borrow::Cow, sync::Arc};

use crate::diameter::{base::Identity, error::ResultCode, frame::Frame};

use super::units::{CcMoney, GrantedUnits};

/// A CCA without what it repeats of the request; that comes from the request's frame when it is encoded, so a stored
/// answer serves a retransmission too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditControlAnswer {
    /// Result-Code of the command.
    pub result_code: ResultCode,
    /// CC-Session-Failover: sessions may be moved to another server (spec C-151).
    pub session_failover: Option<bool>,
    /// Granted-Service-Unit of the command, for requests without MSCC (spec C-39).
    pub granted: Option<GrantedUnits>,
    /// Multiple-Services-Credit-Control.
    pub services: Vec<ServiceAnswer>,
    /// Cost-Information (spec C-56).
    pub cost: Option<CostInformation>,
    /// Low-Balance-Indication (3GPP, spec G-80).
    pub low_balance: Option<bool>,
    /// Remaining-Balance (3GPP, spec G-81).
    pub remaining_balance: Option<CcMoney>,
    /// Final-Unit-Indication of the command: for the whole session (spec C-82).
    pub final_unit: Option<FinalUnitAction>,
    /// Check-Balance-Result (spec C-132).
    pub check_balance: Option<CheckBalanceResult>,
    /// Credit-Control-Failure-Handling (spec C-150).
    pub failure_handling: Option<FailureHandling>,
    /// Direct-Debiting-Failure-Handling is CONTINUE (`true`) or TERMINATE_OR_BUFFER (spec C-152).
    pub direct_debiting_continue: Option<bool>,
    /// Validity-Time of the command, seconds.
    pub validity_time: Option<u32>,
    /// Content of Failed-AVP.
    pub failed_avp: Option<Vec<u8>>,
    /// Error-Message: for logs, without personal data (spec B-86).
    pub error_message: Option<Cow<'static, str>>,
}

impl CreditControlAnswer {
    /// A result and nothing else.
    pub const fn new(result_code: ResultCode) -> Self {
        Self {
            result_code,
            session_failover: None,
            granted: None,
            services: Vec::new(),
            cost: None,
            low_balance: None,
            remaining_balance: None,
            final_unit: None,
            check_balance: None,
            failure_handling: None,
            direct_debiting_continue: None,
            validity_time: None,
            failed_avp: None,
            error_message: None,
        }
    }

    /// Writes the answer to `request` in the order that real clients need (spec I-1): Session-Id, Result-Code,
    /// Origin-Host, Origin-Realm, Auth-Application-Id, CC-Request-Type, CC-Request-Number, and the rest. Proxy-Info is
    /// copied untouched and in order (spec B-136); Route-Record is not (spec B-81). 3xxx sets E (spec B-82).
    pub fn encode(&self, request: &Frame, local: &Identity, out: &mut Vec<u8>) {
        let _ = (request, local, out);
    }
}

/// One MSCC of a CCA: one quota object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAnswer {
    /// Rating-Group, as in the request (spec C-31, G-112).
    pub rating_group: Option<u32>,
    /// The first Service-Identifier, as in the request.
    pub service_identifier: Option<u32>,
    /// The others.
    pub more_service_identifiers: Vec<u32>,
    /// Result-Code of this quota; always sent by this product (spec C-42).
    pub result_code: Option<ResultCode>,
    /// Granted-Service-Unit. With 2001 there is one, or a Final-Unit-Indication (spec I-2).
    pub granted: Option<GrantedUnits>,
    /// Validity-Time, seconds.
    pub validity_time: Option<u32>,
    /// Final-Unit-Indication (spec C-80).
    pub final_unit: Option<FinalUnitAction>,
    /// Time-Quota-Threshold (3GPP): seconds that remain when the client is to ask again (spec G-60).
    pub time_quota_threshold: Option<u32>,
    /// Volume-Quota-Threshold (3GPP), octets.
    pub volume_quota_threshold: Option<u32>,
    /// Unit-Quota-Threshold (3GPP).
    pub unit_quota_threshold: Option<u32>,
    /// Quota-Holding-Time (3GPP), seconds (spec G-63).
    pub quota_holding_time: Option<u32>,
    /// Quota-Consumption-Time (3GPP), seconds (spec G-65).
    pub quota_consumption_time: Option<u32>,
    /// The Trigger-Types to arm (3GPP, spec G-50): `None` sends no Trigger, an empty list disarms all.
    pub triggers: Option<Arc<[u32]>>,
    /// Refund-Information (3GPP, spec G-83).
    pub refund_information: Option<Vec<u8>>,
}

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

/// Cost-Information (RFC 8506 8.7, spec C-56).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostInformation {
    /// The cost; its currency must be given.
    pub cost: CcMoney,
    /// Cost-Unit: what the cost is for, such as `minute`.
    pub unit: Option<Arc<str>>,
}

/// Check-Balance-Result (RFC 8506 8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CheckBalanceResult {
    /// It would be granted.
    EnoughCredit = 0,
    /// It would not.
    NoCredit = 1,
}

/// Credit-Control-Failure-Handling (RFC 8506 8.14, spec C-150).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FailureHandling {
    /// Stop the service.
    Terminate = 0,
    /// Try another server, else let the service go on.
    Continue = 1,
    /// Try another server, else stop the service.
    RetryAndTerminate = 2,
}
