//! Parts of records that few have: written by hand like the rest, read from the generated messages.

use std::sync::Arc;

use super::{RecordError, numbers::Numbered as _, proto, writer::Writer};
use crate::{
    charging::{
        Advice, AnswerExtras, Conditions, Given, Measure, MemberNo, PoolShare, ReplyExtras, TariffAdvice, TariffChange,
        Terms,
    },
    rating::{Announcement, Attributes, EnvelopeReporting, Role, TimeMechanism},
    time::Timestamp,
    units::Money,
};

pub(in crate::journal) fn write_attributes(w: &mut Writer<'_>, attributes: &Attributes) {
    w.optional(1, attributes.access);
    text(w, 2, &attributes.serving_network);
    w.optional(3, attributes.area);
    w.optional(4, attributes.cell);
    text(w, 5, &attributes.apn);
    text(w, 6, &attributes.other_party);
    w.uint(
        7,
        match attributes.role {
            None => proto::Role::Unspecified as u32,
            Some(Role::Originating) => proto::Role::Originating as u32,
            Some(Role::Terminating) => proto::Role::Terminating as u32,
            Some(Role::Forwarding) => proto::Role::Forwarding as u32,
        },
    );
    w.optional(8, attributes.message_type);
    w.optional(9, attributes.size);
    w.optional_sint(10, attributes.time_zone.map(i64::from));
    w.bool(11, attributes.emergency);
}

pub(in crate::journal) fn attributes(wire: proto::Attributes) -> Result<Arc<Attributes>, RecordError> {
    let bad = |field, value| RecordError::BadValue { field, value };
    let access = wire.access.map(|it| u8::try_from(it).map_err(|_| bad("access", it.into()))).transpose()?;
    let time_zone = wire.time_zone.map(|it| i16::try_from(it).map_err(|_| bad("time zone", it))).transpose()?;
    let role = match proto::Role::try_from(wire.role) {
        Ok(proto::Role::Unspecified) => None,
        Ok(proto::Role::Originating) => Some(Role::Originating),
        Ok(proto::Role::Terminating) => Some(Role::Terminating),
        Ok(proto::Role::Forwarding) => Some(Role::Forwarding),
        Err(_) => return Err(bad("role", wire.role.into())),
    };
    Ok(Arc::new(Attributes {
        access,
        serving_network: wire.serving_network.map(Arc::from),
        area: wire.area,
        cell: wire.cell,
        apn: wire.apn.map(Arc::from),
        other_party: wire.other_party.map(Arc::from),
        role,
        message_type: wire.message_type,
        size: wire.size,
        time_zone,
        emergency: wire.emergency,
    }))
}

pub(super) fn write_conditions(w: &mut Writer<'_>, conditions: &Conditions) {
    w.bytes(1, conditions.context.as_bytes());
    if let Some(attributes) = &conditions.attributes {
        w.message(2, |w| write_attributes(w, attributes));
    }
    w.uint(3, conditions.member.0);
}

pub(super) fn conditions(wire: proto::Conditions) -> Result<Conditions, RecordError> {
    Ok(Conditions {
        context: wire.context.into(),
        attributes: wire.attributes.map(attributes).transpose()?,
        member: MemberNo(wire.member),
    })
}

pub(in crate::journal) fn write_terms(w: &mut Writer<'_>, terms: &Terms) {
    text(w, 1, &terms.tariff);
    if let Some(change) = &terms.change {
        w.optional(2, Some(change.at.millis()));
        text(w, 3, &change.tariff);
    }
    if let Some(given) = &terms.discount {
        w.message(30, |w| write_given(w, given));
    }
}

pub(super) fn write_given(w: &mut Writer<'_>, given: &Given) {
    w.bytes(1, given.name.as_bytes());
    w.uint(2, given.basis_points);
}

pub(super) fn given(wire: proto::Given) -> Result<Given, RecordError> {
    let bad = |_| RecordError::BadValue { field: "discount", value: wire.basis_points.into() };
    Ok(Given { name: wire.name.into(), basis_points: u16::try_from(wire.basis_points).map_err(bad)? })
}

pub(in crate::journal) fn terms(wire: proto::Terms) -> Result<Arc<Terms>, RecordError> {
    let after = wire.after.map(Arc::from);
    let change = wire.change_ms.map(|at| TariffChange { at: Timestamp::from_millis(at), tariff: after });
    let discount = wire.discount.map(given).transpose()?;
    Ok(Arc::new(Terms { tariff: wire.tariff.map(Arc::from), change, discount }))
}

