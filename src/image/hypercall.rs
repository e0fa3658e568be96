//! The one hypercall entry; numbers from xen-sys (arch-x86/xen-x86_64.h).
//!
//! The instruction is executed in place, without a hypercall page: arguments in rdi, rsi, rdx, result in
//! rax. xen-sys's own wrappers are not used: they push below a red zone that they do not declare.

use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use super::{counters, cpu};

/// Intel's VMCALL instead of AMD's VMMCALL.
static USE_VMCALL: AtomicBool = AtomicBool::new(false);

/// A negative result, `-E*` of errno.h.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i64);

impl Errno {
    pub const EPERM: Errno = Errno(1);
    pub const EACCES: Errno = Errno(13);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "EPERM",
            2 => "ENOENT",
            3 => "ESRCH",
            6 => "ENXIO",
            7 => "E2BIG",
            11 => "EAGAIN",
            12 => "ENOMEM",
            13 => "EACCES",
            14 => "EFAULT",
            16 => "EBUSY",
            17 => "EEXIST",
            22 => "EINVAL",
            28 => "ENOSPC",
            38 => "ENOSYS",
            95 => "EOPNOTSUPP",
            _ => return write!(f, "error {}", self.0),
        };
        f.write_str(name)
    }
}

/// Whether hypercalls take Intel's instruction, by the processor's vendor.
pub fn is_vmcall() -> bool {
    let vendor = cpu::cpuid(0);
    let mut name = [0u8; 12];
    name[..4].copy_from_slice(&vendor.ebx.to_le_bytes());
    name[4..8].copy_from_slice(&vendor.edx.to_le_bytes());
    name[8..].copy_from_slice(&vendor.ecx.to_le_bytes());
    &name != b"AuthenticAMD" && &name != b"HygonGenuine"
}

/// Chooses it. Until then AMD's is used.
pub fn choose_instruction(vmcall: bool) {
    USE_VMCALL.store(vmcall, Ordering::Relaxed);
}

/// Calls the hypervisor.
///
/// # Safety
/// Xen must be running below us, and the arguments must be what `op` expects: every address among them is
/// mapped, of the right type, and free for Xen to read and write during the call.
pub unsafe fn call(op: u32, args: [u64; 3]) -> Result<u64, Errno> {
    let [first, second, third] = args;
    let result: i64;
    counters::HYPERCALLS.add();
    // SAFETY: passed on to the caller. Xen may overwrite the argument registers, which are all given up
    // here, and memory, which an asm block without `nomem` may; it preserves every other register.
    unsafe {
        if USE_VMCALL.load(Ordering::Relaxed) {
            asm!("vmcall", inout("rax") u64::from(op) => result, inout("rdi") first => _,
                inout("rsi") second => _, inout("rdx") third => _, out("r10") _, out("r8") _, options(nostack));
        } else {
            asm!("vmmcall", inout("rax") u64::from(op) => result, inout("rdi") first => _,
                inout("rsi") second => _, inout("rdx") third => _, out("r10") _, out("r8") _, options(nostack));
        }
    }
    if result < 0 { Err(Errno(-result)) } else { Ok(result as u64) }
}

/// A hypercall of the common shape: a sub-operation and the address of one structure.
///
/// # Safety
/// As for [`call`]; `argument` must be the structure that `command` of `op` expects, and what it points
/// to must be valid as well.
pub unsafe fn call_with<T>(op: u32, command: u64, argument: &mut T) -> Result<u64, Errno> {
    let address = core::ptr::from_mut(argument) as u64;
    // SAFETY: the argument is borrowed mutably during the call; the rest is the caller's promise.
    unsafe { call(op, [command, address, 0]) }
}
