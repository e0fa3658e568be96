//! The figures and tables of a report.

use std::collections::BTreeMap;

use xenstore::abi::DomId;
use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::{MessageType, XsError};

use super::cell::{Cell, duration, seconds};
use super::{Seen, Table};
use crate::requests::busy;
use crate::show::what;
use store_client::plural;

/// How often each comes, most often first.
fn counted<K: Ord>(all: impl IntoIterator<Item = K>) -> Vec<(K, usize)> {
    let mut counts = BTreeMap::new();
    all.into_iter().for_each(|one| *counts.entry(one).or_insert(0) += 1);
    let mut counts: Vec<(K, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Domains that one cell lists.
const LISTED: usize = 4;

/// The first `most` of those there are, and how often they come, most often first.
fn listed<K: Ord + ToString>(all: impl IntoIterator<Item = K>, most: usize) -> String {
    let counts = counted(all);
    let mut words: Vec<String> =
        counts.iter().take(most).map(|(one, count)| format!("{} {count}", one.to_string())).collect();
    if counts.len() > most {
        words.push(format!("{} others", counts.len() - most));
    }
    words.join(", ")
}

/// The percentile of sorted values: the least value that so many percent do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// The sum of all times that are known.
fn sum(times: impl IntoIterator<Item = u64>) -> u128 {
    times.into_iter().map(u128::from).sum()
}

/// No dump has so many years of them that they do not fit.
fn nanos(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}

/// Of records between two moments, nanoseconds since the start.
pub fn facts(seen: &Seen<'_>, first: u64, last: u64) -> Vec<(&'static str, String)> {
    let Seen { dump, requests, records } = seen;
    let span = last - first;
    let (before, meanwhile) = dump.lost();
    let failed = requests.iter().filter(|request| request.ended.error.is_some()).count();
    let busy = busy(dump, requests);
    let of_span = |value: f64| if span == 0 { 0.0 } else { value / span as f64 };
    let count = |kind| seen.of(kind).count();
    let answer = match requests.first() {
        Some(request) if before == 0 => format!("{} s", seconds(dump.since_start(request.ended.time))),
        Some(_) => "not known: the first records are lost".to_string(),
        None => "none yet".to_string(),
    };
    vec![
        ("store", dump.notes.about.line()),
        (
            "records",
            format!("{}, from {} s to {} s after the start", records.len(), seconds(first), seconds(last)),
        ),
        ("lost records", format!("{before} before them, {meanwhile} while they were fetched")),
        ("entry to first answer", answer),
        (
            "requests",
            format!(
                "{}, {failed} of them failed; {:.0}/s",
                requests.len(),
                of_span(requests.len() as f64 * 1e9)
            ),
        ),
        (
            "time in requests",
            format!("{}, {:.2} % of all", duration(nanos(busy)), of_span(busy as f64 * 100.0)),
        ),
        ("watch events", format!("{}, {} dropped", count(Kind::Event), count(Kind::Dropped))),
        (
            "transactions",
            format!(
                "{} started, {} committed, {} aborted (as xl does with those that only read), {}",
                count(Kind::TransactionStarted),
                count(Kind::TransactionCommitted),
                count(Kind::TransactionAborted),
                plural(count(Kind::TransactionConflict) as u64, "conflict")
            ),
        ),
    ]
}

pub fn tables(seen: &Seen<'_>, top: usize) -> Vec<Table> {
    vec![
        who(seen, top),
        types(seen),
        slowest(seen, top),
        conflicts(seen, top),
        errors(seen, top),
        refusals(seen, top),
        stalls(seen, top),
        events(seen, top),
        incidents(seen, top),
    ]
}

fn who(seen: &Seen<'_>, top: usize) -> Table {
    let Seen { dump, requests, .. } = seen;
    let mut domains: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for request in requests {
        domains.entry(request.ended.domid.0).or_default().push(request.ended.type_name());
    }
    let mut domains: Vec<_> = domains.into_iter().collect();
    domains.sort_by_key(|(_, own)| std::cmp::Reverse(own.len()));
    let rows = domains.into_iter().map(|(domid, own)| {
        let count = own.len();
        vec![Cell::text(dump.domain(DomId(domid))), Cell::Count(count), Cell::text(listed(own, usize::MAX))]
    });
    Table::new("Who asked for what", &["domain", "requests", "breakdown"], rows.collect(), top)
}

fn types(seen: &Seen<'_>) -> Table {
    let Seen { dump, requests, .. } = seen;
    let mut types: BTreeMap<&str, (Vec<u64>, usize)> = BTreeMap::new();
    for request in requests {
        let (times, failed) = types.entry(request.ended.type_name()).or_default();
        times.push(request.time(dump).1);
        *failed += usize::from(request.ended.error.is_some());
    }
    let all = sum(types.values().flat_map(|(times, _)| times).copied());
    let mut types: Vec<_> = types.into_iter().collect();
    types.sort_by_key(|(_, (times, _))| std::cmp::Reverse(times.len()));
    let rows = types.into_iter().map(|(name, (mut times, failed))| {
        times.sort_unstable();
        let own = sum(times.iter().copied());
        let share = own as f64 * 100.0 / all.max(1) as f64;
        let mut row = vec![Cell::text(name), Cell::Count(times.len()), Cell::Count(failed)];
        row.push(Cell::Time(nanos(own / times.len().max(1) as u128)));
        row.extend([50, 90, 99, 100].map(|percent| Cell::Time(percentile(&times, percent))));
        row.push(Cell::Number(share));
        row
    });
    let columns = ["type", "requests", "failed", "mean", "p50", "p90", "p99", "max", "% of time"];
    Table::new("Requests by type", &columns, rows.collect(), usize::MAX)
}

/// Without CONTROL: those are the operator's, and this program's own.
fn slowest(seen: &Seen<'_>, top: usize) -> Table {
    let Seen { dump, requests, .. } = seen;
    let others =
        requests.iter().filter(|request| u32::from(request.ended.msg_type) != MessageType::Control as u32);
    let mut slow: Vec<_> = others.map(|request| (request.time(dump), request.ended)).collect();
    slow.sort_by_key(|((_, length), _)| std::cmp::Reverse(*length));
    slow.truncate(top);
    let rows = slow.into_iter().map(|((at, length), record)| {
        let result = record.error.map_or("ok", XsError::name);
        let (domain, path) = (dump.domain(record.domid), dump.path(record.hash));
        let mut row = vec![Cell::text(record.type_name()), Cell::Time(length), Cell::At(at)];
        row.extend([Cell::text(domain), Cell::text(result), Cell::text(path)]);
        row
    });
    Table::new(
        "Slowest requests but CONTROL",
        &["type", "time", "at s", "domain", "result", "path"],
        rows.collect(),
        top,
    )
}

fn conflicts(seen: &Seen<'_>, top: usize) -> Table {
    let dump = seen.dump;
    let mut nodes: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
    seen.of(Kind::TransactionConflict).for_each(|record| nodes.entry(record.hash).or_default().push(record));
    let mut nodes: Vec<(u64, Vec<&Record>)> = nodes.into_iter().collect();
    nodes.sort_by_key(|(_, here)| std::cmp::Reverse(here.len()));
    let rows = nodes.into_iter().map(|(hash, here)| {
        let losers = listed(here.iter().map(|record| dump.domain(record.domid)), LISTED);
        let writers = here.iter().map(|record| match u16::try_from(record.amount).map(DomId) {
            Ok(domid) if domid != DomId::INVALID => dump.domain(domid),
            _ => "unknown".to_string(),
        });
        let writers = listed(writers, LISTED);
        vec![Cell::text(dump.path(hash)), Cell::Count(here.len()), Cell::text(losers), Cell::text(writers)]
    });
    let columns = ["node", "conflicts", "transactions of", "changed by"];
    Table::new("Transaction conflicts by node", &columns, rows.collect(), top)
}

fn errors(seen: &Seen<'_>, top: usize) -> Table {
    let Seen { dump, requests, .. } = seen;
    let failed: Vec<(&str, &Record)> =
        requests.iter().filter_map(|request| Some((request.ended.error?.name(), request.ended))).collect();
    let rows = counted(failed.iter().map(|(error, record)| (*error, record.msg_type)));
    let rows = rows.into_iter().map(|((error, msg_type), count)| {
        let here: Vec<&Record> = failed
            .iter()
            .filter(|(name, record)| *name == error && record.msg_type == msg_type)
            .map(|(_, record)| *record)
            .collect();
        let domains = listed(here.iter().map(|record| dump.domain(record.domid)), LISTED);
        let path =
            counted(here.iter().map(|record| dump.path(record.hash))).first().map_or("", |(path, _)| path);
        let name = here.first().map_or("", |record| record.type_name());
        let mut row = vec![Cell::text(error), Cell::text(name), Cell::Count(count)];
        row.extend([Cell::text(domains), Cell::text(path)]);
        row
    });
    Table::new("Errors", &["error", "type", "requests", "domains", "path most often"], rows.collect(), top)
}

fn refusals(seen: &Seen<'_>, top: usize) -> Table {
    let dump = seen.dump;
    let refused = seen.of(Kind::Refused).map(|record| {
        let error = record.error.map_or("?", XsError::name);
        let quota =
            record.quota().map_or("no room".to_string(), |quota| format!("{quota}, {}", record.amount));
        (record.domid.0, quota, record.type_name(), error, dump.path(record.hash))
    });
    let rows = counted(refused).into_iter().map(|((domid, quota, name, error, path), count)| {
        let domain = dump.domain(DomId(domid));
        let mut row = vec![Cell::text(domain), Cell::text(quota), Cell::text(name), Cell::text(error)];
        row.extend([Cell::Count(count), Cell::text(path)]);
        row
    });
    let columns = ["domain", "quota", "type", "error", "requests", "path"];
    Table::new("Refusals for a quota or lack of room", &columns, rows.collect(), top)
}

fn stalls(seen: &Seen<'_>, top: usize) -> Table {
    let dump = seen.dump;
    let stalled = seen
        .of(Kind::Stalled)
        .map(|record| (record.domid.0, Stall::from_wire(record.detail).map_or("?", Stall::name)));
    let held = seen.of(Kind::Held).map(|record| (record.domid.0, "made another's commit fail"));
    let rows = counted(stalled.chain(held)).into_iter().map(|((domid, why), count)| {
        vec![Cell::text(dump.domain(DomId(domid))), Cell::Count(count), Cell::text(why)]
    });
    Table::new("Stalls", &["domain", "times", "why"], rows.collect(), top)
}

fn events(seen: &Seen<'_>, top: usize) -> Table {
    let dump = seen.dump;
    /// Events, bytes of them, those that were dropped.
    type Sums = (usize, usize, usize);
    let mut sums: BTreeMap<u16, Sums> = BTreeMap::new();
    for record in seen.of(Kind::Event).chain(seen.of(Kind::Dropped)) {
        let (events, bytes, dropped) = sums.entry(record.domid.0).or_default();
        if record.kind == Kind::Event {
            *events += 1;
            *bytes += usize::from(record.size);
        } else {
            *dropped += 1;
        }
    }
    let mut sums: Vec<(u16, Sums)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (events, ..))| std::cmp::Reverse(*events));
    let rows = sums.into_iter().map(|(domid, (events, bytes, dropped))| {
        let numbers = [events, bytes, dropped].map(Cell::Count);
        [Cell::text(dump.domain(DomId(domid)))].into_iter().chain(numbers).collect()
    });
    Table::new("Watch events by receiver", &["domain", "events", "bytes", "dropped"], rows.collect(), top)
}

