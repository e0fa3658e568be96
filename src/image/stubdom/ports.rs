//! The format of event channels, chosen once at boot.
//!
//! init-xenstore-domain sets no limit for its domain (`max_evtchn_port` is -1), so there are as many ports as
//! the format has: 4095 that can be bound, or 131071.

use alloc::boxed::Box;
use alloc::vec::Vec;

use xenstore::abi::fifo::{ControlBlock, EventPage, WORDS_PER_PAGE};
use xenstore::abi::shared_info::SharedInfo;
use xenstore::cmdline::EventFormat;
use xenstore::evtchn::{Fifo, PendingPorts, TwoLevel};

use crate::image::hypercall::Errno;
use crate::image::logger::say;
use crate::image::{events, fatal, paging};

static CONTROL: ControlBlock = ControlBlock::new();

/// Sets up the requested format for ports below `ports`, or 2-level bitmaps if Xen has only these.
pub fn set_up(wanted: EventFormat, shared: &'static SharedInfo, ports: usize) -> Box<dyn PendingPorts> {
    let refusal = match wanted {
        EventFormat::TwoLevel => None,
        EventFormat::Fifo => match set_up_fifo(shared, ports) {
            Ok(fifo) => return Box::new(fifo),
            Err(error) => Some(error),
        },
    };
    match refusal {
        None => say!(Info, "event channels: 2-level, {} ports, as asked for", TwoLevel::PORTS),
        Some(error) => say!(Info, "event channels: 2-level, {} ports; FIFO: {error}", TwoLevel::PORTS),
    }
    if ports > TwoLevel::PORTS {
        say!(Warn, "event channels: not every domain that there is memory for can have one");
    }
    Box::new(TwoLevel::new(shared))
}

fn set_up_fifo(shared: &'static SharedInfo, ports: usize) -> Result<Fifo<'static>, Errno> {
    let (frame, offset) = paging::place_of(&raw const CONTROL);
    // SAFETY: the control block is static, and all its fields are atomic.
    unsafe { events::init_control(frame, offset) }?;
    let pages = (0..ports.div_ceil(WORDS_PER_PAGE)).map(|_| EventPage::new()).collect::<Vec<_>>().leak();
    for page in &*pages {
        let (frame, _) = paging::place_of(page);
        // SAFETY: the page is never freed, and all its fields are atomic.
        fatal::unless("no room for event channels", unsafe { events::expand_array(frame) });
    }
    say!(Info, "event channels: FIFO, {} ports", pages.len() * WORDS_PER_PAGE);
    Ok(Fifo::new(&shared.vcpu_info[0].evtchn_upcall_pending, &CONTROL, pages))
}
