//! Fixed storage with an undo journal: slots, the byte strings, hash chains and lists made of them, and the
//! reserves that each claim leaves.
//!
//! It may use the layers of plain values above it only, and knows nothing of xenstore. Nothing here allocates
//! after `new`, and every handle is an index that its own arena made.

mod arena;
mod attempt;
mod blob;
mod claim;
mod each;
mod list;
mod lists;
mod table;
mod text;

pub use arena::{Arena, Balance, Full, Id, Links, Slot};
pub use attempt::Attempt;
pub use blob::{Blob, Blobs, CHUNK, Chunk};
pub use claim::Claim;
pub use each::Each;
pub use list::{Linked, List, Queue, Queued, Slots};
pub use lists::Lists;
pub(crate) use table::chained;
pub use table::{Chained, Table};
pub use text::Text;
