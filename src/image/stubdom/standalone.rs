//! The image under plain `xl create`: an ordinary guest, which tries its own store and reports on its console and in
//! its nodes of the host's store.
//!
//! The store's domains are then two clients in this domain itself. Their pages are ordinary memory, and their event
//! channels are real ones of Xen. So only the mapping of pages differs from a host.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt::{Arguments, Display};
use core::sync::atomic::Ordering;

use xenstore::abi::{Port, RingPage};
use xenstore::client::{Answer, Client, Failure, Machine};
use xenstore::cmdline::Standalone;
use xenstore::config::Capacities;
use xenstore::evtchn::PendingPorts;
use xenstore::platform::{Clock, EventChannels, Instant};
use xenstore::server::Server;
use xenstore::standalone::host::{Host, Request};
use xenstore::standalone::selftest::{self, Verdict};
use xenstore::standalone::{DOMIDS, Loopback, bench};

use super::modules::{self, Lodged};
use super::platform::{Guest, LocalPages};
use crate::image::boot::{self, Identity};
use crate::image::fatal::{self, Reason};
use crate::image::{clock, console, events, memory};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// Longest wait for room on the console. After that it counts as unread.
const PATIENCE: u64 = 5 * SECOND;

/// The rings of the clients in the image.
pub struct Rings([(&'static RingPage, Port); DOMIDS.len()]);

impl Rings {
    /// Their ends of the event channels are masked: nobody waits for them.
    pub fn new(ports: &mut dyn PendingPorts) -> Rings {
        let mut ring = || {
            let page = Box::leak(Box::new(RingPage::new()));
            let port = fatal::unless("no event channel for a ring", events::alloc_loopback());
            ports.mask(port);
            // What the server binds to, whatever INTRODUCE says.
            page.evtchn_port.store(port.0, Ordering::Relaxed);
            (&*page, port)
        };
        Rings([ring(), ring()])
    }

    pub fn pages(&self) -> LocalPages {
        DOMIDS.into_iter().zip(&self.0).map(|(domid, (page, _))| (domid, *page)).collect()
    }
}

/// The reason of the shutdown, for the toolstack, and the last line on the console.
pub type Ending = (Reason, &'static str);

/// A client's end of a ring.
struct End {
    page: &'static RingPage,
    port: Port,
    guest: Rc<RefCell<Guest>>,
}

impl Machine for End {
    fn page(&self) -> &RingPage {
        self.page
    }

    fn now(&self) -> u64 {
        clock::system_time()
    }

    fn notify(&mut self) {
        // Fails only while the other end is closed, where nobody can be notified.
        let _ = events::send(self.port);
    }

    fn wait(&mut self, deadline: u64) {
        sleep(&self.guest, deadline);
    }
}

/// Sleeps until there is any event, or until `deadline`, in nanoseconds since Xen booted.
fn sleep(guest: &RefCell<Guest>, deadline: u64) {
    if let Ok(mut guest) = guest.try_borrow_mut() {
        guest.idle(Some(Instant(deadline)));
        while guest.take_pending().is_some() {}
    }
}

/// The console, on which nothing is lost as long as somebody reads it.
struct Console {
    guest: Rc<RefCell<Guest>>,
    unread: Cell<bool>,
}

impl Console {
    fn tell(&self, text: Arguments<'_>) {
        self.wait_until(console::has_room);
        console::line(text);
    }

    fn wait_until(&self, ready: fn() -> bool) {
        let deadline = clock::system_time() + PATIENCE;
        while !ready() {
            let now = clock::system_time();
            if self.unread.get() || now >= deadline {
                self.unread.set(true);
                return;
            }
            sleep(&self.guest, now + MILLISECOND);
        }
        self.unread.set(false);
    }
}

struct Trial {
    server: &'static mut Server<Guest>,
    guest: Rc<RefCell<Guest>>,
    clients: [Client<End>; 2],
    host: Host<End>,
    console: Console,
    options: Standalone,
}

/// The whole life of the domain, and how it is to end. `capacities` are the server's.
pub fn run(
    server: &'static mut Server<Guest>,
    capacities: &Capacities,
    mut guest: Guest,
    rings: &Rings,
    identity: &Identity,
    options: Standalone,
    layers: Option<Option<Lodged>>,
) -> Ending {
    let (Some(page), Some(port)) = (boot::store_page(), boot::store_port()) else {
        return (
            Reason::PowerOff,
            "no --event N and no xenstore: this is for init-xenstore-domain, or for xl create",
        );
    };
    if server.start(&mut guest, DOMIDS[0], rings.0[0].1).is_err() {
        return (Reason::Crash, "a client in the image itself cannot be served");
    }
    if let Some(layers) = layers {
        modules::fuse(layers, server);
    }
    let khz = guest.khz();
    let guest = Rc::new(RefCell::new(guest));
    let client = |(page, port)| Client::new(End { page, port, guest: guest.clone() });
    let [dom0, other] = rings.0;
    // Its clients' buffers are much for the stack.
    let mut trial = Box::new(Trial {
        server,
        clients: [client(dom0), client(other)],
        host: Host::new(client((page, port))),
        console: Console { guest: guest.clone(), unread: Cell::new(false) },
        guest: guest.clone(),
        options,
    });
    let listening = trial.host.listen();
    trial.told(listening);
    trial.fact("state", &"running");
    trial.fact("version", &boot::NAME);
    trial.fact("xen", &format_args!("{}.{}", identity.version.0, identity.version.1));
    trial.fact("clock", &format_args!("{} MHz", khz / 1000));
    let (used, free) = memory::heap_usage();
    trial.fact("memory", &format_args!("{} KiB used, {} KiB free", used / 1024, free / 1024));
    trial.fact("room", &format_args!("{} nodes, {} domains", capacities.nodes, capacities.domains));
    trial.live()
}

impl Trial {
    fn live(&mut self) -> Ending {
        let verdict = self.try_store();
        self.fact("self-test", &verdict);
        if !verdict.is_good() {
            self.end("failed");
            return (Reason::Crash, "self-test: FAILED; do not let this store serve a host");
        }
        self.time_store();
        if self.options.dump {
            self.dump();
        }
        if self.options.stay {
            self.fact("state", &"staying");
            self.obey();
            self.end("stopped");
        } else {
            self.end("finished");
        }
        if self.host.client.reboots {
            (Reason::Reboot, "rebooting")
        } else {
            (Reason::PowerOff, "powering off")
        }
    }

    /// Does what is wished for, until that is the end.
    fn obey(&mut self) {
        loop {
            match self.host.next_wish() {
                Request::Dump => self.dump(),
                Request::Run => self.time_store(),
                Request::Stop => return,
                Request::Unknown => self.console.tell(format_args!("request: dump, run or stop is possible")),
            }
            let granted = self.host.granted();
            self.told(granted);
        }
    }

    fn end(&mut self, state: &str) {
        self.fact("state", &state);
        self.console.wait_until(console::is_read);
    }

    /// Says something on the console, and in the node of that name.
    fn fact(&mut self, name: &str, value: &dyn Display) {
        self.console.tell(format_args!("{name}: {value}"));
        let noted = self.host.note(name, format_args!("{value}"));
        self.told(noted);
    }

    /// How the host's store has answered.
    fn told(&self, answer: Answer<()>) {
        match answer {
            Ok(()) => {}
            Err(Failure::Refused(error)) => {
                self.console.tell(format_args!("the host's store refuses a request: {}", error.name()))
            }
            Err(Failure::Silent) => self.console.tell(format_args!("the host's store does not answer")),
        }
    }

    fn with_loopback(&mut self, work: &mut dyn FnMut(&mut Loopback<'_, End>, &Console)) {
        let Trial { server, guest, clients, console, .. } = self;
        let mut poll = || {
            if let Ok(mut guest) = guest.try_borrow_mut() {
                server.poll(&mut guest);
            }
        };
        work(&mut Loopback { clients, poll: &mut poll }, console)
    }

    fn try_store(&mut self) -> Verdict {
        let (spoilt, mut verdict) = (self.options.fail, Verdict::default());
        self.with_loopback(&mut |loopback, console| {
            verdict = selftest::run(loopback, spoilt, &mut |text| console.tell(text));
        });
        verdict
    }

    fn time_store(&mut self) {
        let (time, mut answer) = (u64::from(self.options.seconds) * SECOND, Err(Failure::Silent));
        self.with_loopback(&mut |loopback, _| answer = bench::run(loopback, time));
        match answer {
            Ok(figures) => {
                bench::MIXES.iter().zip(&figures).for_each(|(mix, figures)| self.fact(mix.name, figures))
            }
            Err(failure) => self.console.tell(format_args!("benchmark: FAILED: {failure}")),
        }
    }

    fn dump(&mut self) {
        let Trial { server, guest, console, .. } = self;
        let Some((started, khz)) = guest.try_borrow().ok().map(|guest| (guest.started(), guest.khz())) else {
            return;
        };
        server.dump_trace(started, khz, &mut |text| console.tell(text));
    }
}
