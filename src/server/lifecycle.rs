//! Domains come and go: what the hypervisor says, and what follows from it.
//!
//! All ways to lose a watch, a transaction, a message or a connection end in `drop_session`, all ways to
//! lose a domain in `destroy`.

use core::sync::atomic::Ordering::{Relaxed, Release};

use super::Server;
use crate::abi::{DomId, Port};
use crate::connection::Connection;
use crate::path::Path;
use crate::perms::{Access, Entry};
use crate::platform::{DomainState, Platform, Refused};
use crate::slots::Claim;
use crate::store::{DomainId, NodeId, Value};
use crate::trace::{Kind, Tally};
use crate::wire::XsError;

/// The store as it begins: these nodes, empty, for the privileged domain only.
const INITIAL_NODES: [Path<'static>; 5] = [
    Path::ROOT,
    Path::from_static(b"/tool"),
    Path::from_static(b"/tool/xenstored"),
    Path::INTRODUCE_DOMAIN,
    Path::RELEASE_DOMAIN,
];

impl<P: Platform> Server<P> {
    /// Creates the initial nodes and connects to the privileged domain by its grant and its event channel
    /// `port`. Requests that wait in its ring already are kept.
    pub fn start(&mut self, platform: &mut P, priv_domid: DomId, port: Port) -> Result<(), Refused> {
        self.core.clock.latest = platform.started();
        self.core.note_of_domain(Kind::Started, DomId::INVALID, 0);
        self.core.clock.latest = platform.cycles();
        let state = platform.state(priv_domid);
        let id = self
            .core
            .store
            .admit(priv_domid, state.map_or(0, |state| state.unique_id), self.core.settings.quotas)
            .map_err(|_| Refused)?;
        self.core.store.domains.set_privileged(id);
        self.create_initial_nodes(id).map_err(|_| Refused)?;
        self.attach(platform, id, port)
    }

    /// Connects the server's own domain, by its own page and a port that is its own peer.
    pub fn start_own(&mut self, platform: &mut P, domid: DomId, port: Port) -> Result<(), Refused> {
        self.core.own = Some(domid);
        let unique_id = platform.state(domid).map_or(0, |state| state.unique_id);
        let id = self.core.store.admit(domid, unique_id, self.core.settings.quotas).map_err(|_| Refused)?;
        self.attach(platform, id, port)
    }

    fn create_initial_nodes(&mut self, owner: DomainId) -> Result<(), XsError> {
        let domain = self.core.store.domains.get(owner);
        let owner = Entry { access: Access::empty(), domid: domain.domid, life: domain.life };
        let everyone = Entry { access: Access::READ, domid: DomId::ANY, life: crate::perms::Life::ANY };
        self.core.store.attempt(Claim::Privileged, |store| {
            let key = store.key;
            for path in INITIAL_NODES {
                let mut entries: heapless::Vec<u8, { 2 * Entry::SIZE }> = heapless::Vec::new();
                entries.extend_from_slice(&owner.to_bytes()).map_err(|_| XsError::ENOMEM)?;
                if path == Path::RELEASE_DOMAIN {
                    entries.extend_from_slice(&everyone.to_bytes()).map_err(|_| XsError::ENOMEM)?;
                }
                let acl = store.acls.intern(&key, &mut store.blobs, &entries)?;
                let parent = path.parent().and_then(|parent| store.lookup(parent));
                store.create(parent, path, path.hash(&key), Value::EMPTY, acl)?;
            }
            Ok(())
        })
    }

    /// Attaches a connection that the builder of the domain prepared: indexes are left as they are.
    fn attach(&mut self, platform: &mut P, id: DomainId, port: Port) -> Result<(), Refused> {
        let domid = self.core.store.domains.get(id).domid;
        self.connect(platform, id, domid, port)?;
        if let Some(connection) = self.links.get_mut(id) {
            connection.ring.connection.store(0, Release);
        }
        self.links.schedule.notify(id);
        self.links.schedule.ready(id);
        Ok(())
    }

    /// Maps the ring, binds the port and makes the connection of a domain that has none.
    pub(super) fn connect(
        &mut self,
        platform: &mut P,
        id: DomainId,
        domid: DomId,
        port: Port,
    ) -> Result<(), Refused> {
        let ring = platform.map(domid)?;
        // A domain that Xen itself gave its event channel says so in its page (io/xs_wire.h).
        let port = match ring.evtchn_port.load(Relaxed) {
            0 => port,
            own => Port(own),
        };
        let local = platform.bind_interdomain(domid, port)?;
        if self.links.set_port_owner(local, Some(id)).is_err() {
            platform.close(local);
            return Err(Refused);
        }
        let features = self.core.store.domains.get(id).features;
        ring.server_features.store(features.bits(), Release);
        ring.error.store(0, Release);
        self.links.insert(id, Connection::new(ring, local));
        self.core.note_of_domain(Kind::Introduced, domid, local.0);
        Ok(())
    }

    /// Binds another port for a connection that is there. Without one, it is left without.
    pub(super) fn rebind(&mut self, platform: &mut P, id: DomainId, domid: DomId, port: Port) {
        self.close_port(platform, id);
        let local = platform.bind_interdomain(domid, port).ok();
        let local = local.filter(|local| {
            let known = self.links.set_port_owner(*local, Some(id)).is_ok();
            if !known {
                platform.close(*local);
            }
            known
        });
        if let Some(connection) = self.links.get_mut(id) {
            connection.port = local;
        }
    }

