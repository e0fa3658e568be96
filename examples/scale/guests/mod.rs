//! Simulated guests: recorded lives, replayed on a host in memory, on this library as it runs in the image.

mod host;
mod together;
mod tree;
mod xen;

pub use host::{Host, MARKS};
pub use together::{Order, run_together};
pub use tree::tree;
