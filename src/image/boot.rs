//! The start of each program, in this order: meet Xen, read the command line, claim the memory, open the events
//! (arch-x86/hvm/start_info.h).

use core::ops::Range;

use xenstore::abi::console::ConsolePage;
use xenstore::abi::hvm::{HvmParam, StartInfo};
use xenstore::abi::shared_info::SharedInfo;
use xenstore::abi::{DomId, Port, RingPage};

use super::facts::{self, Fact};
use super::fatal::{self, Reason};
use super::paging::Kept;
use super::segments::{self, UPCALL_VECTOR};
use super::xen::{self, Xen};
use super::{console, memory, paging};

/// What this program is.
pub const NAME: &str = concat!(env!("CARGO_BIN_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// Longest command line, without its end. Xen's own limit is 511 bytes.
const COMMAND_LINE: usize = 4095;

/// Who we are.
pub struct Identity {
    pub domid: DomId,
    /// Xen's major and minor version.
    pub version: (u32, u32),
    /// Our end of the console's event channel.
    pub console: Option<Port>,
}

/// Sets up exceptions and the console and prints the program's name. If there is no Xen, `what_for` is printed: what
/// this kernel is for. Called once, first of all.
pub fn meet_xen(what_for: &str) -> Identity {
    segments::load();
    let Some(xen) = xen::detect() else {
        console::add_serial();
        fatal::stop(Reason::PowerOff, format_args!("{NAME}: Xen is not here; this is {what_for}"));
    };
    console::on_xen();
    let console = attach_console();
    introduce(&xen, console)
}

/// Sets up the console ring as early as possible. Without one there is still port 0xE9.
fn attach_console() -> Option<Port> {
    let page = param(Fact::ConsolePage, HvmParam::ConsolePfn)?;
    let port = Port(param(Fact::ConsolePort, HvmParam::ConsoleEvtchn)? as u32);
    let page: *const ConsolePage = frame(page);
    // SAFETY: Xen populated the frame as the console page; it stays mapped, see `claim_memory`.
    console::add_ring(unsafe { &*page }, port);
    Some(port)
}

/// Prints the program's name, and finds out our own domid.
fn introduce(xen: &Xen, console: Option<Port>) -> Identity {
    let version = (xen.major, xen.minor);
    let Some(domid) = xen.domid else {
        fatal::stop(
            Reason::Crash,
            format_args!("{NAME}: Xen {}.{} is too old, 4.17 is needed", xen.major, xen.minor),
        );
    };
    console::line(format_args!("{NAME}: domain {domid} on Xen {}.{}", xen.major, xen.minor));
    Identity { domid, version, console }
}

/// The command line and how many modules were loaded beside us. The line is in RAM that `claim_memory` gives away.
pub fn command_line(start_info: *const StartInfo) -> (&'static [u8], u32) {
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
    (line, info.nr_modules)
}

/// Counts RAM and sets up the final page tables. Returns the end of RAM and the free part of it, as addresses. It needs
/// `least` bytes, at least 2 MiB; `kept` is told its end. The start info and the command line are in the free part.
pub fn claim_memory(least: u64, kept: impl FnOnce(u64) -> Kept) -> (u64, Range<u64>) {
    let ram_end = fatal::unless("RAM cannot be counted", facts::learn(Fact::RamEnd, memory::ram_end));
    if ram_end < least {
        fatal::stop(
            Reason::Crash,
            format_args!("too little memory: {} KiB of RAM, raise --memory", ram_end / 1024),
        );
    }
    let mut special = [0; 2];
    let pages = [(Fact::ConsolePage, HvmParam::ConsolePfn), (Fact::StorePage, HvmParam::StorePfn)];
    for (frame, (fact, which)) in special.iter_mut().zip(pages) {
        *frame = param(fact, which).unwrap_or(0);
    }
    (ram_end, paging::protect(ram_end, &special, kept(ram_end)))
}

/// Ends the domain if RAM does not end where Xen says. Writes to its last page.
pub fn check_ram(ram_end: u64) {
    if !memory::is_ram_before(ram_end) {
        fatal::stop(Reason::Crash, format_args!("RAM ends before {ram_end:#x}, where Xen says it ends"));
    }
}

/// Has Xen deliver events. Returns the page that it shares with us, which says which; an image before this one may have
/// had it mapped.
pub fn open_events(is_mapped: bool) -> &'static SharedInfo {
    let shared = if is_mapped { memory::adopt_shared_info() } else { memory::map_shared_info() };
    let shared = fatal::unless("the shared page cannot be mapped", shared);
    // SAFETY: `segments::load` made the vector's gate, and this is 64-bit code.
    fatal::unless("upcalls cannot be delivered", unsafe { xen::deliver_upcalls(UPCALL_VECTOR) });
    shared
}

/// A parameter of our domain, `None` if Xen has no such one.
fn param(fact: Fact, which: HvmParam) -> Option<u64> {
    facts::learn(fact, || xen::param(which)).ok()
}

/// Our own xenstore page, if Xen has one for us.
pub fn store_page() -> Option<&'static RingPage> {
    let page: *const RingPage = frame(param(Fact::StorePage, HvmParam::StorePfn)?);
    // SAFETY: Xen populated the frame as our xenstore page, and `claim_memory` keeps it mapped for ever; the store
    // writes to it at any time, which is what its atomic fields are for.
    Some(unsafe { &*page })
}

/// Our end of the event channel of our own xenstore page, if Xen has given us one.
pub fn store_port() -> Option<Port> {
    param(Fact::StorePort, HvmParam::StoreEvtchn).filter(|port| *port != 0).map(|port| Port(port as u32))
}

/// The address of a guest frame.
fn frame<T>(number: u64) -> *const T {
    (number << 12) as *const T
}
