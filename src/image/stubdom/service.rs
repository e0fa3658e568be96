//! Serving, for ever: the main loop, and how it goes on after a fault.
//!
//! A fault gives up the stack with all that was being done on it. The server and its platform lie elsewhere, and the server
//! recovers from a stop at any point; so the loop begins anew on an empty stack. A fault in the recovery, or one too many,
//! ends the domain.

use core::fmt::Arguments;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use xenstore::platform::{Fault, Instant};
use xenstore::server::Server;
use xenstore::trace::Stop;

use super::platform::Guest;
use super::{grow, update};
use crate::image::fatal::{self, Cause, Reason};
use crate::image::logger::say;
use crate::image::{clock, console, watch, xen};

/// Nanoseconds in which faults are counted together.
const MINUTE: u64 = 60_000_000_000;

static SERVER: AtomicPtr<Server<Guest>> = AtomicPtr::new(ptr::null_mut());
static GUEST: AtomicPtr<Guest> = AtomicPtr::new(ptr::null_mut());

/// A recovery is going on.
static RECOVERS: AtomicBool = AtomicBool::new(false);
/// What it is from, as a record of the trace has it.
static DETAIL: AtomicU8 = AtomicU8::new(0);
static AMOUNT: AtomicU32 = AtomicU32::new(0);

/// How many faults there may be in a minute, how many there were, and when the first of them was.
static MOST: AtomicU32 = AtomicU32::new(0);
/// They outlast a repair, which begins with the data as they are and with everything else of the image's own as zeros.
#[unsafe(link_section = ".data")]
static FAULTS: AtomicU32 = AtomicU32::new(0);
#[unsafe(link_section = ".data")]
static FIRST: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    /// Of boot/vectors.s.
    fn on_fresh_stack(go_on: extern "C" fn() -> !) -> !;
}

/// Serves. Of faults, `most` in a minute are recovered from. `say_more` is what can wait until all have been answered once.
pub fn serve(
    server: &'static mut Server<Guest>,
    guest: &'static mut Guest,
    most: u32,
    say_more: &dyn Fn(),
) -> ! {
    SERVER.store(server, Relaxed);
    GUEST.store(guest, Relaxed);
    MOST.store(most, Relaxed);
    if !watch::set_up() {
        say!(Warn, "the processor has no timer for a watch: work that never ends is not noticed");
    }
    fatal::set_way_on(go_on);
    let deadline = poll();
    say_more();
    grow::begin(parts().0);
    wait(deadline);
    run()
}

/// The main loop.
fn run() -> ! {
    loop {
        wait(poll());
    }
}

fn poll() -> Option<Instant> {
    let (server, guest) = parts();
    let deadline = watch::over(watch::POLL, || server.poll(guest));
    console::tell();
    deadline
}

/// Until there is something to do, unless that is a live update or growth.
fn wait(deadline: Option<Instant>) {
    let (server, guest) = parts();
    if !server.is_to_be_replaced() {
        if server.wants_memory() { grow::ask(server) } else { guest.idle(deadline) }
    } else if !watch::over(watch::RECOVERY, || update::keep(server, guest)) {
        // Whoever has been answered need not wait for the other image to see that.
        xen::give_way();
        update::take_over(server, guest);
    }
}

fn parts() -> (&'static mut Server<Guest>, &'static mut Guest) {
    // SAFETY: `serve` was given both for ever. The only references to them are those of the loop on the main stack, or of the
    // recovery after which it begins anew: what was on that stack before never runs again. A fault may have left them half
    // changed, as far as their types allow; that is what recovery is for. Interrupts touch neither.
    unsafe { (&mut *SERVER.load(Relaxed), &mut *GUEST.load(Relaxed)) }
}

/// Goes on after a fault, or returns if that is not possible.
fn go_on(cause: Cause, describe: &dyn Fn(fn(Arguments<'_>))) {
    let stop = match cause {
        Cause::Panic(line) => Stop::Panic(line),
        Cause::Exception(vector) => Stop::Exception(vector),
        Cause::Endless => Stop::Endless,
        Cause::Final => return,
    };
    if RECOVERS.swap(true, Relaxed) || is_one_too_many() {
        return;
    }
    describe(console::fault_line);
    let (detail, amount) = stop.told();
    DETAIL.store(detail, Relaxed);
    AMOUNT.store(amount, Relaxed);
    // SAFETY: nothing on the main stack is needed any more, and neither is the stack of the exception.
    unsafe { on_fresh_stack(recover) }
}

fn is_one_too_many() -> bool {
    let now = clock::system_time();
    if now.saturating_sub(FIRST.load(Relaxed)) > MINUTE || FAULTS.load(Relaxed) == 0 {
        FIRST.store(now, Relaxed);
        FAULTS.store(0, Relaxed);
    }
    FAULTS.fetch_add(1, Relaxed) >= MOST.load(Relaxed)
}

/// On an empty stack.
extern "C" fn recover() -> ! {
    console::release();
    let Some(stop) = Stop::from_record(DETAIL.load(Relaxed), AMOUNT.load(Relaxed)) else {
        fatal::stop(Reason::Crash, format_args!("a fault is not known"));
    };
    let (server, guest) = parts();
    guest.recover();
    let sound = watch::over(watch::RECOVERY, || server.survive(guest, stop));
    if !sound {
        watch::over(watch::RECOVERY, || update::repair(server, guest));
    }
    say!(Error, "went on after: {stop}");
    RECOVERS.store(false, Relaxed);
    run()
}

/// Has a fault on purpose.
pub fn have(fault: Fault) {
    match fault {
        Fault::Panic | Fault::Damage => panic!("on purpose"),
        // SAFETY: page 0 is not mapped, so nothing is read.
        Fault::Page => drop(unsafe { ptr::without_provenance::<u64>(8).read_volatile() }),
        Fault::Loop => loop {
            core::hint::spin_loop();
        },
    }
}
