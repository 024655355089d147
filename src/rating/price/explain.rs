//! How a charge comes about, in one sentence for people.

use super::{BasisPoints, PRICE_SCALE_MAX, Price, Written, tiers::Tier};
use crate::{
    rating::quantity,
    units::{Currency, Money, UnitKind},
};

impl Price {
    /// One sentence that says how the charge for usage from `before` to `after` comes about, for people:
    /// `3,145,728 octets = 4 blocks of 1 MB at 0.01 CNY per MB: 0.04 CNY`.
    pub fn explain(&self, before: u64, after: u64, currency: Currency) -> String {
        self.explain_at(before, after, BasisPoints::WHOLE, currency)
    }

    /// As [`Price::explain`], where only `keep` of the price is charged: `3,145,728 octets = 4 blocks of 1 MB: 2 at 0.01
    /// CNY per MB, 2 at 0.005 CNY per MB, less 20 %: 0.024 CNY`.
    pub fn explain_at(&self, before: u64, after: u64, keep: BasisPoints, currency: Currency) -> String {
        let kind = self.kind.map_or("units", UnitKind::name);
        let usage = match after.checked_sub(before) {
            Some(used) => {
                let kind = if used == 1 { kind.trim_end_matches('s') } else { kind };
                let after = if before == 0 { String::new() } else { format!(" after {}", grouped(before)) };
                format!("{} {kind}{after}", grouped(used))
            }
            None => format!("correction from {} to {} {kind}", grouped(before), grouped(after)),
        };
        if self.is_free() {
            return format!("{usage}, free of charge: 0.00 {currency}");
        }
        let rated = self.rated(before, after, currency);
        // A correction gives back what the same usage would have cost.
        let (low, high) = (before.min(after), before.max(after));
        let setup = match (low == 0 && high > 0, self.setup) {
            (true, 1..) => format!(" and {} {currency} for the start", self.setup()),
            _ => String::new(),
        };
        let minimum = self.minimum(low, high, currency);
        let discount = match BasisPoints::WHOLE.get() - keep.get() {
            0 => String::new(),
            off => format!(", less {} %", percent(off)),
        };
        let charge = match self.charge_at(before, after, keep) {
            Ok(charge) => format!("{charge} {currency}"),
            Err(overflow) => overflow.to_string(),
        };
        format!("{usage}{rated}{setup}{minimum}{discount}: {charge}")
    }

    /// What was charged by which tier: ` = 4 blocks of 1 MB at 0.01 CNY per MB`.
    fn rated(&self, before: u64, after: u64, currency: Currency) -> String {
        let word = match before {
            0 => "",
            _ if after < before => "less ",
            _ => "more ",
        };
        let blocks = |count: u64, block: u64| {
            let plural = if count == 1 { "" } else { "s" };
            let size = self.kind.map_or_else(|| grouped(block), |kind| quantity::write(kind, block));
            format!("{} {word}block{plural} of {size}", grouped(count))
        };
        let at = |tier: &Tier| {
            let per = self.kind.map_or_else(|| "unit".into(), |kind| quantity::write_per(kind, tier.written.per));
            format!("at {} {currency} per {per}", tier.written.amount())
        };
        let parts = self.parts(before.min(after), before.max(after));
        match &*parts {
            [(_, tier)] if tier.numerator == 0 => ", free of charge".into(),
            [(_, tier)] if tier.block == 1 => format!(" {}", at(tier)),
            [(count, tier)] => format!(" = {} {}", blocks(*count, tier.block), at(tier)),
            [(_, first), ..] if first.block > 1 && parts.iter().all(|(_, tier)| tier.is_like(first)) => {
                let sum = parts.iter().map(|(count, _)| count).sum();
                let each: Vec<String> =
                    parts.iter().map(|(count, tier)| format!("{} {}", grouped(*count), at(tier))).collect();
                format!(" = {}: {}", blocks(sum, first.block), each.join(", "))
            }
            _ => {
                let each = |(count, tier): &(u64, &Tier)| match (tier.numerator, tier.block) {
                    (0, _) => format!("{} free", grouped(*count)),
                    (_, 1) => format!("{} {}", grouped(*count), at(tier)),
                    (_, block) => format!("{} {}", blocks(*count, block), at(tier)),
                };
                format!(" = {}", parts.iter().map(each).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// How many blocks of which tiers are begun between two positions; of a tier that costs nothing the units. Without any
    /// usage, none of the tier in force.
    fn parts(&self, low: u64, high: u64) -> Vec<(u64, &Tier)> {
        let tiers = self.tiers().0;
        let ends = tiers.iter().skip(1).map(|tier| tier.from).chain([u64::MAX]);
        let mut parts = Vec::new();
        for (tier, end) in tiers.iter().zip(ends) {
            let (low, high) = (low.max(tier.from), high.min(end));
            if low < high || parts.is_empty() && high >= tier.from && high < end {
                let count = if tier.numerator == 0 { high - low } else { tier.blocks(high) - tier.blocks(low) };
                parts.push((count, tier));
            }
        }
        parts
    }

    /// What the minimum charge adds, or has paid already.
    fn minimum(&self, low: u64, high: u64, currency: Currency) -> String {
        let Some(shape) = self.shape.as_ref().filter(|shape| shape.minimum > 0) else { return String::new() };
        let curve = self.curve();
        // What so many units lack up to the minimum.
        let lacking = |total: u64| curve.minimum.saturating_sub(curve.without_minimum(total));
        let minimum = format!("the minimum of {} {currency}", micros(shape.minimum.into()));
        match (low, lacking(low), lacking(high)) {
            (0, _, 1..) => format!(", but at least {minimum}"),
            (1.., more @ 1.., less) => {
                let paid = micros((more - less).div_ceil(shape.denominator.into()));
                format!(", of which {minimum} has paid {paid} {currency}")
            }
            _ => String::new(),
        }
    }
}

impl Tier {
    /// Whether it is charged by the same blocks.
    fn is_like(&self, other: &Self) -> bool {
        self.block == other.block && self.numerator > 0
    }
}

impl Written {
    /// The amount with at least two fractional digits.
    pub(super) fn amount(&self) -> String {
        let scale = self.scale.min(PRICE_SCALE_MAX) as usize;
        let digits = format!("{:0>width$}", self.mantissa, width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        format!("{whole}.{fraction:0<2}")
    }
}

/// At most `i64::MAX`.
fn micros(number: u128) -> Money {
    Money::from_micros(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Hundredths of a percent as a percentage: `20`, `12.5`.
pub(crate) fn percent(hundredths: u16) -> String {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A number of units: `3,145,728 octets`.
pub(crate) fn units_text(kind: UnitKind, units: u64) -> String {
    let name = if units == 1 { kind.name().trim_end_matches('s') } else { kind.name() };
    format!("{} {name}", grouped(units))
}

/// The number with commas between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
