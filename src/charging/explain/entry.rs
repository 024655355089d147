//! Fees, what products and top-ups give, and what needs no arithmetic.

use super::{ExplainedPart, FeeKind, LineKind, Work};
use crate::{
    charging::{HistoryKind, HistoryLine, PeriodPart, products},
    rating::{Product, percent, units_text},
    time::Timestamp,
    units::Money,
};

impl<'c> Work<'_, 'c> {
    /// A fee of a product: all of it, or the part that belongs to the days of a period.
    pub(super) fn fee(
        &self,
        out: &mut ExplainedPart,
        catalog: u32,
        kind: FeeKind,
        period: &PeriodPart,
    ) -> Result<(), String> {
        out.catalog = catalog;
        let product = self.product(catalog, period)?;
        if kind == FeeKind::Setup {
            out.add(LineKind::Fee, format!("set-up fee of {}", product.name), product.setup_fee);
            return Ok(());
        }
        out.note(span(period));
        let part = products::Part::new(period.days, period.of);
        let fee = self.money(product.fee);
        let text = if part.is_whole() {
            format!("fee of {} for the whole period", product.name)
        } else {
            format!(
                "fee of {}: {} of {} days of {fee}, rounded to the micro-unit",
                product.name, period.days, period.of
            )
        };
        out.add(LineKind::Fee, text, part.of_money(product.fee));
        Ok(())
    }

    /// What was missing to the least that was to be spent.
    pub(super) fn floor(
        &self,
        out: &mut ExplainedPart,
        floor: Money,
        usage: Money,
        (starts, ends): (Timestamp, Timestamp),
    ) -> Result<(), String> {
        out.note(format!("the billing cycle from {starts} to {ends}"));
        out.add(LineKind::Fee, "the least that is to be spent on usage", floor);
        out.add(LineKind::Fee, "was spent on usage", -usage);
        Ok(())
    }

    /// Units that a product gave, or that went on into its next period.
    pub(super) fn given(
        &self,
        out: &mut ExplainedPart,
        line: &HistoryLine<'_>,
        period: &PeriodPart,
    ) -> Result<(), String> {
        out.catalog = line.catalog;
        let product = self.product(line.catalog, period)?;
        let included = product.allowances.iter().find(|it| *it.allowance.name == *line.service);
        let included = included.ok_or_else(|| format!("product {} gives no {}", product.name, line.service))?;
        let kind = included.allowance.kind;
        out.note(span(period));
        if line.kind != HistoryKind::RollOver {
            let part = products::Part::new(period.days, period.of);
            let whole = units_text(kind, included.allowance.amount);
            let text = if part.is_whole() {
                format!("given by {} for the whole period", product.name)
            } else {
                format!("given by {}: {} of {} days of {whole}, rounded up", product.name, period.days, period.of)
            };
            out.add(LineKind::Given, text, units(part.of_units(included.allowance.amount)));
            return Ok(());
        }
        let terms = included.roll_over.ok_or_else(|| format!("{} does not roll over", line.service))?;
        if line.units > terms.most {
            return Err(format!("at most {} go on", units_text(kind, terms.most)));
        }
        let plural = if terms.periods == 1 { "" } else { "s" };
        let most = units_text(kind, terms.most);
        let text = format!("were left, and go on: at most {most}, for {} further period{plural}", terms.periods);
        out.add(LineKind::Given, text, units(line.units));
        Ok(())
    }

    /// What came with a top-up.
    pub(super) fn gift(&self, out: &mut ExplainedPart, line: &HistoryLine<'_>, top_up: Money) -> Result<(), String> {
        out.catalog = line.catalog;
        let catalog = self.version(line.catalog)?;
        let gift = catalog.gift_for(top_up).ok_or_else(|| "no gift comes with such a top-up".to_owned())?;
        let came = format!("gift {} for a top-up of {}", gift.name, self.money(top_up));
        match line.unit_kind {
            Some(_) => {
                let allowance = gift.allowance.as_ref().ok_or_else(|| format!("gift {} has no units", gift.name))?;
                out.add(LineKind::Given, came, units(allowance.amount));
            }
            None => {
                let micros = i128::from(top_up.micros()) * i128::from(gift.basis_points) / 10_000;
                let text = format!("{came}: {} % of it, rounded down", percent(gift.basis_points));
                out.add(LineKind::Given, text, i64::try_from(micros).unwrap_or(i64::MAX));
            }
        }
        Ok(())
    }

    /// What is not worked out from anything: it moved as it was asked.
    pub(super) fn recorded(&self, out: &mut ExplainedPart, line: &HistoryLine<'_>) -> Result<(), String> {
        let text = match line.kind {
            HistoryKind::Opening => "opening balance",
            HistoryKind::TopUp => "paid in",
            HistoryKind::Adjustment => "by an operator",
            HistoryKind::Allowance => "given as a whole",
            HistoryKind::Expired => "was left when it ran out",
            HistoryKind::TransferOut => "sent to another account, or come back",
            HistoryKind::TransferIn => "sent by another account",
            HistoryKind::Voucher => "the value of the voucher",
            HistoryKind::Gift | HistoryKind::RollOver => "given",
            HistoryKind::Usage | HistoryKind::Refund | HistoryKind::Fee | HistoryKind::Change => {
                return if out.charged == 0 { Ok(()) } else { Err("what it went by was not kept".into()) };
            }
        };
        out.add(LineKind::Recorded, text, out.charged);
        Ok(())
    }

    fn product(&self, catalog: u32, period: &PeriodPart) -> Result<&'c Product, String> {
        let product = self.version(catalog)?.product(&period.product);
        product.ok_or_else(|| format!("version {catalog} has no product {}", period.product))
    }
}

fn span(period: &PeriodPart) -> String {
    match period.until {
        Some(until) => format!("from {} to {until}", period.from),
        None => format!("from {}", period.from),
    }
}

fn units(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
