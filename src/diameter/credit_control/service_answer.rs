//! Multiple-Services-Credit-Control in an answer: one quota object (RFC 8506 8.16, TS 32.299 7.1.9).

use std::sync::Arc;

use crate::diameter::{dictionary as d, error::ResultCode, writer::Writer};

use super::{
    announcement::Announcement,
    final_unit::{FinalUnitAction, QosFinalUnit},
    group::{Member, Place},
    information::FurnishCharging,
    quota::{EnvelopeReporting, PoolReference, TimeQuotaMechanism},
    units::{GrantedUnits, TariffChangeUsage},
};

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
    /// Tariff-Change-Usage: which of the two quotas around a tariff change it is; each has its MSCC (spec C-63).
    pub tariff_change: Option<TariffChangeUsage>,
    /// G-S-U-Pool-Reference: at most one for each granted kind of unit (spec C-170, C-173).
    pub pools: Vec<PoolReference>,
    /// Time-Quota-Mechanism (3GPP): instead of Quota-Consumption-Time (spec G-70).
    pub time_quota_mechanism: Option<TimeQuotaMechanism>,
    /// Envelope-Reporting (3GPP, spec G-71).
    pub envelope_reporting: Option<EnvelopeReporting>,
    /// What hardly any answer has.
    pub extras: Option<Box<ServiceAnswerExtras>>,
}

/// What hardly any MSCC of an answer has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAnswerExtras {
    /// QoS-Final-Unit-Indication, beside Final-Unit-Indication (spec C-89).
    pub qos_final_unit: Option<QosFinalUnit>,
    /// Announcement-Information (3GPP, spec G-88).
    pub announcements: Vec<Announcement>,
    /// PS-Furnish-Charging-Information (3GPP, spec G-84).
    pub furnish: Option<FurnishCharging>,
}

impl ServiceAnswer {
    /// Writes the group.
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, |w| {
            if let Some(granted) = &self.granted {
                granted.write(w);
            }
            if let Some(side) = self.tariff_change {
                w.u32(&d::TARIFF_CHANGE_USAGE, side as u32);
            }
            for id in self.service_identifier.iter().chain(&self.more_service_identifiers) {
                w.u32(&d::SERVICE_IDENTIFIER, *id);
            }
            if let Some(group) = self.rating_group {
                w.u32(&d::RATING_GROUP, group);
            }
            self.pools.write_all(&d::G_S_U_POOL_REFERENCE, w);
            for (def, value) in
                [(&d::VALIDITY_TIME, self.validity_time), (&d::RESULT_CODE, self.result_code.map(|code| code.0))]
            {
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
            if let Some(reporting) = self.envelope_reporting {
                w.u32(&d::ENVELOPE_REPORTING, reporting as u32);
            }
            if let Some(mechanism) = &self.time_quota_mechanism {
                mechanism.write(&d::TIME_QUOTA_MECHANISM, w);
            }
            if let Some(extras) = &self.extras {
                extras.write(w);
            }
        });
    }
}

impl ServiceAnswerExtras {
    fn write(&self, w: &mut Writer<'_>) {
        if let Some(action) = &self.qos_final_unit {
            action.write(w);
        }
        self.announcements.write_all(&d::ANNOUNCEMENT_INFORMATION, w);
        self.furnish.write_all(&d::PS_FURNISH_CHARGING_INFORMATION, w);
    }
}
