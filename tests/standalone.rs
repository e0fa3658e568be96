//! The store tries itself, as under `xl create`, here on a machine in memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant as Time;

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::client::{Client, Machine};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
};
use xenstore::server::Server;
use xenstore::standalone::{DOMIDS, Loopback, bench, selftest};

/// What both sides share: ports of which each has an event or not, one bit each.
#[derive(Clone, Default)]
struct Ports(Rc<Cell<u64>>);

impl Ports {
    fn mark(&self, port: Port) {
        self.0.set(self.0.get() | 1 << port.0);
    }
}

/// The server's side. A domain's port is its number plus 1, its page is in the order of `DOMIDS`.
struct Memory {
    pages: [Rc<RingPage>; 2],
    ports: Ports,
    born: Time,
}

fn port_of(domid: DomId) -> Port {
    Port(u32::from(domid.0) + 1)
}

impl EventChannels for Memory {
    fn bind_interdomain(&mut self, domid: DomId, _: Port) -> Result<Port, Refused> {
        self.ports.mark(port_of(domid));
        Ok(port_of(domid))
    }

    fn take_pending(&mut self) -> Option<Event> {
        let pending = self.ports.0.get();
        self.ports.0.set(pending & pending.wrapping_sub(1));
        (pending != 0).then(|| Event::Ring(Port(pending.trailing_zeros())))
    }

    fn notify(&mut self, _: Port) {}

    fn close(&mut self, _: Port) {}
}

impl RingMapper for Memory {
    type Ring = Rc<RingPage>;

    fn map(&mut self, domid: DomId) -> Result<Rc<RingPage>, Refused> {
        self.pages.get(usize::from(domid.0)).cloned().ok_or(Refused)
    }
}

impl DomainInfo for Memory {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        None
    }

    fn state(&mut self, _: DomId) -> Option<DomainState> {
        Some(DomainState { shutdown: false, dead: false, unique_id: 0 })
    }
}

impl Clock for Memory {
    fn cycles(&mut self) -> Cycles {
        Cycles(self.born.elapsed().as_nanos() as u64)
    }

    fn started(&self) -> Cycles {
        Cycles(0)
    }
}

impl Counters for Memory {
    fn calls(&self) -> Calls {
        Calls::default()
    }
}

/// A client's side.
struct End {
    page: Rc<RingPage>,
    port: Port,
    ports: Ports,
    born: Time,
}

impl Machine for End {
    fn page(&self) -> &RingPage {
        &self.page
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_nanos() as u64
    }

    fn notify(&mut self) {
        self.ports.mark(self.port);
    }

    fn wait(&mut self, _: u64) {
        panic!("nothing here fills a ring");
    }
}

fn with_loopback<T>(run: impl FnOnce(&mut Loopback<'_, End>) -> T) -> T {
    let (ports, born) = (Ports::default(), Time::now());
    let mut memory = Memory { pages: [(); 2].map(|()| Rc::new(RingPage::new())), ports: ports.clone(), born };
    let mut server = Server::new(Settings::DEFAULT, &Capacities::for_nodes(4096), 1);
    server.start(&mut memory, DOMIDS[0], Port(1)).expect("dom0 connects");
    let mut clients = DOMIDS.map(|domid| {
        let page = memory.pages[usize::from(domid.0)].clone();
        Client::new(End { page, port: port_of(domid), ports: ports.clone(), born })
    });
    let mut poll = || {
        server.poll(&mut memory);
    };
    run(&mut Loopback { clients: &mut clients, poll: &mut poll })
}

/// What the self-test says, and its verdict.
fn tried(spoilt: bool) -> (Vec<String>, selftest::Verdict) {
    let mut told = Vec::new();
    let verdict =
        with_loopback(|loopback| selftest::run(loopback, spoilt, &mut |text| told.push(text.to_string())));
    (told, verdict)
}

#[test]
fn a_store_that_works_passes() {
    let (told, verdict) = tried(false);
    assert_eq!(told, Vec::<String>::new());
    assert!(verdict.is_good());
    assert_eq!(verdict.to_string(), format!("{} passed, 0 failed", selftest::ROWS.len()));
}

#[test]
fn what_fails_is_told() {
    let (told, verdict) = tried(true);
    assert_eq!(
        told,
        ["self-test: FAILED: domain 0, transaction 0, \"READ /secret|\": expected \"43\", came \"42\""]
    );
    assert!(!verdict.is_good());
    assert_eq!(verdict.to_string(), format!("{} passed, 1 failed", selftest::ROWS.len()));
}

#[test]
fn a_store_that_is_silent_fails() {
    let (ports, born) = (Ports::default(), Time::now());
    let mut clients = DOMIDS.map(|domid| {
        let page = Rc::new(RingPage::new());
        Client::new(End { page, port: port_of(domid), ports: ports.clone(), born })
    });
    let mut loopback = Loopback { clients: &mut clients, poll: &mut || {} };
    let mut told = Vec::new();
    // Few rows: the ring would be full.
    let verdict =
        selftest::run_rows(&mut loopback, &selftest::ROWS[..5], &mut |text| told.push(text.to_string()));
    assert_eq!((verdict.passed, verdict.failed), (0, 5));
    assert!(told[0].ends_with("expected \"tool|\", came \"\""), "{}", told[0]);
}

#[test]
fn the_benchmark_runs_again_and_again() {
    with_loopback(|loopback| {
        for _ in 0..3 {
            let all = bench::run(loopback, 5_000_000).expect("figures");
            for (mix, figures) in bench::MIXES.iter().zip(all) {
                assert!(figures.count > 0, "{}: {figures}", mix.name);
                assert!(
                    figures.least <= figures.median && figures.least <= figures.mean,
                    "{}: {figures}",
                    mix.name
                );
            }
        }
        let rows = [(0, 0, "DIRECTORY /local/domain|", ""), (0, 0, "CONTROL check|", "OK|")];
        let verdict = selftest::run_rows(loopback, &rows, &mut |text| panic!("{text}"));
        assert!(verdict.is_good());
    });
}
