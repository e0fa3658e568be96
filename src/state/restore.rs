//! Records as they come, each into a store and connections that were empty.

use super::connections::{Adopt, Around, Numbers};
use super::fault::{Fault, StateError};
use super::format as types;
use super::format::{Fixed, Growth, OWN_VERSION, Store as StoreNumbers, VERSIONS};
use super::nodes::Buffers;
use super::planting::{Ground, Planting};
use super::reader::{Reader, Source};
use super::{connections, domains, nodes, origins, queues, told, trace};
use crate::abi::DomId;
use crate::config::Settings;
use crate::connection::Links;
use crate::platform::Instant;
use crate::store::{GENERATION_MAX, Store};
use crate::trace::Recorder;

/// Numbers that grow one by one do not get so far.
const HIGHEST: u64 = u64::MAX / 2;

/// What is filled beside a store and its connections.
pub struct Places<'a> {
    pub settings: &'a mut Settings,
    pub own: &'a mut Option<DomId>,
    /// The moment from which deadlines are counted.
    pub now: Instant,
    pub recorder: &'a mut Recorder,
}

/// One state that is being read.
struct Restore<'a, 'b, R> {
    store: &'a mut Store,
    links: &'a mut Links<R>,
    places: Places<'a>,
    adopt: &'a mut Adopt<'b, R>,
    version: u32,
    numbers: Numbers,
    buffers: Buffers,
    planting: Planting,
    /// Numbers of the store, which restoring itself moves.
    latest: Option<StoreNumbers>,
}

/// Fills a store and connections that are empty, but for the record of the privileged domain, from a state. Of a failed
/// one some of it may be there.
pub fn restore<R>(
    store: &mut Store,
    links: &mut Links<R>,
    places: Places<'_>,
    source: &mut dyn Source,
    adopt: &mut Adopt<'_, R>,
) -> Result<(), StateError> {
    let mut reader = Reader::new(source);
    let header = |fault: Fault| StateError { record: StateError::HEADER, offset: 0, reason: fault.text() };
    let version = reader.header().map_err(header)?;
    if !VERSIONS.contains(&version) {
        return Err(header(Fault::BadVersion));
    }
    store.domains.begin_later();
    let mut restore = Restore {
        store,
        links,
        places,
        adopt,
        version,
        numbers: Numbers::NONE,
        buffers: Buffers::EMPTY,
        planting: Planting::NONE,
        latest: None,
    };
    let mut at = StateError { record: StateError::HEADER, offset: reader.offset, reason: "" };
    let done = restore.read_all(&mut reader, &mut at);
    done.map_err(|fault| StateError { reason: fault.text(), ..at })
}

/// Begins the next record.
fn begin(reader: &mut Reader<'_>, at: &mut StateError) -> Result<u32, Fault> {
    reader.finish()?;
    at.offset = reader.offset;
    at.record = reader.next()?.record;
    Ok(at.record)
}

impl<R> Restore<'_, '_, R> {
    fn read_all(&mut self, reader: &mut Reader<'_>, at: &mut StateError) -> Result<(), Fault> {
        let mut record = begin(reader, at)?;
        while record != types::END {
            record = match record {
                types::NODE => self.read_nodes(reader, at)?,
                _ => {
                    self.read(record, reader)?;
                    begin(reader, at)?
                }
            };
        }
        self.end()
    }

    /// Reads a node and those that follow it. Returns the type of the record behind them.
    fn read_nodes(&mut self, reader: &mut Reader<'_>, at: &mut StateError) -> Result<u32, Fault> {
        let Restore { store, places, buffers, planting, .. } = self;
        let quotas = &places.settings.quotas;
        let mut record = types::NODE;
        while record == types::NODE {
            planting.read(reader, store, quotas, buffers)?;
            reader.finish()?;
            let mut ground = Ground { store, quotas, big_endian: false };
            let (count, done) = planting.read_whole(reader.ahead(), &mut ground);
            reader.pass_over(count)?;
            at.offset = reader.offset;
            done?;
            record = begin(reader, at)?;
        }
        planting.count(store)?;
        Ok(record)
    }

    fn read(&mut self, record: u32, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let Restore { store, links, places, numbers, buffers, .. } = self;
        let quotas = places.settings.quotas;
        let now = places.now;
        match record {
            types::GLOBAL_QUOTA => domains::restore_settings(reader, places.settings),
            types::CONNECTION => {
                let around = Around { settings: places.settings, own: *places.own, now };
                let text = &mut buffers.text;
                connections::restore(reader, store, links, &around, numbers, text, self.adopt)
            }
            types::WATCH | types::WATCH_EXTENDED => {
                let extended = record == types::WATCH_EXTENDED;
                connections::restore_watch(reader, store, links, numbers, buffers, extended)
            }
            types::DOMAIN | types::LIMITS => domains::restore_limits(reader, store, self.version, &quotas),
            types::STORE => self.restore_numbers(reader),
            types::KNOWN => domains::restore_known(reader, store, &quotas),
            types::PEAK => domains::restore_peak(reader, store),
            types::SUMS => domains::restore_sums(reader, store, places.recorder),
            types::ORDER => connections::restore_order(reader, store, links, numbers),
            types::GENERATIONS => nodes::restore_generations(reader, store),
            types::OWNED => nodes::restore_owned(reader, store),
            types::ORIGINS => origins::restore(reader, store),
            types::GONE => origins::restore_gone(reader, store, &mut buffers.path),
            types::CAUSES => queues::restore_causes(reader, store, links),
            types::TOLD => told::restore(reader, store, &quotas, buffers),
            types::QUEUE => queues::restore(reader, store, links, numbers, now, &mut buffers.text),
            types::TRACE => trace::restore(reader, &mut store.trace),
            types::MARK => trace::restore_mark(reader, &mut store.trace, &mut buffers.text),
            // Of what others have written for others.
            _ => Ok(()),
        }
    }

    fn restore_numbers(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let numbers: StoreNumbers = reader.part()?;
        if numbers.least > OWN_VERSION {
            return Err(Fault::NewerVersion);
        }
        let StoreNumbers {
            generation,
            sequence,
            change,
            requests,
            events,
            polls,
            looks,
            missed,
            restarts,
            ..
        } = numbers;
        let highest = [sequence, change, requests, events, polls, looks, missed, restarts]
            .into_iter()
            .fold(0, u64::max);
        if highest > HIGHEST || generation > GENERATION_MAX {
            return Err(Fault::HighNumber);
        }
        let own = DomId(numbers.own);
        *self.places.own = (own < DomId::FIRST_RESERVED).then_some(own);
        let counters = &mut self.places.recorder.counters;
        (counters.requests, counters.events, counters.polls) = (requests, events, polls);
        (counters.looks, counters.missed, counters.restarts) = (looks, missed, restarts);
        self.latest = Some(numbers);
        if reader.left() >= Growth::SIZE {
            let Growth { growths, refusals } = reader.part()?;
            (counters.growths, counters.growth_refusals) = (growths, refusals);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Restore { store, links, .. } = self;
        if !nodes::is_whole(store) {
            return Err(Fault::NoRoot);
        }
        store.tell_planted_of_watches();
        connections::find_targets(store, links);
        links.outbox.count_causes(store).ok_or(Fault::NoRoom)?;
        store.forget_untold()?;
        if let Some(StoreNumbers { generation, sequence, change, .. }) = self.latest {
            store.restore_numbers(generation, sequence, change);
        }
        Ok(())
    }
}
