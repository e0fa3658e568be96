//! What the tools share: their command lines, the client of a running store, and how they write files.

mod command_line;
mod pages;
mod place;
mod problem;
mod replace;
mod store;

pub use output::tell;

pub use command_line::{Call, call};
pub use pages::write_pages;
pub use place::{Place, seconds};
pub use problem::Problem;
pub use replace::{ORDINARY, create, write};
pub use store::Store;

/// A number of things, of which `one` is the name.
pub fn plural(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
