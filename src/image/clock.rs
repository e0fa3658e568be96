//! Xen's system time from the processor's time stamp counter (xen.h, `vcpu_time_info`).

use core::sync::atomic::{AtomicU64, Ordering, fence};

use xenstore::abi::shared_info::TimeInfo;

use super::{cpu, memory};

/// The last time told: the counters of different processors may disagree.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since Xen booted; monotonic; 0 until the shared page is there. Costs a VM exit on hosts
/// without a stable TSC.
pub fn system_time() -> u64 {
    let Some(shared) = memory::shared_info() else { return 0 };
    let now = read(&shared.vcpu_info[0].time);
    let last = LAST.load(Ordering::Relaxed);
    LAST.store(now.max(last), Ordering::Relaxed);
    now.max(last)
}

fn read(time: &TimeInfo) -> u64 {
    loop {
        let version = time.version.load(Ordering::Acquire);
        let stamp = time.tsc_timestamp.load(Ordering::Relaxed);
        let base = time.system_time.load(Ordering::Relaxed);
        let multiplier = time.tsc_to_system_mul.load(Ordering::Relaxed);
        let shift = time.tsc_shift.load(Ordering::Relaxed);
        let tsc = cpu::tsc();
        fence(Ordering::Acquire);
        if version & 1 == 0 && version == time.version.load(Ordering::Relaxed) {
            return base.wrapping_add(nanoseconds(tsc.wrapping_sub(stamp), shift, multiplier));
        }
    }
}

fn nanoseconds(ticks: u64, shift: i8, multiplier: u32) -> u64 {
    let distance = u32::from(shift.unsigned_abs()) % 64;
    let shifted = if shift >= 0 { ticks << distance } else { ticks >> distance };
    ((u128::from(shifted) * u128::from(multiplier)) >> 32) as u64
}
