//! The quota that the request at hand has failed at.

use core::cell::Cell;

use crate::wire::XsError;

/// The quota that a request was refused for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its place in the table of quotas, from 0.
    pub quota: u8,
    /// What it allows.
    pub limit: u32,
}

/// The last refusal, until it is taken. A check only looks at the store, so it is noted in a cell.
#[derive(Default)]
pub struct Refused(Cell<Option<Refusal>>);

impl Refused {
    #[cold]
    #[inline(never)]
    pub fn note(&self, quota: u8, limit: u32, error: XsError) -> XsError {
        self.0.set(Some(Refusal { quota, limit }));
        error
    }

    pub fn take(&mut self) -> Option<Refusal> {
        self.0.take()
    }
}
