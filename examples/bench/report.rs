//! Tables in Markdown from figures, and which goals they miss.

use std::fmt::{Result, Write};

use crate::figure::Figure;
use crate::goals::{Goal, Table};

/// Rows and columns in the order in which they first came.
struct Grid<'a> {
    rows: Vec<&'a str>,
    columns: Vec<&'a str>,
    figures: Vec<&'a Figure>,
}

impl<'a> Grid<'a> {
    fn new(table: u64, all: &'a [Figure]) -> Grid<'a> {
        let figures: Vec<&Figure> = all.iter().filter(|figure| figure.table == table).collect();
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        for figure in &figures {
            let (row, column) = (figure.row.as_str(), figure.column.as_str());
            if !rows.contains(&row) {
                rows.push(row);
            }
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Grid { rows, columns, figures }
    }

    fn at(&self, row: &str, column: &str) -> Option<&'a Figure> {
        self.figures.iter().find(|figure| figure.row == row && figure.column == column).copied()
    }

    /// How many times the figure of `base` this is, if they are of one kind.
    fn ratio(&self, row: &str, column: &str, base: &str) -> Option<f64> {
        let (figure, base) = (self.at(row, column)?, self.at(row, base)?);
        (figure.unit == base.unit && column != base.column).then(|| figure.value / base.value)
    }

    /// The greatest ratio that the goal speaks of.
    fn reached(&self, row: &str, goal: &Goal) -> Option<f64> {
        let about = |column: &&&str| goal.column == goal.than || **column == goal.column;
        let ratios =
            self.columns.iter().filter(about).filter_map(|column| self.ratio(row, column, goal.than));
        ratios.max_by(f64::total_cmp)
    }
}

/// What came of the goals of a report.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Tally {
    pub met: usize,
    pub missed: usize,
}

/// Writes the tables for which there are figures.
pub fn render(
    tables: &[Table],
    figures: &[Figure],
    out: &mut String,
) -> std::result::Result<Tally, std::fmt::Error> {
    let mut tally = Tally::default();
    for table in tables {
        let grid = Grid::new(table.number, figures);
        if !grid.figures.is_empty() {
            render_table(table, &grid, out, &mut tally)?;
        }
    }
    Ok(tally)
}

fn render_table(table: &Table, grid: &Grid<'_>, out: &mut String, tally: &mut Tally) -> Result {
    let unit = &grid.figures[0].unit;
    writeln!(out, "## {}. {}\n\n{}\n", table.number, table.title, table.about)?;
    writeln!(out, "Unit: {unit}; in brackets relative to *{}*.\n", table.base)?;
    write!(out, "| |")?;
    grid.columns.iter().try_for_each(|column| write!(out, " {column} |"))?;
    table.goals.iter().try_for_each(|goal| write!(out, " {} |", headline(goal)))?;
    writeln!(out, "\n|---|{}{}", "---:|".repeat(grid.columns.len()), "---|".repeat(table.goals.len()))?;
    for row in &grid.rows {
        write!(out, "| {row} |")?;
        for column in &grid.columns {
            write!(out, " {} |", cell(table, grid, row, column))?;
        }
        for goal in table.goals {
            write!(out, " {} |", judge(goal, grid, row, tally))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn headline(goal: &Goal) -> String {
    let who = if goal.column == goal.than { "every one" } else { goal.column };
    format!("{who} at most {} x {}", goal.times, goal.than)
}

fn cell(table: &Table, grid: &Grid<'_>, row: &str, column: &str) -> String {
    let Some(figure) = grid.at(row, column) else { return String::new() };
    let value = number(figure.value);
    match grid.ratio(row, column, table.base) {
        Some(ratio) => format!("{value} ({ratio:.2})"),
        None => value,
    }
}

fn judge(goal: &Goal, grid: &Grid<'_>, row: &str, tally: &mut Tally) -> String {
    let Some(ratio) = grid.reached(row, goal).filter(|_| row.starts_with(goal.rows)) else {
        return String::new();
    };
    if ratio <= goal.times {
        tally.met += 1;
        format!("met: {ratio:.2}")
    } else {
        tally.missed += 1;
        format!("**missed**: {ratio:.2}")
    }
}

/// Thousands are set apart.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
