//! The xenstore ring page, `struct xenstore_domain_interface` (io/xs_wire.h).
//!
//! The page is shared with a domain that may be hostile, so every field is atomic: a load sees some
//! value the other side stored, never undefined behaviour. Checking what was loaded is `ring.rs`'s work.

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes per direction, `XENSTORE_RING_SIZE` (io/xs_wire.h). A power of two.
pub const RING_SIZE: u32 = 1024;

const WORDS: usize = RING_SIZE as usize / 8;

/// One domain's ring page. Indexes run freely modulo 2^32; a buffer position is `index % RING_SIZE`.
#[repr(C, align(4096))]
pub struct RingPage {
    /// Bytes from the guest, little-endian within each word.
    pub req: [AtomicU64; WORDS],
    /// Bytes to the guest, little-endian within each word.
    pub rsp: [AtomicU64; WORDS],
    pub req_cons: AtomicU32,
    pub req_prod: AtomicU32,
    pub rsp_cons: AtomicU32,
    pub rsp_prod: AtomicU32,
    /// What the server offers, [`ServerFeatures`].
    pub server_features: AtomicU32,
    /// 0 connected, 1 reconnect requested (`XENSTORE_CONNECTED`, `XENSTORE_RECONNECT`).
    pub connection: AtomicU32,
    /// Why the server stopped serving this ring, [`RingError`].
    pub error: AtomicU32,
    /// Xen 4.21: the guest's port if the hypervisor allocated it, else 0.
    pub evtchn_port: AtomicU32,
    reserved: [AtomicU64; (4096 - 2080) / 8],
}

const _: () = assert!(size_of::<RingPage>() == 4096);
const _: () = assert!(offset_of!(RingPage, rsp) == 1024);
const _: () = assert!(offset_of!(RingPage, req_cons) == 2048);
const _: () = assert!(offset_of!(RingPage, req_prod) == 2052);
const _: () = assert!(offset_of!(RingPage, rsp_cons) == 2056);
const _: () = assert!(offset_of!(RingPage, rsp_prod) == 2060);
const _: () = assert!(offset_of!(RingPage, server_features) == 2064);
const _: () = assert!(offset_of!(RingPage, connection) == 2068);
const _: () = assert!(offset_of!(RingPage, error) == 2072);
const _: () = assert!(offset_of!(RingPage, evtchn_port) == 2076);

impl RingPage {
    /// An all-zero page, as a domain builder leaves it.
    pub const fn new() -> Self {
        RingPage {
            req: [const { AtomicU64::new(0) }; WORDS],
            rsp: [const { AtomicU64::new(0) }; WORDS],
            req_cons: AtomicU32::new(0),
            req_prod: AtomicU32::new(0),
            rsp_cons: AtomicU32::new(0),
            rsp_prod: AtomicU32::new(0),
            server_features: AtomicU32::new(0),
            connection: AtomicU32::new(0),
            error: AtomicU32::new(0),
            evtchn_port: AtomicU32::new(0),
            reserved: [const { AtomicU64::new(0) }; (4096 - 2080) / 8],
        }
    }
}

impl Default for RingPage {
    fn default() -> Self {
        Self::new()
    }
}

bitflags::bitflags! {
    /// `XENSTORE_SERVER_FEATURE_*` (io/xs_wire.h).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ServerFeatures: u32 {
        /// The guest may ask for a fresh connection by setting `connection` to 1.
        const RECONNECTION = 1;
        /// The `error` field is valid.
        const ERROR = 2;
        /// WATCH takes a third argument, the depth.
        const WATCH_DEPTH = 4;
        /// Permission entries may name `DOMID_ANY`.
        const DOMID_ANY = 8;
    }
}

/// Values of the ring page's `error` field, `XENSTORE_ERROR_*` (io/xs_wire.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RingError {
    /// The page or the event channel could not be attached.
    Comm = 1,
    /// An index is out of range.
    RingIdx = 2,
    /// A message header is malformed.
    Proto = 3,
}