    pub(super) fn close_port(&mut self, platform: &mut P, id: DomainId) {
        if let Some(port) = self.links.get_mut(id).and_then(|connection| connection.port.take()) {
            let forgotten = self.links.set_port_owner(port, None);
            debug_assert!(forgotten.is_ok(), "a bound port is in range");
            platform.close(port);
        }
    }

    /// Forgets what a connection was in the middle of: output, watches, transactions, half a request.
    pub(super) fn drop_session(&mut self, id: DomainId) {
        while let Some(message) = self.links.drop_oldest(&mut self.core.store, id) {
            self.core.note_given_up(id, &message);
        }
        self.links.drop_input(&mut self.core.store, id);
        let dropped = self.core.store.remove_watches(id).and_then(|()| self.core.drop_transactions(id));
        debug_assert!(dropped.is_ok(), "nothing is refused outside attempts");
        self.core.store.set_cursor(id, None);
        self.links.schedule.unstall(id);
    }

    /// Ends a domain's life here: its session, its nodes with all below them, its connection, its record.
    pub(super) fn destroy(&mut self, platform: &mut P, id: DomainId) {
        let domid = self.core.store.domains.get(id).domid;
        let introduced = self.links.has(id);
        self.core.store.account_end(id);
        self.drop_session(id);
        while let Some(node) = self.core.store.owned.of(id).first() {
            if self.remove_owned(id, node).is_err() {
                log::error!("domain {domid} is gone but a node of it is not; please report this");
                break;
            }
        }
        self.close_port(platform, id);
        self.links.remove(id);
        if let Some(tally) = self.core.recorder.domain_mut(id.index()) {
            *tally = Tally::EMPTY;
        }
        self.core.store.domains.dismiss(id);
        self.core.note_of_domain(Kind::Released, domid, 0);
        if introduced {
            self.fire_special(Path::RELEASE_DOMAIN, None);
            self.fire_special(Path::RELEASE_DOMAIN, Some(domid));
        }
    }

    /// Removes the highest node of `owner` at or above `node`, with all below; a special node, and every
    /// node if orphans are kept, goes to the privileged domain instead.
    fn remove_owned(&mut self, owner: DomainId, node: NodeId) -> Result<(), XsError> {
        let special = self.core.store.node(node).parent.is_none();
        if special || self.core.settings.keep_orphans {
            return self.hand_to_privileged(node);
        }
        let mut top = node;
        let mut at = node;
        while let Some(parent) = self.core.store.node(at).parent {
            at = parent;
            if self.core.store.owner_of(at) == Some(owner) && self.core.store.node(at).parent.is_some() {
                top = at;
            }
        }
        self.remove_tree(top, false)
    }

    fn hand_to_privileged(&mut self, node: NodeId) -> Result<(), XsError> {
        let Some(new) = self.core.store.domains.privileged() else { return Err(XsError::EIO) };
        let new = self.core.store.domains.get(new);
        let (domid, life) = (new.domid, new.life);
        let Some(old) = self.core.store.acl(node) else { return Err(XsError::EIO) };
        let mut entries = crate::store::AclBuf::new();
        for (n, entry) in self.core.store.acls.entries(&self.core.store.blobs, old).enumerate() {
            let entry = if n == 0 { Entry { domid, life, ..entry } } else { entry };
            entries.extend_from_slice(&entry.to_bytes()).map_err(|_| XsError::EIO)?;
        }
        let acl = self.core.store.acls.intern(&self.core.store.key, &mut self.core.store.blobs, &entries)?;
        Ok(self.core.store.set_acl(node, acl)?)
    }

    /// Follows up on VIRQ_DOM_EXC: asks what has changed, or, if the hypervisor has nothing to tell, about
    /// each domain that is known. News is a hint only; what a domain is now decides.
    pub(super) fn observe_domains(&mut self, platform: &mut P) {
        let mut told = false;
        let mut shut_down = false;
        while let Some((domid, state)) = platform.next_changed() {
            told = true;
            shut_down = self.observe(platform, domid, state, shut_down);
        }
        if !told {
            for slot in 0..self.core.store.domains.arena.capacity() as usize {
                if let Some(id) = self.core.store.domains.at(slot) {
                    let domid = self.core.store.domains.get(id).domid;
                    let state = platform.state(domid);
                    shut_down = self.observe(platform, domid, state, shut_down);
                }
            }
        }
        if shut_down {
            self.fire_special(Path::RELEASE_DOMAIN, None);
        }
    }

    /// Looks at one domain. `announce` says that a shutdown is still to be announced, and so does the
    /// result; the announcement of a death does for both.
    fn observe(
        &mut self,
        platform: &mut P,
        domid: DomId,
        state: Option<DomainState>,
        announce: bool,
    ) -> bool {
        let Some(id) = self.core.store.domains.find(domid) else { return announce };
        if self.core.is_privileged(id) || self.core.own == Some(domid) {
            return announce;
        }
        let introduced = self.links.has(id);
        let domain = self.core.store.domains.update(id);
        let Some(state) = state.filter(|state| {
            let same = domain.unique_id == 0 || domain.unique_id == state.unique_id;
            same && !(state.dead && introduced)
        }) else {
            self.destroy(platform, id);
            return announce && !introduced;
        };
        domain.unique_id = state.unique_id;
        if !introduced || !state.shutdown || domain.shutdown {
            return announce;
        }
        domain.shutdown = true;
        self.fire_special(Path::RELEASE_DOMAIN, Some(domid));
        true
    }
}
