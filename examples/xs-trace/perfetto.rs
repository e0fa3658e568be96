//! Chrome's trace-event JSON, which ui.perfetto.dev opens: a track for each domain and one for the server.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use xenstore::abi::DomId;
use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::{TxId, XsError};

use crate::dump::Dump;
use crate::requests::{Request, requests};
use crate::show::what;
use store_client::Problem;

/// All tracks are threads of one process.
const PID: u32 = 1;

/// Thread 0 means something else to viewers.
fn track(domid: DomId) -> u32 {
    u32::from(domid.0) + 1
}

/// An event of the trace. Its times are nanoseconds from the server's start on.
struct Event {
    at: u64,
    /// Of a slice.
    length: Option<u64>,
    json: Value,
}

struct Export<'a> {
    dump: &'a Dump,
    events: Vec<Event>,
}

/// Transactions that are open, by domain and number, the latest last: two clients of one domain can have the same
/// number.
type Open = BTreeMap<(u16, u32), Vec<usize>>;

pub fn export(dump: &Dump) -> Result<Vec<u8>, Problem> {
    let mut export = Export { dump, events: Vec::new() };
    let requests = requests(dump);
    let mut inside = vec![false; dump.records.len()];
    for request in &requests {
        export.request(request);
        request.inside.iter().for_each(|n| inside[*n] = true);
    }
    for (n, record) in dump.records.iter().enumerate() {
        if record.kind == Kind::WokeUp {
            export.idle(n, record);
        } else if record.kind != Kind::Event || !inside[n] {
            export.instant(record);
        }
    }
    export.transactions();
    let mut events = export.events;
    // A slice before what is in it.
    events.sort_by_key(|event| (event.at, event.length.is_none(), event.length.map(Reverse)));
    let events = export_names(dump).into_iter().chain(events.into_iter().map(|event| event.json));
    let (before, meanwhile) = dump.lost();
    let whole = json!({
        "displayTimeUnit": "ns",
        "otherData": { "store": dump.notes.about.line(), "lost-before": before, "lost-meanwhile": meanwhile },
        "traceEvents": events.collect::<Vec<_>>(),
    });
    serde_json::to_vec(&whole).map_err(|error| Problem::new(error.to_string()))
}

/// The names and the order of the tracks.
fn export_names(dump: &Dump) -> Vec<Value> {
    let name = |tid, what, args| json!({"ph": "M", "pid": PID, "tid": tid, "name": what, "args": args});
    let mut names = vec![name(track(DomId::INVALID), "process_name", json!({"name": "xenstore"}))];
    let domains: BTreeSet<u16> = dump.records.iter().map(|record| record.domid.0).collect();
    for domid in domains.into_iter().map(DomId) {
        // The server's own track comes first.
        let place = if domid == DomId::INVALID { -1 } else { i32::from(domid.0) };
        names.push(name(track(domid), "thread_name", json!({"name": dump.domain(domid)})));
        names.push(name(track(domid), "thread_sort_index", json!({"sort_index": place})));
    }
    names
}

/// Microseconds, as the format has its times.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

