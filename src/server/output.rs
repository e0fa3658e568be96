//! From an outcome to bytes in the ring: the one place that writes replies, and the queue behind it.

use super::Server;
use super::input::Arrived;
use crate::abi::{RingError, ServerFeatures};
use crate::connection::outbox::Kind;
use crate::platform::Platform;
use crate::quota::Quotas;
use crate::ring;
use crate::slots::Claim;
use crate::store::DomainId;
use crate::wire::MessageBuf;

/// The answer to a request.
pub type Reply = MessageBuf;

impl<P: Platform> Server<P> {
    /// Sends a message to a connection: into its ring if it fits there, else onto its queue. False if
    /// neither has room. A ring that turns out to be broken is not given up here, amid a request that may be
    /// this connection's own: the message waits, and the connection's own turn finds out.
    pub(super) fn send(&mut self, id: DomainId, claim: Claim, kind: Kind, message: &[u8]) -> bool {
        let Some(connection) = self.links.get_mut(id) else {
            return false;
        };
        if connection.ignored {
            return false;
        }
        if connection.queue.is_empty()
            && let Ok(mut out) = ring::output(&connection.ring)
            && out.room as usize >= message.len()
        {
            out.put(&connection.ring, message);
            out.publish(&connection.ring);
            self.schedule.notify(id);
            return true;
        }
        self.queue(id, claim, kind, message)
    }

    #[cold]
    #[inline(never)]
    fn queue(&mut self, id: DomainId, claim: Claim, kind: Kind, message: &[u8]) -> bool {
        let Some(connection) = self.links.get_mut(id) else {
            return false;
        };
        let queued = self.outbox.push(&mut self.store, &mut connection.queue, id, claim, kind, message);
        self.store.account(id, Quotas::NOTHING, self.now);
        if self.flush(id).is_err() {
            self.schedule.ready(id);
        }
        self.schedule.wait(id);
        queued
    }

    /// Writes waiting messages into the ring, as much as fits.
    pub(super) fn flush(&mut self, id: DomainId) -> Result<(), RingError> {
        while let Some(connection) = self.links.get_mut(id) {
            let Some(first) = connection.queue.first() else { break };
            let page = &*connection.ring;
            let mut out = ring::output(page)?;
            let message = self.outbox.messages.update(first);
            let mut skip = message.written as usize;
            let before = message.written;
            for piece in self.store.blobs.pieces(message.bytes) {
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
                self.schedule.notify(id);
            }
            if done {
                self.pop_message(id);
            } else if !progress {
                self.schedule.wait(id);
                break;
            }
        }
        Ok(())
    }

    fn pop_message(&mut self, id: DomainId) {
        let Some(connection) = self.links.get_mut(id) else { return };
        if let Some(eased) = self.outbox.pop(&mut self.store, &mut connection.queue, id) {
            self.schedule.ready(eased);
        }
        // Its memory charge fell, which may have been what kept it from being read.
        self.schedule.ready(id);
    }

    /// Drops all that waits for a connection.
    pub(super) fn drop_output(&mut self, id: DomainId) {
        while let Some(first) = self.links.get_mut(id).and_then(|connection| connection.queue.first()) {
            self.note_given_up(id, first);
            self.pop_message(id);
        }
    }

    /// Consumes a request and sends its answer. False if the request must be done again because there is no room for
    /// its answer now.
    pub(super) fn reply(&mut self, id: DomainId, request: &Arrived, message: &[u8]) -> bool {
        if request.header.is_repeatable()
            && !self.is_privileged(id)
            && !self.fits_ring(id, message.len())
            && !self.has_room(id, message.len())
        {
            return false;
        }
        self.consume(id, request);
        let sent = self.send(id, Claim::Answer, Kind::Reply, message);
        debug_assert!(
            sent || self.links.get_mut(id).is_none_or(|connection| connection.ignored),
            "room was checked"
        );
        self.recorder.counters.requests += 1;
        true
    }

    /// Whether a message needs no memory of ours. A broken ring takes all: it will be given up.
    fn fits_ring(&mut self, id: DomainId, len: usize) -> bool {
        self.links.get_mut(id).is_some_and(|connection| {
            let room = ring::output(&connection.ring).map_or(usize::MAX, |out| out.room as usize);
            connection.queue.is_empty() && room >= len
        })
    }

    /// Whether the connection understands a feature.
    pub(super) fn offers(&self, id: DomainId, feature: ServerFeatures) -> bool {
        self.store.domains.get(id).features.contains(feature)
    }
}
