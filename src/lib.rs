#![doc = include_str!("ARCHITECTURE.md")]
// Tests may unwrap: a panic is their way to fail.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod diameter;
pub mod ids;
pub mod load;
pub mod time;
pub mod units;
