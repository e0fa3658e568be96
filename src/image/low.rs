//! The first pages of RAM, which no image lies in: what must keep its place when another image takes over.
//!
//! They are mapped at their physical addresses. What follows them below 1 MiB is the heap's.

use core::arch::global_asm;

use xenstore::layout::{EVENTS, IMAGE, KEPT, PAGE};

use super::symbol;

/// The record of a hand-over, see `stubdom/hand_over.rs`, and at the end of its page what is to be copied so that the
/// other image can begin.
pub const RECORD: u64 = PAGE;
pub const LIST: u64 = RECORD + PAGE / 4;
/// The present command line, and a new image's.
pub const LINE: u64 = 2 * PAGE;
pub const NEW_LINE: u64 = LINE + PAGE / 4;
/// Longest command line that is kept, bytes without its end.
pub const LINE_MAX: usize = PAGE as usize / 4 - 1;
/// The code of boot/way.s.
pub const WAY: u64 = 3 * PAGE;
/// The control block of FIFO event channels. Their first page follows.
pub const CONTROL: u64 = EVENTS - PAGE;
const _: () = assert!(WAY < CONTROL);

global_asm!(include_str!("../../boot/way.s"), MSR_EFER = const super::cpu::MSR_EFER);

/// One entry of a list that [`leave`] follows; a length of 0 ends it. A source of 0 means zeros.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Copy {
    pub target: u32,
    pub source: u32,
    pub bytes: u32,
}

/// A list for [`leave`] while it is written, at [`LIST`].
pub struct List {
    entries: usize,
}

impl List {
    pub fn new() -> List {
        List { entries: 0 }
    }

    pub fn add(&mut self, entry: Copy) {
        // An entry without bytes would end it.
        if entry.bytes > 0 {
            self.put(entry);
            self.entries += 1;
        }
    }

    pub fn end(&mut self) {
        self.put(Copy::default());
    }

    fn put(&mut self, entry: Copy) {
        const ROOM: usize = (RECORD + PAGE - LIST) as usize / size_of::<Copy>();
        // The most there can be: the pages of an image, and its segments in two parts each with zeros behind them.
        const { assert!(((KEPT - IMAGE) / PAGE) as usize + 8 * 3 < ROOM) };
        // SAFETY: what its page has behind the record is the list's.
        unsafe { (LIST as *mut Copy).add(self.entries.min(ROOM - 1)).write(entry) };
    }
}

/// The command line at one of these places.
pub fn line(place: u64) -> &'static [u8] {
    // SAFETY: the page is mapped, and what is there is read as it is.
    let bytes = unsafe { core::slice::from_raw_parts(place as *const u8, LINE_MAX) };
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Puts a command line there, with something at its end unless that is there already. Its length if it is too long.
pub fn set_line(place: u64, line: &[u8], last: &[u8]) -> Result<(), usize> {
    let last = if line.ends_with(last) { &[] } else { last };
    let bytes = line.len() + last.len();
    if bytes > LINE_MAX {
        return Err(bytes);
    }
    for (n, byte) in line.iter().chain(last).chain(&[0]).enumerate() {
        // SAFETY: the page is mapped for writing, and there is room for so many bytes. A line that is put in its own place
        // stays as it is.
        unsafe { (place as *mut u8).add(n).write(*byte) };
    }
    Ok(())
}

/// Puts the code of the way into its page.
///
/// # Safety
/// The page must be mapped for writing, and nobody else's.
pub unsafe fn pave() {
    let (start, end) = (symbol::start_of_way(), symbol::end_of_way());
    // SAFETY: the code lies between the two symbols and is shorter than a page; the page is the caller's promise.
    unsafe { core::ptr::copy_nonoverlapping(start as *const u8, WAY as *mut u8, (end - start) as usize) };
}

/// Leaves this image: copies by `list` and enters `entry`, with `start_info` for it. All are physical addresses.
///
/// # Safety
/// The way is paved, and what the list and the entry lead to is an image. Nothing of this one is used any more.
pub unsafe fn leave(list: u64, start_info: u64, entry: u64) -> ! {
    // SAFETY: the code in the page takes these registers and never returns; the rest is the caller's promise.
    unsafe {
        core::arch::asm!("jmp {way}", way = in(reg) WAY, in("edi") list as u32, in("esi") start_info as u32,
            in("edx") entry as u32, options(noreturn))
    }
}
