//! Single instructions: ports, model-specific registers, CPUID, time stamp.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};

/// Extended feature enables.
pub const MSR_EFER: u32 = 0xc000_0080;
/// Bit of [`MSR_EFER`]: page table entries may forbid execution.
pub const EFER_NXE: u64 = 1 << 11;

/// The four registers that CPUID fills.
#[derive(Clone, Copy)]
pub struct Cpuid {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

pub fn cpuid(leaf: u32) -> Cpuid {
    let answer = __cpuid(leaf);
    Cpuid { eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx }
}

/// Whether pages can be marked as not executable.
pub fn can_forbid_execution() -> bool {
    const EXTENDED_FEATURES: u32 = 0x8000_0001;
    const NX: u32 = 1 << 20;
    cpuid(EXTENDED_FEATURES).edx & NX != 0
}

/// Ticks since an arbitrary moment; wraps. Traps to the hypervisor on hosts without a stable TSC.
pub fn tsc() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor and CR4.TSD is clear.
    unsafe { _rdtsc() }
}

/// A random number, if the processor provides one.
pub fn random() -> Option<u64> {
    const RDRAND: u32 = 1 << 30;
    if cpuid(1).ecx & RDRAND == 0 {
        return None;
    }
    (0..10).find_map(|_| {
        let value: u64;
        let valid: u8;
        // SAFETY: CPUID says that RDRAND exists; it changes nothing but the named registers.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) valid, options(nomem, nostack)) };
        (valid != 0).then_some(value)
    })
}

/// Writes one byte to an I/O port.
///
/// # Safety
/// The device behind the port must not touch memory because of it.
pub unsafe fn out(port: u16, byte: u8) {
    // SAFETY: the caller vouches for the device; the instruction itself touches no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") byte, options(nomem, nostack, preserves_flags)) }
}

/// Reads one byte from an I/O port.
///
/// # Safety
/// The device behind the port must not touch memory because of it.
pub unsafe fn inp(port: u16) -> u8 {
    let byte: u8;
    // SAFETY: the caller vouches for the device; the instruction itself touches no memory.
    unsafe { asm!("in al, dx", in("dx") port, out("al") byte, options(nomem, nostack, preserves_flags)) };
    byte
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist.
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists; reading has no other effect.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist and memory must mean the same to the compiler with the new value.
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags))
    };
}

/// The address that caused the last page fault.
pub fn fault_address() -> u64 {
    let address: u64;
    // SAFETY: reading CR2 at CPL 0 has no side effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// From here on interrupts are handled.
pub fn open_interrupts() {
    // SAFETY: the gates of all interrupts that come are ready, and their handlers leave what they interrupt as it is. No
    // `nomem`: what is done before is done when they come.
    unsafe { asm!("sti", options(nostack, preserves_flags)) };
}

/// From here on they wait.
pub fn close_interrupts() {
    // SAFETY: they wait for the next sleep at the latest.
    unsafe { asm!("cli", options(nostack, preserves_flags)) };
}

/// Resets the machine by a triple fault: the one way out that needs no device.
pub fn reset() -> ! {
    let none = [0u8; 10];
    // SAFETY: control never returns; without an IDT the undefined instruction ends in a triple fault.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) none.as_ptr(), options(noreturn)) }
}
