//! A hypervisor in memory: domains, their ring pages, event channels, and a clock that only tests move.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Instant, Refused,
    RingMapper, Successor,
};
use xenstore::update::Bounds;

struct FakeDomain {
    page: Arc<RingPage>,
    state: DomainState,
    /// It has granted no page, or none to us.
    unmappable: bool,
}

#[derive(Default)]
pub struct FakeXen {
    domains: BTreeMap<u16, FakeDomain>,
    /// Local ports in use, with the domain at the other end.
    ports: BTreeMap<u32, DomId>,
    pending: VecDeque<Event>,
    /// Ports whose events wake nobody.
    masked: BTreeSet<u32>,
    changed: VecDeque<DomId>,
    /// Remote ports that cannot be bound.
    pub unbindable: BTreeSet<u32>,
    /// The hypervisor keeps no list of changed domains.
    pub legacy: bool,
    /// Domains of which the hypervisor says nothing, though they live.
    pub untold: BTreeSet<u16>,
    pub now: Instant,
    /// Nanoseconds that pass whenever the clock is read.
    pub ticking: u64,
    /// What says how many those are instead.
    pub script: Option<Box<dyn FnMut() -> u64>>,
    /// By how much the counter of cycles is behind the clock.
    pub behind: u64,
    /// Of what passes at once, the server works so many nanoseconds at most. In the rest others run, and Xen says so.
    pub works_at_most: Option<u64>,
    /// When the server last got the processor.
    pub resumed: Instant,
    /// When the server let others have the processor.
    pub gave_way: Vec<Instant>,
    /// Who notifies the server then.
    pub alarms: Vec<(Instant, DomId)>,
    pub notified: BTreeMap<u16, usize>,
    /// When each domain was last notified.
    pub notified_at: BTreeMap<u16, Instant>,
    /// All that were notified, in order.
    pub notified_in_order: Vec<u16>,
    /// Who notifies the server, once, as soon as a domain has been notified.
    pub responds: Option<(u16, DomId)>,
    /// Who dies, once, as soon as a domain has been notified.
    pub dies: Option<(u16, DomId)>,
    /// Calls of `state` and `next_changed`.
    pub domctls: usize,
    /// The most of them between two looks for events, and how many there were at the latest.
    pub most_domctls: usize,
    looked: usize,
    notifications: u64,
    /// What others do while a notification is sent.
    pub meanwhile: Option<Box<dyn FnMut()>>,
    /// What happens elsewhere while the server looks for events.
    pub on_look: Option<Box<dyn FnMut()>>,
    last_unique_id: u64,
    /// What there is for another program; nothing can take this one's place if that is nothing.
    pub bounds: Option<Bounds>,
    /// What the server has written to memory that it lends, by where that begins.
    kept: BTreeMap<usize, Vec<u8>>,
}

impl FakeXen {
    pub fn new() -> FakeXen {
        FakeXen { now: Instant(1_000_000_000), ..FakeXen::default() }
    }

    /// A new domain of this number, in place of any earlier one.
    pub fn create(&mut self, domid: DomId) -> Arc<RingPage> {
        self.last_unique_id += 1;
        let page = Arc::new(RingPage::new());
        let state = DomainState { shutdown: false, dead: false, unique_id: self.last_unique_id };
        self.domains.insert(domid.0, FakeDomain { page: page.clone(), state, unmappable: false });
        page
    }

    /// The ring pages by domains, and the domains by local ports.
    pub fn connections(&self) -> (BTreeMap<u16, Arc<RingPage>>, BTreeMap<u32, DomId>) {
        let pages = self.domains.iter().map(|(domid, domain)| (*domid, domain.page.clone()));
        (pages.collect(), self.ports.clone())
    }

    pub fn make_unmappable(&mut self, domid: DomId) {
        self.domain(domid).unmappable = true;
    }

    fn domain(&mut self, domid: DomId) -> &mut FakeDomain {
        self.domains.get_mut(&domid.0).unwrap_or_else(|| panic!("no domain {domid}"))
    }

    /// What the hypervisor tells this domain from others of its number by; 0 if it does not.
    pub fn set_unique_id(&mut self, domid: DomId, unique_id: u64) {
        self.domain(domid).state.unique_id = unique_id;
    }

    /// The server is told that something about the domain has changed.
    pub fn tell(&mut self, domid: DomId) {
        if !self.legacy {
            self.changed.push_back(domid);
        }
        self.pending.push_back(Event::DomainStates);
    }

    pub fn shut_down(&mut self, domid: DomId) {
        self.domain(domid).state.shutdown = true;
        self.tell(domid);
    }

    /// It runs again, as after a resumed suspend, and the hypervisor does not report it.
    pub fn revive(&mut self, domid: DomId) {
        self.domain(domid).state.shutdown = false;
    }

    /// It dies, and the hypervisor does not report it.
    pub fn kill_silently(&mut self, domid: DomId) {
        self.domain(domid).state.dead = true;
    }

    pub fn kill(&mut self, domid: DomId) {
        self.domain(domid).state.dead = true;
        self.tell(domid);
    }

    /// The last remains of a domain vanish.
    pub fn vanish(&mut self, domid: DomId) {
        self.domains.remove(&domid.0);
        self.tell(domid);
    }

    /// VIRQ_DOM_EXC with an empty list of changes.
    pub fn virq(&mut self) {
        self.pending.push_back(Event::DomainStates);
    }

