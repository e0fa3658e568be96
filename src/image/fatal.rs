//! Faults, and the end of the domain: always with a message, never as a silent halt.
//!
//! dom0 waits for ever for a store that has ended. So a program may register a way to go on after a fault; where there is
//! none, the best left is a visible crash.

use core::fmt;
use core::panic::{Location, PanicInfo};
use core::sync::atomic::{AtomicU32, Ordering};

use xen_sys::{SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_reboot};

use super::hypercall::Errno;
use super::{console, cpu, xen};

/// What a program prints after a crash, given the line in its source if that is known, else 0.
static LAST_WORDS: spin::Mutex<Option<fn(u32)>> = spin::Mutex::new(None);

/// How a program goes on after a fault, if it can now: it then never returns.
type WayOn = fn(Cause, describe: &dyn Fn(fn(fmt::Arguments<'_>)));

static WAY_ON: spin::Mutex<Option<WayOn>> = spin::Mutex::new(None);

/// What has stopped the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A panic in this line of its source, 0 if that is not known.
    Panic(u32),
    /// A processor exception, by its vector.
    Exception(u8),
    /// It made no progress.
    Endless,
    /// Nothing can go on after it.
    Final,
}

/// Where a failure leads instead of to the end, given its first line.
type WayBack = fn(&[u8]);

static WAY_BACK: spin::Mutex<Option<WayBack>> = spin::Mutex::new(None);

/// How often the end has begun: its description may fail as well.
static ENTERED: AtomicU32 = AtomicU32::new(0);

/// The reason of the shutdown, for the toolstack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    PowerOff,
    Reboot,
    Crash,
}

/// Registers `words`, which is called once after a crash has been described.
pub fn set_last_words(words: fn(u32)) {
    *LAST_WORDS.lock() = Some(words);
}

/// Registers how to go on after faults.
pub fn set_way_on(way: WayOn) {
    *WAY_ON.lock() = Some(way);
}

/// After a fault, which `describe` prints by what it is given.
pub fn go_on_or_stop(cause: Cause, describe: impl Fn(fn(fmt::Arguments<'_>))) -> ! {
    if cause != Cause::Final
        && ENTERED.load(Ordering::Relaxed) == 0
        && let Some(way) = WAY_ON.try_lock().and_then(|way| *way)
    {
        way(cause, &describe);
    }
    let line = if let Cause::Panic(line) = cause { line } else { 0 };
    stop_after(Reason::Crash, line, || describe(console::fatal_line))
}

/// From now on a failure leads there, which must not return; `None`: to the end.
pub fn set_way_back(way: Option<WayBack>) {
    *WAY_BACK.lock() = way;
}

/// Stops the domain after one line.
pub fn stop(reason: Reason, message: fmt::Arguments<'_>) -> ! {
    stop_after(reason, 0, || console::fatal_line(message))
}

/// Stops the domain after `describe` has printed why; `line` of the program is where, if that is known.
fn stop_after(reason: Reason, line: u32, describe: impl FnOnce()) -> ! {
    let times_before = ENTERED.fetch_add(1, Ordering::Relaxed);
    if times_before < 2 {
        describe();
    }
    if reason == Reason::Crash
        && let Some(way) = WAY_BACK.try_lock().and_then(|way| *way)
    {
        way(&console::first_fatal_line());
    }
    if times_before == 0
        && reason == Reason::Crash
        && let Some(words) = LAST_WORDS.try_lock().and_then(|words| *words)
    {
        words(line);
    }
    if console::runs_on_xen() {
        xen::shutdown(match reason {
            Reason::PowerOff => SHUTDOWN_poweroff,
            Reason::Reboot => SHUTDOWN_reboot,
            Reason::Crash => SHUTDOWN_crash,
        });
    }
    cpu::reset()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, Location::line);
    go_on_or_stop(Cause::Panic(line), |tell| match info.location() {
        Some(at) => tell(format_args!("panic: {} ({}:{})", info.message(), at.file(), at.line())),
        None => tell(format_args!("panic: {}", info.message())),
    })
}

/// Returns the value, or ends the domain and prints what went wrong.
pub fn unless<T>(problem: &str, result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|error| stop(Reason::Crash, format_args!("{problem}: {error}")))
}
