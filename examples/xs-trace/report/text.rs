//! A report as text.

use super::{Cell, Report, Table};

pub fn text(report: &Report<'_>) -> String {
    let width = report.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in &report.facts {
        text += &format!("{name:<width$}  {value}\n");
    }
    report.filled().for_each(|filled| text += &table(filled));
    let nothing = report.nothing_of();
    if !nothing.is_empty() {
        text += &format!("\n{nothing}\n");
    }
    text
}

/// A table below its title.
pub fn table(table: &Table) -> String {
    let head = table.columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let cells = |row: &Vec<Cell>| row.iter().map(Cell::to_string).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(table.rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let columns: Vec<(usize, bool)> =
        (0..table.columns.len()).map(|column| (width(column), table.is_numeric(column))).collect();
    let mut text = format!("\n{}\n", table.title);
    for line in &lines {
        let padded = line.iter().zip(&columns).map(|(cell, (width, numeric))| {
            if *numeric { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") }
        });
        text += &format!("{}\n", padded.collect::<String>().trim_end());
    }
    table.rest().into_iter().for_each(|rest| text += &format!("  {rest}\n"));
    text
}
