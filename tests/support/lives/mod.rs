//! Guests' lives as they were recorded on Xen, lived again on whatever world there is.

mod life;
mod recording;
mod template;

pub use life::{Answer, Life, Part, World, come_up, read_in_parts};
pub use recording::{Recording, Request, Section, Step, Who, kind_named};
pub use template::{Template, unescape};

/// What `scripts/record` has recorded.
pub const RECORDED: &str = include_str!("../../../examples/scale/guest.txt");

/// The first domid for a guest. The recorded one was the third domain of its host, beside dom0, and reads the names
/// of all.
pub const FIRST: u16 = 3;
