//! `top`: what domains ask of the store, live in the terminal or as plain text.

mod batch;
mod columns;
mod keys;
mod live;
mod names;
mod options;
mod rates;
mod sample;
mod screen;

pub use options::{HELP, Options};

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use crate::dump::OFF;
use rates::Table;
use sample::Level;
use store_client::{Problem, Store};

pub fn run(options: &Options) -> Result<(), Problem> {
    let is_terminal = stdin().is_terminal() && stdout().is_terminal();
    if !options.batch && !is_terminal {
        return Err(Problem::new("top wants a terminal; --batch prints plain text"));
    }
    let store = Store::open(options.store.as_deref())?;
    if options.batch { batch::run(store, options) } else { live::run(store, options.delay) }
}

/// How long the server has run, and for how many.
fn heading(table: &Table) -> String {
    let seconds = table.running_ms / 1000;
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let days = if days > 0 { format!("{days} days, ") } else { String::new() };
    let domains = table.rows.len();
    let off = if table.recording { String::new() } else { format!(", {OFF}") };
    format!("up {days}{hours}:{minutes:02}:{seconds:02}, domains: {domains}{off}")
}

fn sums(table: &Table) -> String {
    let [requests, errors, events] = [table.requests, table.errors, table.events].map(columns::compact);
    format!("{requests} requests/s, {errors} errors/s, {events} events/s")
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

/// A delay in seconds, as an option or at the keyboard.
fn parse_delay(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("delay '{text}': 0.1 to 3600 seconds are possible"))?;
    Ok(Duration::from_secs_f64(seconds))
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
        assert_eq!(sums(&table), "0 requests/s, 0 errors/s, 0 events/s");
        assert_eq!(
            levels(&table, 52, 9),
            ["nodes 7/281k (0.0%), watches 7/281k (0.0%)", "transactions 7/281k (0.0%)"]
        );
        let mut full = table.clone();
        full.levels[1].used = 280_692;
        assert_eq!(levels(&full, 30, 1), ["watches 281k/281k (100.0%)"]);
    }

    #[test]
    fn delays_are_checked() {
        assert_eq!(parse_delay("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "x", "NaN", "4000", ""] {
            assert_eq!(parse_delay(wrong), Err(format!("delay '{wrong}': 0.1 to 3600 seconds are possible")));
        }
    }
}
