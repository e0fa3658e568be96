//! Live update, the old image's part: it writes what it knows to memory that nobody has used, and has another image copied
//! into its place. Until the way is taken nothing has changed, so what cannot be is refused.

use core::fmt;
use core::ops::Range;
use core::ptr;

use xenstore::abi::hvm::StartInfo;
use xenstore::layout;
use xenstore::server::{Order, Prepared, PreparedNodes, Server};
use xenstore::state::{Length, Sink, VERSIONS};

use super::grow;
use super::hand_over::{self, Record};
use super::lodgers::PAGE;
use super::notes;
use super::platform::Guest;
use super::spare::{self, Lodge, Spare};
use crate::image::facts::{self, Fact};
use crate::image::fatal::{self, Reason};
use crate::image::logger::say;
use crate::image::low::{self, Copy};
use crate::image::{clock, cpu, paging, symbol, watch, xen};

/// Milliseconds that a new image has to take over, and those for each page that is handed over beyond so many.
const PATIENCE: u64 = 5000;
const PATIENCE_FOR_PAGE: u64 = 4;
const PAGES: u32 = 256;

/// What takes over.
#[derive(Clone, Copy)]
enum Next<'a> {
    Ordered(&'a Order<'a>),
    /// This image, with more RAM.
    Larger,
    /// This image, as it is.
    Repaired,
}

/// Why the new image cannot take over.
enum Problem {
    /// Bytes of memory are missing.
    Memory(u64),
    /// The command line is too long, bytes.
    Line(usize),
    /// There is nothing that could take over.
    Nothing,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Memory(bytes) => {
                write!(f, "not enough memory for the state: {} KiB are missing", bytes.div_ceil(1024))
            }
            Problem::Line(bytes) => {
                write!(f, "the command line is too long: {bytes} bytes of at most {}", low::LINE_MAX)
            }
            Problem::Nothing => f.write_str("there is no new image"),
        }
    }
}

/// How often the nodes are written aside, unless nothing changes them before the image takes over.
const TIMES: u32 = 4;

/// Writes aside what of this image never changes, and the nodes, while nobody waits for it. False if that has been done.
pub fn keep(server: &mut Server<Guest>, guest: &Guest) -> bool {
    let (before, moment, start) = (server.prepared(), server.moment(), nodes_start(server, guest));
    if before.is_some_and(|aside| aside.are_those_of(moment, start) || aside.times == TIMES) {
        return false;
    }
    let mut lodge = if server.grows() { grow::lodge(server) } else { lodge(server) };
    let mut pages = 0;
    for source in (symbol::start()..symbol::end_of_data()).step_by(PAGE as usize) {
        let Some((page, same)) = lodge.take_apart() else { break };
        let stays = source < symbol::end_of_rodata();
        pages += u32::from(stays);
        if !stays || (before.is_some() && same) {
            continue;
        }
        // SAFETY: the page is memory that the store has reserved and never used.
        unsafe {
            ptr::copy_nonoverlapping(source as *const u8, paging::address(page) as *mut u8, PAGE as usize)
        };
    }
    let nodes = lodge.write_nodes(start, |sink| server.save_nodes(sink));
    let times = before.map_or(0, |aside| aside.times) + 1;
    server.note_prepared(Prepared { pages, nodes, moment, times });
    true
}

/// How many bytes behind a multiple of eight the nodes begin, which are behind the notes.
fn nodes_start(server: &Server<Guest>, guest: &Guest) -> u64 {
    let mut notes = Length::default();
    // It has room for all.
    let _counted = notes::write(server, guest, 0, &mut notes);
    notes.0 % 8
}

/// Room for what an image that takes over needs.
fn lodge(server: &Server<Guest>) -> Lodge {
    let (map, _) = layout::kept(paging::seam());
    // SAFETY: room for the number of each page of RAM is kept there for this.
    unsafe { Lodge::new(Spare::new(&mut server.untouched()), map as *mut u32) }
}

