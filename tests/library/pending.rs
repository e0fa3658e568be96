//! Event channels in both formats against a hypervisor that marks ports in the steps in which Xen does: no
//! event is lost, none is returned twice, and whoever sleeps is woken.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use proptest::collection::vec;
use proptest::prelude::*;
use xenstore::abi::Port;
use xenstore::abi::fifo::{ControlBlock, EventPage, LINK, LINKED, MASKED, PENDING, QUEUES, WORDS_PER_PAGE};
use xenstore::abi::shared_info::SharedInfo;
use xenstore::evtchn::{Fifo, PendingPorts, TwoLevel};

const PAGES: usize = 2;
/// Ports at the edges of pages and words of both formats, and some neighbours.
const PORTS: [u32; 9] = [1, 2, 3, 63, 64, 1023, 1024, 1025, 2047];
/// `EVTCHN_FIFO_PRIORITY_DEFAULT`.
const QUEUE: usize = 7;

/// What a guest shares with the hypervisor, both formats of it.
struct Shared {
    info: SharedInfo,
    control: ControlBlock,
    pages: [EventPage; PAGES],
}

impl Shared {
    fn new() -> Box<Shared> {
        Box::new(Shared {
            info: SharedInfo::new(),
            control: ControlBlock::new(),
            pages: [const { EventPage::new() }; PAGES],
        })
    }

    fn upcall(&self) -> &AtomicU8 {
        &self.info.vcpu_info[0].evtchn_upcall_pending
    }

    fn word(&self, port: u32) -> &AtomicU32 {
        &self.pages[port as usize / WORDS_PER_PAGE].0[port as usize % WORDS_PER_PAGE]
    }

    fn has_mark(&self, port: u32) -> bool {
        let word = self.info.evtchn_pending[port as usize / 64].load(SeqCst);
        self.word(port).load(SeqCst) & PENDING != 0 || word >> (port % 64) & 1 != 0
    }
}

/// The hypervisor's side. One event at a time is being delivered, and each step of that is one access to memory.
trait Hypervisor<'a>: Sized {
    type Guest: PendingPorts + 'a;
    fn new(shared: &'a Shared) -> Self;
    fn guest(shared: &'a Shared) -> Self::Guest;
    /// Begins an event for a port. No other may be in delivery.
    fn send(&mut self, port: u32);
    /// Takes the next step of the event in delivery. False if there is none.
    fn step(&mut self) -> bool;
    fn notify(&mut self, port: u32) {
        self.send(port);
        while self.step() {}
    }
    /// The port's mark goes. False if it cannot be given to somebody else yet.
    fn close(&mut self, port: u32) -> bool;
    /// As if it had told of events everywhere.
    fn tell_of_all(shared: &Shared);
}

struct FifoXen<'a> {
    shared: &'a Shared,
    tail: u32,
    port: u32,
    at: FifoStep,
}

#[derive(Clone, Copy, PartialEq)]
enum FifoStep {
    Rest,
    Mark,
    Mask,
    Queue,
    Link,
    Head,
    Ready,
    Upcall,
}

impl<'a> Hypervisor<'a> for FifoXen<'a> {
    type Guest = Fifo<'a>;

    fn new(shared: &'a Shared) -> Self {
        FifoXen { shared, tail: 0, port: 0, at: FifoStep::Rest }
    }

    fn guest(shared: &'a Shared) -> Fifo<'a> {
        Fifo::new(shared.upcall(), &shared.control, &shared.pages)
    }

    fn send(&mut self, port: u32) {
        (self.port, self.at) = (port, FifoStep::Mark);
    }

    fn step(&mut self) -> bool {
        let word = self.shared.word(self.port);
        self.at = match self.at {
            FifoStep::Rest => return false,
            FifoStep::Mark => {
                word.fetch_or(PENDING, SeqCst);
                FifoStep::Mask
            }
            FifoStep::Mask if word.load(SeqCst) & MASKED != 0 => FifoStep::Rest,
            FifoStep::Mask => FifoStep::Queue,
            FifoStep::Queue if word.fetch_or(LINKED, SeqCst) & LINKED != 0 => FifoStep::Rest,
            FifoStep::Queue if self.tail == 0 || self.tail == self.port => FifoStep::Head,
            FifoStep::Queue => FifoStep::Link,
            FifoStep::Link => {
                let tail = self.shared.word(self.tail);
                let seen = tail.load(SeqCst);
                let linked = seen & !LINK | self.port;
                if seen & LINKED == 0 {
                    FifoStep::Head
                } else if tail.compare_exchange(seen, linked, SeqCst, SeqCst).is_ok() {
                    self.tail = self.port;
                    FifoStep::Rest
                } else {
                    FifoStep::Link
                }
            }
            FifoStep::Head => {
                self.shared.control.head[QUEUE].store(self.port, SeqCst);
                self.tail = self.port;
                FifoStep::Ready
            }
            FifoStep::Ready if self.shared.control.ready.fetch_or(1 << QUEUE, SeqCst) >> QUEUE & 1 != 0 => {
                FifoStep::Rest
            }
            FifoStep::Ready => FifoStep::Upcall,
            FifoStep::Upcall => {
                self.shared.upcall().store(1, SeqCst);
                FifoStep::Rest
            }
        };
        true
    }

    fn close(&mut self, port: u32) -> bool {
        self.shared.word(port).fetch_and(!PENDING, SeqCst) & LINKED == 0
    }

    fn tell_of_all(shared: &Shared) {
        shared.control.ready.store((1 << QUEUES) - 1, SeqCst);
    }
}

