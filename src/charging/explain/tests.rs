use super::*;
use crate::{
    charging::{Given, Left, LimitFact, PeriodPart},
    units::UnitKind,
};

const CATALOG: &str = r#"
currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
setup = "0.05"
[[service]]
name = "tiered"
context = "data"
rating_group = 2
price = "0.10"
per = "1 MB"
tiers = [{ from = "5 MB", price = "0.01" }]
tier_period = "day"
[[product]]
name = "monthly"
setup_fee = "5.00"
fee = "31.00"
period = "cycle"
prorate = true
[[gift]]
name = "thanks"
top_up = "10.00"
percent = "10"
"#;

fn explained(line: &HistoryLine<'_>, catalog: &str) -> Explanation {
    let catalog = Catalog::from_toml(catalog).unwrap_or_else(|problems| panic!("{problems:?}"));
    explain(line, catalog.currency(), &|number| (number == 1).then_some(&catalog))
}

fn line(charged: i64, detail: Option<Detail>) -> HistoryLine<'static> {
    let line = HistoryLine {
        units: 3_000_000,
        unit_kind: Some(UnitKind::Octets),
        service: "internet".into(),
        catalog: 1,
        ..HistoryLine::money(Timestamp::EPOCH, HistoryKind::Usage, Money::from_micros(-charged))
    };
    line.with_detail(detail)
}

fn charge(part: Part) -> HistoryLine<'static> {
    let kind = BucketKind::Money;
    let amount = part.charged.micros();
    let paid = vec![Paid { bucket: BucketId::MAIN, name: "main".into(), kind, owner: MemberNo::SHARED, amount }];
    line(amount, Some(Detail::Charge(Breakdown { parts: vec![part], paid, ..Breakdown::default() })))
}

/// 4 MB of `tiered` from 3 MB on: two blocks for 0.20 and two for 0.02, less 10 %, of which a half is beyond a cap.
fn part() -> Part {
    let cap = LimitFact {
        name: "cap".into(),
        member: MemberNo::SHARED,
        measure: Measure::Money,
        used: 1_000_000,
        added: 198_000,
        amount: 1_100_000,
        part: Some(5_000),
    };
    Part {
        catalog: 1,
        service: "tiered".into(),
        from: 3_000_000,
        counted: true,
        used: 4_000_000,
        rated: 4_000_000,
        // 0.198, of which 0.098 are beyond the cap.
        charged: Money::from_micros(149_000),
        discount: Some(Given { name: "tenth".into(), basis_points: 1_000 }),
        limits: vec![cap],
        ..Part::default()
    }
}

#[test]
fn the_lines_add_up_to_what_was_charged() {
    let explanation = explained(&charge(part()), CATALOG);
    assert!(explanation.is_exact(), "{explanation:?}");
    let amounts = |part: &ExplainedPart| part.lines.iter().map(|line| line.amount).collect::<Vec<_>>();
    assert_eq!(amounts(&explanation.parts[0]), [0, 200_000, 20_000, -22_000, 0, -49_000]);
    let plain = explained(&line(350_000, None), CATALOG);
    assert!(plain.is_exact() && amounts(&plain.parts[0]) == [50_000, 300_000], "{plain:?}");
}

#[test]
fn another_amount_is_told_apart() {
    for charged in [349_999, 350_001, 0] {
        let explanation = explained(&line(charged, None), CATALOG);
        assert!(!explanation.is_exact());
        let doubt = format!("by version 1: 0.35 EUR comes out, {} EUR was recorded", Money::from_micros(charged));
        assert_eq!(explanation.doubts, [doubt]);
    }
}

