#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::interpret::layer::run(data));
