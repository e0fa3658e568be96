//! The places of what is not RAM: a hole in the guest's address space, which we choose.
//!
//! The frames are dense: Xen pays one table page for every 2 MiB in which something is mapped.

use xenstore::abi::DomId;

/// First guest frame of the hole, at 3.5 GiB: above any RAM that is used, below the special pages.
pub const HOLE_FRAME: u64 = 0xe_0000;
/// Frame of the shared page: beside the first ring pages, so that all are in one of Xen's tables.
pub const SHARED_INFO_FRAME: u64 = HOLE_FRAME;
/// Frame of domain 0's ring; the others follow by domid.
pub const RING_FRAME: u64 = HOLE_FRAME + 1;
/// Domids for which there is a frame.
pub const DOMIDS: u64 = DomId::FIRST_RESERVED.0 as u64;
/// One past the last frame of the hole that is used.
pub const HOLE_END_FRAME: u64 = RING_FRAME + DOMIDS;

const _: () = assert!(HOLE_END_FRAME <= 0xf_c000, "the hole must end below the firmware's area");
