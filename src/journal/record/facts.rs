//! What charges went by beside what their steps say: written by hand like the rest, read from the generated messages.

use super::{RecordError, numbers::Numbered as _, proto, writer::Writer};
use crate::{
    charging::{Facts, FeeKind, Left, LimitFact, Measure, MemberNo, PeriodPart},
    time::Timestamp,
    units::Money,
};

pub(super) fn write(w: &mut Writer<'_>, facts: &Facts) {
    w.optional(1, facts.counted);
    for limit in &facts.limits {
        w.message(2, |w| {
            w.bytes(1, limit.name.as_bytes());
            w.uint(2, limit.member.0);
            w.uint(3, limit.measure.number());
            w.sint(4, limit.used);
            w.sint(5, limit.added);
            w.sint(6, limit.amount);
            w.optional(7, limit.part);
        });
    }
    w.bool(3, facts.emergency);
    w.uint(4, facts.member.0);
    if let Some(left) = facts.left {
        w.message(5, |w| {
            w.uint(1, left.rated);
            w.sint(2, left.charged.micros());
        });
    }
}

pub(super) fn read(wire: proto::Facts) -> Result<Box<Facts>, RecordError> {
    let bad = |value: u32| RecordError::BadValue { field: "part beyond a cap", value: value.into() };
    let limit = |wire: proto::LimitFact| {
        Ok(LimitFact {
            name: wire.name.into(),
            member: MemberNo(wire.member),
            measure: Measure::from_number(wire.measure)?,
            used: wire.used,
            added: wire.added,
            amount: wire.amount,
            part: wire.part.map(|part| u16::try_from(part).map_err(|_| bad(part))).transpose()?,
        })
    };
    let left = |wire: proto::Left| Left { rated: wire.rated, charged: Money::from_micros(wire.charged) };
    Ok(Box::new(Facts {
        counted: wire.counted,
        limits: wire.limits.into_iter().map(limit).collect::<Result<_, RecordError>>()?,
        emergency: wire.emergency,
        member: MemberNo(wire.member),
        left: wire.left.map(left),
    }))
}

pub(super) fn write_period(w: &mut Writer<'_>, period: &PeriodPart) {
    w.bytes(1, period.product.as_bytes());
    w.uint(2, period.from.millis());
    w.optional(3, period.until.map(Timestamp::millis));
    w.uint(4, period.days);
    w.uint(5, period.of);
}

pub(super) fn read_period(wire: proto::PeriodPart) -> Box<PeriodPart> {
    Box::new(PeriodPart {
        product: wire.product.into(),
        from: Timestamp::from_millis(wire.from_ms),
        until: wire.until_ms.map(Timestamp::from_millis),
        days: wire.days,
        of: wire.of,
    })
}

pub(super) fn fee_number(fee: FeeKind) -> u32 {
    match fee {
        FeeKind::Untold => 0,
        FeeKind::Setup => 1,
        FeeKind::Period => 2,
        FeeKind::Floor => 3,
    }
}

pub(super) fn fee(number: u32) -> Result<FeeKind, RecordError> {
    match number {
        0 => Ok(FeeKind::Untold),
        1 => Ok(FeeKind::Setup),
        2 => Ok(FeeKind::Period),
        3 => Ok(FeeKind::Floor),
        other => Err(RecordError::BadValue { field: "kind of fee", value: other.into() }),
    }
}
