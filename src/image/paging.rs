//! The final page tables: each page for its purpose only.
//!
//! Everything is mapped at its physical address, in 2 MiB pages, except the first 2 MiB. The image is there, and its
//! parts get 4 KiB pages with the rights that they need. The RAM below the image is mapped right above the end of RAM
//! instead, so that the heap is one piece. Invariants: page 0 and the page below each stack are not mapped, and no page
//! with data is executable.

use core::arch::asm;
use core::convert::Infallible;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use super::boot_cell::BootCell;
use super::cpu::{self, EFER_NXE, MSR_EFER};
use super::facts::{self, Fact};
use super::hole::{HOLE_END_FRAME, HOLE_FRAME};
use super::{low, symbol};

/// Page table entry: present.
pub const PRESENT: u64 = 1 << 0;
/// Page table entry: writable.
pub const WRITABLE: u64 = 1 << 1;
/// Page table entry: it has been written to.
pub const DIRTY: u64 = 1 << 6;
/// Page directory entry: a 2 MiB page.
pub const LARGE: u64 = 1 << 7;

const PAGE: u64 = 4096;
pub const LARGE_PAGE: u64 = 2 << 20;
const TABLE: usize = 512;
/// What the directories of boot/entry.s map, bytes.
const ADDRESSES: u64 = 4 << 30;
const NO_EXECUTE: u64 = 1 << 63;

/// Highest end of RAM, in bytes, that the map has room for: the hole with the ring pages comes next.
pub const RAM_LIMIT: u64 = (HOLE_FRAME << 12) - 2 * LARGE_PAGE;

/// What each entry for data has.
static DATA: AtomicU64 = AtomicU64::new(PRESENT | WRITABLE);
/// The end of RAM, where the heap's part of the RAM below the image appears.
static RAM_END: AtomicU64 = AtomicU64::new(0);
/// Where that part begins.
static LOW_START: AtomicU64 = AtomicU64::new(0);

/// Tables that follow one another.
#[repr(C, align(4096))]
struct Tables<const N: usize>([[u64; TABLE]; N]);

/// The first 2 MiB.
static IMAGE_TABLE: BootCell<Tables<1>> = BootCell::new(Tables([[0; TABLE]]));
/// The end of RAM and what appears above it.
static EDGE_TABLES: BootCell<Tables<2>> = BootCell::new(Tables([[0; TABLE]; 2]));

unsafe extern "C" {
    /// The 4 GiB of directories of boot/entry.s.
    static mut page_directories: [u64; 4 * TABLE];
    static page_map: [u64; TABLE];
}

/// What is not the heap's of the RAM around the image.
#[derive(Clone, Copy)]
pub struct Kept {
    /// The end of the pages that are kept at the beginning of RAM, page 0 with them.
    pub low_end: u64,
    /// Where the heap begins, at the end of the image or behind it.
    pub heap_start: u64,
}

/// Replaces the map of boot/entry.s. `ram_end` is in bytes, page aligned, above 2 MiB and not above
/// [`RAM_LIMIT`]; `special` are further frames to be mapped. Returns the free RAM as one range of addresses.
pub fn protect(ram_end: u64, special: &[u64], kept: Kept) -> Range<u64> {
    let Kept { low_end: low_start, heap_start } = kept;
    RAM_END.store(ram_end, Ordering::Relaxed);
    LOW_START.store(low_start, Ordering::Relaxed);
    let low_end = symbol::start();
    let free = heap_start..ram_end + (low_end - low_start);

    let Ok(can) = facts::learn(Fact::NoExecute, || Ok::<_, Infallible>(cpu::can_forbid_execution().into()));
    let no_execute = if can != 0 { NO_EXECUTE } else { 0 };
    let data = PRESENT | WRITABLE | no_execute;
    DATA.store(data, Ordering::Relaxed);
    let edge_start = ram_end / LARGE_PAGE * LARGE_PAGE;
    let edge_page = |address: u64| {
        if address < ram_end {
            address | data
        } else if address < free.end {
            (address - ram_end + low_start) | data
        } else {
            0
        }
    };
    // SAFETY: this runs once, on the one vCPU. The code, data and stacks in use keep their addresses in
    // the new tables; whatever loses its mapping is not referred to from here on.
    unsafe {
        if no_execute != 0 {
            cpu::write_msr(MSR_EFER, cpu::read_msr(MSR_EFER) | EFER_NXE);
        }
        let image = &mut (*IMAGE_TABLE.get()).0;
        for (address, entry) in (0..).step_by(PAGE as usize).zip(image.as_flattened_mut()) {
            *entry = image_page(address, low_start, data, no_execute);
        }
        let edge = &mut (*EDGE_TABLES.get()).0;
        for (address, entry) in (edge_start..).step_by(PAGE as usize).zip(edge.as_flattened_mut()) {
            *entry = edge_page(address);
        }
        // What runs is in the first 2 MiB, and the shared page in the hole: an image on trial may have an upcall meanwhile.
        let hole_end = (HOLE_END_FRAME << 12).next_multiple_of(LARGE_PAGE);
        for part in [edge_start..HOLE_FRAME << 12, hole_end..ADDRESSES] {
            ptr::write_bytes(directory(part.start), 0, ((part.end - part.start) / LARGE_PAGE) as usize);
        }
        map_large(LARGE_PAGE..ram_end, data);
        map_large(HOLE_FRAME << 12..HOLE_END_FRAME << 12, data);
        // Frame 0 is none.
        for frame in special.iter().filter(|frame| **frame != 0) {
            let address = (frame << 12) / LARGE_PAGE * LARGE_PAGE;
            *directory(address) = address | data | LARGE;
        }
        *directory(0) = IMAGE_TABLE.get() as u64 | PRESENT | WRITABLE;
        for (half, table) in edge.iter().enumerate() {
            *directory(edge_start + half as u64 * LARGE_PAGE) =
                (&raw const *table) as u64 | PRESENT | WRITABLE;
        }
        asm!("mov cr3, {}", in(reg) &raw const page_map, options(nostack, preserves_flags));
    }
    free
}

