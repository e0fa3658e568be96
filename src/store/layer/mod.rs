//! Changes laid over the tree: what a transaction sees and does before it ends.
//!
//! [`copies`] takes, makes and unmakes copies of nodes, [`commit`] decides and applies, [`conflict`] finds out whom a
//! transaction has lost to.

mod commit;
mod conflict;
mod copies;

pub use conflict::Spoiled;
