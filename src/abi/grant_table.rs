//! Mapping pages that other domains granted (grant_table.h).

use core::mem::{offset_of, size_of};

use super::{DomId, GrantRef};

/// `GNTTABOP_map_grant_ref`: argument an array of [`MapGrantRef`].
pub const GNTTABOP_MAP_GRANT_REF: u64 = 0;
/// `GNTTABOP_unmap_grant_ref`: argument an array of [`UnmapGrantRef`].
pub const GNTTABOP_UNMAP_GRANT_REF: u64 = 1;

/// `GNTMAP_host_map`: map into the caller's own address space, read and write.
pub const GNTMAP_HOST_MAP: u32 = 2;

/// `GNTST_okay`; every other status is negative.
pub const GNTST_OKAY: i16 = 0;

/// `struct gnttab_map_grant_ref`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MapGrantRef {
    /// Guest physical address, page aligned. It must be a hole: Xen crashes a domain that maps a grant
    /// over another.
    pub host_addr: u64,
    /// `GNTMAP_*`.
    pub flags: u32,
    pub grant: GrantRef,
    pub dom: DomId,
    /// Out: `GNTST_*`.
    pub status: i16,
    /// Out: names the mapping when it is undone.
    pub handle: u32,
    pub dev_bus_addr: u64,
}

const _: () = assert!(size_of::<MapGrantRef>() == 32);
const _: () = assert!(offset_of!(MapGrantRef, flags) == 8);
const _: () = assert!(offset_of!(MapGrantRef, grant) == 12);
const _: () = assert!(offset_of!(MapGrantRef, dom) == 16);
const _: () = assert!(offset_of!(MapGrantRef, status) == 18);
const _: () = assert!(offset_of!(MapGrantRef, handle) == 20);
const _: () = assert!(offset_of!(MapGrantRef, dev_bus_addr) == 24);

/// `struct gnttab_unmap_grant_ref`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UnmapGrantRef {
    pub host_addr: u64,
    /// 0 for host mappings.
    pub dev_bus_addr: u64,
    pub handle: u32,
    /// Out: `GNTST_*`.
    pub status: i16,
}

const _: () = assert!(size_of::<UnmapGrantRef>() == 24);
const _: () = assert!(offset_of!(UnmapGrantRef, dev_bus_addr) == 8);
const _: () = assert!(offset_of!(UnmapGrantRef, handle) == 16);
const _: () = assert!(offset_of!(UnmapGrantRef, status) == 20);
