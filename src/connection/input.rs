//! From ring bytes to one whole message: what is taken out, what stays in the ring, and when a ring counts as broken.
//!
//! A whole message stays in the ring until it is answered. The beginning of one is taken out at once:
//! guests notify only when they find the ring empty, so bytes left in it would keep the rest from being
//! announced.

use core::ops::Deref;

use super::outbox::Kind;
use super::{Connection, Links, Partial, Taking};
use crate::abi::{RING_SIZE, RingError, RingPage};
use crate::ring::{self, Input};
use crate::slots::{Blob, CHUNK, Claim};
use crate::store::{DomainId, Share, Store};
use crate::trace::Stall;
use crate::wire::{Header, PAYLOAD_MAX};

const HEADER: u32 = Header::SIZE as u32;

/// Bytes of a message that are copied at the first look. Most messages are no longer.
const SHORT: usize = ring::BEGINNING;

fn between(start: u32, end: u32) -> core::ops::Range<usize> {
    start as usize..end as usize
}

/// Chunks that the longest answer takes. The quota `outstanding` bounds how many answers a guest may leave unread beyond
/// its ring; this is the room that one more needs.
const CHUNKS_PER_ANSWER: u32 = ((Header::SIZE + PAYLOAD_MAX) / CHUNK + 1) as u32;

/// Bytes that fit an empty ring even for a guest that keeps a few free. A guest that has begun a message no longer than
/// this never waits for room, so it need not be notified before its answer: Linux writes header and payload one after the
/// other, and a look may come in between.
const ROOM_FOR_SURE: u32 = RING_SIZE / 2;

/// Room for a request, and for what is looked at beyond it.
pub const REQUEST_ROOM: usize = Header::SIZE + PAYLOAD_MAX + SHORT;

pub type RequestBuf = [u8; REQUEST_ROOM];

/// A whole request in a connection's input.
#[derive(Clone, Copy)]
pub struct Arrived {
    pub header: Header,
    /// The look that found it.
    input: Input,
    /// How many of the ring's bytes belong to it.
    in_ring: u32,
}

impl Arrived {
    /// None yet.
    pub const NONE: Arrived = Arrived { header: Header::NONE, input: Input::NOTHING, in_ring: 0 };

    /// Makes it one that was consumed earlier, and is answered now.
    pub fn set_earlier(&mut self, header: Header) {
        (self.header, self.in_ring) = (header, u32::MAX);
    }

    /// Whether it is such a one: then what has come of a request since is not of it.
    pub fn is_earlier(&self) -> bool {
        self.in_ring == u32::MAX
    }

    pub(super) fn consume(&self, page: &RingPage) {
        self.input.consume(page, self.in_ring);
    }

    /// Consumes it, for whoever publishes its answer then.
    pub(super) fn give_back(&self, page: &RingPage) {
        self.input.give_back(page, self.in_ring);
    }
}

/// What a look at a connection's input found.
pub enum Found {
    /// Nothing whole yet.
    Nothing,
    /// More than there is room for now.
    NoRoom,
    /// A whole request, which `arrived` is now.
    Message,
    /// The guest broke the protocol.
    Broken(RingError),
}

/// Whether there is something in a ring that is listened to, or something wrong with it: the next look says what.
fn has_input<R: Deref<Target = RingPage>>(connection: &Connection<R>) -> bool {
    !connection.ignored && ring::has_input(&connection.ring)
}

impl<R: Deref<Target = RingPage>> Links<R> {
    /// Consumes the request that has been served: its effect is in place, and its answer has room.
    ///
    /// Before the answer shows: from then on the ring is the guest's to leave for the next user, and hvmloader zeroes
    /// all of its indexes. What we wrote to ours later would make it a broken ring.
    pub fn consume(&self, id: DomainId, arrived: &Arrived) {
        if let Some(connection) = self.get(id).filter(|connection| !connection.ignored) {
            arrived.consume(&connection.ring);
        }
    }

    /// After a request: whether there is more in the ring. The connection may have gone with it.
    #[inline(always)] // The end of every request.
    pub fn has_more(&mut self, store: &mut Store, id: DomainId) -> bool {
        let Some(connection) = self.get(id) else { return false };
        if connection.partial.len > 0 {
            self.drop_input(store, id);
            return self.get(id).is_some_and(has_input);
        }
        has_input(connection)
    }

    /// Whether there is something in a connection's ring.
    pub fn asks(&self, id: DomainId) -> bool {
        self.get(id).is_some_and(has_input)
    }

    /// The next connection that was active lately and has a request which no event has told of; see
    /// [`Schedule::next_missed`](super::Schedule::next_missed). A broken ring has none: its own turn finds out. Nor has the
    /// connection whose request is set `aside`, which lies there until it is answered.
    pub fn next_missed(&mut self, n: &mut usize, aside: Option<DomainId>) -> Option<DomainId> {
        let connections = &self.connections;
        self.schedule.next_missed(n, |id| {
            let connection =
                connections.get(id.index())?.as_ref().filter(|connection| !connection.ignored)?;
            let input = ring::input(&connection.ring).ok().filter(|_| aside != Some(id));
            Some(input.unwrap_or(Input::NOTHING))
        })
    }

