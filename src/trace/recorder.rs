//! What the server does as lines of the log and as sums for the statistics.

use alloc::boxed::Box;

use super::{Counters, LogSwitches, Record, Refusals, TYPES, Tally};
use crate::room::filled;

/// Its open fields are plain values, which the server and its operator set.
pub struct Recorder {
    /// Which records go to the log, too, and how many have gone there.
    pub log: LogSwitches,
    logged: u64,
    pub counters: Counters,
    pub refusals: Refusals,
    /// By message type.
    types: Box<[Tally]>,
    /// By the domain record's slot.
    domains: Box<[Tally]>,
}

impl Recorder {
    /// Room for the sums of `domains` domains.
    #[inline(never)] // Once, and no part of the loop that serves.
    pub fn new(domains: usize, log: bool) -> Recorder {
        Recorder {
            log: LogSwitches { on: log, ..LogSwitches::DEFAULT },
            logged: 0,
            counters: Counters::default(),
            refusals: Refusals::NONE,
            types: filled(&Tally::EMPTY, TYPES),
            domains: filled(&Tally::EMPTY, domains),
        }
    }

    /// Bytes of memory beside the recorder itself.
    pub const fn bytes(domains: usize) -> usize {
        (TYPES + domains) * size_of::<Tally>()
    }

    /// Logs a record if its kind is logged. The result is the number that it has there.
    #[inline(always)] // Several times in each request.
    pub fn log_record(&mut self, record: Record) -> Option<u64> {
        self.log.shows(record.kind).then(|| self.write_line(record))
    }

    #[cold]
    #[inline(never)]
    fn write_line(&mut self, record: Record) -> u64 {
        let number = self.logged;
        self.logged += 1;
        self.say(format_args!("#{number} {record}"));
        number
    }

    /// Logs a line, whatever kinds of records are logged.
    #[cold]
    #[inline(never)]
    pub fn say(&self, line: core::fmt::Arguments<'_>) {
        ::log::info!("{line}");
    }

    /// The sums of a type of request, and of the domain in this slot.
    #[inline(always)]
    pub fn tallies(&mut self, type_index: usize, slot: usize) -> impl Iterator<Item = &mut Tally> {
        self.types.get_mut(type_index).into_iter().chain(self.domains.get_mut(slot))
    }

    /// The sums of all message types.
    pub fn types(&self) -> &[Tally] {
        &self.types
    }

    pub fn type_mut(&mut self, type_index: usize) -> Option<&mut Tally> {
        self.types.get_mut(type_index)
    }

    /// The sums of one domain.
    pub fn domain(&self, slot: usize) -> Option<&Tally> {
        self.domains.get(slot)
    }

    pub fn domain_mut(&mut self, slot: usize) -> Option<&mut Tally> {
        self.domains.get_mut(slot)
    }
}
