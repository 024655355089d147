//! Tiers, free units, minimum charges and discounts: worked figures, how they are told, and what is refused.

use super::*;

const MB: u64 = 1_000_000;

fn tiered(own: Price, minimum: &str, free_units: u64, tiers: &[(u64, Price)]) -> Price {
    own.shaped(money(minimum), free_units, tiers, TierBasis::Session).unwrap()
}

fn octets(amount: &str, block: u64) -> Price {
    price(UnitKind::Octets, amount, MB, block, "0")
}

fn seconds(amount: &str, block: u64, setup: &str) -> Price {
    price(UnitKind::Seconds, amount, 60, block, setup)
}

fn percent_off(percent: u16) -> BasisPoints {
    BasisPoints::less(percent * 100)
}

// tests: C-57
#[test]
fn cost_by_shape() {
    let falling = tiered(octets("0.01", MB), "0", 0, &[(2 * MB, octets("0.005", MB)), (10 * MB, octets("0", MB))]);
    let finer = tiered(octets("0.01", MB), "0", 0, &[(2 * MB, octets("0.005", 100_000))]);
    let free = tiered(octets("0.01", MB), "0", MB, &[(3 * MB, octets("0.02", MB))]);
    let call = tiered(seconds("0.15", 60, "0.05"), "0.30", 0, &[]);
    let thirds = tiered(
        price(UnitKind::Octets, "0.000001", 3, 1, "0"),
        "0",
        0,
        &[(2, price(UnitKind::Octets, "0.000001", 7, 1, "0"))],
    );
    for (price, total, cost) in [
        (&falling, 0, "0"),
        (&falling, 1, "0.01"),
        (&falling, 2 * MB, "0.02"),
        (&falling, 2 * MB + 1, "0.025"),
        (&falling, 10 * MB, "0.06"),
        (&falling, u64::MAX, "0.06"),
        (&finer, 2 * MB + 1, "0.0205"),
        (&finer, 3 * MB, "0.025"),
        (&free, MB, "0"),
        (&free, MB + 1, "0.01"),
        (&free, 3 * MB, "0.02"),
        (&free, 3 * MB + 1, "0.04"),
        (&call, 0, "0"),
        (&call, 1, "0.30"),
        (&call, 60, "0.30"),
        (&call, 61, "0.35"),
        // Rounded once: 2/3 + 1/7 is 17/21.
        (&thirds, 2, "0.000001"),
        (&thirds, 3, "0.000001"),
        (&thirds, 5, "0.000002"),
    ] {
        assert_eq!(price.cost(total), Ok(money(cost)), "{total} at {price:?}");
    }
    assert_eq!(falling.block_cost(), money("0.01"), "of the dearest tier");
    assert_eq!(falling.as_written(), (1, 2, MB), "of the first tier");
    assert_eq!(falling.tier_basis(), &TierBasis::Session);
    assert!(!falling.is_plain() && !falling.is_free() && octets("0.01", MB).is_plain());
    assert!(tiered(octets("0", MB), "0", MB, &[(2 * MB, octets("0", MB))]).is_free());
    assert!(!tiered(octets("0", MB), "0.01", 0, &[]).is_free());
    assert!(!tiered(octets("0", MB), "0", 0, &[(2 * MB, octets("0.01", MB))]).is_free());
}

/// A discount comes off the exact cost, which is rounded up once, after it.
#[test]
fn discounts_come_before_rounding() {
    let price = price(UnitKind::Octets, "0.10", MIB, 1, "0");
    // 11 octets are 1.049 micro-units.
    assert_eq!(price.cost_at(11, BasisPoints::WHOLE), Ok(money("0.000002")));
    assert_eq!(price.cost_at(11, percent_off(10)), Ok(money("0.000001")));
    assert_eq!(price.cost_at(11, percent_off(100)), Ok(Money::ZERO));
    assert_eq!(price.affordable_at(0, money("0.000001"), 100, percent_off(10)), 11);
    assert_eq!(price.affordable_at(0, Money::ZERO, 100, BasisPoints::NOTHING), 100);
    let call = tiered(seconds("0.15", 60, "0.05"), "0.30", 0, &[]);
    assert_eq!(call.cost_at(1, percent_off(50)), Ok(money("0.15")), "of the minimum too");
    // All that money can hold is still told exactly.
    let dear = super::price(UnitKind::Events, "1000000", 1, 1, "0");
    let most = 9_223_372u64;
    assert_eq!(dear.cost_at(2 * most, percent_off(50)), dear.cost(most));
    assert_eq!(dear.cost_at(2 * most + 2, percent_off(50)), Err(PriceOverflow));
    assert_eq!(dear.affordable_at(0, Money::from_micros(i64::MAX), u64::MAX, percent_off(50)), 2 * most);
    assert_eq!(dear.cost_at(u64::MAX, BasisPoints::NOTHING), Ok(Money::ZERO));
}

