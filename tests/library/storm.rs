//! Guests that all ask, read, die and begin anew while the server works and an operator updates it, on servers that have little
//! room, do little in one go and grow, with faults or without. Whenever the server sleeps, its check finds nothing; each request
//! is answered once, in order but for what an update puts off; and the server comes to an end.
//!
//! `PROPTEST_CASES` sets the number of sessions.

mod peer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use fastrand::Rng;
use support::{Client, Host};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::quota::Quotas;
use xenstore::server::Way;
use xenstore::trace::{Kind, Stop};
use xenstore::update::Bounds;
use xenstore::wire::MessageType as M;

use super::image::BASE;
use super::stops::poll_with_stop;
use super::{LIMITS, small};
use peer::{Peer, one_of};

const GUESTS: u16 = 5;

/// Looks for events in one poll, far more than any takes.
const LOOKS: u32 = 3_000_000;

const LITTLE: Capacities = Capacities {
    domains: 8,
    nodes: 160,
    chunks: 6000,
    acls: 60,
    watches: 60,
    transactions: 20,
    tx_nodes: 120,
    messages: 96,
    trace: 4096,
    names: 16,
};

struct Storm {
    host: Host,
    peers: Rc<RefCell<BTreeMap<u16, Peer>>>,
    random: Rng,
    /// Faults come, or else live updates.
    faults: bool,
    /// Time passes rather than that anybody reads.
    lazy: bool,
    /// States in which somebody was still to find out that it never hears the rest of a change.
    given_up: u32,
}

