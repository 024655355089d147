//! Prices of every shape beside a model of them that is too simple to be wrong: unit by unit, in whole fractions.

use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::*;
use crate::units::MICROS;

/// What one `per` costs, in 10^-9 units of the currency, and how it is charged.
#[derive(Debug, Clone, Copy)]
struct Figures {
    nano: i64,
    per: u64,
    block: u64,
}

/// A price as a person would write it.
#[derive(Debug, Clone)]
struct Model {
    setup: i64,
    minimum: i64,
    free_units: u64,
    own: Figures,
    tiers: Vec<(u64, Figures)>,
}

impl Model {
    fn price(&self) -> Price {
        let plain = |figures: &Figures, setup| {
            let amount = Decimal::new(figures.nano, 9);
            Price::new(UnitKind::Octets, amount, figures.per, figures.block, Money::from_micros(setup)).unwrap()
        };
        let tiers: Vec<_> = self.tiers.iter().map(|(from, figures)| (*from, plain(figures, 0))).collect();
        let minimum = Money::from_micros(self.minimum);
        plain(&self.own, self.setup).shaped(minimum, self.free_units, &tiers, TierBasis::Session).unwrap()
    }

    /// What so many units cost, in micro-units.
    fn cost(&self, total: u64, keep: BasisPoints) -> i128 {
        if total == 0 {
            return 0;
        }
        // In micro-units by this denominator, which every `per` divides.
        let pers = [self.own.per].into_iter().chain(self.tiers.iter().map(|(_, figures)| figures.per));
        let denominator = 1_000 * pers.map(i128::from).product::<i128>();
        let mut sum = i128::from(self.setup) * denominator;
        for unit in self.free_units..total {
            let begun = self.tiers.iter().rfind(|(from, _)| *from <= unit);
            let (from, figures) = begun.map_or((self.free_units, self.own), |(from, figures)| (*from, *figures));
            if (unit - from).is_multiple_of(figures.block) {
                let block = i128::from(figures.nano) * i128::from(figures.block);
                sum += block * (denominator / 1_000 / i128::from(figures.per));
            }
        }
        let exact = sum.max(i128::from(self.minimum) * denominator);
        div_ceil(exact * i128::from(keep.get()), denominator * 10_000)
    }

    /// Positions where something changes, and beyond.
    fn last(&self) -> u64 {
        self.tiers.last().map_or(self.free_units, |(from, _)| *from) + 3 * self.own.block
    }
}

fn figures() -> impl Strategy<Value = Figures> {
    // From far below a micro-unit to some units of the currency; often for nothing.
    let nano = prop_oneof![4 => 0i64..3_000, 4 => 0i64..3_000_000_000, 1 => Just(0)];
    (nano, 1u64..50, prop_oneof![Just(1u64), 1u64..8]).prop_map(|(nano, per, block)| Figures { nano, per, block })
}

fn models() -> impl Strategy<Value = Model> {
    let fee = || prop_oneof![Just(0i64), 0i64..4_000_000];
    let tiers = prop::collection::vec((figures(), 1u64..4), 0..4);
    (fee(), fee(), 0u64..4, figures(), tiers).prop_map(|(setup, minimum, free, own, listed)| {
        let free_units = free * own.block;
        let (mut last, mut block, mut tiers) = (free_units, own.block, Vec::new());
        for (figures, steps) in listed {
            let both = block * figures.block;
            last = (last / both + steps) * both;
            block = figures.block;
            tiers.push((last, figures));
        }
        Model { setup, minimum, free_units, own, tiers }
    })
}

fn parts() -> impl Strategy<Value = BasisPoints> {
    prop_oneof![
        2 => Just(BasisPoints::WHOLE),
        1 => Just(BasisPoints::NOTHING),
        5 => (0u16..=10_000).prop_map(|part| BasisPoints::new(part).unwrap()),
    ]
}

/// The highest charge of so many units after any number of units in the range.
fn highest(price: &Price, starts: RangeInclusive<u64>, units: u64, keep: BasisPoints) -> Money {
    starts.map(|start| price.charge_at(start, start + units, keep).unwrap()).max().unwrap()
}

