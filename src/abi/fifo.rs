//! What Xen and a guest share for FIFO event channels (event_channel.h, "FIFO ABI").
//!
//! Xen writes both structures from other processors at any time, so every field is atomic. It keeps their
//! pages mapped, so they must stay where they are.

use core::mem::{offset_of, size_of};
use core::sync::atomic::AtomicU32;

/// Event queues, one for each priority, `EVTCHN_FIFO_MAX_QUEUES`.
pub const QUEUES: usize = 16;

/// Event words in a page.
pub const WORDS_PER_PAGE: usize = 4096 / size_of::<AtomicU32>();

/// Bit of an event word: an event is pending, `EVTCHN_FIFO_PENDING`.
pub const PENDING: u32 = 1 << 31;
/// Bit of an event word: events are not reported, `EVTCHN_FIFO_MASKED`.
pub const MASKED: u32 = 1 << 30;
/// Bit of an event word: the port is in a queue, `EVTCHN_FIFO_LINKED`.
pub const LINKED: u32 = 1 << 29;
/// Bits of an event word: the next port in the queue, 0 for none, `EVTCHN_FIFO_LINK_MASK`.
pub const LINK: u32 = (1 << 17) - 1;

/// Where the queues of one vCPU begin, `struct evtchn_fifo_control_block`. Aligned so that it lies within
/// one page, as Xen wants it.
#[repr(C, align(128))]
pub struct ControlBlock {
    /// A bit for each queue that was empty and is not any more.
    pub ready: AtomicU32,
    reserved: u32,
    /// The first port of each queue at the moment when its bit in `ready` was set. Xen does not read it.
    pub head: [AtomicU32; QUEUES],
}

const _: () = assert!(offset_of!(ControlBlock, ready) == 0);
const _: () = assert!(offset_of!(ControlBlock, head) == 8);

impl ControlBlock {
    /// All queues empty.
    pub const fn new() -> Self {
        ControlBlock { ready: AtomicU32::new(0), reserved: 0, head: [const { AtomicU32::new(0) }; QUEUES] }
    }
}

impl Default for ControlBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// One page of the event array: a word for each of so many ports.
#[repr(C, align(4096))]
pub struct EventPage(pub [AtomicU32; WORDS_PER_PAGE]);

const _: () = assert!(size_of::<EventPage>() == 4096);

impl EventPage {
    /// No events, and none masked.
    pub const fn new() -> Self {
        EventPage([const { AtomicU32::new(0) }; WORDS_PER_PAGE])
    }
}

impl Default for EventPage {
    fn default() -> Self {
        Self::new()
    }
}
