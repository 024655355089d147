//! Explanations for people: lines that a care agent can read out, and add up by hand.

use super::{ExplainedPart, Explanation, LineKind, Work};
use crate::{
    charging::{BucketKind, Measure, MemberNo, Paid},
    ids::BucketId,
    rating::{Period, grouped, units_text},
    units::{Currency, Money, UnitKind},
};

/// Where amounts stand at the end of a line.
const AMOUNT_COLUMN: usize = 96;

impl Explanation {
    /// As lines of text. `since` = when a version of the catalog came into force, `whose` = what a member is called.
    pub fn text(
        &self,
        currency: Currency,
        since: &dyn Fn(u32) -> Option<String>,
        whose: &dyn Fn(MemberNo) -> String,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        if self.member != MemberNo::SHARED {
            lines.push(format!("used by {}", whose(self.member)));
        }
        for part in &self.parts {
            lines.push(part.heading(since));
            for line in &part.lines {
                if matches!(line.kind, LineKind::Note | LineKind::Limit) {
                    lines.push(format!("  {}", line.text));
                } else {
                    lines.push(in_columns(&line.text, &self.say(line.amount, currency)));
                }
            }
        }
        lines.extend(self.paid.iter().map(|paid| self.paid_text(paid, currency, whose)));
        let total = self.say(self.total, currency);
        lines.push(if self.is_exact() { format!("total {total}, as recorded") } else { format!("total {total}") });
        if self.total != self.recorded {
            lines.push(format!("BUT {} was recorded", self.say(self.recorded, currency)));
        }
        lines.extend(self.doubts.iter().map(|doubt| format!("NOT CONFIRMED: {doubt}")));
        lines
    }

    /// An amount with its unit.
    pub(super) fn say(&self, value: i64, currency: Currency) -> String {
        match self.measure {
            Measure::Money => format!("{} {currency}", Money::from_micros(value)),
            Measure::Units(kind) => amount_of(kind, value),
        }
    }

    fn paid_text(&self, paid: &Paid, currency: Currency, whose: &dyn Fn(MemberNo) -> String) -> String {
        let Paid { bucket, name, kind, owner, amount: value } = paid;
        let what = match kind {
            BucketKind::Money if *bucket == Paid::OTHERS => "other balances together".to_owned(),
            BucketKind::Units(_) if *bucket == Paid::OTHERS => "other allowances together".to_owned(),
            BucketKind::Money if *bucket == BucketId::MAIN => "main balance".to_owned(),
            BucketKind::Money => format!("balance `{name}` (bucket {})", bucket.0),
            BucketKind::Units(_) => format!("allowance `{name}` (bucket {})", bucket.0),
        };
        let owner = match (*owner, self.member) {
            _ if *bucket == Paid::OTHERS => String::new(),
            (MemberNo::SHARED, MemberNo::SHARED) => String::new(),
            (MemberNo::SHARED, _) => ", which is shared".to_owned(),
            (owner, _) => format!(" of {}", whose(owner)),
        };
        let value = match kind {
            BucketKind::Money => format!("{} {currency}", Money::from_micros(*value)),
            BucketKind::Units(kind) => amount_of(*kind, *value),
        };
        format!("{} {what}{owner}: {value}", if self.given_back { "to" } else { "from" })
    }
}

impl ExplainedPart {
    /// What it is about, and by which terms.
    fn heading(&self, since: &dyn Fn(u32) -> Option<String>) -> String {
        let mut text = match self.used {
            Some((Measure::Units(kind), used)) => format!("{}: {}", self.title(), units_text(kind, used)),
            Some((Measure::Money, _)) | None => self.title(),
        };
        match self.reports {
            0 => {}
            1 => text.push_str(&format!(" at {}", self.first)),
            reports if self.first == self.last => text.push_str(&format!(" in {reports} reports at {}", self.first)),
            reports => text.push_str(&format!(" in {reports} reports from {} to {}", self.first, self.last)),
        }
        if let Some(tariff) = &self.tariff {
            text.push_str(&format!(", tariff {tariff}"));
            if !self.why.is_empty() {
                text.push_str(&format!(" ({})", self.why));
            }
        }
        if self.uplink {
            text.push_str(", by the price for what comes from the user");
        }
        if self.catalog > 0 {
            let since = since(self.catalog).map_or_else(String::new, |since| format!(" (since {since})"));
            text.push_str(&format!(", by version {}{since}", self.catalog));
        }
        text
    }

    fn title(&self) -> String {
        match (self.service.is_empty(), self.used) {
            (false, _) => self.service.to_string(),
            (true, Some(_)) => "usage without a price".into(),
            (true, None) => "main balance".into(),
        }
    }
}

impl Work<'_, '_> {
    pub(super) fn money(&self, money: Money) -> String {
        format!("{money} {}", self.currency)
    }
}

fn in_columns(text: &str, amount: &str) -> String {
    let width = AMOUNT_COLUMN.saturating_sub(2 + text.chars().count());
    format!("  {text} {amount:>width$}")
}

pub(super) fn amount_of(kind: UnitKind, units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", units_text(kind, units.unsigned_abs()))
}

pub(super) fn period_name(period: Period) -> String {
    match period {
        Period::Day => "day".into(),
        Period::Week => "week".into(),
        Period::Cycle => "billing cycle".into(),
        Period::Seconds(secs) => format!("{} s", grouped(secs.into())),
    }
}
