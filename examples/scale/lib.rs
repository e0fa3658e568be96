//! Guests that were recorded on Xen, and how they are recorded.

pub mod convert;
pub mod guests;
