//! The page that Xen shares with every domain, `struct shared_info` (xen.h), 64-bit layout.
//!
//! Xen writes it from other processors at any time, so every field is atomic.

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicI8, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// vCPUs that have their information in the page, `XEN_LEGACY_MAX_VCPUS`.
const LEGACY_VCPUS: usize = 32;

/// Words of the 2-level event-channel bitmaps.
pub const EVENT_WORDS: usize = 64;

/// `struct vcpu_time_info` (xen.h): the relation of TSC and system time.
#[repr(C)]
pub struct TimeInfo {
    /// Odd while Xen changes the rest.
    pub version: AtomicU32,
    pad: u32,
    /// TSC at `system_time`; "negative" until Xen's first stamp after the domain's beginning, up to a second later.
    pub tsc_timestamp: AtomicU64,
    /// Nanoseconds since Xen booted.
    pub system_time: AtomicU64,
    /// Nanoseconds per shifted tick, as a fraction of 2^32.
    pub tsc_to_system_mul: AtomicU32,
    /// Left shift of ticks, right if negative.
    pub tsc_shift: AtomicI8,
    pub flags: AtomicU8,
    pad1: [u8; 2],
}

impl TimeInfo {
    const fn new() -> Self {
        TimeInfo {
            version: AtomicU32::new(0),
            pad: 0,
            tsc_timestamp: AtomicU64::new(0),
            system_time: AtomicU64::new(0),
            tsc_to_system_mul: AtomicU32::new(0),
            tsc_shift: AtomicI8::new(0),
            flags: AtomicU8::new(0),
            pad1: [0; 2],
        }
    }

    /// Nanoseconds since Xen booted, at a reading of the TSC. What the TSC showed before the stamp counts as the stamp: the
    /// counters of different processors may disagree.
    pub fn at(&self, tsc: u64) -> u64 {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let stamp = self.tsc_timestamp.load(Ordering::Relaxed);
            let base = self.system_time.load(Ordering::Relaxed);
            let multiplier = self.tsc_to_system_mul.load(Ordering::Relaxed);
            let shift = self.tsc_shift.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if version & 1 == 0 && version == self.version.load(Ordering::Relaxed) {
                // A domain's TSC begins at 0, so a stamp from before that has come round.
                let ticks = tsc.wrapping_sub(stamp).cast_signed().max(0).cast_unsigned();
                return base.wrapping_add(nanoseconds(ticks, shift, multiplier));
            }
        }
    }
}

fn nanoseconds(ticks: u64, shift: i8, multiplier: u32) -> u64 {
    let distance = u32::from(shift.unsigned_abs()) % 64;
    let shifted = if shift >= 0 { ticks << distance } else { ticks >> distance };
    ((u128::from(shifted) * u128::from(multiplier)) >> 32) as u64
}

const _: () = assert!(size_of::<TimeInfo>() == 32);
const _: () = assert!(offset_of!(TimeInfo, tsc_timestamp) == 8);
const _: () = assert!(offset_of!(TimeInfo, system_time) == 16);
const _: () = assert!(offset_of!(TimeInfo, tsc_to_system_mul) == 24);
const _: () = assert!(offset_of!(TimeInfo, tsc_shift) == 28);
const _: () = assert!(offset_of!(TimeInfo, flags) == 29);

/// `struct vcpu_info` (xen.h).
#[repr(C)]
pub struct VcpuInfo {
    /// Non-zero: Xen wants to deliver an upcall.
    pub evtchn_upcall_pending: AtomicU8,
    /// Without meaning for HVM and PVH.
    pub evtchn_upcall_mask: AtomicU8,
    pad: [u8; 6],
    /// Which words of the bitmaps to look at.
    pub evtchn_pending_sel: AtomicU64,
    arch: [u64; 2],
    pub time: TimeInfo,
}

impl VcpuInfo {
    const fn new() -> Self {
        VcpuInfo {
            evtchn_upcall_pending: AtomicU8::new(0),
            evtchn_upcall_mask: AtomicU8::new(0),
            pad: [0; 6],
            evtchn_pending_sel: AtomicU64::new(0),
            arch: [0; 2],
            time: TimeInfo::new(),
        }
    }
}

const _: () = assert!(size_of::<VcpuInfo>() == 64);
const _: () = assert!(offset_of!(VcpuInfo, evtchn_upcall_pending) == 0);
const _: () = assert!(offset_of!(VcpuInfo, evtchn_pending_sel) == 8);
const _: () = assert!(offset_of!(VcpuInfo, time) == 32);

/// `struct shared_info` (xen.h) up to the architecture's part, which PVH guests do not use.
#[repr(C)]
pub struct SharedInfo {
    pub vcpu_info: [VcpuInfo; LEGACY_VCPUS],
    pub evtchn_pending: [AtomicU64; EVENT_WORDS],
    pub evtchn_mask: [AtomicU64; EVENT_WORDS],
    /// Odd while Xen changes the three words that follow.
    pub wc_version: AtomicU32,
    pub wc_sec: AtomicU32,
    pub wc_nsec: AtomicU32,
    pub wc_sec_hi: AtomicU32,
}

impl SharedInfo {
    /// The page as a new PVH domain finds it, but for the time.
    pub const fn new() -> Self {
        SharedInfo {
            vcpu_info: [const { VcpuInfo::new() }; LEGACY_VCPUS],
            evtchn_pending: [const { AtomicU64::new(0) }; EVENT_WORDS],
            evtchn_mask: [const { AtomicU64::new(0) }; EVENT_WORDS],
            wc_version: AtomicU32::new(0),
            wc_sec: AtomicU32::new(0),
            wc_nsec: AtomicU32::new(0),
            wc_sec_hi: AtomicU32::new(0),
        }
    }
}

impl Default for SharedInfo {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(size_of::<SharedInfo>() == 3088);
const _: () = assert!(offset_of!(SharedInfo, evtchn_pending) == 2048);
const _: () = assert!(offset_of!(SharedInfo, evtchn_mask) == 2560);
const _: () = assert!(offset_of!(SharedInfo, wc_version) == 3072);
