//! The part of a period that a product is had for, and what that part costs and gives.

use crate::{
    charging::PeriodPart,
    rating::{Catalog, Period, Product},
    time::Timestamp,
    units::Money,
};

const DAY_SECS: u64 = 86_400;

/// So many of the days of a period. A day that is had for an hour counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::charging) struct Part {
    days: u64,
    of: u64,
}

impl Part {
    /// The whole period.
    pub(in crate::charging) const WHOLE: Self = Self { days: 1, of: 1 };

    /// So many days of so many: not more than all of at least one.
    pub(in crate::charging) fn new(days: u64, of: u64) -> Self {
        Self { days: days.min(of), of: of.max(1) }
    }

    /// Whether it is the whole period.
    pub(in crate::charging) fn is_whole(self) -> bool {
        self.days == self.of
    }

    /// For whoever asks why it costs what it costs.
    pub(super) fn told(self, product: &Product, from: Timestamp, until: Option<Timestamp>) -> Box<PeriodPart> {
        let Self { days, of } = self;
        Box::new(PeriodPart { product: product.name.clone(), from, until, days, of })
    }

    /// That part of an amount, which is not below zero: exact, then rounded to the micro-unit, halves up.
    pub(in crate::charging) fn of_money(self, amount: Money) -> Money {
        let (days, of) = (i128::from(self.days), i128::from(self.of));
        let twice = 2 * i128::from(amount.micros()) * days + of;
        Money::from_micros(i64::try_from(twice / (2 * of)).unwrap_or(i64::MAX))
    }

    /// That part of so many units, rounded up.
    pub(in crate::charging) fn of_units(self, units: u64) -> u64 {
        let part = (u128::from(units) * u128::from(self.days)).div_ceil(u128::from(self.of));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

/// When the period of a product that begins at `from` ends. Periods by the calendar end with its day, week or cycle, so that
/// a first one may be short; those of so many seconds are counted from their beginning.
pub(super) fn end(catalog: &Catalog, product: &Product, cycle_day: u8, from: Timestamp) -> Option<Timestamp> {
    Some(match product.period? {
        Period::Seconds(secs) => from.plus_secs(u64::from(secs.max(1))),
        period => catalog.span(period, cycle_day, from).1,
    })
}

/// The part of a period of a product from one moment until another that lies in the same period.
pub(in crate::charging) fn part(
    catalog: &Catalog,
    product: &Product,
    cycle_day: u8,
    from: Timestamp,
    until: Timestamp,
) -> Part {
    match product.period {
        Some(_) if !product.prorate => Part::WHOLE,
        None => Part::WHOLE,
        Some(Period::Seconds(secs)) => {
            let days = until.since(from).as_millis().div_ceil(u128::from(DAY_SECS) * 1_000);
            Part::new(u64::try_from(days).unwrap_or(u64::MAX), u64::from(secs).div_ceil(DAY_SECS))
        }
        Some(period) => {
            let (first, next) = catalog.span(period, cycle_day, from);
            Part::new(catalog.days(from, until.min(next)), catalog.days(first, next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_money_are_rounded_once_and_halves_go_up() {
        let money = |micros| Money::from_micros(micros);
        assert_eq!(Part::new(10, 30).of_money(money(30_000_000)), money(10_000_000));
        assert_eq!(Part::new(1, 31).of_money(money(10_000_000)), money(322_581), "0.32258064…");
        assert_eq!(Part::new(1, 2).of_money(money(3)), money(2), "1.5");
        assert_eq!(Part::new(1, 4).of_money(money(1)), money(0), "0.25");
        assert_eq!(Part::new(7, 7).of_money(Money::MAX_INPUT), Money::MAX_INPUT);
        assert_eq!(Part::new(9, 7).of_money(money(5)), money(5), "never more than the whole");
    }

    #[test]
    fn parts_of_units_are_rounded_up() {
        assert_eq!(Part::new(1, 3).of_units(100), 34);
        assert_eq!(Part::new(1, 31).of_units(1), 1);
        assert_eq!(Part::WHOLE.of_units(u64::MAX), u64::MAX);
    }
}
