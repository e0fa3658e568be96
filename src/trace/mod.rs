//! What the server did: the last of it in the flight recorder's fixed-size records, all of it in numbers.
//! Both are always on.

mod counters;
mod kind;
mod log;
mod names;
pub mod page;
mod record;
mod recorder;
mod ring;
mod tally;

pub use counters::Counters;
pub use kind::{Kind, Stall};
pub use log::{LogSwitches, Switches, log_exchange};
pub use names::Names;
pub use record::Record;
pub use recorder::Recorder;
pub use ring::{ALL_KINDS, Trace};
pub use tally::{FIRST_STEP, STEPS, TYPES, Tally, type_index};
