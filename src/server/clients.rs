//! Clients without a domain of their own: they act as the privileged domain, each over its own ring.
//!
//! So a unix socket's client, or one inside the server's own domain, takes the way that every domain takes.

use super::Server;
use crate::abi::Port;
use crate::connection::Connection;
use crate::platform::{Platform, Refused};
use crate::slots::Claim;
use crate::store::DomainId;
use crate::trace::Tally;

/// A client taken in by [`Server::accept`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client(DomainId);

impl<P: Platform> Server<P> {
    /// Serves one more client, over `ring` and the local port `port`, which the caller has bound.
    /// Refused before `start`, or when there is no room.
    pub fn accept(&mut self, ring: P::Ring, port: Port) -> Result<Client, Refused> {
        if !self.links.is_free(port) {
            return Err(Refused);
        }
        let store = &mut self.core.store;
        let admitted = store.attempt(Claim::Answer, |store| Ok(store.domains.admit_client()?));
        let id = admitted.map_err(|_| Refused)?;
        self.links.prepare(id, Connection::new(ring, port))?;
        self.links.join();
        self.links.schedule.ready(id);
        Ok(Client(id))
    }

    /// Forgets a client and all that it had under way, and closes its port.
    pub fn disconnect(&mut self, platform: &mut P, client: Client) {
        let Client(id) = client;
        self.drop_session(platform, id, false);
        self.close_port(platform, id);
        self.links.remove(id);
        // What it did stays in the sums of whom it acted for.
        let done =
            self.core.recorder.domain_mut(id.index()).map(|tally| core::mem::replace(tally, Tally::EMPTY));
        let whom =
            self.core.store.domains.privileged().and_then(|whom| self.core.recorder.domain_mut(whom.index()));
        if let (Some(tally), Some(done)) = (whom, done) {
            tally.absorb(&done);
        }
        let dismissed =
            self.core.store.attempt(Claim::Answer, |store| Ok(store.domains.dismiss_client(id)?));
        debug_assert!(dismissed.is_ok(), "the journal has room for a client");
    }
}
