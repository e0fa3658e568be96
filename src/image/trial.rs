//! Watching over an image that takes over: one that has not come to its end in time is interrupted.
//!
//! While it is on trial interrupts are open, and each upcall compares the time. With 2-level event channels Xen raises one
//! for the timer only while it has not told of other events, so what it tells is forgotten each time; with FIFO channels the
//! timer has a queue of its own. Everything is looked at in the end.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// The counter at which the trial is over; 0 while there is none. Read by boot/vectors.s.
pub static END: AtomicU64 = AtomicU64::new(0);
/// Where Xen says which events it has told of. Read by boot/vectors.s.
pub static TOLD: AtomicU64 = AtomicU64::new(0);

/// Begins a trial, until the time stamp counter has this value.
///
/// # Safety
/// `told` is the address of such a word, or of two halves of it; the descriptor tables are loaded, and events may be
/// forgotten.
pub unsafe fn begin(end: u64, told: u64) {
    TOLD.store(told, Ordering::Relaxed);
    END.store(end, Ordering::Relaxed);
    // SAFETY: the handler is there, and changes nothing that is interrupted.
    unsafe { asm!("sti", options(nomem, nostack)) };
}

/// Ends it.
pub fn end() {
    // SAFETY: as it was before the trial.
    unsafe { asm!("cli", options(nomem, nostack)) };
    END.store(0, Ordering::Relaxed);
}
