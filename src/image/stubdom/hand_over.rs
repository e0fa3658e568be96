//! The record by which an image hands over to another: in a page that neither lies in, at `low::RECORD`.
//!
//! Whoever is entered with the record's start info takes over. It finds there what Xen holds by frame or by port, and
//! where the rest is: the notes and the state, as bytes in pieces of memory that the store before has never used. Until
//! the new image is sure of itself the record leads back, too: the image before is kept in such pieces, and goes on from
//! the same state. All addresses are physical.

use core::ops::Range;
use core::ptr;

use xenstore::abi::hvm::StartInfo;
use xenstore::layout;
use xenstore::state::{OWN_VERSION, Source, VERSIONS};
use xenstore::update::{Bounds, NOTE_NAME, NOTE_TYPE};

use super::lodgers::{self, PAGE};
use crate::image::facts::{Fact, Facts};
use crate::image::fatal;
use crate::image::low::{self, Copy};

/// The version of the hand-over: of this record, of the notes, and of the way.
pub const VERSION: u32 = 3;

/// What this image promises to one that it takes over from, see `xenstore::update`.
#[repr(C)]
struct Note {
    name_size: u32,
    size: u32,
    kind: u32,
    name: [u8; 20],
    states: [u32; 2],
    gives_way: u32,
    version: u32,
    records: u32,
}

#[used]
#[unsafe(link_section = ".note.xenstore")]
static NOTE: Note = Note {
    name_size: NOTE_NAME.len() as u32 + 1,
    size: 20,
    kind: NOTE_TYPE,
    name: *b"xenstore-stubdom\0\0\0\0",
    states: [*VERSIONS.start(), *VERSIONS.end()],
    gives_way: 1,
    version: VERSION,
    records: OWN_VERSION as u32,
};

/// Where images lie.
const IMAGES: Range<u64> = layout::IMAGE..layout::KEPT;

/// What there is for a new image.
pub fn bounds() -> Bounds {
    Bounds { memory: IMAGES, states: VERSIONS, hand_over: VERSION }
}

const MAGIC: u64 = u64::from_le_bytes(*b"xs-over\0");

/// Bytes of the reason for which an image gives way.
pub const REASON: usize = 200;

#[repr(C)]
pub struct Record {
    magic: u64,
    pub version: u32,
    /// The image that is entered has been here before, and another has given way.
    pub is_back: u32,
    pub start_info: StartInfo,
    /// Where the new image begins.
    pub entry: u64,
    /// Where the image before lies when it is at its place, what of that is kept, and where it begins.
    pub image_start: u32,
    pub image_kept: u32,
    pub image_end: u32,
    pub back_entry: u64,
    /// Pages that lodge in the heap, see `lodgers`: first those with the image before, then notes and state.
    pub kept_pages: u32,
    pub pages: u32,
    /// Their places.
    pub map: u64,
    /// The time stamp counter at which the new image must have taken over.
    pub deadline: u64,
    /// Pages of FIFO event channels; 0: 2-level event channels.
    pub event_pages: u32,
    /// Bound to interrupts; 0 if there is none.
    pub timer: u32,
    pub domain_exceptions: u32,
    /// Why the new image gives way.
    reason_len: u32,
    reason: [u8; REASON],
    /// The command line is another one than that of the image before: the quotas that it names are to be.
    pub has_line: u32,
    /// What the image before knows. Where RAM is to end is the end of a larger one if the store grows.
    pub facts: Facts,
    /// Where RAM ends for the image before.
    pub ram_end: u64,
}

const _: () = assert!(size_of::<Record>() as u64 <= low::LIST - low::RECORD);

/// Another layout is another version: whoever changes one changes both.
const _: () = assert!(VERSION == 3 && size_of::<Record>() == 440);

/// The record's place.
fn place() -> *mut Record {
    low::RECORD as *mut Record
}

/// The record if the image was entered with its start info, thus takes over.
pub fn found(start_info: *const StartInfo) -> Option<&'static mut Record> {
    if start_info as u64 != self::start_info() {
        return None;
    }
    // SAFETY: no loader puts a start info there; so it is a record, in a page that is mapped and that nothing else
    // refers to.
    let record = unsafe { &mut *place() };
    (record.magic == MAGIC && record.version == VERSION).then_some(record)
}

