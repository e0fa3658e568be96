//! From a message to bytes in the ring, and the queue in between.

use core::ops::Deref;

use super::outbox::{Kind, MessageId, What};
use super::{Arrived, Links};
use crate::abi::{RingError, RingPage};
use crate::platform::Instant;
use crate::ring;
use crate::slots::Claim;
use crate::store::{DomainId, Share, Store};

/// Messages that a domain's end is for one of those who hear of it: one for all that there is to hear, and one for the case
/// of this very domain.
const NEWS: u32 = 2;

/// Domains that are looked at in one go for whether they have room for that.
const LOOKED: usize = 128;

/// Where a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    IntoRing,
    Queued,
    /// Nobody listens, or there is no room.
    Nowhere,
}

/// A message that is never delivered.
pub struct GivenUp {
    pub kind: Kind,
    /// Where the type of the request that it was queued in is counted.
    pub type_index: usize,
    pub len: usize,
}

impl<R: Deref<Target = RingPage>> Links<R> {
    /// Sends a message to a connection: into its ring if it fits there, else onto its queue; whoever has sent one that
    /// is queued calls [`Links::follow_up`] then. A ring that turns out to be broken is not given up here, amid a request
    /// that may be this connection's own: the message waits, and the connection's own turn finds out.
    pub fn send(
        &mut self,
        store: &mut Store,
        id: DomainId,
        claim: Claim,
        kind: Kind,
        message: &[u8],
    ) -> Sent {
        if !self.has_output(id) && self.put(id, message) {
            return Sent::IntoRing;
        }
        self.queue(store, id, claim, kind, What::Message(message))
    }

    /// Consumes a request and writes its answer into the ring, if that has room and nothing waits before it: so most requests
    /// end, with one look at the ring. Calls `consumed` between the two. If false, nothing is done.
    #[inline(always)] // The end of every request.
    pub fn exchange(
        &mut self,
        id: DomainId,
        request: &Arrived,
        answer: &[u8],
        consumed: impl FnOnce(),
    ) -> bool {
        let Links { connections, outbox, schedule, .. } = self;
        let connection = connections.get_mut(id.index()).and_then(Option::as_mut);
        let Some(connection) = connection.filter(|connection| !connection.ignored) else { return false };
        let page = &*connection.ring;
        match ring::output(page) {
            Ok(out) if out.room as usize >= answer.len() && outbox.queue(id).is_empty() => {
                request.give_back(page);
                consumed();
                out.publish_whole(page, answer);
                connection.note_message();
                schedule.notify(id);
                true
            }
            _ => false,
        }
    }

    /// Queues a message or what stands for one, to be delivered when there is room.
    pub fn queue(
        &mut self,
        store: &mut Store,
        id: DomainId,
        claim: Claim,
        kind: Kind,
        what: What<'_>,
    ) -> Sent {
        if self.is_heard(id) && self.outbox.push(store, id, claim, kind, what) {
            Sent::Queued
        } else {
            Sent::Nowhere
        }
    }

    /// Writes a message into a connection's ring, past what waits. False if it does not fit there.
    #[inline(always)] // What most messages take.
    pub fn put(&mut self, id: DomainId, message: &[u8]) -> bool {
        let Some(connection) = self.get_mut(id).filter(|connection| !connection.ignored) else {
            return false;
        };
        let page = &*connection.ring;
        match ring::output(page) {
            Ok(out) if out.room as usize >= message.len() => {
                out.publish_whole(page, message);
                connection.note_message();
                self.schedule.notify(id);
                true
            }
            _ => false,
        }
    }

    /// The same as [`Links::put`], for the few messages that are sent late.
    #[inline(never)]
    pub fn put_late(&mut self, id: DomainId, message: &[u8]) -> bool {
        self.put(id, message)
    }

    /// Free bytes in a connection's ring.
    #[inline(never)]
    pub fn room(&self, id: DomainId) -> usize {
        let connection = self.get(id);
        connection
            .and_then(|connection| ring::output(&connection.ring).ok())
            .map_or(0, |out| out.room as usize)
    }

    /// Removes the first message of a connection: all events that it stood for are on their way.
    pub fn end_telling(&mut self, store: &mut Store, id: DomainId) {
        self.pop_after(store, id, None);
        self.schedule.ready(id);
    }

    /// After a message was queued, or found no room: accounts for it, and writes what fits into the ring.
    #[cold]
    #[inline(never)]
    pub fn follow_up(&mut self, store: &mut Store, now: Instant, id: DomainId) {
        if !self.is_heard(id) {
            return;
        }
        store.watch_memory(id, now);
        // Once it has less to be charged for, it may be read again.
        if self.flush(store, id) != Ok(false) || self.outbox.rest(id).is_some() {
            self.schedule.ready(id);
        }
        self.schedule.wait(id);
        // While it has something to read, it is heard when it has done so.
        if self.is_throttled(id) {
            self.schedule.notify(id);
        }
    }

