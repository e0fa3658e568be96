#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::interpret::packet::run(data));
