//! The recorder: what the server does becomes records for the trace and the log, and sums for the statistics.

use alloc::boxed::Box;
use alloc::vec;

use super::{Counters, LogSwitches, Record, TYPES, Tally, Trace};
use crate::platform::Cycles;

pub struct Recorder {
    pub trace: Trace,
    /// What of the trace goes to the log, too, and how many records have gone there.
    pub log: LogSwitches,
    logged: u64,
    pub counters: Counters,
    /// By message type.
    types: Box<[Tally; TYPES]>,
    /// By the domain record's slot.
    domains: Box<[Tally]>,
}

impl Recorder {
    /// Room for `records` records and the sums of `domains` domains.
    #[inline(never)] // Once, and no part of the loop that serves.
    pub fn new(records: usize, domains: usize, log: bool) -> Recorder {
        Recorder {
            trace: Trace::new(records),
            log: LogSwitches { on: log, ..LogSwitches::DEFAULT },
            logged: 0,
            counters: Counters::default(),
            types: Box::new([Tally::EMPTY; TYPES]),
            domains: vec![Tally::EMPTY; domains].into_boxed_slice(),
        }
    }

    /// Bytes of memory beside the recorder itself.
    pub const fn bytes(records: usize, domains: usize) -> usize {
        Trace::bytes(records) + size_of::<[Tally; TYPES]>() + domains * size_of::<Tally>()
    }

    /// Writes a record. If its kind is logged it goes to the log too, and the number that it has there is the
    /// result.
    #[inline(always)] // Several times in each request.
    pub fn record(&mut self, time: Cycles, record: Record) -> Option<u64> {
        self.trace.push(Record { time, ..record });
        self.log.shows(record.kind).then(|| self.log_record(record))
    }

    #[cold]
    #[inline(never)]
    fn log_record(&mut self, record: Record) -> u64 {
        let number = self.logged;
        self.logged += 1;
        ::log::info!("#{number} {record}");
        number
    }

    /// The sums of a type of request, and of the domain in this slot.
    #[inline(always)]
    pub fn tallies(&mut self, type_index: usize, slot: usize) -> impl Iterator<Item = &mut Tally> {
        self.types.get_mut(type_index).into_iter().chain(self.domains.get_mut(slot))
    }

    /// The sums of all message types.
    pub fn types(&self) -> &[Tally; TYPES] {
        &self.types
    }

    /// The sums of one domain.
    pub fn domain(&self, slot: usize) -> Option<&Tally> {
        self.domains.get(slot)
    }

    pub fn domain_mut(&mut self, slot: usize) -> Option<&mut Tally> {
        self.domains.get_mut(slot)
    }
}
