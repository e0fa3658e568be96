//! Xen's public interface as plain data: identifiers, constants and structures that guests share.
//!
//! Each item names the public header it comes from; sizes and offsets are asserted at compile time.

pub mod console;
pub mod cpuid;
pub mod domctl;
pub mod fifo;
pub mod grant_table;
pub mod hvm;
pub mod memory;
mod ring;
pub mod runstate;
pub mod shared_info;

pub use ring::{RING_SIZE, RingError, RingPage, ServerFeatures};

/// Domain identifier, `domid_t` (xen.h). Real domains are `0..DomId::FIRST_RESERVED`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct DomId(pub u16);

impl DomId {
    /// First identifier that no real domain has, `DOMID_FIRST_RESERVED` (xen.h).
    pub const FIRST_RESERVED: DomId = DomId(0x7ff0);
    /// Number of identifiers that real domains have.
    pub const COUNT: usize = DomId::FIRST_RESERVED.0 as usize;
    /// The calling domain itself, `DOMID_SELF` (xen.h).
    pub const SELF: DomId = DomId(0x7ff0);
    /// No domain, `DOMID_INVALID` (xen.h).
    pub const INVALID: DomId = DomId(0x7ff4);
    /// Any domain, in permission entries only, `DOMID_ANY` (xen.h, Xen 4.22).
    pub const ANY: DomId = DomId(0x7ff5);
}

impl core::fmt::Display for DomId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Event-channel port, `evtchn_port_t` (event_channel.h). Port 0 is never valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Port(pub u32);

/// Grant reference, `grant_ref_t` (grant_table.h).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct GrantRef(pub u32);

impl GrantRef {
    /// The reference under which every domain grants its xenstore page, `GNTTAB_RESERVED_XENSTORE`
    /// (grant_table.h).
    pub const XENSTORE: GrantRef = GrantRef(1);
}
