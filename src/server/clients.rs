//! Local clients, which have no domain of their own: each acts as the privileged domain over its own ring.
//!
//! So a client on a unix socket, or one in the server's own domain, is served just as a domain is.

use super::Server;
use crate::abi::Port;
use crate::connection::Connection;
use crate::platform::{Platform, Refused};
use crate::slots::Claim;
use crate::store::DomainId;
use crate::trace::Tally;

/// A client that [`Server::accept`] has accepted.
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

    /// Drops a client with its session, and closes its port.
    pub fn disconnect(&mut self, platform: &mut P, client: Client) {
        let Client(id) = client;
        self.drop_session(platform, id, false);
        self.finish(platform);
        self.close_port(platform, id);
        self.links.remove(id);
        self.core.throttle.forget(id);
        // Its sums stay with the domain for which it acted.
        let done =
            self.core.recorder.domain_mut(id.index()).map(|tally| core::mem::replace(tally, Tally::EMPTY));
        let whom =
            self.core.store.domains.privileged().and_then(|whom| self.core.recorder.domain_mut(whom.index()));
        if let (Some(tally), Some(done)) = (whom, done) {
            tally.absorb(&done);
        }
        let dismissed = self.core.store.attempt(Claim::Answer, |store| store.dismiss_client(id));
        debug_assert!(dismissed.is_ok(), "the journal has room for a client");
    }
}
