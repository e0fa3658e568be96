//! A host in memory: the server on a fake Xen, and clients that speak to it through real ring bytes.
#![allow(clippy::new_without_default, reason = "a test says that it makes one")]

mod client;
mod end;
mod fake_xen;
pub mod interpret;
pub mod layers;
pub mod lives;
pub mod log;

pub use client::{Client, Message, request};
pub use end::End;
pub use fake_xen::FakeXen;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use xenstore::abi::{DomId, Port};
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::layers::Buffers;
use xenstore::server::{Server, Way};
use xenstore::slots::Full;
use xenstore::state::{Length, Sink, Source, StateError};
use xenstore::wire::{MessageType, TxId};

/// The server, the hypervisor it runs on, and every domain's client.
pub struct Host {
    pub server: Server<FakeXen>,
    pub xen: FakeXen,
    pub clients: BTreeMap<u16, Client>,
    settings: Settings,
    capacities: Capacities,
    limits: Limits,
    /// Servers so far, each with hashes of its own.
    servers: u64,
}

/// One row of a table: the client, its transaction, its request, and all that it then finds in its ring.
///
/// A request is a message name, a blank and the payload; `|` stands for NUL. Expected messages are joined by
/// `; `: a reply is its payload (`OK|`), an error its name, an event `ev path,token`.
pub type Row<'a> = (u16, u32, &'a str, &'a str);

impl Host {
    pub fn new() -> Host {
        Host::with(Settings::DEFAULT, &Capacities::for_nodes(8192))
    }

    pub fn with(settings: Settings, capacities: &Capacities) -> Host {
        let mut host = Host::started(settings, capacities);
        host.poll();
        host
    }

    /// The same before its server has looked at anything.
    pub fn started(settings: Settings, capacities: &Capacities) -> Host {
        let mut host = Host::not_started(settings, capacities);
        host.server.start(&mut host.xen, DomId(0), Port(1)).expect("dom0 connects");
        host
    }

    /// The same before its server has started.
    pub fn not_started(settings: Settings, capacities: &Capacities) -> Host {
        let mut xen = FakeXen::new();
        let page = xen.create(DomId(0));
        // The server is made in its place: moved there, it would take the stack of tests that allow little of it.
        let clients = BTreeMap::from([(0, Client::new(page))]);
        let server = Server::new(settings, capacities, 42);
        let limits = Limits::DEFAULT;
        Host { server, xen, clients, settings, capacities: *capacities, limits, servers: 1 }
    }

