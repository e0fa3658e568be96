//! What is known of a connection that was active lately: whether its ring moves on as it should.
//!
//! A guest announces its requests by events. Should one get lost, its request would wait for ever. So the rings are looked
//! at as time passes. A request that is just being announced is in its ring before its event has come, so one is missed
//! only if two looks in a row find it there.

use crate::ring::Input;
use crate::store::DomainId;

/// Looks without a request after which a connection is no longer active. With one in a second, it is a minute.
const IDLE: u8 = 60;

pub struct Active {
    pub id: DomainId,
    /// The last look.
    seen: Input,
    /// It found a request that nobody was about to serve.
    pub asks: bool,
    /// Looks since a request was taken, at most `IDLE`.
    idle: u8,
}

impl Active {
    pub fn new(id: DomainId) -> Active {
        Active { id, seen: Input::NOTHING, asks: false, idle: 0 }
    }

    pub fn is_idle(&self) -> bool {
        self.idle == IDLE
    }

    /// What a look has found. `rests`: the connection neither has its turn soon nor is it known to wait. True if a request
    /// has been missed.
    pub fn look(&mut self, input: Input, rests: bool) -> bool {
        let moved = !input.begins_as(&self.seen);
        self.idle = if moved { 0 } else { self.idle.saturating_add(1).min(IDLE) };
        let asks = rests && input.len > 0;
        let missed = asks && self.asks && !moved;
        // Each is missed once; if it is still there at the next look, it is a new case.
        self.asks = asks && !missed;
        self.seen = input;
        missed
    }
}
