//! `compare`: what has become slower, more frequent, or refused from one dump or report to another.

mod domains;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::{CompareOptions, Filter};
use crate::dump::{Dump, read, write};
use crate::filter::Chosen;
use crate::report::{Cell, Report, Table, table_json, table_text, value};
use domains::Domains;
use store_client::Problem;

/// A report as it is in JSON.
struct Summary {
    seconds: f64,
    report: Value,
}

/// A table of reports whose rows are counted, what tells one row from others, and the column of its count.
type Counted = (&'static str, &'static str, &'static [&'static str], &'static str);

const COUNTED: [Counted; 7] = [
    ("Requests a second by type", "Requests by type", &["type"], "requests"),
    ("Requests a second by domain", "Who asked for what", &["domain"], "requests"),
    ("Errors a second", "Errors", &["error", "type"], "requests"),
    (
        "Refusals a second",
        "Refusals for a quota or lack of room",
        &["domain", "quota", "type", "path"],
        "requests",
    ),
    ("Conflicts a second", "Transaction conflicts by node", &["node"], "conflicts"),
    ("Stalls a second", "Stalls", &["domain", "why"], "times"),
    ("Watch events a second", "Watch events by receiver", &["domain"], "events"),
];

pub fn run(options: &CompareOptions) -> Result<(), Problem> {
    let (old, new) = (Summary::load(&options.old)?, Summary::load(&options.new)?);
    let least = f64::from(options.percent) / 100.0;
    let domains = Domains::matched([&old, &new].map(Summary::domains));
    let often = COUNTED.iter().map(|counted| often(counted, [&old, &new], &domains, least));
    let tables: Vec<Table> = [times(&old, &new, least)].into_iter().chain(often).collect();
    let print = if options.json { object } else { text };
    let text = print(&old, &new, &domains, &tables);
    write(Path::new("-"), text.as_bytes())
}

impl Summary {
    fn load(file: &Path) -> Result<Summary, Problem> {
        let bytes = read(file)?;
        let wrong = |what: &str| Problem::new(format!("{}: {what}", file.display()));
        if !bytes.starts_with(b"{") {
            let dump = Dump::parse(file, &bytes)?;
            let filter = Filter::default();
            let report = value(&Report::new(&dump, &Chosen::new(&dump, &filter)?, usize::MAX));
            return Summary::of(report).ok_or_else(|| wrong("a dump that cannot be summed up"));
        }
        let report = serde_json::from_slice(&bytes).ok().and_then(Summary::of);
        report.ok_or_else(|| wrong("neither a dump nor what `report --json` of this version prints"))
    }

    fn of(report: Value) -> Option<Summary> {
        let seconds = report["seconds"].as_f64()?;
        report["tables"].as_array().filter(|_| is_printable(&report))?;
        // Of records of one moment there is no rate; this keeps numbers finite.
        Some(Summary { seconds: seconds.max(1e-6), report })
    }

    fn rows(&self, title: &str) -> impl Iterator<Item = &Value> {
        let tables = self.report["tables"].as_array().into_iter().flatten();
        let found = tables.filter(move |table| table["title"] == title);
        found.flat_map(|table| table["rows"].as_array().into_iter().flatten())
    }

    /// What it calls the domains that its tables name.
    fn domains(&self) -> impl Iterator<Item = &str> {
        let tables = COUNTED.iter().filter(|(_, _, keys, _)| keys.contains(&"domain"));
        tables.flat_map(|(_, table, ..)| self.rows(table)).filter_map(|row| row["domain"].as_str())
    }

    /// Its tables that are not whole, since their report had fewer rows.
    fn is_cut(&self, title: &str) -> bool {
        let tables = self.report["tables"].as_array().into_iter().flatten();
        tables.filter(|table| table["title"] == title).any(|table| table["rows left out"] != 0)
    }

    fn fact(&self, name: &str) -> &str {
        self.report["facts"][name].as_str().unwrap_or("?")
    }
}

/// Whether what a file says cannot control the reader's terminal.
fn is_printable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().all(|char| char == 'µ' || matches!(char, ' '..='~')),
        Value::Array(list) => list.iter().all(is_printable),
        Value::Object(members) => members.values().all(is_printable),
        _ => true,
    }
}

fn growth(old: f64, new: f64) -> f64 {
    match (old, new) {
        (old, new) if old == new => 0.0,
        (0.0, _) => f64::INFINITY,
        (old, new) => new / old - 1.0,
    }
}

