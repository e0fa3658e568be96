//! Everything between Xen and the library, and the only home of `unsafe`.
//!
//! The order of things at boot is [`start`]; what the server asks of Xen is [`platform`].

mod boot_cell;
mod clock;
mod console;
mod counters;
mod cpu;
mod domains;
mod entry;
mod events;
mod exceptions;
mod fatal;
mod grants;
mod hypercall;
mod idle;
mod logger;
mod memory;
mod paging;
mod platform;
mod ports;
mod seed;
mod segments;
mod start;
mod xen;
