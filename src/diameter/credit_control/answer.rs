//! The credit-control answer (RFC 8506 3.2, TS 32.299 6.4.3): what the server grants.

use std::{borrow::Cow, sync::Arc};

use crate::diameter::{
    base::Identity,
    copied::Copied,
    dictionary as d,
    error::{RequestError, ResultCode, write_error_answer},
    frame::Frame,
    writer::Writer,
};

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
    ///
    /// Returns whether the client is to be told of overload (RFC 7683); see
    /// [`overload::append`](crate::diameter::overload::append).
    pub fn encode(&self, request: &Frame, local: &Identity, out: &mut Vec<u8>) -> bool {
        let copied = Copied::from(request.body());
        if self.result_code.is_protocol_error() || !copied.suffices_for_cca() {
            return write_error_answer(out, request, local, &self.as_error());
        }
        out.reserve(ANSWER_LEN_TYPICAL);
        let header = request.header();
        let mut w = Writer::start(out, header.answer());
        copied.write_session_id(&mut w);
        w.u32(&d::RESULT_CODE, self.result_code.0);
        w.utf8(&d::ORIGIN_HOST, &local.host);
        w.utf8(&d::ORIGIN_REALM, &local.realm);
        w.u32(&d::AUTH_APPLICATION_ID, header.application);
        copied.write_request_type_and_number(&mut w);
        if let Some(supported) = self.session_failover {
            w.u32(&d::CC_SESSION_FAILOVER, u32::from(supported));
        }
        if let Some(id) = copied.sub_session_id {
            w.octets(&d::CC_SUB_SESSION_ID, id);
        }
        if let Some(granted) = &self.granted {
            granted.write(&mut w);
        }
        for service in &self.services {
            service.write(&mut w);
        }
        self.write_extras(&mut w);
        copied.write_proxy_infos(&mut w);
        w.finish();
        copied.takes_reports
    }

    /// What most answers lack.
    fn write_extras(&self, w: &mut Writer<'_>) {
        if let Some(cost) = &self.cost {
            cost.write(w);
        }
        if let Some(low) = self.low_balance {
            w.u32(&d::LOW_BALANCE_INDICATION, u32::from(low));
        }
        if let Some(balance) = &self.remaining_balance {
            w.group(&d::REMAINING_BALANCE, |w| balance.write(w));
        }
        if let Some(action) = &self.final_unit {
            action.write(w);
        }
        if let Some(result) = self.check_balance {
            w.u32(&d::CHECK_BALANCE_RESULT, result as u32);
        }
        if let Some(handling) = self.failure_handling {
            w.u32(&d::CREDIT_CONTROL_FAILURE_HANDLING, handling as u32);
        }
        if let Some(goes_on) = self.direct_debiting_continue {
            w.u32(&d::DIRECT_DEBITING_FAILURE_HANDLING, u32::from(goes_on));
        }
        if let Some(seconds) = self.validity_time {
            w.u32(&d::VALIDITY_TIME, seconds);
        }
        if let Some(message) = &self.error_message {
            w.utf8(&d::ERROR_MESSAGE, message);
        }
        if let Some(failed) = &self.failed_avp {
            w.octets(&d::FAILED_AVP, failed);
        }
    }

    fn as_error(&self) -> RequestError {
        RequestError {
            result_code: self.result_code,
            failed_avp: self.failed_avp.clone(),
            message: self.error_message.clone().unwrap_or_default(),
            bound: None,
        }
    }
}

/// Room for an answer with one MSCC, so that the buffer grows once.
const ANSWER_LEN_TYPICAL: usize = 320;

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

impl ServiceAnswer {
    /// Writes the group.
    #[inline]
    fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, |w| {
            if let Some(granted) = &self.granted {
                granted.write(w);
            }
            for id in self.service_identifier.iter().chain(&self.more_service_identifiers) {
                w.u32(&d::SERVICE_IDENTIFIER, *id);
            }
            for (def, value) in [
                (&d::RATING_GROUP, self.rating_group),
                (&d::VALIDITY_TIME, self.validity_time),
                (&d::RESULT_CODE, self.result_code.map(|code| code.0)),
            ] {
                if let Some(value) = value {
                    w.u32(def, value);
                }
            }
            if let Some(action) = &self.final_unit {
                action.write(w);
            }
            for (def, value) in [
                (&d::TIME_QUOTA_THRESHOLD, self.time_quota_threshold),
                (&d::VOLUME_QUOTA_THRESHOLD, self.volume_quota_threshold),
                (&d::UNIT_QUOTA_THRESHOLD, self.unit_quota_threshold),
                (&d::QUOTA_HOLDING_TIME, self.quota_holding_time),
                (&d::QUOTA_CONSUMPTION_TIME, self.quota_consumption_time),
            ] {
                if let Some(value) = value {
                    w.u32(def, value);
                }
            }
            if let Some(triggers) = &self.triggers {
                w.group(&d::TRIGGER, |w| triggers.iter().for_each(|kind| w.u32(&d::TRIGGER_TYPE, *kind)));
            }
            if let Some(token) = &self.refund_information {
                w.octets(&d::REFUND_INFORMATION, token);
            }
        });
    }
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

impl FinalUnitAction {
    /// Writes Final-Unit-Indication.
    fn write(&self, w: &mut Writer<'_>) {
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

/// Cost-Information (RFC 8506 8.7, spec C-56).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostInformation {
    /// The cost; its currency must be given.
    pub cost: CcMoney,
    /// Cost-Unit: what the cost is for, such as `minute`.
    pub unit: Option<Arc<str>>,
}

impl CostInformation {
    /// Writes the group.
    fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::COST_INFORMATION, |w| {
            self.cost.write(w);
            if let Some(unit) = &self.unit {
                w.utf8(&d::COST_UNIT, unit);
            }
        });
    }
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
