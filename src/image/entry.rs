//! The assembly of `boot/`, with the constants and functions it refers to.

use core::arch::global_asm;

use xen_sys::XEN_ELFNOTE_PHYS32_ENTRY;

use super::paging::{LARGE, PRESENT, WRITABLE};
use super::{counters, exceptions, hole, segments, trial, watch};

/// Protected mode, x87 and SSE without traps, numeric errors as exceptions, read-only pages also for us,
/// paging.
const CR0: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
/// Physical address extension, FXSAVE and SSE, SSE exceptions.
const CR4: u32 = 1 << 5 | 1 << 9 | 1 << 10;

global_asm!(
    include_str!("../../boot/entry.s"),
    PHYS32_ENTRY = const XEN_ELFNOTE_PHYS32_ENTRY,
    LARGE_PAGE_RW = const PRESENT | WRITABLE | LARGE,
    TABLE_RW = const PRESENT | WRITABLE,
    CR0 = const CR0,
    CR4 = const CR4,
    MSR_EFER = const super::cpu::MSR_EFER,
    EFER_LME = const 1 << 8,
    CODE_SELECTOR = const segments::CODE_SELECTOR,
    DATA_SELECTOR = const segments::DATA_SELECTOR,
    start = sym crate::start,
);

global_asm!(
    include_str!("../../boot/vectors.s"),
    // Byte 0 of the page is evtchn_upcall_pending of vCPU 0, asserted in abi/shared_info.rs.
    UPCALL_PENDING = const hole::SHARED_INFO_FRAME << 12,
    UPCALLS = sym counters::UPCALLS,
    SERVING = sym watch::SERVING,
    ARMED = sym watch::ARMED,
    PROGRESS = sym watch::PROGRESS,
    SEEN = sym watch::SEEN,
    UNCHANGED = sym watch::UNCHANGED,
    LIMIT = sym watch::LIMIT,
    SECOND = const watch::SECOND,
    INITIAL_COUNT = const watch::INITIAL_COUNT,
    END_OF_INTERRUPT = const watch::END_OF_INTERRUPT,
    WATCH_VECTOR = const segments::WATCH_VECTOR,
    WATCH_END = sym trial::END,
    WATCH_TOLD = sym trial::TOLD,
    OVERDUE = const exceptions::OVERDUE,
    exception = sym exceptions::exception,
);

global_asm!(include_str!("../../boot/memory.s"));

// `core` and `alloc` come compiled with unwinding tables that name these two. The image aborts on panic,
// so neither is ever called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    fatal_unwind()
}

fn fatal_unwind() -> ! {
    super::fatal::stop(super::fatal::Reason::Crash, format_args!("something tried to unwind the stack"))
}
