//! What marketing sells beside bare prices: products with fees, allowances, discounts and limits; plans that say how an
//! account lives; gifts. Plain terms, by name: what an account has of them is state of the charging core.

use std::sync::Arc;

use super::{
    calendar::Hours,
    service::{Allowance, Service},
};
use crate::units::Money;

/// A span of time that repeats, by the operator's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight to the next one.
    Week,
    /// From midnight of the account's cycle day to that of the next month.
    Cycle,
    /// Windows of so many seconds, counted from 1970-01-01T00:00:00Z: 60 to 31,622,400.
    Seconds(u32),
}

/// The services that something is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Names of services; empty = all services that are counted ([`Service::counted`]).
    pub services: Arc<[Arc<str>]>,
}

impl Scope {
    /// Whether a service belongs to it.
    pub fn includes(&self, service: &Service) -> bool {
        if self.services.is_empty() {
            service.counted
        } else {
            self.services.contains(&service.name)
        }
    }
}

/// An amount of money per period, counted for each account or for each of its members, and what comes when it is reached:
/// spending caps, spend limits and velocity limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// When the count begins anew.
    pub period: Period,
    /// Above zero.
    pub amount: Money,
    /// What is counted.
    pub scope: Scope,
    /// Counted for each member of a shared account by itself.
    pub by_member: bool,
    /// What comes when it is reached.
    pub then: AfterLimit,
    /// Percentages of the amount at which a reminder is told, ascending, 1 to 99.
    pub reminders: Vec<u8>,
}

/// What comes after a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLimit {
    /// It is told, and nothing else.
    Notify,
    /// Nothing more that costs money is granted; what running grants use all the same is charged.
    Refuse,
    /// The account is suspended until an operator lifts it.
    Stop,
    /// Usage beyond it costs this part of its price, in hundredths of a percent: 0 (free) to 9,999.
    Charge(u16),
}

/// A part of the price that is taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// In hundredths of a percent: 1 to 10,000 (free).
    pub basis_points: u16,
    /// The services that it is for.
    pub scope: Scope,
    /// When it is given; `None` = always.
    pub(super) hours: Option<Hours>,
}

/// What can be bought for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// Paid once, when it is bought.
    pub setup_fee: Money,
    /// Paid at the start of every period, or once if there is none.
    pub fee: Money,
    /// How often it renews; `None` = bought once.
    pub period: Option<Period>,
    /// A first or last period that is not whole costs, and gives, its part in days only.
    pub prorate: bool,
    /// What every period gives.
    pub allowances: Vec<Included>,
    /// Names of discounts that hold while it does.
    pub discounts: Vec<Arc<str>>,
    /// Names of limits (caps) that hold while it does.
    pub limits: Vec<Arc<str>>,
    /// The least that is spent in a period on usage; what is missing is charged at its end. 0 = none. Only with a period.
    pub floor: Money,
    /// So many seconds from the purchase on no fee is charged; 0 = none. The setup fee is waived too.
    pub trial_secs: u64,
    /// It ends by itself so many seconds after the purchase; `None` = when it is cancelled.
    pub lasts_secs: Option<u64>,
    /// What comes when a fee cannot be paid.
    pub unpaid: Unpaid,
    /// An account can have it this many times at once: 1 or more.
    pub most: u32,
}

/// An allowance in a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// Its terms. Given by a product that renews, it lasts until the period's end, unless it says a validity of its own.
    pub allowance: Arc<Allowance>,
    /// What is left of it at the end of the period goes on into the next one.
    pub roll_over: Option<RollOver>,
}

/// How an allowance rolls over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollOver {
    /// Units that go on at most.
    pub most: u64,
    /// For so many further periods: 1 or more. What has rolled over is used before what is new.
    pub periods: u8,
}

/// What comes when a fee cannot be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpaid {
    /// It is charged all the same: the balance may go below zero, or the credit limit.
    Charge,
    /// The product pauses, and is tried again at every credit.
    Pause,
    /// The product ends.
    Cancel,
}

/// How an account lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// Names of products that an account gets with it.
    pub products: Vec<Arc<str>>,
    /// Names of limits that hold for all its accounts.
    pub limits: Vec<Arc<str>>,
    /// Its life begins with the first chargeable use; else when the account is created.
    pub activate_on_use: bool,
    /// How long an account may be used after its life began, in seconds; `None` = for ever.
    pub validity_secs: Option<u64>,
    /// What top-ups add to that: the last entry whose amount is reached; ascending by amount.
    pub top_up_validity: Vec<(Money, u64)>,
    /// After the validity: nothing chargeable is granted, a top-up that adds validity revives. Then the account ends. In
    /// seconds.
    pub grace_secs: u64,
    /// A reminder is told so long before the validity ends, in seconds; 0 = none.
    pub remind_before_secs: u64,
    /// How long after a cycle's end usage may still arrive for it, in seconds.
    pub late_usage_secs: u64,
}

/// What comes with a top-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// With top-ups of at least so much. Of several gifts the one with the highest amount that is reached is given.
    pub top_up: Money,
    /// Money, in hundredths of a percent of the top-up: 0 to 10,000.
    pub basis_points: u16,
    /// How long that money lasts, in seconds; `None` = for ever.
    pub validity_secs: Option<u64>,
    /// Units.
    pub allowance: Option<Arc<Allowance>>,
}

/// All that is sold beside bare prices.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) limits: Vec<Limit>,
    pub(super) discounts: Vec<Discount>,
    pub(super) products: Vec<Product>,
    pub(super) plans: Vec<Plan>,
    pub(super) gifts: Vec<Gift>,
}
