#![doc = include_str!("ARCHITECTURE.md")]
// Tests may unwrap: a panic is their way to fail.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod config;
pub mod ids;
pub mod telemetry;
pub mod time;
pub mod units;
