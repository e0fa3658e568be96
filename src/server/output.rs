//! The one place where requests are consumed and answers sent.

use super::Server;
use super::operations::Operation;
use crate::abi::ServerFeatures;
use crate::connection::Arrived;
use crate::connection::outbox::Kind;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::DomainId;

impl<P: Platform> Server<P> {
    /// Drops all that waits for a connection.
    pub(super) fn drop_output(&mut self, id: DomainId) {
        while let Some(message) = self.links.drop_oldest(&mut self.store, id) {
            self.note_given_up(id, &message);
        }
    }

    /// Consumes a request and sends its answer. False if the request must be done again because there is no room for
    /// its answer now.
    pub(super) fn reply(&mut self, id: DomainId, request: &Arrived, message: &[u8]) -> bool {
        if !self.is_privileged(id)
            && Operation::<P>::may_repeat(request.header.msg_type)
            && !self.links.fits_ring(id, message.len())
            && !self.links.has_room(&self.store, id, message.len())
        {
            return false;
        }
        self.links.consume(id, request);
        let sent = self.links.send(&mut self.store, self.clock.now, id, Claim::Answer, Kind::Reply, message);
        debug_assert!(
            sent || self.links.get(id).is_none_or(|connection| connection.ignored),
            "room was checked"
        );
        self.recorder.counters.requests += 1;
        true
    }

    /// Whether the connection understands a feature.
    pub(super) fn offers(&self, id: DomainId, feature: ServerFeatures) -> bool {
        self.store.domains.get(id).features.contains(feature)
    }
}