struct TwoLevelXen<'a> {
    shared: &'a Shared,
    port: u32,
    at: TwoLevelStep,
}

#[derive(Clone, Copy, PartialEq)]
enum TwoLevelStep {
    Rest,
    Mark,
    Mask,
    Select,
    Upcall,
}

impl<'a> Hypervisor<'a> for TwoLevelXen<'a> {
    type Guest = TwoLevel<'a>;

    fn new(shared: &'a Shared) -> Self {
        TwoLevelXen { shared, port: 0, at: TwoLevelStep::Rest }
    }

    fn guest(shared: &'a Shared) -> TwoLevel<'a> {
        TwoLevel::new(&shared.info)
    }

    fn send(&mut self, port: u32) {
        (self.port, self.at) = (port, TwoLevelStep::Mark);
    }

    fn step(&mut self) -> bool {
        let (word, bit) = (self.port / 64, 1u64 << (self.port % 64));
        let info = &self.shared.info;
        let was_set = |marks: &AtomicU64, bit: u64| marks.fetch_or(bit, SeqCst) & bit != 0;
        self.at = match self.at {
            TwoLevelStep::Rest => return false,
            TwoLevelStep::Mark if was_set(&info.evtchn_pending[word as usize], bit) => TwoLevelStep::Rest,
            TwoLevelStep::Mark => TwoLevelStep::Mask,
            TwoLevelStep::Mask if info.evtchn_mask[word as usize].load(SeqCst) & bit != 0 => {
                TwoLevelStep::Rest
            }
            TwoLevelStep::Mask => TwoLevelStep::Select,
            TwoLevelStep::Select if was_set(&info.vcpu_info[0].evtchn_pending_sel, 1 << word) => {
                TwoLevelStep::Rest
            }
            TwoLevelStep::Select => TwoLevelStep::Upcall,
            TwoLevelStep::Upcall => {
                self.shared.upcall().store(1, SeqCst);
                TwoLevelStep::Rest
            }
        };
        true
    }

    fn close(&mut self, port: u32) -> bool {
        let word = &self.shared.info.evtchn_pending[port as usize / 64];
        word.fetch_and(!(1 << (port % 64)), SeqCst);
        true
    }

    fn tell_of_all(shared: &Shared) {
        shared.info.vcpu_info[0].evtchn_pending_sel.store(u64::MAX, SeqCst);
    }
}

/// What may happen next; numbers count [`PORTS`].
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A peer notifies, once the event before has arrived.
    Send(usize),
    Step,
    /// The guest takes a port, or goes to sleep when there is none.
    Take,
    /// Closed, and bound again if it can be.
    Close(usize),
    /// It wakes nobody from now on.
    Mask(usize),
    /// It does again, and the guest looks what its peer has done.
    Unmask(usize),
    /// Another takes the guest's place and looks everywhere, as an image does.
    Replace,
}

fn op() -> impl Strategy<Value = Op> {
    let port = 0..PORTS.len();
    prop_oneof![
        10 => port.clone().prop_map(Op::Send),
        30 => Just(Op::Step),
        10 => Just(Op::Take),
        3 => port.clone().prop_map(Op::Close),
        3 => port.clone().prop_map(Op::Mask),
        3 => port.prop_map(Op::Unmask),
        3 => Just(Op::Replace),
    ]
}

