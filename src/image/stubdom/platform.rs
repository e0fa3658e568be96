//! The server's `Platform`: what it asks of Xen.

use alloc::boxed::Box;
use core::ops::Range;

use xen_sys::{VIRQ_DOM_EXC, VIRQ_TIMER};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::evtchn::PendingPorts;
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Instant, Refused,
    RingMapper, Successor,
};
use xenstore::update::Bounds;

use super::domains::Domains;
use super::grants::Ring;
use super::hand_over;
use super::ports::{self, Ports};
use crate::image::hypercall::Errno;
use crate::image::idle::{self, Alarm};
use crate::image::logger::say;
use crate::image::{clock, counters, cpu, events, fatal, paging, watch, xen};

/// Domains whose pages are in our own memory: ourselves, or the clients in the image.
pub type LocalPages = heapless::Vec<(DomId, &'static RingPage), 2>;

/// Passes over what is pending after which it is forgotten, whatever comes meanwhile.
const PASSES: usize = 16;

/// The domain we run in, as the server sees it.
pub struct Guest {
    ports: Box<dyn PendingPorts>,
    /// Pages of FIFO event channels; 0 if they are 2-level.
    event_pages: u32,
    timer: Port,
    domain_exceptions: Option<Port>,
    alarm: Alarm,
    domains: Domains,
    own_domid: DomId,
    local: LocalPages,
    started: Cycles,
}

impl Guest {
    /// As an ordinary domain. The domains of `local` pages are in truth this one, `own_domid`: their ports are its
    /// own. `started` is when the program was entered.
    pub fn new(ports: Ports, own_domid: DomId, local: LocalPages, started: Cycles) -> Guest {
        let timer = fatal::unless("the timer interrupt cannot be bound", events::bind_virq(VIRQ_TIMER));
        if ports.pages > 0 {
            // So that it comes through whatever else is pending, see `image::trial`.
            fatal::unless("the timer has no queue", events::set_priority(timer, 0));
        }
        Guest::in_place(ports, own_domid, local, started, (timer, None))
    }

    /// As the domain that the image before was, with its interrupts.
    pub fn in_place(
        ports: Ports,
        own_domid: DomId,
        local: LocalPages,
        started: Cycles,
        interrupts: (Port, Option<Port>),
    ) -> Guest {
        let ((timer, domain_exceptions), Ports { pending: ports, pages: event_pages }) = (interrupts, ports);
        let (alarm, domains) = (Alarm::default(), Domains::Unprivileged);
        Guest { ports, event_pages, timer, domain_exceptions, alarm, domains, own_domid, local, started }
    }

    /// What an image that takes over has to know: the pages of FIFO event channels, and which ports are bound to the timer
    /// and to the interrupt for dead domains; 0 if there is none.
    pub fn bound(&self) -> (u32, u32, u32) {
        (self.event_pages, self.timer.0, self.domain_exceptions.map_or(0, |port| port.0))
    }

    /// Gives Xen pages of event channels until it has so many. Fewer are no fault, but for domains beyond.
    pub fn add_event_pages(&mut self, pages: u32) {
        while self.event_pages < pages {
            if let Err(error) = ports::add_page(self.event_pages) {
                say!(Warn, "event channels: not every domain that there is memory for can have one: {error}");
                break;
            }
            self.event_pages += 1;
        }
    }

    /// Forgets what is pending: of a port that it has told of and nobody has taken, Xen tells nothing more. Everything must
    /// be looked at afterwards.
    pub fn forget_pending(&mut self) {
        // Peers that keep notifying find each pass bounded.
        for _ in 0..PASSES {
            while self.ports.take().is_some() {}
            if !self.ports.any() {
                break;
            }
        }
        self.alarm.fired();
    }

    /// Finds out how to ask for the state of other domains, on a Xen of this version.
    pub fn learn_of_domains(&mut self, version: (u32, u32)) {
        let bound = match self.domain_exceptions {
            Some(port) => Ok(port),
            None => events::bind_virq(VIRQ_DOM_EXC),
        };
        self.domains =
            fatal::unless("no interface to ask about domains works", Domains::probe(self.own_domid, version));
        self.domain_exceptions = match bound {
            Err(error) if self.domains == Domains::Unprivileged => {
                say!(Warn, "not told of dead domains: {error}");
                None
            }
            bound => Some(fatal::unless("the interrupt for dead domains cannot be bound", bound)),
        };
    }

    pub fn own_domid(&self) -> DomId {
        self.own_domid
    }

    pub fn local_page(&self, domid: DomId) -> Option<&'static RingPage> {
        self.local.iter().find(|(of, _)| *of == domid).map(|(_, page)| *page)
    }

    /// After a fault, which may have come amid anything: the timer is set anew.
    pub fn recover(&mut self) {
        self.alarm.fired();
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

/// Logs it for the administrator. The guest gets a plain error.
fn refused(what: &str, port: Port) -> impl FnOnce(Errno) -> Refused {
    move |error| {
        say!(Warn, "port {}: {what}: {error}", port.0);
        Refused
    }
}

impl EventChannels for Guest {
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused> {
        let at = if self.local_page(domid).is_some() { self.own_domid } else { domid };
        events::bind_interdomain(at, remote).map_err(refused("cannot be bound", remote))
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
            say!(Warn, "port {}: cannot be notified: {error}", local.0);
        }
    }

    fn mask(&mut self, local: Port) {
        self.ports.mask(local);
    }

    fn unmask(&mut self, local: Port) {
        self.ports.unmask(local);
    }

    fn close(&mut self, local: Port) {
        // Its number will be another channel's.
        self.unmask(local);
        if let Err(error) = events::close(local) {
            say!(Warn, "port {}: cannot be closed: {error}", local.0);
        }
    }

    fn give_way(&mut self) {
        xen::give_way();
    }
}

impl RingMapper for Guest {
    type Ring = Ring;

    fn map(&mut self, domid: DomId) -> Result<Ring, Refused> {
        match self.local_page(domid) {
            Some(page) => Ok(Ring::own(page)),
            None if domid == self.own_domid => Err(Refused),
            None => Ring::map(domid),
        }
    }
}

impl DomainInfo for Guest {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.domains.next_changed()
    }

    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        self.domains.state(domid)
    }
}

