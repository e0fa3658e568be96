//! The store's part of the image: its start, what the server asks of Xen, and what it does without a host to serve.

mod domains;
mod grants;
mod last_words;
mod platform;
mod ports;
mod seed;
mod standalone;
mod start;

pub use start::start;
