//! A report as JSON: the facts, and the tables with an object for each row.

use serde_json::{Map, Value, json};

use super::{Report, Table};

pub fn json(report: &Report<'_>) -> String {
    let facts: Map<String, Value> =
        report.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let tables: Vec<Value> = report.tables.iter().map(table).collect();
    format!("{}\n", json!({ "facts": facts, "tables": tables }))
}

fn table(table: &Table) -> Value {
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().zip(row);
            Value::Object(cells.map(|(column, cell)| ((*column).to_owned(), value(cell))).collect())
        })
        .collect();
    json!({ "title": table.title, "rows": rows, "rows left out": table.left })
}

/// A cell that is a number as one.
fn value(cell: &str) -> Value {
    let whole = cell.parse::<u64>().map(Value::from).ok();
    whole.or_else(|| cell.parse::<f64>().map(Value::from).ok()).unwrap_or_else(|| cell.into())
}
