//! Memory that is taken once, before the first request, and kept.
//!
//! Neither function is inlined: for every arena that is made, they would be 10 KB of the image.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// So many elements, each a copy of `value`.
#[inline(never)]
pub fn filled<T: Copy>(value: &T, count: usize) -> Box<[T]> {
    core::iter::repeat_n(value, count).copied().collect()
}

/// An empty vector with room for so many elements.
#[inline(never)]
pub fn unfilled<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(count)
}
