//! From the first Rust instruction to the main loop (arch-x86/hvm/start_info.h).

use alloc::boxed::Box;

use log::LevelFilter;
use xenstore::abi::Port;
use xenstore::abi::hvm::StartInfo;
use xenstore::cmdline::{self, Options, Problem};
use xenstore::config::Settings;
use xenstore::platform::Cycles;
use xenstore::server::{Server, sizing};

use super::life::{capacities, claim_memory, new_server};
use super::modules::{self, Lodged};
use super::platform::Guest;
use super::standalone::Rings;
use super::{hand_over, ports, seed, service, standalone, take_over};
use crate::image::boot;
use crate::image::fatal::{self, Reason};
use crate::image::logger::say;
use crate::image::{console, cpu, logger, low, memory};

/// Called by boot/entry.s with the address of the loader's [`StartInfo`].
pub extern "C" fn start(start_info: *const StartInfo) -> ! {
    let mut started = Cycles(0);
    match hand_over::found(start_info) {
        // It is told when the first image was.
        Some(record) => take_over::begin(record),
        None => started = Cycles(cpu::tsc()),
    }
    let identity = boot::meet_xen("the kernel for init-xenstore-domain, or for xl create, on a Xen host");

    let options = read_options(start_info);
    if let Some(record) = hand_over::found(start_info) {
        take_over::run(record, &identity, &options)
    }
    let module = modules::first(start_info);
    let mut lodged = None;
    let ram = claim_memory(None, |heap| {
        // SAFETY: what the loader has left beside the module has been read, and the heap does not begin before this.
        lodged = module.clone().map(|module| unsafe { modules::lodge(module, heap) });
    });
    let shared = boot::open_events(false);

    let mut ports = ports::set_up(options.event_format, shared, sizing::ports(&capacities(&options, ram)));
    if let Some(console) = identity.console {
        // Whether somebody reads it is not worth waking up for.
        ports.pending.mask(console);
    }
    let Some(event) = options.event else {
        let rings = Rings::new(&mut *ports.pending);
        let guest = Guest::new(ports, identity.domid, rings.pages(), started);
        if options.log_level < LevelFilter::Trace {
            console::booted();
        }
        seed::set(seed::seed(shared));
        // Its clients are in this image, and nobody waits for what they leave of the processor.
        let settings = Settings { budget: 0, ..options.settings };
        let standalone = options.standalone;
        let (server, capacities) = new_server(&Options { settings, ..options }, ram);
        let (reason, words) =
            standalone::run(server, &capacities, guest, &rings, &identity, standalone, lodged);
        fatal::stop(reason, format_args!("{words}"));
    };
    let own_page = boot::store_page().map(|page| (identity.domid, page));
    let guest = Guest::new(ports, identity.domid, own_page.into_iter().collect(), started);
    // Never freed, and not on the stack, so that it outlives a fault.
    let guest = Box::leak(Box::new(guest));
    guest.learn_of_domains(identity.version);
    seed::set(seed::seed(shared));
    let (server, _) = new_server(&options, ram);
    serve(server, guest, &options, event, lodged)
}

/// Takes up dom0's connection, ours if there is one, and then whatever comes.
fn serve(
    server: &'static mut Server<Guest>,
    guest: &'static mut Guest,
    options: &Options,
    event: Port,
    layers: Option<Option<Lodged>>,
) -> ! {
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
    if let Some(layers) = layers {
        modules::fuse(layers, server);
    }
    let (used, free) = memory::heap_usage();
    say!(Info, "serving; heap {} KiB used, {} KiB free", used / 1024, free / 1024);
    if options.log_level < LevelFilter::Trace {
        console::booted();
    }
    if options.allow_fault {
        server.allow_faults(service::have);
    }
    service::serve(server, guest, options.restarts, &|| {})
}

/// Reads the command line and makes the logger ready.
fn read_options(start_info: *const StartInfo) -> Options {
    let (line, modules) = boot::command_line(start_info);
    let takes_over = hand_over::found(start_info).is_some();
    let mut understood = true;
    let options = cmdline::parse(line, |problem| {
        // What is to be gone on with is found without it.
        if takes_over && matches!(problem, Problem::NoEffect { option: "live-update" }) {
            return;
        }
        console::line(format_args!("{problem}"));
        understood = false;
    });
    if options.event.is_none() && !takes_over && !understood {
        fatal::stop(Reason::PowerOff, format_args!("nothing was run; powering off"));
    }
    if !takes_over && low::set_line(low::LINE, line, b"").is_err() {
        console::line(format_args!("the command line is too long to be kept for an update"));
    }
    logger::install(options.log_level);
    if modules > 1 {
        say!(Warn, "of {modules} boot modules the first is read");
    }
    options
}
