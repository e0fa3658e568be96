//! The summary of a dump: figures and tables, which are printed as text or as a page.

mod html;
mod json;
mod plots;
mod tables;
mod text;

pub use html::page;
pub use json::json;
pub use text::text;

use xenstore::trace::{Kind, Record};

use crate::dump::Dump;
use crate::filter::Chosen;
use crate::requests::{Request, requests};
use tables::tables;

pub struct Report<'a> {
    dump: &'a Dump,
    requests: Vec<Request<'a>>,
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

struct Table {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Rows that are not here.
    left: usize,
}

impl Table {
    fn new(title: &'static str, columns: &[&'static str], mut rows: Vec<Vec<String>>, top: usize) -> Table {
        let left = rows.len().saturating_sub(top);
        rows.truncate(top);
        Table { title, columns: columns.to_vec(), rows, left }
    }

    /// Whether the column's cells are numbers, which stand at its right.
    fn is_numeric(&self, column: usize) -> bool {
        let starts_with_digit = |row: &Vec<String>| row[column].starts_with(|c: char| c.is_ascii_digit());
        self.rows.iter().all(starts_with_digit)
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
        let facts = tables::facts(&seen);
        let tables = tables(&seen, top);
        Report { dump, requests: seen.requests, facts, tables }
    }
}
