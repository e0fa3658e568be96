//! The store's part of the image: its start, its [`platform`], and its trial where it has no host to serve.

mod domains;
mod grants;
mod last_words;
mod platform;
mod ports;
mod seed;
mod service;
mod standalone;
mod start;

pub use start::start;
