//! Domains begin and end: the server's start, what the hypervisor reports, and what follows from that.

use core::sync::atomic::Ordering::{Relaxed, Release};

use super::Server;
use super::core::News;
use crate::abi::{DomId, Port};
use crate::connection::Connection;
use crate::path::Path;
use crate::perms::{Access, Entry};
use crate::platform::{DomainInfo, DomainState, Platform, Refused};
use crate::slots::Claim;
use crate::store::{Domain, DomainId, Origin, Value};
use crate::trace::Kind;
use crate::wire::XsError;

/// Attempts after which more news waits until others have had their turns.
const ATTEMPTS: u64 = 16;

/// Domains after which the same: most of those that may have changed have not.
const ASKED: usize = 64;

/// Nanoseconds for which news of domains waits at most for those who read.
const PATIENCE: u64 = 50_000_000;

/// The nodes of a new store: empty, and for the privileged domain only.
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
        let unique_id = unique_id(platform, priv_domid);
        let quotas = self.core.settings.quotas;
        let id = self.core.store.admit(priv_domid, unique_id, quotas).map_err(|_| Refused)?;
        self.create_initial_nodes(id).map_err(|_| Refused)?;
        self.attach(platform, id, port)
    }

    /// Connects the server's own domain, by its own page and a port that is its own peer.
    pub fn start_own(&mut self, platform: &mut P, domid: DomId, port: Port) -> Result<(), Refused> {
        self.core.own = Some(domid);
        let unique_id = unique_id(platform, domid);
        let id = self.core.store.admit(domid, unique_id, self.core.settings.quotas).map_err(|_| Refused)?;
        self.attach(platform, id, port)
    }

    fn create_initial_nodes(&mut self, owner: DomainId) -> Result<(), XsError> {
        let domain = self.core.store.domains.get(owner);
        let owner = Entry { access: Access::empty(), domid: domain.domid, life: domain.life };
        let everyone = Entry { access: Access::READ, domid: DomId::ANY, life: crate::perms::Life::ANY };
        self.core.store.attempt(Claim::Privileged, |store| {
            let key = store.key();
            for path in INITIAL_NODES {
                store.list.clear();
                store.list.push(owner)?;
                if path == Path::RELEASE_DOMAIN {
                    store.list.push(everyone)?;
                }
                let acl = store.intern()?;
                let parent = path.parent().and_then(|parent| store.lookup(parent));
                store.create(parent, path.name(), path.hash(&key), Value::EMPTY, acl)?;
            }
            Ok(())
        })?;
        for path in INITIAL_NODES {
            if let Some(node) = self.core.store.lookup(path) {
                self.core.store.set_origin(node, Origin::START);
            }
        }
        self.core.store.note_fused();
        Ok(())
    }

    /// Attaches a connection that the builder of the domain prepared: indexes are left as they are.
    fn attach(&mut self, platform: &mut P, id: DomainId, port: Port) -> Result<(), Refused> {
        let domid = self.core.store.domains.get(id).domid;
        self.connect(platform, id, domid, port)?;
        self.links.join();
        if let Some(connection) = self.links.get_mut(id) {
            connection.ring.connection.store(0, Release);
        }
        self.links.schedule.notify(id);
        self.links.schedule.ready(id);
        Ok(())
    }

    /// Maps the ring, binds the port and prepares the connection of a domain that has none, for [`Links::join`].
    pub(super) fn connect(
        &mut self,
        platform: &mut P,
        id: DomainId,
        domid: DomId,
        port: Port,
    ) -> Result<(), Refused> {
        let ring = platform.map(domid)?;
        // Where Xen itself has allocated the port, it is in the ring page (io/xs_wire.h).
        let port = match ring.evtchn_port.load(Relaxed) {
            0 => port,
            own => Port(own),
        };
        let local = platform.bind_interdomain(domid, port)?;
        let features = self.core.store.domains.get(id).features;
        ring.server_features.store(features.bits(), Release);
        ring.error.store(0, Release);
        if self.links.prepare(id, Connection::new(ring, local)).is_err() {
            platform.close(local);
            return Err(Refused);
        }
        self.core.note_of_domain(Kind::Introduced, domid, local.0);
        Ok(())
    }

    /// Binds another port for an existing connection. If that fails, it has none.
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

    /// Handles VIRQ_DOM_EXC: asks which domains have changed, or, if the hypervisor reports none, for the state of each
    /// known domain. A report is only a hint; the state of the domain now decides. True if there is more to do, since
    /// something is left under way. Whoever has waited for other news has its turn first.
    #[inline(always)] // Mostly there is no news.
    pub(super) fn observe_domains(&mut self, platform: &mut P) -> bool {
        self.core.news != News::None && !self.links.schedule.owes() && self.hear_news(platform)
    }

    #[inline(never)]
    fn hear_news(&mut self, platform: &mut P) -> bool {
        if self.is_under_way() {
            return true;
        }
        let begun = self.core.store.present_attempt().latest();
        let mut looked = None;
        for _ in 0..ASKED {
            let now = self.core.store.present_attempt().latest();
            if self.is_under_way() || now - begun >= ATTEMPTS {
                break;
            }
            // Nobody has more waiting than before if nothing has been changed.
            if looked.replace(now) != Some(now) {
                match self.gives_time_to_read() {
                    Some(false) => {}
                    Some(true) => return false,
                    None => break,
                }
            }
            match self.next_news(platform) {
                Some((domid, state)) => self.observe(platform, domid, state),
                None if self.core.news == News::None => {
                    self.announce_shutdowns();
                    break;
                }
                None => {}
            }
        }
        if self.is_under_way() {
            self.links.schedule.owe();
        }
        true
    }

    /// Whether news waits, because somebody who reads has so much waiting that it might not be told of it: until it has
    /// read, but not for long. None as long as more are to be looked at.
    fn gives_time_to_read(&mut self) -> Option<bool> {
        let Server { core, links, .. } = self;
        let now = core.clock.now;
        let over = core.news_due.is_some_and(|due| due <= now);
        if !links.is_any_short(&core.store, over, &mut core.news_look)? {
            core.news_due = None;
            return Some(false);
        }
        let due = core.news_due.unwrap_or(now.after_nanoseconds(PATIENCE));
        core.news_due = Some(due);
        core.throttle.look_at(due);
        Some(true)
    }

    /// Which domain there is news of, or may be. With none, all are gone through. None does not mean that there is no more.
    fn next_news(&mut self, platform: &mut P) -> Option<(DomId, Option<DomainState>)> {
        let (mut slot, again) = match self.core.news {
            News::Each { slot, again } => (slot, again),
            heard => {
                let news = platform.next_changed();
                if news.is_some() || heard == News::Heard {
                    self.core.news = if news.is_some() { News::Heard } else { News::None };
                    return news;
                }
                (0, false)
            }
        };
        let domains = &self.core.store.domains;
        while domains.slots().contains(&slot) {
            slot += 1;
            if let Some(id) = domains.at(slot - 1) {
                let domid = domains.get(id).domid;
                self.core.news = News::Each { slot, again };
                // Of whom nothing is said, nothing is known: it goes on as before.
                return platform.state(domid).ok().map(|state| (domid, state));
            }
        }
        self.core.news = if again { News::Some } else { News::None };
        None
    }

    /// Sends the general event for shutdowns, once for all of them. The event for a death covers earlier shutdowns. Nothing is
    /// under way.
    #[inline(never)] // Only when all news has been heard.
    fn announce_shutdowns(&mut self) {
        let told = self.core.store.announce_shutdowns();
        debug_assert!(told.is_ok(), "there is room for the record of what is to be done");
        self.send_collected();
    }

    /// Handles the state of one domain.
    fn observe(&mut self, platform: &mut P, domid: DomId, state: Option<DomainState>) {
        let Some(id) = self.core.store.domains.find(domid) else { return };
        if self.core.is_privileged(id) || self.core.own == Some(domid) {
            return;
        }
        let introduced = self.links.has(id);
        let Domain { unique_id, shutdown, .. } = *self.core.store.domains.get(id);
        let lives = |state: &DomainState| state.may_be_of(unique_id) && !(state.dead && introduced);
        let Some(state) = state.filter(lives) else {
            let buried = self.bury(id, None);
            debug_assert!(buried.is_ok(), "there is room for the record of what is to be done");
            self.work(platform);
            return;
        };
        if state.unique_id != 0 {
            self.core.store.domains.update(id).unique_id = state.unique_id;
        }
        if introduced && state.shutdown && !shutdown {
            let told = self.core.store.note_shutdown(id);
            debug_assert!(told.is_ok(), "there is room for the record of what is to be done");
            self.send_collected();
        }
    }
}

/// What the hypervisor tells a domain by from others of its number; 0 if it does not.
fn unique_id(hypervisor: &mut impl DomainInfo, domid: DomId) -> u64 {
    hypervisor.state(domid).ok().flatten().map_or(0, |state| state.unique_id)
}
