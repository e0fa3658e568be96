//! Takes a dump of a running store, which goes on recording meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use xenstore::abi::DomId;
use xenstore::trace::Kind;
use xenstore::trace::Record;
use xenstore::trace::page::Head;
use xenstore::wire::MessageType;

use crate::dump::{Dump, Gap, Notes, hash_name, records_of};
use crate::problem::Problem;
use crate::store::Store;

/// Hashes that are asked for at once: the request fits what the kernel's device takes.
const HASHES: usize = 100;

/// All records that were there when it began. Those of its own requests, but for the first's begin, come later.
pub fn fetch(store: &mut Store) -> Result<Dump, Problem> {
    let (head, mut records) = page(store, 0)?;
    let Head { first, end, khz, started, .. } = head;
    let mut gaps = Vec::new();
    // Draws nothing if the standard error is no terminal.
    let bar = ProgressBar::new(end - first).with_style(style());
    let mut next = first + head.count;
    while next < end {
        let (head, more) = page(store, next)?;
        if more.is_empty() {
            return Err(Problem::new("the store's trace has ended before the number that it told"));
        }
        if head.first > next {
            gaps.push(Gap { before: records.len(), count: head.first.min(end) - next });
        }
        let wanted = usize::try_from(end.saturating_sub(head.first)).unwrap_or(usize::MAX);
        records.extend(more.into_iter().take(wanted));
        next = head.first + head.count;
        bar.set_position(next.min(end) - first);
    }
    let notes = Notes {
        khz,
        started,
        first,
        gaps,
        paths: paths(store, &records, &bar)?,
        names: names(store, &records)?,
        stats: stats(store)?,
    };
    bar.finish_and_clear();
    Ok(Dump { notes, records })
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg:8} {wide_bar} {human_pos} of {human_len}, {eta} left");
    style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}

/// The records from a number on, as many as one answer has.
fn page(store: &mut Store, from: u64) -> Result<(Head, Vec<Record>), Problem> {
    let page = store.control(&["trace", "dump", &from.to_string()])?;
    let (head, text) =
        Head::parse(&page).map_err(|bad| Problem::new(format!("the store answers with {bad}")))?;
    let bytes = STANDARD.decode(text.trim_end()).ok();
    let records = bytes.and_then(|bytes| records_of(&bytes));
    let records = records.filter(|records| records.len() as u64 == head.count);
    let records = records.ok_or_else(|| Problem::new("the store answers with a page that is damaged"))?;
    Ok((head, records))
}

/// What the records' hashes stand for, as far as the store knows.
fn paths(
    store: &mut Store,
    records: &[Record],
    bar: &ProgressBar,
) -> Result<BTreeMap<String, String>, Problem> {
    let hashes: BTreeSet<u64> = records.iter().map(|record| record.hash).filter(|hash| *hash != 0).collect();
    let hashes: Vec<String> = hashes.into_iter().map(hash_name).collect();
    bar.set_message("paths");
    bar.set_length(hashes.len() as u64);
    let mut paths = BTreeMap::new();
    let mut rest = hashes.as_slice();
    while !rest.is_empty() {
        let mut words = vec!["trace", "paths"];
        words.extend(rest.iter().take(HASHES).map(String::as_str));
        let answer = store.control(&words)?;
        for (hash, path) in answer.lines().filter_map(|line| line.split_once(' ')) {
            if path != "?" {
                paths.insert(hash.to_string(), path.to_string());
            }
        }
        // An answer has room for fewer lines than were asked for. The path that has not even fit alone is left.
        rest = &rest[answer.lines().count().max(1)..];
        bar.set_position((hashes.len() - rest.len()) as u64);
    }
    Ok(paths)
}

fn names(store: &mut Store, records: &[Record]) -> Result<BTreeMap<u16, String>, Problem> {
    let mut domains: BTreeSet<u16> = records.iter().map(|record| record.domid.0).collect();
    let conflicts = records.iter().filter(|record| record.kind == Kind::TransactionConflict);
    domains.extend(conflicts.filter_map(|record| u16::try_from(record.amount).ok()));
    domains.remove(&DomId::INVALID.0);
    let mut names = BTreeMap::new();
    for domid in domains {
        match store.request(MessageType::Read, format!("/local/domain/{domid}/name\0").as_bytes()) {
            Ok(name) => drop(names.insert(domid, name.escape_ascii().to_string())),
            Err(Problem::Refused { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(names)
}

fn stats(store: &mut Store) -> Result<serde_json::Value, Problem> {
    let answer = store.control(&["stats", "json"])?;
    serde_json::from_str(&answer)
        .map_err(|error| Problem::new(format!("the store's stats are no JSON: {error}")))
}
