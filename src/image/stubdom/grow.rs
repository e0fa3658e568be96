//! Growth, the image's part: memory from Xen behind the end of RAM, part by part between polls, until there is enough to take
//! over from itself with it (`update.rs`).
//!
//! Invariant: RAM is used up to `paging::seam()`, whatever Xen has given beyond. How much that is, only Xen knows, so memory
//! that an attempt has left is found by the next.

use core::fmt::Arguments;
use core::iter;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use xenstore::layout;
use xenstore::server::Server;

use super::lodgers::PAGE;
use super::platform::Guest;
use super::spare::{Lodge, Spare};
use crate::image::logger::say;
use crate::image::memory::{self, Change};
use crate::image::paging::{self, LARGE_PAGE};

/// By how much RAM grows at least, and at once if that is more than to double it.
const LEAST: u64 = 8 << 20;
const STEP: u64 = 16 << 20;

/// Where RAM is to end. 0 while nobody has asked.
static END: AtomicU64 = AtomicU64::new(0);
/// A refusal has been said.
static SAID: AtomicBool = AtomicBool::new(false);
/// This image has failed with more memory.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Lets the store grow if Xen would let it.
pub fn begin(server: &mut Server<Guest>) {
    let limit = memory::limit();
    if !HAS_FAILED.load(Relaxed) && limit >= paging::seam() + LEAST {
        server.let_grow(limit);
    }
}

/// From now on the store stays as it is.
pub fn note_failure() {
    HAS_FAILED.store(true, Relaxed);
}

/// Asks Xen for the next part of what the store wants, and tells it when that is all.
pub fn ask(server: &mut Server<Guest>) {
    let present = paging::seam();
    if end() == 0 {
        END.store((present * 2).max(present + STEP).min(memory::limit()), Relaxed);
    }
    let populated = memory::populated().unwrap_or(0).max(present);
    let part = populated..end().min((populated + 1).next_multiple_of(LARGE_PAGE));
    let reached = populated + memory::change(Change::Populate, part.clone());
    if reached == part.end && reached < end() {
        return;
    }
    let reached = reached.min(end());
    if reached >= present + LEAST {
        END.store(reached, Relaxed);
        // SAFETY: Xen has given this memory, and nothing else is mapped there.
        unsafe { paging::add(map()..reached) };
        if memory::is_ram_before(reached) {
            return server.have_memory();
        }
    }
    refuse(format_args!("Xen has no more; more is asked for each minute"));
    server.have_no_memory(true);
}

/// The store does not grow for now. Xen has its memory back.
pub fn refuse(why: Arguments<'_>) {
    let present = paging::seam();
    END.store(0, Relaxed);
    memory::change(Change::Decrease, present..memory::populated().unwrap_or(0));
    if !SAID.swap(true, Relaxed) {
        say!(Warn, "the store stays with {} KiB of RAM: {why}", present / 1024);
    }
}

/// Where RAM ends when the store has grown.
pub fn end() -> u64 {
    END.load(Relaxed)
}

/// Where the numbers of lodgers are, until they come to their place in the larger RAM: the first memory that is mapped at its
/// own address both with the present end of RAM and with another one.
pub fn map() -> u64 {
    paging::seam() / LARGE_PAGE * LARGE_PAGE + 2 * LARGE_PAGE
}

/// Room for what an image with this memory needs: in it, and in what was never used and is heap in the larger RAM, too.
pub fn lodge(server: &Server<Guest>) -> Lodge {
    let (_, heap_start) = layout::kept(end());
    let within = |address: usize| (address as u64).max(heap_start).min(paging::seam()) as usize;
    let unused = server.untouched().map(|range| within(range.start)..within(range.end));
    let behind_map = (map() + end() / PAGE * 4).next_multiple_of(PAGE);
    let new = iter::once(behind_map as usize..end() as usize);
    let spare = Spare::new(&mut unused.chain(new));
    // SAFETY: before the first of the new pages there is room for the number of each page, and it is nobody else's.
    unsafe { Lodge::new(spare, map() as *mut u32) }
}
