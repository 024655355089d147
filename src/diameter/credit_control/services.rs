//! Multiple-Services-Credit-Control in a request: one quota object (RFC 8506 8.16, TS 32.299 7.1.9, spec section 3 of
//! credit-control).

use crate::diameter::{
    avp::Avp,
    dictionary::{self as d, key},
    writer::Writer,
};

use super::{
    problems::Problems,
    units::{ServiceUnits, UsedUnits, write_group},
};

/// One MSCC of a CCR.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultipleServices<'a> {
    /// Rating-Group. Some clients send neither this nor a Service-Identifier (spec I-9).
    pub rating_group: Option<u32>,
    /// The first Service-Identifier.
    pub service_identifier: Option<u32>,
    /// The others, which hardly any client sends.
    pub more_service_identifiers: Vec<u32>,
    /// Requested-Service-Unit: quota is wanted, even when it is empty (spec C-33, C-34).
    pub requested: Option<ServiceUnits>,
    /// The first Used-Service-Unit.
    pub used: Option<UsedUnits>,
    /// The others: usage split by tariff change or by kind (spec C-37).
    pub more_used: Vec<UsedUnits>,
    /// The first Reporting-Reason of the MSCC itself (3GPP).
    pub reporting_reason: Option<u32>,
    /// Refund-Information (3GPP, spec G-83).
    pub refund_information: Option<&'a [u8]>,
    /// The members as received, for what is not a field (Trigger, QoS-Information, Envelope, ...). Their framing is
    /// right. Empty when made here.
    pub members: &'a [u8],
}

impl<'a> MultipleServices<'a> {
    /// Every Used-Service-Unit: all of them are to be rated (spec I-9).
    pub fn all_used(&self) -> impl Iterator<Item = &UsedUnits> {
        self.used.iter().chain(&self.more_used)
    }

    /// Every Service-Identifier.
    pub fn service_identifiers(&self) -> impl Iterator<Item = u32> + '_ {
        self.service_identifier.iter().chain(&self.more_service_identifiers).copied()
    }

    /// Why usage is reported, wherever the client put it (spec G-41, I-10): the MSCC's own reason, or the first one of
    /// its Used-Service-Units.
    pub fn any_reporting_reason(&self) -> Option<u32> {
        self.reporting_reason.or_else(|| self.all_used().find_map(|used| used.reporting_reason))
    }

    /// Reads the group.
    #[inline]
    pub(super) fn read(group: &Avp<'a>, problems: &mut Problems) -> Self {
        let mut service = Self { members: group.data, ..Self::default() };
        problems.members(group, |avp, problems| service.take(avp, problems));
        service
    }

    #[inline]
    fn take(&mut self, avp: &Avp<'a>, problems: &mut Problems) {
        match avp.key() {
            key::RATING_GROUP => problems.once(&mut self.rating_group, avp, Avp::u32),
            key::SERVICE_IDENTIFIER if self.service_identifier.is_none() => {
                problems.once(&mut self.service_identifier, avp, Avp::u32);
            }
            key::SERVICE_IDENTIFIER => {
                let mut next = None;
                problems.once(&mut next, avp, Avp::u32);
                self.more_service_identifiers.extend(next);
            }
            key::REQUESTED_SERVICE_UNIT => {
                let units = ServiceUnits::read(avp, problems);
                problems.once(&mut self.requested, avp, |_| Ok(units));
            }
            key::USED_SERVICE_UNIT => {
                let used = UsedUnits::read(avp, problems);
                match self.used {
                    None => self.used = Some(used),
                    Some(_) => self.more_used.push(used),
                }
            }
            // May occur several times; the first says enough.
            key::REPORTING_REASON if self.reporting_reason.is_none() => {
                problems.once(&mut self.reporting_reason, avp, Avp::u32);
            }
            key::REFUND_INFORMATION => problems.once(&mut self.refund_information, avp, |avp| Ok(avp.data)),
            _ => problems.skip(avp),
        }
    }

    /// Writes the group.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, |w| {
            if let Some(units) = &self.requested {
                write_group(w, &d::REQUESTED_SERVICE_UNIT, units);
            }
            for used in self.all_used() {
                used.write(w);
            }
            for id in self.service_identifiers() {
                w.u32(&d::SERVICE_IDENTIFIER, id);
            }
            if let Some(group) = self.rating_group {
                w.u32(&d::RATING_GROUP, group);
            }
            if let Some(reason) = self.reporting_reason {
                w.u32(&d::REPORTING_REASON, reason);
            }
            if let Some(token) = self.refund_information {
                w.octets(&d::REFUND_INFORMATION, token);
            }
        });
    }
}