/// Has what was ordered take over. Returns only if that cannot be, after saying so to who has ordered it.
pub fn take_over(server: &mut Server<Guest>, guest: &mut Guest) {
    let begun = begin(guest);
    let prepared = watch::over(watch::RECOVERY, || match server.order(guest) {
        _ if server.grows() => prepare(server, guest, begun, Next::Larger),
        Some(order) => prepare(server, guest, begun, Next::Ordered(&order)),
        None => Err(Problem::Nothing),
    });
    // Xen has told of what has come meanwhile. Else it would not tell the image on trial of the timer.
    guest.forget_pending();
    let problem = match prepared {
        // SAFETY: the record and the list are complete, the way was paved at boot, and nothing of this image runs again
        // unless the record leads back to it.
        Ok(_) => unsafe { low::leave(low::LIST, hand_over::start_info(), hand_over::entry()) },
        Err(problem) => problem,
    };
    if server.grows() {
        grow::refuse(format_args!("{problem}"));
    } else {
        say!(Warn, "live update: {problem}");
    }
    server.refuse(guest, format_args!("{problem}"));
    server.resume(guest);
}

/// Has this image begin anew from the present state, which is sound as far as it is written.
pub fn repair(server: &mut Server<Guest>, guest: &mut Guest) -> ! {
    let begun = begin(guest);
    match prepare(server, guest, begun, Next::Repaired) {
        Ok(record) => record.give_way(b"the store was damaged, and has been repaired"),
        Err(problem) => fatal::stop(Reason::Crash, format_args!("the store is damaged: {problem}")),
    }
}

/// Ends with events, so that Xen tells the image on trial of the timer. The result is when that was.
fn begin(guest: &mut Guest) -> u64 {
    let begun = cpu::tsc();
    // An event of the timer that nobody takes any more would keep Xen from telling of the next one, which ends the trial. So
    // it must not fire between here and then.
    interrupt_after(begun, PATIENCE);
    guest.forget_pending();
    begun
}

/// Writes all that an image needs to go on. If that can fail, this one, too, and the list that leads there.
fn prepare(
    server: &Server<Guest>,
    guest: &Guest,
    begun: u64,
    next: Next<'_>,
) -> Result<&'static mut Record, Problem> {
    let image = symbol::start()..symbol::end_of_data();
    let lodge = || if let Next::Larger = next { grow::lodge(server) } else { lodge(server) };
    let room = lodge().room();
    let (aside, there, version) = match next {
        Next::Ordered(order) => (image.clone(), order.prepared, order.version),
        Next::Larger => (image.clone(), server.prepared(), *VERSIONS.end()),
        Next::Repaired => (0..0, None, *VERSIONS.end()),
    };
    let write = |sink: &mut dyn Sink| {
        notes::write(server, guest, begun, sink).and_then(|()| server.save(version, sink))
    };
    let write_all = |nodes: PreparedNodes| {
        let (mut lodge, mut list) = (lodge(), low::List::new());
        list_image(&aside, there.map_or(0, |there| there.pages), &mut lodge, &mut list)?;
        let kept_pages = lodge.pages;
        lodge.have_nodes(nodes);
        write(&mut lodge).ok().map(|()| (lodge, list, kept_pages))
    };
    let start = nodes_start(server, guest);
    let nodes = there.filter(|there| there.are_those_of(server.moment(), start)).map(|there| there.nodes);
    // Nodes that are there already take a page or two more.
    let written = nodes.and_then(write_all).or_else(|| write_all(PreparedNodes::default()));
    let Some((lodge, mut list, kept_pages)) = written else {
        let mut length = Length::default();
        // It has room for all.
        let _counted = write(&mut length);
        let wanted = length.0.next_multiple_of(PAGE) + (aside.end - aside.start).next_multiple_of(PAGE);
        return Err(Problem::Memory(wanted.saturating_sub(room)));
    };
    let record = new_record(guest, kept_pages, lodge.pages);
    match next {
        Next::Ordered(order) => {
            lead(order, &mut list);
            record.entry = order.program.entry;
            record.has_line = order.command_line.is_some().into();
            let line = order.command_line.unwrap_or_else(|| low::line(low::LINE));
            low::set_line(low::NEW_LINE, line, b" -U").map_err(Problem::Line)?;
        }
        Next::Larger => {
            (record.map, _) = layout::kept(grow::end());
            record.facts = record.facts.with(Fact::RamEnd, grow::end());
            record.entry = record.back_entry;
            record.start_info.cmdline_paddr = low::LINE;
            list.add(Copy { target: record.map as u32, source: grow::map() as u32, bytes: lodge.pages * 4 });
            begin_anew(record, &mut list);
        }
        Next::Repaired => return Ok(record),
    }
    record.deadline = begun + set_deadline(begun, lodge.pages);
    Ok(record)
}

