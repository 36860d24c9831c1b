//! See `gridway_fuzz::configuration`; `dictionaries/configuration.dict` helps.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gridway_fuzz::configuration::run(input));
