//! A server takes the memory that its capacities say, and serving allocates nothing: each poll is measured, in a
//! session with every message type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allocation_counter::{measure, opt_out};
use support::{Client, FakeXen, request};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
    Successor,
};
use xenstore::server::{Server, sizing};
use xenstore::wire::{MessageType, TxId};

/// The fake hypervisor, whose own allocations are not the server's. With `COUNTED` they are counted all
/// the same, to show that counting works.
struct Outside<const COUNTED: bool>(FakeXen);

impl<const COUNTED: bool> Outside<COUNTED> {
    fn call<T>(&mut self, f: impl FnOnce(&mut FakeXen) -> T) -> T {
        if COUNTED {
            return f(&mut self.0);
        }
        let mut result = None;
        opt_out(|| result = Some(f(&mut self.0)));
        result.expect("it was called")
    }
}

impl<const COUNTED: bool> EventChannels for Outside<COUNTED> {
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused> {
        self.call(|xen| xen.bind_interdomain(domid, remote))
    }
    fn take_pending(&mut self) -> Option<Event> {
        self.call(FakeXen::take_pending)
    }
    fn notify(&mut self, local: Port) {
        self.call(|xen| xen.notify(local));
    }
    fn close(&mut self, local: Port) {
        self.call(|xen| xen.close(local));
    }
}

impl<const COUNTED: bool> RingMapper for Outside<COUNTED> {
    type Ring = Arc<RingPage>;
    fn map(&mut self, domid: DomId) -> Result<Arc<RingPage>, Refused> {
        self.call(|xen| xen.map(domid))
    }
}

impl<const COUNTED: bool> DomainInfo for Outside<COUNTED> {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.call(FakeXen::next_changed)
    }
    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        self.call(|xen| xen.state(domid))
    }
}

impl<const COUNTED: bool> Clock for Outside<COUNTED> {
    fn cycles(&mut self) -> Cycles {
        self.call(Clock::cycles)
    }
    fn started(&self) -> Cycles {
        Cycles(0)
    }
}

impl<const COUNTED: bool> Successor for Outside<COUNTED> {}

impl<const COUNTED: bool> Counters for Outside<COUNTED> {
    fn calls(&self) -> Calls {
        self.0.calls()
    }
}

struct Measured<const COUNTED: bool> {
    server: Server<Outside<COUNTED>>,
    xen: Outside<COUNTED>,
    clients: BTreeMap<u16, Client>,
    types: BTreeSet<u32>,
    allocations: u64,
}

impl<const COUNTED: bool> Measured<COUNTED> {
    fn start() -> Self {
        let mut xen = Outside(FakeXen::new());
        let page = xen.0.create(DomId(0));
        let mut server = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
        server.start(&mut xen, DomId(0), Port(1)).expect("dom0 connects");
        let clients = BTreeMap::from([(0, Client::new(page))]);
        Measured { server, xen, clients, types: BTreeSet::new(), allocations: 0 }
    }

    fn create(&mut self, domid: u16) {
        let page = self.xen.0.create(DomId(domid));
        self.clients.insert(domid, Client::new(page));
    }

    /// One poll, measured.
    #[track_caller]
    fn poll(&mut self) {
        let info = measure(|| {
            self.server.poll(&mut self.xen);
        });
        self.allocations += info.count_total;
        assert!(COUNTED || info.count_total == 0, "{info:?}");
    }

    fn client(&mut self, domid: u16) -> &mut Client {
        self.clients.get_mut(&domid).expect("the domain was created")
    }

    /// Sends a request, in pieces if it is longer than the ring, without reading the answer.
    #[track_caller]
    fn send(&mut self, domid: u16, tx: u32, msg_type: MessageType, payload: &str) {
        self.types.insert(msg_type as u32);
        let payload = payload.replace('|', "\0");
        let bytes = request(msg_type as u32, 1, TxId(tx), payload.as_bytes());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let put = self.client(domid).write(rest);
            assert!(put > 0, "the ring of domain {domid} stays full");
            rest = &rest[put..];
            self.xen.0.kick(DomId(domid));
            self.poll();
        }
    }

    #[track_caller]
    fn receive(&mut self, domid: u16) -> String {
        let mut all = Vec::new();
        loop {
            let waiting = self.client(domid).waiting();
            all.extend(self.client(domid).read().iter().map(ToString::to_string));
            if waiting == 0 {
                return all.join("; ");
            }
            self.xen.0.kick(DomId(domid));
            self.poll();
        }
    }

    #[track_caller]
    fn ask(&mut self, domid: u16, tx: u32, msg_type: MessageType, payload: &str) -> String {
        self.send(domid, tx, msg_type, payload);
        self.receive(domid)
    }
}

