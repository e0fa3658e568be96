//! How much RAM there is, the heap made of it, and the page that Xen shares with us.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use linked_list_allocator::LockedHeap;
use xen_sys::__HYPERVISOR_memory_op;
use xenstore::abi::DomId;
use xenstore::abi::memory::{
    self, AddToPhysmap, E820Entry, MemoryMap, MemoryReservation, XENMAPSPACE_SHARED_INFO,
    XENMEM_ADD_TO_PHYSMAP, XENMEM_CURRENT_RESERVATION, XENMEM_DECREASE_RESERVATION,
    XENMEM_MAXIMUM_RESERVATION, XENMEM_MEMORY_MAP, XENMEM_POPULATE_PHYSMAP,
};
use xenstore::abi::shared_info::SharedInfo;

use super::hole::SHARED_INFO_FRAME;
use super::hypercall::{self, Errno};
use super::paging::{LARGE_PAGE, RAM_LIMIT};

const PAGE: u64 = 4096;

/// Entries of the memory map that are read.
const ENTRIES: usize = 32;

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

static SHARED_INFO_MAPPED: AtomicBool = AtomicBool::new(false);

/// The end of RAM in bytes, before Xen has been asked for more. It begins at 0 and has no gaps.
///
/// Only the number of pages that we have is reliable. The memory map's RAM entry is what may be
/// populated some day, or wrong, so it can only lower the figure.
pub fn ram_end() -> Result<u64, Errno> {
    let mapped = memory::mapped(memory_map(&mut [E820Entry::EMPTY; ENTRIES]));
    Ok(populated()?.min(mapped.unwrap_or(RAM_LIMIT)) / PAGE * PAGE)
}

/// The end of what RAM we have, whatever the map says: with `xl mem-max` there may be more than it knows of.
pub fn populated() -> Result<u64, Errno> {
    let pages = reservation(XENMEM_CURRENT_RESERVATION)?;
    Ok(memory::populated(memory_map(&mut [E820Entry::EMPTY; ENTRIES]), pages).min(RAM_LIMIT))
}

/// Pages that we have, or may have.
fn reservation(which: u64) -> Result<u64, Errno> {
    let mut domid = DomId::SELF;
    // SAFETY: both operations take a domid.
    unsafe { hypercall::call_with(__HYPERVISOR_memory_op, which, &mut domid) }
}

/// Where RAM may end, in bytes, if Xen has memory: what [`populated`] may become. 0 if that is not known.
pub fn limit() -> u64 {
    let present = reservation(XENMEM_CURRENT_RESERVATION);
    let (Ok(end), Ok(present), Ok(most)) = (populated(), present, reservation(XENMEM_MAXIMUM_RESERVATION))
    else {
        return 0;
    };
    (end + most.saturating_sub(present) * PAGE).min(RAM_LIMIT)
}

/// What Xen is asked to do with memory.
#[derive(Clone, Copy)]
pub enum Change {
    /// Give it to us.
    Populate,
    /// Take it.
    Decrease,
}

/// Has Xen do so with memory at physical addresses, by large pages where it has such. The result is how many bytes of it that
/// was done with, from the beginning on.
pub fn change(change: Change, range: Range<u64>) -> u64 {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min((at + 1).next_multiple_of(LARGE_PAGE));
        let is_large = end - at == LARGE_PAGE;
        let large = if is_large { change_extents(change, at, 1, LARGE_PAGE) } else { 0 };
        let done = if large > 0 { large } else { change_extents(change, at, (end - at) / PAGE, PAGE) };
        at += done;
        if at < end {
            break;
        }
    }
    at - range.start
}

/// The same with so many extents of this size, within one large page.
fn change_extents(change: Change, start: u64, count: u64, size: u64) -> u64 {
    let mut frames = [0; (LARGE_PAGE / PAGE) as usize];
    for (frame, address) in frames.iter_mut().zip((start..).step_by(size as usize)) {
        *frame = address / PAGE;
    }
    let mut op = MemoryReservation {
        extents: frames.as_mut_ptr() as u64,
        nr_extents: count.min(frames.len() as u64),
        order: (size / PAGE).ilog2(),
        flags: 0,
        domid: DomId::SELF,
        pad: [0; 3],
    };
    let command = match change {
        Change::Populate => XENMEM_POPULATE_PHYSMAP,
        Change::Decrease => XENMEM_DECREASE_RESERVATION,
    };
    // SAFETY: both operations take this structure and an array of so many frames. What is populated is a hole, and what is
    // given back nobody refers to: the callers' ranges lie behind the RAM that is used.
    let done = unsafe { hypercall::call_with(__HYPERVISOR_memory_op, command, &mut op) };
    done.unwrap_or(0) * size
}

/// The memory map, as far as there is room; empty if Xen does not provide it.
fn memory_map(entries: &mut [E820Entry]) -> &[E820Entry] {
    let mut map = MemoryMap { nr_entries: entries.len() as u32, pad: 0, buffer: entries.as_mut_ptr() as u64 };
    // SAFETY: XENMEM_memory_map takes this structure; the buffer has room for as many entries as it says.
    let result = unsafe { hypercall::call_with(__HYPERVISOR_memory_op, XENMEM_MEMORY_MAP, &mut map) };
    let known = if result.is_ok() { (map.nr_entries as usize).min(entries.len()) } else { 0 };
    &entries[..known]
}

/// Whether the last page before `end` is RAM: what is written to a hole is lost.
pub fn is_ram_before(end: u64) -> bool {
    const PATTERN: u64 = 0x5aa5_9669_c33c_0ff0;
    let last = (end - 8) as *mut u64;
    // SAFETY: called before the page is anybody's, and what does not exist there may be written without effect.
    unsafe {
        last.write_volatile(PATTERN);
        last.read_volatile() == PATTERN
    }
}

/// Gives the heap its memory, once.
///
/// # Safety
/// The range must be mapped and used by nobody else.
pub unsafe fn init_heap(range: Range<u64>) {
    // SAFETY: passed on to the caller.
    unsafe { HEAP.lock().init(range.start as *mut u8, (range.end - range.start) as usize) };
}

/// Bytes of the heap that are in use and free.
pub fn heap_usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.used(), heap.free())
}

/// Has Xen put the shared page at its place in the hole.
pub fn map_shared_info() -> Result<&'static SharedInfo, Errno> {
    let mut op = AddToPhysmap {
        domid: DomId::SELF,
        size: 0,
        space: XENMAPSPACE_SHARED_INFO,
        idx: 0,
        gpfn: SHARED_INFO_FRAME,
    };
    // SAFETY: XENMEM_add_to_physmap takes this structure; the frame is a hole, so no RAM is lost.
    unsafe { hypercall::call_with(__HYPERVISOR_memory_op, XENMEM_ADD_TO_PHYSMAP, &mut op) }?;
    SHARED_INFO_MAPPED.store(true, Ordering::Relaxed);
    shared_info().ok_or(Errno(0))
}

/// The image before has had Xen put the shared page there.
pub fn adopt_shared_info() -> Result<&'static SharedInfo, Errno> {
    SHARED_INFO_MAPPED.store(true, Ordering::Relaxed);
    shared_info().ok_or(Errno(0))
}

/// The shared page, once it is there.
pub fn shared_info() -> Option<&'static SharedInfo> {
    if !SHARED_INFO_MAPPED.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: mapped by `map_shared_info` and never moved; Xen writes to it, which is what its atomic
    // fields are for.
    Some(unsafe { &*((SHARED_INFO_FRAME << 12) as *const SharedInfo) })
}
