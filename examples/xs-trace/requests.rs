//! Requests, each assembled from the records of its begin and end.

use std::ops::Range;

use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};

use crate::dump::Dump;

/// A request that was answered.
pub struct Request<'a> {
    /// The record of its end.
    pub ended: &'a Record,
    /// That of its begin, unless it is missing.
    pub begun: Option<&'a Record>,
    /// When it was taken.
    pub from: Cycles,
    /// Indexes of the records between the two: what happened in it.
    pub inside: Range<usize>,
}

impl Request<'_> {
    /// Nanoseconds from the server's start to when it was taken up, and how many it took.
    pub fn time(&self, dump: &Dump) -> (u64, u64) {
        let from = dump.since_start(self.from);
        (from, dump.since_start(self.ended.time).saturating_sub(from))
    }
}

/// The requests whose ends are in the dump, in their order. A begin without end is none: its answer found no
/// room, so that it was taken up again, or the dump ends there.
pub fn requests(dump: &Dump) -> Vec<Request<'_>> {
    let mut requests = Vec::new();
    let mut open = None;
    for (n, ended) in dump.records.iter().enumerate() {
        if dump.missing_before(n).is_some() {
            open = None;
        }
        match ended.kind {
            Kind::Begun => open = Some((n, ended)),
            Kind::Ended => {
                // Between a request that ends the recording and one that takes it up again, others have ended.
                let same = |begun: &Record| {
                    (begun.domid, begun.msg_type, begun.tx) == (ended.domid, ended.msg_type, ended.tx)
                        && ended.time.since(begun.time) == ended.amount
                };
                let begun = open.take().filter(|(_, begun)| same(begun));
                let from = match begun {
                    Some((_, begun)) => begun.time,
                    None => Cycles(ended.time.0.saturating_sub(ended.amount.into())),
                };
                let inside = begun.map_or(n, |(begun, _)| begun + 1)..n;
                requests.push(Request { ended, begun: begun.map(|(_, begun)| begun), from, inside });
            }
            _ => {}
        }
    }
    requests
}
