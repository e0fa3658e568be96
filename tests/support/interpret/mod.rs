//! What a fuzzer's bytes are tried as. The fuzzers and the replay of their seeds share it.

pub mod packet;
pub mod session;
