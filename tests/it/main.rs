//! Integration tests: everything that needs more than one module, or the whole server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's way to fail")]

mod charging_property;
mod charging_tables;
mod store_crash;
