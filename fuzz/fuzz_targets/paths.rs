//! Feeds the check `paths` of `testkit/parsers` what the fuzzer invents.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seawall_parsers::check("paths", bytes));
