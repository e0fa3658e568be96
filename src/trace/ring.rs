//! The records' ring: the newest overwrite the oldest, and every record ever written has a number.

use alloc::boxed::Box;
use alloc::vec;

use super::Record;

pub struct Trace {
    records: Box<[Record]>,
    /// Where the next one goes: the oldest's place.
    next: usize,
    written: u64,
}

impl Trace {
    /// Room for `capacity` records, at least one.
    pub fn new(capacity: usize) -> Self {
        Trace { records: vec![Record::EMPTY; capacity.max(1)].into_boxed_slice(), next: 0, written: 0 }
    }

    /// Records written since the start, the overwritten ones included.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes a record and returns it with its number.
    pub fn push(&mut self, record: Record) -> Record {
        let record = Record { sequence: self.written, ..record };
        if let Some(place) = self.records.get_mut(self.next) {
            *place = record;
        }
        self.next = if self.next + 1 < self.records.len() { self.next + 1 } else { 0 };
        self.written += 1;
        record
    }

    /// The newest `count` records, oldest of them first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = Record> {
        let all = self.records.len();
        let held = usize::try_from(self.written).unwrap_or(all).min(all).min(count);
        let (newer, older) = self.records.split_at_checked(self.next).unwrap_or_default();
        older.iter().chain(newer).skip(all - held).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_order() {
        let mut trace = Trace::new(4);
        assert_eq!(trace.last(9).count(), 0);
        for size in 0..6 {
            trace.push(Record { size, ..Record::EMPTY });
        }
        let kept: std::vec::Vec<_> = trace.last(9).map(|record| (record.sequence, record.size)).collect();
        assert_eq!(kept, [(2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(trace.last(1).count(), 1);
        assert_eq!(trace.written(), 6);
    }
}
