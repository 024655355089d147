//! One reply becomes one MSCC.

use std::sync::Arc;

use crate::{
    charging::{FinalUnits, Grant, Measure, Reply, ReplyExtras},
    diameter::{
        Frame,
        credit_control::{
            Announcement, CcMoney, CcUnitType, EnvelopeReporting, FinalUnitAction, GrantedUnits, PoolReference,
            RedirectAddressType, ServiceAnswer, ServiceAnswerExtras, TimeQuotaMechanism, TimeQuotaType, UnitValue,
        },
    },
    mapping::{ClientTraits, answer::result_code, keys},
    rating::{self, FinalAction},
    units::{Currency, Money, UnitKind, Units},
};

pub(super) fn service(
    reply: &Reply,
    currency: Option<Currency>,
    request: &Frame,
    client: ClientTraits,
) -> ServiceAnswer {
    let mut service = ServiceAnswer {
        rating_group: reply.key.rating_group,
        service_identifier: reply.key.service_identifier,
        result_code: Some(result_code(reply.verdict)),
        granted: reply.grant.map(|grant| granted(grant, reply, currency)),
        validity_time: validity(reply),
        final_unit: reply.final_action.as_ref().map(final_unit),
        quota_holding_time: reply.holding_secs,
        ..ServiceAnswer::default()
    };
    if reply.key.further != 0 {
        // All of them are echoed, as they came (spec C-31); the key knows the rest by a digest only.
        let mut as_received = keys::service_identifiers(request.body(), reply.key).into_iter();
        service.service_identifier = as_received.next().or(service.service_identifier);
        service.more_service_identifiers = as_received.collect();
    }
    let threshold = Some(reply.threshold).filter(|threshold| *threshold > 0);
    match reply.grant.map(|grant| grant.measure) {
        Some(Measure::Units(UnitKind::Octets)) => service.volume_quota_threshold = threshold,
        Some(Measure::Units(UnitKind::Seconds)) => service.time_quota_threshold = threshold,
        Some(Measure::Units(UnitKind::Events)) => service.unit_quota_threshold = threshold,
        Some(Measure::Money) | None => {}
    }
    if client.qos_final_unit
        && let Some(qos) = service.final_unit.as_ref().and_then(FinalUnitAction::to_qos_form)
    {
        service.extras = Some(Box::new(ServiceAnswerExtras { qos_final_unit: Some(qos), ..Default::default() }));
    }
    if let Some(extras) = &reply.extras {
        add_extras(&mut service, extras, reply.grant);
    }
    service
}

fn add_extras(service: &mut ServiceAnswer, extras: &ReplyExtras, grant: Option<Grant>) {
    let kind = match grant.map(|grant| grant.measure) {
        Some(Measure::Units(kind)) => Some(unit_type(kind)),
        Some(Measure::Money) | None => None,
    };
    // The grant for that unit stands beside it (spec C-170). Multipliers are small enough for both (`rating`).
    service.pools.extend(extras.pool.zip(kind).map(|(pool, unit)| PoolReference {
        pool: pool.id,
        unit,
        multiplier: UnitValue::whole(i64::try_from(pool.multiplier).unwrap_or(i64::MAX)),
    }));
    // What the price depends on, and nothing more (spec G-50, G-53).
    service.triggers = extras.triggers.as_deref().map(Arc::from);
    service.quota_consumption_time = extras.consumption_secs;
    service.time_quota_mechanism = extras.time_mechanism.map(|mechanism| TimeQuotaMechanism {
        kind: if mechanism.continuous { TimeQuotaType::Continuous } else { TimeQuotaType::Discrete },
        interval_secs: mechanism.base_secs,
    });
    service.envelope_reporting = extras.envelopes.map(|envelopes| match envelopes {
        rating::EnvelopeReporting::Plain => EnvelopeReporting::Envelopes,
        rating::EnvelopeReporting::Volume => EnvelopeReporting::WithVolume,
        rating::EnvelopeReporting::Events => EnvelopeReporting::WithEvents,
        rating::EnvelopeReporting::Both => EnvelopeReporting::WithVolumeAndEvents,
    });
    if let Some(announcement) = extras.announcement {
        service.extras.get_or_insert_default().announcements.push(Announcement {
            id: Some(announcement.id),
            time: Some(announcement.before_end_secs),
            ..Announcement::default()
        });
    }
}

/// CC-Unit-Type of a kind of unit.
pub(super) const fn unit_type(kind: UnitKind) -> CcUnitType {
    match kind {
        UnitKind::Octets => CcUnitType::TotalOctets,
        UnitKind::Seconds => CcUnitType::Time,
        UnitKind::Events => CcUnitType::ServiceSpecificUnits,
    }
}

pub(super) fn validity(reply: &Reply) -> Option<u32> {
    Some(reply.validity_secs).filter(|secs| *secs > 0)
}

pub(super) fn granted(grant: Grant, reply: &Reply, currency: Option<Currency>) -> GrantedUnits {
    let granted = match grant.measure {
        Measure::Units(kind) => GrantedUnits::of(Units { kind, amount: grant.amount }),
        Measure::Money => {
            let micros = i64::try_from(grant.amount).unwrap_or(i64::MAX);
            let money = CcMoney::from_money(Money::from_micros(micros), currency.map(Currency::number));
            GrantedUnits::of_money(money)
        }
    };
    // One quota for both sides of the change: which part was used on which side is the client's to say (spec C-61).
    GrantedUnits { tariff_time_change: reply.extras.as_ref().and_then(|extras| extras.tariff_change), ..granted }
}

pub(super) fn final_unit(action: &FinalUnits) -> FinalUnitAction {
    match action {
        FinalUnits::Terminate => FinalUnitAction::Terminate,
        FinalUnits::Restrict { rules, filters } => {
            FinalUnitAction::RestrictAccess { rules: Arc::clone(rules), filter_ids: Arc::clone(filters) }
        }
        FinalUnits::Redirect(address) => {
            let redirect = FinalAction::Redirect { address: Arc::clone(address) };
            let kind = match redirect.redirect_address_type() {
                Some(0) => RedirectAddressType::Ipv4,
                Some(1) => RedirectAddressType::Ipv6,
                Some(3) => RedirectAddressType::SipUri,
                _ => RedirectAddressType::Url,
            };
            FinalUnitAction::Redirect { kind, address: Arc::clone(address) }
        }
    }
}
