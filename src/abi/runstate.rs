//! What Xen tells a vCPU of how its time has passed (vcpu.h, `vcpu_runstate_info`).

use core::mem::{offset_of, size_of};

/// `VCPUOP_get_runstate_info`, of `vcpu_op`: fills a [`Runstate`].
pub const GET_INFO: u64 = 4;

#[repr(C)]
#[derive(Default)]
pub struct Runstate {
    /// `RUNSTATE_*`; of the vCPU that asks, `RUNSTATE_running`.
    pub state: u32,
    pad: u32,
    /// Since when, nanoseconds of system time.
    pub entered: u64,
    /// Nanoseconds in which it ran; could have run, had another not had the processor; was blocked; was not to run.
    pub times: [u64; 4],
}

const _: () = assert!(size_of::<Runstate>() == 48);
const _: () = assert!(offset_of!(Runstate, entered) == 8);
const _: () = assert!(offset_of!(Runstate, times) == 16);
