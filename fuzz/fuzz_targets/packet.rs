#![no_main]

#[path = "../../tests/support/interpret/packet.rs"]
mod packet;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet::run(data));
