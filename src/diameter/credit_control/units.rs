//! Numbers of units: Requested-, Used- and Granted-Service-Unit (RFC 8506 8.17..8.19, spec section 4 of credit-control).

use crate::{
    diameter::{
        avp::{Avp, AvpError},
        dictionary::{self as d, AvpDef, key},
        writer::Writer,
    },
    time::Timestamp,
    units::{Money, UnitKind, Units},
};

use super::problems::Problems;

/// How far an Exponent may lie from zero: money of this product fits with ease, and 10^12 fits an `i64` (spec C-54).
pub(super) const EXPONENT_MAX: u32 = 12;

/// What Requested-, Used- and Granted-Service-Unit have in common. All absent is legal and means "the server chooses" in
/// a request (spec C-33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceUnits {
    /// CC-Time, seconds.
    pub time: Option<u32>,
    /// CC-Money.
    pub money: Option<CcMoney>,
    /// CC-Total-Octets.
    pub total_octets: Option<u64>,
    /// CC-Input-Octets: from the user.
    pub input_octets: Option<u64>,
    /// CC-Output-Octets: to the user.
    pub output_octets: Option<u64>,
    /// CC-Service-Specific-Units.
    pub specific: Option<u64>,
}

impl ServiceUnits {
    /// One kind of unit. Seconds beyond the range of CC-Time become the largest CC-Time.
    pub fn of(units: Units) -> Self {
        let amount = units.amount;
        match units.kind {
            UnitKind::Octets => Self { total_octets: Some(amount), ..Self::default() },
            UnitKind::Seconds => Self { time: Some(u32::try_from(amount).unwrap_or(u32::MAX)), ..Self::default() },
            UnitKind::Events => Self { specific: Some(amount), ..Self::default() },
        }
    }

    /// Money.
    pub fn of_money(money: CcMoney) -> Self {
        Self { money: Some(money), ..Self::default() }
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Octets as they count: the total when there is one, else input and output together (spec C-51, I-9).
    pub fn octets(&self) -> Option<u64> {
        match (self.total_octets, self.input_octets, self.output_octets) {
            (Some(total), ..) => Some(total),
            (None, None, None) => None,
            (None, input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }

    /// How many of one kind are named.
    pub fn amount(&self, kind: UnitKind) -> Option<u64> {
        match kind {
            UnitKind::Octets => self.octets(),
            UnitKind::Seconds => self.time.map(u64::from),
            UnitKind::Events => self.specific,
        }
    }

    /// Writes the members, in the order of the grammar.
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        if let Some(seconds) = self.time {
            w.u32(&d::CC_TIME, seconds);
        }
        if let Some(money) = &self.money {
            w.group(&d::CC_MONEY, |w| money.write(w));
        }
        if let Some(octets) = self.total_octets {
            w.u64(&d::CC_TOTAL_OCTETS, octets);
        }
        if let Some(octets) = self.input_octets {
            w.u64(&d::CC_INPUT_OCTETS, octets);
        }
        if let Some(octets) = self.output_octets {
            w.u64(&d::CC_OUTPUT_OCTETS, octets);
        }
        if let Some(units) = self.specific {
            w.u64(&d::CC_SERVICE_SPECIFIC_UNITS, units);
        }
    }

    /// Reads a group that holds nothing else: Requested-Service-Unit.
    #[inline]
    pub(super) fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let mut units = Self::default();
        problems.members(group, |avp, problems| units.take(avp, problems));
        units
    }

    /// Takes a member; what is none is skipped.
    #[inline]
    pub(super) fn take(&mut self, avp: &Avp<'_>, problems: &mut Problems) {
        match avp.key() {
            key::CC_TIME => problems.once(&mut self.time, avp, Avp::u32),
            key::CC_TOTAL_OCTETS => problems.once(&mut self.total_octets, avp, Avp::u64),
            key::CC_INPUT_OCTETS => problems.once(&mut self.input_octets, avp, Avp::u64),
            key::CC_OUTPUT_OCTETS => problems.once(&mut self.output_octets, avp, Avp::u64),
            key::CC_SERVICE_SPECIFIC_UNITS => problems.once(&mut self.specific, avp, Avp::u64),
            key::CC_MONEY => {
                let money = CcMoney::read(avp, problems);
                problems.once(&mut self.money, avp, |_| Ok(money));
            }
            _ => problems.skip(avp),
        }
    }
}

/// Used-Service-Unit (RFC 8506 8.19, TS 32.299 7.1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsedUnits {
    /// How much.
    pub units: ServiceUnits,
    /// On which side of the tariff change.
    pub tariff_change: Option<TariffChangeUsage>,
    /// Reporting-Reason (3GPP), see [`d::reporting_reason`].
    pub reporting_reason: Option<u32>,
}

