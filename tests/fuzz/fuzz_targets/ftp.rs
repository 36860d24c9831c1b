//! See `gridway_fuzz::ftp`; `dictionaries/ftp.dict` helps.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gridway_fuzz::ftp::run(input));
