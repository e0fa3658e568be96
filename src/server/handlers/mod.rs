//! What each request means.
//!
//! A handler is a function of the request and a [`Context`](super::context::Context). It checks the arguments, decides,
//! and changes the store in an attempt. What takes connections it leaves to the server as a
//! [`Deed`](super::core::Deed).

pub mod control;
pub mod domains;
pub mod nodes;
pub mod quotas;
pub mod transactions;
pub mod watches;
