//! Growth: when the store wants more memory, and when it may begin anew with that.
//!
//! Arenas never grow. Long before one of them is full the platform is asked for memory, between polls. When it has some, a
//! server with larger arenas is made from the state of this one, as in a live update; so no transaction may be open. Until
//! then none begins, as long as that can wait.

use super::Server;
use super::core::Core;
use super::session::Stage;
use crate::platform::Platform;

/// Attempts after which the arenas are looked at again. One takes 32 nodes, or one slot of what there is least of, at most.
const LOOK: u64 = 32;

/// Eighths of an arena in use with which the store wants more memory.
const FILLING: u64 = 5;

/// Eighths with which transactions that are open are not waited for.
const NEARLY_FULL: u64 = 7;

/// Seconds after a refusal until the platform is asked again.
const AGAIN: u64 = 60;

/// How often that time is doubled at most: once for each time that the state has not fit, because whoever has wanted to begin
/// a transaction has waited for that.
const DOUBLED: u32 = 6;

impl Core {
    /// Whether there is memory to begin anew with, and nothing worth waiting for.
    pub fn may_grow_now(&self, messages: [u32; 3]) -> bool {
        let Some(deadline) = self.growth.deadline() else { return false };
        let nothing_open = !self.store.has_transactions() && self.updates.held.is_none();
        nothing_open || self.clock.now >= deadline || self.is_filled(NEARLY_FULL, messages)
    }

    /// Whether any arena has so many eighths in use.
    fn is_filled(&self, eighths: u64, messages: [u32; 3]) -> bool {
        let levels = self.store.levels().map(|(_, level)| level);
        let mut all = levels.into_iter().chain([messages]);
        all.any(|[used, _, capacity]| u64::from(used) * 8 >= u64::from(capacity) * eighths)
    }
}

impl<P: Platform> Server<P> {
    /// From now on the platform is asked for memory before an arena is full, by [`Server::wants_memory`]. `limit` is what there
    /// may be of it at most, bytes.
    pub fn let_grow(&mut self, limit: u64) {
        self.core.growth.limit = limit;
        self.core.growth.look_at = 0;
    }

    /// Whether the arenas have so little room that there should be more memory: then [`Server::have_memory`] or
    /// [`Server::have_no_memory`] is to be called.
    pub fn wants_memory(&self) -> bool {
        let Core { growth, updates, .. } = &self.core;
        growth.stage == Stage::Wanted && updates.session.is_none()
    }

    /// There is more memory now. From here on [`Server::grows`] says when to begin anew with it.
    pub fn have_memory(&mut self) {
        self.core.growth.stage = Stage::There(self.core.clock.now);
        self.core.updates.prepared = None;
        self.core.updates.active = true;
    }

    /// There is none, or what there was does not hold the state. The platform is asked again later if `again`, else never.
    #[inline(never)] // It is rare.
    pub fn have_no_memory(&mut self, again: bool) {
        let Core { growth, recorder, clock, .. } = &mut self.core;
        let refusals = &mut recorder.counters.growth_refusals;
        *refusals = refusals.wrapping_add(u32::from(again && growth.stage != Stage::Enough));
        // Whoever wanted to begin a transaction has waited only where there was memory.
        let doublings = if growth.is_under_way() { growth.in_vain } else { 0 };
        growth.not_before = clock.now.after_seconds(AGAIN << doublings);
        growth.in_vain = DOUBLED.min(growth.in_vain + u32::from(growth.is_under_way()));
        growth.stage = Stage::Enough;
        if !again {
            growth.look_at = u64::MAX;
        }
    }

    /// Whether it is this server with more memory that is to take over now.
    pub fn grows(&self) -> bool {
        self.core.updates.due && self.core.updates.session.is_none()
    }

    /// Looks at the arenas.
    #[cold]
    #[inline(never)]
    pub(super) fn look_at_room(&mut self) {
        let core = &mut self.core;
        core.growth.look_at = core.store.present_attempt().latest().saturating_add(LOOK);
        // What is lent will be there again.
        let may_want = core.growth.stage == Stage::Enough
            && core.updates.held.is_none()
            && core.updates.session.is_none()
            && core.clock.now >= core.growth.not_before;
        if may_want && (core.store.take_crowded() || core.is_filled(FILLING, self.links.outbox.level())) {
            core.growth.stage = Stage::Wanted;
        }
    }
}
