//! Details in few octets: for the history in memory, for snapshots and for usage records.
//!
//! The first octet is the form of what follows; a form is never changed, another one gets another number. Numbers are in
//! groups of seven bits, the lowest first, signed ones with the sign in the lowest bit; texts have their length before
//! them. What a part has in common with the one before it is not said again.

use std::sync::Arc;

use super::{Breakdown, Detail, Paid, Part, Rest};
use crate::{
    charging::{BucketKind, FeeKind, Given, Left, LimitFact, Measure, MemberNo, PeriodPart},
    ids::BucketId,
    time::Timestamp,
    units::{Money, UnitKind},
};

const CHARGE: u64 = 1;
const FEE: u64 = 2;
const FLOOR: u64 = 3;
const GIVEN: u64 = 4;
const GIFT: u64 = 5;

/// By their numbers.
const FEE_KINDS: [FeeKind; 4] = [FeeKind::Untold, FeeKind::Setup, FeeKind::Period, FeeKind::Floor];

/// What a part has, as bits.
const SAME_CATALOG: u64 = 1;
const SAME_SERVICE: u64 = 2;
const TARIFF: u64 = 4;
const DISCOUNT: u64 = 8;
const COUNTED: u64 = 16;
const EMERGENCY: u64 = 32;
const LEFT: u64 = 64;
const LIMITS: u64 = 128;
const MOMENTS: u64 = 256;

impl Detail {
    /// In few octets; see [`Detail::read`].
    pub fn write(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(64));
        match self {
            Self::Charge(breakdown) => return breakdown.write(),
            Self::Fee(kind, period) => {
                out.number(FEE);
                out.number(FEE_KINDS.iter().position(|it| it == kind).unwrap_or(0) as u64);
                out.period(period);
            }
            Self::Floor { starts, ends, floor, usage } => {
                out.number(FLOOR);
                out.number(starts.millis());
                out.number(ends.millis());
                out.signed(floor.micros());
                out.signed(usage.micros());
            }
            Self::Given(period) => {
                out.number(GIVEN);
                out.period(period);
            }
            Self::Gift(top_up) => {
                out.number(GIFT);
                out.signed(top_up.micros());
            }
        }
        out.0
    }

    /// What [`Detail::write`] wrote; `None` = it was not that, or not all of it.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut input = In(octets);
        let detail = match input.number()? {
            CHARGE => Self::Charge(input.breakdown()?),
            FEE => {
                let kind = input.narrow::<usize>()?;
                Self::Fee(*FEE_KINDS.get(kind)?, input.period()?)
            }
            FLOOR => Self::Floor {
                starts: input.moment()?,
                ends: input.moment()?,
                floor: input.money()?,
                usage: input.money()?,
            },
            GIVEN => Self::Given(input.period()?),
            GIFT => Self::Gift(input.money()?),
            _ => return None,
        };
        input.0.is_empty().then_some(detail)
    }
}

impl Breakdown {
    /// As [`Detail::write`] writes it.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(64));
        out.number(CHARGE);
        out.breakdown(self);
        out.0
    }
}

pub(in crate::charging) struct Out(pub(in crate::charging) Vec<u8>);

impl Out {
    pub(in crate::charging) fn number(&mut self, number: impl Into<u64>) {
        let mut number = number.into();
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(in crate::charging) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    pub(in crate::charging) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn period(&mut self, period: &PeriodPart) {
        self.text(&period.product);
        self.number(period.from.millis());
        // No period ends when time begins.
        self.number(period.until.map_or(0, |until| until.millis().saturating_add(1)));
        self.number(period.days);
        self.number(period.of);
    }

    fn breakdown(&mut self, breakdown: &Breakdown) {
        let Breakdown { member, parts, paid, rest } = breakdown;
        self.number(member.0);
        self.number(parts.len() as u64);
        let mut before = Part::default();
        for part in parts {
            self.part(part, &before);
            before.catalog = part.catalog;
            before.service = Arc::clone(&part.service);
        }
        self.number(paid.len() as u64);
        for Paid { bucket, name, kind, owner, amount } in paid {
            self.number(bucket.0);
            self.text(name);
            self.number(measure_number(match kind {
                BucketKind::Money => Measure::Money,
                BucketKind::Units(kind) => Measure::Units(*kind),
            }));
            self.number(owner.0);
            self.signed(*amount);
        }
        if *rest != Rest::default() {
            self.number(rest.used);
            self.number(rest.rated);
            self.signed(rest.charged.micros());
        }
    }

    fn part(&mut self, part: &Part, before: &Part) {
        let bit = |bit: u64, is_set: bool| if is_set { bit } else { 0 };
        let moments = part.reports > 0 || part.first.millis() > 0 || part.last.millis() > 0;
        self.number(
            bit(SAME_CATALOG, part.catalog == before.catalog)
                | bit(SAME_SERVICE, part.service == before.service)
                | bit(TARIFF, part.tariff.is_some())
                | bit(DISCOUNT, part.discount.is_some())
                | bit(COUNTED, part.counted)
                | bit(EMERGENCY, part.emergency)
                | bit(LEFT, part.left.is_some())
                | bit(LIMITS, !part.limits.is_empty())
                | bit(MOMENTS, moments),
        );
        if part.catalog != before.catalog {
            self.number(part.catalog);
        }
        if part.service != before.service {
            self.text(&part.service);
        }
        self.number(measure_number(part.measure));
        for number in [part.from, part.used, part.rated, part.from_allowance] {
            self.number(number);
        }
        self.signed(part.charged.micros());
        if let Some(tariff) = &part.tariff {
            self.text(tariff);
        }
        if let Some(given) = &part.discount {
            self.text(&given.name);
            self.number(given.basis_points);
        }
        if let Some(left) = part.left {
            self.number(left.rated);
            self.signed(left.charged.micros());
        }
        if !part.limits.is_empty() {
            self.number(part.limits.len() as u64);
            part.limits.iter().for_each(|limit| self.limit(limit));
        }
        if moments {
            self.number(part.reports);
            self.number(part.first.millis());
            // Nearly always a little later.
            self.number(part.last.millis().wrapping_sub(part.first.millis()));
        }
    }

    fn limit(&mut self, limit: &LimitFact) {
        self.text(&limit.name);
        self.number(limit.member.0);
        self.number(measure_number(limit.measure));
        self.signed(limit.used);
        self.signed(limit.added);
        self.signed(limit.amount);
        self.number(limit.part.map_or(0, |part| u64::from(part) + 1));
    }
}

pub(in crate::charging) struct In<'a>(pub(in crate::charging) &'a [u8]);

