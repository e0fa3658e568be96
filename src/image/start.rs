//! From the first Rust instruction to the main loop (arch-x86/hvm/start_info.h).

use alloc::boxed::Box;

use log::LevelFilter;
use xenstore::abi::console::ConsolePage;
use xenstore::abi::hvm::{HvmParam, StartInfo};
use xenstore::abi::{DomId, Port};
use xenstore::cmdline::{self, Options};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Cycles;
use xenstore::server::Server;

use super::fatal::{self, Reason};
use super::platform::{Guest, OwnRing};
use super::segments::UPCALL_VECTOR;
use super::xen::{self, Xen};
use super::{console, cpu, logger, memory, paging, ports, seed, segments};

const NAME: &str = concat!(env!("CARGO_BIN_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// Heap that the server's capacities leave free: the server itself, alignment, boot's own needs.
const HEAP_RESERVE: usize = 64 * 1024;

/// Longest command line, without its end. Xen's own limit is 511 bytes.
const COMMAND_LINE: usize = 4095;

/// Called by boot/entry.s with the address of the loader's [`StartInfo`].
pub extern "C" fn start(start_info: *const StartInfo) -> ! {
    let started = Cycles(cpu::tsc());
    segments::load();
    let Some(xen) = xen::detect() else {
        console::add_serial();
        fatal::stop(
            Reason::PowerOff,
            format_args!(
                "{NAME}: Xen is not here; this is the kernel for init-xenstore-domain on a Xen host"
            ),
        );
    };
    console::on_xen();
    let console_port = attach_console();
    let (own, version) = introduce(&xen);

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
    let shared = fatal::unless("the shared page cannot be mapped", memory::map_shared_info());
    // SAFETY: `segments::load` made the vector's gate, and this is 64-bit code.
    fatal::unless("upcalls cannot be delivered", unsafe { xen::deliver_upcalls(UPCALL_VECTOR) });

    let own_ring = OwnRing { domid: own, page: param(HvmParam::StorePfn).map(frame) };
    let ports = ports::set_up(options.event_format, shared, capacities(&options, ram).ports());
    let mut guest = Guest::new(ports, own_ring, version, console_port, started);

    let capacities = capacities(&options, ram);
    let settings = Settings { log: options.log_level == LevelFilter::Trace, ..options.settings };
    // Never freed, so that the trace can be printed when all else has failed.
    let server: *mut Server<Guest> =
        Box::into_raw(Box::new(Server::new(settings, &capacities, seed::seed(shared))));
    // SAFETY: just allocated and never freed. The trace is looked at only after serving has stopped for ever,
    // when nothing uses the mutable reference any more.
    let server = unsafe {
        fatal::remember(server);
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

/// Sets the console ring up as early as can be. Without one there is still port 0xE9.
fn attach_console() -> Option<Port> {
    let page = param(HvmParam::ConsolePfn)?;
    let port = Port(param(HvmParam::ConsoleEvtchn)? as u32);
    let page: *const ConsolePage = frame(page);
    // SAFETY: Xen populated the frame as the console page; it stays mapped, see `claim_memory`.
    console::add_ring(unsafe { &*page }, port);
    Some(port)
}

/// Says who is here, and finds out our own domid.
fn introduce(xen: &Xen) -> (DomId, (u32, u32)) {
    let version = (xen.major, xen.minor);
    let Some(own) = xen.domid else {
        fatal::stop(
            Reason::Crash,
            format_args!("{NAME}: Xen {}.{} is too old, 4.17 is needed", xen.major, xen.minor),
        );
    };
    console::line(format_args!("{NAME}: domain {own} on Xen {}.{}", xen.major, xen.minor));
    (own, version)
}

/// Reads the command line and makes the logger ready.
fn read_options(start_info: *const StartInfo) -> Options {
    // SAFETY: the loader leaves the structure at this address, and nothing has been written since.
    let info = unsafe { start_info.read() };
    if info.magic != StartInfo::MAGIC {
        fatal::stop(
            Reason::Crash,
            format_args!("not started as a PVH guest: bad start info magic {:#x}", info.magic),
        );
    }
    let line = if info.cmdline_paddr == 0 {
        &[][..]
    } else {
        // SAFETY: the loader's command line ends with NUL; addresses are mapped one to one below 4 GiB,
        // and reading where there is no memory has no effect.
        let bytes = unsafe { core::slice::from_raw_parts(info.cmdline_paddr as *const u8, COMMAND_LINE) };
        bytes.split(|&byte| byte == 0).next().unwrap_or_default()
    };
    let options = cmdline::parse(line, |problem| console::line(format_args!("{problem}")));
    logger::install(options.log_level);
    if info.nr_modules != 0 {
        log::warn!("{} boot modules are ignored", info.nr_modules);
    }
    options
}

/// Counts RAM, fixes the page tables, and makes a heap of what is free. The result is RAM, bytes.
fn claim_memory() -> usize {
    const LEAST: u64 = 3 << 20;
    let ram_end = fatal::unless("RAM cannot be counted", memory::ram_end());
    if ram_end < LEAST {
        fatal::stop(
            Reason::Crash,
            format_args!("too little memory: {} KiB of RAM, raise --memory", ram_end / 1024),
        );
    }
    if !memory::is_ram_before(ram_end) {
        fatal::stop(Reason::Crash, format_args!("RAM ends before {ram_end:#x}, where Xen says it ends"));
    }
    let mut special = [0; 2];
    for (frame, which) in special.iter_mut().zip([HvmParam::ConsolePfn, HvmParam::StorePfn]) {
        *frame = param(which).unwrap_or(0);
    }
    let free = paging::protect(ram_end, &special);
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

/// A parameter of our domain, `None` if there is no such thing.
fn param(which: HvmParam) -> Option<u64> {
    xen::param(which).ok()
}

/// The address of a guest frame.
fn frame<T>(number: u64) -> *const T {
    (number << 12) as *const T
}
