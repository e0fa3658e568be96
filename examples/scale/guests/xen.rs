//! A hypervisor in memory: domains with real ring pages, event channels, and a clock that stands still. The cost of a
//! call does not depend on the number of domains.

use std::collections::VecDeque;
use std::rc::Rc;

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
    Successor,
};

#[derive(Default)]
pub struct Xen {
    /// By domid.
    domains: Vec<Option<Domain>>,
    /// By local port: the page that the client at the other end uses.
    lines: Vec<Option<Rc<RingPage>>>,
    free_ports: Vec<Port>,
    pending: VecDeque<Event>,
    changed: VecDeque<(DomId, Option<DomainState>)>,
    notified: Vec<Port>,
    last_unique_id: u64,
}

struct Domain {
    page: Rc<RingPage>,
    unique_id: u64,
    /// The server's end of its event channel.
    port: Option<Port>,
}

impl Xen {
    /// A new domain with a page of its own.
    pub fn create(&mut self, domid: u16) {
        let at = usize::from(domid);
        if self.domains.len() <= at {
            self.domains.resize_with(at + 1, || None);
        }
        self.last_unique_id += 1;
        let page = Rc::new(RingPage::new());
        self.domains[at] = Some(Domain { page, unique_id: self.last_unique_id, port: None });
    }

    /// The domain ends, and that is reported to the server.
    pub fn destroy(&mut self, domid: u16) {
        self.domains[usize::from(domid)] = None;
        self.changed.push_back((DomId(domid), None));
        self.pending.push_back(Event::DomainStates);
    }

    /// Where the server hears of an introduced domain.
    pub fn port_of(&self, domid: u16) -> Option<Port> {
        self.domains.get(usize::from(domid))?.as_ref()?.port
    }

    /// The page that is used over a port.
    pub fn page(&self, port: Port) -> Option<&Rc<RingPage>> {
        self.lines.get(port.0 as usize)?.as_ref()
    }

    /// A port for a client of this page.
    pub fn open_port(&mut self, page: Rc<RingPage>) -> Port {
        if let Some(port) = self.free_ports.pop() {
            self.lines[port.0 as usize] = Some(page);
            return port;
        }
        self.lines.push(Some(page));
        Port(self.lines.len() as u32 - 1)
    }

    /// A client notifies the server.
    pub fn kick(&mut self, port: Port) {
        self.pending.push_back(Event::Ring(port));
    }

    /// A port that the server has notified, each time once.
    pub fn take_notified(&mut self) -> Option<Port> {
        self.notified.pop()
    }
}

impl EventChannels for Xen {
    fn bind_interdomain(&mut self, domid: DomId, _: Port) -> Result<Port, Refused> {
        let page = self.map(domid)?;
        let port = self.open_port(page);
        if let Some(Some(domain)) = self.domains.get_mut(usize::from(domid.0)) {
            domain.port = Some(port);
        }
        self.kick(port);
        Ok(port)
    }

    fn take_pending(&mut self) -> Option<Event> {
        self.pending.pop_front()
    }

    fn notify(&mut self, local: Port) {
        self.notified.push(local);
    }

    fn close(&mut self, local: Port) {
        self.lines[local.0 as usize] = None;
        self.free_ports.push(local);
    }
}

impl RingMapper for Xen {
    type Ring = Rc<RingPage>;

    fn map(&mut self, domid: DomId) -> Result<Rc<RingPage>, Refused> {
        let domain = self.domains.get(usize::from(domid.0)).and_then(Option::as_ref);
        domain.map(|domain| domain.page.clone()).ok_or(Refused)
    }
}

impl DomainInfo for Xen {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.changed.pop_front()
    }

    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        let domain = self.domains.get(usize::from(domid.0)).and_then(Option::as_ref);
        let unique_id = domain.map(|domain| domain.unique_id);
        Ok(unique_id.map(|unique_id| DomainState { shutdown: false, dead: false, unique_id }))
    }
}

impl Clock for Xen {
    fn cycles(&mut self) -> Cycles {
        Cycles(1)
    }
    fn started(&self) -> Cycles {
        Cycles(1)
    }
}

impl Successor for Xen {}

impl Counters for Xen {
    fn calls(&self) -> Calls {
        Calls::default()
    }
}
