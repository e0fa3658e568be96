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

const PAGE: u64 = 4096;

/// Pages that count as a domain's but are not RAM: console, xenstore and six that Xen keeps.
const SPECIAL_PAGES: u64 = 8;

/// Bytes of RAM of a domain that has so many pages. Those that the other entries of its map show are not RAM.
pub fn populated(map: &[E820Entry], pages: u64) -> u64 {
    let others = map.iter().filter(|entry| { entry.kind } != E820Entry::RAM);
    let others: u64 = others.map(|entry| entry.size / PAGE).sum();
    pages.saturating_sub(others.max(SPECIAL_PAGES)) * PAGE
}

/// How much RAM the map has from address 0 on, bytes: as much as there may be when the domain begins. `None` if what it
/// says is wrong (Xen 4.17 and 4.18 with `--maxmem`).
pub fn mapped(map: &[E820Entry]) -> Option<u64> {
    const SENSIBLE: u64 = 1 << 20;
    let first = map.iter().find(|entry| ({ entry.kind }, { entry.addr }) == (E820Entry::RAM, 0))?;
    Some(first.size).filter(|size| *size >= SENSIBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map of a domain that init-xenstore-domain has made.
    fn map(ram: u64) -> [E820Entry; 2] {
        let special = E820Entry { addr: 0xfeff_8000, size: 0x8000, kind: 2 };
        [E820Entry { addr: 0, size: ram, kind: E820Entry::RAM }, special]
    }

    #[test]
    fn ram_is_what_is_there_and_not_what_the_map_has() {
        for (ram, pages) in [(64 << 20, 8200), (0x40, 8200), (8 << 20, 8200)] {
            assert_eq!(populated(&map(ram), pages), 32 << 20, "{ram:#x}");
        }
        assert_eq!(populated(&[], 8200), 32 << 20);
        assert_eq!(populated(&map(8 << 20), 3), 0);
    }

    #[test]
    fn a_map_that_is_wrong_says_nothing() {
        assert_eq!(mapped(&map(64 << 20)), Some(64 << 20));
        assert_eq!((mapped(&map(0x40)), mapped(&[])), (None, None));
    }
}