#[test]
fn every_fact_counts() {
    let good = part();
    let limit = |change: &dyn Fn(&mut LimitFact)| {
        let mut part = part();
        part.limits.iter_mut().for_each(change);
        part
    };
    let bad = [
        ("where the counter stood", Part { from: 2_000_000, ..good.clone() }),
        ("that there is one", Part { counted: false, ..good.clone() }),
        ("the units", Part { used: 3_000_000, rated: 3_000_000, ..good.clone() }),
        ("the discount", Part { discount: None, ..good.clone() }),
        (
            "another discount",
            Part { discount: Some(Given { name: "fifth".into(), basis_points: 2_000 }), ..good.clone() },
        ),
        ("the cap", Part { limits: Vec::new(), ..good.clone() }),
        ("where the cap stood", limit(&|limit| limit.used += 2)),
        ("the cap's amount", limit(&|limit| limit.amount -= 2)),
        ("the part beyond it", limit(&|limit| limit.part = Some(4_000))),
        ("the service", Part { service: "internet".into(), ..good.clone() }),
        ("the version", Part { catalog: 2, ..good.clone() }),
        ("the tariff", Part { tariff: Some("night".into()), ..good.clone() }),
        ("the direction", Part { tariff: Some("/up".into()), ..good.clone() }),
        ("that it was an emergency", Part { emergency: true, ..good }),
    ];
    for (what, part) in bad {
        assert!(!explained(&charge(part), CATALOG).is_exact(), "{what}");
    }
}

#[test]
fn another_price_list_does_not_explain_it() {
    let dearer = CATALOG.replace("\"0.10\"", "\"0.11\"");
    assert!(!explained(&charge(part()), &dearer).is_exact());
    assert!(!explained(&line(350_000, None), &dearer).is_exact());
    let unknown = explained(&HistoryLine { catalog: 7, ..line(350_000, None) }, CATALOG);
    assert_eq!(unknown.doubts, ["version 7 of the catalog, by which it was made, is no longer kept"]);
    assert_eq!((unknown.total, unknown.recorded), (350_000, 350_000), "what was recorded is told all the same");
}

#[test]
fn what_was_paid_must_add_up_too() {
    let Some(Detail::Charge(mut breakdown)) = charge(part()).read_detail() else { panic!() };
    breakdown.paid[0].amount -= 1;
    let explanation = explained(&line(149_000, Some(Detail::Charge(breakdown))), CATALOG);
    assert_eq!(explanation.doubts, ["the buckets paid 0.148999 EUR, and 0.149 EUR was recorded"]);
}

#[test]
fn a_form_that_is_not_known_is_told() {
    let strange = HistoryLine { detail: Some(vec![200, 1].into()), ..line(350_000, None) };
    let explanation = explained(&strange, CATALOG);
    assert!(!explanation.is_exact());
    assert!(explanation.doubts.iter().any(|doubt| doubt.contains("a form that is not known")), "{explanation:?}");
}

#[test]
fn fees_gifts_and_refunds_are_worked_out() {
    let money = |kind, micros, detail| {
        let line = HistoryLine { catalog: 1, ..HistoryLine::money(Timestamp::EPOCH, kind, Money::from_micros(micros)) };
        line.with_detail(Some(detail))
    };
    let period = PeriodPart { product: "monthly".into(), days: 10, of: 31, ..PeriodPart::default() };
    let floor = |usage| Detail::Floor {
        starts: Timestamp::EPOCH,
        ends: Timestamp::EPOCH,
        floor: Money::from_micros(20),
        usage: Money::from_micros(usage),
    };
    let part = Part {
        measure: Measure::Units(UnitKind::Events),
        service: "internet".into(),
        used: 1,
        rated: 1,
        charged: Money::from_micros(33_333),
        left: Some(Left { rated: 3, charged: Money::from_micros(100_000) }),
        ..Part::default()
    };
    let (bucket, kind, owner) = (BucketId::MAIN, BucketKind::Money, MemberNo::SHARED);
    let paid = vec![Paid { bucket, name: "main".into(), kind, owner, amount: 33_333 }];
    let refund = Detail::Charge(Breakdown { parts: vec![part], paid, ..Breakdown::default() });
    let lines = [
        (money(HistoryKind::Fee, -5_000_000, Detail::Fee(FeeKind::Setup, period.clone())), 1),
        (money(HistoryKind::Fee, -10_000_000, Detail::Fee(FeeKind::Period, period)), 1),
        (money(HistoryKind::Fee, -17, floor(3)), 1),
        (money(HistoryKind::Gift, 1_234_567, Detail::Gift(Money::from_micros(12_345_678))), 1),
        (money(HistoryKind::Refund, 33_333, refund), 1),
    ];
    for (line, by) in lines {
        assert!(explained(&line, CATALOG).is_exact(), "{:?}", explained(&line, CATALOG));
        let other = HistoryLine { amount: line.amount.saturating_add(Money::from_micros(by)), ..line };
        assert!(!explained(&other, CATALOG).is_exact(), "{other:?}");
    }
}
