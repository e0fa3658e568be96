//! All records, in the order of the stream.

use super::format::{
    END, FILLER, Fixed, GLOBAL_DATA, GlobalData, Growth, Head, IDENT, OWN_VERSION, STORE, Store as Numbers,
    VERSIONS,
};
use super::lists::Lists;
use super::nodes::Place;
use super::progress::Progress;
use super::queues::Targets;
use super::writer::{Sink, Writer, put};
use super::{connections, domains, nodes, queues, told, trace};
use crate::abi::DomId;
use crate::config::Settings;
use crate::connection::Links;
use crate::platform::Instant;
use crate::slots::Full;
use crate::store::Store;
use crate::trace::Recorder;

/// Bytes that are written in one go, about. What takes longer than its bytes do counts as more of them.
const MUCH: usize = 16 << 10;

/// Writes of a state only the records of the nodes and their generations. The result is how many nodes there are.
pub fn save_nodes(store: &Store, sink: &mut dyn Sink) -> Result<usize, Full> {
    let mut writer = Writer::new(sink);
    let (_, count) = nodes::save(&mut writer, store, Place::default())?;
    nodes::save_generations(&mut writer, store, Place::default(), count)?;
    writer.flush()?;
    Ok(count)
}

/// The beginning of a record that is passed over, with `len` bytes behind it, a multiple of 8.
pub fn filler(len: usize) -> [u8; Head::SIZE] {
    let mut head = [0; Head::SIZE];
    put(&mut head, &Head { record: FILLER, len: len as u32 });
    head
}

/// What is written: a store and its connections as a stream. There must be no request at hand and no work left to do, but the
/// writing itself.
///
/// The stream is a front, a middle and a back. The middle changes only with the store. The others also say what waits for each
/// domain, which changes where somebody reads, and what is counted.
pub struct State<'a, R> {
    pub store: &'a Store,
    pub links: &'a Links<R>,
    pub settings: &'a Settings,
    /// The server's own domain, if it is a client of itself.
    pub own: Option<DomId>,
    /// The moment from which deadlines are counted.
    pub now: Instant,
    pub recorder: &'a Recorder,
    /// Of the stream: the highest or lowest that there is, if there is no such.
    pub version: u32,
}

impl<R> State<'_, R> {
    /// Writes all of it.
    pub fn save(&self, sink: &mut dyn Sink) -> Result<(), Full> {
        let mut writer = Writer::new(sink);
        self.write_front(&mut writer)?;
        let mut progress = Progress::START;
        while !progress.is_at_end() {
            progress.go_on(&mut writer, self.store, self.links, self.version())?;
        }
        self.write_back(&mut writer)?;
        writer.flush()
    }

    /// Writes some of the middle from there on, about as much as one go may take, and says how far it has come. The store must
    /// not change before its end.
    pub fn save_some(&self, mut progress: Progress, sink: &mut dyn Sink) -> Result<Progress, Full> {
        let mut writer = Writer::within(sink, progress.left(), MUCH);
        progress.go_on(&mut writer, self.store, self.links, self.version())?;
        writer.flush()?;
        Ok(progress)
    }

    /// Writes what is in front of the middle, as of the same moment as what is behind.
    pub fn save_front(&self, sink: &mut dyn Sink) -> Result<(), Full> {
        let mut writer = Writer::new(sink);
        self.write_front(&mut writer)?;
        writer.flush()
    }

    /// Writes what is behind the middle.
    pub fn save_back(&self, sink: &mut dyn Sink) -> Result<(), Full> {
        let mut writer = Writer::new(sink);
        self.write_back(&mut writer)?;
        writer.flush()
    }

    fn version(&self) -> u32 {
        self.version.clamp(*VERSIONS.start(), *VERSIONS.end())
    }

    #[inline(never)] // In two places, as the next one.
    fn write_front(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let State { store, links, recorder, .. } = *self;
        writer.raw(&IDENT)?;
        writer.raw(&self.version().to_be_bytes())?;
        // Little-endian.
        writer.raw(&[0; 4])?;
        writer.record(GLOBAL_DATA, &GlobalData { socket: u32::MAX, channels: u32::MAX })?;
        domains::save_settings(writer, &self.settings.quotas)?;
        let counters = &recorder.counters;
        let numbers = Numbers {
            version: OWN_VERSION,
            least: queues::least(store, links),
            own: self.own.unwrap_or(DomId::INVALID).0,
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
        for (id, domain, connection) in connections::introduced(store, links) {
            connections::save(writer, store, links, id, domain, connection)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn write_back(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let State { store, links, recorder, .. } = *self;
        domains::save_counted(writer, store, recorder)?;
        queues::save_causes(writer, store, links)?;
        let (mut targets, mut lists) = (Targets::of(store, links), Lists::new());
        lists.keep_ended(targets.latest);
        told::save(writer, store, &mut lists)?;
        queues::save(writer, store, links, self.now, &mut targets)?;
        let room = writer.room();
        trace::save(writer, &store.trace, room)?;
        writer.begin(END, 0)?;
        writer.end()
    }
}
