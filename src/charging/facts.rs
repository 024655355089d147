//! What a charge went by that neither its step nor the price list tells: where counters stood, which caps took something
//! off. With it, a charge can be worked out again from its event and the version of the catalog that it names.
//!
//! A plain price has none of it, and pays nothing for it: its step says all.

use std::sync::Arc;

use super::{Measure, MemberNo, rate::Cap};
use crate::units::Money;

/// What a charge went by beside what its step says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Units that the counter of the price's tiers had counted before; `None` = the price counts in the session alone.
    pub counted: Option<u64>,
    /// Caps that took something off, in the order of the catalog, and then limits that were reached.
    pub limits: Vec<LimitFact>,
    /// It was an emergency: free, whatever the price.
    pub emergency: bool,
    /// The member of a shared account that used it, where no session says so.
    pub member: MemberNo,
    /// Of a refund of a part: what was left of the debit before.
    pub left: Option<Left>,
}

/// A cap that took something off, or a limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFact {
    /// Its name in the catalog; of what a member may take of what is shared, that of the counter.
    pub name: Arc<str>,
    /// Whose count; [`MemberNo::SHARED`] = the account's.
    pub member: MemberNo,
    /// Money, or units.
    pub measure: Measure,
    /// Micro-units or units that were counted before.
    pub used: i64,
    /// What the charge added to that. Of a cap, what reached it.
    pub added: i64,
    /// The amount of the limit.
    pub amount: i64,
    /// Of a cap: what is charged beyond its amount, in hundredths of a percent. `None` = it takes nothing off.
    pub part: Option<u16>,
}

/// What was left of a debit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Units that money had paid for.
    pub rated: u64,
    /// That money.
    pub charged: Money,
}

impl LimitFact {
    /// The cap, as it stood.
    pub(super) fn cap(&self) -> Option<Cap> {
        let Self { used, amount, part, .. } = *self;
        Some(Cap { place: None, used: used.max(0), amount: amount.max(1), part: part?.min(10_000) })
    }
}

impl Facts {
    /// In a box, unless there are none.
    pub(super) fn or_none(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}
