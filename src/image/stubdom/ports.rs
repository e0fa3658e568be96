//! The format of event channels, chosen once at boot.
//!
//! init-xenstore-domain sets no limit for its domain (`max_evtchn_port` is -1), so there are as many ports as
//! the format has: 4095 that can be bound, or 131071.

use alloc::boxed::Box;
use core::mem::offset_of;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use xenstore::abi::fifo::{self, ControlBlock, EventPage, WORDS_PER_PAGE};
use xenstore::abi::shared_info::{SharedInfo, VcpuInfo};
use xenstore::cmdline::EventFormat;
use xenstore::evtchn::{Fifo, PendingPorts, TwoLevel};
use xenstore::layout;
use xenstore::server::sizing;

use crate::image::hole::SHARED_INFO_FRAME;
use crate::image::hypercall::Errno;
use crate::image::logger::say;
use crate::image::{events, fatal, low};

/// Which ports are pending, and how many pages that takes: none with 2-level bitmaps.
pub struct Ports {
    pub pending: Box<dyn PendingPorts>,
    pub pages: u32,
}

/// Sets up the requested format for ports below `ports`, or 2-level bitmaps if Xen has only these. As many pages as that
/// takes are kept at [`layout::EVENTS`].
pub fn set_up(wanted: EventFormat, shared: &'static SharedInfo, ports: usize) -> Ports {
    let pages = sizing::event_pages(ports) as u32;
    let refusal = match wanted {
        EventFormat::TwoLevel => None,
        EventFormat::Fifo => match set_up_fifo(pages) {
            Ok(()) => return adopt(shared, pages),
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
    adopt(shared, 0)
}

/// What is set up: FIFO channels with so many pages, or 2-level ones.
pub fn adopt(shared: &'static SharedInfo, pages: u32) -> Ports {
    if pages == 0 {
        return Ports { pending: Box::new(TwoLevel::new(shared)), pages };
    }
    let events = layout::EVENTS as *const EventPage;
    // SAFETY: so many pages are kept there and nowhere else referred to; their fields are atomic, and all zeros or what Xen
    // has made of that.
    let events = unsafe { core::slice::from_raw_parts(events, pages as usize) };
    let pending = Fifo::new(&shared.vcpu_info[0].evtchn_upcall_pending, control(), events);
    Ports { pending: Box::new(pending), pages }
}

/// Makes pages of events ready for [`add_page`].
pub fn clear_pages(pages: Range<u32>) {
    for page in pages {
        // SAFETY: the page is mapped and kept for this, and nothing refers to it yet.
        unsafe { core::ptr::write_bytes(event_page(page) as *mut u8, 0, layout::PAGE as usize) };
    }
}

/// Gives Xen this page of events, the first that it does not have.
pub fn add_page(page: u32) -> Result<(), Errno> {
    // SAFETY: the frame is kept for these events.
    unsafe { events::expand_array(event_page(page) / layout::PAGE) }
}

fn event_page(page: u32) -> u64 {
    layout::EVENTS + u64::from(page) * layout::PAGE
}

/// The address of the word in which Xen says of which events it has told, with so many pages of them.
pub fn told(pages: u32) -> u64 {
    let shared = (SHARED_INFO_FRAME << 12) + offset_of!(SharedInfo, vcpu_info) as u64;
    if pages == 0 { shared + offset_of!(VcpuInfo, evtchn_pending_sel) as u64 } else { low::CONTROL }
}

/// As if Xen told of events in each queue or word: it has done so already of those that are there.
pub fn look_at_all(pages: u32) {
    let all = if pages == 0 { u64::MAX } else { (1 << fifo::QUEUES) - 1 };
    // SAFETY: mapped, and written to by others as a whole or as one half, which is what atomics are for.
    unsafe { &*(told(pages) as *const AtomicU64) }.fetch_or(all, Ordering::SeqCst);
}

fn control() -> &'static ControlBlock {
    // SAFETY: the page is kept for it; all zeros are a control block, and its fields are atomic.
    unsafe { &*(low::CONTROL as *const ControlBlock) }
}

fn set_up_fifo(pages: u32) -> Result<(), Errno> {
    clear_pages(0..pages);
    // SAFETY: the page is mapped and kept for the control block, and nothing refers to it yet.
    unsafe { core::ptr::write_bytes(low::CONTROL as *mut u8, 0, layout::PAGE as usize) };
    // SAFETY: the frame is kept for the control block.
    unsafe { events::init_control(low::CONTROL / layout::PAGE, 0) }?;
    for page in 0..pages {
        fatal::unless("no room for event channels", add_page(page));
    }
    say!(Info, "event channels: FIFO, {} ports", pages as usize * WORDS_PER_PAGE);
    Ok(())
}
