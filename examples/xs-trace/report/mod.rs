//! The summary of a dump: figures and tables, which are printed as text or as a page.

mod cell;
mod html;
mod json;
mod plots;
mod tables;
mod text;

pub use cell::Cell;
pub use html::page;
pub use json::{json, table as table_json, value};
pub use text::{table as table_text, text};

use xenstore::trace::{Kind, Record};

use crate::dump::Dump;
use crate::filter::Chosen;
use crate::requests::{Request, requests};
use tables::tables;

pub struct Report<'a> {
    dump: &'a Dump,
    requests: Vec<Request<'a>>,
    /// Nanoseconds from the first record to the last.
    span: u64,
    /// Single figures, with what they are.
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
}

/// What a report is about: of a dump, the requests and records that were chosen.
struct Seen<'a> {
    dump: &'a Dump,
    requests: Vec<Request<'a>>,
    records: Vec<&'a Record>,
}

impl<'a> Seen<'a> {
    /// The records of a kind.
    fn of(&self, kind: Kind) -> impl Iterator<Item = &'a Record> {
        self.records.iter().copied().filter(move |record| record.kind == kind)
    }
}

pub struct Table {
    pub title: &'static str,
    columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
    /// Rows that are not here, and what they are.
    left: usize,
    which: &'static str,
}

impl Table {
    fn new(title: &'static str, columns: &[&'static str], mut rows: Vec<Vec<Cell>>, top: usize) -> Table {
        let left = rows.len().saturating_sub(top);
        rows.truncate(top);
        Table { title, columns: columns.to_vec(), rows, left, which: "more" }
    }

    /// With so many rows left out that are of this kind.
    pub fn of(
        title: &'static str,
        columns: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
        left: usize,
        which: &'static str,
    ) -> Table {
        Table { title, columns, rows, left, which }
    }

    /// Whether the column's cells are numbers, which stand at its right.
    fn is_numeric(&self, column: usize) -> bool {
        self.rows.iter().all(|row| row[column].is_numeric())
    }

    fn rest(&self) -> Option<String> {
        (self.left > 0).then(|| format!("and {} {}", self.left, self.which))
    }
}

impl Report<'_> {
    /// The tables that have rows.
    fn filled(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| !table.rows.is_empty())
    }

    /// The titles of those that have none, as a sentence's end; empty if all have rows.
    fn nothing_of(&self) -> String {
        let empty = self.tables.iter().filter(|table| table.rows.is_empty());
        let titles: Vec<String> = empty.map(|table| table.title.to_lowercase()).collect();
        if titles.is_empty() { String::new() } else { format!("Nothing of: {}.", titles.join(", ")) }
    }

    /// Sums up what is chosen of a dump; of long tables the first `top` rows.
    pub fn new<'a>(dump: &'a Dump, chosen: &Chosen<'_>, top: usize) -> Report<'a> {
        let requests = requests(dump).into_iter().filter(|request| chosen.lets_pass(request.ended)).collect();
        let records = dump.records.iter().filter(|record| chosen.lets_pass(record)).collect();
        let seen = Seen { dump, requests, records };
        let times = || seen.records.iter().map(|record| dump.since_start(record.time));
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let facts = tables::facts(&seen, first, last);
        let tables = tables(&seen, top);
        Report { dump, requests: seen.requests, span: last - first, facts, tables }
    }
}
