//! The end of the domain: always with a message, never as a silent halt.
//!
//! dom0 waits for ever for a store that is gone, so a visible crash is the best that is left to do.

use core::fmt;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use xen_sys::{SHUTDOWN_crash, SHUTDOWN_poweroff};
use xenstore::trace::Trace;

use super::hypercall::Errno;
use super::{console, cpu, xen};

/// Records shown of the last things the server did.
const TRACE_RECORDS: usize = 16;

static TRACE: AtomicPtr<Trace> = AtomicPtr::new(ptr::null_mut());

/// How often the end has begun: describing it may fail as well.
static ENTERED: AtomicU32 = AtomicU32::new(0);

/// What the toolstack is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    PowerOff,
    Crash,
}

/// Has the trace printed before a crash. It must stay where it is for ever.
pub fn remember_trace(trace: &'static Trace) {
    TRACE.store(ptr::from_ref(trace).cast_mut(), Ordering::Relaxed);
}

/// Stops the domain after one line.
pub fn stop(reason: Reason, message: fmt::Arguments<'_>) -> ! {
    stop_after(reason, || console::fatal_line(message))
}

/// Stops the domain after `describe` has printed why.
pub fn stop_after(reason: Reason, describe: impl FnOnce()) -> ! {
    let times_before = ENTERED.fetch_add(1, Ordering::Relaxed);
    if times_before < 2 {
        describe();
    }
    if times_before == 0 && reason == Reason::Crash {
        print_trace();
    }
    if console::runs_on_xen() {
        xen::shutdown(match reason {
            Reason::PowerOff => SHUTDOWN_poweroff,
            Reason::Crash => SHUTDOWN_crash,
        });
    }
    cpu::reset()
}

fn print_trace() {
    let trace = TRACE.load(Ordering::Relaxed);
    // SAFETY: null or a `&'static Trace`. The server may have been stopped half-way through adding a
    // record, but it never runs again, and a record is plain numbers whatever they say.
    if let Some(trace) = unsafe { trace.as_ref() } {
        for record in trace.last(TRACE_RECORDS) {
            console::fatal_line(format_args!("  {record}"));
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    stop_after(Reason::Crash, || match info.location() {
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