use MessageType as M;

/// Every message type with its good and bad answers, guests that come and go, and rings in every state.
fn session<const COUNTED: bool>() -> Measured<COUNTED> {
    let mut host = Measured::<COUNTED>::start();
    host.poll();
    nodes(&mut host);
    domains(&mut host);
    transactions(&mut host);
    host.ask(0, 0, M::Introduce, "2|1|5|");
    watches(&mut host);
    rings(&mut host);
    host
}

fn nodes<const COUNTED: bool>(host: &mut Measured<COUNTED>) {
    let long = "v".repeat(4000);
    let deep = "/component".repeat(40);
    for (msg_type, payload, answer) in [
        (M::Write, format!("/a/b|{long}"), "OK|"),
        (M::Read, "/a/b|".into(), long.as_str()),
        (M::Write, "/a/b|short".into(), "OK|"),
        (M::Mkdir, format!("{deep}|"), "OK|"),
        (M::Mkdir, format!("{deep}|"), "OK|"),
        (M::Rm, "/component|".into(), "OK|"),
        (M::Rm, "/component/component|".into(), "ENOENT"),
        (M::SetPerms, "/a|n0|r1|b2|r32757|n9|r10|r11|".into(), "OK|"),
        (M::GetPerms, "/a|".into(), "n0|r1|b2|r32757|n9|r10|r11|"),
        (M::Directory, "/a|".into(), "b|"),
        (M::Directory, "/none|".into(), "ENOENT"),
        (M::Write, "bad path|".into(), "EINVAL"),
        (M::Control, "check|".into(), "OK|"),
        (M::Control, "print|hello|".into(), "OK|"),
        (M::Control, "log|+wrl|".into(), "OK|"),
        (M::GetQuota, "nodes|".into(), "1000|"),
        (M::SetQuota, "nodes|1001|".into(), "OK|"),
        (M::Error, "|".into(), "ENOSYS"),
        (M::WatchEvent, "|".into(), "ENOSYS"),
    ] {
        assert_eq!(host.ask(0, 0, msg_type, &payload), answer, "{} {payload}", msg_type.name());
    }
    host.ask(0, 0, M::Control, "help|");
    host.ask(0, 0, M::GetQuota, "");
    for n in 0..300 {
        host.ask(0, 0, M::Write, &format!("/many/a-child-with-a-long-name-{n}|"));
    }
    assert_eq!(host.ask(0, 0, M::Directory, "/many|"), "E2BIG");
    host.ask(0, 0, M::DirectoryPart, "/many|0|");
    host.ask(0, 0, M::DirectoryPart, "/many|4000|");
}

fn domains<const COUNTED: bool>(host: &mut Measured<COUNTED>) {
    for domid in [1, 2] {
        host.create(domid);
        for (msg_type, payload) in [
            (M::Write, format!("/local/domain/{domid}|")),
            (M::SetPerms, format!("/local/domain/{domid}|n{domid}|r0|")),
            (M::SetFeature, format!("{domid}|15|")),
            (M::Introduce, format!("{domid}|1|5|")),
        ] {
            assert_eq!(host.ask(0, 0, msg_type, &payload), "OK|", "{} {payload}", msg_type.name());
        }
    }
    for (msg_type, payload, answer) in [
        (M::SetTarget, "1|2|", "OK|"),
        (M::Resume, "1|", "OK|"),
        (M::IsDomainIntroduced, "1|", "T|"),
        (M::GetDomainPath, "1|", "/local/domain/1|"),
        (M::GetFeature, "1|", "15|"),
        (M::SetFeature, "1|0|", "EBUSY"),
        (M::Introduce, "9|1|5|", "EINVAL"),
        (M::Introduce, "1|1|6|", "OK|"),
    ] {
        assert_eq!(host.ask(0, 0, msg_type, payload), answer, "{} {payload}", msg_type.name());
    }
    assert_eq!(host.ask(1, 0, M::Control, "check|"), "EACCES");
    assert_eq!(host.ask(1, 0, M::Write, "data/x|1"), "OK|");
    assert_eq!(host.ask(1, 0, M::Write, &format!("data/x|{}", "v".repeat(3000))), "ENOSPC");
    host.xen.0.shut_down(DomId(2));
    host.poll();
    assert_eq!(host.ask(0, 0, M::Release, "2|"), "OK|");
}

