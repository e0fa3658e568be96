//! A number that guests cannot guess, for the store's keyed hash.

use core::sync::atomic::{AtomicU64, Ordering};

use xenstore::abi::shared_info::SharedInfo;

use crate::image::{clock, cpu};

/// The seed that is in use: an image that takes over goes on with it.
static PRESENT: AtomicU64 = AtomicU64::new(0);

pub fn present() -> u64 {
    PRESENT.load(Ordering::Relaxed)
}

pub fn set(seed: u64) {
    PRESENT.store(seed, Ordering::Relaxed);
}

/// Mixes what differs between two boots: the processor's random numbers if it has them, time stamps,
/// the wall clock, our place in Xen's time.
pub fn seed(shared: &SharedInfo) -> u64 {
    let wall_clock = u64::from(shared.wc_sec.load(Ordering::Relaxed)) << 32
        | u64::from(shared.wc_nsec.load(Ordering::Relaxed));
    let sources = [
        cpu::random().unwrap_or(0),
        cpu::tsc(),
        wall_clock,
        clock::system_time(),
        cpu::random().unwrap_or(0),
        cpu::tsc(),
    ];
    sources.into_iter().fold(0x9e37_79b9_7f4a_7c15, |mixed, source| scramble(mixed ^ source))
}

/// A bijection in which every bit of the result depends on every bit of the argument.
fn scramble(mut value: u64) -> u64 {
    value = (value ^ value >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value = (value ^ value >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ value >> 32
}
