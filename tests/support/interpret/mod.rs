//! What a fuzzer's bytes stand for. The fuzzers and the replay of their seeds share it.

pub mod layer;
pub mod packet;
pub mod session;
pub mod state;
