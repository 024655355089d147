//! Integration tests: everything that needs more than one module, or the whole server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's way to fail")]
#![allow(dead_code, reason = "not every test needs all of `support`")]

mod access;
mod answer_rules;
mod bad_input;
mod base_rules;
mod bounds;
mod captures;
mod catalog_versions;
mod charging_order;
mod charging_property;
mod charging_tables;
mod client;
mod client_restarts;
mod closed_output;
mod credit_rules;
mod demo;
mod erlang;
mod event_rules;
mod external;
mod freediameter;
mod fuzz;
mod interop_rules;
mod kill9;
mod limits_property;
mod neighbours;
mod oracle;
mod peers;
mod process;
mod profiles;
mod reauthorise;
mod recorder;
mod refunds;
mod restart;
mod rules;
mod server_requests;
mod session_rules;
mod simulation;
mod store_crash;
mod store_rules;
mod support;
mod survival;
mod tariff_property;
mod tariff_rules;
mod tidy;
mod tls;
mod tools;
mod trails;
mod transfers;
mod transport;
mod two_connections;
mod wire;
mod witness;
mod worked_flows;
