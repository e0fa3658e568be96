//! Our server, in this process, on the hypervisor of the library's own tests.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Instant;
use xenstore::server::Server;
use xenstore::slots::Full;
use xenstore::state::Sink;

use crate::side::OFFERED_PORTS;
use conformance::page::{OwnPage, Page};
use conformance::peer::{Gone, Peer};
use conformance::step::{Life, Quota};
use support::FakeXen;

/// Room for every session, quotas being what limits them.
const NODES: usize = 6000;
/// Ports that sessions try to bind in vain.
const UNBINDABLE: std::ops::Range<u32> = OFFERED_PORTS + 1..1000;
/// As long as the reference's.
const EVENT_TIMEOUT: u32 = 36_000;

/// A state in memory.
struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

pub struct Ours {
    server: Server<FakeXen>,
    settings: Settings,
    xen: FakeXen,
    pages: std::collections::BTreeMap<u16, Arc<RingPage>>,
    alive: BTreeSet<u16>,
    /// Changes that have not been reported to the server.
    untold: Vec<(u16, Life)>,
    /// When the server wants to be called again.
    wake_up: Option<Instant>,
    started: u64,
}

impl Ours {
    /// `lists_changes`: the hypervisor keeps a list of changed domains, as it does from Xen 4.21 on.
    pub fn start(quotas: &[Quota], lists_changes: bool) -> Result<Ours, String> {
        let mut settings = Settings::DEFAULT;
        settings.watch_event_timeout = EVENT_TIMEOUT;
        for Quota { name, value } in quotas {
            let quota = xenstore::quota::Quota::named(name.as_bytes());
            let quota = quota.ok_or_else(|| format!("unknown quota \"{name}\""))?;
            (quota.set)(&mut settings.quotas, *value);
        }
        let mut xen = FakeXen::new();
        xen.legacy = !lists_changes;
        xen.unbindable = UNBINDABLE.collect();
        let started = xen.now.0;
        let dom0 = xen.create(DomId(0));
        let mut server = Server::new(settings, &Capacities::for_nodes(NODES), 1);
        server.start(&mut xen, DomId(0), Port(1)).map_err(|_| "our server does not start")?;
        Ok(Ours {
            server,
            settings,
            xen,
            pages: [(0, dom0)].into(),
            alive: BTreeSet::new(),
            untold: Vec::new(),
            wake_up: None,
            started,
        })
    }

    fn apply(&mut self, domid: u16, life: Life) {
        let known = self.alive.contains(&domid);
        match life {
            Life::Built => {
                self.pages.insert(domid, self.xen.create(DomId(domid)));
                self.alive.insert(domid);
            }
            Life::ShutDown if known => self.xen.shut_down(DomId(domid)),
            Life::Resumed if known => self.xen.revive(DomId(domid)),
            Life::Dead if known => self.xen.kill(DomId(domid)),
            Life::Gone if known => {
                self.alive.remove(&domid);
                self.xen.vanish(DomId(domid));
            }
            _ => {}
        }
    }
}

impl Peer for Ours {
    fn page(&self, domid: u16) -> Option<Rc<dyn Page>> {
        self.pages.get(&domid).map(|page| Rc::new(OwnPage(Arc::clone(page))) as Rc<dyn Page>)
    }

    fn set_life(&mut self, domid: u16, life: Life) {
        match life {
            Life::Built | Life::Resumed => self.apply(domid, life),
            // The hypervisor of the tests reports at once what it knows, so it must not know it yet.
            _ => self.untold.push((domid, life)),
        }
    }

    fn kick(&mut self, domid: u16) {
        self.xen.kick(DomId(domid));
    }

    fn virq(&mut self) {
        for (domid, life) in std::mem::take(&mut self.untold) {
            self.apply(domid, life);
        }
        self.xen.virq();
    }

    fn wait(&mut self, milliseconds: u32) {
        self.xen.now.0 += u64::from(milliseconds) * 1_000_000;
    }

    fn settle(&mut self) -> Result<(), Gone> {
        let Ours { server, xen, .. } = self;
        let polled = catch_unwind(AssertUnwindSafe(|| server.poll(xen)));
        // The message has been printed where it happened.
        self.wake_up = polled.map_err(|_| Gone("panicked".to_string()))?;
        Ok(())
    }

    fn rest(&mut self) -> bool {
        let Some(wake_up) = self.wake_up else { return false };
        self.xen.now = self.xen.now.max(wake_up);
        true
    }

    fn notices(&self, domid: u16) -> u32 {
        self.xen.notified.get(&domid).map_or(0, |count| *count as u32)
    }

    fn clock(&self) -> u32 {
        ((self.xen.now.0 - self.started) / 1_000_000) as u32
    }

    fn state(&self) -> Result<Vec<u8>, Gone> {
        let mut state = Bytes(Vec::new());
        self.server.save(1, &mut state).map_err(|_| Gone("does not write its state".to_string()))?;
        Ok(state.0)
    }

    fn replace(&mut self, state: &[u8]) -> Result<(), Gone> {
        let mut server = Server::new(self.settings, &Capacities::for_nodes(NODES), 2);
        let (pages, ports) = self.xen.connections();
        // Ports have other numbers here.
        let mut adopt = |domid: DomId, _: Option<Port>| {
            let port = ports.iter().find(|(_, owner)| **owner == domid).map(|(port, _)| Port(*port));
            Some((pages.get(&domid.0)?.clone(), port))
        };
        server
            .restore(&mut self.xen, DomId(0), &mut &*state, &mut adopt)
            .map_err(|error| Gone(format!("refuses the state: {error}")))?;
        // What has changed shows to whoever looks, told or not.
        for (domid, life) in std::mem::take(&mut self.untold) {
            self.apply(domid, life);
        }
        server.resume(&mut self.xen);
        self.server = server;
        Ok(())
    }

    fn check(&self) -> Vec<String> {
        let mut findings = Vec::new();
        self.server.check(&mut |finding| findings.push(finding.to_string()));
        findings
    }
}
