//! Xen's system time from the processor's time stamp counter (xen.h, `vcpu_time_info`).

use core::sync::atomic::{AtomicU64, Ordering, fence};

use xenstore::abi::shared_info::TimeInfo;

use super::{cpu, memory};

/// The latest time returned: the counters of different processors may disagree.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since Xen booted; monotonic; 0 until the shared page is there. Costs a VM exit on hosts
/// without a stable TSC.
pub fn system_time() -> u64 {
    system_time_at(cpu::tsc())
}

/// The same for a reading of the counter.
pub fn system_time_at(tsc: u64) -> u64 {
    let Some(shared) = memory::shared_info() else { return 0 };
    let now = read(&shared.vcpu_info[0].time, tsc);
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

fn read(time: &TimeInfo, tsc: u64) -> u64 {
    loop {
        let version = time.version.load(Ordering::Acquire);
        let stamp = time.tsc_timestamp.load(Ordering::Relaxed);
        let base = time.system_time.load(Ordering::Relaxed);
        let multiplier = time.tsc_to_system_mul.load(Ordering::Relaxed);
        let shift = time.tsc_shift.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if version & 1 == 0 && version == time.version.load(Ordering::Relaxed) {
            return base.wrapping_add(nanoseconds(tsc.saturating_sub(stamp), shift, multiplier));
        }
    }
}

fn nanoseconds(ticks: u64, shift: i8, multiplier: u32) -> u64 {
    let distance = u32::from(shift.unsigned_abs()) % 64;
    let shifted = if shift >= 0 { ticks << distance } else { ticks >> distance };
    ((u128::from(shifted) * u128::from(multiplier)) >> 32) as u64
}
