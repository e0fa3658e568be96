//! What can stop the server amid its work.

use core::fmt;

/// What has stopped the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A panic in this line of the source.
    Panic(u32),
    /// A processor exception.
    Exception(u8),
    /// It made no progress.
    Endless,
}

impl Stop {
    /// Its number in a record of the trace, and what that says beside it.
    pub const fn told(self) -> (u8, u32) {
        match self {
            Stop::Panic(line) => (1, line),
            Stop::Exception(vector) => (2, vector as u32),
            Stop::Endless => (3, 0),
        }
    }

    /// What such a record says.
    pub const fn from_record(detail: u8, amount: u32) -> Option<Stop> {
        match detail {
            1 => Some(Stop::Panic(amount)),
            2 => Some(Stop::Exception(amount as u8)),
            3 => Some(Stop::Endless),
            _ => None,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Panic(line) => write!(f, "panic in line {line}"),
            Stop::Exception(vector) => write!(f, "exception {vector}"),
            Stop::Endless => f.write_str("no progress"),
        }
    }
}
