//! The end of the domain: always with a message, never as a silent halt.
//!
//! dom0 waits for ever for a store that is gone, so a visible crash is the best that is left to do.

use core::fmt;
use core::panic::{Location, PanicInfo};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use xen_sys::{SHUTDOWN_crash, SHUTDOWN_poweroff};
use xenstore::platform::Cycles;
use xenstore::server::Server;

use super::hypercall::Errno;
use super::platform::Guest;
use super::{clock, console, cpu, xen};

/// Records shown of the last things the server did.
const TRACE_RECORDS: u64 = 64;

static SERVER: AtomicPtr<Server<Guest>> = AtomicPtr::new(ptr::null_mut());

/// How often the end has begun: describing it may fail as well.
static ENTERED: AtomicU32 = AtomicU32::new(0);

/// What the toolstack is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    PowerOff,
    Crash,
}

/// Has the server's trace printed before a crash.
///
/// # Safety
/// The server stays there for ever.
pub unsafe fn remember(server: *mut Server<Guest>) {
    SERVER.store(server, Ordering::Relaxed);
}

/// Stops the domain after one line.
pub fn stop(reason: Reason, message: fmt::Arguments<'_>) -> ! {
    stop_after(reason, 0, || console::fatal_line(message))
}

/// Stops the domain after `describe` has printed why; `line` of the program is where, if that is known.
pub fn stop_after(reason: Reason, line: u32, describe: impl FnOnce()) -> ! {
    let times_before = ENTERED.fetch_add(1, Ordering::Relaxed);
    if times_before < 2 {
        describe();
    }
    if times_before == 0 && reason == Reason::Crash {
        print_trace(line);
    }
    if console::runs_on_xen() {
        xen::shutdown(match reason {
            Reason::PowerOff => SHUTDOWN_poweroff,
            Reason::Crash => SHUTDOWN_crash,
        });
    }
    cpu::reset()
}

fn print_trace(line: u32) {
    let server = SERVER.load(Ordering::Relaxed);
    // SAFETY: null or, by `remember`'s promise, a server. It may have been stopped half-way through anything,
    // but it never runs again, and what is done here panics at worst, which ends here too.
    if let Some(server) = unsafe { server.as_mut() } {
        server.note_panic(Cycles(cpu::tsc()), line);
        server.tell_trace(TRACE_RECORDS, clock::khz(), &mut |told| console::fatal_line(told));
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, Location::line);
    stop_after(Reason::Crash, line, || match info.location() {
        Some(at) => {
            console::fatal_line(format_args!("panic: {} ({}:{})", info.message(), at.file(), at.line()))
        }
        None => console::fatal_line(format_args!("panic: {}", info.message())),
    })
}

/// The value, or the end of the domain with what went wrong.
pub fn unless<T>(problem: &str, result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|error| stop(Reason::Crash, format_args!("{problem}: {error}")))
}