/// A port as a naive observer sees it.
#[derive(Clone, Copy, Default)]
struct Peer {
    /// Whether something was sent that the guest has not looked at.
    news: bool,
    masked: bool,
    /// Events that may still be returned to the guest: those sent, less those returned.
    events: u64,
}

impl Peer {
    fn send(&mut self) {
        self.news = true;
        self.events += 1;
    }
}

/// Has its peer wake the guest again, unless it is the first, and looks if it did not.
fn unmask(guest: &mut dyn PendingPorts, peers: &mut [Peer], n: usize) {
    if n > 0 {
        guest.unmask(Port(PORTS[n]));
        peers[n].news &= !std::mem::take(&mut peers[n].masked);
    }
}

/// Runs the operations with the first port masked. Returns what went wrong.
fn run<'a, X: Hypervisor<'a>>(
    shared: &'a Shared,
    mut guest: Box<dyn PendingPorts + 'a>,
    ops: &[Op],
) -> Result<(), String> {
    let mut xen = X::new(shared);
    let mut peers = [Peer::default(); PORTS.len()];
    xen.notify(PORTS[0]);
    guest.mask(Port(PORTS[0]));
    let mut asleep = false;
    let take =
        |guest: &mut dyn PendingPorts, peers: &mut [Peer], asleep: &mut bool| -> Result<bool, String> {
            if *asleep && shared.upcall().load(SeqCst) == 0 {
                return Ok(false);
            }
            *asleep = false;
            let Some(Port(port)) = guest.take() else {
                *asleep = !guest.any();
                return Ok(true);
            };
            let peer =
                PORTS.iter().zip(peers).skip(1).find(|(known, _)| **known == port).map(|(_, peer)| peer);
            let peer = peer.filter(|peer| peer.events > 0);
            let peer = peer.ok_or_else(|| format!("port {port} is told without reason"))?;
            *peer = Peer { news: false, events: peer.events - 1, ..*peer };
            Ok(true)
        };
    for op in ops {
        match *op {
            Op::Send(n) => {
                if !xen.step() {
                    // What was written before the event is visible to whoever gets it.
                    peers[n].send();
                    xen.send(PORTS[n]);
                }
            }
            Op::Step => _ = xen.step(),
            Op::Take => _ = take(&mut *guest, &mut peers, &mut asleep)?,
            Op::Close(n) => {
                while xen.step() {}
                unmask(&mut *guest, &mut peers, n);
                peers[n] = Peer::default();
                if xen.close(PORTS[n]) {
                    peers[n].send();
                    xen.send(PORTS[n]);
                }
            }
            Op::Mask(n) => {
                guest.mask(Port(PORTS[n]));
                peers[n].masked = true;
            }
            Op::Unmask(n) => unmask(&mut *guest, &mut peers, n),
            Op::Replace => {
                X::tell_of_all(shared);
                (guest, asleep) = (Box::new(X::guest(shared)), false);
            }
        }
    }
    while xen.step() {}
    (1..PORTS.len()).for_each(|n| unmask(&mut *guest, &mut peers, n));
    while take(&mut *guest, &mut peers, &mut asleep)? {}
    for (port, peer) in PORTS.into_iter().zip(peers).skip(1) {
        if peer.news {
            return Err(format!("asleep with an event for port {port}"));
        }
        if shared.has_mark(port) {
            return Err(format!("port {port} was told and keeps its mark"));
        }
    }
    Ok(())
}

/// A guest that clears the upcall after it has looked, not before.
struct Late<'a, P>(P, &'a AtomicU8);

impl<P: PendingPorts> PendingPorts for Late<'_, P> {
    fn take(&mut self) -> Option<Port> {
        let port = self.0.take();
        if port.is_none() {
            self.1.store(0, SeqCst);
        }
        port
    }

    fn any(&self) -> bool {
        false
    }

    fn mask(&mut self, port: Port) {
        self.0.mask(port);
    }

    fn unmask(&mut self, port: Port) {
        self.0.unmask(port);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fifo_tells_all_that_happens(ops in vec(op(), 0..200)) {
        let shared = Shared::new();
        prop_assert_eq!(run::<FifoXen>(&shared, Box::new(FifoXen::guest(&shared)), &ops), Ok(()));
    }

    #[test]
    fn two_levels_tell_all_that_happens(ops in vec(op(), 0..200)) {
        let shared = Shared::new();
        prop_assert_eq!(run::<TwoLevelXen>(&shared, Box::new(TwoLevelXen::guest(&shared)), &ops), Ok(()));
    }
}

