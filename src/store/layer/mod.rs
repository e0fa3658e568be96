//! Changes laid over the tree: what a transaction sees and does before it ends.
//!
//! [`copies`] takes, makes and unmakes copies of nodes, [`commit`] decides and applies, [`conflict`] finds out whom a
//! transaction has lost to, [`telling`] has those hear of it
//! who had no room for its events, and [`keeping`] puts such a change back from a state.

mod commit;
mod conflict;
mod copies;
mod keeping;
mod telling;

pub use conflict::Spoiled;
pub use telling::Rest;
