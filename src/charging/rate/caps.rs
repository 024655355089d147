//! Caps: beyond an amount of money, usage costs a part of its price.

use crate::{charging::ledger::Place, units::Money};

/// All of a price, in hundredths of a percent.
const WHOLE: i128 = 10_000;

/// An amount of money, how much has reached it so far, and what is charged beyond it.
#[derive(Debug, Clone, Copy)]
pub(in crate::charging) struct Cap {
    /// Where the money that reaches it is counted; `None` for a grant: the charge falls as usage grows, so that nobody has to
    /// know what others may use.
    pub(in crate::charging) place: Option<Place>,
    /// Micro-units that have reached it; not negative. For a grant at most `amount`: what is charged later may begin
    /// anywhere on the way, and the rounding there is not known.
    pub(in crate::charging) used: i64,
    /// Micro-units; above zero.
    pub(in crate::charging) amount: i64,
    /// What is charged beyond it, in hundredths of a percent: 0 to 9,999.
    pub(in crate::charging) part: u16,
}

impl Cap {
    /// Whether usage costs nothing from now on.
    pub(in crate::charging) fn is_free(&self) -> bool {
        self.part == 0 && self.used >= self.amount
    }

    /// What is charged of so much more money. Rounded once, on the total.
    pub(in crate::charging) fn charge(&self, money: Money) -> Money {
        let used = i128::from(self.used);
        let charged = self.total(used + i128::from(money.micros())) - self.total(used);
        // Never more than the money.
        Money::from_micros(i64::try_from(charged).unwrap_or(i64::MAX))
    }

    /// The most money of which no more than this is charged.
    pub(in crate::charging) fn reach(&self, charged: Money) -> Money {
        let used = i128::from(self.used);
        let total = self.total(used) + i128::from(charged.micros().max(0));
        let beyond = (total - i128::from(self.amount)).max(0);
        let money = match i128::from(self.part) {
            _ if total < i128::from(self.amount) => total - used,
            0 => i128::MAX,
            part => i128::from(self.amount) + beyond * WHOLE / part - used,
        };
        Money::from_micros(i64::try_from(money).unwrap_or(i64::MAX))
    }

    /// What is charged of a total.
    fn total(&self, reached: i128) -> i128 {
        let amount = i128::from(self.amount);
        let beyond = (reached - amount).max(0);
        // Not negative, so that this rounds up.
        reached.min(amount) + (beyond * i128::from(self.part) + WHOLE - 1) / WHOLE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cap(used: i64, amount: i64, part: u16) -> Cap {
        Cap { place: None, used, amount, part }
    }

    #[test]
    fn beyond_the_amount_a_part_is_charged() {
        let half = |used: i64, money: i64| cap(used, 100, 5_000).charge(Money::from_micros(money)).micros();
        // Of three micro-units beyond, one and a half are charged: the total is rounded, not each.
        assert_eq!((half(0, 100), half(0, 103), half(100, 1), half(101, 1), half(102, 1)), (100, 102, 1, 0, 1));
        let free = |used: i64, money: i64| cap(used, 100, 0).charge(Money::from_micros(money)).micros();
        assert_eq!((free(0, 250), free(99, 250), free(100, 250)), (100, 1, 0));
    }

    proptest! {
        #[test]
        fn charges_add_up_and_reach_is_their_inverse(
            used in 0i64..1_000, amount in 1i64..1_000, part in 0u16..10_000, one in 0i64..1_000, other in 0i64..1_000,
        ) {
            let first = cap(used, amount, part);
            let charge = |cap: Cap, money: i64| cap.charge(Money::from_micros(money)).micros();
            let then = Cap { used: used + one, ..first };
            prop_assert_eq!(charge(first, one) + charge(then, other), charge(first, one + other));
            prop_assert!(charge(first, one) <= one);
            // What a grant reserves covers what is charged wherever it comes to be used.
            let granted = Cap { used: used.min(amount), ..first };
            prop_assert!(charge(then, other) <= charge(granted, other));
            let reach = first.reach(Money::from_micros(other)).micros();
            prop_assert!(charge(first, reach.min(i64::MAX / 4)) <= other);
            if reach < i64::MAX / 4 {
                prop_assert!(charge(first, reach + 1) > other);
            }
        }
    }
}
