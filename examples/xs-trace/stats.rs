//! `stats`: all sums that the store keeps, and what it has refused lately, as text or as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::about::About;
use crate::arguments::StatsOptions;
use crate::dump::write;
use crate::top::{Names, Refused, Sample};
use store_client::Problem;
use store_client::Store;

/// All that is known of a store at one moment.
pub struct Stats {
    /// The members of `CONTROL stats json`.
    pub all: Map<String, Value>,
    pub sample: Sample,
    pub about: About,
    /// As far as domains have one.
    pub names: Names,
}

impl Stats {
    /// # Errors
    /// If the store is lost, or answers as none of this version does.
    pub fn take(store: &mut Store) -> Result<Stats, Problem> {
        let (sample, all) = Sample::take_whole(store)?;
        let mut names = Names::default();
        names.learn(store, sample.domains.keys().copied())?;
        let all = all.as_object().cloned().unwrap_or_default();
        Ok(Stats { all, sample, names, about: About::ask(store)? })
    }

    /// One of its sums in all.
    pub fn total(&self, name: &str) -> u64 {
        self.all.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The rows of one of its tables: their names, with their cells by the names of the columns.
    pub fn table(&self, name: &str) -> impl Iterator<Item = (&str, Map<String, Value>)> {
        let table = self.all.get(name).and_then(Value::as_object);
        let columns = table.and_then(|table| table.get("columns")?.as_array());
        table.into_iter().flatten().filter(|(name, _)| *name != "columns").map(move |(name, row)| {
            let cells = columns.into_iter().flatten().zip(row.as_array().into_iter().flatten());
            let cells = cells.filter_map(|(column, cell)| Some((column.as_str()?.to_owned(), cell.clone())));
            (name.as_str(), cells.collect())
        })
    }

    fn domains(&self) -> Vec<Value> {
        let row = |(domid, counts): (&u16, &crate::top::Counts)| {
            let mut row = Map::from_iter([("domid".to_owned(), json!(domid))]);
            row.insert("name".to_owned(), json!(self.names.known.get(domid)));
            row.extend(counts.members());
            Value::Object(row)
        };
        self.sample.domains.iter().map(row).collect()
    }
}

impl Stats {
    fn refused(&self) -> Vec<Value> {
        let name = |case: &Refused| self.names.known.get(&case.domid).map(String::as_str);
        self.sample.refused.iter().map(|case| case.object(name(case))).collect()
    }
}

pub fn run(options: &StatsOptions) -> Result<(), Problem> {
    let stats = Stats::take(&mut options.store.open()?)?;
    let text = if options.json { object(&stats) } else { text(&stats) };
    write(Path::new("-"), text.as_bytes())
}

fn object(stats: &Stats) -> String {
    let mut all = stats.all.clone();
    for name in ["types", "memory"] {
        let rows = stats.table(name).map(|(name, row)| (name.to_owned(), row.into()));
        all.insert(name.to_owned(), Value::Object(rows.collect()));
    }
    all.insert("about".to_owned(), json!(stats.about));
    all.insert("domains".to_owned(), stats.domains().into());
    all.insert("refused".to_owned(), stats.refused().into());
    format!("{}\n", Value::Object(all))
}

fn text(stats: &Stats) -> String {
    let mut text = format!("{}\n", stats.about.line());
    let single = stats.all.iter().filter(|(_, value)| value.is_u64());
    single.for_each(|(name, value)| text += &format!("{name:<17}  {value:>12}\n"));
    for (name, title) in [("types", "type"), ("memory", "memory")] {
        let rows = stats.table(name).map(|(name, mut row)| {
            row.insert(title.to_owned(), name.into());
            row
        });
        text += &table(title, &rows.collect::<Vec<_>>());
    }
    let rows =
        |values: Vec<Value>| values.iter().filter_map(|value| value.as_object().cloned()).collect::<Vec<_>>();
    text += &table("domid", &rows(stats.domains()));
    text += &table("quota", &rows(stats.refused()));
    text
}

/// Rows below the names of their members, that one first.
fn table(first: &str, rows: &[Map<String, Value>]) -> String {
    let Some(head) = rows.first() else { return String::new() };
    let mut columns: Vec<&str> = head.keys().map(String::as_str).collect();
    columns.sort_by_key(|column| *column != first);
    let cell = |row: &Map<String, Value>, column: &str| match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let all = || rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>());
    let widths: Vec<usize> = (0..columns.len())
        .map(|n| all().map(|row| row[n].len()).chain([columns[n].len()]).max().unwrap_or(0))
        .collect();
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| match cell.parse::<u64>() {
            Ok(_) => format!("{cell:>width$}  "),
            Err(_) => format!("{cell:<width$}  "),
        });
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    let head = line(columns.iter().map(|column| (*column).to_owned()).collect());
    format!("\n{head}{}", all().map(line).collect::<String>())
}
