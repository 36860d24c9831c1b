//! See `gridway_fuzz::train`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gridway_fuzz::train::run(data));
