//! From ring bytes to one whole message: what is taken, what is left in the ring, and when a ring is given
//! up.
//!
//! A whole message stays in the ring until it is answered. The beginning of one is taken out at once:
//! guests notify only when they find the ring empty, so bytes left in it would keep the rest from being
//! announced.

use super::{Scratch, Server};
use crate::abi::{DomId, RING_SIZE, RingError, ServerFeatures};
use crate::connection::Partial;
use crate::platform::Platform;
use crate::ring::{self, Input};
use crate::slots::Claim;
use crate::store::DomainId;
use crate::trace::{Kind, Stall};
use crate::wire::{Header, PAYLOAD_MAX};

const HEADER: u32 = Header::SIZE as u32;

/// Bytes of a message that are copied at the first look: as many as most messages have.
pub const SHORT: usize = 80;

fn between(start: u32, end: u32) -> core::ops::Range<usize> {
    start as usize..end as usize
}

/// Answers that a guest may leave unread beyond its ring before it is not read any more are counted by the
/// quota `outstanding`; this is the room that one more needs in the worst case.
const CHUNKS_PER_ANSWER: u32 = ((Header::SIZE + PAYLOAD_MAX) / crate::slots::CHUNK + 1) as u32;

/// Bytes that any guest finds room for in an empty ring, though it keep a few free. One that has begun a message
/// no longer than this does not wait for room, so it need not be told of any before it is answered: Linux
/// writes header and payload one after the other, and we may come in between.
const ROOM_FOR_SURE: u32 = RING_SIZE / 2;

/// A whole request in a connection's input.
pub(super) struct Arrived {
    pub header: Header,
    /// The look that found it.
    input: Input,
    /// How many of the ring's bytes belong to it.
    in_ring: u32,
}

/// What a look at a connection's input found.
enum Found {
    /// Nothing whole yet.
    Nothing,
    Message(Arrived),
    /// The guest broke the protocol.
    Broken(RingError),
}

impl<P: Platform> Server<P> {
    /// Serves one request, if a whole one is there and its answer will have room. True if there is more to
    /// do.
    pub(super) fn serve_one(&mut self, platform: &mut P, id: DomainId) -> bool {
        if !self.may_read(id) {
            return false;
        }
        let Some(mut scratch) = self.scratch.take() else { return false };
        let served = match self.look(id, &mut scratch) {
            Found::Nothing => false,
            Found::Broken(error) => {
                self.ignore(id, error);
                false
            }
            Found::Message(request) => {
                if self.answer(platform, id, &request, &mut scratch) {
                    self.has_more(id)
                } else {
                    self.stall(id, Stall::NoRoom);
                    false
                }
            }
        };
        self.scratch = Some(scratch);
        served
    }

    /// Consumes the request that has been served: its effect is in place, and its answer has room.
    ///
    /// Before the answer shows: from then on the ring is the guest's to leave for the next user, and hvmloader zeroes
    /// all of its indexes. What we wrote to ours later would make it a broken ring.
    pub(super) fn consume(&mut self, id: DomainId, Arrived { input, in_ring, .. }: &Arrived) {
        if let Some(connection) = self.links.get_mut(id).filter(|connection| !connection.ignored) {
            input.consume(&connection.ring, *in_ring);
        }
    }

    /// After a request: whether there is more in the ring. The connection may have gone with it.
    fn has_more(&mut self, id: DomainId) -> bool {
        if self.links.get_mut(id).is_some_and(|connection| connection.partial.len > 0) {
            self.drop_input(id);
        }
        let Some(connection) = self.links.get_mut(id).filter(|connection| !connection.ignored) else {
            return false;
        };
        // The next look says what is wrong with a ring that is.
        let more = ring::input(&connection.ring).map_or(true, |input| input.len > 0);
        self.links.schedule.notify(id);
        more
    }

