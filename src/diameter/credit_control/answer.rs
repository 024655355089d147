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

use super::{
    final_unit::{FinalUnitAction, QosFinalUnit},
    group::Place,
    information::{AnswerInformation, ExperimentalResult, Redirection},
    service_answer::ServiceAnswer,
    units::{CcMoney, GrantedUnits},
};

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
    /// What hardly any answer has.
    pub extras: Option<Box<AnswerExtras>>,
}

/// What hardly any CCA has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerExtras {
    /// Experimental-Result, beside Result-Code.
    pub experimental: Option<ExperimentalResult>,
    /// Origin-State-Id.
    pub origin_state_id: Option<u32>,
    /// QoS-Final-Unit-Indication of the command, beside Final-Unit-Indication (spec C-89).
    pub qos_final_unit: Option<QosFinalUnit>,
    /// Redirect-Host and what belongs to it.
    pub redirection: Redirection,
    /// Service-Information: advice of charge and the like.
    pub information: Option<AnswerInformation>,
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
            extras: None,
        }
    }

    /// Writes the answer to `request` in the order that real clients need (spec I-1): Session-Id, Result-Code,
    /// Origin-Host, Origin-Realm, Auth-Application-Id, CC-Request-Type, CC-Request-Number, and the rest. Proxy-Info is
    /// copied untouched and in order (spec B-136); Route-Record is not (spec B-81). 3xxx sets E (spec B-82).
    ///
    /// Returns whether the client is to be told of overload (RFC 7683); see
    /// [`append_overload`](super::append_overload).
    pub fn encode(&self, request: &Frame, local: &Identity, out: &mut Vec<u8>) -> bool {
        let copied = Copied::from(request.body());
        if self.result_code.is_protocol_error() || !copied.suffices_for_cca() {
            self.encode_error(request, local, out);
            return copied.takes_reports;
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
        if let Some(extras) = &self.extras {
            extras.write(w);
        }
    }

    #[cold]
    fn encode_error(&self, request: &Frame, local: &Identity, out: &mut Vec<u8>) {
        let start = out.len();
        write_error_answer(out, request, local, &self.as_error());
        if let (Some(extras), Some(mut w)) = (&self.extras, Writer::resume(out, start)) {
            extras.write_for_errors(&mut w);
            w.finish();
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

impl AnswerExtras {
    fn write(&self, w: &mut Writer<'_>) {
        if let Some(action) = &self.qos_final_unit {
            action.write(w);
        }
        self.write_for_errors(w);
        self.information.write_all(&d::SERVICE_INFORMATION, w);
    }

    /// What goes with an error too.
    fn write_for_errors(&self, w: &mut Writer<'_>) {
        self.experimental.write_all(&d::EXPERIMENTAL_RESULT, w);
        self.origin_state_id.write_all(&d::ORIGIN_STATE_ID, w);
        self.redirection.write_members(w);
    }
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
