//! A guest like Linux on another processor. It writes a request in two pieces, and notifies if it sees the ring empty,
//! without waiting for its own index to be visible. The server must not sleep while a request is in the ring.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant as Moment};

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
};
use xenstore::server::Server;
use xenstore::wire::{Header, MessageType, TxId};

/// A host with dom0 only.
struct Machine {
    page: Arc<RingPage>,
    event: Arc<AtomicBool>,
}

impl EventChannels for Machine {
    fn bind_interdomain(&mut self, _: DomId, _: Port) -> Result<Port, Refused> {
        Ok(Port(1))
    }
    fn take_pending(&mut self) -> Option<Event> {
        self.event.swap(false, SeqCst).then_some(Event::Ring(Port(1)))
    }
    /// As long as a hypercall at least.
    fn notify(&mut self, _: Port) {
        let begin = Moment::now();
        while begin.elapsed() < Duration::from_nanos(500) {}
    }
    fn close(&mut self, _: Port) {}
}

impl RingMapper for Machine {
    type Ring = Arc<RingPage>;
    fn map(&mut self, _: DomId) -> Result<Arc<RingPage>, Refused> {
        Ok(self.page.clone())
    }
}

impl DomainInfo for Machine {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        None
    }
    fn state(&mut self, _: DomId) -> Option<DomainState> {
        Some(DomainState { shutdown: false, dead: false, unique_id: 1 })
    }
}

impl Clock for Machine {
    fn cycles(&mut self) -> Cycles {
        Cycles(1)
    }
    fn started(&self) -> Cycles {
        Cycles(1)
    }
}

impl Counters for Machine {
    fn calls(&self) -> Calls {
        Calls::default()
    }
}

/// One piece of a request, which fits.
fn write(page: &RingPage, event: &AtomicBool, bytes: &[u8]) {
    let prod = page.req_prod.load(Relaxed);
    for (n, byte) in bytes.iter().enumerate() {
        let position = prod.wrapping_add(n as u32) as usize % 1024;
        let mut word = page.req[position / 8].load(Relaxed).to_le_bytes();
        word[position % 8] = *byte;
        page.req[position / 8].store(u64::from_le_bytes(word), Relaxed);
    }
    page.req_prod.store(prod.wrapping_add(bytes.len() as u32), Release);
    if prod.wrapping_sub(page.req_cons.load(Relaxed)) as i32 <= 0 {
        event.store(true, SeqCst);
    }
}

#[test]
fn a_guest_like_linux_is_never_left_waiting() {
    const REQUESTS: u32 = 300_000;
    let page = Arc::new(RingPage::new());
    let event = Arc::new(AtomicBool::new(false));
    let mut machine = Machine { page: page.clone(), event: event.clone() };
    let mut server: Server<Machine> = Server::new(Settings::DEFAULT, &Capacities::for_nodes(1000), 1);
    server.start(&mut machine, DomId(0), Port(1)).expect("dom0 connects");
    // The request that the guest has written in full, and announced if it wants to; 0 while it writes.
    let waits_for = AtomicU32::new(0);
    let lost = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let guest = scope.spawn(|| {
            // With fewer than two processors this takes long and tests little.
            let begin = Moment::now();
            for n in (1..=REQUESTS)
                .take_while(|_| lost.load(Relaxed) == 0 && begin.elapsed() < Duration::from_secs(4))
            {
                let header =
                    Header { msg_type: MessageType::Read as u32, req_id: n, tx_id: TxId::NONE, len: 2 };
                let before = page.rsp_prod.load(Relaxed);
                write(&page, &event, &header.emit());
                write(&page, &event, b"/\0");
                waits_for.store(n, SeqCst);
                while page.rsp_prod.load(Acquire) == before && lost.load(Relaxed) == 0 {
                    std::thread::yield_now();
                }
                waits_for.store(0, SeqCst);
                page.rsp_cons.store(page.rsp_prod.load(Relaxed), Release);
            }
        });
        while !guest.is_finished() {
            let waiting = waits_for.load(SeqCst);
            if event.load(SeqCst) {
                server.poll(&mut machine);
            } else if waiting != 0 && page.req_prod.load(SeqCst) != page.req_cons.load(SeqCst) {
                // Unless it has been answered meanwhile, and the next one is being written.
                if waiting == waits_for.load(SeqCst) {
                    lost.store(waiting, SeqCst);
                }
            }
        }
    });
    assert_eq!(lost.into_inner(), 0, "asleep on this request");
}
