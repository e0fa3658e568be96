//! Why a state is refused.

use core::fmt;

use super::format::{HEADER, name};
use crate::slots::Full;
use crate::wire::XsError;

/// Why a state is refused, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateError {
    /// Type of the record; [`StateError::HEADER`] for the stream's beginning.
    pub record: u32,
    /// Where it begins, bytes from the beginning of the stream.
    pub offset: u64,
    pub reason: &'static str,
}

impl StateError {
    pub const HEADER: u32 = HEADER;
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateError { record, offset, reason } = self;
        match name(*record) {
            Some(name) => write!(f, "{reason}, in {name} at byte {offset} of the state"),
            None => write!(f, "{reason}, in a record of type {record:#x} at byte {offset} of the state"),
        }
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault(pub &'static str);

impl From<Full> for Fault {
    fn from(_: Full) -> Fault {
        Fault("there is no room for it")
    }
}

impl From<XsError> for Fault {
    fn from(_: XsError) -> Fault {
        Fault::from(Full)
    }
}
