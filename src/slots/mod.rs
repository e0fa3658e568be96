//! Fixed storage with an undo journal: slots, the byte strings, hash chains and lists made of them, and the
//! reserves that each claim leaves.
//!
//! Of the other layers it uses `words` and `room` only, and it knows nothing of xenstore. Invariants: nothing here
//! allocates after `new`; every handle is an index that its own arena made; what changes in an attempt lasts as a whole
//! or not at all.

mod arena;
mod attempt;
mod blob;
mod claim;
mod each;
mod id;
mod list;
mod note;
mod saved;
mod table;
mod text;

pub use arena::{Arena, Balance, Full, Room, Slot};
pub use attempt::Attempt;
pub use blob::{Blob, Blobs, CHUNK, Chunk};
pub use claim::Claim;
pub use each::Each;
pub use id::{Id, Links};
pub use list::{Linked, List, Queue, Queued, Ring, Slots};
pub use saved::Saved;
pub(crate) use table::chained;
pub use table::{Chained, Table};
pub use text::Text;
