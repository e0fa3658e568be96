//! What each start comes to, whether another image went before or not: memory, a server in it, and the main loop.

use alloc::boxed::Box;
use core::ops::Range;

use log::LevelFilter;
use xenstore::cmdline::Options;
use xenstore::config::{Capacities, Settings};
use xenstore::layout;
use xenstore::server::{Server, sizing};

use super::platform::Guest;
use super::{last_words, seed};
use crate::image::boot;
use crate::image::fatal::{self, Reason};
use crate::image::logger::say;
use crate::image::paging::Kept;
use crate::image::{low, memory};

/// Counts RAM, fixes the page tables, and makes a heap of what is free. The result is RAM, bytes. An image that takes over
/// keeps so many pages of event channels, and all before an address, and `lodge` is told of the heap before anything is there.
pub fn claim_memory(kept: Option<(u32, u64)>, lodge: impl FnOnce(&Range<u64>)) -> usize {
    const LEAST: u64 = 3 << 20;
    let (ram_end, free) = boot::claim_memory(LEAST, |ram_end| {
        let (pages, end) = kept.unwrap_or_else(|| (pave(ram_end), 0));
        let (_, heap_start) = layout::kept(ram_end);
        Kept { low_end: layout::EVENTS + u64::from(pages) * layout::PAGE, heap_start: heap_start.max(end) }
    });
    let size = free.end - free.start;
    lodge(&free);
    // SAFETY: `protect` has just mapped this range, which is RAM behind the image and below it. The start
    // info and the command line, which lie there, have been read.
    unsafe { memory::init_heap(free) };
    if kept.is_none() {
        say!(Info, "{} KiB of RAM, {} KiB of heap", ram_end / 1024, size / 1024);
    }
    ram_end as usize
}

/// Makes the way for images that take over. The result is the most pages of event channels that the store can need.
fn pave(ram_end: u64) -> u32 {
    boot::check_ram(ram_end);
    // SAFETY: everything is still mapped for writing, and nothing that the first pages hold is needed any more.
    unsafe { low::pave() };
    sizing::most_event_pages(ram_end as usize) as u32
}

/// What the server can have of what is free of the heap.
#[inline(never)]
pub fn capacities(options: &Options, ram: usize) -> Capacities {
    let (_, free) = memory::heap_usage();
    let memory = free.saturating_sub(layout::RESERVE as usize);
    let trace = options.trace_size.map_or(Capacities::default_trace(ram), |kib| kib as usize * 1024);
    sizing::capacities_for(memory, trace).unwrap_or_else(|| {
        fatal::stop(
            Reason::Crash,
            format_args!(
                "too little memory: {} KiB are left for the store beside {} KiB of trace, {} KiB are needed; \
                 raise --memory",
                memory.saturating_sub(trace) / 1024,
                trace / 1024,
                Capacities::MIN_MEMORY / 1024
            ),
        )
    })
}

/// The server, of all the memory that is left.
#[inline(never)]
pub fn new_server(options: &Options, ram: usize) -> (&'static mut Server<Guest>, Capacities) {
    let capacities = capacities(options, ram);
    let settings = Settings { log: options.log_level == LevelFilter::Trace, ..options.settings };
    // Never freed, so that the trace can be printed when all else has failed.
    let server: *mut Server<Guest> =
        Box::into_raw(Box::new(Server::new(settings, &capacities, seed::present())));
    // SAFETY: just allocated and never freed. The trace is looked at only after serving has stopped for ever,
    // when nothing uses the mutable reference any more.
    let server = unsafe {
        last_words::remember(server);
        &mut *server
    };
    (server, capacities)
}