    /// Whether a connection is listened to: it is there and keeps to the protocol.
    pub fn is_heard(&self, id: DomainId) -> bool {
        self.get(id).is_some_and(|connection| !connection.ignored)
    }

    /// Why the next request of this connection cannot be taken now, as far as its own output is the cause.
    pub fn why_unread(&self, store: &Store, id: DomainId) -> Option<Stall> {
        let (domain, usage) = (store.domains.get(id), &store.held.of(id).usage);
        if domain.is_privileged() {
            // The bytes of a further answer leave room for what others ask and write, its slot for other answers.
            let has_room = store.blobs.arena().available_to(Claim::Guest) >= CHUNKS_PER_ANSWER
                && self.outbox.messages.arena().available_to(Claim::FurtherAnswer) > 0;
            return if has_room { None } else { self.why_unread_without_room(store, id) };
        }
        // Only what waits here is given back by waiting: who holds too much otherwise must be able to ask for its
        // removal, and handlers refuse to add to it.
        let over = |quota: u32, used: u32| quota != 0 && used >= quota;
        let unread = over(domain.quotas.outstanding, usage.outstanding)
            || (self.has_output(id) && over(domain.quotas.memory, usage.memory));
        unread.then_some(Stall::Unread)
    }

    /// The same of a privileged client, which no quota bounds, where there is not much room: that is for those who read.
    #[cold]
    #[inline(never)]
    fn why_unread_without_room(&self, store: &Store, id: DomainId) -> Option<Stall> {
        let messages = &self.outbox.messages;
        if store.blobs.arena().available_to(Claim::Answer) < CHUNKS_PER_ANSWER
            || messages.arena().available_to(Claim::Answer) == 0
        {
            return Some(Stall::NoRoom);
        }
        let last = self.outbox.queue(id).last().map(|last| messages.get(last).kind());
        (last == Some(Kind::Reply)).then_some(Stall::Unread)
    }

    /// Looks for a whole request whose answer will have room, and copies it to `message` and `arrived`.
    ///
    /// `may_repeat` says of which types of request it is known that they may be served again.
    pub fn look(
        &mut self,
        store: &mut Store,
        id: DomainId,
        message: &mut RequestBuf,
        arrived: &mut Arrived,
        may_repeat: impl FnOnce(u32) -> bool,
    ) -> Found {
        let Some(connection) = self.get(id).filter(|connection| !connection.ignored) else {
            return Found::Nothing;
        };
        let page = &*connection.ring;
        let input = match ring::input(page) {
            Ok(input) => input,
            Err(error) => return Found::Broken(error),
        };
        let Partial { header: begun, len: taken, .. } = connection.partial;
        // A whole one may come from a state.
        if input.len == 0 && taken < HEADER {
            return Found::Nothing;
        }
        if taken > 0
            && let Some(place) = message.first_chunk_mut()
        {
            *place = begun;
        }
        // Most messages are short and there as a whole: those are copied at once, with what lies behind them.
        let first = input.len.min(SHORT as u32);
        if let Some(place) = message.get_mut(taken as usize..).and_then(<[u8]>::first_chunk_mut) {
            input.begin(page, place);
        }
        let whole_header = message.first_chunk().filter(|_| taken + input.len >= HEADER);
        let Some(header) = whole_header.map(Header::parse) else {
            return self.set_aside(store, id, input, first, HEADER - taken, message);
        };
        if header.len as usize > PAYLOAD_MAX {
            return Found::Broken(RingError::Proto);
        }
        let Some(missing) = (HEADER + header.len).checked_sub(taken) else {
            return Found::Broken(RingError::Proto);
        };
        if input.len < missing && input.len == 0 {
            return Found::Nothing;
        }
        if input.len < missing {
            return self.set_aside(store, id, input, first, missing, message);
        }
        // There must be room for the short answer to a guest's request that must not be served twice. One that may be
        // is simply served again when its answer finds no room.
        if !may_repeat(header.msg_type)
            && !store.domains.is_privileged(id)
            && !self.has_room(store, id, Header::SIZE)
        {
            return Found::NoRoom;
        }
        if taken > HEADER || missing > first {
            self.gather(store, id, input, first, missing, message);
        }
        *arrived = Arrived { header, input, in_ring: missing };
        Found::Message
    }

