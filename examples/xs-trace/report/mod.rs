//! The summary of a dump: figures and tables, which are printed as text or as a page.

mod html;
mod plots;
mod tables;
mod text;

pub use html::page;
pub use text::text;

use crate::dump::Dump;
use crate::requests::{Request, requests};
use tables::tables;

pub struct Report<'a> {
    dump: &'a Dump,
    requests: Vec<Request<'a>>,
    /// Single figures, with what they are.
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
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

    /// Sums up a dump; of long tables the first `top` rows.
    pub fn new(dump: &Dump, top: usize) -> Report<'_> {
        let requests = requests(dump);
        let facts = tables::facts(dump, &requests);
        let tables = tables(dump, &requests, top);
        Report { dump, requests, facts, tables }
    }
}