/// Where the record's start info is, physical.
pub fn start_info() -> u64 {
    // SAFETY: the address of a field of something that need not be there.
    unsafe { (&raw const (*place()).start_info) as u64 }
}

/// Where the new image begins, as the record says.
pub fn entry() -> u64 {
    // SAFETY: the page is mapped, and holds a record or what was RAM.
    unsafe { (&raw const (*place()).entry).read() }
}

/// A new record, not yet complete.
///
/// # Safety
/// Nothing may refer to the one before.
pub unsafe fn begin() -> &'static mut Record {
    // SAFETY: the page is mapped and kept for this; all zeros are a record.
    let record = unsafe {
        ptr::write_bytes(place(), 0, 1);
        &mut *place()
    };
    record.magic = MAGIC;
    record.version = VERSION;
    record
}

impl Record {
    /// Whether it is the image before that takes over, with more RAM.
    pub fn grows(&self) -> bool {
        self.ram_end != 0 && self.facts.get(Fact::RamEnd).is_some_and(|end| end > self.ram_end)
    }

    /// The end of the places of lodgers.
    pub fn map_end(&self) -> u64 {
        (self.map + u64::from(self.pages) * 4).next_multiple_of(PAGE)
    }

    pub fn reason(&self) -> &str {
        let len = (self.reason_len as usize).min(REASON);
        core::str::from_utf8(&self.reason[..len]).unwrap_or_default()
    }

    /// The image before goes on, because of this.
    pub fn give_way(&mut self, reason: &[u8]) -> ! {
        let len = reason.len().min(REASON);
        self.reason[..len].copy_from_slice(&reason[..len]);
        self.reason_len = len as u32;
        self.is_back = 1;
        self.start_info.cmdline_paddr = low::LINE;
        let mut list = low::List::new();
        let kept = self.image_start..self.image_kept;
        for (target, number) in kept.clone().step_by(PAGE as usize).zip(0..self.kept_pages) {
            let bytes = (kept.end - target).min(PAGE as u32);
            list.add(Copy { target, source: lodgers::place(self.map, number), bytes });
        }
        list.add(Copy { target: kept.end, source: 0, bytes: self.image_end - kept.end });
        let (map, end) = layout::kept(self.ram_end);
        let bytes = self.pages * 4;
        // Else it stays, and the heap begins behind it.
        if self.map > map && map + u64::from(bytes) <= end {
            list.add(Copy { target: map as u32, source: self.map as u32, bytes });
            self.map = map;
        }
        list.end();
        // SAFETY: so the image before is as it has left itself, but for what begins as zeros; and that it is entered is what
        // it wants.
        unsafe { low::leave(low::LIST, start_info(), self.back_entry) }
    }

    /// The image that has been entered is sure of itself, and its command line is the present one.
    pub fn end(&mut self) {
        self.magic = 0;
        // What was a whole line before is one now.
        let _fits = low::set_line(low::LINE, low::line(self.start_info.cmdline_paddr), b"");
    }
}

/// Registers the record, so that a failure gives way instead of ending the domain.
pub fn watch_over(on: bool) {
    fatal::set_way_back(on.then_some(|reason| {
        // SAFETY: whoever has failed never runs again, so nothing else refers to the record.
        let record = unsafe { &mut *place() };
        record.give_way(reason)
    }));
}

/// A position in the bytes of lodgers.
#[derive(Clone, Copy)]
pub struct Bytes {
    page: usize,
    at: usize,
}

impl Bytes {
    /// The first byte of this page.
    pub fn of(page: u32) -> Bytes {
        Bytes { page: page as usize, at: 0 }
    }

    /// Reads a value of so many bytes, little-endian; zeros at the end.
    #[inline(never)] // For all kinds.
    pub fn number(&mut self, bytes: usize) -> u64 {
        let mut value = [0; 8];
        for byte in value.iter_mut().take(bytes) {
            *byte = self.next().first().copied().unwrap_or(0);
            self.pass(1);
        }
        u64::from_le_bytes(value)
    }
}

impl Source for Bytes {
    #[inline(never)] // Whoever reads.
    fn next(&self) -> &[u8] {
        lodgers::look(self.page).get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, count: usize) {
        let at = self.at + count;
        (self.page, self.at) = (self.page + at / PAGE as usize, at % PAGE as usize);
    }
}
