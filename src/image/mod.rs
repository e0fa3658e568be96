//! Everything between Xen and a freestanding program.
//!
//! Here is what each such program needs; [`boot`] has the order of its start. `stubdom/` is the part of the store's
//! image alone, `guest.rs` that of the tests' guest. Each program's root declares its own part. It uses `abi` and
//! `platform` of the library, and `xen-sys`. Invariant: all `unsafe` code is here, and each block names the facts that
//! it relies on.

pub mod boot;
pub mod boot_cell;
pub mod clock;
pub mod console;
pub mod counters;
pub mod cpu;
mod entry;
pub mod events;
pub mod exceptions;
pub mod facts;
pub mod fatal;
pub mod hole;
pub mod hypercall;
pub mod idle;
pub mod logger;
pub mod low;
pub mod memory;
pub mod paging;
pub mod segments;
pub mod symbol;
pub mod trial;
pub mod watch;
pub mod xen;