impl Clock for Guest {
    fn cycles(&mut self) -> Cycles {
        let now = cpu::tsc();
        watch::progress(now);
        Cycles(now)
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

    fn running_for(&self) -> u64 {
        let Ok(since) = xen::runs_since() else { return u64::MAX };
        clock::system_time().saturating_sub(since).saturating_mul(clock::khz()) / 1_000_000
    }
}

impl Successor for Guest {
    fn bounds(&self) -> Option<Bounds> {
        Some(hand_over::bounds())
    }

    fn keep(&mut self, address: usize, part: &[u8]) {
        // SAFETY: the server lends memory that its store has reserved and never used, so nothing refers to it.
        unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), address as *mut u8, part.len()) };
    }

    fn kept(&self, place: Range<usize>) -> &[u8] {
        // SAFETY: as above; it is written to by `keep` alone, which has this exclusively.
        unsafe { core::slice::from_raw_parts(place.start as *const u8, place.end - place.start) }
    }
}

unsafe extern "C" {
    /// A note of the linker's: a head of 16 bytes, and the SHA-1 of the program (linker.ld).
    static build_note: [u8; 36];
}

impl Counters for Guest {
    fn calls(&self) -> Calls {
        counters::calls()
    }

    fn memory(&self) -> u64 {
        paging::seam()
    }

    fn build(&self) -> &[u8] {
        // SAFETY: the linker has put so many bytes there, which nothing writes to.
        let note = unsafe { &build_note };
        note.get(16..).unwrap_or_default()
    }
}
