//! A report as JSON: the facts, and the tables with an object for each row.

use serde_json::{Map, Value, json};

use super::{Report, Table};

pub fn json(report: &Report<'_>) -> String {
    format!("{}\n", value(report))
}

pub fn value(report: &Report<'_>) -> Value {
    let facts: Map<String, Value> =
        report.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let tables: Vec<Value> = report.tables.iter().map(table).collect();
    json!({ "seconds": report.span as f64 / 1e9, "facts": facts, "tables": tables })
}

/// Times are numbers of microseconds, as the names of their columns say.
pub fn table(table: &Table) -> Value {
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().zip(row);
            Value::Object(
                cells.map(|(name, cell)| (format!("{name}{}", cell.unit()), cell.value())).collect(),
            )
        })
        .collect();
    json!({ "title": table.title, "rows": rows, "rows left out": table.left })
}
