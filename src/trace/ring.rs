//! The flight recorder: a ring of records, of which the newest overwrite the oldest and every one ever written has a
//! number, and what the hashes in them stand for.
//!
//! Invariant: one filter decides what is recorded, and what is named. So what is recorded keeps its names.

use alloc::vec::Vec;

use super::names::Names;
use super::{Kind, Record};
use crate::abi::DomId;
use crate::platform::Instant;
use crate::room::unfilled;

pub struct Trace {
    /// As many places as have been needed so far, and some more: a server that takes over does not wait for all of them.
    records: Vec<Record>,
    capacity: usize,
    /// Place of the next record, which is the oldest's; the end if there is no place yet, or if the next one begins another
    /// round.
    next: usize,
    /// Number of the first record of this round. Each earlier round has filled all places.
    before: u64,
    /// Number of the oldest record that was ever here.
    begin: u64,
    /// Kinds that are recorded whatever the domain, by [`Kind::bit`].
    at_once: u32,
    /// Kinds that are recorded while the trace is on, and the only domain whose records are.
    wanted: u32,
    only: Option<DomId>,
    on: bool,
    /// Whose next request is begun again, and is recorded as begun already. Where there are several, it is repeated of the
    /// others.
    again: Option<DomId>,
    /// When it is on again by itself, if it is off for a time.
    pause_ends: Option<Instant>,
    names: Names,
}

/// Places that are made at once: so many that each costs few instructions, and so few that none waits for them.
static MORE: [Record; 16] = [Record::new(Kind::Started, DomId(0)); 16];

/// All kinds.
pub const ALL_KINDS: u32 = (1 << Kind::ALL.len()) - 1;

impl Trace {
    /// Room for `capacity` records, at least one, and for `names` texts.
    pub fn new(capacity: usize, names: usize) -> Self {
        let capacity = capacity.max(1);
        Trace {
            records: unfilled(capacity),
            capacity,
            next: 0,
            before: 0,
            begin: 0,
            at_once: ALL_KINDS,
            wanted: ALL_KINDS,
            only: None,
            on: true,
            again: None,
            pause_ends: None,
            names: Names::new(names),
        }
    }

    /// Bytes of memory that is reserved for records and was never used.
    pub fn unused(&self) -> usize {
        self.capacity.saturating_sub(self.records.len()) * Record::SIZE
    }

