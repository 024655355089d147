//! Prices: tables by kind, the worked flows' figures, and properties.

mod model;
mod shapes;

use proptest::prelude::*;

use super::*;
use crate::units::Currency;

const MIB: u64 = 1 << 20;

fn price(kind: UnitKind, amount: &str, per: u64, block: u64, setup: &str) -> Price {
    Price::new(kind, amount.parse().unwrap(), per, block, setup.parse().unwrap()).unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn yuan() -> Currency {
    "CNY".parse().unwrap()
}

// tests: C-57
#[test]
fn cost_by_kind_of_price() {
    let megabyte = price(UnitKind::Octets, "0.01", 1_000_000, 1_000_000, "0");
    let tenths = price(UnitKind::Octets, "0.01", 1_000_000, 100_000, "0");
    let octet = price(UnitKind::Octets, "0.10", MIB, 1, "0");
    let minute = price(UnitKind::Seconds, "0.15", 60, 60, "0");
    let second = price(UnitKind::Seconds, "0.10", 60, 1, "0");
    let with_setup = price(UnitKind::Seconds, "0.15", 60, 60, "0.05");
    let only_setup = price(UnitKind::Seconds, "0", 60, 60, "0.50");
    let event = price(UnitKind::Events, "0.09", 1, 1, "0");
    for (price, total, cost) in [
        (&megabyte, 0, "0"),
        (&megabyte, 1, "0.01"),
        (&megabyte, 1_000_000, "0.01"),
        (&megabyte, 1_000_001, "0.02"),
        (&tenths, 1, "0.001"),
        (&tenths, 1_000_001, "0.011"),
        // Rounded up to the micro-unit: 0.10 / 2^20 is 0.000000095...
        (&octet, 1, "0.000001"),
        (&octet, 11, "0.000002"),
        (&octet, MIB, "0.10"),
        (&octet, MIB + 1, "0.100001"),
        (&minute, 1, "0.15"),
        (&minute, 60, "0.15"),
        (&minute, 61, "0.30"),
        (&second, 1, "0.001667"),
        (&second, 60, "0.10"),
        (&with_setup, 0, "0"),
        (&with_setup, 1, "0.20"),
        (&with_setup, 61, "0.35"),
        (&only_setup, 0, "0"),
        (&only_setup, u64::MAX, "0.50"),
        (&event, 3, "0.27"),
        (&Price::free(), u64::MAX, "0"),
    ] {
        assert_eq!(price.cost(total), Ok(money(cost)), "{total} at {price:?}");
    }
}

// tests: C-58
#[test]
fn worked_flows_of_volume() {
    for block in [1, 1_024, MIB / 2] {
        let price = price(UnitKind::Octets, "0.10", MIB, block, "0");
        let slice = 10 * MIB;
        assert_eq!(price.charge(0, slice), Ok(money("1.00")));
        assert_eq!(price.charge(slice, slice + 3 * MIB), Ok(money("0.30")));
        assert_eq!(price.affordable(0, money("10.00"), slice), slice);
        assert_eq!(price.affordable(0, money("0.50"), slice), 5_242_880);
        assert_eq!(price.affordable(0, money("0.75"), slice), 7_864_320);
        assert_eq!(price.affordable(7_864_320, Money::ZERO, slice), 0);
        assert_eq!(price.charge(0, 11 * MIB), Ok(money("1.10")));
    }
    let dearer = price(UnitKind::Octets, "0.20", MIB, MIB, "0");
    assert_eq!(dearer.affordable(0, money("1.00"), 10 * MIB), 5_242_880);
    assert_eq!(dearer.affordable(5 * MIB, money("0.20"), 10 * MIB), MIB);
    let whole = price(UnitKind::Octets, "0.10", MIB, MIB, "0");
    assert_eq!(whole.affordable(0, money("0.75"), 10 * MIB), 7 * MIB);
}

// tests: C-57
#[test]
fn worked_flows_of_events_and_time() {
    let sms = price(UnitKind::Events, "0.09", 1, 1, "0");
    assert_eq!(sms.affordable(0, money("0.20"), 5), 2);
    assert_eq!(sms.affordable(2, money("0.02"), 1), 0);
    assert_eq!(sms.charge(1, 0), Ok(money("-0.09")));

    let voice = price(UnitKind::Seconds, "0.12", 60, 60, "0");
    for (reports, cost) in
        [(&[60, 15][..], "0.24"), (&[50, 25], "0.24"), (&[50, 20], "0.24"), (&[20, 20], "0.12"), (&[], "0")]
    {
        assert_eq!(charged(&voice, reports), money(cost), "{reports:?}");
    }
}

/// The sum of the charges of these reports.
fn charged(price: &Price, reports: &[u64]) -> Money {
    let (mut total, mut sum) = (0, Money::ZERO);
    for used in reports {
        sum = sum.checked_add(price.charge(total, total + used).unwrap()).unwrap();
        total += used;
    }
    sum
}

// tests: C-57
#[test]
fn a_thousand_reports_of_one_octet_cost_one_block() {
    let price = price(UnitKind::Octets, "0.01", 1_000_000, 100_000, "0.02");
    assert_eq!(charged(&price, &[1; 1_000]), money("0.021"));
}

#[test]
fn what_money_cannot_hold_is_an_overflow() {
    let dear = price(UnitKind::Octets, "1000000", 1, 1, "1000000");
    assert_eq!(dear.cost(u64::MAX), Err(PriceOverflow));
    assert_eq!(dear.charge(0, u64::MAX), Err(PriceOverflow));
    assert_eq!(dear.charge(u64::MAX, u64::MAX), Err(PriceOverflow));
    assert_eq!(dear.affordable(u64::MAX, money("1"), 1), 0);
    let most = dear.affordable(0, Money::from_micros(i64::MAX), u64::MAX);
    assert!(dear.cost(most).is_ok() && dear.cost(most + 1).is_err());
    let cheap = price(UnitKind::Octets, "0.01", 1_000_000, 1_000_000, "0");
    assert_eq!(cheap.cost(u64::MAX), Ok(Money::from_micros(184_467_440_737_100_000)));
    assert_eq!(cheap.affordable(0, Money::from_micros(i64::MAX), u64::MAX), u64::MAX);
    assert_eq!(cheap.affordable(5, Money::from_micros(i64::MAX), u64::MAX), u64::MAX - 5);
}

#[test]
fn money_below_zero_still_uses_up_what_is_paid() {
    let price = price(UnitKind::Octets, "0.01", 1_000_000, 1_000_000, "0");
    assert_eq!(price.affordable(1, money("-3"), u64::MAX), 999_999);
    assert_eq!(price.affordable(0, money("-3"), u64::MAX), 0);
    assert_eq!(Price::free().affordable(7, money("-3"), u64::MAX), u64::MAX);
}

#[test]
fn figures_that_make_no_price() {
    let new = |amount: &str, per, block, setup| {
        Price::new(UnitKind::Octets, amount.parse().unwrap(), per, block, Money::from_micros(setup)).unwrap_err()
    };
    assert_eq!(new("-0.01", 1, 1, 0), PriceError::Amount);
    assert_eq!(new("1000000.01", 1, 1, 0), PriceError::Amount);
    assert_eq!(new("0.0000000000001", 1, 1, 0), PriceError::Scale);
    assert_eq!(new("1", 0, 1, 0), PriceError::Quantity);
    assert_eq!(new("1", 1, QUANTITY_MAX + 1, 0), PriceError::Quantity);
    assert_eq!(new("1", 1, 1, -1), PriceError::Setup);
    assert_eq!(new("999983.999983999983", QUANTITY_MAX - 1, QUANTITY_MAX, 0), PriceError::Inexact);
}

#[test]
fn explanations_can_be_read_out() {
    let megabyte = price(UnitKind::Octets, "0.01", 1_000_000, 1_000_000, "0");
    let voice = price(UnitKind::Seconds, "0.15", 60, 60, "0.05");
    let sms = price(UnitKind::Events, "0.1", 1, 1, "0");
    let bulk = price(UnitKind::Octets, "0.025", 10 * MIB, MIB, "0");
    let free = Price::free_of(UnitKind::Octets);
    for (price, before, after, text) in [
        (&megabyte, 0, 3_145_728, "3,145,728 octets = 4 blocks of 1 MB at 0.01 CNY per MB: 0.04 CNY"),
        (
            &megabyte,
            3_145_728,
            3_145_738,
            "10 octets after 3,145,728 = 0 more blocks of 1 MB at 0.01 CNY per MB: 0.00 CNY",
        ),
        (&voice, 0, 15, "15 seconds = 1 block of 1 min at 0.15 CNY per min and 0.05 CNY for the start: 0.20 CNY"),
        (&voice, 15, 75, "60 seconds after 15 = 1 more block of 1 min at 0.15 CNY per min: 0.15 CNY"),
        (&sms, 0, 3, "3 events at 0.10 CNY per event: 0.30 CNY"),
        (&sms, 3, 2, "correction from 3 to 2 events at 0.10 CNY per event: -0.10 CNY"),
        (&bulk, 0, 1, "1 octet = 1 block of 1 MiB at 0.025 CNY per 10 MiB: 0.0025 CNY"),
        (&free, 0, 1_000, "1,000 octets, free of charge: 0.00 CNY"),
    ] {
        assert_eq!(price.explain(before, after, yuan()), text);
    }
    let dear = price(UnitKind::Events, "1000000", 1, 1, "0");
    assert!(dear.explain(0, u64::MAX, yuan()).ends_with(": the cost of this usage is beyond the range of money"));
}

/// Prices with small and with awkward figures.
fn prices() -> impl Strategy<Value = Price> {
    let amounts = (0u64..100_000, 0u32..=12).prop_map(|(mantissa, scale)| Decimal::new(mantissa as i64, scale));
    (amounts, 1u64..2_000, 1u64..50, 0i64..3_000_000).prop_map(|(amount, per, block, setup)| {
        let setup = Money::from_micros(if setup < 1_500_000 { 0 } else { setup });
        Price::new(UnitKind::Octets, amount, per, block, setup).unwrap()
    })
}

proptest! {
    // tests: C-57
    #[test]
    fn the_cut_of_reports_changes_nothing(price in prices(), reports in prop::collection::vec(0u64..500, 0..20)) {
        let total = reports.iter().sum();
        prop_assert_eq!(charged(&price, &reports), price.cost(total).unwrap());
    }

    // tests: C-58
    #[test]
    fn affordable_is_what_a_search_finds(
        price in prices(), before in 0u64..300, micros in -10i64..5_000_000, want in 0u64..300, scale in 0u32..7,
    ) {
        let purse = Money::from_micros(micros / 10i64.pow(scale));
        let pays = |units: u64| price.charge(before, before + units).unwrap().micros() <= purse.micros().max(0);
        let expected = (0..=want).take_while(|units| pays(*units)).last().unwrap_or(0);
        prop_assert_eq!(price.affordable(before, purse, want), expected);
    }

    #[test]
    fn affordable_is_exact_at_any_size(
        price in prices(), before: u64, micros: i64, want: u64, shift in 0u32..64,
    ) {
        let (before, purse) = (before >> shift, Money::from_micros(micros.max(0)));
        let units = price.affordable(before, purse, want);
        prop_assert!(units <= want);
        if !price.is_free() && price.cost(before).is_ok() {
            prop_assert!(price.charge(before, before + units).is_ok_and(|charge| charge <= purse));
            if units < want.min(u64::MAX - before) {
                prop_assert!(price.charge(before, before + units + 1).map_or(true, |charge| charge > purse));
            }
        }
    }

    #[test]
    fn cost_is_the_exact_quotient_rounded_up_once(price in prices(), total in 1u64..) {
        let blocks = i128::from(total.div_ceil(price.own.block));
        let exact = div_ceil(blocks * i128::from(price.own.numerator), i128::from(price.denominator));
        let expected = i64::try_from(exact + i128::from(price.setup)).map(Money::from_micros).ok();
        prop_assert_eq!(price.cost(total).ok(), expected);
        prop_assert!(price.cost(total - 1).ok() <= price.cost(total).ok() || price.cost(total).is_err());
    }

    #[test]
    fn nothing_panics(price in prices(), before: u64, after: u64, micros: i64) {
        let _ = price.charge(before, after);
        let _ = price.affordable(before, Money::from_micros(micros), after);
        let _ = price.explain(before, after, yuan());
    }
}