/// Whether a message that waits in a state stands for a change that has been given up. Then STORE says that readers must
/// know of that.
fn has_given_up(state: &[u8]) -> bool {
    const STORE: u32 = 0x8000_0001;
    const QUEUE: u32 = 0x8000_000a;
    const ENTRY: usize = 40;
    const GIVEN_UP: u8 = 16;
    let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
    let next = |at: &usize| {
        let next = at + 8 + (word(at + 4) as usize).next_multiple_of(8);
        (next < state.len()).then_some(next)
    };
    let mut records = std::iter::successors(Some(16), next);
    let store = records.clone().find(|at| word(*at) == STORE).expect("numbers of the store");
    let has = records.any(|at| {
        let entries = |at| state[at + 24..].chunks(ENTRY).take(word(at + 16) as usize);
        word(at) == QUEUE && entries(at).any(|entry| entry[0] & GIVEN_UP != 0)
    });
    assert_eq!(
        word(store + 8) >> 16,
        if has { 6 } else { 1 },
        "the oldest version whose readers can do with it"
    );
    has
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let mut random = Rng::with_seed(seed);
        let few = Limits { attempts: 2, events: 3, copies: 4, watches: 70, told: 5 };
        let limits = one_of(&mut random, &[LIMITS, small::LIMITS, few, Limits { told: 0, ..LIMITS }]);
        let more =
            Capacities { nodes: 400, chunks: 20_000, messages: 300, tx_nodes: 400, watches: 300, ..LITTLE };
        let capacities = one_of(&mut random, &[LITTLE, more]);
        let low = Quotas {
            nodes: 60,
            watches: 8,
            outstanding: 3,
            memory: 12_000,
            transactions: 2,
            ..Quotas::DEFAULT
        };
        let quotas = one_of(
            &mut random,
            &[Quotas::DEFAULT, low, Quotas { outstanding: 0, memory: 0, ..Quotas::DEFAULT }],
        );
        let settings = Settings { quotas, keep_orphans: random.u8(..5) == 0, ..Settings::DEFAULT };
        let mut host = Host::with(settings, &capacities);
        host.limit(limits);
        host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x10_0000, states: 1..=2, hand_over: 1 });
        if random.bool() {
            host.server.let_grow(1 << 30);
        }
        host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|b0|", "OK|")]);
        host.xen.ticking = one_of(&mut random, &[0, 100, 1000, 30_000]);
        let dom0 = Peer::new(Client::new(host.client(0).page.clone()));
        let mut storm = Storm {
            host,
            peers: Rc::new(RefCell::new(BTreeMap::from([(0, dom0)]))),
            faults: random.bool(),
            lazy: random.bool(),
            given_up: 0,
            random,
        };
        (1..=GUESTS).for_each(|guest| storm.create(guest));
        storm
    }

    /// dom0 asks for nothing else until the guest is there.
    fn create(&mut self, guest: u16) {
        let home = format!("/local/domain/{guest}|");
        let requests = [
            (M::Write, home.clone()),
            (M::SetPerms, format!("{home}n{guest}|")),
            (M::Introduce, format!("{guest}|1|5|")),
        ];
        self.settle(&[0]);
        self.host.create(guest);
        requests.into_iter().for_each(|request| self.with(0, |dom0, _| dom0.ask(request, 0)));
        self.settle(&[0]);
        // There may be no room for it.
        if self.host.xen.is_mapped(DomId(guest), 1) {
            let page = self.host.client(guest).page.clone();
            self.peers.borrow_mut().insert(guest, Peer::new(Client::new(page)));
        }
    }

    /// These read until they have all their answers.
    fn settle(&mut self, who: &[u16]) {
        for _ in 0..1000 {
            let mut idle = true;
            for who in who {
                self.with(*who, |peer, _| {
                    peer.write();
                    peer.read(1024);
                    idle &= peer.is_idle();
                });
            }
            if idle {
                return;
            }
            self.host.poll();
            self.host.xen.pass(1);
            self.host.poll();
            self.host.check();
            self.replace();
        }
        let peers = self.peers.borrow();
        let waiting: Vec<_> = who.iter().filter_map(|who| Some((who, &peers.get(who)?.asked))).collect();
        panic!("not all are served: {waiting:?}");
    }

    /// A client does something, and tells of it.
    fn with(&mut self, who: u16, act: impl FnOnce(&mut Peer, &mut Rng)) {
        if let Some(peer) = self.peers.borrow_mut().get_mut(&who) {
            act(peer, &mut self.random);
        }
        self.host.xen.kick(DomId(who));
    }

    /// The server works, and others do so meanwhile.
    fn poll(&mut self) {
        let (peers, mut random, mut looks) = (self.peers.clone(), self.random.fork(), 0);
        let lazy = self.lazy;
        self.host.xen.on_look = Some(Box::new(move || {
            looks += 1;
            assert!(looks < LOOKS, "the server does not come to an end");
            let who = random.u16(..4 * GUESTS);
            if let Some(peer) = peers.borrow_mut().get_mut(&who) {
                match random.u8(..3) {
                    0 if looks < 400 => peer.ask_anything(&mut random, who == 0),
                    1 if !lazy => peer.read(random.u32(..2048)),
                    _ => peer.write(),
                }
            }
        }));
        for _ in 0..self.random.u8(..6) {
            let then = self.host.xen.now.after_nanoseconds(self.random.u64(..200_000));
            self.host.xen.alarms.push((then, DomId(self.random.u16(..=GUESTS))));
        }
        let since = self.host.server.trace().end();
        let stop_in = if self.faults && self.random.u8(..3) == 0 { self.random.u32(1..600) } else { 0 };
        poll_with_stop(&mut self.host, stop_in);
        self.host.xen.on_look = None;
        self.host.check();
        self.replace();
        // Who seems to have caused two faults is not heard any more.
        for record in self.host.server.trace().from(since).filter(|record| record.kind == Kind::RingError) {
            self.peers.borrow_mut().get_mut(&record.domid.0).into_iter().for_each(|peer| peer.asked = None);
        }
    }

    /// What the image does between two polls: it finds memory, or none, and has something take over, or cannot.
    fn replace(&mut self) {
        let server = &mut self.host.server;
        if server.wants_memory() || self.random.u8(..30) == 0 {
            if self.random.bool() { server.have_memory() } else { server.have_no_memory(true) }
        }
        if !server.is_to_be_replaced() || self.random.bool() {
            return;
        }
        let way = if server.grows() { Way::Grown } else { Way::Updated };
        match self.random.u8(..3) {
            0 => {
                server.refuse(&mut self.host.xen, format_args!("no"));
                server.resume(&mut self.host.xen);
            }
            1 if self.faults => assert!(server.survive(&mut self.host.xen, Stop::Panic(1))),
            _ => {
                let handed = server.handed();
                self.host.update(self.random.u32(1..=2));
                self.host.server.take_up(&mut self.host.xen, handed, 7, way);
                self.host.server.let_grow(1 << 30);
            }
        }
        self.host.poll();
        self.host.check();
    }

    fn step(&mut self) {
        let (who, guest) = (self.random.u16(..=GUESTS), self.random.u16(1..=GUESTS));
        match self.random.u16(..600) {
            0..260 => self.with(who, |peer, random| {
                (0..random.u8(1..6)).for_each(|_| peer.ask_anything(random, who == 0));
            }),
            260..370 if self.lazy => self.pass(),
            260..380 => self.with(who, |peer, random| peer.read(random.u32(..1025))),
            530..550 if !self.faults => self.update(),
            380..550 => self.poll(),
            550..560 => self.pass(),
            560..562 => self.host.xen.pass(self.random.u64(..25)),
            562 => self.host.xen.legacy = !self.host.xen.legacy,
            566..590 if !self.peers.borrow().contains_key(&guest) => self.create(guest),
            590..600 if self.peers.borrow().contains_key(&guest) => self.end(guest),
            _ => {}
        }
    }

    fn pass(&mut self) {
        self.host.xen.now = self.host.xen.now.after_nanoseconds(self.random.u64(..60_000_000));
    }

    /// A live update.
    fn update(&mut self) {
        self.poll();
        self.given_up += u32::from(has_given_up(&self.host.save(2)));
        let handed = self.host.server.handed();
        self.host.update(self.random.u32(1..=2));
        self.host.server.take_up(&mut self.host.xen, handed, 7, Way::Updated);
    }

    /// A guest dies or begins anew, is released or introduced again, or breaks its ring.
    fn end(&mut self, guest: u16) {
        let way = self.random.u8(..7);
        self.with(guest, |peer, random| {
            peer.asked = None;
            match way {
                0 => peer.client.page.connection.store(1, SeqCst),
                1 => {
                    let mut indexes = peer.client.indexes();
                    indexes[random.usize(..4)] = random.u32(..);
                    peer.client.set_indexes(indexes);
                }
                _ => {}
            }
        });
        match way {
            2 => self.with(0, |dom0, _| dom0.ask((M::Release, format!("{guest}|")), 0)),
            3 => self.with(0, |dom0, _| dom0.ask((M::Introduce, format!("{guest}|1|5|")), 0)),
            4 => self.host.xen.shut_down(DomId(guest)),
            5 => self.host.xen.kill(DomId(guest)),
            6 => {
                self.host.xen.vanish(DomId(guest));
                self.host.clients.remove(&guest);
                self.peers.borrow_mut().remove(&guest);
            }
            _ => {}
        }
    }
}

/// The result is [`Storm::given_up`].
fn run(seed: u64) -> u32 {
    let mut storm = Storm::new(seed);
    (0..storm.random.u32(100..2000)).for_each(|_| storm.step());
    storm.host.xen.legacy = false;
    let all: Vec<u16> = storm.peers.borrow().keys().copied().collect();
    storm.settle(&all);
    storm.given_up
}

#[test]
fn whatever_all_do_at_once_each_request_is_answered() {
    let set = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let first = if set.is_some() { fastrand::u64(..1 << 40) } else { 0 };
    let mut given_up = 0;
    for seed in first..first + set.unwrap_or(20) {
        given_up += catch_unwind(|| run(seed)).unwrap_or_else(|why| {
            println!("seed {seed}");
            resume_unwind(why)
        });
    }
    println!("{given_up} states with changes that had been given up");
    assert!(given_up > 0 || set.is_some(), "no state has a change that was given up");
}
