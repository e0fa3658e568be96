//! Live update, the new image's part: it goes on where another has left off. Until it has a server that can serve, every
//! failure leads back to the image before. That goes on in the same way, from the same state.

use alloc::boxed::Box;

use xenstore::abi::Port;
use xenstore::cmdline::Options;
use xenstore::layout;
use xenstore::server::{Way, sizing};

use super::grants::Ring;
use super::hand_over::{self, Bytes, Record};
use super::platform::Guest;
use super::ports::{self, Ports};
use super::{grow, life, lodgers, notes, seed, service};
use crate::image::boot::{self, Identity};
use crate::image::facts::{self, Fact, Facts};
use crate::image::fatal::{self, Reason};
use crate::image::logger::say;
use crate::image::{clock, console, counters, cpu, low, segments, trial};

/// First of all: whatever goes wrong from now on leads back.
pub fn begin(record: &Record) {
    console::booted();
    // Whoever reads them would take the processor from us.
    console::hold();
    if record.is_back != 0 {
        // What is back does not know what the other has done. It has RAM as before.
        let end =
            if record.ram_end == 0 { Facts::NONE } else { Facts::NONE.with(Fact::RamEnd, record.ram_end) };
        facts::set_all(end);
    } else {
        facts::set_all(record.facts);
        hand_over::watch_over(true);
        segments::load();
        // SAFETY: the shared page and the control block are mapped from the beginning, and all is looked at in the end.
        unsafe { trial::begin(record.deadline, ports::told(record.event_pages)) };
    }
}

/// How this image came to take over.
fn way(record: &Record) -> Way<'_> {
    match record.kept_pages {
        _ if record.is_back == 0 && record.grows() => Way::Grown,
        _ if record.is_back == 0 => Way::Updated,
        0 => Way::Repaired(record.reason()),
        _ => Way::TakenBack(record.reason()),
    }
}

/// Pages of event channels for more RAM.
#[inline(never)] // It is rare.
fn larger(record: &Record) -> u32 {
    let most = record.facts.get(Fact::RamEnd).map_or(0, |ram| sizing::most_event_pages(ram as usize) as u32);
    if record.event_pages > 0 { most.max(record.event_pages) } else { 0 }
}

/// Goes on with what the record leads to.
pub fn run(record: &mut Record, identity: &Identity, options: &Options) -> ! {
    let grows = record.grows();
    let event_pages = if grows && record.is_back == 0 { larger(record) } else { record.event_pages };
    let ram = life::claim_memory(Some((event_pages, record.map_end())), |heap| {
        let (map, pages) = (record.map as *mut u32, record.pages as usize);
        // SAFETY: the image before has kept all that is named here, in memory that is the heap's from now on and that
        // nobody has written to since.
        unsafe { lodgers::begin(map, pages, layout::KEPT, heap.start, heap.end) };
    });
    let shared = boot::open_events(true);
    ports::clear_pages(record.event_pages..event_pages);
    let ports = Ports { pages: record.event_pages, ..ports::adopt(shared, event_pages) };
    let mut from = Bytes::of(record.kept_pages);
    let (notes, handed, mut grants) = notes::read(&mut from);
    counters::go_on_from(notes.counters);
    seed::set(notes.seed);
    let domain_exceptions = Some(Port(record.domain_exceptions)).filter(|port| port.0 != 0);
    let interrupts = (Port(record.timer), domain_exceptions);
    let own_page = boot::store_page().map(|page| (identity.domid, page));
    let local = own_page.into_iter().collect();
    let guest = Guest::in_place(ports, identity.domid, local, notes.started, interrupts);
    // Never freed, and not on the stack, so that it outlives a fault.
    let guest = Box::leak(Box::new(guest));
    guest.learn_of_domains(identity.version);
    let (server, _) = life::new_server(options, ram);
    let restored = server.restore(guest, options.priv_domid, &mut from, &mut |domid, port| {
        let own = own_page.filter(|(own, _)| *own == domid).map(|(_, page)| Ring::own(page));
        own.or_else(|| grants.take(domid)).map(|ring| (ring, port))
    });
    if let Err(error) = restored {
        fatal::stop(Reason::Crash, format_args!("the state is refused: {error}"));
    }
    if record.is_back == 0 && record.has_line != 0 {
        server.take_quotas_of(low::line(record.start_info.cmdline_paddr));
    }
    grants.end();
    lodgers::end();
    trial::end();
    // Xen takes no page back, so this is for an image that nothing leads back from any more.
    guest.add_event_pages(event_pages);
    ports::look_at_all(record.event_pages);
    hand_over::watch_over(false);
    server.resume(guest);
    let passed = cpu::tsc().saturating_sub(notes.begun.0) / (clock::khz() / 1000).max(1);
    let updates = handed.updates.wrapping_add(1);
    server.take_up(guest, handed, passed, way(record));
    record.end();
    if options.allow_fault {
        server.allow_faults(service::have);
    }
    if grows && record.is_back != 0 {
        grow::note_failure();
    }
    let record = &*record;
    service::serve(server, guest, options.restarts, &|| {
        if record.is_back == 0 && grows {
            say!(Info, "{}: has grown to {} KiB of RAM, in {passed} us", boot::NAME, ram / 1024);
        } else if record.is_back == 0 {
            say!(Info, "{}: has taken over, in {passed} us, update {updates}", boot::NAME);
        } else {
            say!(Warn, "taken back, after {passed} us: {}", record.reason());
        }
    })
}
