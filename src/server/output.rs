//! Consuming requests and sending answers, which happens only here.

use super::Server;
use super::operations::{Operation, finish};
use super::scratch::{Exchange, Stage};
use crate::connection::Sent;
use crate::connection::outbox::Kind;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::{Answer, DomainId};
use crate::wire::{Header, XsError};

impl<P: Platform> Server<P> {
    /// Consumes a request and sends its answer. False if there is no room for the answer now, and the request must be
    /// served again. Stopped at any point and called again, it does the rest. The result is also the size of the answer's
    /// payload, bytes, 0 of an error. With `late` it does not expect that the answer fits the ring, as it mostly does.
    #[inline(always)] // The end of every request.
    pub(super) fn reply(&mut self, id: DomainId, answer: Result<Answer, XsError>, late: bool) -> (bool, u32) {
        let Server { core, links, exchange, .. } = self;
        let Exchange { request, reply, stage, .. } = &mut **exchange;
        let message = finish(reply, request.header, answer);
        let size = if answer.is_ok() { (message.len() - Header::SIZE) as u32 } else { 0 };
        if !late
            && *stage == Stage::Taken
            && links.exchange(id, request, message, || *stage = Stage::Consumed)
        {
            *stage = Stage::Answered;
            core.recorder.counters.requests += 1;
            return (true, size);
        }
        (self.reply_late(id), size)
    }

    /// The same where the ring has no room for the answer, or a stop has come in between.
    #[cold]
    #[inline(never)]
    fn reply_late(&mut self, id: DomainId) -> bool {
        let Server { core, links, exchange, .. } = self;
        let Exchange { request, reply, stage, .. } = &mut **exchange;
        let message = reply.message();
        if *stage == Stage::Taken {
            if !core.is_privileged(id)
                && Operation::<P>::may_repeat(request.header.msg_type)
                && !links.fits_ring(id, message.len())
                && !links.has_room(&core.store, id, message.len())
            {
                return false;
            }
            links.consume(id, request);
            *stage = Stage::Consumed;
        }
        if *stage == Stage::Consumed {
            let sent = links.send(&mut core.store, id, Claim::Answer, Kind::Reply, message);
            *stage = Stage::Answered;
            core.recorder.counters.requests += 1;
            debug_assert!(sent != Sent::Nowhere || !links.is_heard(id), "room was checked");
            if sent != Sent::IntoRing {
                // Of the room for requests, too.
                links.schedule.notify(id);
                links.follow_up(&mut core.store, core.clock.now, id);
            }
        }
        true
    }

    /// Sends what waits for a connection, in a turn of it. False if its ring is broken.
    #[cold]
    #[inline(never)]
    pub(super) fn send_waiting(&mut self, platform: &mut P, id: DomainId) -> bool {
        let sent = self.deliver(id);
        if let Err(error) = sent {
            self.ignore(platform, id, error);
        }
        // The privileged pay for it only where others wait. The time of it is no request's.
        if !self.core.is_privileged(id) || self.links.schedule.has_ready() || self.links.asks(id) {
            self.core.clock.latest = platform.cycles();
        }
        sent.is_ok()
    }
}