    /// Bytes of memory for so many records and texts.
    pub const fn bytes(capacity: usize, names: usize) -> usize {
        capacity * size_of::<Record>() + Names::bytes(names)
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Starts or stops recording.
    pub fn set_on(&mut self, on: bool) {
        self.on = on;
        self.pause_ends = None;
        self.again = None;
        self.look_at_filter();
    }

    fn look_at_filter(&mut self) {
        self.at_once = if self.on && self.only.is_none() { self.wanted } else { 0 };
        if self.again.is_some() {
            self.at_once &= !Kind::Begun.bit();
        }
    }

    /// The request that this domain has begun is to be begun again, and that is not recorded.
    pub fn begins_again(&mut self, domid: DomId) {
        self.again = Some(domid);
        self.look_at_filter();
    }

    /// Whether a record is wanted, and does not say again that a request has begun.
    #[cold]
    #[inline(never)]
    fn takes_now(&mut self, kind: Kind, domid: DomId) -> bool {
        let repeats = kind == Kind::Begun && self.again == Some(domid);
        if repeats {
            self.again = None;
            self.look_at_filter();
        }
        !repeats && self.wants(kind, domid)
    }

    /// Stops recording until `then`, so that it goes on even if whoever wanted the pause is gone.
    pub fn pause(&mut self, then: Instant) {
        self.set_on(false);
        self.pause_ends = Some(then);
    }

    /// Starts recording if the time of a pause is over. Nobody sees that it happens no sooner than at a wake-up: there is
    /// nothing to record before.
    #[inline(always)] // At every wake-up.
    pub fn end_pause(&mut self, now: Instant) {
        if self.pause_ends.is_some_and(|then| then <= now) {
            self.set_on(true);
        }
    }

    /// When it is on again by itself, if it is off for a time.
    pub fn pause_ends(&self) -> Option<Instant> {
        self.pause_ends
    }

    /// The kinds that are recorded while the trace is on, by [`Kind::bit`], and the only domain whose records are.
    pub fn filter(&self) -> (u32, Option<DomId>) {
        (self.wanted, self.only)
    }

    pub fn set_filter(&mut self, kinds: u32, only: Option<DomId>) {
        self.wanted = kinds;
        self.only = only;
        let pause_ends = self.pause_ends;
        self.set_on(self.on);
        self.pause_ends = pause_ends;
    }

    /// Most records that can be there.
    pub fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// Records written since the start, the overwritten ones included. It is one above the newest one's number.
    pub fn end(&self) -> u64 {
        self.before + self.next as u64
    }

    /// Number of the oldest record that is still there.
    pub fn first(&self) -> u64 {
        self.end().saturating_sub(self.capacity()).max(self.begin)
    }

    /// Goes on after another trace, in one that is empty: the next record has this number.
    pub fn go_on_from(&mut self, number: u64) {
        (self.begin, self.before, self.next) = (number, number, 0);
    }

    /// A record of that trace, whatever is recorded now.
    pub fn put_back(&mut self, record: Record) {
        self.put(record);
    }

    /// Whether records of this kind about this domain are recorded.
    pub fn takes(&self, kind: Kind, domid: DomId) -> bool {
        self.at_once & kind.bit() != 0 || self.on && self.wants(kind, domid)
    }

    /// Writes a record, if the filter wants it.
    #[inline(always)] // Several times in each request.
    pub fn push(&mut self, record: Record) {
        let Record { kind, domid, .. } = record;
        if self.at_once & kind.bit() != 0 || self.on && self.takes_now(kind, domid) {
            self.put(record);
        }
    }

    #[inline(always)]
    fn put(&mut self, record: Record) {
        let place = match self.records.get_mut(self.next) {
            Some(place) => Some(place),
            None => self.next_place(),
        };
        if let Some(place) = place {
            *place = record;
        }
        self.next += 1;
    }

    /// The filter for one domain, while the trace is on. Marks belong to no domain.
    fn wants(&self, kind: Kind, domid: DomId) -> bool {
        self.wanted & kind.bit() != 0 && self.only.is_none_or(|only| only == domid || kind == Kind::Mark)
    }

    /// Keeps a path that a request of `by` has named.
    pub fn name_for(&mut self, by: DomId, hash: u64, path: &[u8]) {
        if self.only.is_none_or(|only| only == by) {
            self.name(hash, path);
        }
    }

    /// Keeps a path whose hash a record may have.
    #[inline(never)] // It is rare, and long.
    pub fn name(&mut self, hash: u64, path: &[u8]) {
        if self.on {
            self.names.note(hash, path);
        }
    }

    /// Keeps a mark's text.
    pub fn name_mark(&mut self, hash: u64, text: &[u8]) {
        self.names.note_mark(hash, text);
    }

    /// The marks' texts with their hashes, the oldest first.
    pub fn marks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.names.marks()
    }

    /// The text of this hash, and whether it is whole.
    pub fn find_name(&self, hash: u64) -> Option<(&[u8], bool)> {
        self.names.find(hash)
    }

    /// Where the next record goes if there is no place yet, or if all have been filled.
    #[cold]
    #[inline(never)]
    fn next_place(&mut self) -> Option<&mut Record> {
        if self.next < self.capacity {
            let missing = self.capacity - self.next;
            self.records.extend_from_slice(MORE.get(..missing).unwrap_or(&MORE));
        } else {
            self.before += self.next as u64;
            self.next = 0;
        }
        self.records.get_mut(self.next)
    }

