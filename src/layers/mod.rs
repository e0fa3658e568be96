//! Layers: images of parts of the store that are laid over each other when it starts. docs/layers.md has the format.
//!
//! [`line`](parse) reads one line of the text form, `print` writes one, `records` reads the other form, which is the
//! state stream's. A [`Module`] finds the layers in a file that has several, and [`fuse`](fn@fuse) lays each of them over the store,
//! completely or not at all. Nothing here allocates while it reads.

mod buffers;
mod difference;
mod fault;
mod fuse;
mod item;
mod line;
mod lines;
mod module;
mod print;
mod records;

pub use buffers::{Buffers, PermissionBuf, ValueBuf};
pub use difference::{At, Difference, is_anew};
pub use fault::{Fault, Trouble};
pub use fuse::{fuse, leave_out};
pub use item::{Item, LINE_MAX, Node, PATH_MAX, Permission, VALUE_MAX};
pub use line::{Line, parse};
pub use module::{Module, Section};
pub use print::{permissions, quoted};
pub use records::read_records;
