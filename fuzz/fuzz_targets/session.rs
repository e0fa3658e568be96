#![no_main]

#[path = "../../tests/support/interpret/session.rs"]
mod session;
#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::run(data));