    /// Puts together what a look at the beginning has left out: what was taken before, and the rest.
    #[inline(never)]
    fn gather(
        &self,
        store: &Store,
        id: DomainId,
        input: Input,
        first: u32,
        missing: u32,
        message: &mut RequestBuf,
    ) {
        let Some(connection) = self.get(id) else { return };
        let Partial { len: taken, payload, .. } = connection.partial;
        let mut rest = message.get_mut(Header::SIZE..).unwrap_or_default();
        for piece in store.blobs.pieces(payload) {
            let (now, later) = rest.split_at_mut(piece.len().min(rest.len()));
            now.copy_from_slice(piece.get(..now.len()).unwrap_or_default());
            rest = later;
        }
        let rest = between(taken + first, taken + missing);
        input.copy_rest(&connection.ring, first, message.get_mut(rest).unwrap_or_default());
    }

    /// Whether a guest may have an answer of this length waiting for it: within its share. A short one may, too, if nothing
    /// else waits, so that who holds all that it may have can give it back.
    pub fn has_room(&self, store: &Store, id: DomainId, len: usize) -> bool {
        let chunks = Blob::chunks(len);
        if chunks == 1 && !self.has_output(id) {
            return store.blobs.arena().available_to(Claim::GuestAnswer) > 0
                && self.outbox.messages.arena().available_to(Claim::GuestAnswer) > 0;
        }
        store.may_take(id, Share::Chunks, chunks)
            && store.may_take_of(self.outbox.messages.arena().room(), id, Share::Messages, 1)
    }

    /// Takes all that is in the ring, the beginning of a message or more of it. Its first bytes are in the
    /// buffer already: a second look at them might find others than those that were checked. `missing` is how
    /// many bytes of the message were, as far as is known, missing before.
    #[inline(never)]
    fn set_aside(
        &mut self,
        store: &mut Store,
        id: DomainId,
        input: Input,
        first: u32,
        missing: u32,
        message: &mut RequestBuf,
    ) -> Found {
        let Some(connection) = self.get_mut(id) else {
            return Found::Nothing;
        };
        let mut partial = connection.partial;
        let (taken, end) = (partial.len, partial.len + input.len);
        let rest = between(taken + first, end);
        input.copy_rest(&connection.ring, first, message.get_mut(rest).unwrap_or_default());
        let payload = message.get(between(taken.max(HEADER), end)).unwrap_or_default();
        // A short one has room whatever the guest holds: it has to be able to ask for the removal of that.
        let short = partial.payload.is_empty()
            && payload.len() <= CHUNK
            && store.blobs.arena().available_to(Claim::Guest) > 0;
        let claim = if short || store.domains.is_privileged(id) { Claim::Answer } else { Claim::Guest };
        if let Some(header) = message.first_chunk() {
            partial.header = *header;
        }
        partial.len = end;
        let before = partial.memory();
        let taken = store.attempt(claim, |store| {
            if !payload.is_empty() {
                store.blobs.extend(&mut partial.payload, payload)?;
                store.charge(Some(id), before, partial.memory())?;
            }
            self.taking = Some(Taking { id, partial, input: Some(input) });
            Ok(())
        });
        if taken.is_err() {
            return Found::NoRoom;
        }
        if missing > ROOM_FOR_SURE {
            self.schedule.notify(id);
        }
        if self.take() {
            self.schedule.ready(id);
        }
        Found::Nothing
    }

    /// Carries out what the last attempt has decided about a half request. True if there is more in the ring.
    fn take(&mut self) -> bool {
        let Some(Taking { id, partial, input }) = self.taking.take() else { return false };
        let Links { connections, patience, .. } = self;
        let Some(Some(connection)) = connections.get_mut(id.index()) else { return false };
        connection.partial = partial;
        let ring = &connection.ring;
        input.is_some_and(|input| input.consume(ring, input.len) || patience.settle(ring))
    }

    /// After a stop: completes what was decided, and undoes what was not. True if that has queued a message of which its
    /// sender does not know.
    pub fn recover(&mut self, store: &mut Store) -> bool {
        let decided = store.present_attempt().is_decided();
        let queued = self.outbox.recover(store);
        if decided {
            self.take();
            self.join();
        }
        self.taking = None;
        queued
    }

    /// Drops the half request.
    pub fn drop_input(&mut self, store: &mut Store, id: DomainId) {
        let Some(connection) = self.get(id) else { return };
        let partial = connection.partial;
        if partial.len == 0 {
            return;
        }
        let dropped = store.attempt(Claim::Answer, |store| {
            store.blobs.free(partial.payload)?;
            store.charge(Some(id), partial.memory(), 0)?;
            self.taking = Some(Taking { id, partial: Partial::EMPTY, input: None });
            Ok(())
        });
        debug_assert!(dropped.is_ok(), "the journal has room for a message");
        self.take();
    }

    /// Empties the ring and tells the guest that it is connected, if it asked for that.
    pub fn restart(&mut self, id: DomainId) {
        use core::sync::atomic::Ordering::{Relaxed, Release};
        let Some(connection) = self.get_mut(id) else { return };
        ring::reset(&connection.ring);
        if connection.ring.connection.load(Relaxed) == 1 {
            connection.ring.connection.store(0, Release);
            self.schedule.notify(id);
        }
    }
}
