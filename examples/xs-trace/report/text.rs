//! A report as text.

use super::{Report, Table};

pub fn text(report: &Report<'_>) -> String {
    let width = report.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in &report.facts {
        text += &format!("{name:<width$}  {value}\n");
    }
    for table in report.filled() {
        text += &format!("\n{}\n", table.title);
        text += &rows(table);
    }
    let nothing = report.nothing_of();
    if !nothing.is_empty() {
        text += &format!("\n{nothing}\n");
    }
    text
}

fn rows(table: &Table) -> String {
    let columns = table.columns.len();
    let width = |column: usize| {
        let cells = table.rows.iter().map(|row| row[column].chars().count());
        cells.chain([table.columns[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let numeric: Vec<bool> = (0..columns).map(|column| table.is_numeric(column)).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).zip(&numeric).map(|((cell, width), numeric)| {
            if *numeric { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") }
        });
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    let mut text = line(table.columns.clone());
    for row in &table.rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    if table.left > 0 {
        text += &format!("  and {} more\n", table.left);
    }
    text
}