/// A record of what this image knows, by which it would go on, with so many lodgers.
fn new_record(guest: &Guest, kept_pages: u32, pages: u32) -> &'static mut Record {
    // SAFETY: the record of the take-over before has ended, or there was none.
    let record = unsafe { hand_over::begin() };
    (record.map, _) = layout::kept(paging::seam());
    (record.kept_pages, record.pages) = (kept_pages, pages);
    (record.event_pages, record.timer, record.domain_exceptions) = guest.bound();
    record.back_entry = symbol::entry();
    (record.image_start, record.image_kept) = (symbol::start() as u32, symbol::end_of_data() as u32);
    record.image_end = symbol::end() as u32;
    (record.facts, record.ram_end) = (facts::all(), paging::seam());
    record.start_info = StartInfo {
        magic: StartInfo::MAGIC,
        version: 1,
        flags: 0,
        nr_modules: 0,
        modlist_paddr: 0,
        cmdline_paddr: low::NEW_LINE,
        rsdp_paddr: 0,
        memmap_paddr: 0,
        memmap_entries: 0,
        reserved: 0,
    };
    record
}

/// Has Xen interrupt the new image when it must have taken over. The result is how long it has, in ticks of the counter.
fn set_deadline(begun: u64, pages: u32) -> u64 {
    let milliseconds = PATIENCE + u64::from(pages.saturating_sub(PAGES)) * PATIENCE_FOR_PAGE;
    if milliseconds > PATIENCE {
        interrupt_after(begun, milliseconds);
    }
    milliseconds * clock::khz()
}

/// The timer comes once, and Xen's time may go faster than the counter, so it comes a third later.
fn interrupt_after(begun: u64, milliseconds: u64) {
    const MILLISECOND: u64 = 1_000_000;
    // Without a timer all else is as well.
    let _set = xen::set_timer(clock::system_time_at(begun) + milliseconds * MILLISECOND * 4 / 3);
}

/// This image is copied aside, page by page, but for so many pages that are `there` already.
fn list_image(image: &Range<u64>, there: u32, lodge: &mut Lodge, list: &mut low::List) -> Option<()> {
    for source in image.clone().step_by(PAGE as usize) {
        let bytes = (image.end - source).min(PAGE) as u32;
        let is_there = lodge.pages < there;
        let (target, same) = lodge.take_apart()?;
        if !(is_there && same) {
            list.add(Copy { target: target as u32, source: source as u32, bytes });
        }
    }
    Some(())
}

/// This image is as it is, but for what begins as zeros.
fn begin_anew(record: &Record, list: &mut low::List) {
    let (target, end) = (record.image_kept, record.image_end);
    list.add(Copy { target, source: 0, bytes: end - target });
    list.end();
}

/// The new one's segments come to their places.
fn lead(order: &Order<'_>, list: &mut low::List) {
    for segment in &order.program.segments {
        let source = order.image.as_ptr() as u64 + segment.offset as u64;
        let mut target = segment.address as u32;
        for part in spare::physical(source..source + segment.in_file as u64) {
            let bytes = (part.end - part.start) as u32;
            list.add(Copy { target, source: part.start as u32, bytes });
            target += bytes;
        }
        list.add(Copy { target, source: 0, bytes: (segment.in_memory - segment.in_file) as u32 });
    }
    list.end();
}