    /// Sets how much this server and those in its place do in one go, where debug assertions are compiled in.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.server.set_limits(limits);
    }

    /// The server's state as a stream of this version.
    pub fn save(&self, version: u32) -> Vec<u8> {
        let bytes = |room| {
            let mut bytes = Bytes { bytes: Vec::new(), room };
            self.server.save(version, &mut bytes).expect("memory has room");
            bytes.bytes
        };
        let mut length = Length::default();
        self.server.save(version, &mut length).expect("numbers have room");
        assert_eq!(length, Length(bytes(0).len() as u64));
        bytes(u64::MAX)
    }

    /// Puts a new server made from a state in the place of the old one, on the same rings and ports, as a live update does. It
    /// has not looked at anything yet. A state that is refused leaves the old one.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let mut server = Server::new(self.settings, &self.capacities, 42 + self.servers);
        let (pages, ports) = self.xen.connections();
        let mut adopt = |domid: DomId, port: Option<Port>| {
            let port = port.filter(|port| ports.get(&port.0) == Some(&domid));
            Some((pages.get(&domid.0).cloned().unwrap_or_default(), port))
        };
        server.set_limits(self.limits);
        server.restore(&mut self.xen, DomId(0), &mut Pieces { state, at: 0 }, &mut adopt)?;
        self.servers += 1;
        self.server = server;
        Ok(())
    }

    /// A live update by a stream of this version.
    #[track_caller]
    pub fn update(&mut self, version: u32) {
        let state = self.save(version);
        self.restore(&state).unwrap_or_else(|error| panic!("{error}"));
        let again = self.save(version);
        assert!(again == state, "what is restored has another state: {}", differ(&state, &again));
        self.check();
        self.server.resume(&mut self.xen);
    }

    /// A host whose store begins with the layers of a module, and what is said of those that are left out.
    pub fn with_layers(capacities: &Capacities, module: &[u8]) -> (Host, Vec<String>) {
        let mut host = Host::started(Settings::DEFAULT, capacities);
        let left_out = host.fuse(module);
        host.poll();
        (host, left_out)
    }

    /// Lays layers over the store. What is said of those that are left out.
    pub fn fuse(&mut self, module: impl Source + Clone) -> Vec<String> {
        let mut left_out = Vec::new();
        let mut tell =
            |name: &[u8], trouble| left_out.push(format!("{}: {trouble}", String::from_utf8_lossy(name)));
        let mut buffers = Box::new(Buffers::EMPTY);
        self.server.fuse(module, &mut buffers, &mut tell);
        left_out
    }

    /// A live update to a server that has these capacities.
    #[track_caller]
    pub fn update_to(&mut self, capacities: &Capacities) {
        self.capacities = *capacities;
        self.update(1);
    }

    /// What the image does with a store that a fault has damaged.
    #[track_caller]
    pub fn repair(&mut self) {
        let handed = self.server.handed();
        let state = self.save(2);
        self.restore(&state).unwrap_or_else(|error| panic!("{error}"));
        self.check();
        self.server.resume(&mut self.xen);
        self.server.take_up(&mut self.xen, handed, 7, Way::Repaired("it was damaged"));
        self.poll();
    }

    /// Creates a domain in the hypervisor, not yet introduced.
    pub fn create(&mut self, domid: u16) {
        let page = self.xen.create(DomId(domid));
        self.clients.insert(domid, Client::new(page));
    }

    /// Creates a domain with its home directory and introduces it, as a toolstack does.
    pub fn boot(&mut self, domid: u16) {
        self.create(domid);
        self.expect(&[
            (0, 0, &format!("WRITE /local/domain/{domid}|"), "OK|"),
            (0, 0, &format!("SET_PERMS /local/domain/{domid}|n{domid}|"), "OK|"),
            (0, 0, &format!("INTRODUCE {domid}|1|5|"), "OK|"),
        ]);
    }

    /// The domain dies, and the hypervisor reports it.
    pub fn kill(&mut self, domid: u16) {
        self.xen.kill(DomId(domid));
        self.poll();
    }

    pub fn poll(&mut self) {
        self.server.poll(&mut self.xen);
    }

    /// Operations on slots between two looks at what others have sent, in one poll, in order. Always 0 without debug
    /// assertions.
    pub fn goes(&mut self) -> Vec<u64> {
        let (attempts, goes) = (self.server.attempts(), Rc::new(RefCell::new(Vec::new())));
        let (mut before, seen) = (attempts.operations(), goes.clone());
        self.xen.on_look = Some(Box::new(move || {
            let now = attempts.operations();
            seen.borrow_mut().push(now - before);
            before = now;
        }));
        self.poll();
        self.xen.on_look = None;
        goes.take()
    }

    /// The most of [`Host::goes`].
    pub fn most_operations(&mut self) -> u64 {
        self.goes().into_iter().max().unwrap_or_default()
    }

    pub fn client(&mut self, domid: u16) -> &mut Client {
        self.clients.get_mut(&domid).unwrap_or_else(|| panic!("no domain {domid}"))
    }

    /// Puts a request into a ring and notifies the server.
    pub fn send(&mut self, domid: u16, tx: u32, request: &str) {
        let (msg_type, payload) = parse(request);
        self.send_raw(domid, msg_type, tx, &payload);
    }

    pub fn send_raw(&mut self, domid: u16, msg_type: u32, tx: u32, payload: &[u8]) {
        let bytes = client::request(msg_type, 7, TxId(tx), payload);
        self.push(domid, &bytes);
    }

    /// Writes bytes into a ring, polling whenever it is full.
    pub fn push(&mut self, domid: u16, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let put = self.client(domid).write(rest);
            rest = &rest[put..];
            self.xen.kick(DomId(domid));
            if !rest.is_empty() {
                self.poll();
                assert!(self.client(domid).has_room(), "the server does not take what fills the ring");
            }
        }
    }

    /// Sends a request, serves it and returns everything that is in the client's ring then.
    pub fn ask(&mut self, domid: u16, tx: u32, request: &str) -> String {
        self.send(domid, tx, request);
        self.poll();
        self.received(domid)
    }

    /// Everything that waits for a client, as in a [`Row`].
    pub fn received(&mut self, domid: u16) -> String {
        let mut all = Vec::new();
        while self.client(domid).waiting() > 0 {
            all.extend(self.client(domid).read());
            self.xen.kick(DomId(domid));
            self.poll();
        }
        all.iter().map(Message::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Asserts that the client finds just this in its ring, in the spelling of a [`Row`].
    #[track_caller]
    pub fn hears(&mut self, domid: u16, expected: &str) {
        assert_eq!(self.received(domid), expected, "domain {domid}");
    }

    /// Notifications that the server has sent to a domain since the last call.
    pub fn take_notified(&mut self, domid: u16) -> usize {
        self.xen.notified.remove(&domid).unwrap_or(0)
    }

    /// Makes a request that must succeed.
    #[track_caller]
    pub fn ok(&mut self, domid: u16, tx: u32, request: &str) {
        assert_eq!(self.ask(domid, tx, request), "OK|", "domain {domid}, transaction {tx}: {request}");
    }

    /// Runs a table, then checks the whole store.
    #[track_caller]
    pub fn expect(&mut self, rows: &[Row<'_>]) {
        for (n, (who, tx, request, expected)) in rows.iter().enumerate() {
            let got = self.ask(*who, *tx, request);
            assert_eq!(&got, expected, "row {n}: domain {who}, transaction {tx}: {request}");
        }
        self.check();
    }

    /// Opens a transaction and returns its identifier.
    #[track_caller]
    pub fn start(&mut self, domid: u16) -> u32 {
        let id = self.ask(domid, 0, "TRANSACTION_START |");
        id.trim_end_matches('|').parse().unwrap_or_else(|_| panic!("no transaction but {id}"))
    }

    /// Asserts that the consistency check finds nothing.
    #[track_caller]
    pub fn check(&self) {
        let mut findings = Vec::new();
        self.server.check(&mut |finding| findings.push(finding.to_string()));
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

/// A state in memory.
struct Bytes {
    bytes: Vec<u8>,
    /// For what a state can do without.
    room: u64,
}

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn room(&self) -> u64 {
        self.room
    }
}

/// A state that lies in pieces, as in the pages of the image: some records in one of them, some in two or more.
struct Pieces<'a> {
    state: &'a [u8],
    at: usize,
}

impl Source for Pieces<'_> {
    fn next(&self) -> &[u8] {
        const PIECE: usize = 300;
        let rest = self.state.get(self.at..).unwrap_or_default();
        rest.get(..PIECE - self.at % PIECE).unwrap_or(rest)
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
    }
}

/// Where two states differ.
fn differ(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let from = at.saturating_sub(48);
    let around = |bytes: &[u8]| bytes[from..bytes.len().min(at + 32)].escape_ascii().to_string();
    format!("at byte {at} of {} and {}:\n{}\n{}", a.len(), b.len(), around(a), around(b))
}

fn parse(request: &str) -> (u32, Vec<u8>) {
    let (name, payload) = request.split_once(' ').unwrap_or((request, ""));
    let msg_type = MessageType::ALL.iter().find(|t| t.name() == name).map(|t| *t as u32);
    let msg_type = msg_type.or_else(|| name.parse().ok()).unwrap_or_else(|| panic!("no message {name}"));
    (msg_type, payload.replace('|', "\0").into_bytes())
}
