//! The flight recorder: what the server did last, in fixed-size records, always on.

mod record;
mod ring;

pub use record::{Kind, Record};
pub use ring::Trace;
