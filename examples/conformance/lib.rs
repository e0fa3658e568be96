//! Xen's own servers on a machine of files: started, spoken to through their rings, and told what domains do.
//!
//! The program beside it compares their answers with our server's; `examples/scale` measures them.

pub mod client;
pub mod message;
pub mod page;
pub mod peer;
pub mod programs;
pub mod standin;
pub mod step;
