//! Xen's system time from the processor's time stamp counter (xen.h, `vcpu_time_info`).

use core::sync::atomic::{AtomicU64, Ordering};

use super::{cpu, memory};

/// The latest time returned: the counters of different processors may disagree.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since Xen booted; monotonic; 0 until the shared page is there. Costs a VM exit on hosts
/// without a stable TSC.
pub fn system_time() -> u64 {
    system_time_at(cpu::tsc())
}

/// The same for a reading of the counter.
#[inline(never)] // In many places.
pub fn system_time_at(tsc: u64) -> u64 {
    let Some(shared) = memory::shared_info() else { return 0 };
    let now = shared.vcpu_info[0].time.at(tsc);
    let last = LAST.load(Ordering::Relaxed);
    LAST.store(now.max(last), Ordering::Relaxed);
    now.max(last)
}

/// The counter's ticks in a millisecond; 0 until the shared page is there.
pub fn khz() -> u64 {
    let Some(shared) = memory::shared_info() else { return 0 };
    let time = &shared.vcpu_info[0].time;
    let multiplier = u64::from(time.tsc_to_system_mul.load(Ordering::Relaxed)).max(1);
    let shifted = (1_000_000_u64 << 32) / multiplier;
    let shift = time.tsc_shift.load(Ordering::Relaxed);
    let distance = u32::from(shift.unsigned_abs()) % 64;
    if shift >= 0 { shifted >> distance } else { shifted << distance }
}