#[test]
fn parts_are_at_most_the_whole() {
    assert_eq!(BasisPoints::new(10_000), Some(BasisPoints::WHOLE));
    assert_eq!(BasisPoints::new(10_001), None);
    assert_eq!((BasisPoints::less(2_050).get(), BasisPoints::less(10_001)), (7_950, BasisPoints::NOTHING));
}

/// While others use up the cheap or the dear tier of a common count, the bound covers what these units may cost.
#[test]
fn the_dearest_charge_looks_at_every_tier_that_may_be_reached() {
    let whole = BasisPoints::WHOLE;
    let rising = tiered(octets("0.01", MB), "0", 0, &[(10 * MB, octets("0.05", MB))]);
    assert_eq!(rising.dearest_charge(0, 0, MB, whole), Ok(money("0.01")));
    assert_eq!(rising.dearest_charge(0, 5 * MB, MB, whole), Ok(money("0.01")));
    let within_reach = rising.dearest_charge(0, 20 * MB, MB, whole).unwrap();
    assert!((money("0.05")..=money("0.10")).contains(&within_reach), "{within_reach}");
    let falling = tiered(octets("0.05", MB), "0", 0, &[(10 * MB, octets("0.01", MB))]);
    let until_then = falling.dearest_charge(9 * MB, 20 * MB, MB, whole).unwrap();
    assert!((money("0.05")..=money("0.10")).contains(&until_then), "{until_then}");
    assert_eq!(falling.dearest_charge(10 * MB, 20 * MB, MB, whole), Ok(money("0.01")));
    let plain = octets("0.01", MB);
    assert_eq!(plain.dearest_charge(1, 20 * MB, MB + 1, whole), Ok(money("0.02")));
    assert_eq!(plain.dearest_charge(1, u64::MAX, 1, whole), Err(PriceOverflow));
    assert_eq!(Price::free().dearest_charge(1, u64::MAX, 1, whole), Ok(Money::ZERO));
}

