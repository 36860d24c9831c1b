//! See `gridway_fuzz::pipeline`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gridway_fuzz::pipeline::run(data));
