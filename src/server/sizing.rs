//! The memory and the ports that a server takes, and the largest server that fits given memory.
//!
//! Each part of the server knows how many bytes it takes for given capacities. Here they are added up.

use super::scratch::Exchange;
use super::session::Updates;
use crate::abi::fifo::WORDS_PER_PAGE;
use crate::config::Capacities;
use crate::connection::Links;
use crate::layout;
use crate::store::Store;
use crate::trace::{Names, Record, Recorder};

/// Local ports beyond the connections' own: console, timer, VIRQ.
const OTHER_PORTS: usize = 16;

/// Bytes for the allocator's headers and rounding.
const ROUNDING: usize = 4096;

/// Local ports that a server with these capacities serves: those below this number.
pub fn ports(capacities: &Capacities) -> usize {
    capacities.domains + OTHER_PORTS
}

/// Pages of FIFO event channels for ports below this number.
pub fn event_pages(ports: usize) -> usize {
    ports.div_ceil(WORDS_PER_PAGE)
}

/// The most of them that a server in `ram` bytes can need: of all of RAM it would have the most ports.
pub fn most_event_pages(ram: usize) -> usize {
    event_pages(capacities_for(ram, 0).map_or(0, |capacities| ports(&capacities)))
}

/// What the image's server has in `ram` bytes, with a trace of the default size.
pub fn of_image(ram: usize) -> Option<Capacities> {
    let heap = layout::heap(ram as u64, most_event_pages(ram) as u64);
    capacities_for(heap.checked_sub(layout::RESERVE)? as usize, Capacities::default_trace(ram))
}

/// Bytes of memory that a server with these capacities takes.
pub fn memory(capacities: &Capacities) -> usize {
    Store::bytes(capacities)
        + Recorder::bytes(capacities.domains)
        + Links::<()>::bytes(capacities, ports(capacities))
        + 2 * size_of::<Exchange>()
        + Updates::BYTES
        + ROUNDING
}

/// The largest capacities that fit `bytes` of memory, `trace` of them for the trace ring; `None` if less
/// than [`Capacities::MIN_MEMORY`] is left beside it.
pub fn capacities_for(bytes: usize, trace: usize) -> Option<Capacities> {
    let bytes = bytes.checked_sub(trace).filter(|bytes| *bytes >= Capacities::MIN_MEMORY)?;
    // All sizes grow with the number of nodes, so the largest number that fits is found by bisection.
    let (mut fits, mut too_many) = (0, bytes / 128);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if memory(&Capacities::for_nodes(middle)) <= bytes {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    // A quarter for texts is enough for most of the paths that so many records name.
    let names = trace / 4 / Names::ENTRY;
    let records = (trace - names * Names::ENTRY) / Record::SIZE;
    Some(Capacities { trace: records, names, ..Capacities::for_nodes(fits) })
}
