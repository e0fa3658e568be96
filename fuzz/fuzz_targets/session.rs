#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::interpret::session::run(data));
