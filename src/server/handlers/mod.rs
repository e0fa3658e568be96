//! What each request means. A handler checks its arguments, decides, changes the store if that is all there is to do,
//! and says what is left.

pub mod control;
pub mod domains;
pub mod nodes;
pub mod quotas;
pub mod transactions;
pub mod watches;