#[test]
fn a_guest_that_looks_too_early_is_found_out() {
    let told = |n| [&[Op::Send(n)][..], &[Op::Step; 8], &[Op::Take]].concat();
    let ops = [told(1), told(2)].concat();
    let shared = Shared::new();
    let late = Late(FifoXen::guest(&shared), shared.upcall());
    assert!(run::<FifoXen>(&shared, Box::new(late), &ops).is_err());
    let shared = Shared::new();
    let late = Late(TwoLevelXen::guest(&shared), shared.upcall());
    assert!(run::<TwoLevelXen>(&shared, Box::new(late), &ops).is_err());
}

/// A guest and a hypervisor on two processors: whenever the guest sleeps, it is woken for what is new.
fn stress<'a, X: Hypervisor<'a>>(shared: &'a Shared) {
    const EVENTS: u64 = 1_000_000;
    let rings = [const { AtomicU64::new(0) }; PORTS.len()];
    let rings = &rings;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let mut xen = X::new(shared);
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..EVENTS {
                let n = random.usize(..PORTS.len());
                rings[n].fetch_add(1, SeqCst);
                xen.notify(PORTS[n]);
            }
        });
        let mut guest = X::guest(shared);
        let mut seen = 0;
        while seen < EVENTS {
            while let Some(port) = guest.take() {
                let n = PORTS.iter().position(|known| *known == port.0).expect("a port that was sent to");
                seen += rings[n].swap(0, SeqCst);
            }
            // The upcall's last chance comes after the sender's last step.
            while !guest.any() && seen < EVENTS {
                let finished = sender.is_finished();
                assert!(!finished || shared.upcall().load(SeqCst) != 0, "asleep after {seen} events");
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn fifo_wakes_across_processors() {
    stress::<FifoXen>(&Shared::new());
}

#[test]
fn two_levels_wake_across_processors() {
    stress::<TwoLevelXen>(&Shared::new());
}

/// Peers that notify again at once do not keep the guest from ending its pass. Their ports are returned in the next.
fn passes_end<'a, X: Hypervisor<'a>>(shared: &'a Shared) {
    let (mut xen, mut guest) = (X::new(shared), X::guest(shared));
    PORTS.into_iter().for_each(|port| xen.notify(port));
    for _ in 0..3 {
        let told: Vec<u32> = std::iter::from_fn(|| guest.take().map(|port| port.0))
            .inspect(|port| xen.notify(*port))
            .take(PAGES * WORDS_PER_PAGE + 1)
            .collect();
        assert!(told.len() <= PAGES * WORDS_PER_PAGE, "the pass goes on");
        assert!(PORTS.iter().all(|port| told.contains(port)));
        assert!(guest.any());
    }
}

#[test]
fn passes_end_whatever_peers_do() {
    passes_end::<FifoXen>(&Shared::new());
    passes_end::<TwoLevelXen>(&Shared::new());
}

/// Whoever takes the place of one that has stopped amid a pass, as an image does, is told of all that is left, and of all that
/// comes later.
fn another_goes_on<'a, X: Hypervisor<'a>>(shared: &'a Shared, taken: usize) {
    let mut xen = X::new(shared);
    PORTS.into_iter().for_each(|port| xen.notify(port));
    let mut guest = X::guest(shared);
    let before: Vec<Port> = std::iter::from_fn(|| guest.take()).take(taken).collect();
    X::tell_of_all(shared);
    let mut guest = X::guest(shared);
    let mut told = || std::iter::from_fn(|| guest.take()).collect();
    assert_eq!([before, told()].concat(), PORTS.map(Port), "{taken} were taken before");
    PORTS.into_iter().for_each(|port| xen.notify(port));
    assert_eq!(told(), PORTS.map(Port));
}

#[test]
fn another_goes_on_where_one_has_stopped() {
    for taken in 0..=PORTS.len() {
        another_goes_on::<FifoXen>(&Shared::new(), taken);
        another_goes_on::<TwoLevelXen>(&Shared::new(), taken);
    }
}

#[test]
fn ports_without_a_place_are_left_alone() {
    let shared = Shared::new();
    let mut guest = FifoXen::guest(&shared);
    guest.mask(Port(u32::MAX));
    shared.control.head[QUEUE].store(5000, SeqCst);
    shared.control.ready.store(1 << QUEUE | 1 << 31, SeqCst);
    assert_eq!(guest.take(), None);
    assert!(!guest.any());
    TwoLevelXen::guest(&shared).mask(Port(u32::MAX));
}
