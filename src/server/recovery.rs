//! Recovery from a stop at any point: a caught panic, or a fault.
//!
//! The step that was stopped is rolled back, or completed if it had been decided. Then the work that was intended goes
//! on. The request at hand has happened if its deciding step has. If not, it is answered with EIO. Invariant: it is
//! answered once, and each event is sent once.

use super::Server;
use super::core::News;
use super::scratch::Stage;
use crate::abi::DomId;
use crate::config::Limits;
use crate::platform::Platform;
use crate::slots::Attempt;
use crate::store::Damage;
use crate::store::check::Walk;
use crate::trace::type_index;

impl<P: Platform> Server<P> {
    /// Goes on after a stop. If it is stopped itself, it may be called again. After it, `poll` must be called.
    pub fn recover(&mut self, platform: &mut P) {
        // All are looked at and notified anew, so nobody is left out by what was half done.
        self.links.schedule.forget();
        if self.links.recover(&mut self.core.store) {
            // The message was queued, but its sender was stopped before it noted that.
            match self.exchange.stage {
                Stage::Consumed => self.exchange.stage = Stage::Answered,
                Stage::Answered => self.exchange.stage = Stage::Told,
                // Who has a place is known by itself.
                _ if self.core.store.collected.late.is_some() => {}
                Stage::None | Stage::Taken | Stage::Told => self.core.store.collected.sent += 1,
            }
        }
        if let Some(port) = self.links.give_up_joining() {
            platform.close(port);
        }
        self.core.store.recover();
        if self.exchange.stage != Stage::None {
            // A receiver may have been given its place meanwhile, for somebody else's request.
            let (from, msg_type) = (self.exchange.from, self.exchange.request.header.msg_type);
            let current = &mut self.core.store.current;
            (current.from, current.type_index) = (Some(from), type_index(msg_type));
        }
        self.core.deed = None;
        // A check begins anew: a part of it may be counted twice.
        self.aside.walk = Walk::default();
        self.give_up_writing();
        if self.exchange.stage != Stage::None {
            if !self.changes_nothing() {
                self.finish(platform);
            }
            self.complete_late(platform);
        }
        self.core.store.current.end();
        self.links.outbox.end_request();
        self.finish(platform);
        self.core.store.current.end();
        self.links.outbox.end_request();
        self.core.news = News::ALL;
        self.have_all_looked_at(true);
    }

    /// Has each connection looked at, and its peer notified if somebody may have been left out.
    pub(super) fn have_all_looked_at(&mut self, notify: bool) {
        let Server { core, links, .. } = self;
        let domains = &core.store.domains;
        for id in domains.known().map(|(id, _)| id).chain(domains.clients()) {
            if links.has(id) {
                links.schedule.ready(id);
                if notify {
                    links.schedule.notify(id);
                }
            }
        }
    }

    /// For tests: makes the nth operation on the store's slots from now on panic; with 0, none does. It has no effect
    /// without debug assertions.
    pub fn stop_in(&mut self, n: u32) {
        self.core.store.present_attempt().stop_in(n);
    }

    /// For tests: how much is done in one go. It has no effect without debug assertions.
    pub fn set_limits(&mut self, limits: Limits) {
        self.core.store.set_limits(limits);
    }

    /// For tests: has something of a domain be wrong.
    pub fn damage(&mut self, domid: DomId, what: Damage) {
        if let Some(id) = self.core.store.domains.find(domid) {
            self.core.store.damage(id, what);
        }
    }

    /// For tests: operations on the store's slots so far, looks at them included. Always 0 without debug assertions.
    pub fn operations(&self) -> u64 {
        self.core.store.present_attempt().operations()
    }

    /// For tests: whose operations are counted, also while the server works.
    pub fn attempts(&self) -> Attempt {
        self.core.store.present_attempt().clone()
    }

    /// For tests: how many operations are left until the stop.
    pub fn until_stop(&self) -> u32 {
        self.core.store.present_attempt().until_stop()
    }
}
