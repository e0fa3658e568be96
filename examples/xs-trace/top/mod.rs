//! `top`: what domains ask of the store, live in the terminal or as plain text.

mod batch;
mod columns;
mod domain;
mod keys;
mod live;
mod names;
mod rates;
mod sample;
mod screen;
mod view;

pub use names::Names;
pub use sample::{Counts, Refused, Sample};

use std::io::{IsTerminal, stdin, stdout};

use crate::arguments::TopOptions;
use crate::dump::OFF;
use rates::Table;
use sample::{Level, Ram};
use store_client::{Problem, plural};

pub fn run(options: &TopOptions) -> Result<(), Problem> {
    let is_terminal = stdin().is_terminal() && stdout().is_terminal();
    let batch = options.batch || options.once;
    if !batch && options.json {
        return Err(Problem::mistake("top --json is for --batch or --once"));
    }
    if !batch && !is_terminal {
        return Err(Problem::mistake("top wants a terminal; --batch prints plain text"));
    }
    let store = options.store.open()?;
    // On a screen it is told that nothing comes, and for how long.
    if batch { batch::run(store, options) } else { live::run(store.patient(), options.delay) }
}

/// How long the server has run, of milliseconds.
pub fn uptime(running_ms: u64) -> String {
    let seconds = running_ms / 1000;
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let days = if days > 0 { format!("{days} days, ") } else { String::new() };
    format!("{days}{hours}:{minutes:02}:{seconds:02}")
}

/// How long the server has run, and for how many.
fn heading(table: &Table) -> String {
    let (up, domains) = (uptime(table.running_ms), table.rows.len());
    let off = if table.recording { String::new() } else { format!(", {OFF}") };
    format!("up {up}, domains: {domains}{off}")
}

/// How much memory the store has, and what became of its growth if it may grow or has grown.
fn memory(ram: Ram) -> String {
    let Ram { kib, limit_kib, growths, refused } = ram;
    if kib == 0 {
        return String::new();
    }
    let [has, most] = [kib, limit_kib].map(|kib| kib / 1024);
    let most = if limit_kib > kib { format!(" of {most}") } else { String::new() };
    let grown = if growths > 0 { format!(", grown: {growths}") } else { String::new() };
    let refused = if refused > 0 { format!(", growth refused: {refused}") } else { String::new() };
    format!(", MiB: {has}{most}{grown}{refused}")
}

fn sums(table: &Table) -> String {
    let [requests, errors, events] = [table.requests, table.errors, table.events].map(columns::compact);
    format!("{requests} requests/s, {errors} errors/s, {events} events/s{}", memory(table.ram))
}

/// Whom a quota, or lack of room, has refused something between the two looks.
fn refusals(table: &Table) -> Vec<String> {
    let line = |case: &Refused| {
        let name = table.name(case.domid).unwrap_or("");
        let Refused { domid, limit, times, request, error, path, .. } = case;
        let why = match case.quota() {
            quota if *limit > 0 => format!("quota {quota}, {limit} allowed"),
            none => none.to_owned(),
        };
        format!("refused: d{domid} {name} {request} {path}: {error}, {why}; {}", plural(*times, "time"))
    };
    table.refused.iter().map(line).collect()
}

/// How full the server's memory is, as many kinds to a line as fit. If they take more than `most` lines, the fullest are
/// there.
fn levels(table: &Table, width: usize, most: usize) -> Vec<String> {
    let lines = lines_of(&table.levels, width);
    if lines.len() <= most {
        return lines;
    }
    let mut fullest = table.levels.clone();
    fullest.sort_by(|one, other| other.share().total_cmp(&one.share()));
    let mut lines = lines_of(&fullest, width);
    lines.truncate(most);
    lines
}

fn lines_of(levels: &[Level], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for level in levels {
        let (used, room) = (level.used as f64, level.room as f64);
        let percent = 100.0 * level.share();
        let text =
            format!("{} {}/{} ({percent:.1}%)", level.what, columns::compact(used), columns::compact(room));
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = text,
            Some(line) if line.len() + 2 + text.len() <= width => *line = format!("{line}, {text}"),
            _ => lines.push(text),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::sample::Sample;
    use super::*;

    #[test]
    fn the_head_fits_its_width() {
        let level = |what: &str| Level { what: what.to_owned(), used: 7, room: 280_692 };
        let after = Sample {
            recording: true,
            running_ms: (86_400 * 2 + 3600 + 61) * 1000,
            levels: ["nodes", "watches", "transactions"].map(level).to_vec(),
            ..Sample::default()
        };
        let table = Table::between(&Sample::default(), &after, &BTreeMap::new());
        assert_eq!(heading(&table), "up 2 days, 1:01:01, domains: 0");
        let off = Table { recording: false, ..table.clone() };
        assert!(heading(&off).ends_with("domains: 0, the trace is off: xenstore-control trace on"));
        for (ram, said) in [
            ([8192, 8192, 0, 0], ", MiB: 8"),
            ([8192, 131_072, 0, 3], ", MiB: 8 of 128, growth refused: 3"),
            ([131_072, 131_072, 4, 0], ", MiB: 128, grown: 4"),
        ] {
            let [kib, limit_kib, growths, refused] = ram;
            assert_eq!(memory(Ram { kib, limit_kib, growths, refused }), said);
        }
        assert_eq!(sums(&table), "0 requests/s, 0 errors/s, 0 events/s");
        assert_eq!(
            levels(&table, 52, 9),
            ["nodes 7/281k (0.0%), watches 7/281k (0.0%)", "transactions 7/281k (0.0%)"]
        );
        let case = serde_json::json!({ "domid": 5, "quota": "nodes", "limit": 1000, "times": 3, "type": "WRITE",
            "error": "ENOSPC", "path": "/local/domain/5/x" });
        let mut refused = table.clone();
        refused.refused = [case].iter().flat_map(Refused::parse).collect();
        assert_eq!(
            refusals(&refused),
            ["refused: d5  WRITE /local/domain/5/x: ENOSPC, quota nodes, 1000 allowed; 3 times"]
        );
        let mut full = table.clone();
        full.levels[1].used = 280_692;
        assert_eq!(levels(&full, 30, 1), ["watches 281k/281k (100.0%)"]);
    }
}
