//! Credit pools: the services of a pool share one factor, which makes pool units of their prices (spec C-170, C-171).

use std::collections::BTreeMap;

use super::section::Field;
use crate::rating::{
    price::greatest_common_divisor,
    problem::{Problems, quoted},
    service::{ContextId, PoolTerms, Service},
};

/// Pool units of one slice: the client counts several slices of several services in 64 bits.
const SLICE_POOL_UNITS_MAX: u128 = 1 << 56;

/// A service that is in a pool, by its place in the list of services.
pub(super) type Pooled = (usize, Field<u32>);

/// Gives every pooled service its multiplier, or says why it cannot be in a pool.
pub(super) fn resolve(services: &mut [Service], pooled: &[Pooled], problems: &mut Problems<'_>) {
    let mut pools: BTreeMap<(ContextId, u32), Vec<&Pooled>> = BTreeMap::new();
    for member in pooled {
        let Some(service) = services.get(member.0) else { continue };
        // A pool counts one thing for all: units at their prices. A block or a fee is no price of a unit.
        let problem = if service.price.is_free() {
            Some("is free: what costs nothing draws nothing from a pool")
        } else if service.price.block() != 1 {
            Some("is priced by the block: in a pool every unit counts, so leave `block` out")
        } else if service.price.setup().is_positive() {
            Some("has a `setup` fee, which is no part of a pool")
        } else if !service.price.is_plain() {
            Some("has tiers, free units or a minimum charge: a pool counts by one price")
        } else if service.uplink.is_some() {
            Some("has a price of its own for the uplink: a pool counts by one price")
        } else {
            None
        };
        match problem {
            Some(problem) => problems.add(&member.1.span, format!("service {} {problem}", quoted(&service.name))),
            None => pools.entry((service.context, member.1.value)).or_default().push(member),
        }
    }
    for ((_, id), members) in pools {
        let prices: Vec<(u64, u64)> = members
            .iter()
            .filter_map(|member| services.get(member.0).map(|service| service.price.per_unit()))
            .collect();
        let multipliers = multipliers(&prices);
        for (place, member) in members.iter().enumerate() {
            let multiplier = multipliers.as_ref().and_then(|all| all.get(place).copied());
            let Some(service) = services.get_mut(member.0) else { continue };
            let most = u128::from(service.slice.max(service.slice_max.unwrap_or(0)));
            match multiplier.filter(|multiplier| u128::from(*multiplier) * most <= SLICE_POOL_UNITS_MAX) {
                Some(multiplier) => service.pool = Some(PoolTerms { id, multiplier }),
                None => problems.add(
                    &member.1.span,
                    format!("the prices of pool {id} have no common factor that is small enough to count by"),
                ),
            }
        }
    }
}

/// The smallest whole numbers that are to each other as the prices are.
fn multipliers(prices: &[(u64, u64)]) -> Option<Vec<u64>> {
    let common = prices.iter().try_fold(1u128, |common, (_, denominator)| {
        let denominator = u128::from(*denominator);
        common.checked_mul(denominator / greatest_common_divisor(common, denominator))
    })?;
    let whole: Vec<u128> = prices
        .iter()
        .map(|(numerator, denominator)| (common / u128::from(*denominator)).checked_mul(u128::from(*numerator)))
        .collect::<Option<_>>()?;
    let shared = whole.iter().fold(0, |shared, number| greatest_common_divisor(*number, shared)).max(1);
    whole.iter().map(|number| u64::try_from(number / shared).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: C-171
    #[test]
    fn multipliers_are_to_each_other_as_the_prices_are() {
        // The RFC's: $1 and $0.5 per MB are 10 and 5 for a base of $0.1; the smallest numbers are 2 and 1.
        assert_eq!(multipliers(&[(1_000_000, 1), (500_000, 1)]), Some(vec![2, 1]));
        assert_eq!(multipliers(&[(1_000_000, 1), (100_000, 1)]), Some(vec![10, 1]));
        assert_eq!(multipliers(&[(200_000, 1), (500_000, 1)]), Some(vec![2, 5]));
        // One micro-unit for an octet, 0.10 for a minute of 60 s.
        assert_eq!(multipliers(&[(1, 1), (5_000, 3)]), Some(vec![3, 5_000]));
        assert_eq!(multipliers(&[(7, 11)]), Some(vec![1]));
        assert_eq!(multipliers(&[(1, u64::MAX), (1, u64::MAX - 1), (1, u64::MAX - 2)]), None);
    }
}