/// Whether a record of this kind tells of a mark, or of what should not be or ends one image's work.
fn is_incident(kind: Kind) -> bool {
    match kind {
        Kind::Mark
        | Kind::RingError
        | Kind::Panic
        | Kind::Missed
        | Kind::Fault
        | Kind::Recovered
        | Kind::Updated => true,
        Kind::Started
        | Kind::Begun
        | Kind::Ended
        | Kind::Event
        | Kind::Dropped
        | Kind::TransactionStarted
        | Kind::TransactionCommitted
        | Kind::TransactionAborted
        | Kind::TransactionConflict
        | Kind::Introduced
        | Kind::Released
        | Kind::Refused
        | Kind::Stalled
        | Kind::Held
        | Kind::WokeUp
        | Kind::Notified
        | Kind::Restarted => false,
    }
}

fn incidents(seen: &Seen<'_>, top: usize) -> Table {
    let dump = seen.dump;
    let rows = seen.records.iter().filter(|record| is_incident(record.kind)).map(|record| {
        let text = format!("{} {}", what(dump, record), dump.path(record.hash));
        let domain = Cell::text(dump.domain(record.domid));
        vec![Cell::At(dump.since_start(record.time)), domain, Cell::text(text.trim_end())]
    });
    Table::new("Marks and faults", &["at s", "domain", "what"], rows.collect(), top)
}
