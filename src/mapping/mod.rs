//! Between Diameter and charging: a CCR becomes a command, a decision becomes a CCA. The only place that knows both.
//!
//! Pure: no IO, no clock, no state. What a service domain has of its own is in a file of its own (`conditions`); the rest is
//! the same for all of them.

mod answer;
mod client;
mod conditions;
mod identity;
mod keys;
mod request;
mod salvage;

pub use crate::rating::FailurePolicy;
pub use answer::{encode_answer, result_code};
pub use client::{ClientTraits, ServicesRead};
pub use request::{Charge, charge};
pub use salvage::{Salvage, salvage};