/// Tariff-Change-Usage (RFC 8506 8.27, spec C-62).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum TariffChangeUsage {
    /// Used before the change.
    Before = 0,
    /// Used after it.
    After = 1,
    /// It straddles the change.
    Indeterminate = 2,
}

impl UsedUnits {
    /// Reads the group.
    #[inline]
    pub(super) fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let mut used = Self::default();
        problems.members(group, |avp, problems| match avp.key() {
            key::REPORTING_REASON => problems.once(&mut used.reporting_reason, avp, Avp::u32),
            key::TARIFF_CHANGE_USAGE => problems.once(&mut used.tariff_change, avp, tariff_change_usage),
            _ => used.units.take(avp, problems),
        });
        used
    }

    /// Writes the group.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::USED_SERVICE_UNIT, |w| {
            if let Some(reason) = self.reporting_reason {
                w.u32(&d::REPORTING_REASON, reason);
            }
            if let Some(side) = self.tariff_change {
                w.u32(&d::TARIFF_CHANGE_USAGE, side as u32);
            }
            self.units.write(w);
        });
    }
}

pub(super) fn tariff_change_usage(avp: &Avp<'_>) -> Result<TariffChangeUsage, AvpError> {
    match avp.u32()? {
        0 => Ok(TariffChangeUsage::Before),
        1 => Ok(TariffChangeUsage::After),
        2 => Ok(TariffChangeUsage::Indeterminate),
        _ => Err(avp.bad_value("is not 0, 1 or 2")),
    }
}

/// Granted-Service-Unit (RFC 8506 8.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrantedUnits {
    /// How much.
    pub units: ServiceUnits,
    /// Tariff-Time-Change (spec C-60).
    pub tariff_time_change: Option<Timestamp>,
}

impl GrantedUnits {
    /// One kind of unit.
    pub fn of(units: Units) -> Self {
        Self { units: ServiceUnits::of(units), tariff_time_change: None }
    }

    /// Money.
    pub fn of_money(money: CcMoney) -> Self {
        Self { units: ServiceUnits::of_money(money), tariff_time_change: None }
    }

    /// Reads the group.
    pub(super) fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let mut granted = Self::default();
        problems.members(group, |avp, problems| match avp.key() {
            key::TARIFF_TIME_CHANGE => problems.once(&mut granted.tariff_time_change, avp, Avp::time),
            _ => granted.units.take(avp, problems),
        });
        granted
    }

    /// Writes the group.
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::GRANTED_SERVICE_UNIT, |w| {
            if let Some(time) = self.tariff_time_change {
                w.time(&d::TARIFF_TIME_CHANGE, time);
            }
            self.units.write(w);
        });
    }
}

/// CC-Money: `digits` x 10^`exponent` (RFC 8506 8.22, spec C-53).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CcMoney {
    /// Value-Digits.
    pub digits: i64,
    /// Exponent; 0 when absent. At most 12 from zero when it was received (spec C-54).
    pub exponent: i32,
    /// Currency-Code: the ISO 4217 number.
    pub currency: Option<u32>,
}

impl CcMoney {
    /// The shortest form of an amount: 0.05 is (5, -2).
    pub fn from_money(money: Money, currency: Option<u32>) -> Self {
        let (mut digits, mut exponent) = (money.micros(), -6);
        while digits % 10 == 0 && exponent < 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent, currency }
    }

    /// The same amount as [`Money`]; `None` when it is out of range or finer than a micro-unit (spec C-54).
    pub fn to_money(self) -> Option<Money> {
        let shift = self.exponent.checked_add(6)?;
        let power = 10_i64.checked_pow(shift.unsigned_abs())?;
        let micros = match shift {
            0.. => self.digits.checked_mul(power)?,
            _ if self.digits % power == 0 => self.digits / power,
            _ => return None,
        };
        Some(Money::from_micros(micros))
    }

    /// Writes Unit-Value and Currency-Code.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.group(&d::UNIT_VALUE, |w| {
            w.i64(&d::VALUE_DIGITS, self.digits);
            if self.exponent != 0 {
                w.i32(&d::EXPONENT, self.exponent);
            }
        });
        if let Some(currency) = self.currency {
            w.u32(&d::CURRENCY_CODE, currency);
        }
    }

    /// Reads a group that holds Unit-Value and Currency-Code: CC-Money, Remaining-Balance.
    #[inline(never)]
    pub(super) fn read(group: &Avp<'_>, problems: &mut Problems) -> Self {
        let mut reading = MoneyReading::default();
        problems.members(group, |avp, problems| {
            if !reading.take(avp, problems) {
                problems.skip(avp);
            }
        });
        reading.finish()
    }
}

