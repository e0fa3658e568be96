//! When guests that are held back for others' transactions are looked at again, see `fairness`.

use crate::platform::Instant;

/// That some connections are held.
struct Holding {
    /// When the first hold ends.
    until: Instant,
    /// A transaction of the privileged has ended since.
    eased: bool,
}

pub struct Throttle {
    holding: Option<Holding>,
}

impl Throttle {
    pub const IDLE: Throttle = Throttle { holding: None };

    /// A guest is held until then.
    pub fn hold(&mut self, until: Instant) {
        let until = self.next_release().map_or(until, |first| first.min(until));
        self.holding = Some(Holding { until, eased: false });
    }

    /// A transaction for which somebody may be held has ended.
    pub fn ease(&mut self) {
        if let Some(holding) = &mut self.holding {
            holding.eased = true;
        }
    }

    /// Whether such a transaction has ended while somebody was held. If so, nobody counts as held until the next look.
    pub fn has_eased(&mut self) -> bool {
        let eased = self.holding.as_ref().is_some_and(|holding| holding.eased);
        if eased {
            self.release();
        }
        eased
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
