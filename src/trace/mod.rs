//! What the server did: the last of it in the flight recorder's fixed-size records, all of it in numbers.
//! Both are always on.

mod counters;
mod record;
mod ring;

pub use counters::Counters;
pub use record::{Kind, Record};
pub use ring::Trace;