pub(super) fn write_reply_extras(w: &mut Writer<'_>, extras: &ReplyExtras) {
    w.optional(1, extras.tariff_change.map(Timestamp::millis));
    if let Some(pool) = extras.pool {
        w.message(2, |w| {
            w.uint(1, pool.id);
            w.uint(2, pool.multiplier);
        });
    }
    w.optional(3, extras.consumption_secs);
    if let Some(triggers) = &extras.triggers {
        w.message(4, |w| {
            if !triggers.is_empty() {
                w.message(1, |w| triggers.iter().for_each(|each| w.packed(u64::from(*each))));
            }
        });
    }
    if let Some(mechanism) = extras.time_mechanism {
        w.message(20, |w| {
            w.bool(1, mechanism.continuous);
            w.uint(2, mechanism.base_secs);
        });
    }
    w.uint(21, extras.envelopes.map_or(0, |envelopes| envelopes as u32));
    if let Some(announcement) = extras.announcement {
        w.message(22, |w| {
            w.uint(1, announcement.id);
            w.uint(2, announcement.before_end_secs);
        });
    }
}

pub(super) fn reply_extras(wire: proto::ReplyExtras) -> Result<Box<ReplyExtras>, RecordError> {
    let envelopes = match wire.envelopes {
        0 => None,
        1 => Some(EnvelopeReporting::Plain),
        2 => Some(EnvelopeReporting::Volume),
        3 => Some(EnvelopeReporting::Events),
        4 => Some(EnvelopeReporting::Both),
        other => return Err(RecordError::BadValue { field: "envelopes", value: i64::from(other) }),
    };
    let mechanism =
        |wire: proto::TimeMechanism| TimeMechanism { continuous: wire.continuous, base_secs: wire.base_secs };
    let announcement = |wire: proto::Announcement| Announcement { id: wire.id, before_end_secs: wire.before_end_secs };
    Ok(Box::new(ReplyExtras {
        tariff_change: wire.tariff_change_ms.map(Timestamp::from_millis),
        pool: wire.pool.map(|wire| PoolShare { id: wire.id, multiplier: wire.multiplier }),
        consumption_secs: wire.consumption_secs,
        triggers: wire.triggers.map(|wire| wire.types.into()),
        time_mechanism: wire.time_mechanism.map(mechanism),
        envelopes,
        announcement: wire.announcement.map(announcement),
    }))
}

pub(super) fn write_answer_extras(w: &mut Writer<'_>, extras: &AnswerExtras) {
    w.optional_sint(1, extras.remaining.map(Money::micros));
    w.optional(2, extras.low_balance);
    if let Some(advice) = &extras.advice {
        w.message(20, |w| {
            w.optional_sint(1, advice.incremental.map(Money::micros));
            if let Some(tariff) = &advice.tariff {
                w.message(2, |w| write_tariff_advice(w, tariff));
            }
            if let Some((at, tariff)) = &advice.next {
                w.optional(3, Some(at.millis()));
                w.message(4, |w| write_tariff_advice(w, tariff));
            }
        });
    }
    text(w, 21, &extras.cost_unit);
}

fn write_tariff_advice(w: &mut Writer<'_>, tariff: &TariffAdvice) {
    w.uint(1, Measure::Units(tariff.kind).number());
    w.uint(2, tariff.units);
    w.uint(3, tariff.digits);
    w.uint(4, u32::from(tariff.scale));
    w.sint(5, tariff.setup.micros());
}

pub(super) fn answer_extras(wire: proto::AnswerExtras) -> Result<Box<AnswerExtras>, RecordError> {
    let advice = |wire: proto::Advice| -> Result<Advice, RecordError> {
        let tariff = wire.tariff.map(tariff_advice).transpose()?;
        let next = wire.next.map(tariff_advice).transpose()?;
        let next = wire.change_ms.map(Timestamp::from_millis).zip(next);
        Ok(Advice { incremental: wire.incremental.map(Money::from_micros), tariff, next })
    };
    Ok(Box::new(AnswerExtras {
        remaining: wire.remaining.map(Money::from_micros),
        low_balance: wire.low_balance,
        advice: wire.advice.map(advice).transpose()?,
        cost_unit: wire.cost_unit.map(Arc::from),
    }))
}

fn tariff_advice(wire: proto::TariffAdvice) -> Result<TariffAdvice, RecordError> {
    let bad = |field, value: u32| RecordError::BadValue { field, value: i64::from(value) };
    let Measure::Units(kind) = Measure::from_number(wire.kind)? else {
        return Err(bad("unit of a tariff", Measure::Money.number()));
    };
    let scale = u8::try_from(wire.scale).map_err(|_| bad("scale", wire.scale))?;
    let setup = Money::from_micros(wire.setup);
    Ok(TariffAdvice { kind, units: wire.units, digits: wire.digits, scale, setup })
}

fn text(w: &mut Writer<'_>, field: u32, text: &Option<Arc<str>>) {
    if let Some(text) = text {
        w.present(field, text.as_bytes());
    }
}
