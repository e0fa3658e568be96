//! What measuring programs share: a client that waits, instructions and cache lines counted, and figures for the report.

pub mod cache_lines;
pub mod callgrind;
pub mod connection;
pub mod figure;
