//! Memory operations of a guest on itself (memory.h).

use core::mem::{offset_of, size_of};

use super::DomId;

/// `XENMEM_decrease_reservation` and `XENMEM_populate_physmap`: argument [`MemoryReservation`], return the number of extents
/// that were done, 0 also for errors.
pub const XENMEM_DECREASE_RESERVATION: u64 = 1;
pub const XENMEM_POPULATE_PHYSMAP: u64 = 6;
/// `XENMEM_current_reservation` and `XENMEM_maximum_reservation`: argument a [`DomId`], return pages.
pub const XENMEM_CURRENT_RESERVATION: u64 = 3;
pub const XENMEM_MAXIMUM_RESERVATION: u64 = 4;
/// `XENMEM_add_to_physmap`: argument [`AddToPhysmap`].
pub const XENMEM_ADD_TO_PHYSMAP: u64 = 7;
/// `XENMEM_memory_map`: argument [`MemoryMap`].
pub const XENMEM_MEMORY_MAP: u64 = 9;

/// `XENMAPSPACE_shared_info`.
pub const XENMAPSPACE_SHARED_INFO: u32 = 0;

/// `struct xen_memory_reservation`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryReservation {
    /// Address of an array of the first guest frames of extents.
    pub extents: u64,
    pub nr_extents: u64,
    /// Each has 2 to the power of this of pages, 9 at most.
    pub order: u32,
    pub flags: u32,
    pub domid: DomId,
    pub pad: [u16; 3],
}

const _: () = assert!(size_of::<MemoryReservation>() == 32);
const _: () = assert!(offset_of!(MemoryReservation, order) == 16);
const _: () = assert!(offset_of!(MemoryReservation, domid) == 24);

/// `struct xen_add_to_physmap`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AddToPhysmap {
    pub domid: DomId,
    /// Unused but for ranges.
    pub size: u16,
    /// `XENMAPSPACE_*`.
    pub space: u32,
    pub idx: u64,
    /// Guest frame at which the page is to appear.
    pub gpfn: u64,
}

const _: () = assert!(size_of::<AddToPhysmap>() == 24);
const _: () = assert!(offset_of!(AddToPhysmap, space) == 4);
const _: () = assert!(offset_of!(AddToPhysmap, idx) == 8);
const _: () = assert!(offset_of!(AddToPhysmap, gpfn) == 16);

/// `struct xen_memory_map`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryMap {
    /// In: entries the buffer holds; out: entries written.
    pub nr_entries: u32,
    pub pad: u32,
    /// Address of an array of [`E820Entry`].
    pub buffer: u64,
}

const _: () = assert!(size_of::<MemoryMap>() == 16);
const _: () = assert!(offset_of!(MemoryMap, buffer) == 8);

/// One entry of the memory map, `struct e820entry` (hvm/e820.h). Not sorted, and its RAM sizes are not
/// to be trusted.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug)]
pub struct E820Entry {
    pub addr: u64,
    pub size: u64,
    /// [`E820Entry::RAM`] or something else.
    pub kind: u32,
}

impl E820Entry {
    pub const RAM: u32 = 1;
    pub const EMPTY: E820Entry = E820Entry { addr: 0, size: 0, kind: 0 };
}

const _: () = assert!(size_of::<E820Entry>() == 20);
