//! The fuzz target `generic`.
#![no_main]
#![allow(dead_code, reason = "each program runs one of the targets")]

#[path = "../targets/all.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::generic::run(input));
