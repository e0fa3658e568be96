//! Xen's own servers on a machine of files: starts them, speaks to them through rings, and reports domains' changes to
//! them.
//!
//! The program beside it compares their answers with our server's; `examples/scale` measures them.

pub mod client;
pub mod message;
pub mod page;
pub mod peer;
pub mod programs;
pub mod standin;
pub mod step;
