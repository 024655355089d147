//! How a line of the history came about, worked out again: from the facts that went with it and the version of the catalog
//! that each names, never from what is in force now. What comes out is compared with what was charged.

mod entry;
mod text;
mod usage;

use std::sync::Arc;

use super::{
    BucketKind, Detail, FeeKind, HistoryKind, HistoryLine, Measure, MemberNo, Paid, Part, Rest, detail::Breakdown,
};
use crate::{
    ids::BucketId,
    rating::Catalog,
    time::Timestamp,
    units::{Currency, Money},
};

/// Finds a version of the catalog by its number.
pub type Versions<'c> = dyn Fn(u32) -> Option<&'c Catalog> + 'c;

/// How a line of the history came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What `total` and all amounts count: money, or units of what was given.
    pub measure: Measure,
    /// The member of a shared account that used it; [`MemberNo::SHARED`] = nobody with terms of its own.
    pub member: MemberNo,
    /// What it is made of, in order; never none.
    pub parts: Vec<ExplainedPart>,
    /// Where it came from.
    pub paid: Vec<Paid>,
    /// It was given back: to what is in `paid`.
    pub given_back: bool,
    /// What all lines add up to. Micro-units or units; not below zero for what is charged or given back.
    pub total: i64,
    /// What was charged, given or given back.
    pub recorded: i64,
    /// What could not be worked out, or came out otherwise; none = the total is what was recorded, and every amount in it
    /// was worked out.
    pub doubts: Vec<String>,
}

/// What was charged under the same terms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainedPart {
    /// The version of the catalog; 0 = it has no number, or none is needed.
    pub catalog: u32,
    /// The service, product or allowance.
    pub service: Arc<str>,
    /// The tariff of the service; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
    /// By the price for octets from the user.
    pub uplink: bool,
    /// When the tariff applies, as the catalog says.
    pub why: String,
    /// What was used; `None` = it is about no usage.
    pub used: Option<(Measure, u64)>,
    /// The part of it that allowances paid for.
    pub from_allowance: u64,
    /// The part of it that money paid for.
    pub rated: u64,
    /// What the discount is called, if there was one.
    pub discount: Option<Arc<str>>,
    /// How many reports; 0 = not known.
    pub reports: u32,
    /// When the first and the last of them were charged.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// The arithmetic: amounts add up to `charged`.
    pub lines: Vec<Line>,
    /// What was charged, as it was recorded.
    pub charged: i64,
}

/// One line of the arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// In words, with the figures.
    pub text: String,
    /// What it adds, or takes off; 0 = it only says something.
    pub amount: i64,
}

/// What a line of the arithmetic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Says something that costs nothing by itself.
    Note,
    /// The set-up fee of a price.
    Setup,
    /// Units of one tier.
    Tier,
    /// What a minimum adds, or has paid already.
    Minimum,
    /// What a discount takes off.
    Discount,
    /// What a cap takes off.
    Cap,
    /// A limit that was reached.
    Limit,
    /// A fee.
    Fee,
    /// What is given, or given back.
    Given,
    /// An amount as it was recorded.
    Recorded,
}

impl Explanation {
    /// Whether every amount was worked out, and the total is what was recorded.
    pub fn is_exact(&self) -> bool {
        self.doubts.is_empty() && self.total == self.recorded
    }
}

/// Works out how a line of the history came about.
pub fn explain(line: &HistoryLine<'_>, currency: Currency, versions: &Versions<'_>) -> Explanation {
    let work = Work { currency, versions };
    let detail = line.read_detail();
    let mut explanation = match (&detail, line.kind) {
        (Some(Detail::Charge(breakdown)), kind) => work.charge(line, breakdown, kind == HistoryKind::Refund),
        (None, HistoryKind::Usage) => work.charge(line, &plain(line), false),
        (Some(Detail::Fee(kind, period)), _) => work.entry(line, |part| work.fee(part, line.catalog, *kind, period)),
        (Some(Detail::Floor { floor, usage, starts, ends }), _) => {
            work.entry(line, |part| work.floor(part, *floor, *usage, (*starts, *ends)))
        }
        (Some(Detail::Given(period)), _) => work.entry(line, |part| work.given(part, line, period)),
        (Some(Detail::Gift(top_up)), _) => work.entry(line, |part| work.gift(part, line, *top_up)),
        (None, _) => work.entry(line, |part| work.recorded(part, line)),
    };
    if line.detail.is_some() && detail.is_none() {
        explanation.doubts.push("what it is made of was written in a form that is not known here".into());
    }
    explanation.conclude(currency);
    explanation
}

