//! Reading a credit-control answer, as a client does.

use std::sync::Arc;

use crate::diameter::{
    avp::{Address, Avp, Avps},
    dictionary::key,
    error::{RequestError, ResultCode},
    frame::Frame,
    limits::Limits,
};

use super::{
    answer::{AnswerExtras, CheckBalanceResult, CostInformation, CreditControlAnswer, FailureHandling},
    final_unit::{FinalUnitAction, QosFinalUnit, RedirectAddressType, RedirectTarget},
    group::Place,
    problems::{Problems, Strictness},
    request::RequestType,
    service_answer::{ServiceAnswer, ServiceAnswerExtras},
    units::{CcMoney, GrantedUnits, MoneyReading, tariff_change_usage},
};

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
    /// The rest. An answer without Result-Code counts as 5012.
    pub answer: CreditControlAnswer,
}

impl CreditControlAnswer {
    /// Reads a CCA, or an answer with the E bit to a CCR. Members unknown to this product are passed over.
    ///
    /// # Errors
    /// An AVP that cannot be read; an answer is never answered (spec B-89).
    pub fn parse(frame: &Frame) -> Result<ReceivedAnswer<'_>, RequestError> {
        let mut received = ReceivedAnswer {
            session_id: None,
            origin_host: None,
            origin_realm: None,
            request_type: None,
            request_number: None,
            answer: Self::new(ResultCode::UNABLE_TO_COMPLY),
        };
        let mut result_code = None;
        let mut problems = Problems::new(Strictness::Tolerant, &Limits::default());
        problems.each(Avps::new(frame.body()), &mut |avp, problems| match avp.key() {
            key::SESSION_ID => problems.once(&mut received.session_id, avp, |avp| Ok(avp.data)),
            key::RESULT_CODE => problems.once(&mut result_code, avp, Avp::u32),
            key::ORIGIN_HOST => problems.once(&mut received.origin_host, avp, Avp::utf8),
            key::ORIGIN_REALM => problems.once(&mut received.origin_realm, avp, Avp::utf8),
            key::CC_REQUEST_TYPE => problems.once(&mut received.request_type, avp, |avp| {
                RequestType::from_value(avp.u32()?).ok_or_else(|| avp.bad_value("is not 1 to 4"))
            }),
            key::CC_REQUEST_NUMBER => problems.once(&mut received.request_number, avp, Avp::u32),
            _ => received.answer.take(avp, problems),
        });
        problems.verdict()?;
        if let Some(code) = result_code {
            received.answer.result_code = ResultCode(code);
        }
        Ok(received)
    }

    fn take(&mut self, avp: &Avp<'_>, problems: &mut Problems) {
        match avp.key() {
            key::MULTIPLE_SERVICES_CREDIT_CONTROL => self.services.push(ServiceAnswer::read(avp, problems)),
            key::GRANTED_SERVICE_UNIT => {
                let granted = GrantedUnits::read(avp, problems);
                problems.once(&mut self.granted, avp, |_| Ok(granted));
            }
            key::COST_INFORMATION => self.cost = Some(CostInformation::read(avp, problems)),
            key::REMAINING_BALANCE => self.remaining_balance = Some(CcMoney::read(avp, problems)),
            key::FINAL_UNIT_INDICATION => self.final_unit = FinalUnitAction::read(avp, problems),
            key::CC_SESSION_FAILOVER => problems.once(&mut self.session_failover, avp, flag),
            key::LOW_BALANCE_INDICATION => problems.once(&mut self.low_balance, avp, flag),
            key::DIRECT_DEBITING_FAILURE_HANDLING => problems.once(&mut self.direct_debiting_continue, avp, flag),
            key::CHECK_BALANCE_RESULT => problems.once(&mut self.check_balance, avp, |avp| match avp.u32()? {
                0 => Ok(CheckBalanceResult::EnoughCredit),
                _ => Ok(CheckBalanceResult::NoCredit),
            }),
            key::CREDIT_CONTROL_FAILURE_HANDLING => {
                problems.once(&mut self.failure_handling, avp, |avp| match avp.u32()? {
                    0 => Ok(FailureHandling::Terminate),
                    1 => Ok(FailureHandling::Continue),
                    2 => Ok(FailureHandling::RetryAndTerminate),
                    _ => Err(avp.bad_value("is not 0, 1 or 2")),
                });
            }
            key::VALIDITY_TIME => problems.once(&mut self.validity_time, avp, Avp::u32),
            // Several are allowed in a CCA; the first is the one to look at.
            key::FAILED_AVP => _ = self.failed_avp.get_or_insert_with(|| avp.data.to_vec()),
            key::ERROR_MESSAGE => {
                let mut text = None;
                problems.once(&mut text, avp, Avp::utf8);
                self.error_message = text.map(|text| text.to_owned().into());
            }
            key::EXPERIMENTAL_RESULT
            | key::ORIGIN_STATE_ID
            | key::QOS_FINAL_UNIT_INDICATION
            | key::REDIRECT_HOST
            | key::REDIRECT_HOST_USAGE
            | key::REDIRECT_MAX_CACHE_TIME
            | key::SERVICE_INFORMATION => {
                problems.skip(avp);
                self.extras.get_or_insert_default().take(avp);
            }
            _ => problems.skip(avp),
        }
    }
}