fn transactions<const COUNTED: bool>(host: &mut Measured<COUNTED>) {
    let value = "v".repeat(3900);
    for (end, answer) in [("F|", "OK|"), ("T|", "EAGAIN"), ("T|", "OK|")] {
        let tx = host.ask(0, 0, M::TransactionStart, "|").trim_end_matches('|').parse().expect("an id");
        host.ask(0, tx, M::Read, "/a/b|");
        for n in 0..10 {
            host.ask(0, tx, M::Write, &format!("/in/a/transaction/{n}|{value}"));
        }
        host.ask(0, tx, M::SetPerms, "/in/a|n0|b1|");
        host.ask(0, tx, M::Rm, "/in/a/transaction/3|");
        host.ask(0, tx, M::Rm, "/many|");
        host.ask(0, tx, M::Directory, "/in/a/transaction|");
        host.ask(0, tx, M::DirectoryPart, "/in/a/transaction|2|");
        if answer == "EAGAIN" {
            host.ask(0, 0, M::Write, "/a/b|changed");
        }
        assert_eq!(host.ask(0, tx, M::TransactionEnd, end), answer);
    }
    host.ask(1, 0, M::TransactionStart, "|");
    host.ask(1, 0, M::Watch, "data|tok|");
    assert_eq!(host.ask(1, 0, M::ResetWatches, "|"), "OK|");
}

fn watches<const COUNTED: bool>(host: &mut Measured<COUNTED>) {
    let token = "t".repeat(900);
    for n in 0..20 {
        host.ask(0, 0, M::Watch, &format!("/w|{n}{token}|"));
        host.ask(1, 0, M::Watch, &format!("/w/{n}|{token}|"));
    }
    host.ask(0, 0, M::Watch, "/w|depth|1|");
    assert_eq!(host.ask(0, 0, M::Watch, "/w|depth|1|"), "EEXIST");
    host.ask(0, 0, M::Write, "/w|");
    host.ask(0, 0, M::SetPerms, "/w|b0|");
    // More than the rings hold, and nobody reads: queued, merged, and dropped in the end.
    for n in 0..30 {
        host.send(1, 0, M::Write, &format!("/w/{}|", n % 20));
    }
    for _ in 0..30 {
        host.xen.0.pass(1);
        host.poll();
    }
    while !(host.receive(0) + &host.receive(1)).is_empty() {}
    assert_eq!(host.ask(0, 0, M::Unwatch, "/w|depth|"), "OK|");
    assert_eq!(host.ask(0, 0, M::Unwatch, "/w|depth|"), "ENOENT");
    host.ask(0, 0, M::Rm, "/w|");
}

fn rings<const COUNTED: bool>(host: &mut Measured<COUNTED>) {
    use std::sync::atomic::Ordering::SeqCst;
    // Half a long message, then a fresh connection.
    let half = request(M::Write as u32, 1, TxId(0), &[b'x'; 4000]);
    for from in [0, 1024] {
        host.client(1).write(&half[from..from + 1024]);
        host.xen.0.kick(DomId(1));
        host.poll();
    }
    host.client(1).page.connection.store(1, SeqCst);
    host.xen.0.kick(DomId(1));
    host.poll();
    host.client(1).forget();
    assert_eq!(host.ask(1, 0, M::Read, "data/x|"), "1");
    // An index out of range, a death, a domain that was never introduced.
    host.client(1).page.req_prod.fetch_add(5000, SeqCst);
    host.xen.0.kick(DomId(1));
    host.poll();
    host.xen.0.kill(DomId(1));
    host.poll();
    host.xen.0.vanish(DomId(1));
    host.poll();
    assert_eq!(host.ask(0, 0, M::Directory, "/local/domain|"), "");
    host.xen.0.legacy = true;
    host.xen.0.virq();
    host.poll();
}

#[test]
fn serving_allocates_nothing() {
    let host = session::<false>();
    let missing: Vec<_> =
        M::ALL.iter().filter(|t| !host.types.contains(&(**t as u32))).map(|t| t.name()).collect();
    assert!(missing.is_empty(), "not measured: {missing:?}");
}

#[test]
fn an_allocation_while_serving_would_be_seen() {
    assert!(session::<true>().allocations > 0);
}

#[test]
fn a_server_takes_no_more_than_its_capacities_say() {
    for mib in [3, 8, 64, 500] {
        let capacities = sizing::capacities_for(mib << 20, mib << 16).expect("enough memory");
        let domains = capacities.domains;
        let info = measure(|| drop(Server::<FakeXen>::new(Settings::DEFAULT, &capacities, 1)));
        // What is given back leaves a gap that nothing may fit.
        assert_eq!(info.bytes_total, info.bytes_max, "with {mib} MiB, some memory is taken for a while only");
        let taken = info.bytes_max;
        // The fake's rings are smaller than what is counted for them.
        let (most, slack) = (sizing::memory(&capacities) as u64, 4096 + 16 * domains as u64);
        assert!(
            (most - slack..=most).contains(&taken),
            "{taken} bytes taken with {mib} MiB, {most} expected"
        );
    }
}
