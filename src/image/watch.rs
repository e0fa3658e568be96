//! The watch: a timer that tells serving from work that never ends.
//!
//! The local APIC's timer interrupts once in a second at most, while serving and whatever events are pending. The handler in
//! boot/vectors.s compares [`PROGRESS`] with what it was before. If it is the same for as many interrupts in a row as are
//! allowed, that is
//! an exception with the vector of this timer. Seconds in which the processor was not ours do not count. Idle, the
//! interrupt is not answered by another, so it does not keep a store awake that has nothing to do.
//!
//! Invariant: what is interrupted goes on as if it had not been. The handlers change these statics and the mark of the
//! upcall only, and no one else changes the timer.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::cpu;
use super::facts::{self, Fact};
use super::segments::WATCH_VECTOR;

/// Interrupts without progress after which a poll counts as endless. An `xl` that waits meanwhile gives up after 10 s
/// (`LIBXL_INIT_TIMEOUT`), so the store has to be back well before.
pub const POLL: u32 = 4;
/// The same for a recovery with its check of the whole store, and for a state that is written.
pub const RECOVERY: u32 = 60;

/// A second in the timer's cycles, 10 ns each on Xen.
pub const SECOND: u32 = 100_000_000;

/// Changes with each reading of the clock, at each wake-up and request, and with each page of a state that is written.
pub static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// What it was at the interrupt before, and since how many it has been that.
pub static SEEN: AtomicU64 = AtomicU64::new(0);
pub static UNCHANGED: AtomicU32 = AtomicU32::new(0);
/// How many are too many.
pub static LIMIT: AtomicU32 = AtomicU32::new(POLL);
/// An interrupt is to come.
pub static ARMED: AtomicBool = AtomicBool::new(false);
/// Serving goes on, with interrupts open.
pub static SERVING: AtomicBool = AtomicBool::new(false);

static AVAILABLE: AtomicBool = AtomicBool::new(false);

const APIC_BASE: u32 = 0x1b;
/// The APIC is on, and its registers are model-specific ones.
const X2APIC_ENABLED: u64 = 1 << 11 | 1 << 10;
const SPURIOUS: u32 = 0x80f;
const SOFTWARE_ENABLED: u64 = 1 << 8;
const TIMER: u32 = 0x832;
const DIVIDE: u32 = 0x83e;
const DIVIDE_BY_1: u64 = 0b1011;
pub const INITIAL_COUNT: u32 = 0x838;
pub const END_OF_INTERRUPT: u32 = 0x80b;

/// Makes the timer ready. False if the processor has none that we can use.
pub fn set_up() -> bool {
    let available = facts::establish(Fact::Watch, WATCH_VECTOR.into(), set_up_anew).is_ok();
    AVAILABLE.store(available, Ordering::Relaxed);
    available
}

fn set_up_anew() -> Result<(), ()> {
    const X2APIC: u32 = 1 << 21;
    if cpu::cpuid(1).ecx & X2APIC == 0 {
        return Err(());
    }
    // SAFETY: the processor has these registers, as it says. The vector's gate is ready since `segments::load`.
    unsafe {
        cpu::write_msr(APIC_BASE, cpu::read_msr(APIC_BASE) | X2APIC_ENABLED);
        cpu::write_msr(SPURIOUS, SOFTWARE_ENABLED | u64::from(WATCH_VECTOR));
        cpu::write_msr(DIVIDE, DIVIDE_BY_1);
        cpu::write_msr(TIMER, u64::from(WATCH_VECTOR));
    }
    Ok(())
}

/// Watches `work`, with interrupts open. It may make no progress for `limit` interrupts.
pub fn over<T>(limit: u32, work: impl FnOnce() -> T) -> T {
    LIMIT.store(limit, Ordering::Relaxed);
    if AVAILABLE.load(Ordering::Relaxed) && !ARMED.swap(true, Ordering::Relaxed) {
        // SAFETY: `set_up` has found the register, which counts down from here.
        unsafe { cpu::write_msr(INITIAL_COUNT, u64::from(SECOND)) };
    }
    UNCHANGED.store(0, Ordering::Relaxed);
    SERVING.store(true, Ordering::Relaxed);
    cpu::open_interrupts();
    let done = work();
    cpu::close_interrupts();
    SERVING.store(false, Ordering::Relaxed);
    done
}

/// Something has been done.
pub fn progress(clock: u64) {
    PROGRESS.store(clock, Ordering::Relaxed);
}