    /// Whether the next request of this connection may be taken now.
    fn may_read(&mut self, id: DomainId) -> bool {
        let Some(connection) = self.links.get(id) else {
            return false;
        };
        if connection.ignored {
            return false;
        }
        let domain = self.store.domains.get(id);
        let over = |quota: u32, used: u32| quota != 0 && used >= quota;
        let (stalled, why) = if domain.privileged {
            let full = self.store.blobs.arena().available_to(Claim::Answer) < CHUNKS_PER_ANSWER
                || self.links.outbox.messages.arena().available_to(Claim::Answer) == 0;
            (full, Stall::NoRoom)
        } else {
            // Only what waits here is given back by waiting: who holds too much otherwise must be able to
            // ask for its removal, and handlers refuse to add to it.
            let waits = !connection.queue.is_empty();
            let unread = over(domain.quotas.outstanding, domain.usage.outstanding)
                || (waits && over(domain.quotas.memory, domain.usage.memory));
            (unread, Stall::Unread)
        };
        let held = self.is_held(id);
        if held || stalled {
            self.stall(id, if held { Stall::Held } else { why });
        }
        !(held || stalled)
    }

    fn look(&mut self, id: DomainId, scratch: &mut Scratch) -> Found {
        let Some(connection) = self.links.get(id) else {
            return Found::Nothing;
        };
        let page = &*connection.ring;
        let input = match ring::input(page) {
            Ok(input) => input,
            Err(error) => return Found::Broken(error),
        };
        if input.len == 0 {
            return Found::Nothing;
        }
        let Partial { header: begun, len: taken, .. } = connection.partial;
        if taken > 0
            && let Some(place) = scratch.message.first_chunk_mut()
        {
            *place = begun;
        }
        // Most messages are short and there as a whole: those are copied at once.
        let first = input.len.min(SHORT as u32);
        input.copy(page, 0, scratch.message.get_mut(between(taken, taken + first)).unwrap_or_default());
        let whole_header = scratch.message.first_chunk().filter(|_| taken + input.len >= HEADER);
        let Some(header) = whole_header.map(Header::parse) else {
            return self.set_aside(id, input, first, HEADER - taken, scratch);
        };
        if header.len as usize > PAYLOAD_MAX {
            return Found::Broken(RingError::Proto);
        }
        let Some(missing) = (HEADER + header.len).checked_sub(taken) else {
            return Found::Broken(RingError::Proto);
        };
        if input.len < missing {
            return self.set_aside(id, input, first, missing, scratch);
        }
        if !self.has_room_for_answer(id, header) {
            self.stall(id, Stall::NoRoom);
            return Found::Nothing;
        }
        if taken > HEADER || missing > first {
            self.gather(id, input, first, missing, scratch);
        }
        Found::Message(Arrived { header, input, in_ring: missing })
    }

    /// Puts together what a look at the beginning has left out: what was taken before, and the rest.
    #[inline(never)]
    fn gather(&mut self, id: DomainId, input: Input, first: u32, missing: u32, scratch: &mut Scratch) {
        let Some(connection) = self.links.get(id) else { return };
        let Partial { len: taken, payload, .. } = connection.partial;
        let mut rest = scratch.message.get_mut(Header::SIZE..).unwrap_or_default();
        for piece in self.store.blobs.pieces(payload) {
            let (now, later) = rest.split_at_mut(piece.len().min(rest.len()));
            now.copy_from_slice(piece.get(..now.len()).unwrap_or_default());
            rest = later;
        }
        let rest = between(taken + first, taken + missing);
        input.copy(&connection.ring, first, scratch.message.get_mut(rest).unwrap_or_default());
    }

    /// Whether there is room for the short answer to a guest's request that must not be done twice. Those
    /// that may be are simply tried again when their answer finds no room.
    fn has_room_for_answer(&self, id: DomainId, header: Header) -> bool {
        self.is_privileged(id) || header.is_repeatable() || self.has_room(id, Header::SIZE)
    }

    /// Whether a guest may have an answer of this length waiting for it. One with n answers unread must leave
    /// room for n more of them: so however many guests do that, each gets less as room gets scarce. And long
    /// answers leave room for short ones, for which no guest shall have to wait for another.
    pub(super) fn has_room(&self, id: DomainId, len: usize) -> bool {
        let answers = self.store.domains.get(id).usage.outstanding.saturating_add(1);
        let chunks = len.div_ceil(crate::slots::CHUNK) as u32;
        let kept = if chunks > 1 { CHUNKS_PER_ANSWER } else { 0 };
        self.store.blobs.arena().available_to(Claim::GuestAnswer) >= chunks.saturating_mul(answers) + kept
            && self.links.outbox.messages.arena().available_to(Claim::GuestAnswer) >= answers
    }