/// Maps these addresses by large pages.
///
/// # Safety
/// What is mapped there stays so, at the same place.
#[inline(never)] // In several places.
unsafe fn map_large(addresses: Range<u64>, data: u64) {
    for part in addresses.step_by(LARGE_PAGE as usize) {
        // SAFETY: the caller's promise.
        unsafe { *directory(part) = part | data | LARGE };
    }
}

/// Maps memory behind the heap, at its physical address.
///
/// # Safety
/// It is ours, and begins with a large page of which nothing is mapped.
pub unsafe fn add(addresses: Range<u64>) {
    // SAFETY: the caller's promise.
    unsafe { map_large(addresses, data()) };
}

/// The bits of an entry for data.
pub fn data() -> u64 {
    DATA.load(Ordering::Relaxed)
}

/// The end of the heap, as addresses.
pub fn heap_end() -> u64 {
    RAM_END.load(Ordering::Relaxed) + symbol::start() - LOW_START.load(Ordering::Relaxed)
}

/// Parts of 2 MiB that are mapped as one each, beginning with the second: those before the end of RAM.
fn large() -> Range<u64> {
    LARGE_PAGE..RAM_END.load(Ordering::Relaxed) / LARGE_PAGE * LARGE_PAGE
}

/// Maps all RAM by pages of 4 KiB.
///
/// # Safety
/// As much memory as [`tables_for`](xenstore::layout::tables_for) says is there for the tables, and nobody else's until [`join`] and [`forget_all`].
pub unsafe fn split(tables: u64) {
    let data = data();
    // SAFETY: whatever was mapped stays so, at the same place; the rest is the caller's promise.
    unsafe {
        for part in large().step_by(LARGE_PAGE as usize) {
            let table = (tables + (part / LARGE_PAGE - 1) * PAGE) as *mut [u64; TABLE];
            for (address, entry) in (part..).step_by(PAGE as usize).zip((*table).iter_mut()) {
                *entry = address | data;
            }
            *directory(part) = table as u64 | PRESENT | WRITABLE;
        }
    }
    forget_all();
}

/// Maps RAM by large pages again.
///
/// # Safety
/// All of it must be mapped.
pub unsafe fn join() {
    // SAFETY: what was mapped stays so, at the same place.
    unsafe { map_large(large(), data()) };
}

/// The directory's entry for an address.
unsafe fn directory(address: u64) -> *mut u64 {
    // SAFETY: there is an entry for each address below 4 GiB.
    unsafe { (&raw mut page_directories).cast::<u64>().add((address / LARGE_PAGE) as usize) }
}

/// The page table's entry for an address.
///
/// # Safety
/// The address lies in the first 2 MiB or, while RAM is split, in the heap.
pub unsafe fn entry(address: u64) -> *mut u64 {
    const PLACE: u64 = 0x000f_ffff_ffff_f000;
    // SAFETY: the directory leads to a table, as the caller says, and tables are mapped at their physical addresses.
    unsafe {
        let table = (*directory(address) & PLACE) as *mut u64;
        table.add((address % LARGE_PAGE / PAGE) as usize)
    }
}

/// What the processor remembers of the mapping of an address is out of date.
pub fn forget(address: u64) {
    // SAFETY: it looks into the tables again.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// The same for all addresses.
pub fn forget_all() {
    // SAFETY: the tables in use stay in use.
    unsafe { asm!("mov cr3, {}", in(reg) &raw const page_map, options(nostack, preserves_flags)) };
}

/// The entry for a page of the first 2 MiB.
fn image_page(address: u64, low_start: u64, data: u64, no_execute: u64) -> u64 {
    if address == low::WAY && address < low_start {
        address | PRESENT
    } else if (PAGE..low_start).contains(&address) {
        address | data
    } else if address < symbol::start() || guards().contains(&address) {
        0
    } else if address < symbol::end_of_text() {
        address | PRESENT
    } else if address < symbol::end_of_rodata() {
        address | PRESENT | no_execute
    } else {
        address | data
    }
}

/// The pages under the stacks.
fn guards() -> [u64; 3] {
    [symbol::guard_of_double_fault_stack(), symbol::guard_of_fault_stack(), symbol::guard_of_main_stack()]
}

/// The physical address of a static or of something on the heap.
pub fn physical(address: u64) -> u64 {
    let (ram_end, low_start) = (RAM_END.load(Ordering::Relaxed), LOW_START.load(Ordering::Relaxed));
    // What the heap has of the RAM below the image.
    let is_low = (ram_end..heap_end()).contains(&address);
    if is_low { address - ram_end + low_start } else { address }
}

/// Where RAM at a physical address appears, which the heap may have.
pub fn address(physical: u64) -> u64 {
    let (ram_end, low_start) = (RAM_END.load(Ordering::Relaxed), LOW_START.load(Ordering::Relaxed));
    if physical >= symbol::start() { physical } else { physical - low_start + ram_end }
}

/// The address at which RAM from below the image begins to appear.
pub fn seam() -> u64 {
    RAM_END.load(Ordering::Relaxed)
}

/// Why an access to `address` faults, if that is known; to be appended to a sentence.
pub fn unmapped_place(address: u64) -> &'static str {
    if address < PAGE {
        " (null pointer)"
    } else if guards().contains(&(address / PAGE * PAGE)) {
        " (stack overflow)"
    } else {
        ""
    }
}
