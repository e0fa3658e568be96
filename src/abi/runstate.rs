//! What Xen tells a vCPU of how its time has passed (vcpu.h, `vcpu_runstate_info`).

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// `VCPUOP_register_runstate_memory_area`, of `vcpu_op`: takes the area's virtual address.
pub const REGISTER_AREA: u64 = 5;

/// The area. Xen writes it whenever it gives the processor to the vCPU or takes it away.
#[repr(C)]
pub struct Runstate {
    /// `RUNSTATE_*`.
    pub state: AtomicU32,
    pad: u32,
    /// Since when, nanoseconds of system time.
    pub entered: AtomicU64,
    /// Nanoseconds in which it ran; could have run, had another not had the processor; was blocked; was not to run.
    pub running: AtomicU64,
    pub runnable: AtomicU64,
    pub blocked: AtomicU64,
    pub offline: AtomicU64,
}

impl Runstate {
    /// Before Xen has written anything.
    pub const fn new() -> Runstate {
        Runstate {
            state: AtomicU32::new(0),
            pad: 0,
            entered: AtomicU64::new(0),
            running: AtomicU64::new(0),
            runnable: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            offline: AtomicU64::new(0),
        }
    }
}

impl Default for Runstate {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(size_of::<Runstate>() == 48);
const _: () = assert!(offset_of!(Runstate, entered) == 8);
const _: () = assert!(offset_of!(Runstate, runnable) == 24);
const _: () = assert!(offset_of!(Runstate, offline) == 40);
