//! The assembly of `boot/`, with the constants and functions it refers to, and the symbols of `linker.ld`.

use core::arch::global_asm;

use xen_sys::XEN_ELFNOTE_PHYS32_ENTRY;

use super::{counters, exceptions, hole, segments};

/// Page table entry: present.
pub const PRESENT: u64 = 1 << 0;
/// Page table entry: writable.
pub const WRITABLE: u64 = 1 << 1;
/// Page directory entry: a 2 MiB page.
pub const LARGE: u64 = 1 << 7;

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
    exception = sym exceptions::exception,
);

global_asm!(include_str!("../../boot/memory.s"));

/// Addresses that the linker script defines. Only the address of each means something.
pub mod symbol {
    unsafe extern "C" {
        static image_start: u8;
        static text_end: u8;
        static rodata_end: u8;
        static image_end: u8;
        static double_fault_guard: u8;
        static double_fault_stack_top: u8;
        static fault_guard: u8;
        static fault_stack_top: u8;
        static main_guard: u8;
        static exception_stubs: u8;
        static upcall_entry: u8;
    }

    macro_rules! addresses {
        ($($name:ident = $symbol:ident;)*) => {
            $(pub fn $name() -> u64 {
                (&raw const $symbol) as u64
            })*
        };
    }

    addresses! {
        start = image_start;
        end_of_text = text_end;
        end_of_rodata = rodata_end;
        end = image_end;
        guard_of_double_fault_stack = double_fault_guard;
        top_of_double_fault_stack = double_fault_stack_top;
        guard_of_fault_stack = fault_guard;
        top_of_fault_stack = fault_stack_top;
        guard_of_main_stack = main_guard;
        first_exception_stub = exception_stubs;
        upcall = upcall_entry;
    }
}

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
