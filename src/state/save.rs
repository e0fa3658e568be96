//! All records, in the order of the stream.

use super::format::{
    END, FILLER, Fixed, GLOBAL_DATA, GlobalData, Growth, Head, IDENT, OWN_VERSION, STORE, Store as Numbers,
    VERSIONS,
};
use super::lists::Lists;
use super::queues::Targets;
use super::writer::{Sink, Writer, put};
use super::{connections, domains, nodes, origins, queues, told, trace};
use crate::abi::DomId;
use crate::config::Settings;
use crate::connection::Links;
use crate::platform::Instant;
use crate::slots::Full;
use crate::store::Store;
use crate::trace::Recorder;

/// What a state has of a server beside its store and its connections.
pub struct Rest<'a> {
    pub settings: &'a Settings,
    /// The server's own domain, if it is a client of itself.
    pub own: Option<DomId>,
    /// The moment from which deadlines are counted.
    pub now: Instant,
    pub recorder: &'a Recorder,
}

/// Writes of a state only the records of the nodes and their generations. The result is how many nodes there are.
pub fn save_nodes(store: &Store, sink: &mut dyn Sink) -> Result<usize, Full> {
    let mut writer = Writer::new(sink);
    let count = write_nodes(&mut writer, store, &mut { Lists::NONE })?;
    writer.flush()?;
    Ok(count)
}

#[inline(never)] // In two places.
fn write_nodes(writer: &mut Writer<'_>, store: &Store, lists: &mut Lists) -> Result<usize, Full> {
    let count = nodes::save(writer, store, lists)?;
    nodes::save_generations(writer, store, count)?;
    Ok(count)
}

/// The beginning of a record that is passed over, with `len` bytes behind it, a multiple of 8.
pub fn filler(len: usize) -> [u8; Head::SIZE] {
    let mut head = [0; Head::SIZE];
    put(&mut head, &Head { record: FILLER, len: len as u32 });
    head
}

/// Writes a store and its connections as a stream of this version, the highest or lowest if there is no such. There must be
/// no request at hand and no work left to do.
pub fn save<R>(
    store: &Store,
    links: &Links<R>,
    rest: &Rest<'_>,
    version: u32,
    sink: &mut dyn Sink,
) -> Result<(), Full> {
    let version = version.clamp(*VERSIONS.start(), *VERSIONS.end());
    let mut writer = Writer::new(sink);
    let writer = &mut writer;
    writer.raw(&IDENT)?;
    writer.raw(&version.to_be_bytes())?;
    // Little-endian.
    writer.raw(&[0; 4])?;
    writer.record(GLOBAL_DATA, &GlobalData { socket: u32::MAX, channels: u32::MAX })?;
    domains::save_settings(writer, &rest.settings.quotas)?;
    let counters = &rest.recorder.counters;
    let numbers = Numbers {
        version: OWN_VERSION,
        least: queues::least(store, links),
        own: rest.own.unwrap_or(DomId::INVALID).0,
        flags: 0,
        generation: store.generation(),
        sequence: store.last_watch(),
        change: store.collected.number,
        requests: counters.requests,
        events: counters.events,
        polls: counters.polls,
        looks: counters.looks,
        missed: counters.missed,
        restarts: counters.restarts,
    };
    writer.begin_with(STORE, &numbers, Growth::SIZE)?;
    writer.part(&Growth { growths: counters.growths, refusals: counters.growth_refusals })?;
    writer.end()?;
    domains::save_known(writer, store)?;
    connections::save(writer, store, links, version)?;
    let mut lists = Lists::NONE;
    let count = match writer.insert_nodes()? {
        Some(count) => count,
        None => write_nodes(writer, store, &mut lists)?,
    };
    domains::save_limits(writer, store, version, |id| links.has(id))?;
    domains::save_counted(writer, store, rest.recorder)?;
    connections::save_order(writer, store, links)?;
    nodes::save_owned(writer, store)?;
    origins::save(writer, store, count)?;
    queues::save_causes(writer, store, links)?;
    let mut targets = Targets::of(store, links);
    lists.keep_ended(targets.latest);
    told::save(writer, store, &mut lists)?;
    queues::save(writer, store, links, rest.now, &mut targets)?;
    let room = writer.room();
    trace::save(writer, &store.trace, room)?;
    writer.begin(END, 0)?;
    writer.end()?;
    writer.flush()
}
