//! See `gridway_fuzz::packet`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gridway_fuzz::packet::run(data));
