//! What the server did: the flight recorder has the latest in records of fixed size, counters and tallies have all of
//! it in numbers, and the log has what the operator asks for. Recorder and numbers are always on.
//!
//! It uses `abi`, `wire`, `platform`, `quota` and `room`, and knows no store. Invariant: recording allocates nothing and formats
//! nothing; only the log does.

mod counters;
mod kind;
mod log;
mod names;
pub mod page;
mod record;
mod recorder;
mod refusals;
mod ring;
mod stop;
mod tally;

pub use counters::Counters;
pub use kind::{Kind, Stall};
pub use log::{LogSwitches, Switches, log_exchange};
pub use names::Names;
pub use record::Record;
pub use recorder::Recorder;
pub use refusals::{Case, Named, Refusals};
pub use ring::{ALL_KINDS, Trace};
pub use stop::Stop;
pub use tally::{FIRST_STEP, STEPS, TYPES, Tally, type_index};
