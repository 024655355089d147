//! Multiple-Services-Credit-Control in a request: one quota object (RFC 8506 8.16, TS 32.299 7.1.9, spec section 3 of
//! credit-control).

use crate::diameter::{
    avp::Avp,
    dictionary::{self as d, key},
    writer::Writer,
};

use super::{
    group::{Member, Place},
    problems::Problems,
    qos::QosInformation,
    quota::{AfCorrelation, Envelope, PoolReference, ServiceSpecificInfo},
    units::{ServiceUnits, TariffChangeUsage, UsedUnits, tariff_change_usage, write_group},
};

/// One MSCC of a CCR.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultipleServices<'a> {
    /// Rating-Group. Some clients send neither this nor a Service-Identifier (spec I-9).
    pub rating_group: Option<u32>,
    /// The first Service-Identifier.
    pub service_identifier: Option<u32>,
    /// The others, which hardly any client sends: together with the group they are the key of the quota (spec C-31).
    pub more_service_identifiers: Vec<u32>,
    /// Requested-Service-Unit: quota is wanted, even when it is empty (spec C-33, C-34).
    pub requested: Option<ServiceUnits>,
    /// The first Used-Service-Unit.
    pub used: Option<UsedUnits>,
    /// The others: usage split by tariff change or by kind (spec C-37).
    pub more_used: Vec<UsedUnits>,
    /// Tariff-Change-Usage of the MSCC itself: which part of a dual quota it is about (spec C-63).
    pub tariff_change: Option<TariffChangeUsage>,
    /// The first Reporting-Reason of the MSCC itself (3GPP).
    pub reporting_reason: Option<u32>,
    /// The others.
    pub more_reporting_reasons: Vec<u32>,
    /// Trigger (3GPP): the Trigger-Types that fired; `None` without the group (spec G-51).
    pub triggers: Option<Vec<u32>>,
    /// Refund-Information (3GPP, spec G-83).
    pub refund_information: Option<&'a [u8]>,
    /// The members of QoS-Information (3GPP), see [`MultipleServices::qos_information`]; overrides that of PS-Information
    /// for this quota (spec G-35).
    pub qos: Option<&'a [u8]>,
    /// 3GPP-RAT-Type of this quota, one octet; overrides that of PS-Information (spec G-35).
    pub rat_type: Option<u8>,
    /// What few clients send.
    pub extras: Option<Box<ServiceExtras<'a>>>,
    /// The members as received, for what is not a field. Their framing is right. Empty when made here.
    pub members: &'a [u8],
}

/// Members of an MSCC that few clients send. None of them changes what is charged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceExtras<'a> {
    /// G-S-U-Pool-Reference: has no meaning in a request, kept for the record (spec C-170).
    pub pools: Vec<PoolReference>,
    /// Envelope, in time order (spec G-71).
    pub envelopes: Vec<Envelope>,
    /// Service-Specific-Info.
    pub service_specific: Vec<ServiceSpecificInfo<'a>>,
    /// AF-Correlation-Information (spec G-97).
    pub af_correlations: Vec<AfCorrelation<'a>>,
}

impl<'a> MultipleServices<'a> {
    /// Every Used-Service-Unit, apart as they were reported: all of them are to be rated, each by its own
    /// Tariff-Change-Usage (spec C-37, C-62, I-9).
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

    /// Whether this is among the reasons, wherever the client put it; see [`d::reporting_reason`].
    pub fn has_reporting_reason(&self, reason: u32) -> bool {
        let own = self.reporting_reason.iter().chain(&self.more_reporting_reasons);
        own.copied().chain(self.all_used().filter_map(|used| used.reporting_reason)).any(|found| found == reason)
    }

    /// QoS-Information, read when it is asked for.
    pub fn qos_information(&self) -> Option<QosInformation> {
        self.qos.map(QosInformation::parse)
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
            key::REPORTING_REASON if self.reporting_reason.is_none() => {
                problems.once(&mut self.reporting_reason, avp, Avp::u32);
            }
            key::QOS_INFORMATION => {
                problems.skip(avp);
                self.qos.get_or_insert(avp.data);
            }
            _ => self.take_rare(avp, problems),
        }
    }

    #[inline(never)]
    fn take_rare(&mut self, avp: &Avp<'a>, problems: &mut Problems) {
        match avp.key() {
            key::SERVICE_IDENTIFIER => problems.another(&mut self.more_service_identifiers, avp, Avp::u32),
            key::REPORTING_REASON => problems.another(&mut self.more_reporting_reasons, avp, Avp::u32),
            key::TARIFF_CHANGE_USAGE => problems.once(&mut self.tariff_change, avp, tariff_change_usage),
            key::TRIGGER => {
                let types = self.triggers.get_or_insert_default();
                problems.members(avp, |avp, problems| match avp.key() {
                    key::TRIGGER_TYPE => problems.another(types, avp, Avp::u32),
                    _ => problems.skip(avp),
                });
            }
            key::REFUND_INFORMATION => problems.once(&mut self.refund_information, avp, |avp| Ok(avp.data)),
            // Its size is not worth a refusal (spec G-92): what the group was reported for still counts.
            key::TGPP_RAT_TYPE => self.rat_type = self.rat_type.or_else(|| u8::read(avp)),
            key::G_S_U_POOL_REFERENCE
            | key::ENVELOPE
            | key::SERVICE_SPECIFIC_INFO
            | key::AF_CORRELATION_INFORMATION => {
                problems.skip(avp);
                self.extras.get_or_insert_default().take(avp);
            }
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
            if let Some(side) = self.tariff_change {
                w.u32(&d::TARIFF_CHANGE_USAGE, side as u32);
            }
            for id in self.service_identifiers() {
                w.u32(&d::SERVICE_IDENTIFIER, id);
            }
            if let Some(group) = self.rating_group {
                w.u32(&d::RATING_GROUP, group);
            }
            for reason in self.reporting_reason.iter().chain(&self.more_reporting_reasons) {
                w.u32(&d::REPORTING_REASON, *reason);
            }
            if let Some(types) = &self.triggers {
                w.group(&d::TRIGGER, |w| types.iter().for_each(|kind| w.u32(&d::TRIGGER_TYPE, *kind)));
            }
            if let Some(token) = self.refund_information {
                w.octets(&d::REFUND_INFORMATION, token);
            }
            if let Some(extras) = &self.extras {
                extras.write(w);
            }
            if let Some(members) = self.qos {
                w.octets(&d::QOS_INFORMATION, members);
            }
            if let Some(rat) = self.rat_type {
                w.octets(&d::TGPP_RAT_TYPE, &[rat]);
            }
        });
    }
}

impl<'a> ServiceExtras<'a> {
    fn take(&mut self, avp: &Avp<'a>) {
        match avp.key() {
            key::G_S_U_POOL_REFERENCE => self.pools.accept(avp),
            key::ENVELOPE => self.envelopes.accept(avp),
            key::SERVICE_SPECIFIC_INFO => self.service_specific.accept(avp),
            key::AF_CORRELATION_INFORMATION => self.af_correlations.accept(avp),
            _ => {}
        }
    }

    fn write(&self, w: &mut Writer<'_>) {
        self.pools.write_all(&d::G_S_U_POOL_REFERENCE, w);
        self.envelopes.write_all(&d::ENVELOPE, w);
        self.service_specific.write_all(&d::SERVICE_SPECIFIC_INFO, w);
        self.af_correlations.write_all(&d::AF_CORRELATION_INFORMATION, w);
    }
}