impl AnswerExtras {
    fn take(&mut self, avp: &Avp<'_>) {
        match avp.key() {
            key::EXPERIMENTAL_RESULT => self.experimental.accept(avp),
            key::ORIGIN_STATE_ID => self.origin_state_id.accept(avp),
            key::QOS_FINAL_UNIT_INDICATION => self.qos_final_unit = QosFinalUnit::read(avp),
            key::SERVICE_INFORMATION => self.information.accept(avp),
            _ => self.redirection.read_members(avp.raw),
        }
    }
}

impl ServiceAnswer {
    fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let mut service = Self::default();
        problems.members(group, |avp, problems| service.take(avp, problems));
        service
    }

    fn take(&mut self, avp: &Avp<'_>, problems: &mut Problems) {
        match avp.key() {
            key::GRANTED_SERVICE_UNIT => {
                let granted = GrantedUnits::read(avp, problems);
                problems.once(&mut self.granted, avp, |_| Ok(granted));
            }
            key::RATING_GROUP => problems.once(&mut self.rating_group, avp, Avp::u32),
            key::SERVICE_IDENTIFIER if self.service_identifier.is_none() => {
                problems.once(&mut self.service_identifier, avp, Avp::u32);
            }
            key::SERVICE_IDENTIFIER => self.more_service_identifiers.extend(avp.u32().ok()),
            key::RESULT_CODE => problems.once(&mut self.result_code, avp, |avp| avp.u32().map(ResultCode)),
            key::VALIDITY_TIME => problems.once(&mut self.validity_time, avp, Avp::u32),
            key::FINAL_UNIT_INDICATION => self.final_unit = FinalUnitAction::read(avp, problems),
            key::TIME_QUOTA_THRESHOLD => problems.once(&mut self.time_quota_threshold, avp, Avp::u32),
            key::VOLUME_QUOTA_THRESHOLD => problems.once(&mut self.volume_quota_threshold, avp, Avp::u32),
            key::UNIT_QUOTA_THRESHOLD => problems.once(&mut self.unit_quota_threshold, avp, Avp::u32),
            key::QUOTA_HOLDING_TIME => problems.once(&mut self.quota_holding_time, avp, Avp::u32),
            key::QUOTA_CONSUMPTION_TIME => problems.once(&mut self.quota_consumption_time, avp, Avp::u32),
            key::REFUND_INFORMATION => problems.once(&mut self.refund_information, avp, |avp| Ok(avp.data.to_vec())),
            key::TRIGGER => {
                problems.skip(avp);
                let types = avp.grouped().map_while(Result::ok).filter(|avp| avp.key() == key::TRIGGER_TYPE);
                self.triggers = Some(types.filter_map(|avp| avp.u32().ok()).collect());
            }
            key::TARIFF_CHANGE_USAGE => problems.once(&mut self.tariff_change, avp, tariff_change_usage),
            _ => {
                problems.skip(avp);
                self.take_rare(avp);
            }
        }
    }

    fn take_rare(&mut self, avp: &Avp<'_>) {
        match avp.key() {
            key::G_S_U_POOL_REFERENCE => self.pools.accept(avp),
            key::TIME_QUOTA_MECHANISM => self.time_quota_mechanism.accept(avp),
            key::ENVELOPE_REPORTING => self.envelope_reporting.accept(avp),
            key::QOS_FINAL_UNIT_INDICATION | key::ANNOUNCEMENT_INFORMATION | key::PS_FURNISH_CHARGING_INFORMATION => {
                self.extras.get_or_insert_default().take(avp);
            }
            _ => {}
        }
    }
}