impl Export<'_> {
    fn push(&mut self, ph: &str, domid: DomId, at: u64, length: Option<u64>, mut json: Value) {
        json["ph"] = ph.into();
        json["pid"] = PID.into();
        json["tid"] = track(domid).into();
        json["ts"] = micros(at).into();
        self.events.push(Event { at, length, json });
    }

    fn slice(&mut self, domid: DomId, at: u64, length: u64, mut json: Value) {
        // Viewers round down to nanoseconds: with one less, a slice does not reach into the next.
        json["dur"] = micros(length.saturating_sub(1)).into();
        self.push("X", domid, at, Some(length), json);
    }

    /// A slice, with the watch events that it caused: small slices in its time on the tracks of their receivers.
    fn request(&mut self, request: &Request<'_>) {
        let dump = self.dump;
        let (at, length) = request.time(dump);
        let Record { domid, tx, error, size, hash, .. } = *request.ended;
        let args = json!({
            "path": dump.path(hash),
            "error": error.map_or("", XsError::name),
            "tx": tx.0,
            "request bytes": request.begun.map(|begun| begun.size),
            "answer bytes": size,
        });
        let name = request.ended.type_name();
        self.slice(domid, at, length, json!({"name": name, "cat": "request", "args": args}));

        let inside = request.inside.iter().copied();
        let events: Vec<usize> = inside.filter(|n| dump.records[*n].kind == Kind::Event).collect();
        // Slices and pauses of equal length.
        let parts = 2 * events.len() as u64 + 1;
        for (part, n) in (1..).step_by(2).zip(events) {
            let record = &dump.records[n];
            let begin = at + (u128::from(length) * part / u128::from(parts)) as u64;
            let args = json!({"path": dump.path(record.hash), "bytes": record.size});
            self.slice(
                record.domid,
                begin,
                length / parts,
                json!({"name": "event", "cat": "watch", "args": args}),
            );
            let flow = |mut json: Value| {
                json["name"] = "watch".into();
                json["cat"] = "watch".into();
                json["id"] = n.into();
                json
            };
            self.push("s", domid, at, None, flow(json!({})));
            self.push("f", record.domid, begin, None, flow(json!({"bp": "e"})));
        }
    }

    /// What has no duration.
    fn instant(&mut self, record: &Record) {
        let Record { domid, kind, hash, .. } = *record;
        let name = match kind {
            Kind::Stalled => {
                format!("stalled: {}", Stall::from_wire(record.detail).map_or("?", Stall::name))
            }
            Kind::Mark => format!("mark: {}", self.dump.path(hash)),
            Kind::Event
            | Kind::Started
            | Kind::Dropped
            | Kind::TransactionConflict
            | Kind::Introduced
            | Kind::Released
            | Kind::Restarted
            | Kind::Missed
            | Kind::Fault
            | Kind::Recovered
            | Kind::Updated
            | Kind::Refused
            | Kind::Held
            | Kind::RingError
            | Kind::Panic => kind.name().to_string(),
            _ => return,
        };
        let args = json!({"what": what(self.dump, record), "path": self.dump.path(hash)});
        // Marks are drawn across all tracks.
        let scope = if kind == Kind::Mark { "g" } else { "t" };
        let at = self.dump.since_start(record.time);
        self.push("i", domid, at, None, json!({"name": name, "cat": "note", "s": scope, "args": args}));
    }

    /// The time before a wake-up, on the server's track.
    fn idle(&mut self, n: usize, woke: &Record) {
        let follows_gap = self.dump.missing_before(n).is_some();
        let before = n.checked_sub(1).map(|n| self.dump.records[n].time).filter(|_| !follows_gap);
        let from = match (woke.amount, before) {
            // It was longer than the record can say.
            (u32::MAX, Some(before)) => before.0,
            (amount, _) => woke.time.0.saturating_sub(amount.into()),
        };
        let at = self.dump.since_start(xenstore::platform::Cycles(from));
        let length = self.dump.since_start(woke.time).saturating_sub(at);
        self.slice(DomId::INVALID, at, length, json!({"name": "idle", "cat": "server"}));
    }

    /// Spans, from the start or the dump's begin to the end or the dump's end.
    fn transactions(&mut self) {
        let records = &self.dump.records;
        let [Some(first), Some(last)] = [records.first(), records.last()] else { return };
        let (first, last) = (self.dump.since_start(first.time), self.dump.since_start(last.time));
        let mut open = Open::new();
        for (n, record) in records.iter().enumerate() {
            let Record { domid, tx, kind, .. } = *record;
            let at = self.dump.since_start(record.time);
            match kind {
                Kind::TransactionStarted => {
                    open.entry((domid.0, tx.0)).or_default().push(n);
                    self.span("b", n, domid, tx, at, json!({}));
                }
                Kind::TransactionCommitted | Kind::TransactionAborted | Kind::TransactionConflict => {
                    let start = open.get_mut(&(domid.0, tx.0)).and_then(Vec::pop);
                    let args = json!({"end": kind.name(), "path": self.dump.path(record.hash)});
                    if start.is_none() {
                        self.span("b", n, domid, tx, first, json!({}));
                    }
                    self.span("e", start.unwrap_or(n), domid, tx, at, args);
                }
                _ => {}
            }
        }
        for ((domid, tx), starts) in open {
            for n in starts {
                self.span("e", n, DomId(domid), TxId(tx), last, json!({"end": "none in this dump"}));
            }
        }
    }

    fn span(&mut self, ph: &str, id: usize, domid: DomId, tx: TxId, at: u64, args: Value) {
        let name = format!("d{domid} transaction {}", tx.0);
        self.push(ph, domid, at, None, json!({"name": name, "cat": "transaction", "id": id, "args": args}));
    }
}
