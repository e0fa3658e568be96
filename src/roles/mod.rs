//! What a guest does with its store: roles, honest and hostile, of which each guest lives one, round by round.
//!
//! A role knows of its domain only what [`Domain`] has. So the same attack is made by a guest on Xen (`src/guest/`) and by
//! one on a host in memory (`tests/library/attackers/`). [`honest`] looks whether all is as it must be. [`hostile`]
//! breaks the ring's rules. The rest keep to the protocol: [`greedy`] and [`quotas`] ask for more than they may have,
//! [`hoard`] keeps what it gets, [`commits`] has the store do much at once, [`bother`] makes others wait. [`attacks`] is the
//! table of these, and who draws from all of them.

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
pub mod table;
pub mod text;

pub use guest::{Counts, Domain, Guest, Role};
pub use random::Random;
