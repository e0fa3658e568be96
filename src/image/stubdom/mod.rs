//! The store's part of the image: its start, its [`platform`], and its trial where it has no host to serve.

mod domains;
mod grants;
mod grow;
mod hand_over;
mod last_words;
mod life;
mod lodgers;
mod modules;
mod notes;
mod platform;
mod ports;
mod seed;
mod service;
mod spare;
mod standalone;
mod start;
mod take_over;
mod update;

pub use start::start;
