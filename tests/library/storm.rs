//! Guests that all ask, read, die and begin anew while the server works, on servers that have little room and do little in one
//! go, with faults or with live updates. Whenever the server sleeps, its check finds nothing; each request is answered
//! once, in order; and the server comes to an end.
//!
//! `PROPTEST_CASES` sets the number of sessions.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use fastrand::Rng;
use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::quota::Quotas;
use xenstore::trace::Kind;
use xenstore::wire::{Header, MessageType as M, TxId};

use super::stops::poll_with_stop;
use super::{LIMITS, small};

const GUESTS: u16 = 5;

/// Requests that a client has unanswered at most.
const ASKED: usize = 30;

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

const NAMES: &[&str] =
    &["a", "b", "c", "1", "state", "frontend", "event-channel", "forty-bytes-and-more-as-few-names-are-long"];

const TOPS: &[&str] = &[
    "/",
    "/shared",
    "/shared",
    "/shared/x",
    "data",
    "data",
    "/local/domain",
    "/local/domain/1/data",
    "/local/domain/2",
    "@releaseDomain",
    "@introduceDomain",
];

fn one_of<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

fn path(random: &mut Rng) -> String {
    let mut path = one_of(random, TOPS).to_string();
    for _ in 0..random.u8(..4) {
        let slash = if path.ends_with('/') { "" } else { "/" };
        path = format!("{path}{slash}{}", one_of(random, NAMES));
    }
    path
}

fn permissions(random: &mut Rng) -> String {
    let mut entry = || format!("{}{}|", one_of(random, &['n', 'r', 'b', 'w']), random.u16(..=GUESTS));
    (0..6).map(|_| entry()).collect::<String>()[..].split_inclusive('|').take(1 + random.usize(..6)).collect()
}

/// What anybody may ask.
fn asked(random: &mut Rng) -> (M, String) {
    let at = path(random);
    let value = "v".repeat(one_of(random, &[0, 3, 7, 8, 40, 41, 200, 2000]));
    let token = "token".repeat(random.usize(1..30));
    match random.u8(..36) {
        0..9 => (M::Write, format!("{at}|{value}")),
        9..12 => (M::Mkdir, format!("{at}|")),
        12..15 => (M::Rm, format!("{at}|")),
        15..17 => (M::Read, format!("{at}|")),
        17..19 => (M::Directory, format!("{at}|")),
        19 => (M::DirectoryPart, format!("{at}|{}|", random.u8(..30))),
        20 => (M::GetPerms, format!("{at}|")),
        21..24 => (M::SetPerms, format!("{at}|{}", permissions(random))),
        24..26 => (M::Watch, format!("{at}|t|")),
        26..28 => (M::Watch, format!("{at}|{token}|")),
        28 => (M::Unwatch, format!("{at}|t|")),
        29 => (M::ResetWatches, "|".into()),
        30..33 => (M::TransactionStart, "|".into()),
        _ => (M::TransactionEnd, one_of(random, &["T|", "T|", "F|"]).into()),
    }
}

/// What only dom0 may.
fn ordered(random: &mut Rng) -> (M, String) {
    let guest = random.u16(1..=GUESTS);
    match random.u8(..12) {
        0..2 => (M::SetTarget, format!("{guest}|{}|", random.u16(..=GUESTS))),
        2..4 => {
            let quota = one_of(random, &["nodes", "watches", "outstanding", "memory", "transactions"]);
            (M::SetQuota, format!("{guest}|{quota}|{}|", one_of(random, &[0, 1, 5, 50, 3000])))
        }
        4 => (M::GetQuota, format!("{guest}|nodes|")),
        5 => (M::SetFeature, format!("{guest}|15|")),
        6 => (M::Resume, format!("{guest}|")),
        7 => (M::Control, one_of(random, &["memreport|", "stats|domains|", "quota|"]).into()),
        _ => (M::Control, "check|".into()),
    }
}

/// A client, and what it waits for.
struct Peer {
    client: Client,
    /// Identifiers and types of requests that have no answer. `None` for who has broken the protocol, or is given up.
    asked: Option<VecDeque<(u32, u32)>>,
    /// What its ring has no room for.
    unsent: VecDeque<u8>,
    latest: u32,
    /// The transaction that it has begun last.
    tx: u32,
}

impl Peer {
    fn new(client: Client) -> Peer {
        Peer { client, asked: Some(VecDeque::new()), unsent: VecDeque::new(), latest: 0, tx: 0 }
    }

    fn is_idle(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.is_empty() && self.unsent.is_empty())
    }

    /// Writes what fits; nothing if it has put its own indexes out of range.
    fn write(&mut self) {
        if self.client.unread() <= 1024 {
            let put = self.client.write(self.unsent.make_contiguous());
            self.unsent.drain(..put);
        }
    }

    fn ask(&mut self, (kind, text): (M, String), tx: u32) {
        if let Some(asked) = &mut self.asked {
            asked.push_back((self.latest + 1, kind as u32));
        }
        self.latest += 1;
        self.unsent.extend(request(kind as u32, self.latest, TxId(tx), text.replace('|', "\0").as_bytes()));
        self.write();
    }

    fn ask_anything(&mut self, random: &mut Rng, orders: bool) {
        if self.asked.as_ref().is_some_and(|asked| asked.len() >= ASKED) || self.unsent.len() > 4096 {
            return;
        }
        let orders = orders && random.u8(..16) == 0;
        let (kind, text) = if orders { ordered(random) } else { asked(random) };
        let tx = match kind {
            M::TransactionStart => 0,
            M::TransactionEnd => std::mem::take(&mut self.tx),
            _ => one_of(random, &[0, self.tx]),
        };
        self.ask((kind, text), tx);
    }

    fn read(&mut self, most: u32) {
        let messages = if self.client.waiting() <= 1024 { self.client.read_some(most) } else { Vec::new() };
        for message in messages.iter().filter(|message| message.header.msg_type != M::WatchEvent as u32) {
            let Header { msg_type, req_id, .. } = message.header;
            let Some(asked) = &mut self.asked else { return };
            let (id, kind) = asked.pop_front().unwrap_or_else(|| panic!("nobody has asked for {message}"));
            assert_eq!(id, req_id, "the answer to a request of type {kind} is {message}");
            assert!([kind, M::Error as u32].contains(&msg_type), "of type {kind} is {message}");
            if msg_type == M::TransactionStart as u32 {
                self.tx = message.to_string().trim_end_matches('|').parse().expect("a number");
            }
            if kind == M::Control as u32 {
                assert!(!message.to_string().contains(" but "), "the check says {message}");
            }
        }
    }
}

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
        // Who seems to have caused two faults is not heard any more.
        for record in self.host.server.trace().from(since).filter(|record| record.kind == Kind::RingError) {
            self.peers.borrow_mut().get_mut(&record.domid.0).into_iter().for_each(|peer| peer.asked = None);
        }
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
        self.host.update(self.random.u32(1..=2));
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
    let first = if set.is_some() { fastrand::u64(..1 << 40) } else { 20 };
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
