//! The boot module, with the layers that the store begins with.
//!
//! It lies where the loader has put it, in RAM that is the heap's. So it is moved to the end of RAM and lodges there while
//! the store is laid out over it; once the layers are in the store, its RAM is the store's as well.

use core::ops::Range;
use core::ptr;

use xenstore::abi::hvm::{Module, StartInfo};
use xenstore::layers::{Buffers, Fault, Trouble};
use xenstore::layout;
use xenstore::server::Server;

use super::hand_over::Bytes;
use super::lodgers::{self, PAGE};
use super::platform::Guest;
use crate::image::{console, paging, symbol};

/// A module that lodges at the end of RAM, until [`Lodged::fuse`].
pub struct Lodged {
    bytes: u64,
}

/// Where the first module is, physical.
pub fn first(start_info: *const StartInfo) -> Option<Range<u64>> {
    // SAFETY: the loader leaves the structure at this address, and nothing has been written since.
    let info = unsafe { start_info.read() };
    if info.nr_modules == 0 || info.modlist_paddr == 0 {
        return None;
    }
    // SAFETY: the loader's list has an entry for each module; addresses are mapped one to one below 4 GiB.
    let module = unsafe { (info.modlist_paddr as *const Module).read_unaligned() };
    let end = module.address.checked_add(module.bytes)?;
    (module.bytes > 0 && module.address >= symbol::end()).then_some(module.address..end)
}

/// Has a module lodge in a heap that nobody has written to yet. `None` if it leaves too little of it.
///
/// # Safety
/// The module is RAM that ends where `paging::protect` was told, and nothing else of it is needed but `heap`.
#[cold]
#[inline(never)]
pub unsafe fn lodge(module: Range<u64>, heap: &Range<u64>) -> Option<Lodged> {
    let bytes = module.end - module.start;
    let ram_end = paging::seam();
    let pages = bytes.div_ceil(PAGE);
    let start = ram_end.checked_sub(pages * PAGE)?;
    // The last page was written to, to see whether it is there.
    if module.end > ram_end - PAGE || start < heap.start + (heap.end - heap.start) / 2 {
        return None;
    }
    let (map, _) = layout::kept(ram_end);
    // SAFETY: both places are RAM that is mapped one to one, and the map has room for each page of RAM; the rest is the
    // caller's promise.
    unsafe {
        ptr::copy(module.start as *const u8, start as *mut u8, bytes as usize);
        ptr::write_bytes((start + bytes) as *mut u8, 0, (pages * PAGE - bytes) as usize);
        for (number, page) in (start..ram_end).step_by(PAGE as usize).enumerate() {
            *(map as *mut u32).add(number) = (page / PAGE) as u32;
        }
        lodgers::begin(map as *mut u32, pages as usize, layout::KEPT, heap.start, heap.end);
    }
    Some(Lodged { bytes })
}

/// Lays the module's layers over the store, or says why not.
#[cold]
#[inline(never)]
pub fn fuse(module: Option<Lodged>, server: &mut Server<Guest>) {
    let mut tell = |name: &[u8], trouble: Trouble| {
        console::line(format_args!("layers: '{}' is left out: {trouble}", name.escape_ascii()));
    };
    let Some(Lodged { bytes }) = module else {
        return server.leave_out(Fault::LargeModule, &mut tell);
    };
    // Where nodes, texts and permission lists come to lie, nothing can lodge in the end.
    if bytes > server.room_beside_nodes() as u64 {
        server.leave_out(Fault::LargeModule, &mut tell);
    } else {
        // Half of the stack, of which little is in use at the start. The heap has no room to spare.
        let mut buffers = Buffers::EMPTY;
        server.fuse(Bytes::of(0), &mut buffers, &mut tell);
    }
    lodgers::end();
}
