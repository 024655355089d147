//! Handles for what every charged request counts; resolve them once per service and currency, then keep them.

use metrics::Counter;

use super::names;
use crate::units::{Money, UnitKind};

/// Counters of the units of one service.
#[derive(Clone)]
pub struct UnitMetrics {
    granted: Counter,
    charged: Counter,
}

impl UnitMetrics {
    /// The counters of a service of the catalog, in the unit that it is charged by.
    pub fn of_service(service: &str, kind: UnitKind) -> Self {
        let labels = [("kind", kind.name().to_owned()), ("service", service.to_owned())];
        Self {
            granted: metrics::counter!(names::GRANTED_UNITS, &labels),
            charged: metrics::counter!(names::CHARGED_UNITS, &labels),
        }
    }

    /// Counts a grant.
    pub fn granted(&self, amount: u64) {
        self.granted.increment(amount);
    }

    /// Counts usage that was charged.
    pub fn charged(&self, amount: u64) {
        self.charged.increment(amount);
    }
}

/// Counters of the money of one currency.
#[derive(Clone)]
pub struct MoneyMetrics {
    charged: Counter,
    credited: Counter,
    overdraft: Counter,
    overdrafts: Counter,
}

impl MoneyMetrics {
    /// The counters of a currency, by its ISO 4217 code.
    pub fn of_currency(currency: &str) -> Self {
        let labels = [("currency", currency.to_owned())];
        Self {
            charged: metrics::counter!(names::CHARGED_MONEY, &labels),
            credited: metrics::counter!(names::CREDITED_MONEY, &labels),
            overdraft: metrics::counter!(names::OVERDRAFT_MONEY, &labels),
            overdrafts: metrics::counter!(names::OVERDRAFTS),
        }
    }

    /// Counts a charge. A negative amount counts nothing.
    pub fn charged(&self, money: Money) {
        self.charged.increment(positive(money));
    }

    /// Counts a credit. A negative amount counts nothing.
    pub fn credited(&self, money: Money) {
        self.credited.increment(positive(money));
    }

    /// Counts a report that went beyond the limit, and by how much.
    pub fn overdraft(&self, excess: Money) {
        self.overdrafts.increment(1);
        self.overdraft.increment(positive(excess));
    }
}

fn positive(money: Money) -> u64 {
    u64::try_from(money.micros()).unwrap_or(0)
}
