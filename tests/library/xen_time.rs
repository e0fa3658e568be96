//! Xen's time from the processor's counter (xen.h, `vcpu_time_info`).

use std::sync::atomic::Ordering::SeqCst;

use xenstore::abi::shared_info::SharedInfo;

/// The time at a reading of the counter, in nanoseconds, where Xen's stamp is of one second.
fn time(stamp: u64, shift: i8, multiplier: u32, tsc: u64) -> u64 {
    let shared = SharedInfo::new();
    let time = &shared.vcpu_info[0].time;
    time.version.store(2, SeqCst);
    time.system_time.store(1_000_000_000, SeqCst);
    time.tsc_timestamp.store(stamp, SeqCst);
    time.tsc_shift.store(shift, SeqCst);
    time.tsc_to_system_mul.store(multiplier, SeqCst);
    time.at(tsc)
}

#[test]
fn ticks_since_the_stamp_are_counted() {
    // A nanosecond a tick; two; a quarter.
    assert_eq!(time(500, 1, 1 << 31, 700), 1_000_000_200);
    assert_eq!(time(500, 2, 1 << 31, 700), 1_000_000_400);
    assert_eq!(time(500, -1, 1 << 31, 700), 1_000_000_050);
    assert_eq!(time(0, 1, 1 << 31, 30 * 86_400 * 1_000_000_000), 30 * 86_400 * 1_000_000_000 + 1_000_000_000);
}

#[test]
fn time_goes_on_after_a_stamp_from_before_the_domain() {
    // Seen on Xen 4.17: a domain's counter begins at 0, and the stamp is of before.
    let stamp = 0xffff_ffff_a971_b298;
    assert_eq!(time(stamp, 1, 1 << 31, 0), 1_000_000_000 + stamp.wrapping_neg());
    assert_eq!(time(stamp, 1, 1 << 31, 1000), 1_000_000_000 + stamp.wrapping_neg() + 1000);
    assert_eq!(time(stamp, 1, 1 << 31, stamp + 70), 1_000_000_070);
}

#[test]
fn a_counter_behind_the_stamp_counts_as_the_stamp() {
    assert_eq!(time(500, 1, 1 << 31, 499), 1_000_000_000);
    assert_eq!(time(500, 1, 1 << 31, 0), 1_000_000_000);
    assert_eq!(time(0xffff_ffff_a971_b298, 1, 1 << 31, 0xffff_ffff_a971_b297), 1_000_000_000);
}
