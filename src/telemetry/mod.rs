//! What operations see: metrics, health, logs.
//!
//! Every metric name is in [`names`]. Rare things are counted with the `metrics` macros and those names:
//! `metrics::counter!(names::TOP_UPS).increment(1)`. What every request counts goes through handles that were resolved
//! before: [`RequestMetrics`], [`UnitMetrics`], [`MoneyMetrics`].

mod health;
mod histogram;
pub mod http;
pub mod logs;
pub mod names;
pub mod observer;
mod recorder;
mod requests;
#[cfg(test)]
mod tests;
mod usage;

pub use health::{Health, HealthState};
pub use observer::MetricsObserver;
pub use recorder::{InitError, Metrics, init};
pub use requests::{RequestKind, RequestMetrics};
pub use usage::{MoneyMetrics, UnitMetrics};
