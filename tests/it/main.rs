//! Integration tests: everything that needs more than one module, or the whole server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's way to fail")]
#![allow(dead_code, reason = "not every test needs all of `support`")]

mod charging_property;
mod charging_tables;
mod closed_output;
mod demo;
mod reauthorise;
mod store_crash;
mod support;
mod tidy;
