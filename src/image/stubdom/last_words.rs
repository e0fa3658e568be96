//! The last lines after a crash: the end of the server's trace.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use xenstore::platform::Cycles;
use xenstore::server::Server;

use super::platform::Guest;
use crate::image::{clock, console, cpu, fatal};

/// How many of the newest records are printed.
const TRACE_RECORDS: u64 = 64;

static SERVER: AtomicPtr<Server<Guest>> = AtomicPtr::new(ptr::null_mut());

/// Registers the server, whose trace is printed after a crash.
///
/// # Safety
/// The server stays there for ever.
pub unsafe fn remember(server: *mut Server<Guest>) {
    SERVER.store(server, Ordering::Relaxed);
    fatal::set_last_words(print_trace);
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
