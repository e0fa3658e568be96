//! Pages that lodge in the heap's memory: the state and the image before, while a new one builds its store over them.
//!
//! The old image leaves them where its own arenas have never been. Where the new one's are laid out otherwise, a page may
//! be in the way. So they are not mapped, and the fault of the first access moves the lodger to a page that nobody has
//! written to, as the processor's own marks tell. Invariant: `map` knows where each is, in the order of their bytes; a page
//! table's entry for a page that is taken by one has its number.

use core::ptr;

use crate::image::fatal::{self, Reason};
use crate::image::paging::{self, DIRTY, PRESENT};
use crate::image::{boot_cell::BootCell, exceptions};

pub const PAGE: u64 = 4096;

/// Where a lodger can be read: a page below the image, which is mapped nowhere else.
const WINDOW: u64 = (1 << 20) - PAGE;

/// A page table's entry of a page that is taken.
const TAKEN: u64 = 1 << 10;
const NUMBER: u32 = 12;

/// What is known of the lodgers while there are any.
struct Lodging {
    map: *mut u32,
    count: usize,
    /// Every page from this address on has been looked at, in the search for one to move to.
    searched: u64,
    /// Where the search ends.
    start: u64,
    /// The lodger that is seen in the window.
    seen: usize,
}

static LODGING: BootCell<Lodging> =
    BootCell::new(Lodging { map: ptr::null_mut(), count: 0, searched: 0, start: 0, seen: usize::MAX });

/// Takes the lodgers' pages from the heap between these addresses, which nobody has written to yet.
///
/// # Safety
/// `map` has the physical pages of `count` lodgers, in that heap or behind RAM, and is nobody else's until [`end`]; so are as many
/// tables behind `tables` as the heap has parts of 2 MiB.
pub unsafe fn begin(map: *mut u32, count: usize, tables: u64, start: u64, end: u64) {
    // SAFETY: there is one vCPU, and no fault of a lodger's page can come before this is done; the rest is the caller's
    // promise.
    unsafe {
        paging::split(tables);
        *LODGING.get() = Lodging { map, count, searched: end, start, seen: usize::MAX };
        for number in 0..count {
            let page = u64::from(*map.add(number)) * PAGE;
            // What lies behind RAM is in nobody's way.
            if page < paging::seam() {
                *paging::entry(paging::address(page)) = TAKEN | (number as u64) << NUMBER;
            }
        }
        paging::forget_all();
    }
    exceptions::set_page_fault_handler(Some(make_room));
}

/// Where a lodger is, physical.
pub fn place(map: u64, number: u32) -> u32 {
    // SAFETY: the map is mapped at its physical address, and there is a place in it for each page of RAM.
    unsafe { *(map as *const u32).add(number as usize) * PAGE as u32 }
}

/// All pages are the heap's again, with what the lodgers have left there.
pub fn end() {
    exceptions::set_page_fault_handler(None);
    // SAFETY: there is one vCPU; all that is mapped stays so.
    unsafe {
        let Lodging { map, count, .. } = *LODGING.get();
        for number in 0..count {
            let page = u64::from(*map.add(number)) * PAGE;
            if page < paging::seam() {
                *paging::entry(paging::address(page)) = page | paging::data();
            }
        }
        paging::join();
        *paging::entry(WINDOW) = 0;
        paging::forget_all();
    }
}

/// The bytes of a lodger; none if there is no such. They stay there until the next call.
pub fn look(number: usize) -> &'static [u8] {
    // SAFETY: there is one vCPU; the window shows this lodger alone, wherever it goes, and nobody writes to lodgers.
    unsafe {
        let lodging = LODGING.get();
        if number >= (*lodging).count {
            return &[];
        }
        if (*lodging).seen != number {
            (*lodging).seen = number;
            show(u64::from(*(*lodging).map.add(number)) * PAGE);
        }
        core::slice::from_raw_parts(WINDOW as *const u8, PAGE as usize)
    }
}

unsafe fn show(page: u64) {
    // SAFETY: nothing else is mapped there.
    unsafe { *paging::entry(WINDOW) = page | paging::data() };
    paging::forget(WINDOW);
}

/// A page fault: if a lodger is in the way, it is moved.
fn make_room(address: u64) -> bool {
    let page = address / PAGE * PAGE;
    // SAFETY: there is one vCPU, and whatever the fault has interrupted does not know of lodgers, or has only asked for the
    // slice of one, which stays valid.
    unsafe {
        let lodging = &mut *LODGING.get();
        if page < lodging.start || page >= paging::heap_end() {
            return false;
        }
        let entry = paging::entry(page);
        if *entry & (PRESENT | TAKEN) != TAKEN {
            return false;
        }
        let number = (*entry >> NUMBER) as usize;
        let Some(free) = next_free(lodging) else {
            fatal::stop(
                Reason::Crash,
                format_args!("no memory is left beside the state for the new image's store"),
            );
        };
        *entry = paging::physical(page) | paging::data();
        paging::forget(page);
        ptr::copy_nonoverlapping(page as *const u8, free as *mut u8, PAGE as usize);
        *paging::entry(free) = TAKEN | (number as u64) << NUMBER;
        paging::forget(free);
        *lodging.map.add(number) = (paging::physical(free) / PAGE) as u32;
        if lodging.seen == number {
            show(paging::physical(free));
        }
    }
    true
}

/// A page of the heap that is nobody's and that has not been written to.
fn next_free(lodging: &mut Lodging) -> Option<u64> {
    while lodging.searched > lodging.start {
        lodging.searched -= PAGE;
        // SAFETY: the heap is mapped by pages.
        let entry = unsafe { *paging::entry(lodging.searched) };
        if entry & (PRESENT | DIRTY) == PRESENT {
            return Some(lodging.searched);
        }
    }
    None
}
