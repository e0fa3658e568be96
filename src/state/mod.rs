//! The state stream: all that a server holds as bytes, and a server made from them.
//!
//! Upstream's migration stream, versions 1 and 2 (docs/designs/xenstore-migration.md), with records of our own for what
//! it has no place for; docs/state.md lists those. `format` has the records' fields, once for both directions, `writer`
//! and `reader` the stream as bytes, and each file about a part of the server both directions of its records. [`State`]
//! walks the store and the connections and changes nothing; [`restore`] fills empty ones. Neither allocates, calls the
//! hypervisor or touches a ring. It uses `connection` and what is below it, and does not know the server.

mod connections;
mod domains;
mod fault;
mod format;
pub mod layer;
mod lists;
mod nodes;
mod origins;
pub mod page;
mod planting;
mod progress;
mod queues;
mod reader;
mod record;
mod restore;
mod save;
mod told;
mod trace;
mod writer;

pub use connections::Adopt;
pub use fault::StateError;
pub use format::{OWN_VERSION, VERSIONS};
pub use nodes::{Place, each_node, extend_path};
pub use progress::Progress;
pub use queues::least;
pub use reader::Source;
pub use restore::{Places, restore};
pub use save::{State, filler, save_nodes};
pub use writer::{Length, Sink};
