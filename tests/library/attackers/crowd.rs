//! Guests that attack, each on a thread of its own that runs only in its turn: what happens depends on the seed alone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use support::Host;
use xenstore::abi::{DomId, RingPage};
use xenstore::client::{Client, Machine};
use xenstore::roles::{Domain, Guest, Role};

/// What a guest tells when its turn ends.
struct Rest {
    /// It has nothing to do until it is notified, or until this moment, nanoseconds.
    until: u64,
    /// It has notified the server.
    kicked: bool,
}

/// The domain that an attacker's thread is in.
pub struct Seat {
    page: Arc<RingPage>,
    now: u64,
    kicked: bool,
    turns: Receiver<u64>,
    rests: SyncSender<Rest>,
}

impl Machine for Seat {
    fn page(&self) -> &RingPage {
        &self.page
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn notify(&mut self) {
        self.kicked = true;
    }

    /// Ends the turn. When there are no more, this is the thread's end.
    fn wait(&mut self, until: u64) {
        let rest = Rest { until, kicked: std::mem::take(&mut self.kicked) };
        let next = self.rests.send(rest).ok().and_then(|()| self.turns.recv().ok());
        self.now = next.unwrap_or_else(|| std::panic::resume_unwind(Box::new("the scene is over")));
    }
}

impl Domain for Seat {
    /// The port is Xen's to keep here; what is left of it is the notification.
    fn rebind(&mut self) -> bool {
        self.notify();
        true
    }
}

pub struct Attacker {
    domid: u16,
    until: u64,
    /// None when it is over.
    turns: Option<SyncSender<u64>>,
    rests: Receiver<Rest>,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// A guest that is introduced, and lives this role from its first turn on.
    pub fn new(host: &mut Host, domid: u16, role: &'static Role<Seat>, seed: u64) -> Attacker {
        let page = host.client(domid).page.clone();
        let (turns, next) = sync_channel(1);
        let (told, rests) = sync_channel(1);
        let seat = Seat { page, now: 0, kicked: false, turns: next, rests: told };
        let live = move || {
            let mut guest = Guest::new(Client::new(seat), DomId(domid), seed);
            loop {
                guest.client.machine.wait(0);
                guest.live(role);
            }
        };
        let thread = std::thread::spawn(live);
        let mut attacker = Attacker { domid, until: 0, turns: Some(turns), rests, thread: Some(thread) };
        attacker.rest(host);
        attacker
    }

    /// Has it go on until it waits for something, if it does not wait already.
    pub fn take_turn(&mut self, host: &mut Host) {
        let notified = host.take_notified(self.domid) > 0;
        if notified || host.xen.now.0 >= self.until {
            let turns = self.turns.as_ref().expect("it is there");
            turns.send(host.xen.now.0).unwrap_or_else(|_| panic!("attacker {} has failed", self.domid));
            self.rest(host);
        }
    }

    fn rest(&mut self, host: &mut Host) {
        let rest = self.rests.recv().unwrap_or_else(|_| panic!("attacker {} has failed", self.domid));
        self.until = rest.until;
        if rest.kicked {
            host.xen.kick(DomId(self.domid));
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.turns = None;
        // It ends by unwinding.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