impl ServiceAnswerExtras {
    fn take(&mut self, avp: &Avp<'_>) {
        match avp.key() {
            key::QOS_FINAL_UNIT_INDICATION => self.qos_final_unit = QosFinalUnit::read(avp),
            key::ANNOUNCEMENT_INFORMATION => self.announcements.accept(avp),
            key::PS_FURNISH_CHARGING_INFORMATION => self.furnish.accept(avp),
            _ => {}
        }
    }
}

impl CostInformation {
    fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let (mut cost, mut unit) = (MoneyReading::default(), None);
        problems.members(group, |avp, problems| match avp.key() {
            key::COST_UNIT => problems.once(&mut unit, avp, |avp| avp.utf8().map(Arc::from)),
            _ if cost.take(avp, problems) => {}
            _ => problems.skip(avp),
        });
        Self { cost: cost.finish(), unit }
    }
}

impl FinalUnitAction {
    /// Reads Final-Unit-Indication. An action that is not known, or a redirection to nowhere, ends the service (spec
    /// C-80).
    fn read(group: &Avp<'_>, problems: &mut Problems) -> Option<Self> {
        let (mut action, mut redirect) = (None, None);
        let (mut rules, mut filter_ids) = (Vec::new(), Vec::new());
        problems.members(group, |avp, problems| match avp.key() {
            key::FINAL_UNIT_ACTION => problems.once(&mut action, avp, Avp::u32),
            key::RESTRICTION_FILTER_RULE => rules.extend(avp.utf8().map(Arc::from)),
            key::FILTER_ID => filter_ids.extend(avp.utf8().map(Arc::from)),
            key::REDIRECT_SERVER => redirect = redirect_server(avp, problems),
            _ => problems.skip(avp),
        });
        Some(match (action?, redirect) {
            (1, Some((kind, address))) => Self::Redirect { kind, address },
            (2, _) => Self::RestrictAccess { rules: rules.into(), filter_ids: filter_ids.into() },
            _ => Self::Terminate,
        })
    }
}

impl QosFinalUnit {
    /// Reads QoS-Final-Unit-Indication, by the same rules.
    fn read(group: &Avp<'_>) -> Option<Self> {
        let (mut action, mut target) = (None, None);
        let (mut rules, mut filter_ids) = (Vec::new(), Vec::new());
        for avp in group.grouped().map_while(Result::ok) {
            match avp.key() {
                key::FINAL_UNIT_ACTION => action = avp.u32().ok(),
                key::FILTER_RULE => rules.push(Arc::from(avp.data)),
                key::FILTER_ID => filter_ids.extend(avp.utf8().map(Arc::from)),
                key::REDIRECT_SERVER_EXTENSION => target = redirect_target(&avp),
                _ => {}
            }
        }
        Some(match (action?, target) {
            (1, Some(target)) => Self::Redirect(target),
            (2, _) => Self::RestrictAccess { filter_rules: rules.into(), filter_ids: filter_ids.into() },
            _ => Self::Terminate,
        })
    }
}

fn redirect_target(group: &Avp<'_>) -> Option<RedirectTarget> {
    let mut members = group.grouped().map_while(Result::ok);
    members.find_map(|avp| match avp.key() {
        key::REDIRECT_ADDRESS_IPADDRESS => match avp.address().ok()? {
            Address::Ip(ip) => Some(RedirectTarget::Ip(ip)),
            _ => None,
        },
        key::REDIRECT_ADDRESS_URL => Some(RedirectTarget::Url(avp.utf8().ok()?.into())),
        key::REDIRECT_ADDRESS_SIP_URI => Some(RedirectTarget::SipUri(avp.utf8().ok()?.into())),
        _ => None,
    })
}

fn redirect_server(group: &Avp<'_>, problems: &mut Problems) -> Option<(RedirectAddressType, Arc<str>)> {
    let (mut kind, mut address) = (None, None);
    problems.members(group, |avp, problems| match avp.key() {
        key::REDIRECT_ADDRESS_TYPE => problems.once(&mut kind, avp, |avp| match avp.u32()? {
            0 => Ok(RedirectAddressType::Ipv4),
            1 => Ok(RedirectAddressType::Ipv6),
            2 => Ok(RedirectAddressType::Url),
            3 => Ok(RedirectAddressType::SipUri),
            _ => Err(avp.bad_value("is not 0 to 3")),
        }),
        key::REDIRECT_SERVER_ADDRESS => problems.once(&mut address, avp, |avp| avp.utf8().map(Arc::from)),
        _ => problems.skip(avp),
    });
    Some((kind?, address?))
}

fn flag(avp: &Avp<'_>) -> Result<bool, crate::diameter::AvpError> {
    avp.u32().map(|value| value == 1)
}