#[test]
fn explanations_tell_tiers_minimum_and_discount() {
    let same = tiered(octets("0.01", MB), "0", 0, &[(2 * MB, octets("0.005", MB))]);
    let finer = tiered(octets("0.01", MB), "0", 0, &[(2 * MB, octets("0.005", 100_000))]);
    let free = tiered(octets("0.01", MB), "0", MB, &[(3 * MB, octets("0.005", MB))]);
    let calls = tiered(seconds("0.15", 60, "0.05"), "0.30", 0, &[]);
    let bulk =
        tiered(price(UnitKind::Events, "0.1", 1, 1, "0"), "0", 2, &[(50, price(UnitKind::Events, "0.05", 1, 1, "0"))]);
    for (price, before, after, off, text) in [
        (
            &same,
            0,
            3_145_728,
            20,
            "3,145,728 octets = 4 blocks of 1 MB: 2 at 0.01 CNY per MB, 2 at 0.005 CNY per MB, less 20 %: 0.024 CNY",
        ),
        (&same, 0, MB, 0, "1,000,000 octets = 1 block of 1 MB at 0.01 CNY per MB: 0.01 CNY"),
        (
            &same,
            5 * MB,
            6 * MB,
            0,
            "1,000,000 octets after 5,000,000 = 1 more block of 1 MB at 0.005 CNY per MB: 0.005 CNY",
        ),
        (
            &same,
            MB,
            4 * MB,
            0,
            "3,000,000 octets after 1,000,000 = 3 more blocks of 1 MB: 1 at 0.01 CNY per MB, 2 at 0.005 CNY per MB: \
             0.02 CNY",
        ),
        (&same, 2 * MB, 2 * MB, 0, "0 octets after 2,000,000 = 0 more blocks of 1 MB at 0.005 CNY per MB: 0.00 CNY"),
        (
            &finer,
            0,
            2 * MB + 1,
            0,
            "2,000,001 octets = 2 blocks of 1 MB at 0.01 CNY per MB, 1 block of 100 kB at 0.005 CNY per MB: 0.0205 CNY",
        ),
        (&free, 0, MB, 0, "1,000,000 octets, free of charge: 0.00 CNY"),
        (
            &free,
            0,
            4 * MB,
            0,
            "4,000,000 octets = 1,000,000 free, 2 blocks of 1 MB at 0.01 CNY per MB, 1 block of 1 MB at 0.005 CNY per MB: \
             0.025 CNY",
        ),
        (&bulk, 0, 60, 0, "60 events = 2 free, 48 at 0.10 CNY per event, 10 at 0.05 CNY per event: 5.30 CNY"),
        (
            &bulk,
            51,
            49,
            0,
            "correction from 51 to 49 events = 1 at 0.10 CNY per event, 1 at 0.05 CNY per event: -0.15 CNY",
        ),
        (
            &calls,
            0,
            15,
            0,
            "15 seconds = 1 block of 1 min at 0.15 CNY per min and 0.05 CNY for the start, but at least the minimum of \
             0.30 CNY: 0.30 CNY",
        ),
        (
            &calls,
            15,
            75,
            0,
            "60 seconds after 15 = 1 more block of 1 min at 0.15 CNY per min, of which the minimum of 0.30 CNY has paid \
             0.10 CNY: 0.05 CNY",
        ),
        (&calls, 75, 135, 25, "60 seconds after 75 = 1 more block of 1 min at 0.15 CNY per min, less 25 %: 0.1125 CNY"),
        (&calls, 0, 61, 0, "61 seconds = 2 blocks of 1 min at 0.15 CNY per min and 0.05 CNY for the start: 0.35 CNY"),
        (
            &calls,
            15,
            0,
            0,
            "correction from 15 to 0 seconds = 1 less block of 1 min at 0.15 CNY per min and 0.05 CNY for the start, but \
             at least the minimum of 0.30 CNY: -0.30 CNY",
        ),
    ] {
        assert_eq!(price.explain_at(before, after, percent_off(off), yuan()), text);
    }
    let odd = same.explain_at(0, MB, BasisPoints::less(1_250), yuan());
    assert!(odd.ends_with(", less 12.5 %: 0.00875 CNY"), "{odd}");
}

#[test]
fn shapes_that_make_no_price() {
    let own = || octets("0.01", MB);
    let made = |minimum: i64, free, tiers: &[(u64, Price)]| {
        own().shaped(Money::from_micros(minimum), free, tiers, TierBasis::Session).unwrap_err()
    };
    let kind = UnitKind::Octets;
    assert_eq!(made(-1, 0, &[]), PriceError::Minimum);
    assert_eq!(made(1_000_000_000_001, 0, &[]), PriceError::Minimum);
    assert_eq!(made(0, QUANTITY_MAX + 1, &[]), PriceError::Quantity);
    assert_eq!(made(0, 0, &[(0, own())]), PriceError::Quantity);
    assert_eq!(made(0, 0, &vec![(MB, own()); TIERS_MAX + 1]), PriceError::Tiers);
    assert_eq!(made(0, 0, &[(2 * MB, own()), (2 * MB, own())]), PriceError::Order { tier: 2 });
    assert_eq!(made(0, 2 * MB, &[(MB, own())]), PriceError::Order { tier: 1 });
    assert_eq!(made(0, 5, &[]), PriceError::Boundary { tier: 0, from: 5, block: MB, kind });
    assert_eq!(
        made(0, 0, &[(MB + 5, octets("1", 5))]),
        PriceError::Boundary { tier: 1, from: MB + 5, block: MB, kind }
    );
    assert_eq!(made(0, 0, &[(MB, octets("1", 3))]), PriceError::Boundary { tier: 1, from: MB, block: 3, kind });
    let prime = |per| price(UnitKind::Octets, "0.000001", per, 1, "0");
    assert_eq!(
        made(0, 0, &[(MB, prime(999_999_999_989)), (2 * MB, prime(999_999_999_961))]),
        PriceError::TierInexact { tier: 2, from: 2 * MB, kind }
    );
    let counter = TierBasis::Counter { name: "total".into(), period: crate::rating::Period::Day };
    let counted = own().shaped(Money::ZERO, 0, &[], counter.clone()).unwrap();
    assert!(!counted.is_plain() && counted.tier_basis() == &counter);
    assert!(own().shaped(Money::ZERO, 0, &[], TierBasis::Session).unwrap().is_plain());
}
