//! What measuring programs share: a client that waits, instructions counted, and figures for the report.

pub mod callgrind;
pub mod connection;
pub mod figure;