/// Unit-Value and Currency-Code while they are being read; Cost-Information has a further member.
#[derive(Default)]
pub(super) struct MoneyReading {
    value: Option<(i64, i32)>,
    currency: Option<u32>,
}

impl MoneyReading {
    /// Takes a member; `false`: it is none.
    pub(super) fn take(&mut self, avp: &Avp<'_>, problems: &mut Problems) -> bool {
        match avp.key() {
            key::UNIT_VALUE => {
                let value = unit_value(avp, problems);
                problems.once(&mut self.value, avp, |_| Ok(value));
            }
            key::CURRENCY_CODE => problems.once(&mut self.currency, avp, Avp::u32),
            _ => return false,
        }
        true
    }

    pub(super) fn finish(self) -> CcMoney {
        let (digits, exponent) = self.value.unwrap_or_default();
        CcMoney { digits, exponent, currency: self.currency }
    }
}

fn unit_value(group: &Avp<'_>, problems: &mut Problems) -> (i64, i32) {
    let (mut digits, mut exponent) = (None, None);
    problems.members(group, |avp, problems| match avp.key() {
        key::VALUE_DIGITS => problems.once(&mut digits, avp, Avp::i64),
        key::EXPONENT => problems.once(&mut exponent, avp, |avp| match avp.i32()? {
            value if value.unsigned_abs() <= EXPONENT_MAX => Ok(value),
            _ => Err(avp.bad_value("is out of range")),
        }),
        _ => problems.skip(avp),
    });
    (digits.unwrap_or(0), exponent.unwrap_or(0))
}

/// The group that an [`AvpDef`] of units names, with its members.
#[inline]
pub(super) fn write_group(w: &mut Writer<'_>, def: &AvpDef, units: &ServiceUnits) {
    w.group(def, |w| units.write(w));
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: C-53 C-54
    #[test]
    fn money_keeps_its_value_in_both_forms() {
        for (micros, digits, exponent) in
            [(50_000, 5, -2), (2_300_000, 23, -1), (1, 1, -6), (0, 0, 0), (-120_000_000, -120, 0)]
        {
            let money = Money::from_micros(micros);
            let wire = CcMoney { digits, exponent, currency: Some(156) };
            assert_eq!(CcMoney::from_money(money, Some(156)), wire);
            assert_eq!(wire.to_money(), Some(money));
        }
        for (digits, exponent, micros) in [
            (230, -2, Some(2_300_000)),
            (5, 3, Some(5_000_000_000)),
            (1_000, -9, Some(1)),
            (1, -7, None),
            (10, 12, None),
            (1, i32::MAX, None),
            (1, i32::MIN, None),
        ] {
            let money = CcMoney { digits, exponent, currency: None }.to_money();
            assert_eq!(money.map(Money::micros), micros, "{digits} x 10^{exponent}");
        }
    }

    // tests: C-51 I-9
    #[test]
    fn octets_count_once() {
        let units = |total_octets, input_octets, output_octets| ServiceUnits {
            total_octets,
            input_octets,
            output_octets,
            ..Default::default()
        };
        assert_eq!(units(Some(10), Some(3), Some(7)).octets(), Some(10));
        assert_eq!(units(None, Some(3), Some(7)).octets(), Some(10));
        assert_eq!(units(None, Some(3), None).octets(), Some(3));
        assert_eq!(units(None, Some(u64::MAX), Some(1)).octets(), Some(u64::MAX));
        assert_eq!(units(None, None, None).octets(), None);
        assert_eq!(ServiceUnits::of(Units::seconds(u64::MAX)).amount(UnitKind::Seconds), Some(u64::from(u32::MAX)));
    }
}
