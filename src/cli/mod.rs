//! Verbs of the binary: clients of the API, and the check of configuration and catalog.

pub mod demo;
pub mod gateway;
