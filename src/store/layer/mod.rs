//! Changes laid over the tree: what a transaction sees and does before it ends.
//!
//! [`lifetime`] opens and forgets transactions, [`copies`] takes, makes and unmakes copies of nodes, in goes
//! between which [`stopping`] notes where one goes on, [`commit`] decides
//! and applies, [`conflict`] finds out whom a transaction has lost to, [`telling`] keeps what is to be told of it later,
//! [`rest`] is what a receiver hears of that next, and [`keeping`] puts such a change back from a state. [`fuse`] decides and
//! applies what the store begins with, and [`laying`] does so quickly where nothing is there yet.

mod commit;
mod conflict;
mod copies;
mod fuse;
mod keeping;
mod laying;
mod lifetime;
mod rest;
mod stopping;
mod telling;

pub use conflict::Spoiled;
pub use fuse::Wanted;
pub use laying::{Laid, Laying};
pub use rest::{Rest, Telling};
pub use telling::Room;
