//! Finds requests of recently active connections that no event has announced.
//!
//! A guest announces its requests by events. If an event were lost, the request would wait for ever, so the rings are also
//! looked at from time to time. A guest writes its request before it sends the event, so a request counts as missed only
//! if two looks in a row find it.

use crate::ring::Input;
use crate::store::DomainId;

/// Looks without a request after which a connection is no longer active. With one in a second, it is a minute.
const IDLE: u8 = 60;

pub struct Active {
    pub id: DomainId,
    /// Where in the ring the last look found the beginning of what was there.
    seen: u32,
    /// That was a request that nobody was about to serve.
    pub asks: bool,
    /// Looks since a request was last taken, at most `IDLE`.
    idle: u8,
}

impl Active {
    pub fn new(id: DomainId) -> Active {
        Active { id, seen: Input::NOTHING.position(), asks: false, idle: 0 }
    }

    pub fn is_idle(&self) -> bool {
        self.idle == IDLE
    }

    /// Notes what a look has found. `rests`: the connection is neither ready nor known to wait. True if a request has been
    /// missed.
    pub fn look(&mut self, input: Input, rests: bool) -> bool {
        let moved = input.position() != self.seen;
        self.idle = if moved { 0 } else { self.idle.saturating_add(1).min(IDLE) };
        let asks = rests && input.len > 0;
        let missed = asks && self.asks && !moved;
        // Each is reported once; if it is still there at the next look, that counts anew.
        self.asks = asks && !missed;
        self.seen = input.position();
        missed
    }
}
