//! The store's part of the image: its start, and what the server asks of Xen.

mod domains;
mod grants;
mod last_words;
mod platform;
mod ports;
mod seed;
mod start;

pub use start::start;