/// What a line without a detail is made of: one price from the start, all from the main bucket.
fn plain(line: &HistoryLine<'_>) -> Breakdown {
    let charged = if line.amount == Money::from_micros(i64::MIN) { Money::ZERO } else { -line.amount };
    let measure = line.unit_kind.map_or(Measure::Money, Measure::Units);
    let part = Part {
        catalog: line.catalog,
        service: (*line.service).into(),
        measure,
        used: if measure == Measure::Money { charged.micros().unsigned_abs() } else { line.units },
        rated: line.units.saturating_sub(line.units_from_allowance),
        from_allowance: line.units_from_allowance,
        charged,
        ..Part::default()
    };
    let mut paid = Vec::new();
    if charged != Money::ZERO {
        let (kind, amount) = (BucketKind::Money, charged.micros());
        paid.push(Paid { bucket: BucketId::MAIN, name: "main".into(), kind, owner: MemberNo::SHARED, amount });
    }
    Breakdown { parts: vec![part], paid, ..Breakdown::default() }
}

/// What it takes to explain something.
struct Work<'w, 'c> {
    currency: Currency,
    versions: &'w Versions<'c>,
}

impl<'c> Work<'_, 'c> {
    /// A line that is no usage: one part.
    fn entry(
        &self,
        line: &HistoryLine<'_>,
        explain: impl FnOnce(&mut ExplainedPart) -> Result<(), String>,
    ) -> Explanation {
        let (measure, recorded) = match line.unit_kind {
            Some(kind) => (Measure::Units(kind), i64::try_from(line.units).unwrap_or(i64::MAX)),
            None => (Measure::Money, line.amount.micros().saturating_abs()),
        };
        let mut part = ExplainedPart { charged: recorded, first: line.at, last: line.at, ..ExplainedPart::default() };
        part.service = (*line.service).into();
        let mut doubts = Vec::new();
        if let Err(doubt) = explain(&mut part) {
            part.lines.push(Line { kind: LineKind::Recorded, text: "as it was recorded".into(), amount: recorded });
            doubts.push(doubt);
        }
        let (member, paid) = (MemberNo::SHARED, Vec::new());
        Explanation { measure, member, parts: vec![part], paid, given_back: false, total: 0, recorded, doubts }
    }

    /// The sum of what is kept no more.
    fn rest(&self, rest: &Rest) -> (ExplainedPart, String) {
        let amount = rest.charged.micros();
        let text = "further reports, whose facts are in the journal only".to_owned();
        let lines = vec![Line { kind: LineKind::Recorded, text: text.clone(), amount }];
        (ExplainedPart { lines, charged: amount, rated: rest.rated, ..ExplainedPart::default() }, text)
    }

    fn version(&self, number: u32) -> Result<&'c Catalog, String> {
        (self.versions)(number).ok_or_else(|| match number {
            0 => "by which version of the catalog it was made is not known".to_owned(),
            _ => format!("version {number} of the catalog, by which it was made, is no longer kept"),
        })
    }
}

impl Explanation {
    /// Adds all up, and compares it with what was recorded.
    fn conclude(&mut self, currency: Currency) {
        for part in &self.parts {
            let sum = part.sum();
            if sum != part.charged {
                let (sum, charged) = (self.say(sum, currency), self.say(part.charged, currency));
                let by = if part.catalog == 0 { String::new() } else { format!("by version {}: ", part.catalog) };
                self.doubts.push(format!("{by}{sum} comes out, {charged} was recorded"));
            }
        }
        self.total = self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.sum()));
        let parts = self.parts.iter().fold(0i64, |sum, part| sum.saturating_add(part.charged));
        if parts != self.recorded {
            let (parts, recorded) = (self.say(parts, currency), self.say(self.recorded, currency));
            self.doubts.push(format!("its parts come to {parts}, the whole to {recorded}"));
        }
    }
}

impl ExplainedPart {
    fn sum(&self) -> i64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.amount))
    }

    fn add(&mut self, kind: LineKind, text: impl Into<String>, amount: impl Into<Amount>) {
        self.lines.push(Line { kind, text: text.into(), amount: amount.into().0 });
    }

    fn note(&mut self, text: impl Into<String>) {
        self.add(LineKind::Note, text, 0);
    }
}

/// Micro-units or units.
struct Amount(i64);

impl From<i64> for Amount {
    fn from(amount: i64) -> Self {
        Self(amount)
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self(money.micros())
    }
}

#[cfg(test)]
mod tests;
