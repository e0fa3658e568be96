//! Writing the server's records and sums, and printing them.

use core::fmt::{self, Arguments};

use super::core::Core;
use crate::abi::DomId;
use crate::path::PathBuf;
use crate::store::DomainId;
use crate::trace::{Kind, Named, Record, Refusals, Tally};
use crate::wire::TxId;

impl Core {
    /// Writes a record with the time that was last read. If its kind is logged it goes to the log too, and its number
    /// there is returned.
    #[inline(always)] // Several times in each request.
    pub fn record(&mut self, record: Record) -> Option<u64> {
        self.store.trace.push(Record { time: self.clock.latest, ..record });
        self.recorder.log_record(record)
    }

    /// As `record`, for what is rare.
    #[cold]
    #[inline(never)]
    pub fn note(&mut self, record: Record) {
        self.record(record);
    }

    /// Records something rare about a domain that needs no other field.
    pub fn note_of_domain(&mut self, kind: Kind, domid: DomId, amount: u32) {
        self.note(Record { amount, ..Record::new(kind, domid) });
    }

    /// Records a refusal, counts its case, and logs it unless another one was logged in this second.
    #[inline(never)] // It is rare, and long.
    pub fn note_refusal(&mut self, record: Record) {
        self.record(record);
        let mut path = Named::new();
        if record.hash != 0 {
            // It fits: it is as long as that at most.
            let _ = self.write_name(record.hash, Refusals::NAMED, &mut path);
        }
        if let Some(unlogged) = self.recorder.refusals.may_log(self.clock.now) {
            let recorder = &self.recorder;
            recorder.say(format_args!("{record} {path}, after {unlogged} that were not logged"));
        }
        self.recorder.refusals.count(record, path);
    }

    /// Records how a transaction begins or ends.
    #[inline(always)] // Twice in each transaction.
    pub fn note_transaction(&mut self, kind: Kind, domid: DomId, tx: TxId, amount: u32) {
        self.record(Record { tx, amount, ..Record::new(kind, domid) });
    }

    /// The sums of the type of request that is being served, and of the domain.
    #[inline(always)]
    pub fn tallies(&mut self, id: DomainId) -> impl Iterator<Item = &mut Tally> {
        self.recorder.tallies(self.store.current.type_index, id.index())
    }

    /// Prints the newest `count` records by `tell`, a line each, oldest first. `khz` are the cycles in a millisecond.
    pub fn tell_trace(&self, count: u64, khz: u64, tell: &mut dyn FnMut(Arguments<'_>)) {
        for record in self.store.trace.last(count) {
            // Microseconds since an arbitrary moment, the same for all records.
            let (millis, rest) = (record.time.0 / khz.max(1), record.time.0 % khz.max(1));
            let (seconds, micros) = (millis / 1000, millis % 1000 * 1000 + rest * 1000 / khz.max(1));
            match self.store.trace.find_name(record.hash) {
                Some((name, _)) => {
                    tell(format_args!("{seconds}.{micros:06} {record} {}", name.escape_ascii()))
                }
                None => tell(format_args!("{seconds}.{micros:06} {record}")),
            }
        }
    }

    /// Writes what a record's hash stands for: the path of a node or of a recent request, or a mark's text. A longer
    /// one ends in `...` behind `most` characters; an unknown one is `?`.
    #[inline(never)] // It is long.
    pub fn write_name(&self, hash: u64, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut buf = PathBuf::new();
        let path = self.store.path_hashed(hash, &mut buf);
        let (text, whole) = match path {
            Some(path) => (path.as_bytes(), true),
            None => self.store.trace.find_name(hash).unwrap_or((b"?", true)),
        };
        let mut len = 0;
        let cut = text.iter().position(|byte| {
            len += byte.escape_ascii().len();
            len > most
        });
        let shown = cut.and_then(|cut| text.get(..cut)).unwrap_or(text);
        let end = if whole && shown.len() == text.len() { "" } else { "..." };
        write!(out, "{}{end}", shown.escape_ascii())
    }
}
