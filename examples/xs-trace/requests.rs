//! Requests, each assembled from the records of its begin and end.

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
    /// Indexes of the records of what happened in it. Others may have been served from their begin to their end meanwhile.
    pub inside: Vec<usize>,
}

impl Request<'_> {
    /// Nanoseconds from the server's start to when it was taken up, and how many it took.
    pub fn time(&self, dump: &Dump) -> (u64, u64) {
        let from = dump.since_start(self.from);
        (from, dump.since_start(self.ended.time).saturating_sub(from))
    }
}

/// A request that has begun.
struct Open<'a> {
    begun: &'a Record,
    inside: Vec<usize>,
}

impl Open<'_> {
    /// Whether the record is of the same request, or of the same taken again.
    fn is_of(&self, record: &Record) -> bool {
        let Record { domid, msg_type, tx, .. } = *self.begun;
        (domid, msg_type, tx) == (record.domid, record.msg_type, record.tx)
    }
}

/// The requests whose ends are in the dump, in their order. A begin without end is none: its answer found no
/// room, so that it was taken up again, or the dump ends there.
pub fn requests(dump: &Dump) -> Vec<Request<'_>> {
    let mut requests = Vec::new();
    // One that takes long is set aside while others are served: what happens is the latest's.
    let mut open: Vec<Open<'_>> = Vec::new();
    for (n, record) in dump.records.iter().enumerate() {
        if dump.missing_before(n).is_some() {
            open.clear();
        }
        match record.kind {
            Kind::Begun => {
                open.retain(|open| !open.is_of(record));
                open.push(Open { begun: record, inside: Vec::new() });
            }
            Kind::Ended => {
                let place = open.iter().rposition(|open| open.is_of(record));
                // Between a request that ends the recording and one that takes it up again, others have ended.
                let begun = place
                    .map(|place| open.remove(place))
                    .filter(|open| record.time.since(open.begun.time) == record.amount);
                let from = match &begun {
                    Some(open) => open.begun.time,
                    None => Cycles(record.time.0.saturating_sub(record.amount.into())),
                };
                let (begun, inside) = begun.map(|open| (open.begun, open.inside)).unzip();
                requests.push(Request { ended: record, begun, from, inside: inside.unwrap_or_default() });
            }
            _ => open.last_mut().into_iter().for_each(|open| open.inside.push(n)),
        }
    }
    requests
}

/// Nanoseconds in which any of these requests was under way.
pub fn busy(dump: &Dump, requests: &[Request<'_>]) -> u128 {
    let mut times: Vec<(u64, u64)> = requests.iter().map(|request| request.time(dump)).collect();
    times.sort_unstable();
    let mut until = 0;
    let part = |(from, length): (u64, u64)| {
        let begin = from.max(until);
        until = until.max(from.saturating_add(length));
        u128::from(until - begin.min(until))
    };
    times.into_iter().map(part).sum()
}
