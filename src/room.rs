//! Memory that is taken once, before the first request, and kept.
//!
//! Both ways stand apart from who takes it: inlined where each arena is made, they are 10 KB of the image.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// So many places, each with a copy of `value`.
#[inline(never)]
pub fn filled<T: Copy>(value: &T, count: usize) -> Box<[T]> {
    core::iter::repeat_n(value, count).copied().collect()
}

/// Room for so many places, none of them used.
#[inline(never)]
pub fn unfilled<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(count)
}
