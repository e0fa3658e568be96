//! Everything between Xen and a freestanding program, and the only home of `unsafe`.
//!
//! What any such program needs is here; [`boot`] is the order of things. The store's own part is `stubdom/`, that
//! of the tests' little guest is `guest.rs`; each program's root declares the one it is made of.

pub mod boot;
mod boot_cell;
pub mod clock;
pub mod console;
pub mod counters;
pub mod cpu;
mod entry;
pub mod events;
mod exceptions;
pub mod fatal;
pub mod hole;
pub mod hypercall;
pub mod idle;
pub mod logger;
pub mod memory;
pub mod paging;
mod segments;
mod symbol;
pub mod xen;