    /// Takes all that is in the ring, the beginning of a message or more of it. Its first bytes are in the
    /// buffer already: a second look at them might find others than those that were checked. `missing` is how
    /// many bytes of the message were, as far as is known, missing before.
    #[inline(never)]
    fn set_aside(
        &mut self,
        id: DomainId,
        input: Input,
        first: u32,
        missing: u32,
        scratch: &mut Scratch,
    ) -> Found {
        let claim = if self.is_privileged(id) { Claim::Answer } else { Claim::Guest };
        let Some(connection) = self.links.get_mut(id) else {
            return Found::Nothing;
        };
        let partial = &mut connection.partial;
        let (taken, end) = (partial.len, partial.len + input.len);
        let rest = between(taken + first, end);
        input.copy(&connection.ring, first, scratch.message.get_mut(rest).unwrap_or_default());
        let payload = scratch.message.get(between(taken.max(HEADER), end)).unwrap_or_default();
        let room =
            self.store.blobs.arena().available_to(claim) as usize > payload.len() / crate::slots::CHUNK;
        let before = partial.memory();
        if !payload.is_empty() && (!room || self.store.blobs.extend(&mut partial.payload, payload).is_err()) {
            self.stall(id, Stall::NoRoom);
            return Found::Nothing;
        }
        if let Some(header) = scratch.message.first_chunk() {
            partial.header = *header;
        }
        partial.len = end;
        let usage = &mut self.store.domains.update(id).usage;
        usage.memory = usage.memory + partial.memory() - before;
        let more = input.consume(&connection.ring, input.len) || ring::settle(&connection.ring);
        if missing > ROOM_FOR_SURE {
            self.links.schedule.notify(id);
        }
        if more {
            self.links.schedule.ready(id);
        }
        Found::Nothing
    }

    /// Forgets what was received of a message.
    pub(super) fn drop_input(&mut self, id: DomainId) {
        let Some(connection) = self.links.get_mut(id) else { return };
        let partial = core::mem::replace(&mut connection.partial, Partial::EMPTY);
        let freed = self.store.blobs.free(partial.payload);
        debug_assert!(freed.is_ok(), "input changes outside attempts");
        self.store.domains.update(id).usage.memory -= partial.memory();
    }

    /// Gives a connection up: its domain stays introduced and keeps its nodes, but is not heard any more.
    pub(super) fn ignore(&mut self, id: DomainId, error: RingError) {
        let offered = self.store.domains.get(id).features.contains(ServerFeatures::ERROR);
        let domid: DomId = self.store.domains.get(id).domid;
        self.drop_session(id);
        if let Some(connection) = self.links.get_mut(id) {
            connection.ignored = true;
            if offered {
                connection.ring.error.store(error as u32, core::sync::atomic::Ordering::Release);
            }
        }
        log::warn!("domain {domid} broke the ring protocol ({error:?}) and is ignored from now on");
        self.note_of_domain(Kind::RingError, domid, error as u32);
        self.links.schedule.notify(id);
    }

    /// Does what a guest asks for by setting `connection` to 1: a fresh start of its connection.
    pub(super) fn reconnect_if_asked(&mut self, id: DomainId) {
        use core::sync::atomic::Ordering::Relaxed;
        let asked = self
            .links
            .get_mut(id)
            .is_some_and(|connection| !connection.ignored && connection.ring.connection.load(Relaxed) == 1);
        if asked && self.offers(id, ServerFeatures::RECONNECTION) {
            self.drop_session(id);
            self.note_of_domain(Kind::Restarted, self.store.domains.get(id).domid, 0);
            self.restart_ring(id);
        }
    }

    /// Empties the ring and tells the guest that it is connected, if it asked for that.
    pub(super) fn restart_ring(&mut self, id: DomainId) {
        use core::sync::atomic::Ordering::{Relaxed, Release};
        let Some(connection) = self.links.get_mut(id) else { return };
        ring::reset(&connection.ring);
        if connection.ring.connection.load(Relaxed) == 1 {
            connection.ring.connection.store(0, Release);
            self.links.schedule.notify(id);
        }
    }
}
