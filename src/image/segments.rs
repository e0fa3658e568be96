//! Segment and interrupt descriptor tables: where exceptions and upcalls go, and on which stacks.

use core::arch::asm;

use super::boot_cell::BootCell;
use super::symbol;

/// Selectors of the table in boot/entry.s.
pub const CODE_SELECTOR: u16 = 0x08;
pub const DATA_SELECTOR: u16 = 0x10;
const TASK_SELECTOR: u16 = 0x18;

/// Vector of event upcalls: the first that is free for interrupts.
pub const UPCALL_VECTOR: u8 = 0x20;

/// Vector of the watch's timer.
pub const WATCH_VECTOR: u8 = UPCALL_VECTOR + 1;

const EXCEPTIONS: usize = 32;
const GATES: usize = WATCH_VECTOR as usize + 1;
const DOUBLE_FAULT: usize = 8;
/// Distance of the exception stubs in boot/vectors.s.
const STUB_SIZE: u64 = 16;

/// Present, ring 0, 64-bit interrupt gate.
const INTERRUPT_GATE: u64 = 0x8e;
/// Present, ring 0, available 64-bit task state.
const TASK_STATE: u64 = 0x89;

/// Stacks named by an interrupt gate. Exceptions always change theirs: the one that is interrupted may be full. Interrupts
/// never do: an emulator may deliver one again before its handler has begun, and on a stack of its own the second would
/// overwrite whereto the first returns, so that the handler returned to itself for ever.
#[derive(Clone, Copy)]
enum Stack {
    Interrupted = 0,
    Fault = 1,
    DoubleFault = 2,
}

#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

const _: () = assert!(size_of::<TaskState>() == 104);

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

static TASK: BootCell<TaskState> = BootCell::new(TaskState {
    reserved: 0,
    rsp: [0; 3],
    reserved1: 0,
    ist: [0; 7],
    reserved2: 0,
    reserved3: 0,
    io_map: 0,
});

static GATE_TABLE: BootCell<[[u64; 2]; GATES]> = BootCell::new([[0; 2]; GATES]);

unsafe extern "C" {
    /// The table of boot/entry.s; entries 3 and 4 are the task state's.
    static mut gdt: [u64; 5];
}

fn gate(handler: u64, stack: Stack) -> [u64; 2] {
    let low = handler & 0xffff
        | u64::from(CODE_SELECTOR) << 16
        | (stack as u64) << 32
        | INTERRUPT_GATE << 40
        | (handler & 0xffff_0000) << 32;
    [low, handler >> 32]
}

/// Sets up the delivery of exceptions and upcalls. Called once, first of all.
pub fn load() {
    let task = TASK.get();
    let gates = GATE_TABLE.get();
    // SAFETY: `load` runs once, before interrupts are opened and with no exception expected, so nobody
    // reads the statics while they are written; the pointers come from statics and from boot/entry.s.
    unsafe {
        (*task).io_map = size_of::<TaskState>() as u16;
        (*task).ist[Stack::Fault as usize - 1] = symbol::top_of_fault_stack();
        (*task).ist[Stack::DoubleFault as usize - 1] = symbol::top_of_double_fault_stack();
        for vector in 0..EXCEPTIONS {
            let stack = if vector == DOUBLE_FAULT { Stack::DoubleFault } else { Stack::Fault };
            (*gates)[vector] = gate(symbol::first_exception_stub() + vector as u64 * STUB_SIZE, stack);
        }
        (*gates)[usize::from(UPCALL_VECTOR)] = gate(symbol::upcall(), Stack::Interrupted);
        (*gates)[usize::from(WATCH_VECTOR)] = gate(symbol::watch(), Stack::Interrupted);

        let base = task as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        gdt[3] = limit | (base & 0xff_ffff) << 16 | TASK_STATE << 40 | (base >> 24 & 0xff) << 56;
        gdt[4] = base >> 32;
    }
    let pointer = TablePointer { limit: (size_of::<[[u64; 2]; GATES]>() - 1) as u16, base: gates as u64 };
    // SAFETY: the tables are complete, static and mapped; the selector names the task descriptor above.
    unsafe {
        asm!("lidt [{}]", "ltr {:x}", in(reg) &raw const pointer, in(reg) TASK_SELECTOR, options(nostack));
    }
}
