//! When guests that are held back for others' transactions are looked at again, see `fairness`.

use crate::platform::Instant;

/// That some connections are held.
struct Holding {
    /// When the first hold ends.
    until: Instant,
    /// Transactions that were open when this was noted.
    open: u32,
}

pub struct Throttle {
    holding: Option<Holding>,
}

impl Throttle {
    pub const IDLE: Throttle = Throttle { holding: None };

    /// A guest is held until then, with so many transactions open.
    pub fn hold(&mut self, until: Instant, open: u32) {
        let until = self.next_release().map_or(until, |first| first.min(until));
        self.holding = Some(Holding { until, open });
    }

    /// Whether transactions have ended for which somebody was held, now that so many are open. If so, nobody counts as
    /// held until the next look.
    pub fn eases(&mut self, open: u32) -> bool {
        let eases = self.holding.as_ref().is_some_and(|holding| holding.open > open);
        if eases {
            self.release();
        }
        eases
    }

    /// Forgets who is held: all are looked at.
    pub fn release(&mut self) {
        self.holding = None;
    }

    /// When the first hold ends.
    pub fn next_release(&self) -> Option<Instant> {
        self.holding.as_ref().map(|holding| holding.until)
    }
}
