//! Tables in Markdown from figures, and which goals they miss.

use std::fmt::{Result, Write};

use crate::goals::{Goal, Limit, Table};
use measure::figure::{Figure, leading_number};

/// Rows and columns in the order in which they first came.
struct Grid {
    rows: Vec<String>,
    columns: Vec<String>,
    figures: Vec<Figure>,
}

impl Grid {
    /// The figures of one table, with its constants for rows that were measured.
    fn new(table: &Table, all: &[Figure]) -> Grid {
        let figures = all.iter().filter(|figure| figure.table == table.number).cloned().collect();
        let mut grid = Grid { rows: Vec::new(), columns: Vec::new(), figures };
        let push = |names: &mut Vec<String>, name: &str| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        };
        for figure in &grid.figures {
            push(&mut grid.rows, &figure.row);
            push(&mut grid.columns, &figure.column);
        }
        if table.plot.is_some() {
            let place = |row: &String| leading_number(row).unwrap_or(f64::INFINITY);
            grid.rows.sort_by(|a, b| place(a).total_cmp(&place(b)));
        }
        if let Some(constants) = &table.constants {
            for (row, value) in
                constants.rows.iter().filter(|(row, _)| grid.rows.iter().any(|known| known == row))
            {
                push(&mut grid.columns, constants.column);
                grid.figures.push(Figure::new(table.number, row, constants.column, *value, constants.unit));
            }
        }
        grid
    }

    fn at(&self, row: &str, column: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.row == row && figure.column == column)
    }

    /// How many times the figure of `base` this is, if they are of one kind.
    fn ratio(&self, row: &str, column: &str, base: &str) -> Option<f64> {
        let (figure, base) = (self.at(row, column)?, self.at(row, base)?);
        (figure.unit == base.unit && column != base.column).then(|| figure.value / base.value)
    }

    /// The greatest figure or ratio that the goal speaks of.
    fn reached(&self, row: &str, goal: &Goal) -> Option<f64> {
        let about = |column: &&String| goal.column.is_none_or(|name| name == column.as_str());
        let reached = self.columns.iter().filter(about).filter_map(|column| match goal.limit {
            Limit::Times(_, than) => self.ratio(row, column, than),
            Limit::TimesCount(_) => {
                self.at(row, column).and_then(|figure| Some(figure.value / leading_number(row)?))
            }
            Limit::Value(_) => self.at(row, column).map(|figure| figure.value),
        });
        reached.max_by(f64::total_cmp)
    }
}

/// Which goals of a report are met.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Tally {
    pub met: usize,
    pub missed: usize,
}

/// Writes one table, if there are figures for it.
pub fn render_table(table: &Table, figures: &[Figure], out: &mut String, tally: &mut Tally) -> Result {
    let grid = &Grid::new(table, figures);
    if grid.figures.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {}. {}\n\n{}\n", table.number, table.title, table.about)?;
    if let Some(base) = table.base {
        writeln!(out, "In brackets: relative to *{base}*.\n")?;
    }
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
    let who = goal.column.unwrap_or("every one");
    match goal.limit {
        Limit::Times(times, than) => format!("{who} at most {times} x {than}"),
        Limit::TimesCount(times) => format!("{who} at most {times} x their number"),
        Limit::Value(value) => format!("{who} at most {}", number(value)),
    }
}

fn cell(table: &Table, grid: &Grid, row: &str, column: &str) -> String {
    let Some(figure) = grid.at(row, column) else { return String::new() };
    let value = number(figure.value);
    match table.base.and_then(|base| grid.ratio(row, column, base)) {
        Some(ratio) => format!("{value} ({ratio:.2})"),
        None => value,
    }
}

fn judge(goal: &Goal, grid: &Grid, row: &str, tally: &mut Tally) -> String {
    let is_meant = goal.rows.is_empty() || goal.rows.iter().any(|part| row.contains(part));
    let Some(reached) = grid.reached(row, goal).filter(|_| is_meant) else { return String::new() };
    let (limit, shown) = match goal.limit {
        Limit::Times(times, _) | Limit::TimesCount(times) => (times, format!("{reached:.3}")),
        Limit::Value(value) => (value, number(reached)),
    };
    if reached <= limit {
        tally.met += 1;
        format!("met: {shown}")
    } else {
        tally.missed += 1;
        format!("**missed**: {shown}")
    }
}

/// Thousands are separated; only small numbers have decimals.
pub fn number(value: f64) -> String {
    if value < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
