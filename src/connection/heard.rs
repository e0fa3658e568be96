//! Whose peers wake the server, and which of their notifications are paid for.

use core::ops::Deref;

use super::budget::Entry;
use super::{Connection, Links};
use crate::abi::RingPage;
use crate::ring;
use crate::store::DomainId;

/// Throttled turns between two looks as time passes, after which a connection's peer wakes nobody though it has something to
/// read.
const TURNS: u8 = 16;

/// Notifications that a client may send for each message that it gets, as old kernels do: one for the header that it has read, one
/// for the rest.
const FREE: u8 = 2;

impl<R: Deref<Target = RingPage>> Links<R> {
    /// Whether notifications of a connection's peer are to wake nobody: its requests wait for its budget, and it has nothing to
    /// read, or has notified often.
    pub fn is_masked(&self, id: DomainId) -> bool {
        self.is_throttled(id)
            && (!self.has_output(id) || self.get(id).is_some_and(|connection| connection.turns > TURNS))
    }

    /// Whether no requests of a connection were served in its last turn, because of its budget.
    pub fn is_throttled(&self, id: DomainId) -> bool {
        self.schedule.entries.get(id.index()).is_some_and(Entry::is_throttled)
    }

    /// Notes a turn in which a connection is throttled.
    pub fn note_throttled(&mut self, id: DomainId) {
        let waits = self.has_output(id);
        if let Some(connection) = self.get_mut(id) {
            connection.turns = if waits { connection.turns.saturating_add(1) } else { 0 };
        }
    }

    /// Notes that a connection with output is looked at as time passes: who has read something is heard again.
    pub fn note_look(&mut self, id: DomainId) {
        if let Some(connection) = self.get_mut(id)
            && ring::output(&connection.ring).is_ok_and(|output| output.room > 0)
        {
            connection.turns = 0;
        }
    }

    /// Whether a notification for nothing costs a client nothing: it has got a message to read, which whoever caused it has paid
    /// for. What it has really read only its own indexes say.
    #[inline(never)] // Its callers are in every request's way.
    pub fn may_notify(&mut self, id: DomainId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        let left = connection.free.checked_sub(1);
        connection.free = left.unwrap_or(0);
        left.is_some()
    }
}

impl<R> Connection<R> {
    /// Notes that it gets a message, or a part of one.
    #[inline(always)] // At the end of every request.
    pub(super) fn note_message(&mut self) {
        self.free = self.free.saturating_add(FREE);
    }
}
