//! What the tools share that ask a running store.

mod problem;
mod store;

pub use problem::Problem;
pub use store::Store;
