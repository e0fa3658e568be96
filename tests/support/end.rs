//! A domain's end of its ring for the library's own client, on a [`Host`] in memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use xenstore::abi::{DomId, RingPage};
use xenstore::client::Machine;
use xenstore::platform::{Clock, Instant};
use xenstore::roles::Domain;

use super::Host;

pub struct End {
    pub host: Rc<RefCell<Host>>,
    pub domid: DomId,
    pub page: Arc<RingPage>,
    /// How often the server was notified.
    pub notifications: u32,
    /// How many waits the server sleeps through.
    pub asleep: u32,
}

impl End {
    pub fn new(host: &Rc<RefCell<Host>>, domid: DomId) -> End {
        let page = host.borrow_mut().client(domid.0).page.clone();
        End { host: host.clone(), domid, page, notifications: 0, asleep: 0 }
    }
}

impl Machine for End {
    fn page(&self) -> &RingPage {
        &self.page
    }

    fn now(&self) -> u64 {
        self.host.borrow_mut().xen.cycles().0
    }

    fn notify(&mut self) {
        self.notifications += 1;
        self.host.borrow_mut().xen.kick(self.domid);
    }

    /// Lets the server work. If it does not notify, time passes up to `deadline`.
    fn wait(&mut self, deadline: u64) {
        let mut host = self.host.borrow_mut();
        host.take_notified(self.domid.0);
        if self.asleep > 0 {
            self.asleep -= 1;
        } else {
            host.poll();
        }
        if host.take_notified(self.domid.0) == 0 {
            host.xen.now = Instant(deadline);
        }
    }
}

impl Domain for End {
    /// The port is the fake Xen's to keep.
    fn rebind(&mut self) -> bool {
        self.notify();
        true
    }
}
