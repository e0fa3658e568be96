//! The console ring page, `struct xencons_interface` (io/console.h).
//!
//! dom0's console daemon reads it, so every field is atomic.

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicU8, AtomicU32};

/// Bytes of the input buffer, a power of two.
pub const CONSOLE_IN_SIZE: u32 = 1024;
/// Bytes of the output buffer, a power of two.
pub const CONSOLE_OUT_SIZE: u32 = 2048;

/// Indexes run freely modulo 2^32; a buffer position is the index modulo the buffer's size.
#[repr(C)]
pub struct ConsolePage {
    pub input: [AtomicU8; CONSOLE_IN_SIZE as usize],
    pub output: [AtomicU8; CONSOLE_OUT_SIZE as usize],
    pub in_cons: AtomicU32,
    pub in_prod: AtomicU32,
    pub out_cons: AtomicU32,
    pub out_prod: AtomicU32,
}

const _: () = assert!(size_of::<ConsolePage>() == 3088);
const _: () = assert!(offset_of!(ConsolePage, output) == 1024);
const _: () = assert!(offset_of!(ConsolePage, in_cons) == 3072);
const _: () = assert!(offset_of!(ConsolePage, in_prod) == 3076);
const _: () = assert!(offset_of!(ConsolePage, out_cons) == 3080);
const _: () = assert!(offset_of!(ConsolePage, out_prod) == 3084);