/// Only those that have changed by more than that part, what has grown most first.
fn changed(
    title: &'static str,
    columns: Vec<&'static str>,
    rows: impl Iterator<Item = (f64, f64, Vec<Cell>)>,
    least: f64,
) -> Table {
    let (mut rows, same): (Vec<_>, Vec<_>) = rows.partition(|(old, new, _)| growth(*old, *new).abs() > least);
    rows.sort_by(|(old, new, _), (next_old, next_new, _)| (next_new - next_old).total_cmp(&(new - old)));
    let rows = rows.into_iter().map(|(.., row)| row).collect();
    Table::of(title, columns, rows, same.len(), "that are much the same")
}

/// How long the requests of a type take, of types that both have.
fn times(old: &Summary, new: &Summary, least: f64) -> Table {
    const TITLE: &str = "Requests by type";
    let nanos = |row: &Value, column: &str| row[column].as_f64().unwrap_or(0.0) * 1e3;
    let rows = old.rows(TITLE).filter_map(|was| {
        let now = new.rows(TITLE).find(|now| now["type"] == was["type"])?;
        let mut row = vec![Cell::text(was["type"].as_str()?)];
        for column in ["mean µs", "p50 µs", "p99 µs"] {
            row.extend([was, now].map(|row| Cell::Time(nanos(row, column) as u64)));
        }
        let (old, new) = (nanos(was, "mean µs"), nanos(now, "mean µs"));
        row.insert(3, Cell::Growth(growth(old, new)));
        Some((old, new, row))
    });
    let columns = vec![
        "type",
        "mean before",
        "mean after",
        "change",
        "p50 before",
        "p50 after",
        "p99 before",
        "p99 after",
    ];
    changed("Time by type", columns, rows, least)
}

fn often(
    (title, table, keys, count): &Counted,
    summaries: [&Summary; 2],
    domains: &Domains<'_>,
    least: f64,
) -> Table {
    let mut rates: BTreeMap<Vec<String>, [f64; 2]> = BTreeMap::new();
    for (place, summary) in summaries.into_iter().enumerate() {
        for row in summary.rows(table) {
            let key = keys.iter().map(|key| {
                let text = row[key].as_str().unwrap_or("");
                match *key {
                    "domain" => domains.called(place, text).to_owned(),
                    "node" | "path" => domains.path(place, text),
                    _ => text.to_owned(),
                }
            });
            let rate = row[count].as_f64().unwrap_or(0.0) / summary.seconds;
            rates.entry(key.collect()).or_default()[place] += rate;
        }
    }
    // What a report has left out may have been there.
    let cut = summaries.map(|summary| summary.is_cut(table));
    rates.retain(|_, rates| (0..2).all(|place| !(cut[place] && rates[place] == 0.0)));
    let rows = rates.into_iter().map(|(key, [old, new])| {
        let mut row: Vec<Cell> = key.into_iter().map(Cell::text).collect();
        row.extend([Cell::Number(old), Cell::Number(new), Cell::Growth(growth(old, new))]);
        (old, new, row)
    });
    let columns = keys.iter().copied().chain(["before", "after", "change"]).collect();
    changed(title, columns, rows, least)
}

const FACTS: [&str; 3] = ["store", "records", "requests"];

fn text(old: &Summary, new: &Summary, domains: &Domains<'_>, tables: &[Table]) -> String {
    let mut text = String::new();
    for (when, summary) in [("before", old), ("after", new)] {
        for name in FACTS {
            text += &format!("{when:<6}  {name:<8}  {}\n", summary.fact(name));
        }
    }
    let renumbered = domains.renumbered().len();
    if renumbered > 0 {
        text += &format!("domains compared by name, as their numbers are others now: {renumbered}\n");
    }
    let (changed, same): (Vec<&Table>, Vec<&Table>) = tables.iter().partition(|table| !table.rows.is_empty());
    changed.into_iter().for_each(|table| text += &table_text(table));
    if !same.is_empty() {
        let titles: Vec<String> = same.iter().map(|table| table.title.to_lowercase()).collect();
        text += &format!("\nMuch the same: {}.\n", titles.join(", "));
    }
    text
}

fn object(old: &Summary, new: &Summary, domains: &Domains<'_>, tables: &[Table]) -> String {
    let facts = |summary: &Summary| FACTS.map(|name| (name.to_owned(), summary.fact(name).into()));
    let facts = |summary| facts(summary).into_iter().collect::<serde_json::Map<_, _>>();
    let tables: Vec<Value> = tables.iter().map(table_json).collect();
    let by_name = domains.renumbered();
    let all =
        json!({ "before": facts(old), "after": facts(new), "compared by name": by_name, "tables": tables });
    format!("{all}\n")
}