proptest! {
    // tests: C-57
    #[test]
    fn cost_is_the_models(model in models(), keep in parts(), ahead in 0u64..20) {
        let price = model.price();
        let mut before = Money::ZERO;
        for total in 0..model.last() + ahead {
            let cost = price.cost_at(total, keep).unwrap();
            prop_assert_eq!(i128::from(cost.micros()), model.cost(total, keep), "{} units", total);
            prop_assert!(cost >= before, "more never costs less");
            before = cost;
        }
    }

    // tests: C-57
    #[test]
    fn the_cut_of_reports_changes_nothing(
        model in models(), keep in parts(), reports in prop::collection::vec(0u64..60, 0..12),
    ) {
        let (price, mut total, mut sum) = (model.price(), 0, Money::ZERO);
        for used in reports {
            sum = sum.checked_add(price.charge_at(total, total + used, keep).unwrap()).unwrap();
            total += used;
        }
        prop_assert_eq!(sum, price.cost_at(total, keep).unwrap());
    }

    // tests: C-58
    #[test]
    fn affordable_is_what_a_search_finds(
        model in models(), keep in parts(), before in 0u64..100, micros in -10i64..9_000_000, want in 0u64..100,
        scale in 0u32..7,
    ) {
        let (price, purse) = (model.price(), Money::from_micros(micros / 10i64.pow(scale)));
        let spent = model.cost(before, keep);
        let pays = |units: u64| model.cost(before + units, keep) - spent <= i128::from(purse.micros().max(0));
        let expected = (0..=want).take_while(|units| pays(*units)).last().unwrap_or(0);
        prop_assert_eq!(price.affordable_at(before, purse, want, keep), expected);
    }

    // tests: C-58
    #[test]
    fn affordable_is_exact_at_any_size(
        model in models(), keep in parts(), before: u64, micros: i64, want: u64, shift in 0u32..64,
    ) {
        let (price, before, purse) = (model.price(), before >> shift, Money::from_micros(micros.max(0)));
        let units = price.affordable_at(before, purse, want, keep);
        prop_assert!(units <= want);
        if !price.is_free() && keep != BasisPoints::NOTHING && price.cost_at(before, keep).is_ok() {
            let pays = |units| price.charge_at(before, before + units, keep).is_ok_and(|charge| charge <= purse);
            prop_assert!(pays(units));
            prop_assert!(units == want.min(u64::MAX - before) || !pays(units + 1));
        }
    }

    /// Nothing that can happen to a common count makes the units dearer, and little is reserved in vain.
    #[test]
    fn the_dearest_charge_is_a_bound(
        model in models(), keep in parts(), from in 0u64..60, further in 0u64..60, units in 0u64..60,
    ) {
        let price = model.price();
        let bound = price.dearest_charge(from, from + further, units, keep).unwrap();
        let highest = highest(&price, from..=from + further, units, keep);
        prop_assert!(bound >= highest, "{bound} < {highest}");
        // Two blocks, and the rounding of either. What a minimum will have paid is another matter.
        let block = price.block_cost().micros();
        prop_assert!(model.minimum > 0 || bound.micros() <= highest.micros() + 2 * block + 2, "{bound}, {highest}");
        if price.is_plain() {
            for start in from.max(1)..=from + further {
                let charge = price.charge_at(start, start + units, keep).unwrap();
                let fees = if from == 0 { price.setup().micros() + block } else { 0 };
                prop_assert!(bound.micros() <= charge.micros() + block + 1 + fees, "{bound}, {charge}");
            }
        }
        if further == 0 {
            prop_assert_eq!(bound, highest);
        }
    }

    #[test]
    fn nothing_panics(model in models(), keep in parts(), before: u64, after: u64, micros: i64) {
        let price = model.price();
        let _ = price.charge_at(before, after, keep);
        let _ = price.affordable_at(before, Money::from_micros(micros), after, keep);
        let _ = price.dearest_charge(before.min(after), before.max(after), 1 + micros.unsigned_abs(), keep);
        let _ = price.explain_at(before, after, keep, yuan());
    }

    /// The largest figures that a catalog can name stay within 128 bits: what cannot be told is an error, and no panic.
    #[test]
    fn the_largest_figures_do_not_panic(
        list in prop::collection::vec((0i64..=1_000_000_000_000_000, 1u64..=4, 0u32..=45), 1..=TIERS_MAX),
        keep in parts(), total: u64, further: u64, shift in 0u32..64,
    ) {
        let most = Money::from_micros(i64::from(PRICE_MAX) * MICROS);
        let octets = |nano, per, block, setup| {
            Price::new(UnitKind::Octets, Decimal::new(nano, 9), per, block, setup).unwrap()
        };
        let tiers: Vec<_> = (1..).zip(&list).map(|(place, (nano, per, shift))| {
            // By the common denominator of all, 12,000, the numerator just fits 63 bits.
            let nano = (*nano).min(((1 << 62) / 12) >> shift);
            (place << 45, octets(nano, *per, 1 << shift, Money::ZERO))
        }).collect();
        let own = octets(1_000_000_000_000_000, 1, 1, most);
        let price = own.shaped(most, 1 << 44, &tiers, TierBasis::Session).unwrap();
        let (total, further) = (total >> shift, further >> shift);
        let latest = total.saturating_add(further);
        if let Ok(cost) = price.cost_at(total, keep) {
            prop_assert!(cost >= price.cost_at(total / 2, keep).unwrap());
        }
        let bound = price.dearest_charge(total, latest, further, keep);
        let charge = latest.checked_add(further).map(|last| price.charge_at(latest, last, keep));
        if let (Ok(bound), Some(Ok(charge))) = (bound, charge) {
            prop_assert!(bound >= charge);
        }
        let afforded = price.affordable_at(total, most, further, keep);
        prop_assert!(afforded <= further);
    }
}
