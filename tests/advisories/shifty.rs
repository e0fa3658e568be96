//! A hypervisor under which a guest rewrites its ring page whenever the server looks at it.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use xenstore::abi::{DomId, Port, RingPage};
use xenstore::platform::{
    Calls, Clock, Counters, Cycles, DomainInfo, DomainState, Event, EventChannels, Refused, RingMapper,
    Successor,
};

use support::FakeXen;

type Rewrite = Box<dyn FnMut(&RingPage)>;

/// What the guest does whenever the server looks.
pub type Hook = Rc<RefCell<Option<Rewrite>>>;

pub struct Shifty {
    pub xen: FakeXen,
    pub guest: DomId,
    pub hook: Hook,
}

pub struct ShiftyRing {
    page: Arc<RingPage>,
    hook: Option<Hook>,
}

impl Deref for ShiftyRing {
    type Target = RingPage;

    fn deref(&self) -> &RingPage {
        if let Some(rewrite) = self.hook.as_ref().and_then(|hook| hook.try_borrow_mut().ok()).as_mut()
            && let Some(rewrite) = rewrite.as_mut()
        {
            rewrite(&self.page);
        }
        &self.page
    }
}

impl EventChannels for Shifty {
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused> {
        self.xen.bind_interdomain(domid, remote)
    }
    fn take_pending(&mut self) -> Option<Event> {
        self.xen.take_pending()
    }
    fn notify(&mut self, local: Port) {
        self.xen.notify(local);
    }
    fn close(&mut self, local: Port) {
        self.xen.close(local);
    }
    fn mask(&mut self, local: Port) {
        self.xen.mask(local);
    }
    fn unmask(&mut self, local: Port) {
        self.xen.unmask(local);
    }
}

impl RingMapper for Shifty {
    type Ring = ShiftyRing;

    fn map(&mut self, domid: DomId) -> Result<ShiftyRing, Refused> {
        let hook = (domid == self.guest).then(|| self.hook.clone());
        Ok(ShiftyRing { page: self.xen.map(domid)?, hook })
    }
}

impl DomainInfo for Shifty {
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)> {
        self.xen.next_changed()
    }
    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        self.xen.state(domid)
    }
}

impl Clock for Shifty {
    fn cycles(&mut self) -> Cycles {
        self.xen.cycles()
    }
    fn started(&self) -> Cycles {
        self.xen.started()
    }
}

impl Successor for Shifty {}

impl Counters for Shifty {
    fn calls(&self) -> Calls {
        self.xen.calls()
    }
}
