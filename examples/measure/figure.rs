//! One measured number, as a line of JSON: how measurements reach the report.

use std::io::{BufRead, Error, Result};

use serde_json::{Value, json};

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub table: u64,
    pub row: String,
    pub column: String,
    pub value: f64,
    pub unit: String,
}

/// The number that a row begins with: 1000 of `1,000 guests`.
pub fn leading_number(row: &str) -> Option<f64> {
    row.split(' ').next()?.replace(',', "").parse().ok()
}

impl Figure {
    pub fn new(table: u64, row: &str, column: &str, value: f64, unit: &str) -> Figure {
        let [row, column, unit] = [row, column, unit].map(str::to_string);
        Figure { table, row, column, value, unit }
    }

    pub fn print(&self) -> Result<()> {
        output::put(self.line() + "\n")
    }

    /// As [`Figure::read`] reads it.
    pub fn line(&self) -> String {
        let Figure { table, row, column, value, unit } = self;
        json!({"table": table, "row": row, "column": column, "value": value, "unit": unit}).to_string()
    }

    fn parse(line: &str) -> Option<Figure> {
        let object: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| object.get(key)?.as_str().map(str::to_string);
        Some(Figure {
            table: object.get("table")?.as_u64()?,
            row: text("row")?,
            column: text("column")?,
            value: object.get("value")?.as_f64()?,
            unit: text("unit")?,
        })
    }

    /// All figures of a stream; a line that is none is an error.
    pub fn read(lines: impl BufRead) -> Result<Vec<Figure>> {
        lines
            .lines()
            .map(|line| {
                let line = line?;
                Figure::parse(&line).ok_or_else(|| Error::other(format!("not a figure: {line}")))
            })
            .collect()
    }
}