impl<'a> In<'a> {
    pub(in crate::charging) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let octet = *self.0.split_off_first()?;
            number |= u64::from(octet & 0x7f).checked_shl(shift)?;
            if octet < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(in crate::charging) fn narrow<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    pub(in crate::charging) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(in crate::charging) fn money(&mut self) -> Option<Money> {
        self.signed().map(Money::from_micros)
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_millis)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        self.borrowed().map(Arc::from)
    }

    /// A text where it stands.
    pub(in crate::charging) fn borrowed(&mut self) -> Option<&'a str> {
        let length = self.narrow::<usize>()?;
        str::from_utf8(self.0.split_off(..length)?).ok()
    }

    fn measure(&mut self) -> Option<Measure> {
        Some(match self.number()? {
            0 => Measure::Units(UnitKind::Octets),
            1 => Measure::Units(UnitKind::Seconds),
            2 => Measure::Units(UnitKind::Events),
            3 => Measure::Money,
            _ => return None,
        })
    }

    /// How many items follow. Each has an octet at least; whatever was written can be read.
    fn length(&mut self) -> Option<usize> {
        let length = self.narrow::<usize>()?;
        (length <= self.0.len()).then_some(length)
    }

    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.length()?;
        (0..length).map(|_| one(self)).collect()
    }

    fn period(&mut self) -> Option<PeriodPart> {
        Some(PeriodPart {
            product: self.text()?,
            from: self.moment()?,
            until: self.number()?.checked_sub(1).map(Timestamp::from_millis),
            days: self.number()?,
            of: self.number()?,
        })
    }

    fn breakdown(&mut self) -> Option<Breakdown> {
        let member = MemberNo(self.narrow()?);
        let length = self.length()?;
        let (mut parts, mut before) = (Vec::new(), Part::default());
        for _ in 0..length {
            let part = self.part(&before)?;
            before.catalog = part.catalog;
            before.service = Arc::clone(&part.service);
            parts.push(part);
        }
        let paid = self.list(Self::paid)?;
        let rest = if self.0.is_empty() {
            Rest::default()
        } else {
            Rest { used: self.number()?, rated: self.number()?, charged: self.money()? }
        };
        Some(Breakdown { member, parts, paid, rest })
    }

    fn paid(&mut self) -> Option<Paid> {
        let (bucket, name) = (BucketId(self.narrow()?), self.text()?);
        let kind = match self.measure()? {
            Measure::Money => BucketKind::Money,
            Measure::Units(kind) => BucketKind::Units(kind),
        };
        Some(Paid { bucket, name, kind, owner: MemberNo(self.narrow()?), amount: self.signed()? })
    }

    fn part(&mut self, before: &Part) -> Option<Part> {
        let bits = self.number()?;
        let has = |bit: u64| bits & bit != 0;
        let catalog = if has(SAME_CATALOG) { before.catalog } else { self.narrow()? };
        let service = if has(SAME_SERVICE) { Arc::clone(&before.service) } else { self.text()? };
        let measure = self.measure()?;
        let [from, used, rated, from_allowance] = [self.number()?, self.number()?, self.number()?, self.number()?];
        let charged = self.money()?;
        let tariff = if has(TARIFF) { Some(self.text()?) } else { None };
        let discount =
            if has(DISCOUNT) { Some(Given { name: self.text()?, basis_points: self.narrow()? }) } else { None };
        let left = if has(LEFT) { Some(Left { rated: self.number()?, charged: self.money()? }) } else { None };
        let limits = if has(LIMITS) { self.list(Self::limit)? } else { Vec::new() };
        let mut part = Part {
            catalog,
            service,
            measure,
            tariff,
            from,
            counted: has(COUNTED),
            used,
            rated,
            from_allowance,
            charged,
            discount,
            limits,
            emergency: has(EMERGENCY),
            left,
            ..Part::default()
        };
        if has(MOMENTS) {
            part.reports = self.narrow()?;
            part.first = self.moment()?;
            part.last = Timestamp::from_millis(part.first.millis().wrapping_add(self.number()?));
        }
        Some(part)
    }

    fn limit(&mut self) -> Option<LimitFact> {
        Some(LimitFact {
            name: self.text()?,
            member: MemberNo(self.narrow()?),
            measure: self.measure()?,
            used: self.signed()?,
            added: self.signed()?,
            amount: self.signed()?,
            part: match self.number()?.checked_sub(1) {
                None => None,
                Some(part) => Some(u16::try_from(part).ok()?),
            },
        })
    }
}

fn measure_number(measure: Measure) -> u64 {
    match measure {
        Measure::Units(UnitKind::Octets) => 0,
        Measure::Units(UnitKind::Seconds) => 1,
        Measure::Units(UnitKind::Events) => 2,
        Measure::Money => 3,
    }
}

#[cfg(test)]
mod tests;
