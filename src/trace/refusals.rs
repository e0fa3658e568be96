//! Who was refused what for a quota or for lack of room: the latest cases, since the recorder's ring forgets them, and
//! how many lines of the log there may be.

use heapless::{String, Vec};

use super::Record;
use crate::platform::Instant;

/// Requests of one domain that one quota, or a lack of room, has refused.
pub struct Case {
    /// How many.
    pub times: u32,
    /// The latest of them.
    pub last: Record,
    /// The path that it has named, which is empty if there is none.
    pub path: Named,
}

/// The beginning of a path, so long that all cases fit an answer.
pub type Named = String<{ Refusals::NAMED + 3 }>;

/// The latest cases: of more, the one whose last request is the oldest goes.
pub struct Refusals {
    cases: Vec<Case, { Refusals::CASES }>,
    /// The second of the clock in which a line was logged last, and refusals since then.
    logged: Option<u32>,
    unlogged: u32,
}

impl Refusals {
    pub const CASES: usize = 16;

    /// Most characters of a path, to which `...` comes if it is longer.
    pub const NAMED: usize = 100;

    pub const NONE: Refusals = Refusals { cases: Vec::new(), logged: None, unlogged: 0 };

    /// Counts a refused request by its record.
    pub fn count(&mut self, last: Record, path: Named) {
        let same = |case: &&mut Case| (case.last.domid, case.last.detail) == (last.domid, last.detail);
        if let Some(case) = self.cases.iter_mut().find(same) {
            *case = Case { times: case.times.saturating_add(1), last, path };
        } else if let Err(new) = self.cases.push(Case { times: 1, last, path })
            && let Some(oldest) = self.cases.iter_mut().min_by_key(|case| case.last.time)
        {
            *oldest = new;
        }
    }

    /// Whether a refusal is logged: one in a second of the clock. The number is of those before it that were not.
    pub fn may_log(&mut self, now: Instant) -> Option<u32> {
        if self.logged.replace(now.second()) == Some(now.second()) {
            self.unlogged = self.unlogged.saturating_add(1);
            return None;
        }
        Some(core::mem::take(&mut self.unlogged))
    }

    /// All cases, in no order.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter()
    }
}
