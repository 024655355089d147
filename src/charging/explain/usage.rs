//! Usage, and what is given back of it.

use super::{ExplainedPart, Explanation, Line, LineKind, Work, text::*};
use crate::{
    charging::{
        BucketKind, HistoryLine, Left, LimitFact, Measure, MemberNo, Part, Rest, detail::Breakdown, rate::UPLINK,
        refund,
    },
    rating::{BasisPoints, Catalog, Price, PriceLine, TierBasis, TierLine, grouped, percent, units_text},
    units::{Money, UnitKind},
};

impl<'c> Work<'_, 'c> {
    /// A charge, or what is given back of one.
    pub(super) fn charge(&self, line: &HistoryLine<'_>, breakdown: &Breakdown, is_refund: bool) -> Explanation {
        let recorded = if is_refund { line.amount.micros() } else { line.amount.micros().saturating_neg() };
        let mut doubts = Vec::new();
        let mut parts: Vec<ExplainedPart> = Vec::new();
        for part in &breakdown.parts {
            let mut explained = about(part);
            let done = if is_refund { self.given_back(&mut explained, part) } else { self.part(&mut explained, part) };
            if let Err(doubt) = done {
                let amount = part.charged.micros();
                explained.lines = vec![Line { kind: LineKind::Recorded, text: "as it was recorded".into(), amount }];
                doubts.push(doubt);
            }
            parts.push(explained);
        }
        if breakdown.rest != Rest::default() {
            let (rest, doubt) = self.rest(&breakdown.rest);
            parts.push(rest);
            doubts.push(doubt);
        }
        let paid = breakdown.paid.iter().filter(|paid| paid.kind == BucketKind::Money);
        let paid = paid.fold(0i64, |sum, paid| sum.saturating_add(paid.amount));
        if paid != recorded {
            let [paid, recorded] = [paid, recorded].map(|micros| self.money(Money::from_micros(micros)));
            doubts.push(format!("the buckets paid {paid}, and {recorded} was recorded"));
        }
        let (member, paid) = (breakdown.member, breakdown.paid.clone());
        let measure = Measure::Money;
        Explanation { measure, member, parts, paid, given_back: is_refund, total: 0, recorded, doubts }
    }

    fn part(&self, out: &mut ExplainedPart, part: &Part) -> Result<(), String> {
        if part.service.is_empty() {
            out.note("no price was found: recorded, not charged");
            return Ok(());
        }
        let reaching = match part.measure {
            Measure::Money => {
                let money = Money::from_micros(i64::try_from(part.used).unwrap_or(i64::MAX));
                out.add(LineKind::Tier, "as the network element rated it", money);
                money
            }
            Measure::Units(kind) => self.units(out, part, kind)?,
        };
        self.limits(out, part, reaching);
        Ok(())
    }

    /// What units cost before caps.
    fn units(&self, out: &mut ExplainedPart, part: &Part, kind: UnitKind) -> Result<Money, String> {
        if part.from_allowance > 0 {
            out.note(format!("{} paid by allowances", units_text(kind, part.from_allowance)));
        }
        let free = part.used.saturating_sub(part.rated).saturating_sub(part.from_allowance);
        if part.emergency {
            out.note(format!("{}: an emergency is free of charge", units_text(kind, free)));
            return Ok(Money::ZERO);
        }
        let price = self.price(out, part, kind)?;
        let keep = part.discount.as_ref().map_or(BasisPoints::WHOLE, |given| BasisPoints::less(given.basis_points));
        if free > 0 || price.is_free() && part.rated > 0 {
            let units = units_text(kind, free.max(part.rated));
            if !price.is_free() && keep != BasisPoints::NOTHING {
                return Err(format!("{units} were not charged, although the price is not free"));
            }
            match &part.discount {
                Some(given) => out.note(format!("{units} free of charge, by discount {} of 100 %", given.name)),
                None => out.note(format!("{units} free of charge")),
            }
        }
        // What costs nothing counts in no tier.
        if part.rated == 0 || price.is_free() {
            return Ok(Money::ZERO);
        }
        if (price.tier_basis() != &TierBasis::Session) != part.counted {
            return Err("where the counter of the tiers stood is not known".into());
        }
        if let TierBasis::Counter { name, period } = price.tier_basis() {
            out.note(format!("counter {name} by {} stood at {}", period_name(*period), units_text(kind, part.from)));
        }
        let beyond = |_| "so many units cost more than money can count".to_owned();
        let after = part.from.checked_add(part.rated).ok_or_else(|| beyond(()))?;
        let lines = price.lines(part.from, after).map_err(|_| beyond(()))?;
        for (line, amount) in &lines {
            match line {
                PriceLine::Setup => out.add(LineKind::Setup, "set-up fee", *amount),
                PriceLine::Tier(tier) => out.add(LineKind::Tier, self.tier(kind, tier, lines.len() > 1), *amount),
                PriceLine::Minimum(least) if amount.is_negative() => {
                    out.add(
                        LineKind::Minimum,
                        format!("paid before with the minimum of {}", self.money(*least)),
                        *amount,
                    );
                }
                PriceLine::Minimum(least) => {
                    out.add(LineKind::Minimum, format!("up to the minimum of {}", self.money(*least)), *amount);
                }
            }
        }
        let whole = price.charge(part.from, after).map_err(|_| beyond(()))?;
        let Some(given) = part.discount.as_ref() else { return Ok(whole) };
        let kept = price.charge_at(part.from, after, keep).map_err(|_| beyond(()))?;
        let text = format!("discount {}: {} % of {}", given.name, percent(given.basis_points), self.money(whole));
        out.add(LineKind::Discount, text, kept.saturating_sub(whole));
        Ok(kept)
    }

    /// The price that a part was charged by, in the version that it names.
    fn price(&self, out: &mut ExplainedPart, part: &Part, kind: UnitKind) -> Result<&'c Price, String> {
        let catalog: &'c Catalog = self.version(part.catalog)?;
        let version = if part.catalog == 0 { "the catalog".into() } else { format!("version {}", part.catalog) };
        let service = catalog.service_by_name(&part.service).filter(|service| service.kind == kind);
        let service = service.ok_or_else(|| format!("{version} has no service {} by {kind}", part.service))?;
        let (price, uplink) = match &out.tariff {
            None => (&service.price, service.uplink_price()),
            Some(name) => {
                let tariff = service.tariff_by_name(name);
                let tariff = tariff.ok_or_else(|| format!("{version} has no tariff {name} of {}", part.service))?;
                out.why = tariff.why();
                (&tariff.price, tariff.uplink_price())
            }
        };
        if !out.uplink {
            return Ok(price);
        }
        uplink.ok_or_else(|| format!("{version} has no price for octets from the user of {}", part.service))
    }

    /// Units of a tier, and what they cost each.
    fn tier(&self, kind: UnitKind, tier: &TierLine, say_where: bool) -> String {
        let TierLine { from, to, blocks, block, .. } = *tier;
        let units = if say_where || from > 0 {
            format!("{} {} to {}", kind.name(), grouped(from), grouped(to))
        } else {
            units_text(kind, to)
        };
        if tier.free {
            return format!("{units}: free units");
        }
        let price = tier.price(self.currency);
        // The block that was begun before is paid.
        let more = if tier.begun_before { " more" } else { "" };
        let rounded = if tier.whole { "" } else { ", rounded up with the sum" };
        if block == 1 {
            return format!("{units} at {price}{rounded}");
        }
        let plural = if blocks == 1 { "" } else { "s" };
        let size = tier.quantity(block);
        format!("{units} = {}{more} block{plural} of {size} at {price}{rounded}", grouped(blocks))
    }

    /// Caps take off, one after the other; limits that were reached are told.
    fn limits(&self, out: &mut ExplainedPart, part: &Part, mut reaching: Money) {
        for limit in &part.limits {
            let LimitFact { name, used, added, amount: most, measure, .. } = limit;
            let whose = if limit.member == MemberNo::SHARED { "" } else { " of the member" };
            match limit.cap() {
                Some(cap) => {
                    let charged = cap.charge(reaching);
                    let beyond = reaching.micros().saturating_sub(most.saturating_sub(*used).max(0)).max(0);
                    let part = match limit.part {
                        Some(0) | None => "is free".to_owned(),
                        Some(part) => format!("costs {} %", percent(part)),
                    };
                    let [most, used, beyond] = [*most, *used, beyond].map(|it| self.money(Money::from_micros(it)));
                    let reached = self.money(reaching);
                    out.note(format!("cap {name}{whose} of {most}: {used} counted before, and {reached} reach it now"));
                    let text = format!("what is beyond cap {name} ({beyond}) {part}");
                    out.add(LineKind::Cap, text, charged.saturating_sub(reaching));
                    reaching = charged;
                }
                None => {
                    let say = |amount: i64| match measure {
                        Measure::Money => self.money(Money::from_micros(amount)),
                        Measure::Units(kind) => amount_of(*kind, amount),
                    };
                    let (most, used, now) = (say(*most), say(*used), say(used.saturating_add(*added)));
                    out.add(
                        LineKind::Limit,
                        format!("limit {name}{whose} of {most} is reached: {used} before, now {now}"),
                        0,
                    );
                }
            }
        }
    }

    /// A refund: a share of what was left of its debit, or what it would cost today.
    fn given_back(&self, out: &mut ExplainedPart, part: &Part) -> Result<(), String> {
        let Some(left) = part.left else {
            if part.measure == Measure::Money {
                out.add(LineKind::Given, "as the network element asked", part.charged);
                return Ok(());
            }
            out.note("names no debit that is known: at the price of that moment");
            return self.part(out, part);
        };
        let Left { rated, charged } = left;
        match part.measure {
            Measure::Money => {
                let text = format!("as asked, of {} that were left of the debit", self.money(charged));
                out.add(LineKind::Given, text, part.charged.min(charged));
            }
            Measure::Units(kind) => {
                let units = part.used.saturating_sub(part.rated);
                if units > 0 {
                    out.note(format!("{} go back to allowances", units_text(kind, units)));
                }
                if rated > 0 {
                    let (given, paid) = (grouped(part.rated), self.money(charged));
                    let whole = if part.rated == rated { "" } else { ", rounded down" };
                    let text = format!("{given} of the {} that {paid} had paid for{whole}", units_text(kind, rated));
                    out.add(LineKind::Given, text, refund::share(charged, part.rated, rated));
                }
            }
        }
        Ok(())
    }
}

fn about(part: &Part) -> ExplainedPart {
    let (name, uplink) = match part.tariff.as_deref() {
        None => (None, false),
        Some(name) => match name.strip_suffix(UPLINK) {
            Some("") => (None, true),
            Some(name) => (Some(name.into()), true),
            None => (Some(name.into()), false),
        },
    };
    ExplainedPart {
        catalog: part.catalog,
        service: std::sync::Arc::clone(&part.service),
        tariff: name,
        uplink,
        used: Some((part.measure, part.used)),
        from_allowance: part.from_allowance,
        rated: part.rated,
        discount: part.discount.as_ref().map(|given| std::sync::Arc::clone(&given.name)),
        reports: part.reports,
        first: part.first,
        last: part.last,
        charged: part.charged.micros(),
        ..ExplainedPart::default()
    }
}
