//! From the first Rust instruction to the main loop (arch-x86/hvm/start_info.h).

use alloc::boxed::Box;

use log::LevelFilter;
use xenstore::abi::Port;
use xenstore::abi::hvm::{HvmParam, StartInfo};
use xenstore::cmdline::{self, Options};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Cycles;
use xenstore::server::Server;

use super::platform::{Guest, OwnRing};
use super::{last_words, ports, seed};
use crate::image::boot::{self, param};
use crate::image::fatal::{self, Reason};
use crate::image::{console, cpu, logger, memory};

/// Heap that the server's capacities leave free: the server itself, alignment, boot's own needs.
const HEAP_RESERVE: usize = 64 * 1024;

/// Called by boot/entry.s with the address of the loader's [`StartInfo`].
pub extern "C" fn start(start_info: *const StartInfo) -> ! {
    let started = Cycles(cpu::tsc());
    let identity = boot::meet_xen("the kernel for init-xenstore-domain on a Xen host");

    let options = read_options(start_info);
    let Some(event) = options.event else {
        fatal::stop(
            Reason::PowerOff,
            format_args!(
                "no --event N: only init-xenstore-domain makes a domain the host's xenstore; powering off"
            ),
        );
    };

    let ram = claim_memory();
    let shared = boot::open_events();

    let own_ring = OwnRing { domid: identity.domid, page: param(HvmParam::StorePfn).map(boot::frame) };
    let ports = ports::set_up(options.event_format, shared, capacities(&options, ram).ports());
    let mut guest = Guest::new(ports, own_ring, identity.version, identity.console, started);

    let capacities = capacities(&options, ram);
    let settings = Settings { log: options.log_level == LevelFilter::Trace, ..options.settings };
    // Never freed, so that the trace can be printed when all else has failed.
    let server: *mut Server<Guest> =
        Box::into_raw(Box::new(Server::new(settings, &capacities, seed::seed(shared))));
    // SAFETY: just allocated and never freed. The trace is looked at only after serving has stopped for ever,
    // when nothing uses the mutable reference any more.
    let server = unsafe {
        last_words::remember(server);
        &mut *server
    };
    serve(server, &mut guest, &options, event)
}

/// Takes up dom0's connection, ours if there is one, and then whatever comes.
fn serve(server: &mut Server<Guest>, guest: &mut Guest, options: &Options, event: Port) -> ! {
    let priv_domid = options.priv_domid;
    if server.start(guest, priv_domid, event).is_err() {
        fatal::stop(
            Reason::Crash,
            format_args!(
                "domain {priv_domid} cannot be served: its ring page or port {} is refused",
                event.0
            ),
        );
    }
    if let Some(port) = param(HvmParam::StoreEvtchn).filter(|&port| port != 0) {
        let own = guest.own_domid();
        if server.start_own(guest, own, Port(port as u32)).is_err() {
            log::warn!("domain {own}, our own, is not served");
        }
    }
    let (used, free) = memory::heap_usage();
    log::info!("serving; heap {} KiB used, {} KiB free", used / 1024, free / 1024);
    if options.log_level < LevelFilter::Trace {
        console::booted();
    }
    loop {
        let deadline = server.poll(guest);
        guest.idle(deadline);
    }
}

/// Reads the command line and makes the logger ready.
fn read_options(start_info: *const StartInfo) -> Options {
    let (line, modules) = boot::command_line(start_info);
    let options = cmdline::parse(line, |problem| console::line(format_args!("{problem}")));
    logger::install(options.log_level);
    if modules != 0 {
        log::warn!("{modules} boot modules are ignored");
    }
    options
}

/// Counts RAM, fixes the page tables, and makes a heap of what is free. The result is RAM, bytes.
fn claim_memory() -> usize {
    const LEAST: u64 = 3 << 20;
    let (ram_end, free) = boot::claim_memory(LEAST);
    let size = free.end - free.start;
    // SAFETY: `protect` has just mapped this range, which is RAM behind the image and below it. The start
    // info and the command line, which lie there, have been read.
    unsafe { memory::init_heap(free) };
    log::info!("{} KiB of RAM, {} KiB of heap", ram_end / 1024, size / 1024);
    ram_end as usize
}

/// What the server can have of what is free of the heap.
fn capacities(options: &Options, ram: usize) -> Capacities {
    let (_, free) = memory::heap_usage();
    let memory = free.saturating_sub(HEAP_RESERVE);
    let trace = options.trace_size.map_or(Capacities::default_trace(ram), |kib| kib as usize * 1024);
    Capacities::for_memory(memory, trace).unwrap_or_else(|| {
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
