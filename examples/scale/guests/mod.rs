//! Simulated guests: recorded lives, replayed on a host in memory, on this library as it runs in the image.

mod host;
mod life;
mod recording;
mod template;
mod together;
mod tree;
mod xen;

pub use host::Host;
pub use life::{Answer, Life, Part, World, come_up};
pub use recording::{Recording, Request, Section, Step, Who, kind_named};
pub use template::{Template, unescape};
pub use together::{Order, run_together};
pub use tree::tree;

/// What `scripts/record` has recorded.
pub const RECORDED: &str = include_str!("../guest.txt");

/// The first domid for a guest. The recorded one was the third domain of its host, beside dom0, and reads the names
/// of all.
pub const FIRST: u16 = 3;
