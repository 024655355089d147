#![doc = include_str!("ARCHITECTURE.md")]
// Tests may unwrap: a panic is their way to fail.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod app;
pub mod bench;
pub mod charging;
pub mod cli;
pub mod config;
pub mod diameter;
pub mod few;
pub mod ids;
pub mod journal;
pub mod load;
pub mod mapping;
pub mod rating;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod units;
