//! Integration tests: everything that needs more than one module, or the whole server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's way to fail")]
#![allow(dead_code, reason = "not every test needs all of `support`")]

mod bad_input;
mod captures;
mod charging_property;
mod charging_tables;
mod client;
mod closed_output;
mod demo;
mod external;
mod interop_rules;
mod kill9;
mod process;
mod reauthorise;
mod restart;
mod simulation;
mod store_crash;
mod store_rules;
mod support;
mod tariff_property;
mod tidy;
mod tools;
mod wire;
mod witness;
