//! From the first Rust instruction to the main loop (arch-x86/hvm/start_info.h).

use alloc::boxed::Box;

use log::LevelFilter;
use xenstore::abi::Port;
use xenstore::abi::hvm::StartInfo;
use xenstore::abi::shared_info::SharedInfo;
use xenstore::cmdline::{self, Options};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Cycles;
use xenstore::server::{Server, sizing};

use super::platform::Guest;
use super::standalone::Rings;
use super::{last_words, ports, seed, service, standalone};
use crate::image::boot;
use crate::image::fatal::{self, Reason};
use crate::image::logger::say;
use crate::image::{console, cpu, logger, memory};

/// Heap that the server's capacities leave free: the server itself, alignment, boot's own needs.
const HEAP_RESERVE: usize = 64 * 1024;

/// Called by boot/entry.s with the address of the loader's [`StartInfo`].
pub extern "C" fn start(start_info: *const StartInfo) -> ! {
    let started = Cycles(cpu::tsc());
    let identity = boot::meet_xen("the kernel for init-xenstore-domain, or for xl create, on a Xen host");

    let options = read_options(start_info);
    let ram = claim_memory();
    let shared = boot::open_events();

    let mut ports = ports::set_up(options.event_format, shared, sizing::ports(&capacities(&options, ram)));
    if let Some(console) = identity.console {
        // Whether somebody reads it is not worth waking up for.
        ports.mask(console);
    }
    let Some(event) = options.event else {
        let rings = Rings::new(&mut *ports);
        let guest = Guest::new(ports, identity.domid, rings.pages(), started);
        if options.log_level < LevelFilter::Trace {
            console::booted();
        }
        let (server, capacities) = new_server(&options, ram, shared);
        let (reason, words) =
            standalone::run(server, &capacities, guest, &rings, &identity, options.standalone);
        fatal::stop(reason, format_args!("{words}"));
    };
    let own_page = boot::store_page().map(|page| (identity.domid, page));
    let guest = Guest::new(ports, identity.domid, own_page.into_iter().collect(), started);
    // Never freed, and not on the stack, so that it outlives a fault.
    let guest = Box::leak(Box::new(guest));
    guest.learn_of_domains(identity.version);
    let (server, _) = new_server(&options, ram, shared);
    serve(server, guest, &options, event)
}

/// The server, of all the memory that is left.
#[inline(never)]
fn new_server(
    options: &Options,
    ram: usize,
    shared: &SharedInfo,
) -> (&'static mut Server<Guest>, Capacities) {
    let capacities = capacities(options, ram);
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
    (server, capacities)
}

/// Takes up dom0's connection, ours if there is one, and then whatever comes.
fn serve(server: &'static mut Server<Guest>, guest: &'static mut Guest, options: &Options, event: Port) -> ! {
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
    if let Some(port) = boot::store_port() {
        let own = guest.own_domid();
        if server.start_own(guest, own, port).is_err() {
            say!(Warn, "domain {own}, our own, is not served");
        }
    }
    let (used, free) = memory::heap_usage();
    say!(Info, "serving; heap {} KiB used, {} KiB free", used / 1024, free / 1024);
    if options.log_level < LevelFilter::Trace {
        console::booted();
    }
    if options.allow_fault {
        server.allow_faults(service::have);
    }
    service::serve(server, guest, options.restarts)
}

/// Reads the command line and makes the logger ready.
fn read_options(start_info: *const StartInfo) -> Options {
    let (line, modules) = boot::command_line(start_info);
    let mut understood = true;
    let options = cmdline::parse(line, |problem| {
        console::line(format_args!("{problem}"));
        understood = false;
    });
    if options.event.is_none() && !understood {
        fatal::stop(Reason::PowerOff, format_args!("nothing was run; powering off"));
    }
    logger::install(options.log_level);
    if modules != 0 {
        say!(Warn, "{modules} boot modules are ignored");
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
    say!(Info, "{} KiB of RAM, {} KiB of heap", ram_end / 1024, size / 1024);
    ram_end as usize
}

/// What the server can have of what is free of the heap.
#[inline(never)]
fn capacities(options: &Options, ram: usize) -> Capacities {
    let (_, free) = memory::heap_usage();
    let memory = free.saturating_sub(HEAP_RESERVE);
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