    /// The records from `number` on, oldest first. Those overwritten are passed over.
    pub fn from(&self, number: u64) -> impl Iterator<Item = Record> {
        let [earlier, present] = self.rounds(number);
        earlier.iter().chain(present).copied()
    }

    /// The same, of the round before and of this one.
    #[inline(never)] // For all that print them.
    fn rounds(&self, number: u64) -> [&[Record]; 2] {
        let first = number.max(self.first());
        let behind = |begin: u64, end: usize| {
            let from = usize::try_from(first.saturating_sub(begin)).unwrap_or(end).min(end);
            self.records.get(from..end).unwrap_or_default()
        };
        let earlier = self.before.checked_sub(self.capacity()).filter(|_| first < self.before);
        [earlier.map_or(&[], |begin| behind(begin, self.capacity)), behind(self.before, self.next)]
    }

    /// The newest `count` records, oldest of them first.
    pub fn last(&self, count: u64) -> impl Iterator<Item = Record> {
        self.from(self.end().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_order() {
        for capacity in 1..6 {
            let mut trace = Trace::new(capacity, 0);
            assert_eq!(trace.last(9).count(), 0);
            for amount in 0..23_u32 {
                trace.push(Record { amount, ..Record::new(Kind::Mark, DomId(0)) });
                assert_eq!(trace.end(), u64::from(amount) + 1);
                let held = trace.end().min(capacity as u64);
                assert_eq!(trace.first(), trace.end() - held);
                for number in 0..=trace.end() {
                    let found: std::vec::Vec<_> = trace.from(number).map(|record| record.amount).collect();
                    let from = number.max(trace.first()) as u32;
                    assert_eq!(found, (from..=amount).collect::<std::vec::Vec<_>>());
                }
            }
            assert_eq!(trace.last(1).count(), 1);
        }
    }

    #[test]
    fn it_goes_on_from_any_number() {
        for capacity in 1..6 {
            for from in 0..20 {
                let mut trace = Trace::new(capacity, 0);
                trace.go_on_from(from);
                assert_eq!((trace.first(), trace.end(), trace.from(0).count()), (from, from, 0));
                for amount in from as u32..from as u32 + 15 {
                    trace.put_back(Record { amount, ..Record::new(Kind::Mark, DomId(0)) });
                    let end = u64::from(amount) + 1;
                    let first = from.max(end.saturating_sub(capacity as u64));
                    assert_eq!((trace.first(), trace.end()), (first, end));
                    for number in 0..end + 2 {
                        let found: std::vec::Vec<_> =
                            trace.from(number).map(|record| record.amount).collect();
                        let wanted = number.max(first).min(end) as u32..end as u32;
                        assert_eq!(found, wanted.collect::<std::vec::Vec<_>>());
                    }
                }
            }
        }
    }

    #[test]
    fn filters() {
        let mut trace = Trace::new(8, 0);
        trace.set_filter(ALL_KINDS & !Kind::Notified.bit(), Some(DomId(3)));
        trace.push(Record::new(Kind::Notified, DomId(3)));
        trace.push(Record::new(Kind::Ended, DomId(4)));
        trace.push(Record::new(Kind::Ended, DomId(3)));
        trace.set_on(false);
        trace.push(Record::new(Kind::Ended, DomId(3)));
        trace.set_on(true);
        assert_eq!((trace.end(), trace.first()), (1, 0));
        assert_eq!(trace.filter(), (ALL_KINDS & !Kind::Notified.bit(), Some(DomId(3))));
    }
    #[test]
    fn only_what_is_recorded_is_named() {
        let mut trace = Trace::new(8, 64);
        trace.set_filter(ALL_KINDS, Some(DomId(5)));
        trace.name_for(DomId(5), 1, b"/own");
        trace.name_for(DomId(6), 2, b"/other");
        trace.name(3, b"/an/event");
        trace.set_on(false);
        trace.name(4, b"/unseen");
        let kept: std::vec::Vec<u64> = (1..5).filter(|hash| trace.find_name(*hash).is_some()).collect();
        assert_eq!(kept, [1, 3]);
    }
}
