//! What a guest does with its store: roles, honest and hostile. Each guest has one of them and plays it round by round.
//!
//! A role uses the client, and of its domain only what [`Domain`] has. So a guest on Xen (`src/guest/`) and one on a
//! host in memory (`tests/library/attackers/`) make the same attack. [`honest`] and [`recorded`] check all answers
//! and events. [`hostile`] breaks the ring's rules. The rest keep to the protocol: [`greedy`] and [`quotas`] ask for more than they
//! may have, [`hoard`] keeps what it gets, [`commits`] has the store do much at once, [`bother`] makes others wait.
//! [`attacks`] has the table of these, and the guest that makes all of them.

pub mod attacks;
pub mod bother;
pub mod commits;
pub mod greedy;
pub mod guest;
pub mod hoard;
pub mod honest;
pub mod hostile;
pub mod quotas;
pub mod random;
pub mod recorded;
pub mod table;
pub mod text;

pub use guest::{Counts, Domain, Guest, Role};
pub use random::Random;
