//! Whose peers wake the server, and which of their notifications are paid for.

use core::ops::Deref;
use core::sync::atomic::Ordering::Relaxed;

use super::Links;
use super::budget::Entry;
use crate::abi::RingPage;
use crate::ring;
use crate::store::DomainId;
use crate::wire::Header;

/// Turns in which a throttled connection's ring had no room for what waits for it, after which its peer wakes nobody. Who
/// reads has some of them, since the server gives such turns, too.
const VAIN: u8 = 16;

impl<R: Deref<Target = RingPage>> Links<R> {
    /// Whether notifications of a connection's peer are to wake nobody: its requests wait for its budget, and it has nothing to
    /// read, or goes on not to read it.
    pub fn is_masked(&self, id: DomainId) -> bool {
        self.is_throttled(id)
            && (!self.has_output(id) || self.get(id).is_some_and(|connection| connection.vain > VAIN))
    }

    /// Whether no requests of a connection were served in its last turn, because of its budget.
    pub fn is_throttled(&self, id: DomainId) -> bool {
        self.schedule.entries.get(id.index()).is_some_and(Entry::is_throttled)
    }

    /// Notes a turn in which a connection is throttled.
    pub fn note_throttled(&mut self, id: DomainId) {
        if let Some(connection) = self.get_mut(id) {
            let reads = ring::output(&connection.ring).is_ok_and(|output| output.room > 0);
            connection.vain = if reads { 0 } else { connection.vain.saturating_add(1) };
        }
    }

    /// Whether a client has read a message since this was last true, or all that there was: it may notify of that, and whoever
    /// caused the message has paid. What it makes of its index otherwise does not count.
    #[inline(never)] // Its callers are in every request's way.
    pub fn has_read(&mut self, id: DomainId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        let page = &connection.ring;
        let (cons, prod) = (page.rsp_cons.load(Relaxed), page.rsp_prod.load(Relaxed));
        let (read, written) = (cons.wrapping_sub(connection.read), prod.wrapping_sub(connection.read));
        let has = read != 0 && read <= written && (read == written || read >= Header::SIZE as u32);
        if has {
            connection.read = cons;
        }
        has
    }
}