    /// The guest notifies the server.
    pub fn kick(&mut self, domid: DomId) {
        let ports = self.ports.iter().filter(|(_, peer)| **peer == domid);
        let events: Vec<Event> = ports.map(|(port, _)| Event::Ring(Port(*port))).collect();
        self.pending.extend(events);
    }

    /// Time passes.
    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now.after_seconds(seconds);
    }

    pub fn open_ports(&self) -> usize {
        self.ports.len()
    }

    /// Whether the domain's notifications wake the server.
    pub fn is_heard(&self, domid: DomId) -> bool {
        self.ports.iter().any(|(port, of)| *of == domid && !self.masked.contains(port))
    }

    /// Whether the server still has the domain's page.
    pub fn is_mapped(&self, domid: DomId, client_holds: usize) -> bool {
        self.domains.get(&domid.0).is_some_and(|domain| Arc::strong_count(&domain.page) > 1 + client_holds)
    }
}

impl EventChannels for FakeXen {
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused> {
        if self.unbindable.contains(&remote.0) {
            return Err(Refused);
        }
        let free = (1..).find(|port| !self.ports.contains_key(port)).ok_or(Refused)?;
        self.ports.insert(free, domid);
        self.pending.push_back(Event::Ring(Port(free)));
        Ok(Port(free))
    }

    fn take_pending(&mut self) -> Option<Event> {
        self.most_domctls = self.most_domctls.max(self.domctls - self.looked);
        self.looked = self.domctls;
        self.on_look.iter_mut().for_each(|happens| happens());
        while let Some(due) = self.alarms.iter().position(|(then, _)| *then <= self.now) {
            let (_, domid) = self.alarms.remove(due);
            self.kick(domid);
        }
        let woken = self
            .pending
            .iter()
            .position(|event| !matches!(event, Event::Ring(port) if self.masked.contains(&port.0)));
        woken.and_then(|n| self.pending.remove(n))
    }

    fn notify(&mut self, local: Port) {
        let peer = *self.ports.get(&local.0).unwrap_or_else(|| panic!("notified a port that is not bound"));
        self.notifications += 1;
        self.meanwhile.iter_mut().for_each(|happens| happens());
        *self.notified.entry(peer.0).or_default() += 1;
        self.notified_at.insert(peer.0, self.now);
        self.notified_in_order.push(peer.0);
        if let Some((_, who)) = self.responds.take_if(|(to, _)| *to == peer.0) {
            self.kick(who);
        }
        if let Some((_, who)) = self.dies.take_if(|(to, _)| *to == peer.0) {
            self.kill(who);
        }
    }

    fn mask(&mut self, local: Port) {
        self.masked.insert(local.0);
    }

    fn unmask(&mut self, local: Port) {
        if self.masked.remove(&local.0) {
            self.pending.retain(|event| *event != Event::Ring(local));
        }
    }

    fn give_way(&mut self) {
        self.gave_way.push(self.now);
    }

    fn close(&mut self, local: Port) {
        assert!(self.ports.remove(&local.0).is_some(), "closed a port that is not bound");
        self.unmask(local);
    }
}

impl RingMapper for FakeXen {
    type Ring = Arc<RingPage>;

    fn map(&mut self, domid: DomId) -> Result<Arc<RingPage>, Refused> {
        let domain = self.domains.get(&domid.0).filter(|domain| !domain.unmappable).ok_or(Refused)?;
        Ok(domain.page.clone())
    }
}

impl DomainInfo for FakeXen {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.domctls += 1;
        let domid = self.changed.pop_front()?;
        // As it is now, whatever has been told of.
        Some((domid, self.domains.get(&domid.0).map(|domain| domain.state)))
    }

    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        self.domctls += 1;
        if self.untold.contains(&domid.0) {
            return Err(Refused);
        }
        Ok(self.domains.get(&domid.0).map(|domain| domain.state))
    }
}

impl Clock for FakeXen {
    fn cycles(&mut self) -> Cycles {
        let passed = self.script.as_mut().map_or(self.ticking, |script| script());
        self.now.0 += passed;
        if let Some(most) = self.works_at_most.filter(|most| passed > *most) {
            self.resumed = Instant(self.now.0 - most);
        }
        Cycles(self.now.0 - self.behind)
    }

    fn instant(&mut self, at: Cycles) -> Instant {
        Instant(at.0 + self.behind)
    }

    fn started(&self) -> Cycles {
        Cycles(1_000_000_000)
    }

    fn running_for(&self) -> u64 {
        self.now.0 - self.resumed.0
    }
}

impl Successor for FakeXen {
    fn bounds(&self) -> Option<Bounds> {
        self.bounds.clone()
    }

    fn keep(&mut self, address: usize, part: &[u8]) {
        let mut before = self.kept.range_mut(..=address);
        match before.next_back() {
            // The next part of an image.
            Some((start, kept)) if *start + kept.len() == address => kept.extend(part),
            _ => drop(self.kept.insert(address, part.to_vec())),
        }
    }

    fn kept(&self, place: Range<usize>) -> &[u8] {
        self.kept.get(&place.start).map_or(&[], |kept| kept.get(..place.len()).unwrap_or(kept))
    }
}

impl Counters for FakeXen {
    fn calls(&self) -> Calls {
        Calls { notify: self.notifications, other: self.domctls as u64, ..Calls::default() }
    }

    fn build(&self) -> &[u8] {
        &[0x00, 0xab, 0x7f]
    }
}
