//! What the server asks of Xen, put together from its parts.

use alloc::boxed::Box;

use xen_sys::{VIRQ_DOM_EXC, VIRQ_TIMER};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::pending::PendingPorts;
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Instant, Refused,
    RingMapper,
};

use super::domains::Domains;
use super::grants::Ring;
use crate::image::hypercall::Errno;
use crate::image::idle::{self, Alarm};
use crate::image::{clock, counters, cpu, events, fatal};

/// Our own xenstore page, for the client in this very domain.
#[derive(Clone, Copy)]
pub struct OwnRing {
    pub domid: DomId,
    /// Mapped for ever, if there is one.
    pub page: Option<*const RingPage>,
}

/// The domain we run in, as the server sees it.
pub struct Guest {
    ports: Box<dyn PendingPorts>,
    timer: Port,
    domain_exceptions: Option<Port>,
    alarm: Alarm,
    domains: Domains,
    own: OwnRing,
    started: Cycles,
}

impl Guest {
    /// Binds the virtual interrupts and finds out how to ask about domains. `console` is a port whose
    /// events are not worth waking up for; `started` is when the program was entered.
    pub fn new(
        mut ports: Box<dyn PendingPorts>,
        own: OwnRing,
        version: (u32, u32),
        console: Option<Port>,
        started: Cycles,
    ) -> Guest {
        if let Some(console) = console {
            ports.mask(console);
        }
        let timer = fatal::unless("the timer interrupt cannot be bound", events::bind_virq(VIRQ_TIMER));
        let bound = events::bind_virq(VIRQ_DOM_EXC);
        let domains =
            fatal::unless("no interface to ask about domains works", Domains::probe(own.domid, version));
        let domain_exceptions = match bound {
            Err(error) if domains == Domains::Unprivileged => {
                log::warn!("not told of dead domains: {error}");
                None
            }
            bound => Some(fatal::unless("the interrupt for dead domains cannot be bound", bound)),
        };
        match domains {
            Domains::Stable => log::info!("domain information: get_domain_state"),
            Domains::Legacy(version) => {
                log::info!("domain information: getdomaininfo, interface {version:#x}")
            }
            Domains::Unprivileged => log::warn!("not a xenstore domain: dead domains go unnoticed"),
        }
        Guest { ports, timer, domain_exceptions, alarm: Alarm::default(), domains, own, started }
    }

    pub fn own_domid(&self) -> DomId {
        self.own.domid
    }

    /// Returns when there may be something to do: an event, or `deadline`.
    pub fn idle(&mut self, deadline: Option<Instant>) {
        if self.ports.any() {
            return;
        }
        if let Some(deadline) = deadline {
            self.alarm.set(deadline);
        }
        idle::sleep();
    }
}

/// Tells the administrator; the guest sees a plain refusal.
fn refused(what: &str, port: Port) -> impl FnOnce(Errno) -> Refused {
    move |error| {
        log::warn!("port {}: {what}: {error}", port.0);
        Refused
    }
}

impl EventChannels for Guest {
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused> {
        events::bind_interdomain(domid, remote).map_err(refused("cannot be bound", remote))
    }

    fn take_pending(&mut self) -> Option<Event> {
        loop {
            let port = self.ports.take()?;
            if port == self.timer {
                self.alarm.fired();
            } else if Some(port) == self.domain_exceptions {
                return Some(Event::DomainStates);
            } else {
                return Some(Event::Ring(port));
            }
        }
    }

    fn notify(&mut self, local: Port) {
        counters::NOTIFICATIONS.add();
        if let Err(error) = events::send(local) {
            log::warn!("port {}: cannot be notified: {error}", local.0);
        }
    }

    fn close(&mut self, local: Port) {
        if let Err(error) = events::close(local) {
            log::warn!("port {}: cannot be closed: {error}", local.0);
        }
    }
}

impl RingMapper for Guest {
    type Ring = Ring;

    fn map(&mut self, domid: DomId) -> Result<Ring, Refused> {
        if domid == self.own.domid {
            let page = self.own.page.ok_or(Refused)?;
            // SAFETY: `OwnRing::page` is mapped for ever.
            return Ok(unsafe { Ring::own(page) });
        }
        Ring::map(domid)
    }
}

impl DomainInfo for Guest {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.domains.next_changed()
    }

    fn state(&mut self, domid: DomId) -> Option<DomainState> {
        self.domains.state(domid)
    }
}

impl Clock for Guest {
    fn cycles(&mut self) -> Cycles {
        Cycles(cpu::tsc())
    }

    fn instant(&mut self, at: Cycles) -> Instant {
        Instant(clock::system_time_at(at.0))
    }

    fn khz(&self) -> u64 {
        clock::khz()
    }

    fn started(&self) -> Cycles {
        self.started
    }
}

impl Counters for Guest {
    fn calls(&self) -> Calls {
        counters::calls()
    }
}