    /// Writes waiting messages into the ring, as much as fits, up to one that stands for others. True if one of them has gone
    /// as a whole.
    pub fn flush(&mut self, store: &mut Store, id: DomainId) -> Result<bool, RingError> {
        let mut gone = false;
        while let Some(connection) = self.connections.get_mut(id.index()).and_then(Option::as_mut) {
            let Some(first) = self.outbox.queue(id).first() else { break };
            let page = &*connection.ring;
            let mut out = ring::output(page)?;
            if self.outbox.messages.get(first).rest.is_some() {
                break;
            }
            let message = self.outbox.messages.update(first);
            let mut skip = message.written as usize;
            let before = message.written;
            for piece in store.blobs.pieces(message.bytes) {
                let rest = piece.get(skip.min(piece.len())..).unwrap_or_default();
                skip = skip.saturating_sub(piece.len());
                let put = out.put(page, rest);
                message.written += put as u16;
                if put < rest.len() {
                    break;
                }
            }
            let done = message.written as usize == message.bytes.len();
            let progress = message.written != before;
            if progress {
                out.publish(page);
                connection.note_message();
                self.schedule.notify(id);
            }
            if done {
                self.pop_after(store, id, None);
                gone = true;
            } else if !progress {
                self.schedule.wait(id);
                break;
            }
        }
        Ok(gone)
    }

    /// Removes the message behind `before`, or the oldest.
    fn pop_after(&mut self, store: &mut Store, id: DomainId, before: Option<MessageId>) {
        if let Some(eased) = self.outbox.pop_after(store, id, before) {
            self.schedule.ready(eased);
        }
        if !self.has_output(id)
            && let Some(connection) = self.get_mut(id)
        {
            connection.slow = false;
        }
    }

    /// Looks at domains from a slot on, as many as in one go: whether one of them that reads has so much waiting that it might
    /// not be told of a domain's end. `over`: whoever still has, does not read. None if there are more, from another slot on.
    pub fn is_any_short(&mut self, store: &Store, over: bool, slot: &mut usize) -> Option<bool> {
        let from = core::mem::take(slot);
        // Mostly nobody has anything waiting, and news need not look at every domain.
        if self.outbox.messages().arena().used() == 0 {
            return Some(false);
        }
        let receivers = store.domains.count();
        let room = self.outbox.messages().arena().room();
        let clients = store.domains.clients().filter(|_| from == 0);
        let known = store.domains.known_from(from).map(|(id, _)| id);
        for (n, id) in clients.map(|id| (0, id)).chain((1..).zip(known)) {
            if n > LOOKED {
                *slot = id.index();
                return None;
            }
            if self.has_output(id)
                && !(store.may_take(id, Share::Chunks, NEWS)
                    && store.may_take_with_all(room, id, Share::Messages, NEWS, receivers))
                && let Some(connection) = self.get_mut(id).filter(|connection| !connection.slow)
            {
                connection.slow = over;
                if !over {
                    return Some(true);
                }
            }
        }
        Some(false)
    }

    fn given_up(&self, message: MessageId) -> GivenUp {
        let message = self.outbox.messages.get(message);
        GivenUp { kind: message.kind(), type_index: usize::from(message.msg_type), len: message.bytes.len() }
    }

    /// Drops the oldest message that waits for a connection.
    pub fn drop_oldest(&mut self, store: &mut Store, id: DomainId) -> Option<GivenUp> {
        let dropped = self.given_up(self.outbox.queue(id).first()?);
        self.pop_after(store, id, None);
        self.schedule.ready(id);
        Some(dropped)
    }

    /// Drops the oldest event whose delivery has not begun in time, wherever it waits, also behind an answer that is
    /// not read: it holds up those who caused it.
    pub fn drop_late(&mut self, store: &mut Store, id: DomainId, now: Instant) -> Option<GivenUp> {
        let (before, late) = self.outbox.find_late(id, now)?;
        let dropped = self.given_up(late);
        self.pop_after(store, id, before);
        Some(dropped)
    }

    /// Whether a message fits the ring, so that it need not be queued. A broken ring counts as fitting all: it will be given up.
    pub fn fits_ring(&self, id: DomainId, len: usize) -> bool {
        self.get(id).is_some_and(|connection| {
            let room = ring::output(&connection.ring).map_or(usize::MAX, |out| out.room as usize);
            self.outbox.queue(id).is_empty() && room >= len
        })
    }

    /// Whether anything waits for a connection.
    pub fn has_output(&self, id: DomainId) -> bool {
        !self.outbox.queue(id).is_empty()
    }
}
