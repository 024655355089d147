#![no_main]
#![allow(dead_code, reason = "each target is one of several")]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| targets::files::snapshot(octets));
