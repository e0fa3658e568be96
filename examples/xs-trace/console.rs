//! Takes a dump out of a console's log, where an image under `xl create` has put it (`xenstore::server::dump`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xenstore::server::dump::{END, MARK};
use xenstore::trace::page::Head;

use crate::dump::{Dump, Notes, records_of};
use store_client::Problem;

/// The last dump that is whole.
pub fn read(log: &Path) -> Result<Dump, Problem> {
    let problem = |text: &dyn std::fmt::Display| Problem::new(format!("{}: {text}", log.display()));
    let bytes = fs::read(log).map_err(|error| problem(&error))?;
    let text = String::from_utf8_lossy(&bytes);
    // The console daemon adds what is before the mark, such as the time.
    let lines: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once(MARK)?.1.trim_end())).collect();
    let end = lines.iter().rposition(|line| *line == END);
    let lines =
        &lines[..end.ok_or_else(|| problem(&"no whole dump of a xenstore-stubdom's trace is in it"))?];
    let begin = lines.iter().rposition(|line| line.starts_with("xenstore-trace "));
    let lines = begin.map_or(&[][..], |begin| &lines[begin..]);
    parse(lines).map_err(|text| problem(&text))
}

/// The lines from the first on, without the last.
fn parse(lines: &[&str]) -> Result<Dump, String> {
    let (first, rest) = lines.split_first().ok_or("a dump whose beginning is missing")?;
    let (head, _) = Head::parse(first).map_err(|bad| bad.to_string())?;
    let (mut records, mut paths) = (Vec::new(), BTreeMap::new());
    for line in rest {
        let damaged = || format!("a damaged line: {line}");
        match line.split_once(' ').ok_or_else(damaged)? {
            ("records", digits) => {
                let bytes = STANDARD.decode(digits).ok().and_then(|bytes| records_of(&bytes));
                records.extend(bytes.ok_or_else(damaged)?);
            }
            ("path", named) => {
                let (hash, path) = named.split_once(' ').ok_or_else(damaged)?;
                if path != "?" {
                    paths.insert(hash.to_string(), path.to_string());
                }
            }
            _ => return Err(damaged()),
        }
    }
    if records.len() as u64 != head.count {
        return Err(format!(
            "{} of {} records are there; the console has lost lines",
            records.len(),
            head.count
        ));
    }
    let Head { khz, started, first, .. } = head;
    let notes = Notes { khz, started, first, paths, ..Notes::default() };
    Ok(Dump { notes, records })
}
