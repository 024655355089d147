//! The catalog (TOML, written by people) compiled to an immutable price list, and pure functions from usage to money.
//!
//! No IO, no clock, no floating point. [`Catalog::from_toml`] is the only place where prices are read; from then on all
//! arithmetic is on integers.

mod attributes;
mod calendar;
mod catalog;
mod compile;
mod dial_plan;
mod failure;
mod filter_rule;
mod offer;
mod price;
mod problem;
mod quantity;
mod service;
mod settings;
mod tariff;
mod versions;

pub use attributes::{Attributes, Role};
pub use catalog::Catalog;
pub use compile::CATALOG_OCTETS_MAX;
pub use failure::{FailurePolicy, OnFailure};
pub use offer::{AfterLimit, Discount, Gift, Included, Limit, Period, Plan, Product, RollOver, Scope, Unpaid};
pub use price::{
    BasisPoints, PRICE_MAX, PRICE_SCALE_MAX, Price, PriceError, PriceLine, PriceOverflow, TIERS_MAX, TierBasis,
    TierLine,
};
pub(crate) use price::{grouped, percent, units_text};
pub use problem::Problem;
pub use quantity::QUANTITY_MAX;
pub use service::{
    Allowance, Announcement, ContextId, EnvelopeReporting, FinalAction, PoolTerms, Service, ServiceId, Threshold,
    ThresholdKind, TimeMechanism,
};
pub use settings::{Domain, Indeterminate};
pub use tariff::Tariff;
pub use versions::{Catalogs, Publication, RunningSessions, VERSIONS_KEPT, Version, differences};

#[cfg(test)]
mod tests;
