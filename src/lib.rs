//! A xenstore server as a library: protocol, store and connections, without any knowledge of how it is run.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod abi;
pub mod config;
pub mod platform;
