//! Processor exceptions: each one is a bug here, so it is described in full. It ends the domain, unless the program can go on
//! without what it was doing.

use core::fmt::Arguments;

use super::fatal::{self, Cause};
use super::segments::WATCH_VECTOR;
use super::{cpu, paging};

/// What boot/vectors.s pushes, lowest address first, and above it what the processor pushed.
#[repr(C)]
pub struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

const NON_MASKABLE: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;
const MACHINE_CHECK: u64 = 18;
/// What boot/vectors.s makes of an upcall when a trial is over, see [`super::trial`].
pub const OVERDUE: u64 = 32;

/// Names by vector.
const NAMES: [&str; 33] = [
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved exception 15",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualisation exception",
    "control protection exception",
    "reserved exception 22",
    "reserved exception 23",
    "reserved exception 24",
    "reserved exception 25",
    "reserved exception 26",
    "reserved exception 27",
    "hypervisor injection exception",
    "VMM communication exception",
    "security exception",
    "reserved exception 31",
    "has not answered in time",
];

/// What may mend a page fault at this address, so that the instruction is executed again.
type Mender = fn(u64) -> bool;

static PAGE_FAULT_HANDLER: spin::Mutex<Option<Mender>> = spin::Mutex::new(None);

/// From now on this is asked first whether it can mend a page fault.
pub fn set_page_fault_handler(handler: Option<Mender>) {
    *PAGE_FAULT_HANDLER.lock() = handler;
}

/// Called by boot/vectors.s on the exception's own stack. Returns if what was interrupted can go on.
pub extern "C" fn exception(frame: &Frame) {
    if frame.vector == PAGE_FAULT
        && let Some(mend) = PAGE_FAULT_HANDLER.try_lock().and_then(|handler| *handler)
        && mend(cpu::fault_address())
    {
        return;
    }
    fatal::go_on_or_stop(cause_of(frame.vector), |tell| describe(frame, tell))
}

#[inline(never)] // So that the way from an exception has no branches.
fn cause_of(vector: u64) -> Cause {
    match vector {
        // An operator's wish for the last words, and what leaves nothing to rely on.
        NON_MASKABLE | DOUBLE_FAULT | MACHINE_CHECK => Cause::Final,
        vector if vector == u64::from(WATCH_VECTOR) => Cause::Endless,
        vector => Cause::Exception(vector as u8),
    }
}

fn describe(frame: &Frame, tell: fn(Arguments<'_>)) {
    let name = NAMES.get(frame.vector as usize).copied().unwrap_or("no progress");
    let address = cpu::fault_address();
    let hint = if frame.vector == PAGE_FAULT { paging::unmapped_place(address) } else { "" };
    tell(format_args!(
        "{name} at {:#x}, error code {:#x}, cr2 {address:#x}{hint}",
        frame.rip, frame.error_code
    ));
    let rows = [
        [("rip", frame.rip), ("rsp", frame.rsp), ("rfl", frame.rflags)],
        [(" cs", frame.cs), (" ss", frame.ss), ("rax", frame.rax)],
        [("rbx", frame.rbx), ("rcx", frame.rcx), ("rdx", frame.rdx)],
        [("rsi", frame.rsi), ("rdi", frame.rdi), ("rbp", frame.rbp)],
        [(" r8", frame.r8), (" r9", frame.r9), ("r10", frame.r10)],
        [("r11", frame.r11), ("r12", frame.r12), ("r13", frame.r13)],
        [("r14", frame.r14), ("r15", frame.r15), ("cr2", address)],
    ];
    for [a, b, c] in rows {
        tell(format_args!("{} {:016x}  {} {:016x}  {} {:016x}", a.0, a.1, b.0, b.1, c.0, c.1));
    }
}
