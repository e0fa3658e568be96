//! The server's `Platform` in a process: ports are numbers, and there are no domains.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use rustix::time::{ClockId, clock_gettime};

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
    Successor,
};

pub struct Unix {
    ports: BTreeSet<u32>,
    pending: Vec<Event>,
    notified: Vec<Port>,
    pub calls: Calls,
    /// Dom0's own ring, which nobody uses here.
    dom0: Rc<RingPage>,
    /// When the program was entered, nanoseconds.
    started: Cycles,
    /// What the server has written to memory that it lends, by its address: that memory itself is not used.
    kept: BTreeMap<usize, Vec<u8>>,
}

impl Unix {
    pub fn new() -> Unix {
        let mut unix = Unix {
            started: Cycles(0),
            ports: BTreeSet::new(),
            pending: Vec::new(),
            notified: Vec::new(),
            calls: Calls::default(),
            dom0: Rc::new(RingPage::new()),
            kept: BTreeMap::new(),
        };
        unix.started = unix.cycles();
        unix
    }

    /// The lowest free port, now in use.
    pub fn open_port(&mut self) -> Port {
        let mut free = 1;
        for port in &self.ports {
            if *port != free {
                break;
            }
            free += 1;
        }
        self.ports.insert(free);
        Port(free)
    }

    pub fn close_port(&mut self, port: Port) {
        self.ports.remove(&port.0);
    }

    /// A client moved an index.
    pub fn kick(&mut self, port: Port) {
        self.pending.push(Event::Ring(port));
    }

    /// A port that the server has notified, each time once.
    pub fn take_notified(&mut self) -> Option<Port> {
        self.notified.pop()
    }
}

impl EventChannels for Unix {
    fn bind_interdomain(&mut self, domid: DomId, _: Port) -> Result<Port, Refused> {
        if domid == DomId(0) { Ok(self.open_port()) } else { Err(Refused) }
    }

    fn take_pending(&mut self) -> Option<Event> {
        self.pending.pop()
    }

    fn notify(&mut self, local: Port) {
        self.calls.notify += 1;
        self.notified.push(local);
    }

    fn close(&mut self, local: Port) {
        self.close_port(local);
    }
}

impl RingMapper for Unix {
    type Ring = Rc<RingPage>;

    fn map(&mut self, domid: DomId) -> Result<Rc<RingPage>, Refused> {
        if domid == DomId(0) { Ok(self.dom0.clone()) } else { Err(Refused) }
    }
}

impl DomainInfo for Unix {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        None
    }

    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        Ok((domid == DomId(0)).then_some(DomainState { shutdown: false, dead: false, unique_id: 1 }))
    }
}

impl Clock for Unix {
    fn cycles(&mut self) -> Cycles {
        let now = clock_gettime(ClockId::Monotonic);
        Cycles(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    fn started(&self) -> Cycles {
        self.started
    }
}

impl Successor for Unix {
    fn keep(&mut self, address: usize, part: &[u8]) {
        self.kept.insert(address, part.to_vec());
    }

    fn kept(&self, place: Range<usize>) -> &[u8] {
        self.kept.get(&place.start).map_or(&[], |kept| kept.get(..place.len()).unwrap_or(kept))
    }
}

impl Counters for Unix {
    fn calls(&self) -> Calls {
        self.calls
    }
}
